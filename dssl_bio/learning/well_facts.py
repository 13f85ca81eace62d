"""What is known of training wells beside molecule and phenotype: dose, plate, and how much each should count."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import RunError
from dssl_bio.learning.activity import activity_of
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.data import WellFacts
from dssl_bio.learning.phenotypes import ImagePhenotypes, ProfilePhenotypes
from dssl_bio.learning.well_profiles import well_profiles
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import BATCH, DOSE_UM, MOLECULE_ID, PERT_TYPE, PLATE

Rows = NDArray[np.int64]


def well_facts(screen: Screen, config: TrainConfig, phenotypes: ProfilePhenotypes | ImagePhenotypes,
               rows: Rows) -> tuple[WellFacts, str]:
    """Facts of some training wells, and a line about their weights, empty where all count alike.

    Raises:
        RunError: the configuration asks for what the screen does not tell.
    """
    wells = screen.wells.iloc[rows]
    dose = pd.to_numeric(wells[DOSE_UM], errors="coerce").to_numpy(float) if DOSE_UM in wells else None
    if dose is not None and not (dose > 0).any():
        dose = None
    weight, note = _activity_weights(screen, config, phenotypes, rows)
    if config.profile.mixing > 0 and isinstance(phenotypes, ImagePhenotypes):
        raise RunError("profile.mixing mixes profiles; of images, step 1 sees a tile of one well at a time")
    return WellFacts(dose, _log_dose(screen, config, dose), weight, _plates(screen, config, rows),
                     config.plate_negatives, config.profile.mixing,
                     config.image.bag_tiles if isinstance(phenotypes, ImagePhenotypes) else 1), note


def controls_of(screen: Screen, config: TrainConfig, phenotypes: ProfilePhenotypes | ImagePhenotypes) -> Rows:
    """Untreated wells that sphering or the projection of plates is fitted to; none where neither is asked for.

    Raises:
        RunError: there are too few, or the phenotypes are images.
    """
    if not config.profile.sphere:
        return negative_controls(screen, phenotypes.rows) if config.plate_projection else np.zeros(0, dtype=np.int64)
    if isinstance(phenotypes, ImagePhenotypes):
        raise RunError("profile.sphere is for profiles; this model reads images")
    rows = negative_controls(screen, phenotypes.rows)
    if len(rows) < 2 or (config.profile.sphere_shrinkage == 0 and len(rows) <= len(phenotypes.features)):
        raise RunError(f"profile.sphere: screen {screen.name} has {len(rows)} negative controls with profiles; at "
                       "least 2 are needed, and without shrinkage more than there are features")
    return rows


def negative_controls(screen: Screen, rows: Rows) -> Rows:
    """Those of some wells that are negative controls."""
    if PERT_TYPE not in screen.wells:
        return rows[:0]
    return rows[(screen.wells[PERT_TYPE].iloc[rows] == "negcon").to_numpy()]


def _log_dose(screen: Screen, config: TrainConfig, dose: NDArray[np.float64] | None) -> NDArray[np.float32] | None:
    if not config.dose:
        return None
    known = np.zeros(0) if dose is None else dose[dose > 0]
    if len(np.unique(known)) < 2:
        raise RunError(f"dose = true needs training wells at two doses at least; those of screen {screen.name} have "
                       f"{len(np.unique(known))}")
    assert dose is not None
    return np.log10(np.where(dose > 0, dose, np.nan)).astype(np.float32)


def _plates(screen: Screen, config: TrainConfig, rows: Rows) -> NDArray[np.int64] | None:
    """Number of each well's plate, or batch where there are no plates; -1 where it is missing."""
    if config.plate_negatives == 0:
        return None
    column = next((name for name in (PLATE, BATCH) if name in screen.wells), None)
    if column is None:
        raise RunError(f"plate_negatives needs a plate or batch column; screen {screen.name} has neither")
    return pd.factorize(screen.wells[column].iloc[rows].astype(object))[0].astype(np.int64)


def _activity_weights(screen: Screen, config: TrainConfig, phenotypes: ProfilePhenotypes | ImagePhenotypes,
                      rows: Rows) -> tuple[NDArray[np.float32] | None, str]:
    """Weight of each well: 1 for molecules that look active in training wells, or of which nothing is known."""
    if config.inactive_weight == 1:
        return None, ""
    looked_at = np.union1d(rows, negative_controls(screen, phenotypes.rows))
    active = activity_of(screen, looked_at, well_profiles(phenotypes, looked_at))
    if not len(active):
        raise RunError(f"inactive_weight: which molecules of screen {screen.name} are active is not known; it takes an "
                       "Induction column, or replicates and at least 8 negative controls")
    ids = screen.wells[MOLECULE_ID].iloc[rows]
    inactive = ids.map(active).eq(False).to_numpy()
    note = (f"activity: {ids[inactive].nunique()} of {ids.nunique()} training molecules look inactive and weigh "
            f"{config.inactive_weight:g}")
    return np.where(inactive, config.inactive_weight, 1.0).astype(np.float32), note
