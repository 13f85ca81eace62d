"""Figures of an evaluation: chance is drawn in every one of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from dssl_bio.evaluation.heldout import DIRECTIONS, WHOLE
from dssl_bio.evaluation.metrics import chance_of_rank
from dssl_bio.evaluation.truth import REPRESENTATIONS

CHANCE = "#8a8a8a"
COLOURS = ("#0b6e8a", "#d1495b", "#e0a030", "#5b7f3a", "#7a4fa3", "#3f3f3f", "#b0772f", "#4d8fd1", "#c060a0", "#70a0a0")
LAYOUT = {"template": "plotly_white", "font": {"family": "system-ui, sans-serif", "size": 13},
          "margin": {"l": 60, "r": 20, "t": 50, "b": 50}, "legend": {"orientation": "h", "y": -0.2}}
MOST_K = 50
BINS = 6


def recall_figure(ranks: pd.DataFrame, titles: dict[str, str], setting: str = WHOLE) -> go.Figure:
    """Share of queries whose right answer is among the first k, beside the exact chance and its 95 % band."""
    figure, panels = _panels(ranks, setting)
    for column, (_, asked) in enumerate(panels, start=1):
        ks = np.arange(1, min(MOST_K, int(asked["n_entries"].min())) + 1)
        one = asked[asked["method"] == asked["method"].iloc[0]]
        expected, spread = chance_curve(one, len(ks))
        low, high = np.clip(expected - 1.96 * spread, 0, 1), np.clip(expected + 1.96 * spread, 0, 1)
        band = {"x": np.concatenate([ks, ks[::-1]]), "y": 100 * np.concatenate([high, low[::-1]])}
        figure.add_scatter(**band, fill="toself", line={"width": 0}, fillcolor="rgba(138,138,138,0.25)", col=column,
                           row=1, name="chance, 95 % of draws", showlegend=column == 1, hoverinfo="skip")
        figure.add_scatter(x=ks, y=100 * expected, line={"color": CHANCE, "dash": "dash"}, name="chance", row=1,
                           col=column, showlegend=column == 1)
        for name, rank in _by_method(asked):
            share = 100 * (rank["rank"].to_numpy()[:, None] <= ks).mean(0)
            figure.add_scatter(x=ks, y=share, row=1, col=column, **_line(name, titles, column))
    figure.update_xaxes(title="k")
    figure.update_yaxes(title="right answer among the first k (%)", rangemode="tozero")
    return figure


def rank_figure(ranks: pd.DataFrame, titles: dict[str, str], setting: str = WHOLE) -> go.Figure:
    """Cumulative distribution of the rank as a fraction of the gallery; a random order gives nearly the diagonal."""
    figure, panels = _panels(ranks, setting)
    grid = np.linspace(0, 1, 201)
    for column, (_, asked) in enumerate(panels, start=1):
        one = asked[asked["method"] == asked["method"].iloc[0]]
        figure.add_scatter(x=grid, y=chance_of_fraction(one, grid), line={"color": CHANCE, "dash": "dash"}, row=1,
                           col=column, name="chance", showlegend=column == 1)
        for name, rank in _by_method(asked):
            fraction = np.sort((rank["rank"] / rank["n_entries"]).to_numpy())
            share = np.searchsorted(fraction, grid, side="right") / len(fraction)
            figure.add_scatter(x=grid, y=share, row=1, col=column, **_line(name, titles, column))
    figure.update_xaxes(title="rank / gallery", range=[0, 1])
    figure.update_yaxes(title="share of queries", range=[0, 1])
    return figure


def tanimoto_figure(ranks: pd.DataFrame, titles: dict[str, str], shown: Sequence[str],
                    setting: str = WHOLE) -> go.Figure:
    """Rank against the similarity of the molecule to the nearest training molecule, with the median of each sixth."""
    figure, panels = _panels(ranks, setting)
    for column, (_, asked) in enumerate(panels, start=1):
        for name, rank in _by_method(asked[asked["method"].isin(shown)]):
            x, y = rank["tanimoto"].to_numpy(float), (rank["rank"] / rank["n_entries"]).to_numpy(float)
            style = _line(name, titles, column)
            if name == shown[0]:
                marker = {"size": 5, "opacity": 0.35, **dict(style["line"])}
                figure.add_scatter(x=x, y=y, row=1, col=column, text=rank["query"], mode="markers", marker=marker,
                                   legendgroup=name, showlegend=False)
            centre, median = _binned(x, y)
            figure.add_scatter(x=centre, y=median, row=1, col=column, **{**style, "mode": "lines+markers"})
        figure.add_hline(0.5, line={"color": CHANCE, "dash": "dash"}, row=1, col=column)
    figure.update_xaxes(title="Tanimoto similarity to the nearest training molecule")
    figure.update_yaxes(title="rank / gallery (median)", range=[0, 1])
    return figure


def probe_figure(probes: pd.DataFrame) -> go.Figure:
    """How much of each true factor a linear probe reads from each representation: 0 nothing, 1 everything."""
    order = probes.drop_duplicates("factor").sort_values(["truth", "factor"], ascending=[True, True])
    table = probes.pivot_table(index="factor", columns="representation", values="score").reindex(
        index=order["factor"], columns=list(REPRESENTATIONS))
    names = [f"{name.split('_', 1)[1].replace('_', ' ')}  ·  {truth}"
             for name, truth in zip(order["factor"], order["truth"], strict=True)]
    values = table.to_numpy(float)
    text = np.where(np.isnan(values), "", np.char.mod("%.2f", np.nan_to_num(values)))
    figure = go.Figure(go.Heatmap(z=values, x=list(REPRESENTATIONS), y=names, zmin=0, zmax=1, colorscale="Blues",
                                  text=text, texttemplate="%{text}", colorbar={"title": "score"}))
    figure.update_layout(**{**LAYOUT, "height": 120 + 22 * len(names), "margin": {"l": 330, "r": 20, "t": 30, "b": 40}})
    figure.update_yaxes(autorange="reversed")
    return figure


def chance_curve(ranks: pd.DataFrame, most_k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expected share of right answers among the first k under a random order, and its standard deviation, (k,) each."""
    expected, variance = np.zeros(most_k), np.zeros(most_k)
    for (n_entries, n_right), count in ranks.groupby(["n_entries", "n_right"]).size().items():
        within = np.cumsum(chance_of_rank(int(n_entries), int(n_right)))[:most_k]
        within = np.pad(within, (0, most_k - len(within)), constant_values=1.0)
        expected += count * within
        variance += count * within * (1 - within)
    return expected / len(ranks), np.sqrt(np.maximum(variance, 0)) / len(ranks)


def chance_of_fraction(ranks: pd.DataFrame, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of queries whose rank / gallery is at most each value of the grid under a random order."""
    total = np.zeros(len(grid))
    for (n_entries, n_right), count in ranks.groupby(["n_entries", "n_right"]).size().items():
        within = np.concatenate([[0.0], np.cumsum(chance_of_rank(int(n_entries), int(n_right)))])
        total += count * within[np.floor(grid * n_entries + 1e-9).astype(int)]
    return total / len(ranks)


def _panels(ranks: pd.DataFrame, setting: str) -> tuple[go.Figure, list[tuple[str, pd.DataFrame]]]:
    """An empty figure with a panel for each direction that was asked, and the ranks of each."""
    asked = ranks[ranks["setting"] == setting]
    panels = [(direction, part) for direction in DIRECTIONS if len(part := asked[asked["direction"] == direction])]
    figure = make_subplots(1, len(panels), subplot_titles=[direction for direction, _ in panels])
    figure.update_layout(**{**LAYOUT, "height": 460})
    return figure, panels


def _by_method(ranks: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), part) for name, part in ranks.groupby("method", sort=False)]


def _line(name: str, titles: dict[str, str], column: int) -> dict[str, Any]:
    place = list(titles).index(name) if name in titles else len(titles)
    return {"name": titles.get(name, name), "legendgroup": name, "mode": "lines", "showlegend": column == 1,
            "line": {"color": COLOURS[place % len(COLOURS)]}}


def _binned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Median of x and of y in bins of equal size along x."""
    parts = [part for part in np.array_split(np.argsort(x, kind="stable"), BINS) if len(part)]
    return [float(np.median(x[part])) for part in parts], [float(np.median(y[part])) for part in parts]
