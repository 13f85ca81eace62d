"""Predicted against true counterfactuals of a simulated screen."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import EvaluationError
from dssl_bio.evaluation.counterfactual_methods import Pairs
from dssl_bio.imaging.crops import resampled
from dssl_bio.imaging.illumination import Corrector, Illumination
from dssl_bio.imaging.intensity import scaled
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.learning.decoders.material import field_of
from dssl_bio.learning.phenotypes import ImagePhenotypes
from dssl_bio.learning.run import Run
from dssl_bio.screens.screen import PLATE_TABLE, Images, Screen
from dssl_bio.screens.simulate.counterfactuals import PIXELS, TABLE
from dssl_bio.vocabulary import DOSE_UM, INCHIKEY, MOLECULE_ID, PLATE, SMILES, WELL

Floats = NDArray[np.floating]

SMALLEST_CHANGE = 0.05
"""Effects whose strengths differ by less, of one mechanism, are no change."""


def true_pairs(folder: Path, run: Run, decoder: Decoder) -> tuple[Pairs, pd.DataFrame, NDArray[np.int64]]:
    """The pairs whose molecule was held out, their table, and their numbers in the truth.

    Raises:
        EvaluationError: no such truth, or none of its pairs can be asked.
    """
    try:
        table = pd.read_parquet(folder / TABLE)
    except (OSError, ValueError) as cause:
        raise EvaluationError(f"{folder} holds no {TABLE}: simulate with --set n_counterfactuals=N") from cause
    place = {pair: row for row, pair in enumerate(zip(decoder.material.wells[PLATE].astype(str),
                                                      decoder.material.wells[WELL].astype(str), strict=True))}
    rows = np.array([place.get(pair, -1) for pair in zip(table[PLATE], table[WELL], strict=True)])
    held_out = table[MOLECULE_ID].isin(set(run.molecules_of("test"))).to_numpy()
    chosen = np.flatnonzero((rows >= 0) & held_out)
    if not len(chosen):
        raise EvaluationError(f"no pair of {folder} has a well of this screen and a molecule that was held out")
    kept = table.iloc[chosen].reset_index(drop=True)
    molecules = kept[[MOLECULE_ID, SMILES, INCHIKEY]].drop_duplicates(MOLECULE_ID).reset_index(drop=True)
    number = molecules.reset_index().set_index(MOLECULE_ID)["index"]
    pairs = Pairs(rows[chosen], number[kept[MOLECULE_ID]].to_numpy(np.int64), molecules,
                  kept[DOSE_UM].to_numpy(float))
    return pairs, kept, chosen


def changes(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which pairs' truth differs from the well as it was measured."""
    strength = table[["own_strength", "strength"]].to_numpy(float)
    other = (table["own_mechanism"] != table["mechanism"]).to_numpy() & (strength.max(1) > SMALLEST_CHANGE)
    return other | (np.abs(strength[:, 0] - strength[:, 1]) > SMALLEST_CHANGE)


def true_pictures(folder: Path, numbers: NDArray[np.int64], pairs: Pairs, run: Run, screen: Screen,
                  decoder: Decoder) -> Floats:
    """(P, C, px, px) true pictures, scaled and cut as the wells' own were."""
    phenotypes: Any = run.phenotypes(screen)
    assert isinstance(phenotypes, ImagePhenotypes)
    pixels = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
    config, pictures, images = decoder.config.image, [], phenotypes.images
    light = {plate: _corrector(images, str(plate), pixels.shape[2:]) for plate in images.table[PLATE].unique()}
    for number, row in zip(numbers, pairs.rows, strict=True):
        site = phenotypes.sites_of(int(phenotypes.rows[row]))[:1]
        corrector = light[images.table[PLATE].iloc[int(site[0])]]
        counts = np.array(pixels[number])
        counts = counts if corrector is None else corrector(counts)
        values = scaled(counts[None], images.limits(site), images.clipping.ceiling)
        values = resampled(values, phenotypes.zoom, config.px * config.shrink)
        pictures.append(field_of(values, config.px, config.shrink)[0])
    return np.stack(pictures)


def _corrector(images: Images, plate: str, shape: tuple[int, ...]) -> Corrector | None:
    """What ingest divided out of a plate's sites; None in screens of earlier versions, which kept them as they came."""
    if images.folder is None or not (images.folder / PLATE_TABLE).is_file():
        return None
    field, table = images.illumination(plate), images.plates()
    dark = table[table[PLATE].astype(str) == plate].set_index("channel")["dark"].loc[list(images.channels)]
    flat = np.zeros(len(field), np.float32)
    height, width = shape[-2:]
    return Illumination(field, dark.to_numpy(np.float32), flat, flat, "given").corrector((height, width))
