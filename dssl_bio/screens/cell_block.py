"""Features of cells as a block of a screen: a profile screen made from images."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dssl_bio.errors import ScreenError
from dssl_bio.imaging.cell_features import cell_features
from dssl_bio.screens.added_block import CELL_BLOCKS, require_free_name, write_block
from dssl_bio.screens.by_plate import PlateJob, by_plate
from dssl_bio.screens.ingest_profiles import MAX_MISSING
from dssl_bio.screens.masks import MaskLayer, images_id, open_layer
from dssl_bio.screens.normalize import Normalisation, normalized
from dssl_bio.screens.screen import Screen
from dssl_bio.screens.segment import images_of
from dssl_bio.vocabulary import PERT_TYPE, PLATE

ALGORITHM = 1
"""Goes up when the same masks would give other features."""
BLOCK = "cell_features"
MEASURED, CELLS = "measured", "cells.parquet"


@dataclass(frozen=True)
class CellBlock:
    """What was added to a screen."""

    name: str
    n_features: int
    n_wells: int
    n_cells: int
    notes: list[str]


@dataclass(frozen=True)
class PlateToMeasure:
    """One plate's work; travels to the process that does it."""

    screen: Path
    layer: str
    sites: tuple[int, ...]


def add_cell_block(screen: Screen, layer: MaskLayer, name: str = BLOCK, *, workers: int = 1,
                   scheduler: str | None = None,
                   progress: Callable[[int, int], None] | None = None) -> CellBlock:
    """Measures all cells of a layer and adds their medians over each well as the feature block `name`.

    Features of single cells stay beside the masks, a Parquet file a plate. The block is normalised against the
    negative controls of each plate where every plate has two of them, else against all wells of the plate. A block of
    that name that an earlier call added is replaced; the screen is whole at every moment.

    Raises:
        ScreenError: a plate failed, no cell was found, or a block of that name came with the screen.
    """
    require_free_name(screen, name)
    jobs = [PlateJob(plate["plate"], PlateToMeasure(screen.folder.resolve(), layer.name, tuple(plate["sites"])))
            for plate in layer.facts["plates"]]
    done = by_plate(_measure_plate, jobs, layer.folder / MEASURED, fingerprint=_fingerprint, n_plates=len(jobs),
                    workers=workers, scheduler=scheduler, progress=progress)
    if done.failed:
        plate, problem = next(iter(done.failed.items()))
        raise ScreenError(f"{len(done.failed)} of {len(jobs)} plates failed; plate {plate}: {problem}")
    medians, n_cells = _medians(screen, [folder / CELLS for folder in done.folders.values()])
    rows, values, features, notes = _cleaned(medians)
    plates = np.full(len(screen.wells), "all")
    if PLATE in screen.wells:
        plates = screen.wells[PLATE].fillna("all").to_numpy(str)
    plates = plates[rows]
    control = (screen.wells[PERT_TYPE] == "negcon").to_numpy()[rows]
    normalisation: Normalisation = "negcon"
    if min(control[plates == plate].sum() for plate in set(plates)) < 2:
        normalisation = "plate"
        notes.append("normalised against all wells of each plate: a plate has fewer than two negative controls")
    result = normalized(values, plates, control, normalisation)
    write_block(screen, name, CELL_BLOCKS, result, features, rows, normalisation,
                {"masks": layer.name, "engine": layer.facts["engine"], "algorithm": ALGORITHM})
    return CellBlock(name, len(features), len(rows), n_cells, notes)


def _measure_plate(job: PlateToMeasure, out: Path) -> None:
    screen = Screen.open(job.screen)
    images, layer = images_of(screen), open_layer(screen, job.layer)
    tables = []
    for site in job.sites:
        pixels = images.read(np.array([site]))[0]
        table = cell_features(pixels, layer.read(site), images.channels, images.pixel_size_um).reset_index()
        table.insert(0, "site", site)
        tables.append(table)
    filled = [table for table in tables if len(table)]
    pd.concat(filled or tables[:1], ignore_index=True).to_parquet(out / CELLS)


def _fingerprint(job: PlateToMeasure) -> str:
    screen = Screen.open(job.screen)
    layer = open_layer(screen, job.layer)
    made = {key: value for key, value in layer.facts.items() if key != "plates"}
    return json.dumps({"algorithm": ALGORITHM, "images": images_id(screen), "layer": made, "sites": job.sites},
                      sort_keys=True)


def _medians(screen: Screen, files: list[Path]) -> tuple[pd.DataFrame, int]:
    """Medians over the cells of each well, indexed by its position in `wells`, and how many cells there are."""
    owner = images_of(screen).table["row"].to_numpy()
    parts, n_cells = [], 0
    for path in files:
        cells = pd.read_parquet(path)
        if len(cells):
            n_cells += len(cells)
            wells = owner[cells["site"].to_numpy(int)]
            parts.append(cells.drop(columns=["site", "object"]).groupby(wells).median())
    if not parts:
        raise ScreenError(f"no cell was found in screen {screen.name}; nothing can be measured")
    return pd.concat(parts).sort_index(), n_cells


def _cleaned(medians: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Rows, values and names of features that can be compared, and notes on what was left out."""
    missing = medians.isna().mean()
    gappy = missing[missing > MAX_MISSING].index
    kept = medians.drop(columns=gappy)
    whole = kept[kept.notna().all(axis=1)]
    constant = whole.columns[whole.nunique() <= 1] if len(whole) > 1 else whole.columns[:0]
    whole = whole.drop(columns=constant)
    if not len(whole) or not len(whole.columns):
        raise ScreenError("no feature is left: every one is missing in too many wells, or the same in all of them")
    notes = [f"{len(names)} features left out, {why}: {', '.join(list(names)[:3])}" for names, why in
             ((gappy, f"missing in more than {MAX_MISSING:.0%} of the wells"), (constant, "the same in every well"))
             if len(names)]
    if len(whole) < len(medians):
        notes.append(f"{len(medians) - len(whole)} wells left out: too few cells for all features")
    return whole.index.to_numpy(np.int64), whole.to_numpy(np.float64), list(whole.columns), notes
