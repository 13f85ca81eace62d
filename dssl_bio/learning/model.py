"""The molecule-phenotype model: which trunks, how wide, built from a configuration and a few facts of the screen."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dssl_bio.chem.fingerprints import FINGERPRINT_BITS
from dssl_bio.errors import RunError
from dssl_bio.imaging.intensity import Clipping
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.disentangled import DisentangledModel, LossParts, PairWeights, shared_loss
from dssl_bio.learning.encoders.attention import BagEncoder
from dssl_bio.learning.encoders.encoder import Encoder
from dssl_bio.learning.encoders.molecule_dose import DoseTrunk
from dssl_bio.learning.encoders.molecule_gnn import GineTrunk
from dssl_bio.learning.encoders.molecule_hybrid import HybridTrunk
from dssl_bio.learning.encoders.molecule_kernel import KernelTrunk
from dssl_bio.learning.encoders.molecule_kernels import KernelsTrunk
from dssl_bio.learning.encoders.phenotype_cnn import CnnTrunk
from dssl_bio.learning.encoders.phenotype_mlp import MlpTrunk, ProfileScaler

MOLECULE, PHENOTYPE = 0, 1
"""Numbers of the two modalities in the model."""


@dataclass(frozen=True)
class ScreenFacts:
    """What of the screen decides the model's shape; saved with the weights.

    Attributes:
        modality: `images` or a profile modality.
        n_landmarks: training molecules in the Tanimoto kernel.
        n_kernel_components: of the kernel.
        n_profile_components: of the profile scaler; 0 for images.
        n_ridge_components: of the ridge member's own profile scaler; 0 where it has none.
        features: names of the profile's features, in the model's order; empty for images.
        channels: names of the image channels; empty for profiles.
        pixel_size_um: of the tiles; 0 for profiles.
        doses_um: smallest and largest dose of the training wells, where dose is an input; () otherwise.
        clipping: how image intensities are scaled, in training and in serving.
    """

    modality: str
    n_landmarks: int
    n_kernel_components: int
    n_profile_components: int = 0
    features: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    pixel_size_um: float = 0.0
    doses_um: tuple[float, ...] = ()
    clipping: Clipping = Clipping()
    n_ridge_components: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ScreenFacts":
        """The reverse of `as_json`."""
        listed = {name: tuple(values.get(name, ())) for name in ("features", "channels", "doses_um")}
        return cls(**{**values, **listed, "clipping": Clipping(**values.get("clipping", {}))})


class EnsembleModel(DisentangledModel):
    """DisentangledSSL whose shared encoders have several members, each trained by a step-1 loss of its own."""

    members = 1
    ridge = 0.0

    def step_1(self, input_1: Any, input_2: Any, groups: Tensor | None = None,
               generator: torch.Generator | None = None, kappas: tuple[Tensor, Tensor] | None = None,
               weights: PairWeights | None = None) -> LossParts:
        """Mean of the members' losses: InfoNCE, and beta times the divergence of the members' posteriors.

        A ridge member is the last part of both codes; nothing of it is learned, and it has no loss.
        """
        n_parts = self.members + int(self.ridge > 0)
        raw = [encoder(x).chunk(n_parts, dim=1)[:self.members]
               for encoder, x in zip(self.shared_encoders, (input_1, input_2), strict=True)]
        parts = [shared_loss(one, two, self.shared_objective, groups, generator, kappas, weights)
                 for one, two in zip(*raw, strict=True)]
        return LossParts.of(**{name: torch.stack([part.terms[name] for part in parts]).mean()
                               for name in parts[0].terms})


def build_model(config: TrainConfig, facts: ScreenFacts) -> DisentangledModel:
    """An untrained model; kernels, scalers and a ridge member hold zeros until they are fitted or loaded.

    Raises:
        RunError: a ridge member without a kernel on the molecules' side; that or a plate projection on bags of tiles.
    """
    on_images = facts.modality == "images"
    in_bags = on_images and config.image.bag_tiles > 1
    able = ("kernel", "kernels", "hybrid") if on_images else ("kernel", "kernels")
    if config.ridge > 0 and (in_bags or config.molecule_encoder not in able):
        raise RunError(f"a ridge member (ridge > 0) needs molecule_encoder {' or '.join(able)} on {facts.modality}, "
                       f"and image.bag_tiles 1; here they are {config.molecule_encoder} and {config.image.bag_tiles}")

    def encoder(trunk: nn.Module, out_dim: int, condition_dim: int = 0, own: nn.Module | None = None) -> Encoder:
        members, ridge = (1, 0.0) if condition_dim else (config.members, config.ridge)
        residual = condition_dim > 0 and config.specific_input == "residual"
        of_codes = on_images and trunk is phenotype
        return Encoder(trunk, out_dim, config.hidden, condition_dim, config.dropout, members, ridge, residual, own,
                       of_codes, config.plate_projection and trunk is phenotype)

    if config.plate_projection and in_bags:
        raise RunError(f"plate_projection needs image.bag_tiles 1; here it is {config.image.bag_tiles}")
    phenotype: nn.Module | None = None
    molecule = encoder(_molecule_trunk(config, facts), config.shared_dim)  # first: the order of draws is the seed's
    phenotype = _phenotype_trunk(config, facts)
    shared = (molecule,
              BagEncoder(phenotype, config.shared_dim, config.hidden, config.dropout, config.members,
                         attention=config.image.pooling == "attention") if in_bags
              else encoder(phenotype, config.shared_dim, own=_ridge_input(config, facts)))
    specific = (encoder(_molecule_trunk(config, facts), config.specific_dim, config.shared_dim),
                encoder(_phenotype_trunk(config, facts), config.specific_dim, config.shared_dim))
    model = EnsembleModel(shared, specific, config.shared, config.specific)
    model.members, model.ridge = config.members, config.ridge
    return model


def kernels_of(model: DisentangledModel) -> list[KernelTrunk | KernelsTrunk]:
    """The parts that are fitted to training molecules."""
    return [module for module in model.modules() if isinstance(module, KernelTrunk | KernelsTrunk)]


def scalers_of(model: DisentangledModel) -> list[ProfileScaler]:
    """The parts that are fitted to training profiles, but for the ridge member's own."""
    own = ridge_scaler_of(model)
    return [module for module in model.modules() if isinstance(module, ProfileScaler) and module is not own]


def ridge_scaler_of(model: DisentangledModel) -> ProfileScaler | None:
    """The scaler of profiles that the ridge member alone reads, where it has one."""
    found = getattr(model.shared_encoders[PHENOTYPE], "ridge_input", None)
    return found if isinstance(found, ProfileScaler) else None


def molecule_needs(config: TrainConfig) -> frozenset[str]:
    """Which features of a molecule the configured encoder reads."""
    trunks = {"gine": GineTrunk, "kernel": KernelTrunk, "kernels": KernelsTrunk, "hybrid": HybridTrunk}
    return trunks[config.molecule_encoder].needs  # type: ignore[attr-defined]


def _molecule_trunk(config: TrainConfig, facts: ScreenFacts) -> nn.Module:
    trunk = _structure_trunk(config, facts)
    return DoseTrunk(trunk, facts.doses_um[0], facts.doses_um[1]) if config.dose else trunk


def _structure_trunk(config: TrainConfig, facts: ScreenFacts) -> nn.Module:
    if config.molecule_encoder == "kernels":
        return KernelsTrunk(facts.n_landmarks, facts.n_kernel_components, config.dropout)
    gnn = GineTrunk(config.gine.hidden, config.gine.layers, config.dropout / 2)
    if config.molecule_encoder == "gine":
        return gnn
    kernel = KernelTrunk(facts.n_landmarks, facts.n_kernel_components, FINGERPRINT_BITS, config.dropout)
    return kernel if config.molecule_encoder == "kernel" else HybridTrunk(gnn, kernel)


def _ridge_input(config: TrainConfig, facts: ScreenFacts) -> ProfileScaler | None:
    if config.ridge == 0 or facts.n_ridge_components == 0:
        return None
    return ProfileScaler(len(facts.features), facts.n_ridge_components, config.profile.transform)


def _phenotype_trunk(config: TrainConfig, facts: ScreenFacts) -> nn.Module:
    if facts.modality == "images":
        return CnnTrunk(len(facts.channels), config.image.width, config.image.blocks)
    scaler = ProfileScaler(len(facts.features), facts.n_profile_components, config.profile.transform)
    return MlpTrunk(scaler, config.profile.hidden, config.profile.layers, config.dropout)
