"""The images of one plate: read, corrected for illumination, judged, stored; what cannot be read is rejected.

Runs in any process: told by names and settings, it leaves files in its folder. Nothing of one plate depends on another.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.transform import resize_local_mean

from dssl_bio import __version__
from dssl_bio.artefact import write_json
from dssl_bio.errors import ImageError
from dssl_bio.imaging import illumination
from dssl_bio.imaging.channel_order import signatures, suspected_swaps
from dssl_bio.imaging.illumination import Corrector
from dssl_bio.imaging.intensity import limits, usual_sites
from dssl_bio.imaging.places import is_remote
from dssl_bio.imaging.quality import METRICS, flags_of, site_metrics
from dssl_bio.screens.plate_light import described, illumination_files, light_of
from dssl_bio.screens.plate_work import FILES, Pixels, PlateImages, Row, Warnings, in_order
from dssl_bio.screens.rows import Rejections
from dssl_bio.screens.site_store import STORE, SiteStore, SiteWriter
from dssl_bio.vocabulary import PLATE, ROW_KEY, SITE

VERSION = 1
"""Of what happens to pixels here; another one makes plates anew that an interrupted ingest had done."""
SITES_FOR_LIMITS = 64
PIXELS_FOR_LIMITS = 65_536
SITE_PART, METRIC_PART, LIMIT_PART, PLATE_PART = "sites.parquet", "metrics.npy", "intensity.parquet", "plate.parquet"
REJECTED_PART, WARNING_PART, FACTS_PART = "rejected.parquet", "warnings.parquet", "facts.json"
FIELD = "illumination.npy"
LASTING = (FIELD, STORE)
"""Files of a plate's folder that stay in the screen beside the pixels; the others are gathered into tables."""
FLAGS, FLAGGED = "flags", "flagged"


def fingerprint(work: PlateImages) -> str:
    """A text that changes when settings, rows, or the files that they name change."""
    digest = hashlib.sha256(json.dumps([
        VERSION, __version__, work.plate, work.source.model_dump(mode="json"), work.shape, work.dtype, work.stored,
        work.control.astype(int).tolist()]).encode())
    digest.update(work.rows.to_csv(index=False).encode())
    for row in work.records():
        for plane in work.places(row):
            if not is_remote(plane):
                status = os.stat(plane)
                digest.update(f"{plane}\t{status.st_size}\t{status.st_mtime_ns}\n".encode())
    for path in illumination_files(work) if work.source.illumination.method == "given" else ():
        digest.update(f"{path}\t{path.stat().st_size if path.is_file() else -1}\n".encode())
    return digest.hexdigest()


def ingest_plate(work: PlateImages, folder: Path, progress: Callable[[int], None] | None = None) -> None:
    """Writes one plate's sites and what was found of them into a new folder.

    A plate without a readable site leaves a store of none, and its rejections. `progress` is told after each site.
    """
    rejections, warnings = Rejections(), Warnings(work.plate)
    rows = work.records()
    kept: dict[int, Pixels] = {}
    try:
        light = light_of(work, rows, kept, warnings)
    except ImageError as problem:
        rejections.add("images", work.rows, str(problem))
        light, rows = illumination.none(len(work.source.order)), []
    corrector = light.corrector(work.shape) if light.method != "none" else None
    good: list[int] = []
    reasons: dict[int, str] = {}
    metrics: list[NDArray[np.float32]] = []
    shape = (len(work.source.order), *work.stored)
    with SiteWriter(folder, len(rows), shape, work.source.store) as writer:
        for number, outcome in in_order(rows, _Step(work, corrector, kept), work.readers):
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
    described(work, light).to_parquet(folder / PLATE_PART)
    rejections.table().to_parquet(folder / REJECTED_PART)
    warnings.table().to_parquet(folder / WARNING_PART)
    n_files, n_bytes, digest = _inputs(work)
    write_json(folder / FACTS_PART, {"n_files": n_files, "n_bytes": n_bytes, "digest": digest, "files": checksums})


@dataclass(frozen=True)
class _Step:
    """What happens to a site between its files and the store."""

    work: PlateImages
    corrector: Corrector | None
    kept: dict[int, Pixels]

    def __call__(self, number: int, row: Row) -> tuple[Pixels, NDArray[np.float32]]:
        raw = self.kept.pop(number, None)
        if raw is None:
            raw = self.work.read(row)
        site = raw if self.corrector is None else self.corrector(raw)
        full_scale = (1 << self.work.source.bits) - 1 if self.work.source.bits else np.iinfo(self.work.dtype).max
        return shrunk(site, self.work.stored), site_metrics(raw, site, self.work.source.pixel_size_um, full_scale)


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


def _inputs(work: PlateImages) -> tuple[int, int, str]:
    """Number and size of the files that are there, and a checksum over their names and sizes."""
    sizes: dict[str, int] = {}
    for row in work.records():
        for place in work.places(row):
            if is_remote(place):
                sizes[str(place)] = 0
            else:
                path = Path(place)
                sizes[os.path.relpath(path, work.base(row))] = path.stat().st_size if path.is_file() else 0
    digest = hashlib.sha256("".join(f"{name}\t{size}\n" for name, size in sizes.items()).encode())
    return len(sizes), sum(sizes.values()), digest.hexdigest()


def shrunk(site: Pixels, shape: tuple[int, int]) -> Pixels:
    """A site (C, H, W) whose pixels are means over those they cover."""
    if site.shape[1:] == shape:
        return site
    small = resize_local_mean(site.astype(np.float32), shape, channel_axis=0, preserve_range=True)
    return np.clip(np.rint(small), 0, 65_535).astype(np.uint16)
