"""Images of a screen: which sites there are, the work of each plate, and the tables over all plates."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.artefact import write_json
from dssl_bio.errors import ImageError, ScreenError
from dssl_bio.imaging.header import Header, Limits, require
from dssl_bio.imaging.places import is_remote, require_reader
from dssl_bio.imaging.read import header_of
from dssl_bio.screens import plate_images as parts
from dssl_bio.screens.by_plate import PlateJob, PlatesDone, by_plate
from dssl_bio.screens.expressions import as_text
from dssl_bio.screens.image_source import ImagesSource
from dssl_bio.screens.plate_images import ingest_plate
from dssl_bio.screens.plate_work import FILES, MOST_READERS, PlateImages
from dssl_bio.screens.rows import FILE, ROW, Rejections, TableRows, labelled
from dssl_bio.screens.screen import (
    PLATE_FOLDERS,
)
from dssl_bio.screens.site_tables import SitesDone
from dssl_bio.screens.sources.load_data import planes_of
from dssl_bio.vocabulary import PERT_TYPE, PLATE, ROW_KEY, SITE, WELL

PARTIAL, MARK = ".partial", "ingest.json"
HEADERS = 15
"""Files that are asked what size and type sites have; most of them decide."""
REMOTE_HEADERS = 3


@dataclass(frozen=True)
class SitePlan:
    """The sites of a screen before any is read.

    Attributes:
        rows: accepted rows of the image tables, with the text of their files.
        plates: (S,) plate of each.
        control: (S,) sites of negative controls.
        bases: what file names are relative to, by the rows' `_file`.
        source: the manifest's images.
        root: of the manifest's paths.
        header: size and type of most files.
        stored: (H, W) after shrinking.
    """

    rows: pd.DataFrame
    plates: NDArray[np.str_]
    control: NDArray[np.bool_]
    bases: dict[str, Path]
    source: ImagesSource
    root: Path
    header: Header
    stored: tuple[int, int]

    @property
    def names(self) -> list[str]:
        """The plates, each once, in order."""
        return sorted(set(self.plates.tolist()))

    @property
    def n_bytes(self) -> int:
        """What the pixels will take at most."""
        return 2 * len(self.rows) * len(self.source.order) * self.stored[0] * self.stored[1]


def plan_sites(table: TableRows, source: ImagesSource, root: Path, wells: pd.DataFrame,
               plates: NDArray[np.str_]) -> SitePlan:
    """Which sites there are, and of what size and type most of their files are.

    Args:
        table: accepted rows of the image tables.
        source: the manifest's images.
        root: of the manifest's paths.
        wells: the screen's wells.
        plates: (W,) plate of each well.

    Raises:
        ImageError: no site can be read.
    """
    bases = {label: root / source.folder if source.folder else path.parent
             for label, path in labelled(table.plan.paths).items()}
    place = pd.Series(np.arange(len(wells)), index=wells[ROW_KEY])
    owner = place.reindex(table.frame[ROW_KEY]).to_numpy(np.int64)
    columns = [c for c in (ROW_KEY, PLATE, WELL, SITE, FILE, ROW, *source.file_columns, *source.path_columns)
               if c in table.frame]
    rows = table.frame[list(dict.fromkeys(columns))].assign(**{FILES: file_text(table.frame, source)})
    control = (wells[PERT_TYPE] == "negcon").to_numpy()[owner]
    header = _usual_header(rows, source, bases)
    return SitePlan(rows, plates[owner], control, bases, source, root, header, _stored_shape(header.shape, source))


def ingest_sites(plan: SitePlan, folder: Path, rejections: Rejections, *, workers: int = 1,
                 scheduler: str | None = None, progress: Callable[[int, int], None] | None = None) -> SitesDone:
    """Reads all plates that are not done, each into a folder of its own; what cannot be read is rejected.

    Raises:
        ImageError: no site could be read.
    """
    in_this_process = workers == 1 and scheduler is None
    total = len(plan.rows) if in_this_process else len(plan.names)
    done_sites = 0

    def told(n: int) -> None:
        nonlocal done_sites
        done_sites += n
        if progress is not None:
            progress(done_sites, total)

    task = partial(ingest_plate, progress=told) if in_this_process else ingest_plate
    done = by_plate(task, _jobs(plan, workers), folder, fingerprint=parts.fingerprint, n_plates=len(plan.names),
                    workers=workers, scheduler=scheduler, progress=None if in_this_process else progress)
    return _collected(plan, done, rejections)


def image_facts(plan: SitePlan, done: SitesDone) -> dict[str, Any]:
    """What screen.json says of the images: everything that serving must do alike."""
    zoom = plan.header.height / plan.stored[0]
    return {"pixel_size_um": plan.source.pixel_size_um * zoom, "channels": list(plan.source.order),
            "plates": done.plates, "bits": plan.source.bits, "dtype": str(plan.header.dtype),
            "clipping": asdict(plan.source.clipping), "illumination": plan.source.illumination.method,
            "store": plan.source.store, "preprocessing_version": parts.VERSION}


def partial_folder(folder: Path) -> Path:
    """Where plates lie until the screen is complete.

    Raises:
        ScreenError: something else is there.
    """
    place = folder.with_name(folder.name + PARTIAL)
    if place.exists() and not (place / MARK).is_file() and (not place.is_dir() or any(place.iterdir())):
        raise ScreenError(f"{place}, where plates would lie until the screen is complete, exists and holds no ingest; "
                          "move it away or choose another place")
    place.mkdir(parents=True, exist_ok=True)
    if not (place / MARK).is_file():
        write_json(place / MARK, {"for": folder.name})
    return place


def finished_plates(place: Path) -> int:
    """Plates that are complete in a partial folder; without any the folder is removed."""
    n = len(list((place / PLATE_FOLDERS).glob("[!.]*"))) if (place / PLATE_FOLDERS).is_dir() else 0
    if not n:
        shutil.rmtree(place, ignore_errors=True)
    return n


def file_text(rows: pd.DataFrame, source: ImagesSource) -> "pd.Series[str]":
    """The files of each site, as its table names them, joined by ";"."""
    columns = [source.file] if source.file else [str(source.channels[channel]) for channel in source.order]
    text = as_text(rows[columns[0]])
    for column in columns[1:]:
        text = text + ";" + as_text(rows[column])
    return text


def _jobs(plan: SitePlan, workers: int) -> Iterator[PlateJob]:
    readers = max(1, min(MOST_READERS, (os.cpu_count() or 1) // workers))
    for plate in plan.names:
        here = plan.plates == plate
        yield PlateJob(plate, PlateImages(plate, plan.rows[here].reset_index(drop=True), plan.control[here], plan.bases,
                                          plan.source, plan.root, plan.header.shape, str(plan.header.dtype),
                                          plan.stored, readers))


def _usual_header(rows: pd.DataFrame, source: ImagesSource, bases: dict[str, Path]) -> Header:
    """Size and type of most of some files, so that one strange site does not make all others strange.

    Raises:
        ImageError: none of all sites' headers can be read.
    """
    seen: Counter[Header] = Counter()
    problem = ""
    spread = np.unique(np.linspace(0, len(rows) - 1, min(HEADERS, len(rows))).round().astype(int))
    for asked, number in enumerate([*spread, *np.setdiff1d(np.arange(len(rows)), spread)]):
        if asked >= len(spread) and seen:
            break
        row: dict[Any, Any] = rows.iloc[number].to_dict()
        try:
            place = planes_of(row, source, bases[row[FILE]])[0].path
            if is_remote(place):
                require_reader(str(place))
                if sum(seen.values()) >= REMOTE_HEADERS:
                    break
            found = header_of(place)
            require(found, str(place), Limits(bits=source.bits))
            seen[Header(1, found.height, found.width, found.dtype)] += 1
        except ImageError as error:
            problem = problem or str(error)
    if not seen:
        raise ImageError(f"none of {len(rows)} sites can be read" + (f"; the first: {problem}" if problem else ""))
    return seen.most_common(1)[0][0]


def _stored_shape(shape: tuple[int, int], source: ImagesSource) -> tuple[int, int]:
    if source.store_pixel_size_um is None:
        return shape
    zoom = source.pixel_size_um / source.store_pixel_size_um
    return max(1, round(shape[0] * zoom)), max(1, round(shape[1] * zoom))


def _collected(plan: SitePlan, done: PlatesDone, rejections: Rejections) -> SitesDone:
    """What the plates left, read back in their order."""
    for plate, reason in done.failed.items():
        rejections.add("images", plan.rows[plan.plates == plate], reason)
    sites, warnings, checksums, plates, digests = [], [], {}, [], []
    n_files = n_bytes = 0
    for plate, place in done.folders.items():
        rejections.parts.append(pd.read_parquet(place / parts.REJECTED_PART))
        warnings.append(pd.read_parquet(place / parts.WARNING_PART))
        facts = json.loads((place / parts.FACTS_PART).read_text(encoding="utf-8"))
        n_files, n_bytes = n_files + facts["n_files"], n_bytes + facts["n_bytes"]
        digests.append(facts["digest"])
        found = pd.read_parquet(place / parts.SITE_PART)
        if len(found):
            sites.append(found)
            plates.append(plate)
            checksums[plate] = facts["files"]
    if not sites:
        reasons = rejections.table()["reason"]
        first = f"; the first: {reasons.iloc[0]}" if len(reasons) else ""
        raise ImageError(f"none of {len(plan.rows)} sites can be read{first}")
    table = pd.concat(sites, ignore_index=True)
    lost = plan.rows[~plan.rows[ROW_KEY].isin(table[ROW_KEY])].drop_duplicates(ROW_KEY)
    if len(lost):
        first = (plan.rows[ROW_KEY].isin(lost[ROW_KEY]) & ~plan.rows.duplicated(ROW_KEY)).to_numpy()
        told: dict[str, Any] = {"plate": plan.plates[first], "well": lost[WELL].to_numpy() if WELL in lost else "",
                                "site": "", "file": "", "message": "no site of this well is left"}
        warnings.append(pd.DataFrame(told, index=range(len(lost))).astype("str"))
    inputs = {"n_files": n_files, "n_bytes": n_bytes, "sha256_of_names_and_sizes_by_plate": digests}
    return SitesDone(table, plates, {plate: done.folders[plate] for plate in plates}, checksums, inputs,
                     pd.concat(warnings, ignore_index=True))
