"""Plotly figures, one look for all; colours after Okabe and Ito, told apart by everybody."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dssl_bio.imaging.compose import PALETTE
from dssl_bio.retrieval.neighbours import SHARED_COSINE, SPECIFIC_COSINE
from dssl_bio.retrieval.tables import ENTRY
from dssl_bio.retrieval.wells import plate_shape
from dssl_bio.vocabulary import WELL

BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, GREY = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a949b")
KINDS = (("treated", BLUE, "circle"), ("untreated", ORANGE, "diamond"), ("not searched", GREY, "circle-open"),
         ("empty", GREY, "x-thin-open"))
"""Wells of a plate: colour and shape say the same."""
POINTS = 3_000
PALETTE_OF_CATEGORIES = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, "#aa1177", "#775544")
STILL = {"displayModeBar": False}
"""Figures that are looked at, without buttons."""
SELECT = {"displaylogo": False, "modeBarButtonsToRemove": ["toImage", "autoScale2d"]}
"""Figures on which points are drawn around."""
CATEGORIES = 8
LOOK = {"margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}
SYMBOLS = {"phenotype": "circle", "molecule": "diamond", "untreated": "cross"}


def thinned(marked: np.ndarray) -> np.ndarray:
    """Rows that a plot of a whole library shows: all of a small one, else some at random with the marked ones."""
    rows = np.arange(len(marked))
    if len(rows) <= POINTS:
        return rows
    return np.union1d(np.random.default_rng(0).choice(rows, POINTS, replace=False), np.flatnonzero(marked))


def spaces(table: pd.DataFrame, name_column: str, marked: np.ndarray) -> go.Figure:
    """Library molecules by shared cosine (x) and specific cosine (y); marked rows stand out."""
    traces = []
    for chosen, colour, size, opacity in ((~marked, GREY, 5, 0.45), (marked, ORANGE, 9, 1.0)):
        part = table[chosen]
        traces.append({"type": "scattergl", "mode": "markers", "x": part[SHARED_COSINE].to_numpy(),
                       "y": part[SPECIFIC_COSINE].to_numpy(), "text": part[name_column].to_list(),
                       "marker": {"color": colour, "size": size, "opacity": opacity},
                       "hovertemplate": "%{text}<br>shared %{x:.2f}, specific %{y:.2f}<extra></extra>"})
    layout = {"height": 300, "showlegend": False, "xaxis": {"title": {"text": "shared cosine"}},
              "yaxis": {"title": {"text": "specific cosine"}}, **LOOK}
    return go.Figure({"data": traces, "layout": layout}, _validate=False)  # a fifth of the time of a checked one


def plate(layout: pd.DataFrame, chosen: int | None) -> go.Figure:
    """Wells of a plate by `kind`, with the chosen entry's outlined; `customdata` holds the number of the entry."""
    n_rows, n_columns = plate_shape(layout)
    size = 15 if n_columns <= 12 else 11 if n_columns <= 24 else 6
    figure = go.Figure()
    for kind, colour, symbol in KINDS:
        part = layout[layout["kind"] == kind]
        if len(part):
            outline = np.where(part[ENTRY] == chosen, 3, 0) if chosen is not None and chosen >= 0 else 0
            figure.add_scatter(x=part["column"] + 1, y=part["row"], mode="markers", name=kind, text=part["told"],
                               customdata=np.stack([part[ENTRY], part[WELL]], axis=1),
                               marker={"color": colour, "size": size, "symbol": symbol,
                                       "line": {"width": outline, "color": VERMILION}},
                               hovertemplate="%{customdata[1]} %{text}<extra>" + kind + "</extra>")
    figure.update_layout(height=110 + 17 * n_rows, clickmode="event+select", dragmode=False,
                         legend={"orientation": "h", "yanchor": "bottom", "y": 1.02})
    figure.update_xaxes(range=[0.3, n_columns + 0.7], side="bottom", showgrid=False, zeroline=False, tickmode="array",
                        tickvals=list(range(1, n_columns + 1, 1 if n_columns <= 12 else 2)), fixedrange=True)
    figure.update_yaxes(range=[n_rows - 0.4, -0.6], showgrid=False, zeroline=False, tickmode="array", fixedrange=True,
                        tickvals=list(range(n_rows)), ticktext=[row_letters(row) for row in range(n_rows)])
    return plain(figure)


def points(table: pd.DataFrame, places: np.ndarray, column: str, numeric: bool, found: np.ndarray,
           title: str) -> go.Figure:
    """A space on a plane; shape says what a point is, colour what was asked; found points are outlined.

    `customdata` holds the point's row in `table`.
    """
    figure = go.Figure()
    numbers = np.arange(len(table))
    told = table["name"].astype(str) + np.where(table["mechanism"].notna(), " · " + table["mechanism"].astype(str), "")
    groups = [("", table["kind"].notna().to_numpy(), None)] if numeric else _groups(table[column])
    for label, mask, colour in groups:
        first = True
        for kind, symbol in SYMBOLS.items():
            chosen = mask & (table["kind"] == kind).to_numpy()
            if not chosen.any():
                continue
            marker = {"symbol": symbol, "size": np.where(found[chosen], 11, 6 if kind == "phenotype" else 5),
                      "opacity": 0.85, "line": {"width": np.where(found[chosen], 2.5, 0), "color": VERMILION}}
            if numeric:
                marker |= {"color": table.loc[chosen, column], "colorscale": "Cividis", "coloraxis": "coloraxis"}
            else:
                marker["color"] = colour
            figure.add_scattergl(x=places[chosen, 0], y=places[chosen, 1], mode="markers", marker=marker,
                                 customdata=numbers[chosen].tolist(), text=told[chosen], legendgroup=label,
                                 name=label or kind, showlegend=first or numeric,
                                 hovertemplate="%{text}<extra>" + kind + "</extra>")
            first = False
    figure.update_layout(height=560, dragmode="lasso",
                         legend={"itemsizing": "constant", "font": {"size": 11}, "orientation": "h", "y": 0,
                                 "yanchor": "top"},
                         coloraxis={"colorscale": "Cividis", "colorbar": {"title": title, "thickness": 12}})
    figure.update_xaxes(showticklabels=False, showgrid=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, showgrid=False, zeroline=False)
    return plain(figure)


def heat_map(layout: pd.DataFrame, title: str) -> go.Figure:
    """One number of every well of a plate, in place."""
    n_rows, n_columns = plate_shape(layout)
    values, texts = np.full((n_rows, n_columns), np.nan), np.full((n_rows, n_columns), "", dtype=object)
    values[layout["row"], layout["column"]] = layout["value"]
    texts[layout["row"], layout["column"]] = layout[WELL].astype(str) + " " + layout["told"]
    figure = go.Figure(go.Heatmap(z=values, text=texts, x=list(range(1, n_columns + 1)), xgap=1, ygap=1,
                                  y=[row_letters(row) for row in range(n_rows)], colorscale="Cividis",
                                  colorbar={"title": title, "thickness": 12},
                                  hovertemplate="%{text}<br>%{z:.4g}<extra></extra>", hoverongaps=False))
    figure.update_layout(height=90 + 21 * n_rows)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, tickmode="linear", dtick=1 if n_columns <= 12 else 2)
    return plain(figure)


def _groups(values: "pd.Series[object]") -> list[tuple[str, np.ndarray, str]]:
    """The most frequent values with a colour each; the others together, and those without one, in grey."""
    counts = values.dropna().astype(str).value_counts()
    names = sorted(counts.index[:CATEGORIES]) if len(counts) > CATEGORIES else sorted(counts.index)
    text = values.astype(str)
    groups = [(name, (text == name).to_numpy() & values.notna().to_numpy(), colour)
              for name, colour in zip(names, PALETTE_OF_CATEGORIES, strict=False)]
    rest = ~np.any([mask for _, mask, _ in groups], axis=0) if groups else np.ones(len(values), dtype=bool)
    others = rest & values.notna().to_numpy()
    if others.any():
        groups.append((f"{len(counts) - len(names)} others", others, GREY))
    if (rest & ~others).any():
        groups.append(("not annotated", rest & ~others, "rgba(138,148,155,0.45)"))
    return groups


def row_letters(row: int) -> str:
    """A plate's row from 0 in letters: 0 is A, 26 is AA."""
    return (chr(ord("A") + row // 26 - 1) if row >= 26 else "") + chr(ord("A") + row % 26)


def plain(figure: go.Figure) -> go.Figure:
    """The look that all figures share."""
    figure.update_layout(**LOOK)
    return figure


def channel_colour(channel: str) -> str:
    """The colour of a feature family's channel; grey for shape and for several."""
    first = channel.split("-")[0]
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[first]) if first in PALETTE else GREY
