"""The product's own models as benchmark methods: trained exactly as `dssl-bio train` does, one Run a fold and seed."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from dssl_bio.config import checked
from dssl_bio.evaluation.division import Division
from dssl_bio.evaluation.methods import Method, Vectors
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.fit import resolve, train
from dssl_bio.learning.run import Run
from dssl_bio.vocabulary import MOLECULE_ID

NOT_TRAINED = {"step_2": {"epochs": 0}}
"""Retrieval reads the shared representation, which step 2 leaves as it is."""


@dataclass(frozen=True)
class TrainingContext:
    """What a model is told beside a division.

    Attributes:
        config: of `train`; its split, seed and train_where are replaced.
        modality: of the screen.
        train_where: wells that may be learnt from.
    """

    config: TrainConfig
    modality: str
    train_where: str | None


class TrainedMethod(Method):
    """A model of ours; which objective decides the subclass."""

    seeded: ClassVar[bool] = True
    changes: ClassVar[dict[str, Any]] = {}

    def __init__(self, context: TrainingContext):
        self.context = context
        self.metrics: dict[str, Any] = {}

    def config(self, folds: Path, seed: int) -> TrainConfig:
        """The resolved configuration of one job."""
        values = self.context.config.model_dump(by_alias=True)
        values["seed"], values["modality"] = seed, self.context.modality
        values["train_where"] = self.context.train_where
        values["split"] = {**values["split"], "method": "folds", "file": str(folds), "key": MOLECULE_ID, "test_fold": 1}
        if values["step_1"]["keep"] == "last":
            values["split"]["fractions"] = (1.0, 0.0, 0.0)  # nothing is decided by validation: all may be learnt from
        for section, change in {**NOT_TRAINED, **self.changes}.items():
            values[section] = {**values[section], **change} if isinstance(change, dict) else change
        return checked(values, TrainConfig, "the training of a benchmark")

    def resolved(self, division: Division) -> tuple[TrainConfig, list[str]]:
        """The context's configuration with an encoder chosen on the division's training molecules, and the figures."""
        lines: list[str] = []
        with tempfile.TemporaryDirectory(prefix="dssl-bio-") as temporary:
            config = self.config(_written(division, Path(temporary)), seed=0)
            found = resolve(division.screen, config, lines.append)
        return found, lines

    def vectors(self, division: Division, seed: int) -> Vectors:
        """Trains a Run on the division's training molecules and embeds everything with it."""
        with tempfile.TemporaryDirectory(prefix="dssl-bio-") as temporary:
            folds = _written(division, Path(temporary))
            folder = Path(temporary) / "run"
            self.metrics = train(division.screen, self.config(folds, seed), folder, resumable=False,
                                 report=lambda line: None)
            run = Run.open(folder, check=False)
            placed = run.embed_molecules(division.standardised, specific=False).shared
            entries = np.zeros((len(division.entries), placed.shape[1]), np.float32)
            found = run.embed_wells(run.phenotypes(division.screen), division.rows, division.membership,
                                    specific=False).shared
            entries[:len(found)] = found
        return Vectors(placed, entries)


def _written(division: Division, folder: Path) -> Path:
    """The division as a folds file: fold 1 is held out."""
    path, molecules = folder / "folds.parquet", division.molecules
    pd.DataFrame({"molecule": molecules[MOLECULE_ID], "fold": molecules["held_out"].astype(int),
                  "block": molecules["group"].astype(str)}).to_parquet(path)
    return path


class DisentangledRun(TrainedMethod):
    """DisentangledSSL: retrieval by the shared representation."""

    name = "dssl"


class ClipRun(TrainedMethod):
    """CLIP on the same encoders: InfoNCE between points, without posterior and without divergence."""

    name = "clip"
    changes: ClassVar[dict[str, Any]] = {"shared": {"posterior": "none", "beta": 0.0}}
