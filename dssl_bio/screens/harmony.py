"""Harmony (Korsunsky et al. 2019, Nature Methods): a screen's profiles with differences of plates or batches taken out.

The library, harmonypy, is no part of this package's requirements: `pip install 'dssl-bio[harmony]'`.
"""

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import ScreenError
from dssl_bio.screens.added_block import CORRECTED_BLOCKS, require_free_name, write_block
from dssl_bio.screens.screen import Screen

NAME, PREFIX = "harmony", "Harmony_"
N_COMPONENTS = 80
MIN_WELLS = 60
"""harmonypy makes one cluster of every thirty wells, and two are needed."""


@dataclass(frozen=True)
class HarmonyBlock:
    """What was added to a screen."""

    name: str
    n_features: int
    n_wells: int
    n_batches: int
    n_left_out: int


def add_harmony_block(screen: Screen, modality: str, by: str, name: str = NAME, *, n_components: int = N_COMPONENTS,
                      seed: int = 0) -> HarmonyBlock:
    """Adds a feature block, corrected by Harmony, as a block of its own.

    Harmony sees every well of the block and its batch, never its molecule: what a benchmark holds out takes part as an
    unlabelled well, as it does in normalisation by plate. Wells that come later cannot be corrected alone; the block's
    features have names of their own (Harmony_...), so that a model of them refuses profiles that were not corrected.

    Args:
        screen: the data.
        modality: feature block.
        by: column of the wells whose values are the batches; wells without one are left out.
        name: of the new block.
        n_components: principal components that Harmony corrects and that are kept, at most.
        seed: of Harmony's clusters.

    Raises:
        ScreenError: harmonypy is not installed, there is no such block or column, fewer than two batches, or too few
            wells.
    """
    require_free_name(screen, name)
    if modality not in screen.profiles:
        raise ScreenError(f"screen {screen.name} has no features {modality!r}; it has "
                          f"{', '.join(screen.profiles) or 'none'}")
    if by not in screen.wells:
        raise ScreenError(f"screen {screen.name} has no column {by!r}; it has {', '.join(map(str, screen.wells))}")
    profiles = screen.profiles[modality]
    batch = screen.wells[by].iloc[profiles.rows]
    known = batch.notna().to_numpy()
    names = batch[known].astype(str).to_numpy(object)
    if len(set(names)) < 2 or known.sum() < MIN_WELLS:
        raise ScreenError(f"Harmony needs two batches and {MIN_WELLS} wells at least; {modality} of screen "
                          f"{screen.name} has {known.sum()} wells in {len(set(names))} batches of {by}")
    values = harmonised(np.asarray(profiles.values)[known], names, n_components, seed)
    write_block(screen, name, CORRECTED_BLOCKS, values, [PREFIX + feature for feature in profiles.features],
                profiles.rows[known], "none",
                {"method": "harmony", "of": modality, "by": by, "components": n_components, "seed": seed})
    return HarmonyBlock(name, values.shape[1], int(known.sum()), len(set(names)), int((~known).sum()))


def harmonised(profiles: NDArray[np.floating], batch: NDArray[np.object_], n_components: int = N_COMPONENTS,
               seed: int = 0) -> NDArray[np.float32]:
    """Standardised profiles (N, F), of which Harmony has corrected the leading principal components for batches (N,).

    The other components are left out: differences of batches in them would stay.

    Raises:
        ScreenError: harmonypy is not installed.
    """
    run_harmony = _library()
    x = np.asarray(profiles, dtype=np.float64)
    spread = x.std(0)
    x = (x - x.mean(0)) / np.where(spread > 1e-9, spread, 1.0)
    left, length, right = np.linalg.svd(x, full_matrices=False)
    k = min(n_components, len(x) - 1, int((length > 1e-9 * length[0]).sum()))
    corrected = run_harmony((left[:, :k] * length[:k]).T, pd.DataFrame({"batch": batch}), ["batch"], verbose=False,
                            random_state=seed, device="cpu").Z_corr
    return ((corrected if corrected.shape == (len(x), k) else corrected.T) @ right[:k]).astype(np.float32)


def _library():  # type: ignore[no-untyped-def]
    try:
        from harmonypy import run_harmony
    except ImportError as cause:
        raise ScreenError("Harmony is not installed: pip install 'dssl-bio[harmony]'") from cause
    logging.getLogger("harmonypy").setLevel(logging.WARNING)  # it sets itself to tell everything on stderr
    return run_harmony
