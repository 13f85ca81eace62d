"""From a screen and a configuration to a Run folder: split, inputs, both steps, and what is written."""

import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dssl_bio.artefact import require_disk, seal, write_json
from dssl_bio.chem.standardize import Molecule
from dssl_bio.config import checked
from dssl_bio.errors import RunError
from dssl_bio.evaluation.metrics import ranks_of_best
from dssl_bio.learning.choice import AUTO, TRIAL_SHARE, choose, recipes_for
from dssl_bio.learning.collapse import Collapse
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.data import Pairs
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.encoders.molecule_kernels import KernelsTrunk
from dssl_bio.learning.inputs import MoleculeInputs
from dssl_bio.learning.model import ScreenFacts, build_model, kernels_of, molecule_needs, scalers_of
from dssl_bio.learning.partition import GROUP, SPLIT, partition
from dssl_bio.learning.phenotypes import ImagePhenotypes, ProfilePhenotypes, modalities, phenotypes_of
from dssl_bio.learning.precision import bf16_helps
from dssl_bio.learning.ridge import fit_ridge
from dssl_bio.learning.run import (
    CONFIG,
    MOLECULE_TABLE,
    SPLIT_TABLE,
    embed_inputs,
    embed_phenotypes,
    write_model,
)
from dssl_bio.learning.training import Progress, ValidationSet, remove_state, train_step
from dssl_bio.learning.workplace import move_into_place, workplace
from dssl_bio.screens.entries import ENTRY_KEY, entries_of
from dssl_bio.screens.expressions import parse
from dssl_bio.screens.screen import Screen
from dssl_bio.screens.splits import split_by_group
from dssl_bio.vocabulary import INCHIKEY, MOLECULE_ID, SMILES

logger = logging.getLogger(__name__)

MIN_MOLECULES = 8
STATE_COPIES = 9
"""Of the weights on disk at most: the old and the new state of weights, best weights and two moments, and the model."""
MIN_TRIAL_GROUPS, MIN_TRIAL_MOLECULES = 8, 60


@dataclass(frozen=True)
class Material:
    """What both steps train on."""

    config: TrainConfig
    facts: ScreenFacts
    split: pd.DataFrame
    pairs: Pairs
    validation: ValidationSet | None


def train(screen: Screen, config: TrainConfig, folder: Path, *, resume: bool = False, resumable: bool = True,
          report: Callable[[str], None] = logger.info, progress: Progress | None = None) -> dict[str, Any]:
    """Trains both steps and writes a Run.

    Until it is complete the run lies in `<folder>.partial`, with the state of the last epoch; `resume` continues there.

    Args:
        screen: training data.
        config: resolved configuration.
        folder: the Run; replaced when it holds a run, refused when it holds anything else.
        resume: continue `<folder>.partial`.
        resumable: keep what `resume` needs, curves and diagnostics; a run that serves one comparison does without.
        report: receives a line of progress now and then.
        progress: called after every minibatch with (done, total) minibatches of the step.

    Returns:
        metrics of training.

    Raises:
        RunError: too few molecules, nothing to resume, another configuration than the one to resume, or something
            else than a run stands where it would be written.
    """
    work = workplace(folder, config, screen.id, resume, report)
    config = _resolved_once(screen, config, work, report)
    material = prepare(screen, config)
    torch.manual_seed(config.seed)
    model = build_model(config, material.facts)
    _fit_to_training_rows(model, material)
    count = (material.split[SPLIT].value_counts() if len(material.split) else {})
    report("molecules: " + ", ".join(f"{count.get(name, 0)} {name}" for name in ("train", "valid", "test"))
           + f"; {len(material.pairs)} training wells")
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    report(require_disk(work, (STATE_COPIES if resumable else 1) * size + 20_000_000))
    material = _with_fixed_features(model, material)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16 = material.facts.modality == "images" and bf16_helps(device)
    metrics: dict[str, Any] = {}
    for step, options in ((1, config.step_1), (2, config.step_2)):
        if options.epochs == 0:
            continue
        watched = None if options.keep == "last" else material.validation
        metrics[f"step_{step}"] = train_step(model, step, material.pairs, watched, options, work, config.seed, report,
                                             bf16, resumable, progress)
        if step == 1 and watched is None and material.validation is not None:
            metrics["step_1"]["validation_mrr"] = material.validation.reciprocal_rank(model)
        if resumable:
            metrics[f"step_{step}"]["information"] = _information(model, material, specific=step == 2)
    write_model(work, model, config, material.facts)
    material.split.to_parquet(work / SPLIT_TABLE)
    screen.molecules.to_parquet(work / MOLECULE_TABLE)
    write_json(work / "metrics.json", metrics)
    remove_state(work)
    seal(work, "run", {"screen": screen.id, "screen_name": screen.name}, simulated=screen.simulated,
         screen_name=screen.name, metrics=metrics)
    move_into_place(work, folder)
    return metrics


def resolve(screen: Screen, config: TrainConfig, report: Callable[[str], None] = logger.info) -> TrainConfig:
    """The configuration with `molecule_encoder = "auto"` replaced by what a trial on training molecules chose.

    Three tenths of the molecules that are not held out, whole groups, are asked; the held-out ones are never looked at.
    """
    modality = _modality(screen, config)
    if config.molecule_encoder != AUTO or len(recipes_for(modality)) == 1:
        return choose(config, modality, None, report)[0]
    split = partition(screen.wells, screen.molecules, config.split, config.seed)
    kept = split[SPLIT].isin(["train", "valid"]).to_numpy()
    if kept.sum() < MIN_TRIAL_MOLECULES or split.loc[kept, GROUP].nunique() < MIN_TRIAL_GROUPS:
        return choose(config, modality, None, report)[0]
    inner = split.assign(**{SPLIT: ""})
    inner.loc[kept, SPLIT] = split_by_group(split.loc[kept, GROUP].to_numpy(str), (1 - TRIAL_SHARE, TRIAL_SHARE, 0.0),
                                            config.seed)
    return choose(config, modality, lambda candidate: _trial(screen, candidate, inner), report)[0]


def _trial(screen: Screen, config: TrainConfig, split: pd.DataFrame) -> NDArray[np.float64]:
    """Reciprocal ranks of the split's validation molecules after step 1 on its training molecules."""
    material = prepare(screen, config, split)
    assert material.validation is not None
    torch.manual_seed(config.seed)
    model = build_model(config, material.facts)
    _fit_to_training_rows(model, material)
    material = _with_fixed_features(model, material)
    with tempfile.TemporaryDirectory(prefix="dssl-bio-") as folder:
        train_step(model, 1, material.pairs, None, config.step_1, Path(folder), config.seed, lambda line: None, False,
                   resumable=False)
    asked = material.validation
    assert asked is not None
    queries = embed_inputs(model, [asked.molecules]).shared
    gallery = embed_phenotypes(model, asked.phenotypes, asked.rows, asked.membership).shared
    return 1 / ranks_of_best(queries @ gallery.T, np.arange(len(queries))[:, None] == asked.owner[None, :])


def _resolved_once(screen: Screen, config: TrainConfig, work: Path, report: Callable[[str], None]) -> TrainConfig:
    """The resolved configuration; a run that goes on keeps what it chose."""
    path = work / CONFIG
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["molecule_encoder"] != AUTO:
        return checked(stored, TrainConfig, str(path), RunError)
    resolved = resolve(screen, config, report)
    write_json(path, resolved.model_dump(mode="json", by_alias=True))
    return resolved


def _modality(screen: Screen, config: TrainConfig) -> str:
    return (modalities(screen) or [""])[0] if config.modality == "auto" else config.modality


def prepare(screen: Screen, config: TrainConfig, split: pd.DataFrame | None = None) -> Material:
    """Split, pairs, facts and validation set of a screen under a configuration.

    Args:
        screen: training data.
        config: an encoder that is still `auto` becomes the modality's preferred one.
        split: in place of the one that the configuration describes.
    """
    modality = _modality(screen, config)
    config, _ = choose(config, modality, None, lambda line: None)
    size = screen.images.pixel_size_um if screen.images is not None else None
    phenotypes = phenotypes_of(screen, modality, tile_px=config.image.tile_px, pixel_size_um=size)
    if split is None:
        split = partition(screen.wells, screen.molecules, config.split, config.seed)
    rows = _usable(screen, config, phenotypes.rows)
    split_of_row = screen.wells[MOLECULE_ID].map(split.set_index(MOLECULE_ID)[SPLIT]).to_numpy(object)[rows]
    train_rows, valid_rows = rows[split_of_row == "train"], rows[split_of_row == "valid"]
    train_ids = np.unique(screen.wells[MOLECULE_ID].to_numpy(object)[train_rows].astype(str))
    if len(train_ids) < MIN_MOLECULES:
        raise RunError(f"{len(train_ids)} training molecules with a phenotype; at least {MIN_MOLECULES} are needed "
                       f"({len(screen.molecules)} molecules in screen {screen.name}, {len(rows)} wells usable)")
    needs = molecule_needs(config)
    place = {name: number for number, name in enumerate(train_ids)}
    numbers = np.array([place[str(name)] for name in screen.wells[MOLECULE_ID].iloc[train_rows]], dtype=np.int64)
    pairs = Pairs(train_rows, numbers, MoleculeInputs.of(_molecules(screen, train_ids), needs), phenotypes)
    facts = _facts(config, modality, phenotypes, len(train_ids), len(train_rows), screen)
    return Material(config, facts, split, pairs, _validation(screen, valid_rows, needs, phenotypes))


def _information(model: DisentangledModel, material: Material, specific: bool) -> dict[str, Any]:
    """Information on validation pairs, or on training pairs where there are no others; warns of a collapse."""
    held_out, pairs = material.validation, material.pairs
    if held_out is None:
        rows = np.unique(pairs.molecule, return_index=True)[1]
        held_out = ValidationSet(pairs.inputs, pairs.phenotypes, pairs.rows[rows], np.arange(len(rows)),
                                 pairs.molecule[rows])
    found = held_out.information(model, specific)
    longest = max(found["resultant_length_1"], found["resultant_length_2"])
    if longest >= Collapse.NEAR_ONE:
        logger.warning("the shared representation has collapsed: its directions have resultant length %.3f, 1 is one "
                       "direction for everything; lower shared.beta or the learning rate", longest)
    return {"pairs": "training" if material.validation is None else "validation", **found}


def _usable(screen: Screen, config: TrainConfig, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    usable = screen.wells[MOLECULE_ID].notna().to_numpy().copy()
    if config.train_where:
        usable &= parse(config.train_where).mask(screen.wells)
    return rows[usable[rows]]


def _validation(screen: Screen, rows: NDArray[np.int64], needs: frozenset[str],
                phenotypes: ProfilePhenotypes | ImagePhenotypes) -> ValidationSet | None:
    if len(rows) == 0:
        return None
    entries, membership = entries_of(screen.wells, rows)
    ids = np.unique(entries[MOLECULE_ID].to_numpy(str))
    owner = np.searchsorted(ids, entries[MOLECULE_ID].to_numpy(str))
    assert entries[ENTRY_KEY].is_unique
    return ValidationSet(MoleculeInputs.of(_molecules(screen, ids), needs), phenotypes, rows, membership, owner)


def _facts(config: TrainConfig, modality: str, phenotypes: ProfilePhenotypes | ImagePhenotypes, n_molecules: int,
           n_rows: int, screen: Screen) -> ScreenFacts:
    landmarks = min(config.kernel.landmarks, n_molecules)
    kernel = min(config.kernel.components, landmarks)
    if isinstance(phenotypes, ImagePhenotypes) and screen.images is not None:
        return ScreenFacts(modality, landmarks, kernel, channels=tuple(screen.images.channels),
                           pixel_size_um=screen.images.pixel_size_um)
    assert isinstance(phenotypes, ProfilePhenotypes)
    components = min(config.profile.components, n_rows - 1, len(phenotypes.features))
    return ScreenFacts(modality, landmarks, kernel, components, tuple(phenotypes.features))


def _fit_to_training_rows(model: torch.nn.Module, material: Material) -> None:
    """Kernels and scalers see training molecules and training wells only."""
    config, pairs = material.config, material.pairs
    fingerprints = pairs.inputs.fingerprints
    first: torch.nn.Module | None = None
    for kernel in kernels_of(model):  # type: ignore[arg-type]
        assert fingerprints is not None
        if first is None:
            chosen = np.random.default_rng(config.seed).permutation(len(fingerprints))[: material.facts.n_landmarks]
            kernel.fit(fingerprints[np.sort(chosen)], config.kernel.whitening)
            first = kernel
        else:  # the specific encoder's kernels are the shared one's
            kernel.load_state_dict(first.state_dict())
    if isinstance(pairs.phenotypes, ProfilePhenotypes):
        profiles = pairs.phenotypes.read(pairs.rows)
        pairs.phenotypes.spread = profiles.std(0)
        for scaler in scalers_of(model):  # type: ignore[arg-type]
            scaler.fit(profiles, config.profile.whitening)
        if config.ridge > 0:
            _fit_ridge_member(model, pairs, profiles)


def _with_fixed_features(model: torch.nn.Module, material: Material) -> Material:
    """Several kernels' features of all molecules, computed once: they are fitted and nothing changes them after."""
    kernels = [kernel for kernel in kernels_of(model) if isinstance(kernel, KernelsTrunk)]  # type: ignore[arg-type]
    if not kernels:
        return material

    def fixed(inputs: MoleculeInputs) -> MoleculeInputs:
        assert inputs.fingerprints is not None
        with torch.no_grad():
            return replace(inputs, fingerprints=kernels[0].features(inputs.fingerprints))

    validation = material.validation
    if validation is not None:
        validation = replace(validation, molecules=fixed(validation.molecules))
    return replace(material, pairs=replace(material.pairs, inputs=fixed(material.pairs.inputs)), validation=validation)


def _fit_ridge_member(model: torch.nn.Module, pairs: Pairs, profiles: torch.Tensor) -> None:
    """Kernel ridge from the features of the training molecules to the mean of each one's wells."""
    model.eval()
    molecule, phenotype = model.shared_encoders  # type: ignore[misc]
    owner = torch.from_numpy(pairs.molecule)
    mean = torch.zeros(len(pairs.inputs), profiles.shape[1]).index_add_(0, owner, profiles)
    mean /= torch.bincount(owner, minlength=len(mean))[:, None]
    with torch.no_grad():
        features = molecule.trunk(pairs.inputs.batch(range(len(pairs.inputs))))
        fit_ridge(molecule, phenotype, features, phenotype.trunk.scaler(mean))
    model.train()


def _molecules(screen: Screen, ids: NDArray[np.str_]) -> list[Molecule]:
    table = screen.molecules.set_index(MOLECULE_ID).loc[list(ids)]
    return [Molecule(smiles, key) for smiles, key in zip(table[SMILES], table[INCHIKEY], strict=True)]
