"""Figures of factors: the matrix, right against wrong, retrieval by part, the trade-off over runs, one query."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from dssl_bio.factors.matrix import REPRESENTATIONS

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#e69f00", "#009e73", "#8a949b"
"""Okabe and Ito 2008."""
OF_SIDE = {"shared": (BLUE, "circle"), "molecule": (ORANGE, "diamond"), "phenotype": (GREEN, "square")}
SCALE = "Cividis"
LONGEST_BESIDE = 26  # of a figure in a narrow column
LONGEST = 46
CLEAR = "rgba(0,0,0,0)"


def matrix_figure(matrix: pd.DataFrame, *, most: int | None = None) -> go.Figure:
    """Score above chance of every factor (rows, by family) in every representation (columns): 0 nothing, 1 everything.

    Args:
        matrix: see `factors.knowledge`.
        most: at most so many factors, those that some representation knows best.
    """
    table = matrix.assign(place=[f"{'well' if rows == 'wells' else 'entry'} · {factor}" for rows, factor in
                                 zip(matrix["rows"], matrix["factor"], strict=True)])
    best = table.groupby("place", sort=False)["above"].max()
    if most is not None and len(best) > most:
        table = table[table["place"].isin(best.sort_values(ascending=False, kind="stable").index[:most])]
    order = table.drop_duplicates("place").sort_values(["family", "place"])
    columns = [name for name in REPRESENTATIONS if name in set(table["representation"])]
    wide = {name: table.pivot_table(index="place", columns="representation", values=name).reindex(
        index=order["place"], columns=columns).to_numpy(float) for name in ("above", "score", "p")}
    text = np.where(np.isnan(wide["score"]), "", np.char.mod("%.2f", np.nan_to_num(wide["score"])))
    names = [f"{shortened(place.split(' · ', 1)[1])}  ({family})" for place, family in
             zip(order["place"], order["family"], strict=True)]
    told = np.empty((*wide["above"].shape, 2), dtype=object)
    told[:, :, 0] = np.broadcast_to(order["metric"].to_numpy(object)[:, None], wide["above"].shape)
    told[:, :, 1] = wide["p"]
    figure = go.Figure(go.Heatmap(
        z=wide["above"], x=columns, y=list(range(len(names))), zmin=0, zmax=1, colorscale=SCALE, text=text,
        texttemplate="%{text}", customdata=told, xgap=1, ygap=1, hoverongaps=False,
        colorbar={"title": "above chance", "thickness": 12},
        hovertemplate="%{x}<br>%{customdata[0]} %{text}, p %{customdata[1]:.3f}<extra></extra>"))
    figure.update_yaxes(autorange="reversed", tickmode="array", tickvals=list(range(len(names))), ticktext=names,
                        showgrid=False, automargin=True)
    figure.update_xaxes(side="top", showgrid=False, tickangle=-25)
    return _plain(figure, 150 + 19 * len(names))


def right_and_wrong_figure(summary: pd.DataFrame) -> go.Figure:
    """What the representation that should know a factor knows of it, against the one that should not."""
    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dash"}, name="equally",
                       hoverinfo="skip")
    figure.add_scatter(x=[0, 1], y=[0, 1 / 3], mode="lines", line={"color": GREY, "dash": "dot"}, name="a third",
                       hoverinfo="skip")
    for belongs, (colour, symbol) in OF_SIDE.items():
        own = summary[summary["belongs"] == belongs]
        if len(own):
            told = [f"{shortened(factor)}: {right} {a:.2f}, {wrong} {b:.2f}" for factor, right, wrong, a, b in
                    zip(own["factor"], own["right"], own["wrong"], own["score_right"], own["score_wrong"], strict=True)]
            figure.add_scatter(x=own["above_right"], y=own["above_wrong"], mode="markers", text=told,
                               name={"shared": "shared factor", "molecule": "the molecule's own",
                                     "phenotype": "the phenotype's own"}[belongs],
                               marker={"color": colour, "symbol": symbol, "size": 9, "opacity": 0.85},
                               hovertemplate="%{text}<extra></extra>")
    figure.update_xaxes(title="where it belongs (above chance)", range=[-0.03, 1.03])
    figure.update_yaxes(title="where it does not", range=[-0.03, 1.03])
    return _plain(figure, 430)


def retrieval_figure(retrieval: pd.DataFrame) -> go.Figure:
    """MRR of held-out molecules by each part, beside exact chance."""
    figure = go.Figure()
    figure.add_bar(x=retrieval["way"], y=retrieval["mrr"], name="MRR", marker_color=BLUE, text=retrieval["mrr"],
                   texttemplate="%{text:.3f}")
    figure.add_scatter(x=retrieval["way"], y=retrieval["chance_mrr"], mode="markers", name="chance",
                       marker={"symbol": "line-ew-open", "size": 38, "color": ORANGE, "line": {"width": 3}})
    figure.update_yaxes(title="MRR, molecule to phenotype", rangemode="tozero")
    return _plain(figure, 320)


def trade_off_figure(points: pd.DataFrame) -> go.Figure:
    """Several runs: what is known where it belongs, against what has leaked, a panel for each side's factors.

    Args:
        points: run, belongs, right, wrong (means over factors), as `factor_report.trade_off` gives.
    """
    sides = [side for side in OF_SIDE if side in set(points["belongs"])]
    figure = make_subplots(1, max(1, len(sides)), subplot_titles=[
        {"shared": "shared factors", "molecule": "the molecule's own", "phenotype": "the phenotype's own"}[side]
        for side in sides])
    for column, side in enumerate(sides, start=1):
        own = points[points["belongs"] == side]
        colour, symbol = OF_SIDE[side]
        figure.add_scatter(x=own["wrong"], y=own["right"], mode="lines+markers+text", text=own["run"], row=1,
                           col=column, textposition="top center", showlegend=False,
                           marker={"color": colour, "symbol": symbol, "size": 10},
                           line={"color": colour, "dash": "dot", "width": 1})
        figure.update_xaxes(title="known where it does not belong", row=1, col=column, rangemode="tozero")
        figure.update_yaxes(rangemode="tozero", row=1, col=column)
    figure.update_yaxes(title="known where it belongs", row=1, col=1)
    return _plain(figure, 430)


def positions_figure(positions: pd.DataFrame) -> go.Figure:
    """Percentiles on named axes: 50 is the middle of the training set."""
    names = [shortened(name, LONGEST_BESIDE) for name in positions["axis"]]
    places = list(range(len(names)))
    stems = [value for percentile in positions["percentile"] for value in (50, percentile, None)]  # one trace for all
    told = np.stack([positions["metric"], positions["score"].map("{:.2f}".format)], axis=1)
    data = [{"type": "scatter", "x": stems, "y": [value for place in places for value in (place, place, None)],
             "mode": "lines", "line": {"color": GREY, "width": 3}, "hoverinfo": "skip", "showlegend": False},
            {"type": "scatter", "x": positions["percentile"].tolist(), "y": places, "mode": "markers",
             "showlegend": False, "marker": {"size": 11, "color": ORANGE, "line": {"width": 1, "color": "#333"}},
             "customdata": told.tolist(),
             "hovertemplate": "%{x:.0f}th percentile<br>axis: %{customdata[0]} %{customdata[1]}<extra></extra>"}]
    middle = {"type": "line", "x0": 50, "x1": 50, "y0": 0, "y1": 1, "yref": "y domain",
              "line": {"color": GREY, "dash": "dash", "width": 1}}
    layout = {"shapes": [middle], "xaxis": {"title": {"text": "percentile"}, "range": [-2, 102], "side": "bottom"},
              "yaxis": {"autorange": "reversed", "tickmode": "array", "tickvals": places, "ticktext": names,
                        "showgrid": False, "automargin": True}}
    figure = go.Figure({"data": data, "layout": layout}, _validate=False)  # drawn for every question
    return _plain(figure, 90 + 24 * len(names))


def places_figure(shared: NDArray[np.floating], specific: NDArray[np.floating], channels: tuple[str, ...],
                  grid: int) -> go.Figure:
    """Weights of channels in places, (C * grid * grid,) each: a small map a channel, shared above specific."""
    figure = make_subplots(2, len(channels), subplot_titles=list(channels), horizontal_spacing=0.02,
                           vertical_spacing=0.06, row_titles=["shared", "specific"])
    for row, weights in enumerate((shared, specific), start=1):
        maps = weights.reshape(len(channels), grid, grid)
        for column in range(len(channels)):
            figure.add_heatmap(z=maps[column], row=row, col=column + 1, zmin=0, zmax=max(float(maps.max()), 1e-12),
                               colorscale=SCALE, showscale=False, hovertemplate="%{z:.2g}<extra></extra>")
    figure.update_xaxes(showticklabels=False, showgrid=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, showgrid=False, zeroline=False, autorange="reversed")
    return _plain(figure, 330)


def families_figure(shared: NDArray[np.floating], specific: NDArray[np.floating], names: tuple[str, ...],
                    most: int = 12) -> go.Figure:
    """The feature families on which either part rests most, as shares of all weight."""
    parts = [weights / max(float(weights.sum()), 1e-12) for weights in (shared, specific)]
    order = np.argsort(-np.maximum(*parts), kind="stable")[:most]
    labels = [shortened(names[i]) for i in order]
    figure = go.Figure()
    for name, weights, colour in zip(("shared", "specific"), parts, (BLUE, ORANGE), strict=True):
        figure.add_bar(y=list(range(len(order))), x=weights[order], name=name, orientation="h", marker_color=colour,
                       hovertemplate="%{x:.1%}<extra>" + name + "</extra>")
    figure.update_yaxes(autorange="reversed", tickmode="array", tickvals=list(range(len(order))), ticktext=labels,
                        automargin=True)
    figure.update_xaxes(title="share of the weight", tickformat=".0%")
    return _plain(figure, 120 + 30 * len(order))


def shortened(text: str, longest: int = LONGEST) -> str:
    """A label without markup that plotly would read, and not too long."""
    clean = str(text).replace("<", "‹").replace(">", "›").replace("&", "+")
    return clean if len(clean) <= longest else clean[:longest - 1] + "…"


def _plain(figure: go.Figure, height: int) -> go.Figure:
    layout: Mapping[str, Any] = {"height": height, "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR,
                                 "margin": {"l": 10, "r": 10, "t": 40, "b": 40},
                                 "font": {"family": "system-ui, sans-serif", "size": 12}}
    figure.update_layout(**layout)
    return figure
