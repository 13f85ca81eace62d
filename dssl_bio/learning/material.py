"""What a training needs of a screen under a configuration: split, pairs, facts, validation set."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import RunError
from dssl_bio.learning.choice import choose
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.data import Pairs
from dssl_bio.learning.encoders.phenotype_mlp import ProfileScaler
from dssl_bio.learning.inputs import MoleculeInputs
from dssl_bio.learning.model import ScreenFacts, molecule_needs
from dssl_bio.learning.partition import SPLIT, partition
from dssl_bio.learning.phenotypes import ImagePhenotypes, ProfilePhenotypes, modalities, phenotypes_of
from dssl_bio.learning.transforms import independent_features
from dssl_bio.learning.validation import ValidationSet
from dssl_bio.learning.well_facts import controls_of, well_facts
from dssl_bio.screens.entries import ENTRY_KEY, entries_of
from dssl_bio.screens.expressions import parse
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import INCHIKEY, MOLECULE_ID, PLATE, SMILES

MIN_MOLECULES = 8


@dataclass(frozen=True)
class Material:
    """What both steps train on.

    Attributes:
        config: with its molecule encoder named.
        facts: what of the screen decides the model's shape.
        split: molecule_id, group, split.
        pairs: training wells with their molecules.
        validation: None where no molecule is left for it.
        controls: untreated wells that sphering and the projection of plates are fitted to.
        control_plates: number of each one's plate.
        note: what there is to say about the wells' weights and about sites that are left out; empty for nothing.
    """

    config: TrainConfig
    facts: ScreenFacts
    split: pd.DataFrame
    pairs: Pairs
    validation: ValidationSet | None
    controls: NDArray[np.int64]
    control_plates: NDArray[np.int64]
    note: str = ""


def modality_of(screen: Screen, config: TrainConfig) -> str:
    """The configured modality; `auto` is the screen's first, images before profiles."""
    return (modalities(screen) or [""])[0] if config.modality == "auto" else config.modality


def prepare(screen: Screen, config: TrainConfig, split: pd.DataFrame | None = None) -> Material:
    """Split, pairs, facts and validation set of a screen under a configuration.

    Args:
        screen: training data.
        config: an encoder that is still `auto` becomes the modality's preferred one.
        split: in place of the one that the configuration describes.
    """
    modality = modality_of(screen, config)
    config, _ = choose(config, modality, None, lambda line: None)
    phenotypes = phenotypes_of(screen, modality, image=config.image, seed=config.seed)
    if split is None:
        split = partition(screen.wells, screen.molecules, config.split, config.seed)
    rows = _usable(screen, config, phenotypes.trainable)
    split_of_row = screen.wells[MOLECULE_ID].map(split.set_index(MOLECULE_ID)[SPLIT]).to_numpy(object)[rows]
    train_rows, valid_rows = rows[split_of_row == "train"], rows[split_of_row == "valid"]
    train_ids = np.unique(screen.wells[MOLECULE_ID].to_numpy(object)[train_rows].astype(str))
    if len(train_ids) < MIN_MOLECULES:
        raise RunError(f"{len(train_ids)} training molecules with a phenotype; at least {MIN_MOLECULES} are needed "
                       f"({len(screen.molecules)} molecules in screen {screen.name}, {len(rows)} wells usable)")
    needs = molecule_needs(config)
    place = {name: number for number, name in enumerate(train_ids)}
    numbers = np.array([place[str(name)] for name in screen.wells[MOLECULE_ID].iloc[train_rows]], dtype=np.int64)
    wells, note = well_facts(screen, config, phenotypes, train_rows)
    pairs = Pairs(train_rows, numbers, MoleculeInputs.of(_molecules(screen, train_ids), needs), phenotypes, wells)
    facts = _facts(config, modality, phenotypes, pairs, screen)
    validation = _validation(screen, valid_rows, needs, phenotypes)
    tiles = phenotypes.tiles_words() if isinstance(phenotypes, ImagePhenotypes) else ""
    note = "; ".join(filter(None, (note, tiles, _left_out(phenotypes))))
    controls = controls_of(screen, config, phenotypes)
    plates = screen.wells[PLATE].iloc[controls] if PLATE in screen.wells else pd.Series(0, index=controls)
    return Material(config, facts, split, pairs, validation, controls, pd.factorize(plates)[0], note)


def _left_out(phenotypes: ProfilePhenotypes | ImagePhenotypes) -> str:
    """What quality control keeps out of training, in words; empty for nothing."""
    if not isinstance(phenotypes, ImagePhenotypes) or not phenotypes.n_left_out:
        return ""
    return (f"{phenotypes.n_left_out} of {len(phenotypes.images.table)} sites are flagged by quality control and left "
            f"out, {len(phenotypes.rows) - len(phenotypes.trainable)} wells with them (image.flagged_sites = true "
            "reads them)")


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


def _facts(config: TrainConfig, modality: str, phenotypes: ProfilePhenotypes | ImagePhenotypes, pairs: Pairs,
           screen: Screen) -> ScreenFacts:
    landmarks = min(config.kernel.landmarks, len(pairs.inputs))
    kernel = min(config.kernel.components, landmarks)
    doses: tuple[float, ...] = ()
    if config.dose:
        assert pairs.facts.dose is not None
        doses = (float(np.nanmin(pairs.facts.dose)), float(np.nanmax(pairs.facts.dose)))
    if isinstance(phenotypes, ImagePhenotypes) and screen.images is not None:
        return ScreenFacts(modality, landmarks, kernel, channels=tuple(screen.images.channels),
                           pixel_size_um=phenotypes.pixel_size_um, doses_um=doses,
                           clipping=screen.images.clipping)
    assert isinstance(phenotypes, ProfilePhenotypes)
    options = config.profile
    n_features = _n_features(phenotypes, pairs, config, options.max_correlation)
    components, ridge = min(options.components, len(pairs) - 1, n_features), 0
    if config.ridge > 0 and options.ridge_reads_its_own:
        if options.ridge_max_correlation is not None:
            n_features = _n_features(phenotypes, pairs, config, options.ridge_max_correlation)
        ridge = min(config.shared_dim // (config.members + 1), len(pairs) - 1, n_features)
    return ScreenFacts(modality, landmarks, kernel, components, tuple(phenotypes.features), doses_um=doses,
                       n_ridge_components=ridge)


def _n_features(phenotypes: ProfilePhenotypes, pairs: Pairs, config: TrainConfig, max_correlation: float) -> int:
    """How many features of training wells correlate at most so much with each other."""
    n_features = len(phenotypes.features)
    if max_correlation == 1:
        return n_features
    scaler = ProfileScaler(n_features, 1, config.profile.transform)
    profiles = phenotypes.read(pairs.rows)
    scaler.fit(profiles, robust=config.profile.scaling == "robust")
    return len(independent_features(scaler.standardized(profiles).double(), max_correlation))


def _molecules(screen: Screen, ids: NDArray[np.str_]) -> list[Molecule]:
    table = screen.molecules.set_index(MOLECULE_ID).loc[list(ids)]
    return [Molecule(smiles, key) for smiles, key in zip(table[SMILES], table[INCHIKEY], strict=True)]
