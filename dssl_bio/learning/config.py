"""Everything `train` can be told; defaults are for a screen of a few hundred molecules."""

from typing import Literal

from pydantic import Field, model_validator

from dssl_bio.config import Config
from dssl_bio.learning.disentangled import SharedObjective, SpecificObjective

MoleculeEncoder = Literal["auto", "gine", "kernel", "kernels", "hybrid"]
"""`auto` is chosen by validation on the screen (see `choice`), with what goes with it."""


class SplitConfig(Config):
    """How molecules are divided. Whole groups stay together: a molecule, a scaffold, a value of a column, or a fold.

    Attributes:
        method: `random` by molecule, `scaffold` (Bemis-Murcko), `column` (a column of the wells: either it says
            train, valid and test, or its values are groups; molecules without a value take no part), `folds` (a
            table with columns molecule and fold).
        column: for `column`.
        file: for `folds`; Parquet or CSV.
        key: for `folds`: the wells' column that the table's `molecule` refers to.
        test_fold: for `folds`: the fold that is held out.
        fractions: shares of train, valid and test. With `folds`, valid's share of the other folds is used.
    """

    method: Literal["random", "scaffold", "column", "folds"] = "random"
    column: str | None = None
    file: str | None = None
    key: str = "molecule_id"
    test_fold: int = 0
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)

    @model_validator(mode="after")
    def _complete(self) -> "SplitConfig":
        if self.method == "column" and self.column is None:
            raise ValueError("split.method column needs split.column")
        if self.method == "folds" and self.file is None:
            raise ValueError("split.method folds needs split.file")
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"split.fractions must be non-negative and sum to 1, got {self.fractions}")
        if self.fractions[0] == 0:
            raise ValueError(f"split.fractions must leave a share to train on, got {self.fractions}")
        return self


class StepConfig(Config):
    """Optimisation of one step: AdamW with a cosine schedule over the epochs; with 0 epochs the step is left out.

    Step 1 keeps the weights of the epoch with the best validation MRR, or of the last one: with a few dozen molecules
    to validate on, the best epoch is mostly luck.
    """

    epochs: int = Field(30, ge=0)
    batch_size: int = Field(128, ge=4)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    patience: int = Field(10, ge=1)
    keep: Literal["best", "last"] = "best"


class GineConfig(Config):
    """Sizes of the graph network."""

    hidden: int = Field(128, ge=8)
    layers: int = Field(4, ge=1)
    freeze: bool = Field(False, description="keep the weights that `start` gave")


class KernelConfig(Config):
    """Landmarks and components of the Tanimoto-kernel features."""

    landmarks: int = Field(1000, ge=2)
    components: int = Field(256, ge=1)
    whitening: float = Field(0.5, ge=0, le=1)


class ProfileConfig(Config):
    """Reduction and sizes of the profile encoder.

    Attributes:
        transform: before anything else; signed_log is sign(x) log(1 + |x|).
        scaling: by the standard deviation, or by the median absolute deviation (robust), of training wells.
        max_correlation: of two features that correlate more than this, one is left out; 1 keeps all.
        sphere: make directions small in which the negative controls vary.
        sphere_shrinkage: share of the mean variance in the controls' covariance.
        components: principal components of training wells.
        whitening: 0 leaves their variances, 1 makes them equal.
        mixing: concentration of the Dirichlet distribution by which step 1 mixes the wells of a molecule at one dose;
            0 takes single wells.
        ridge_max_correlation: as `max_correlation`, for the ridge member alone; absent, it reads what the others read.
        ridge_whitening: as `whitening`, for the ridge member alone.
        hidden: width of the hidden layers.
        layers: number of hidden layers.
    """

    transform: Literal["none", "signed_log"] = "none"
    scaling: Literal["standard", "robust"] = "standard"
    max_correlation: float = Field(1.0, gt=0, le=1)
    sphere: bool = False
    sphere_shrinkage: float = Field(0.1, ge=0, le=1)
    mixing: float = Field(0.0, ge=0)
    components: int = Field(80, ge=1)
    whitening: float = Field(0.5, ge=0, le=1)
    ridge_max_correlation: float | None = Field(None, gt=0, le=1)
    ridge_whitening: float | None = Field(None, ge=0, le=1)
    hidden: int = Field(256, ge=8)
    layers: int = Field(2, ge=0)

    @property
    def ridge_reads_its_own(self) -> bool:
        """Whether the ridge member has components of its own."""
        return self.ridge_max_correlation is not None or self.ridge_whitening is not None


class ImageConfig(Config):
    """Tiles and sizes of the CNN."""

    tile_px: int = Field(96, ge=32)
    width: int = Field(32, ge=8, multiple_of=8)
    blocks: int = Field(3, ge=1, le=6)
    pooling: Literal["mean", "attention"] = Field("mean", description="of the tiles of a well's sites and of an "
                                                                      "entry's wells")
    bag_tiles: int = Field(1, ge=1, description="tiles of a well that step 1 sees at once; attention needs several")
    flagged_sites: bool = Field(False, description="read sites that quality control marked, too")
    pixel_size_um: float | None = Field(None, gt=0, description="of the tiles; the screen's when absent")
    tiles: Literal["sites", "nuclei"] = Field("sites", description="cut anywhere in sites, or around nuclei")
    masks: str = Field("classical", description="layer of masks whose nuclei tiles are cut around")
    nuclei_per_well: int = Field(64, ge=0, description="at most, chosen by the seed; 0 for all")

    @model_validator(mode="after")
    def _bags(self) -> "ImageConfig":
        if self.pooling == "attention" and self.bag_tiles < 2:
            raise ValueError("image.pooling attention learns which of several tiles count: set image.bag_tiles to 2 "
                             "or more")
        return self


class TrainConfig(Config):
    """Resolved configuration of a run, saved with it."""

    seed: int = Field(0, ge=0)
    modality: str = Field("auto", description="`images` or a profile modality of the screen; auto takes images first")
    train_where: str | None = Field(None, description="filter expression: wells used in training and validation")
    start: str | None = Field(None, description="a run, such as `pretrain` writes, whose networks training starts from")
    molecule_encoder: MoleculeEncoder = "auto"
    dose: bool = Field(False, description="dose as an input of the molecule side; half of training is told none")
    inactive_weight: float = Field(1.0, ge=0, le=1, description="in step 1, of wells of molecules that look inactive")
    plate_negatives: float = Field(0.0, ge=0, description="in step 1, extra weight of negatives on the own plate")
    shared_dim: int = Field(128, ge=2)
    specific_dim: int = Field(64, ge=2)
    specific_input: Literal["own", "residual"] = Field(
        "own", description="what specific encoders read: a trunk of their own, or what the shared code leaves of its")
    plate_projection: bool = Field(
        False, description="after step 1, what tells untreated wells of different plates apart leaves the shared code")
    specific_ridge: float = Field(0.01, ge=0, description="of the residual: more leaves more of the shared code in it")
    members: int = Field(1, ge=1, description="heads of the shared encoders, an ensemble in one model")
    ridge: float = Field(0.0, ge=0, description="weight of a kernel-ridge member beside the learned ones' 1")
    hidden: int = Field(256, ge=8)
    dropout: float = Field(0.2, ge=0, lt=1)
    split: SplitConfig = SplitConfig()
    shared: SharedObjective = SharedObjective()
    specific: SpecificObjective = SpecificObjective()
    step_1: StepConfig = StepConfig()
    step_2: StepConfig = StepConfig(epochs=15)
    gine: GineConfig = GineConfig()
    kernel: KernelConfig = KernelConfig()
    profile: ProfileConfig = ProfileConfig()
    image: ImageConfig = ImageConfig()

    @model_validator(mode="after")
    def _feasible(self) -> "TrainConfig":
        if self.step_1.epochs == self.step_2.epochs == 0:
            raise ValueError("nothing to train: step_1.epochs and step_2.epochs are both 0")
        if self.gine.freeze and self.start is None:
            raise ValueError("gine.freeze keeps the weights of a run, and start names none")
        n_parts = self.members + (self.ridge > 0)
        if self.shared_dim % n_parts:
            raise ValueError(f"shared_dim {self.shared_dim} cannot be divided among {n_parts} members")
        return self
