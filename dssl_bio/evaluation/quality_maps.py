"""Plates as maps: what was measured of each well, drawn where the well lies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from dssl_bio.evaluation.plots import LAYOUT
from dssl_bio.evaluation.quality_wells import PlateEffect
from dssl_bio.imaging.quality import FOCUS
from dssl_bio.vocabulary import CELL_COUNT, PLATE, WELL, well_position

FLAGGED_SHARE, FOCUS_Z = "flagged sites (share)", "focus (robust z)"
COLUMNS = 4
MOST_POINTS = 2000
FEW_COLOUR = "#c62828"
MISSING = "#eceff1"


def well_maps(sites: pd.DataFrame, quality: pd.DataFrame, wells: pd.DataFrame,
              channels: tuple[str, ...]) -> tuple[pd.DataFrame, list[str]]:
    """What plate maps show: one row a well that has a name.

    Args:
        sites: the screen's table of sites.
        quality: its table of quality metrics.
        wells: its wells.
        channels: names of the C channels.

    Returns:
        plate, well, and the names of the maps: cell count where it is known, log2 mean intensity of each channel
        against the plate's median, focus as a robust z within the plate (the median over channels), flagged share.
    """
    if WELL not in wells:
        return pd.DataFrame(columns=[PLATE, WELL]), []
    wide = quality.pivot(index="site", columns="channel", values=["mean", FOCUS])
    found = pd.DataFrame({PLATE: sites[PLATE], "row": sites["row"], FLAGGED_SHARE: sites["flagged"].astype(float)})
    plate = found[PLATE]
    for channel in channels:
        level = pd.Series(np.log2(np.maximum(wide["mean", channel].to_numpy(float), 1.0)))
        found[f"{channel} intensity (log2)"] = level - level.groupby(plate).transform("median")
    sharp = [_robust_z(pd.Series(wide[FOCUS, channel].to_numpy(float)), plate) for channel in channels]
    found[FOCUS_Z] = np.median(np.stack(sharp), axis=0)
    maps = [*(f"{channel} intensity (log2)" for channel in channels), FOCUS_Z, FLAGGED_SHARE]
    table = found.groupby("row")[maps].mean()
    table.insert(0, PLATE, found.groupby("row")[PLATE].first())
    table.insert(1, WELL, wells[WELL].to_numpy(object)[table.index.to_numpy()])
    if CELL_COUNT in wells:
        counts = pd.to_numeric(wells[CELL_COUNT], errors="coerce").to_numpy(float)[table.index.to_numpy()]
        if np.isfinite(counts).any():
            table.insert(2, "cell count", counts)
            maps = ["cell count", *maps]
    return table[table[WELL].notna()].reset_index(drop=True), maps


def plate_figure(wells: pd.DataFrame, maps: list[str]) -> go.Figure:
    """The maps of one plate's wells beside each other."""
    places = np.array([well_position(str(well)) for well in wells[WELL]])
    rows, columns = places.max(0) + 1
    n_rows = -(-len(maps) // COLUMNS)
    figure = make_subplots(n_rows, COLUMNS, subplot_titles=maps, vertical_spacing=0.16 / max(1, n_rows - 1) + 0.04,
                           horizontal_spacing=0.04)
    letters = [_letters(number) for number in range(rows)]
    for number, name in enumerate(maps):
        grid = np.full((rows, columns), np.nan)
        grid[places[:, 0], places[:, 1]] = wells[name]
        place = {"row": number // COLUMNS + 1, "col": number % COLUMNS + 1}
        figure.add_heatmap(z=np.round(grid, 3), x=list(range(1, columns + 1)), y=letters, showscale=False,
                           hovertemplate=f"%{{y}}%{{x}}: %{{z}}<extra>{name}</extra>", **_scale(name, grid), **place)
        figure.update_yaxes(autorange="reversed", showticklabels=number % COLUMNS == 0, tickfont={"size": 9},
                            constrain="domain", **place)
        figure.update_xaxes(tickfont={"size": 9}, nticks=6, **place)
    figure.update_layout(**{**LAYOUT, "height": 90 + n_rows * max(150, 9 * int(rows)), "plot_bgcolor": MISSING,
                            "margin": {"l": 30, "r": 10, "t": 40, "b": 30}})
    figure.update_annotations(font_size=12)
    return figure


def light_figure(before: NDArray[np.floating], after: NDArray[np.floating], channels: tuple[str, ...]) -> go.Figure:
    """Illumination fields (C, h, w) that were found, and what is left of them in the corrected sites, in per cent."""
    figure = make_subplots(2, len(channels), subplot_titles=[
        f"{name}<br>{'before' if row == 0 else 'after'}: {100 * field.std():.1f} %"
        for row, fields in enumerate((before, after)) for name, field in zip(channels, fields, strict=True)],
        horizontal_spacing=0.02, vertical_spacing=0.2)
    most = max(1.0, 100 * float(np.abs(before - 1).max()))
    for row, fields in enumerate((before, after), start=1):
        for column, field in enumerate(fields, start=1):
            step = max(1, field.shape[0] // 32)
            figure.add_heatmap(z=np.round(100 * (field[::step, ::step] - 1), 2), row=row, col=column,
                               coloraxis="coloraxis", hovertemplate="%{z} %<extra></extra>")
            figure.update_yaxes(autorange="reversed", visible=False, row=row, col=column)
            figure.update_xaxes(visible=False, row=row, col=column)
    figure.update_layout(**{**LAYOUT, "height": 420, "margin": {"l": 10, "r": 10, "t": 50, "b": 10}},
                         coloraxis={"colorscale": "RdBu_r", "cmin": -most, "cmax": most, "colorbar": {"title": "%"}})
    figure.update_annotations(font_size=12)
    return figure


def screen_figure(plates: pd.DataFrame, column: str, title: str) -> go.Figure:
    """One figure of every plate and channel, in per cent."""
    wide = plates.pivot(index="channel", columns=PLATE, values=column).reindex(plates["channel"].unique())
    figure = go.Figure(go.Heatmap(z=np.round(100 * wide.to_numpy(float), 1), x=[str(name) for name in wide.columns],
                                  y=list(wide.index), colorscale="Viridis", colorbar={"title": "%"}, zmin=0,
                                  hovertemplate="%{x}, %{y}: %{z} %<extra></extra>"))
    figure.update_layout(**{**LAYOUT, "title": title, "height": 260}, xaxis={"type": "category"},
                         yaxis={"autorange": "reversed"})
    return figure


def plates_figure(effects: Sequence[PlateEffect], plates: NDArray[Any], names: NDArray[Any],
                  few: NDArray[np.bool_]) -> go.Figure:
    """Every measure's wells, plate beside plate: a box a plate, and the wells themselves where they are not too many.

    Args:
        effects: what is drawn; their `wells` are W values each.
        plates: (W,) plate of each of these wells.
        names: (W,) what a well is called when it is pointed at.
        few: (W,) whether it has few cells, and is drawn in red.
    """
    figure = make_subplots(len(effects), 1, subplot_titles=[f"{effect.measure} ({effect.unit})" for effect in effects],
                           vertical_spacing=min(0.1, 0.25 / max(1, len(effects) - 1)))
    shown = np.ones(len(plates), bool) if len(plates) <= MOST_POINTS else few
    order = sorted(set(plates))
    for row, effect in enumerate(effects, start=1):
        quartiles = effect.wells.groupby(plates).quantile([0.25, 0.5, 0.75]).unstack().reindex(order)
        figure.add_box(x=order, q1=quartiles[0.25], median=quartiles[0.5], q3=quartiles[0.75], row=row, col=1,
                       line={"color": "#90a4ae", "width": 1}, fillcolor="#eceff1", hoverinfo="skip", whiskerwidth=0)
        for red, chosen in ((False, shown & ~few), (True, shown & few)):
            figure.add_scatter(x=plates[chosen], y=effect.wells.to_numpy(float)[chosen], text=names[chosen],
                               mode="markers", hovertemplate="%{text}: %{y:.3g}<extra></extra>", row=row, col=1,
                               marker={"color": FEW_COLOUR if red else "#1b6e8c", "size": 7 if red else 5,
                                       "symbol": "x" if red else "circle"})
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=order, row=row, col=1)
    figure.update_layout(**{**LAYOUT, "height": 60 + 190 * len(effects), "showlegend": False,
                            "margin": {"l": 50, "r": 10, "t": 40, "b": 30}})
    figure.update_annotations(font_size=12)
    return figure


def _robust_z(values: "pd.Series[float]", plate: "pd.Series[Any]") -> NDArray[np.float64]:
    middle = values.groupby(plate).transform("median")
    spread = 1.4826 * (values - middle).abs().groupby(plate).transform("median")
    return ((values - middle) / spread.where(spread > 0.05, 0.05)).to_numpy(float)


def _scale(name: str, grid: NDArray[np.float64]) -> dict[str, Any]:
    if name == "cell count":
        return {"colorscale": "Viridis", "zmin": 0}
    if name == FLAGGED_SHARE:
        return {"colorscale": "Reds", "zmin": 0, "zmax": 1}
    known = np.abs(grid[np.isfinite(grid)])
    most = max(0.2, float(np.quantile(known, 0.98))) if len(known) else 1.0
    return {"colorscale": "RdBu_r", "zmin": -most, "zmax": most}


def _letters(number: int) -> str:
    return ("" if number < 26 else chr(ord("A") + number // 26 - 1)) + chr(ord("A") + number % 26)
