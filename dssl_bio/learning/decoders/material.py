"""What decoders learn from and what a counterfactual starts from: every well with its codes, features and picture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from dssl_bio.imaging.intensity import CEILING
from dssl_bio.imaging.statistics import site_statistics
from dssl_bio.learning.decoders.config import ImageDecoderConfig
from dssl_bio.learning.phenotypes import ImagePhenotypes, ProfilePhenotypes
from dssl_bio.learning.representation import SharedSpecific, unit_rows
from dssl_bio.learning.run import Run
from dssl_bio.screens.expressions import parse
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import (
    BATCH,
    COMPOUND,
    DOSE_UM,
    MOA,
    MOLECULE_ID,
    PERT_TYPE,
    PLATE,
    ROW_KEY,
    RUN,
    WELL,
)

CONTROL = "negcon"
USE = "use"
"""Column: `train` (decoders learn from the well), `valid` (it chooses and calibrates), or empty."""
TREATMENT = "treatment"
"""Column: number of what the well got; equal for wells of one molecule and dose, and for all negative controls."""
PIXEL_UNIT = 255 / CEILING
BLOCK = 256


@dataclass(frozen=True)
class Material:
    """Wells of a screen as decoders see them; rows of all parts match.

    Attributes:
        wells: row_key, plate, well, molecule_id, dose, annotation, as far as the screen has them; `use`, `treatment`.
        codes: of each well by itself.
        treatments: (T, D) mean direction of the shared vectors of each treatment's wells that decoders learn from; of
            all of them where it has none.
        features: (W, F) profile, or statistics of the picture.
        names: of the F features.
        pictures: (W, C, px, px) bytes, pixel = byte * CEILING / 255; None for profiles.
    """

    wells: pd.DataFrame
    codes: SharedSpecific
    treatments: NDArray[np.float32]
    features: NDArray[np.float32]
    names: tuple[str, ...]
    pictures: NDArray[np.uint8] | None

    def rows(self, use: str) -> NDArray[np.int64]:
        """Positions of the wells with one use."""
        return np.flatnonzero(self.wells[USE].to_numpy(object) == use)

    @property
    def treatment(self) -> NDArray[np.int64]:
        """(W,) number of each well's treatment."""
        return self.wells[TREATMENT].to_numpy(np.int64)


def material_of(run: Run, screen: Screen, config: ImageDecoderConfig,
                progress: Callable[[int, int], None] | None = None) -> Material:
    """Embeds every well of a screen and reads its features, and its picture where there are images.

    Args:
        run: the trained model.
        screen: of the wells.
        config: size of the pictures.
        progress: called with (done, total) wells.

    Raises:
        RunError: the screen lacks what the model reads.
    """
    phenotypes = run.phenotypes(screen)
    rows = phenotypes.rows
    codes = run.embed_wells(phenotypes, rows, progress=progress)
    wells = _wells(run, screen, rows)
    treatments = _mean_directions(codes.shared, wells[TREATMENT].to_numpy(np.int64), wells[USE].to_numpy(object) != "")
    if isinstance(phenotypes, ProfilePhenotypes):
        return Material(wells, codes, treatments, phenotypes.read(rows).numpy(), tuple(phenotypes.features), None)
    assert isinstance(phenotypes, ImagePhenotypes)
    pictures = np.concatenate([as_bytes(_fields(phenotypes, rows[i:i + BLOCK], config))
                               for i in range(0, len(rows), BLOCK)])
    features, names = picture_features(as_floats(pictures), run.facts.channels)
    return Material(wells, codes, treatments, features, tuple(names), pictures)


def field_of(site: NDArray[np.float32], px: int, shrink: int) -> NDArray[np.float32]:
    """The middle of scaled sites (N, C, H, W) as pictures (N, C, px, px), `shrink` pixels averaged to one."""
    height, width = site.shape[2:]
    side = px * shrink
    top, left = (height - side) // 2, (width - side) // 2
    middle = torch.from_numpy(np.ascontiguousarray(site[:, :, top:top + side, left:left + side]))
    return F.avg_pool2d(middle, shrink).numpy()


def picture_features(pictures: NDArray[np.float32], channels: tuple[str, ...]) -> tuple[NDArray[np.float32], list[str]]:
    """Statistics (N, F) of pictures (N, C, px, px), and their names."""
    parts = [site_statistics(pictures[i:i + BLOCK], channels) for i in range(0, len(pictures), BLOCK)]
    return np.concatenate([values for values, _ in parts]), parts[0][1]


def as_bytes(pictures: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scaled pixels, from 0 to CEILING, as bytes."""
    return (np.clip(pictures, 0, CEILING) * PIXEL_UNIT).round().astype(np.uint8)


def as_floats(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The reverse of `as_bytes`."""
    return np.asarray(pictures, np.float32) / np.float32(PIXEL_UNIT)


def _fields(phenotypes: ImagePhenotypes, rows: NDArray[np.int64], config: ImageDecoderConfig) -> NDArray[np.float32]:
    numbers = np.array([phenotypes.sites_of(int(row))[0] for row in rows])
    sites = phenotypes.read(numbers)
    side = config.px * config.shrink
    missing = [max(0, side - length) for length in sites.shape[2:]]
    if any(missing):
        sites = np.pad(sites, [(0, 0), (0, 0), *((m // 2, m - m // 2) for m in missing)], mode="symmetric")
    return field_of(sites, config.px, config.shrink)


def _wells(run: Run, screen: Screen, rows: NDArray[np.int64]) -> pd.DataFrame:
    """Facts of the wells, what each is used for, and what each got."""
    kept = [name for name in (ROW_KEY, MOLECULE_ID, PERT_TYPE, PLATE, WELL, BATCH, RUN, COMPOUND, DOSE_UM, MOA)
            if name in screen.wells]
    wells = screen.wells[kept].iloc[rows].reset_index(drop=True)
    split = wells[MOLECULE_ID].map(run.split.set_index(MOLECULE_ID)["split"]).fillna("").to_numpy(object)
    asked = parse(run.config.train_where).mask(screen.wells)[rows] if run.config.train_where else True
    control = (wells[PERT_TYPE] == CONTROL).to_numpy()
    use = np.where(np.isin(split, ["train", "valid"]) & asked, split, "")
    wells[USE] = np.where(control, "train", use)
    name = wells[MOLECULE_ID].astype(object).where(wells[MOLECULE_ID].notna(), wells[ROW_KEY].astype(str))
    if DOSE_UM in wells:
        name = name.astype(str) + wells[DOSE_UM].map(lambda value: "" if pd.isna(value) else f"@{value:g}")
    wells[TREATMENT] = pd.factorize(name.mask(pd.Series(control), "control"))[0]
    return wells


def places(wells: pd.DataFrame) -> NDArray[np.int64]:
    """(W,) number of each well's plate, else of its run; all 0 where neither is known of every well."""
    column = next((name for name in (PLATE, RUN) if name in wells and wells[name].notna().all()), None)
    return pd.factorize(wells[column])[0] if column else np.zeros(len(wells), np.int64)


def _mean_directions(vectors: NDArray[np.float32], group: NDArray[np.int64],
                     used: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Of the wells that decoders learn from; of the others only where a treatment has no such well.

    So what a second run adds to a treatment is not in its code, and stays with the wells of that run.
    """
    known = np.isin(group, group[used])
    sums, kept = np.zeros((int(group.max()) + 1, vectors.shape[1])), used | ~known
    np.add.at(sums, group[kept], vectors[kept])
    return unit_rows(sums)
