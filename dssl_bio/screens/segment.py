"""Segmenting a screen plate by plate, taking masks that others drew, and holding one layer against another."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dssl_bio.artefact import checksum, written_whole
from dssl_bio.errors import ImageError, ScreenError
from dssl_bio.imaging.cellpose_weights import Target
from dssl_bio.imaging.labels import read_labels
from dssl_bio.imaging.scores import THRESHOLDS, ObjectScores, pooled, scores_at
from dssl_bio.imaging.segmentation import EngineSettings, Masks, engine_of
from dssl_bio.screens.by_plate import PlateJob, by_plate, is_done, name_on_disk
from dssl_bio.screens.masks import (
    LAYER,
    MaskLayer,
    counts_of_wells,
    images_id,
    layer_folder,
    plates_of,
    seal_layer,
    write_masks,
)
from dssl_bio.screens.screen import CELL_COUNTS, IMAGES, Images, Screen
from dssl_bio.screens.tables import read_text_columns
from dssl_bio.vocabulary import CELL_COUNT, PLATE, ROW_KEY, SITE, WELL, well_name

ALGORITHM = 4
"""Goes up when the same settings would give other masks."""
GIVEN = "given"

Report = Callable[[str], None]
Progress = Callable[[int, int], None]


def _silent(_: str) -> None: ...


@dataclass(frozen=True)
class PlateToSegment:
    """One plate's work; travels to the process that does it."""

    screen: Path
    plate: str
    sites: tuple[int, ...]
    settings: EngineSettings


@dataclass(frozen=True)
class GivenMasks:
    """Files of masks that somebody drew, or that a simulator knows.

    Attributes:
        table: with a row a site: Metadata_Plate, Metadata_Well, Metadata_Site and the columns of file names.
        folder: where the files lie.
        nuclei: column of the nuclei's files.
        cells: column of the cells' files, or None.
        min_area_px: smaller connected parts are dropped.
    """

    table: Path
    folder: Path
    nuclei: str = "FileName_NucleiMask"
    cells: str | None = None
    min_area_px: int = 0


@dataclass(frozen=True)
class PlateOfGiven:
    """One plate's mask files, in the order of its sites."""

    screen: Path
    sites: tuple[int, ...]
    nuclei: tuple[Path, ...]
    cells: tuple[Path, ...] | None
    min_area_px: int


def segment_screen(screen: Screen, settings: EngineSettings, name: str, *, plates: Sequence[str] = (),
                   workers: int = 1, scheduler: str | None = None, report: Report = _silent,
                   progress: Progress | None = None) -> MaskLayer:
    """Masks of a screen's sites as the layer `name`; plates that an earlier call finished under the same settings stay.

    Args:
        screen: with images.
        settings: of the engine.
        name: of the layer.
        plates: to segment; all by default. The layer then holds these and what earlier calls finished.
        workers: processes that work on plates.
        scheduler: address of a Dask scheduler, in place of processes.
        report: told what was kept and counted.
        progress: called with (plates done, plates).

    Raises:
        ConfigError: the engine cannot be had, or the screen has no DNA channel.
        ScreenError: the screen has no images or no such plate, or one failed (the others are kept for the next call).
    """
    images = images_of(screen)
    engine_of(settings, images.channels, images.pixel_size_um)  # what it lacks is said before any work
    jobs = [PlateJob(plate, PlateToSegment(screen.folder.resolve(), plate, tuple(sites), settings))
            for plate, sites in plates_of(screen).items()]
    unknown = sorted(set(plates) - {job.plate for job in jobs})
    if unknown:
        raise ScreenError(f"no plate {unknown[0]!r} in screen {screen.name}; there are "
                          f"{', '.join(job.plate for job in jobs[:10])}{', ...' if len(jobs) > 10 else ''}")
    facts = {"engine": settings.engine, "settings": settings.model_dump(), "algorithm": ALGORITHM,
             "weights_sha256": _weights(settings), "pixel_size_um": images.pixel_size_um}
    layer = _by_plate(_segment_plate, jobs, _fingerprint, screen, name, facts, workers, scheduler, report, progress,
                      plates)
    _write_counts(screen, layer, report)
    return layer


def take_given_masks(screen: Screen, given: GivenMasks, name: str = GIVEN, *, workers: int = 1,
                     report: Report = _silent, progress: Progress | None = None) -> MaskLayer:
    """Masks of files as the layer `name`, for training and scoring; cell counts are left as they are.

    Raises:
        ScreenError: a site of the screen has no row in the table, or a plate failed.
        ImageError: a file is missing or not a mask of the screen's size.
    """
    images = images_of(screen)
    columns = [given.nuclei, *([given.cells] if given.cells else [])]
    table = read_text_columns(given.table, [PLATE, WELL, SITE, *columns])
    keys = zip(table[PLATE].astype(str), table[WELL].map(well_name), table[SITE].astype(str), strict=True)
    found = dict(zip(keys, table[columns].to_numpy(object), strict=True))
    wells = screen.wells[WELL].to_numpy(object)[images.table["row"].to_numpy()]
    places = list(zip(images.table[PLATE].astype(str), wells, images.table[SITE].astype(str), strict=True))
    missing = [place for place in places if place not in found]
    if missing:
        raise ScreenError(f"{given.table} has no masks for {len(missing)} of {len(places)} sites; the first is "
                          f"plate {missing[0][0]}, well {missing[0][1]}, site {missing[0][2]}")
    jobs = []
    for plate, sites in plates_of(screen).items():
        files = [found[places[site]] for site in sites]
        cells = tuple(given.folder / str(row[1]) for row in files) if given.cells else None
        jobs.append(PlateJob(plate, PlateOfGiven(screen.folder.resolve(), tuple(sites),
                                                 tuple(given.folder / str(row[0]) for row in files), cells,
                                                 given.min_area_px)))
    facts = {"engine": GIVEN, "settings": {"table": str(given.table), "min_area_px": given.min_area_px},
             "pixel_size_um": images.pixel_size_um}
    return _by_plate(_read_plate, jobs, _fingerprint_of_files, screen, name, facts, workers, None, report, progress)


def scores_against(found: MaskLayer, reference: MaskLayer, target: Target,
                   sites: list[int]) -> dict[float, ObjectScores]:
    """Matches of a layer with a reference, pooled over sites.

    Cells of the reference without a nucleus in the field are left out: cells are grown from nuclei, and what the
    field's border cut off is not a cell to be found.
    """
    return pooled(_scores(found.read(site), reference.read(site), target) for site in sites) or {
        threshold: ObjectScores(0, 0, 0) for threshold in THRESHOLDS}


def images_of(screen: Screen) -> Images:
    """The images of a screen.

    Raises:
        ScreenError: it has none.
    """
    if screen.images is None:
        raise ScreenError(f"screen {screen.name} has no images to segment; it has {', '.join(screen.profiles)}")
    return screen.images


def _scores(found: Masks, reference: Masks, target: Target) -> dict[float, ObjectScores]:
    if target == "nuclei":
        return scores_at(found.nuclei, reference.nuclei)
    if found.cells is None or reference.cells is None:
        raise ScreenError("there are no cells to compare, only nuclei")
    with_nucleus = np.unique(reference.cells[reference.nuclei > 0])
    return scores_at(found.cells, np.where(np.isin(reference.cells, with_nucleus), reference.cells, 0))


def _by_plate(task: Callable[[Any, Path], None], jobs: list[PlateJob], fingerprint: Callable[[Any], str],
              screen: Screen, name: str, facts: dict[str, Any], workers: int, scheduler: str | None, report: Report,
              progress: Progress | None, chosen: Sequence[str] = ()) -> MaskLayer:
    folder = layer_folder(screen, name)
    (folder / LAYER).unlink(missing_ok=True)  # unfinished until every plate is there
    todo = [job for job in jobs if job.plate in chosen] if chosen else jobs
    others = [job for job in jobs if chosen and job.plate not in chosen]
    done = by_plate(task, todo, folder, fingerprint=fingerprint, n_plates=len(todo), workers=workers,
                    scheduler=scheduler, progress=progress)
    if done.kept:
        report(f"{len(done.kept)} of {len(todo)} plates were done before and are kept")
    if done.failed:
        plate, problem = next(iter(done.failed.items()))
        raise ScreenError(f"{len(done.failed)} of {len(todo)} plates failed, the others are kept for the next call; "
                          f"plate {plate}: {problem}")
    finished = {*done.folders, *(job.plate for job in others
                                 if is_done(folder / name_on_disk(job.plate), fingerprint(job.argument)))}
    plates = [{"plate": job.plate, "folder": name_on_disk(job.plate), "sites": list(job.argument.sites)}
              for job in jobs if job.plate in finished]
    return seal_layer(folder, name, screen, plates, facts)


def _segment_plate(job: PlateToSegment, out: Path) -> None:
    screen = Screen.open(job.screen)
    images = images_of(screen)
    engine = engine_of(job.settings, images.channels, images.pixel_size_um)

    def masks_of(site: int) -> Masks:
        number = np.array([site])
        return engine.find(images.read(number)[0], images.limits(number)[0])

    write_masks(out, list(job.sites), map(masks_of, job.sites), images.pixel_size_um)


def _read_plate(job: PlateOfGiven, out: Path) -> None:
    images = images_of(Screen.open(job.screen))
    shape = tuple(images.sites.shape[2:])

    def labels(path: Path) -> Any:
        found = read_labels(path, job.min_area_px)
        if found.shape != shape:
            raise ImageError(f"{path}: a mask of {found.shape}, expected {shape} like the screen's sites")
        return found

    cells = job.cells or (None,) * len(job.nuclei)
    masks = (Masks(labels(nuclei), None if cell is None else labels(cell))
             for nuclei, cell in zip(job.nuclei, cells, strict=True))
    write_masks(out, list(job.sites), masks, images.pixel_size_um)


def _fingerprint(job: PlateToSegment) -> str:
    facts = {"settings": job.settings.model_dump(), "weights": _weights(job.settings), "algorithm": ALGORITHM,
             "sites": job.sites, "images": images_id(Screen.open(job.screen))}
    return json.dumps(facts, sort_keys=True)


def _fingerprint_of_files(job: PlateOfGiven) -> str:
    paths = [*job.nuclei, *(job.cells or ())]
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise ImageError(f"{missing}: no such file")
    return json.dumps({"files": [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths],
                       "min_area_px": job.min_area_px, "sites": job.sites})


def _weights(settings: EngineSettings) -> list[str]:
    if settings.engine != "cellpose":
        return []
    from dssl_bio.imaging.cellpose_engine import weights_path

    return [checksum(weights_path(given)) for given in (settings.weights, settings.cell_weights) if given]


def _write_counts(screen: Screen, layer: MaskLayer, report: Report) -> None:
    """Cell counts for the wells that were given none, in a file beside the images that `Screen.open` reads.

    Wells of plates that the layer lacks keep what another layer counted.
    """
    counts = counts_of_wells(screen, layer)
    stored = pd.read_parquet(screen.folder / "wells.parquet")
    table = pd.DataFrame({ROW_KEY: screen.wells[ROW_KEY], CELL_COUNT: counts, "masks": layer.name})
    path = screen.folder / IMAGES / CELL_COUNTS
    if path.is_file():
        earlier = pd.read_parquet(path).set_index(ROW_KEY).reindex(table[ROW_KEY]).reset_index()
        lacking = ~np.isfinite(counts)
        table.loc[lacking, [CELL_COUNT, "masks"]] = earlier.loc[lacking, [CELL_COUNT, "masks"]]
    with written_whole(path) as temporary:
        table.to_parquet(temporary)
    given = int(stored[CELL_COUNT].notna().sum()) if CELL_COUNT in stored else 0
    report(f"{int(np.nansum(counts)):,} nuclei counted in {int(np.isfinite(counts).sum()):,} wells"
           + (f"; {given:,} wells came with a {CELL_COUNT}, which is kept" if given else ""))


def score_table(scores: dict[float, ObjectScores]) -> str:
    """Scores in a line: F1 at each threshold of overlap, and the counts at the first."""
    first = next(iter(scores.values()))
    return "  ".join(f"F1@{threshold:g} {value.f1:.3f}" for threshold, value in scores.items()) + (
        f"  ({first.matched} matched, {first.missed} missed, {first.spurious} spurious)")

