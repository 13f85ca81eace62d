"""Plotly figures, one look for all; colours after Okabe and Ito, told apart by everybody."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dssl_bio.imaging.compose import PALETTE
from dssl_bio.retrieval.neighbours import SHARED_COSINE, SPECIFIC_COSINE

BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, GREY = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a949b")
POINTS = 3_000


def families(table: pd.DataFrame) -> go.Figure:
    """Changes of feature families as bars, each with a mark where the screen's other entries typically are."""
    table = table.iloc[::-1]
    colours = [_channel_colour(channel) for channel in table["channel"]]
    told = np.stack([table["percentile"], 100 * table["share_up"], table["n_features"]], axis=1)
    bars = go.Bar(x=table["change"], y=table["family"], orientation="h", marker_color=colours, customdata=told,
                  name="this phenotype",
                  hovertemplate="%{y}<br>change %{x:.2f}<br>more than %{customdata[0]:.0f} % of entries"
                                "<br>%{customdata[1]:.0f} % of %{customdata[2]} features rose<extra></extra>")
    marks = go.Scatter(x=table["typical"], y=table["family"], mode="markers", name="typical entry",
                       marker={"symbol": "line-ns-open", "size": 15, "line": {"width": 2}, "color": GREY},
                       hovertemplate="typical entry %{x:.2f}<extra></extra>")
    figure = go.Figure([bars, marks])
    figure.update_layout(height=40 + 23 * len(table), showlegend=False, bargap=0.35,
                         xaxis_title="change (root mean square of normalised features)")
    return plain(figure)


def spaces(table: pd.DataFrame, name_column: str, marked: Sequence[int]) -> go.Figure:
    """Library molecules by shared cosine (x) and specific cosine (y); marked rows stand out."""
    rows = np.arange(len(table))
    if len(rows) > POINTS:
        rows = np.union1d(np.random.default_rng(0).choice(rows, POINTS, replace=False), marked)
    strong = np.isin(rows, marked)
    figure = go.Figure()
    for chosen, colour, size, opacity in ((~strong, GREY, 5, 0.45), (strong, ORANGE, 9, 1.0)):
        part = table.iloc[rows[chosen]]
        figure.add_scattergl(x=part[SHARED_COSINE], y=part[SPECIFIC_COSINE], mode="markers", text=part[name_column],
                             marker={"color": colour, "size": size, "opacity": opacity},
                             hovertemplate="%{text}<br>shared %{x:.2f}, specific %{y:.2f}<extra></extra>")
    figure.update_layout(height=300, showlegend=False, xaxis_title="shared cosine", yaxis_title="specific cosine")
    return plain(figure)


def plain(figure: go.Figure) -> go.Figure:
    """The look that all figures share."""
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 8}, paper_bgcolor="rgba(0,0,0,0)",
                         plot_bgcolor="rgba(0,0,0,0)")
    return figure


def _channel_colour(channel: str) -> str:
    first = channel.split("-")[0]
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[first]) if first in PALETTE else GREY
