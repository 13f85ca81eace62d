"""The images of one plate: read, corrected for illumination, judged, stored; what cannot be read is rejected.

Runs in any process: told by names and settings, it leaves files in its folder. Nothing of one plate depends on another.
"""

import hashlib
import json
import math
import os
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.transform import resize_local_mean

from dssl_bio import __version__
from dssl_bio.artefact import write_json
from dssl_bio.errors import ImageError
from dssl_bio.imaging import illumination
from dssl_bio.imaging.channel_order import signatures, suspected_swaps
from dssl_bio.imaging.illumination import Corrector, Illumination
from dssl_bio.imaging.intensity import limits, usual_sites
from dssl_bio.imaging.places import is_remote
from dssl_bio.imaging.quality import METRICS, flags_of, site_metrics
from dssl_bio.imaging.read import read_site
from dssl_bio.screens.manifest import ImagesSource
from dssl_bio.screens.rows import FILE, Rejections
from dssl_bio.screens.site_store import STORE, SiteStore, SiteWriter
from dssl_bio.screens.sources.load_data import place_of, planes_of
from dssl_bio.vocabulary import PLATE, ROW_KEY, SITE, WELL

VERSION = 1
"""Of what happens to pixels here; another one makes plates anew that an interrupted ingest had done."""
SITES_FOR_LIMITS = 64
PIXELS_FOR_LIMITS = 65_536
SAMPLE_PIXELS, SAMPLE_MIN, SAMPLE_MOST = 100_000_000, 48, 512
"""Illumination is estimated from so many pixels of each channel, and from so many sites at least and at most."""
KEPT_BYTES = 300_000_000
"""Sites of the sample are held until they are stored, as far as they take no more than this."""
MOST_READERS = 4
GLARING_SAMPLE = 3.0
"""Of the sites that illumination is estimated from: more than for controls, which have no phenotypes."""

SITE_PART, METRIC_PART, LIMIT_PART, PLATE_PART = "sites.parquet", "metrics.npy", "intensity.parquet", "plate.parquet"
REJECTED_PART, WARNING_PART, FACTS_PART = "rejected.parquet", "warnings.parquet", "facts.json"
FIELD = "illumination.npy"
LASTING = (FIELD, STORE)
"""Files of a plate's folder that stay in the screen beside the pixels; the others are gathered into tables."""
FLAGS, FLAGGED, FILES = "flags", "flagged", "file"

Pixels = NDArray[np.uint16]


@dataclass(frozen=True)
class PlateImages:
    """What is to be done of one plate.

    Attributes:
        plate: its name.
        rows: of the table of sites: row_key, file and row of the table, well, site, file names.
        control: (S,) sites of negative controls.
        bases: folder of each table, by the rows' `_file`.
        source: the manifest's images.
        root: of the manifest's paths.
        shape: (H, W) of files.
        dtype: of files.
        stored: (H, W) after shrinking.
        readers: threads.
    """

    plate: str
    rows: pd.DataFrame
    control: NDArray[np.bool_]
    bases: dict[str, Path]
    source: ImagesSource
    root: Path
    shape: tuple[int, int]
    dtype: str
    stored: tuple[int, int]
    readers: int = MOST_READERS

    def records(self) -> list[dict[Hashable, Any]]:
        """The rows, one dictionary each."""
        return self.rows.to_dict("records")

    def base(self, row: Mapping[Hashable, Any]) -> Path:
        """What the file names of a row are relative to."""
        return self.bases[row[FILE]]

    def read(self, row: Mapping[Hashable, Any]) -> Pixels:
        """The site of a row."""
        planes = planes_of(row, self.source, self.base(row))
        return read_site(planes, self.source.order, self.shape, bits=self.source.bits, dtype=np.dtype(self.dtype))


def fingerprint(work: PlateImages) -> str:
    """A text that changes when settings, rows, or the files that they name change."""
    digest = hashlib.sha256(json.dumps([
        VERSION, __version__, work.plate, work.source.model_dump(mode="json"), work.shape, work.dtype, work.stored,
        work.control.astype(int).tolist()]).encode())
    digest.update(work.rows.to_csv(index=False).encode())
    for row in work.records():
        for plane in _planes_or_none(row, work):
            if not is_remote(plane):
                status = os.stat(plane)
                digest.update(f"{plane}\t{status.st_size}\t{status.st_mtime_ns}\n".encode())
    for path in _illumination_files(work) if work.source.illumination.method == "given" else ():
        digest.update(f"{path}\t{path.stat().st_size if path.is_file() else -1}\n".encode())
    return digest.hexdigest()


def ingest_plate(work: PlateImages, folder: Path, progress: Callable[[int], None] | None = None) -> None:
    """Writes one plate's sites and what was found of them into a new folder.

    A plate without a readable site leaves a store of none, and its rejections. `progress` is told after each site.
    """
    rejections, warnings = Rejections(), _Warnings(work.plate)
    rows = work.records()
    kept: dict[int, Pixels] = {}
    try:
        light = _illumination(work, rows, kept, warnings)
    except ImageError as problem:
        rejections.add("images", work.rows, str(problem))
        light, rows = illumination.none(len(work.source.order)), []
    corrector = light.corrector(work.shape) if light.method != "none" else None
    good: list[int] = []
    reasons: dict[int, str] = {}
    metrics: list[NDArray[np.float32]] = []
    shape = (len(work.source.order), *work.stored)
    with SiteWriter(folder, len(rows), shape, work.source.store) as writer:
        for number, outcome in _in_order(rows, _Step(work, corrector, kept), work.readers):
            if isinstance(outcome, ImageError):
                reasons[number] = str(outcome)
            else:
                writer.append(outcome[0])
                metrics.append(outcome[1])
                good.append(number)
            if progress is not None:
                progress(1)
        checksums = writer.finish()
    rejections.add("images", work.rows.iloc[list(reasons)], list(reasons.values()))
    table = np.stack(metrics) if metrics else np.empty((0, len(work.source.order), len(METRICS)), np.float32)
    sites = work.rows.iloc[good].reset_index(drop=True)
    intensity = _limits(work, folder, np.array(good, dtype=np.int64))
    flags = _flags(work, table, intensity)
    for number, first, second in suspected_swaps(signatures(table)):
        names = work.source.order
        warnings.add(sites.iloc[number], f"channels {names[first]} and {names[second]} look exchanged: "
                                         "each has the other's brightness and sharpness")
    pd.DataFrame({ROW_KEY: sites[ROW_KEY], SITE: sites[SITE], PLATE: work.plate, FILES: sites[FILES],
                  FLAGS: pd.Series(flags, dtype="str"), FLAGGED: [bool(f) for f in flags],
                  }).to_parquet(folder / SITE_PART)
    np.save(folder / METRIC_PART, table)
    np.save(folder / FIELD, light.field)
    intensity.to_parquet(folder / LIMIT_PART)
    _described(work, light).to_parquet(folder / PLATE_PART)
    rejections.table().to_parquet(folder / REJECTED_PART)
    warnings.table().to_parquet(folder / WARNING_PART)
    n_files, n_bytes, digest = _inputs(work)
    write_json(folder / FACTS_PART, {"n_files": n_files, "n_bytes": n_bytes, "digest": digest, "files": checksums})


class _Warnings:
    """What is doubtful of a plate and stays."""

    def __init__(self, plate: str):
        self.plate, self.found = plate, list[dict[str, str]]()

    def add(self, row: "pd.Series[Any] | None", message: str) -> None:
        """One warning, of a site or of the plate."""
        told = dict.fromkeys(("well", "site", "file"), "")
        if row is not None:
            for name, word in (("well", WELL), ("site", SITE), ("file", FILES)):
                told[name] = "" if pd.isna(row.get(word)) else str(row.get(word))
        self.found.append({"plate": self.plate, **told, "message": message})

    def table(self) -> pd.DataFrame:
        """plate, well, site, file, message."""
        return pd.DataFrame(self.found, columns=["plate", "well", "site", "file", "message"], dtype="str")


@dataclass(frozen=True)
class _Step:
    """What happens to a site between its files and the store."""

    work: PlateImages
    corrector: Corrector | None
    kept: dict[int, Pixels]

    def __call__(self, number: int, row: Mapping[Hashable, Any]) -> tuple[Pixels, NDArray[np.float32]]:
        raw = self.kept.pop(number, None)
        if raw is None:
            raw = self.work.read(row)
        site = raw if self.corrector is None else self.corrector(raw)
        full_scale = (1 << self.work.source.bits) - 1 if self.work.source.bits else np.iinfo(self.work.dtype).max
        return shrunk(site, self.work.stored), site_metrics(raw, site, self.work.source.pixel_size_um, full_scale)


def _in_order(rows: list[dict[Hashable, Any]], step: Callable[[int, Mapping[Hashable, Any]], Any], readers: int,
              ) -> Iterator[tuple[int, Any]]:
    """Rows with what a step makes of them, or its ImageError; a few threads stay a little ahead."""

    def tried(number: int) -> Any:
        try:
            return step(number, rows[number])
        except ImageError as problem:
            return problem

    waiting: deque[tuple[int, Future[Any]]] = deque()
    with ThreadPoolExecutor(readers) as pool:
        try:
            for number in range(len(rows)):
                waiting.append((number, pool.submit(tried, number)))
                if len(waiting) > 2 * readers:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _illumination(work: PlateImages, rows: list[dict[Hashable, Any]], kept: dict[int, Pixels],
                  warnings: _Warnings) -> Illumination:
    """The plate's light; sites that were read on the way are left in `kept`.

    Raises:
        ImageError: a given function cannot be used.
    """
    channels, method = work.source.order, work.source.illumination.method
    if method == "given":
        return illumination.given(_illumination_files(work), channels, work.shape)
    if method == "none" or len(rows) < illumination.MIN_SITES:
        if method == "estimate":
            warnings.add(None, f"illumination is not corrected: {len(rows)} sites, at least {illumination.MIN_SITES} "
                               "are needed to estimate it")
        return illumination.none(len(channels))
    n_pixels = work.shape[0] * work.shape[1]
    n = int(np.clip(SAMPLE_PIXELS // n_pixels, SAMPLE_MIN, SAMPLE_MOST))
    numbers = np.unique(np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(int))
    room = KEPT_BYTES // (2 * n_pixels * len(channels))
    samples = []
    for place, outcome in _in_order([rows[number] for number in numbers], lambda _, row: work.read(row), work.readers):
        if not isinstance(outcome, ImageError):
            samples.append(illumination.sample_of(outcome).copy())
            if len(kept) < room:
                kept[int(numbers[place])] = outcome
    pixels = np.stack(samples) if samples else np.empty((0, len(channels), 1, 1), np.uint16)
    found = illumination.estimated(pixels[usual_sites(pixels, GLARING_SAMPLE)]) if samples else None
    if found is None:
        warnings.add(None, f"illumination is not corrected: {len(samples)} sites of {work.shape[0]} x {work.shape[1]} "
                           "pixels that can be read are too few or too small to estimate it")
        return illumination.none(len(channels))
    return found


def _illumination_files(work: PlateImages) -> list[Path]:
    """The `.npy` file of each channel; all rows of a plate must name the same."""
    source, files = work.source, work.source.illumination.files
    if files is not None:
        return [work.root / files.replace("{plate}", work.plate).replace("{channel}", channel)
                for channel in source.order]
    found = []
    for channel in source.order:
        column = source.illumination.columns[channel]
        places = {place_of(row, column, source, work.base(row), f"illumination of channel {channel}")
                  for row in work.records()}
        if len(places) != 1 or not isinstance(place := places.pop(), Path):
            raise ImageError(f"plate {work.plate}: column {column} names several illumination files, or one behind an "
                             "address; expected one file for the plate")
        found.append(place)
    return found


def _limits(work: PlateImages, folder: Path, good: NDArray[np.int64]) -> pd.DataFrame:
    """Intensity limits of each channel of the plate.

    They are those of its negative controls where it has some, so that a phenotype does not set its own scale; of all
    its sites otherwise. Glaring ones among them are left out.
    """
    found: list[dict[str, object]] = []
    if len(good):
        store = SiteStore.open([folder])
        step = max(1, math.ceil(math.sqrt(store.shape[2] * store.shape[3] / PIXELS_FOR_LIMITS)))
        controls = np.flatnonzero(work.control[good])
        chosen = controls if len(controls) else np.arange(len(good))
        spread = np.linspace(0, len(chosen) - 1, min(len(chosen), SITES_FOR_LIMITS))
        chosen = chosen[spread.round().astype(int)]
        pixels = np.stack([store[int(number)][:, ::step, ::step] for number in chosen])
        pixels = pixels[usual_sites(pixels)]
        values = limits(pixels, work.source.clipping)
        found = [{PLATE: work.plate, "channel": channel, "low": low, "high": high, "n_sites": len(pixels),
                  "reference": "negcon" if len(controls) else "plate"}
                 for channel, (low, high) in zip(work.source.order, values, strict=True)]
    return pd.DataFrame(found, columns=[PLATE, "channel", "low", "high", "n_sites", "reference"])


def _flags(work: PlateImages, metrics: NDArray[np.float32], intensity: pd.DataFrame) -> list[str]:
    if not len(metrics):
        return []
    bounds = intensity[["low", "high"]].to_numpy(np.float32)
    return [";".join(flags) for flags in flags_of(metrics, bounds, work.source.order, work.source.quality.thresholds)]


def _described(work: PlateImages, light: Illumination) -> pd.DataFrame:
    """What was found of the plate's light, a row a channel."""
    return pd.DataFrame({PLATE: work.plate, "channel": list(work.source.order), "illumination": light.method,
                         "sites_for_illumination": light.n_sites, "dark": light.dark, "unevenness": light.unevenness,
                         "unevenness_uncertainty": light.uncertainty})


def _inputs(work: PlateImages) -> tuple[int, int, str]:
    """Number and size of the files that are there, and a checksum over their names and sizes."""
    sizes: dict[str, int] = {}
    for row in work.records():
        for place in _planes_or_none(row, work):
            if is_remote(place):
                sizes[str(place)] = 0
            else:
                path = Path(place)
                sizes[os.path.relpath(path, work.base(row))] = path.stat().st_size if path.is_file() else 0
    digest = hashlib.sha256("".join(f"{name}\t{size}\n" for name, size in sizes.items()).encode())
    return len(sizes), sum(sizes.values()), digest.hexdigest()


def _planes_or_none(row: Mapping[Hashable, Any], work: PlateImages) -> list[Any]:
    try:
        return [plane.path for plane in planes_of(row, work.source, work.base(row))]
    except ImageError:
        return []


def shrunk(site: Pixels, shape: tuple[int, int]) -> Pixels:
    """A site (C, H, W) whose pixels are means over those they cover."""
    if site.shape[1:] == shape:
        return site
    small = resize_local_mean(site.astype(np.float32), shape, channel_axis=0, preserve_range=True)
    return np.clip(np.rint(small), 0, 65_535).astype(np.uint16)
