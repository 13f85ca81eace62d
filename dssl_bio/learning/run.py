"""A Run: what a trained model is on disk, and how it embeds molecules and phenotypes. No pickle anywhere."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dssl_bio.artefact import identity, read_record, verify, write_json
from dssl_bio.chem.standardize import Molecule
from dssl_bio.config import checked
from dssl_bio.errors import RunError
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.inputs import MoleculeInputs
from dssl_bio.learning.model import MOLECULE, PHENOTYPE, ScreenFacts, build_model, molecule_needs
from dssl_bio.learning.phenotypes import CHUNK, Phenotypes, batches, phenotypes_of
from dssl_bio.learning.precision import bf16_helps
from dssl_bio.learning.representation import SharedSpecific, unit_rows
from dssl_bio.screens.screen import Screen

WEIGHTS, CONFIG, FACTS = "model.safetensors", "config.json", "facts.json"
SPLIT_TABLE, MOLECULE_TABLE = "split.parquet", "molecules.parquet"
PRETRAINED = "pretrained"
"""Fact in the record of a run that holds a GNN alone (see `pretraining`)."""


@dataclass(frozen=True)
class Run:
    """A trained model with its split; read-only.

    Attributes:
        folder: where it lies.
        record: its run.json.
        config: the resolved configuration.
        facts: shapes that came from the screen.
        model: in evaluation mode.
        split: molecule_id, group, split.
    """

    folder: Path
    record: dict[str, Any]
    config: TrainConfig
    facts: ScreenFacts
    model: DisentangledModel
    split: pd.DataFrame

    @classmethod
    def open(cls, folder: Path, *, check: bool = True) -> "Run":
        """Opens a run folder after its checksums were verified.

        Raises:
            RunError: not a run folder, damaged, or made by another schema version.
        """
        record = verify(folder, "run") if check else read_record(folder, "run")
        if record.get(PRETRAINED):
            raise RunError(f"{folder} holds a pre-trained GNN and no model yet; start a training from it: "
                           f"dssl-bio train SCREEN --start {folder} --out RUN")
        config, facts, model = read_model(folder)
        return cls(folder, record, config, facts, model, pd.read_parquet(folder / SPLIT_TABLE))

    @property
    def id(self) -> str:
        """Twelve characters that name the run by its content."""
        return identity(self.record)

    @property
    def simulated(self) -> bool:
        """True when it was trained on a simulated screen."""
        return bool(self.record["simulated"])

    def molecules_of(self, split: str) -> NDArray[np.str_]:
        """Molecule ids of one split."""
        return self.split.loc[self.split["split"] == split, "molecule_id"].to_numpy(str)

    @property
    def reads_dose(self) -> bool:
        """True when the dose is an input of the molecule side."""
        return self.config.dose

    def asked_dose(self, dose_um: float | None) -> float | None:
        """The dose that molecules are embedded at for a question: none where the model knows no doses.

        Raises:
            RunError: a dose that is not positive.
        """
        if dose_um is not None and not dose_um > 0:
            raise RunError(f"a dose must be positive, got {dose_um:g} uM")
        return dose_um if self.reads_dose else None

    def embed_molecules(self, molecules: Sequence[Molecule], dose_um: float | None = None, *,
                        specific: bool = True) -> SharedSpecific:
        """Representations of molecules, in their order.

        Args:
            molecules: N molecules.
            dose_um: of all of them, where the model reads doses; None says that the dose is not known.
            specific: without, that part has no columns and costs nothing.
        """
        dose = self.asked_dose(dose_um)
        return embed_molecules(self.model, molecules, molecule_needs(self.config), dose, specific=specific)

    def phenotypes(self, screen: Screen) -> Phenotypes:
        """The screen's modality that this model reads, as it reads it.

        Raises:
            RunError: the screen lacks the modality, its features or its channels.
        """
        if self.facts.modality == "images" and screen.images is not None:
            if tuple(screen.images.channels) != self.facts.channels:
                raise RunError(f"the model reads channels {', '.join(self.facts.channels)}; screen {screen.name} has "
                               f"{', '.join(screen.images.channels)}")
        return phenotypes_of(screen, self.facts.modality, features=list(self.facts.features) or None,
                             image=self.config.image, pixel_size_um=self.facts.pixel_size_um or None,
                             seed=self.config.seed)

    def embed_wells(self, phenotypes: Phenotypes, rows: NDArray[np.int64], membership: NDArray[np.int64] | None = None,
                    progress: Callable[[int, int], None] | None = None, *, specific: bool = True,
                    unit: bool = True) -> SharedSpecific:
        """Representations of wells, or of entries that each join several wells (see screens.entries).

        Args:
            phenotypes: from `phenotypes`.
            rows: positions of wells that have this modality.
            membership: (len(rows),) number of each well's entry, -1 to leave a well out; one entry a well when absent.
            progress: called with (done, total) inputs.
            specific: without, that part has no columns and costs nothing.
            unit: without, the sums over each entry's inputs, which can be added up to those of larger entries.
        """
        if membership is None:
            membership = np.arange(len(rows))
        return embed_phenotypes(self.model, phenotypes, rows, membership, progress, specific=specific, unit=unit)


def embed_molecules(model: DisentangledModel, molecules: Sequence[Molecule], needs: frozenset[str],
                    dose_um: float | None = None, *, specific: bool = True) -> SharedSpecific:
    """Representations of molecules by a model in evaluation mode, in chunks."""
    parts = [MoleculeInputs.of(molecules[i:i + CHUNK], needs) for i in range(0, len(molecules), CHUNK)]
    return embed_inputs(model, parts, dose_um, specific=specific)


def log_doses(dose_um: float | None, n: int) -> Tensor | None:
    """One dose for n molecules, as encoders read it."""
    return None if dose_um is None else torch.full((n,), math.log10(dose_um))


def embed_inputs(model: DisentangledModel, parts: Sequence[MoleculeInputs], dose_um: float | None = None, *,
                 specific: bool = True) -> SharedSpecific:
    """Representations of featurised molecules; without `specific` that part has no columns and costs nothing."""
    model.eval()
    device = next(model.parameters()).device
    pieces = [np.zeros((0, dim), np.float32) for dim in _dims(model, MOLECULE, specific)]
    with torch.inference_mode():
        for part in parts:
            for start in range(0, len(part), CHUNK):
                rows = range(start, min(start + CHUNK, len(part)))
                batch = part.batch(rows, log_doses(dose_um, len(rows))).to(device)
                embedded = _both(model, MOLECULE, batch, specific)
                pieces = [np.concatenate([piece, new]) for piece, new in zip(pieces, embedded, strict=True)]
    return SharedSpecific(*pieces)


def embed_phenotypes(model: DisentangledModel, phenotypes: Phenotypes, rows: NDArray[np.int64],
                     membership: NDArray[np.int64], progress: Callable[[int, int], None] | None = None, *,
                     specific: bool = True, unit: bool = True) -> SharedSpecific:
    """Mean direction of the representations of each entry's inputs, or without `unit` their sum.

    `specific` as for `embed_inputs`.
    """
    model.eval()
    device = next(model.parameters()).device
    fast = bf16_helps(device)
    n_entries = int(membership.max(initial=-1)) + 1
    sums = [np.zeros((n_entries, dim)) for dim in _dims(model, PHENOTYPE, specific)]
    for inputs, numbers in batches(phenotypes, rows, membership):
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=inputs.ndim == 4 and fast):
            parts = _both(model, PHENOTYPE, inputs.to(device), specific)
        for total, embedded in zip(sums, parts, strict=True):
            np.add.at(total, numbers, embedded)
        if progress is not None:
            progress(int(numbers[-1]) + 1, n_entries)
    if not unit:
        return SharedSpecific(*(total.astype(np.float32) for total in sums))
    return SharedSpecific(unit_rows(sums[0]), unit_rows(sums[1]))


def _both(model: DisentangledModel, modality: int, batch: Any, specific: bool) -> tuple[NDArray[np.float32], ...]:
    """Shared and specific vectors of a minibatch, the latter without columns when they are not wanted."""
    if not specific:
        shared = model.addable(modality, batch).cpu().numpy()
        return shared, shared[:, :0]
    view = model.view(modality, batch)
    code = model.addable(modality, batch) if model.attends(modality) else view.shared.float()
    return code.cpu().numpy(), view.specific.float().cpu().numpy()


def write_model(folder: Path, model: DisentangledModel, config: TrainConfig, facts: ScreenFacts) -> None:
    """Weights as safetensors, configuration and facts as JSON."""
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
    write_json(folder / CONFIG, config.model_dump(mode="json", by_alias=True))
    write_json(folder / FACTS, facts.as_json())


def read_model(folder: Path) -> tuple[TrainConfig, ScreenFacts, DisentangledModel]:
    """The reverse of `write_model`; the model is in evaluation mode.

    Raises:
        RunError: a file is missing, damaged, or the weights do not fit the configuration.
    """
    try:
        config = checked(json.loads((folder / CONFIG).read_text()), TrainConfig, str(folder / CONFIG), RunError)
        facts = ScreenFacts.from_json(json.loads((folder / FACTS).read_text()))
        model = build_model(config, facts)
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as cause:
        raise RunError(f"the model in {folder} cannot be read: {cause}") from cause
    return config, facts, model.eval()


def _dims(model: DisentangledModel, modality: int, specific: bool) -> list[int]:
    encoders = (model.shared_encoders[modality], model.specific_encoders[modality])
    shared_dim, specific_dim = (int(encoder.head[-1].out_features) for encoder in encoders)  # type: ignore[union-attr, index]
    return [shared_dim, specific_dim if specific else 0]
