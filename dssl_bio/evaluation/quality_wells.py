"""What plates and wells say of a screen: wells with few cells, and how much of a measure only the plate decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.imaging.quality import FOCUS
from dssl_bio.screens.screen import FLAGGED
from dssl_bio.vocabulary import CELL_COUNT, PLATE

FEW_CELLS = 0.5
"""Of the usual count: wells below it are listed, as cytotoxicity is called in image-based screens."""
LEVELS = {"background": "q0.05", "brightness": "q0.99"}
"""What is compared of a channel. The mean would hide both behind the number of cells: on BBBC039 plates explain 12 % of
its variance, 64 % of the background's and 50 % of the brightness'."""
CELLS = "cell count"
MIN_WELLS = 5
"""On a plate, for a median of its own; smaller plates are held against the whole screen."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PlateEffect:
    """How much of the variance between wells lies between plates.

    Attributes:
        measure: what varies, such as "DNA background".
        raw: share of the variance of what was recorded, 0 expected by chance; nan with a single plate.
        scaled: the same of what a model reads, which is scaled by plate; nan where nothing is scaled.
        highest: the plate whose median lies highest.
        lowest: the plate whose median lies lowest.
        distance: between the two medians, in `unit`.
        unit: of the distance and of `wells`.
        wells: one value a well (W,), by its row.
    """

    measure: str
    raw: float
    scaled: float
    highest: str
    lowest: str
    distance: float
    unit: str
    wells: "pd.Series[float]"


def variance_between(values: Floats, group: NDArray[Any]) -> float:
    """Share of the variance (of N values) that lies between groups, adjusted so that 0 is expected by chance.

    It is the epsilon squared of a one-way analysis of variance (Kelley 1935, PNAS 21, 554-559); never below 0, nan
    where there is one group, no group of two, or no variance.
    """
    known = np.isfinite(values)
    values, group = values[known], np.asarray(group)[known]
    names, number = np.unique(group, return_inverse=True)
    total = float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0
    if len(names) < 2 or len(values) <= len(names) or total <= 0:
        return float("nan")
    means = np.bincount(number, values) / np.bincount(number)
    within = float(((values - means[number]) ** 2).sum())
    return max(0.0, 1 - within / (len(values) - len(names)) * (len(values) - 1) / total)


def wells_with_few_cells(sites: pd.DataFrame, wells: pd.DataFrame) -> pd.DataFrame | None:
    """Wells whose cells, a site, are less than FEW_CELLS of the plate's median; None where cells were not counted.

    Args:
        sites: the screen's table of sites.
        wells: its wells.

    Returns:
        row, plate, cells, usual (both a site), share; fewest first.
    """
    if CELL_COUNT not in wells:
        return None
    by_row = sites.groupby("row")[PLATE].agg(["first", "size"])
    counts = pd.to_numeric(wells[CELL_COUNT], errors="coerce").to_numpy(float)[by_row.index.to_numpy()]
    found = pd.DataFrame({"row": by_row.index, PLATE: by_row["first"].to_numpy(object),
                          "cells": counts / by_row["size"].to_numpy()}).dropna(subset="cells")
    if not len(found):
        return None
    own = found.groupby(PLATE)["cells"].transform("median")
    large = found.groupby(PLATE)["cells"].transform("size") >= MIN_WELLS
    found["usual"] = own.where(large, found["cells"].median())
    found["share"] = found["cells"] / found["usual"].where(found["usual"] > 0)
    return found[found["share"] < FEW_CELLS].sort_values(["share", "row"]).reset_index(drop=True)


def plate_effects(sites: pd.DataFrame, quality: pd.DataFrame, wells: pd.DataFrame, channels: tuple[str, ...],
                  limits: NDArray[np.floating]) -> list[PlateEffect]:
    """Plate effects on LEVELS of each channel and focus of unflagged sites, and on cell count where it is known.

    Args:
        sites: the screen's table of sites.
        quality: its table of quality metrics.
        wells: its wells.
        channels: names of the C channels.
        limits: (S, C, 2) intensity limits that each site is scaled with.
    """
    wide = quality.pivot(index="site", columns="channel", values=[*LEVELS.values(), FOCUS])
    flagged = sites[FLAGGED].to_numpy(bool)
    owner, plate = sites["row"].to_numpy(), sites[PLATE].astype(str).to_numpy(object)

    def of_wells(values: Floats) -> "pd.Series[float]":
        return pd.Series(np.where(flagged, np.nan, values)).groupby(owner).mean()

    group = pd.Series(plate).groupby(owner).first().to_numpy(object)

    effects = []
    for number, channel in enumerate(channels):
        low, high = limits[:, number, 0].astype(float), limits[:, number, 1].astype(float)
        for name, column in LEVELS.items():
            level = wide[column, channel].to_numpy(float)
            scaled = of_wells((level - low) / np.maximum(high - low, 1)).to_numpy(float)
            effects.append(_effect(f"{channel} {name}", of_wells(np.log2(np.maximum(level, 1))), group, "log2",
                                   variance_between(scaled, group)))
    effects.append(_effect("focus", of_wells(wide[FOCUS].to_numpy(float).mean(axis=1)), group, "log10 of power"))
    if CELL_COUNT in wells:
        rows = np.unique(owner)
        counts = pd.to_numeric(wells[CELL_COUNT], errors="coerce").to_numpy(float)[rows]
        per_site = counts / np.bincount(owner)[rows]
        if np.isfinite(per_site).any():
            effects.append(_effect(CELLS, pd.Series(per_site, index=rows), group, "cells a site"))
    return effects


def effects_told(effects: Sequence[PlateEffect], most: int = 6) -> str:
    """The strongest effects in words, such as "DNA background 64 %, focus 0 %"; empty without any."""
    strongest = sorted(effects, key=lambda effect: -effect.raw)
    return ", ".join(f"{effect.measure} {100 * effect.raw:.0f} %" for effect in strongest[:most]) + (
        f" and {len(effects) - most} smaller" if len(effects) > most else "")


def _effect(measure: str, values: "pd.Series[float]", group: NDArray[Any], unit: str,
            scaled: float = float("nan")) -> PlateEffect:
    medians = values.groupby(group).median().dropna()
    return PlateEffect(measure, variance_between(values.to_numpy(float), group), scaled, str(medians.idxmax()),
                       str(medians.idxmin()), float(medians.max() - medians.min()), unit, values)
