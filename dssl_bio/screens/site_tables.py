"""Tables over all plates of a screen: its sites, their quality, intensity limits, what was found of each plate."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.imaging.channel_order import signatures, suspected_swaps
from dssl_bio.imaging.quality import FLAGS as KINDS
from dssl_bio.imaging.quality import METRICS
from dssl_bio.screens import plate_images as parts
from dssl_bio.screens.by_plate import name_on_disk
from dssl_bio.screens.plate_work import FILES
from dssl_bio.screens.position import position_effect
from dssl_bio.screens.screen import (
    FLAGGED,
    FLAGS,
    INTENSITY,
    PLATE_FOLDERS,
    PLATE_TABLE,
    QUALITY,
    SITE_TABLE,
    WARNINGS,
)
from dssl_bio.vocabulary import PLATE, ROW_KEY, SITE, WELL

N_SITES, N_FLAGGED, WELL_FLAGS = "n_sites", "n_flagged_sites", "quality_flags"
"""Columns of `wells` that say what quality control found."""


@dataclass(frozen=True)
class SitesDone:
    """What became of the sites.

    Attributes:
        sites: rows of those that were read: row_key, Metadata_Site, plate, file, flags, flagged.
        plates: those with at least one site, in the order of `sites`.
        folders: of these plates.
        checksums: of their large files, by plate and name.
        inputs: number, size and checksum of what was read.
        warnings: plate, well, site, file, message.
    """

    sites: pd.DataFrame
    plates: list[str]
    folders: dict[str, Path]
    checksums: dict[str, dict[str, str]]
    inputs: dict[str, Any]
    warnings: pd.DataFrame


def write_images(done: SitesDone, channels: tuple[str, ...], wells: pd.DataFrame, folder: Path) -> dict[str, str]:
    """Moves the plates' pixels into the screen's folder and writes the tables over all of them.

    Returns:
        Checksums of the large files, by their names relative to the screen.
    """
    (folder / PLATE_FOLDERS).mkdir(parents=True)
    owner = pd.Series(np.arange(len(wells)), index=wells[ROW_KEY]).reindex(done.sites[ROW_KEY]).to_numpy(np.int64)
    table = pd.DataFrame({"row": owner, **{c: done.sites[c] for c in (SITE, PLATE, FILES, FLAGS, FLAGGED)}})
    table.to_parquet(folder / SITE_TABLE)
    metrics = np.concatenate([np.load(done.folders[p] / parts.METRIC_PART, allow_pickle=False) for p in done.plates])
    _metric_table(metrics, channels).to_parquet(folder / QUALITY)
    _concatenated(done, parts.LIMIT_PART).to_parquet(folder / INTENSITY)
    described = _concatenated(done, parts.PLATE_PART)
    names = wells[WELL].to_numpy(object)[owner] if WELL in wells else None
    described["position_effect"] = _position_effects(described, table, metrics, names, channels)
    described.to_parquet(folder / PLATE_TABLE)
    swapped = _swapped_plates(table, metrics, channels)
    pd.concat([done.warnings, swapped]).reset_index(drop=True).to_parquet(folder / WARNINGS)
    known = {}
    for plate in done.plates:
        place = folder / PLATE_FOLDERS / name_on_disk(plate)
        os.replace(done.folders[plate], place)
        kept = {name.split("/")[0] for name in done.checksums[plate]} | set(parts.LASTING)
        for path in place.iterdir():
            if path.name not in kept:
                path.unlink()
        prefix = f"{folder.name}/{PLATE_FOLDERS}/{place.name}/"
        known.update({prefix + name: value for name, value in done.checksums[plate].items()})
    return known


def with_quality(wells: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    """Wells with the number of their sites, of those that are flagged, and the flags themselves."""
    groups = sites.groupby(ROW_KEY)
    counts = pd.DataFrame({N_SITES: groups.size(), N_FLAGGED: groups[FLAGGED].sum(), WELL_FLAGS: groups[FLAGS].agg(
        lambda texts: ";".join(kind for kind in KINDS if any(kind in text.split(";") for text in texts)))})
    found = counts.reindex(wells[ROW_KEY]).reset_index(drop=True)
    return wells.assign(**{N_SITES: found[N_SITES].fillna(0).astype(int).to_numpy(),
                           N_FLAGGED: found[N_FLAGGED].fillna(0).astype(int).to_numpy(),
                           WELL_FLAGS: found[WELL_FLAGS].fillna("").to_numpy()})


def quality_counts(sites: pd.DataFrame) -> dict[str, Any]:
    """How many sites there are, how many are flagged and for what, and wells of which no site is left unflagged."""
    kinds = Counter(kind for text in sites[FLAGS] for kind in text.split(";") if kind)
    usable = sites[~sites[FLAGGED]][ROW_KEY].nunique()
    return {"sites": len(sites), "flagged_sites": int(sites[FLAGGED].sum()),
            "flags": {kind: kinds[kind] for kind in KINDS if kinds[kind]},
            "wells_without_unflagged_site": sites[ROW_KEY].nunique() - usable}


def _concatenated(done: SitesDone, name: str) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(done.folders[plate] / name) for plate in done.plates], ignore_index=True)


def _metric_table(metrics: NDArray[np.float32], channels: tuple[str, ...]) -> pd.DataFrame:
    flat = pd.DataFrame(metrics.reshape(-1, len(METRICS)), columns=list(METRICS))
    flat.insert(0, "site", np.repeat(np.arange(len(metrics)), len(channels)))
    flat.insert(1, "channel", np.tile(np.array(channels, dtype=object), len(metrics)))
    return flat


def _position_effects(described: pd.DataFrame, table: pd.DataFrame, metrics: NDArray[np.float32],
                      names: NDArray[np.object_] | None, channels: tuple[str, ...]) -> list[float]:
    """Of each row of the plates' table; missing where wells have no names or are too few."""
    if names is None:
        return [float("nan")] * len(described)
    plates, means = table[PLATE].to_numpy(object), np.log2(np.maximum(metrics[:, :, METRICS.index("mean")], 1))
    return [position_effect(names[plates == row[PLATE]], means[plates == row[PLATE], channels.index(row["channel"])])
            for row in described.to_dict("records")]


def _swapped_plates(table: pd.DataFrame, metrics: NDArray[np.float32], channels: tuple[str, ...]) -> pd.DataFrame:
    """A warning for each plate whose channels look exchanged beside the other plates."""
    plates, number = np.unique(table[PLATE].to_numpy(str), return_inverse=True)
    looks = signatures(metrics)
    middles = np.stack([np.median(looks[number == i], axis=0) for i in range(len(plates))])
    found = [{"plate": plates[swap.number], "well": "", "site": "", "file": "",
              "message": f"on the whole plate channels {channels[swap.first]} and {channels[swap.second]} look "
                         "exchanged, compared with the other plates"} for swap in suspected_swaps(middles)]
    return pd.DataFrame(found, columns=["plate", "well", "site", "file", "message"], dtype="str")
