"""A map of the gallery: entries in two dimensions, by UMAP where it is installed, by principal components otherwise."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from dssl_bio.evaluation.plots import COLOURS, LAYOUT
from dssl_bio.vocabulary import MOLECULE_ID, PLATE

UMAP_WORDS = "UMAP (cosine, 15 neighbours)"
PCA_WORDS = "principal components (umap-learn is not installed: `pip install umap-learn` gives a UMAP)"
MOST_COLOURS, MOST_POINTS = 9, 5_000
OTHERS = "other"


def plane(vectors: NDArray[np.floating], seed: int = 0) -> tuple[NDArray[np.float64], str]:
    """Places (N, 2) of unit vectors (N, D), and how they were made, in words."""
    if find_spec("umap") is not None and len(vectors) > 20:
        from umap import UMAP  # an optional dependency, slow to import

        reducer = UMAP(n_neighbors=15, metric="cosine", random_state=seed)
        return np.asarray(reducer.fit_transform(vectors), dtype=float), UMAP_WORDS
    n_components = min(2, *vectors.shape)
    places = PCA(n_components, random_state=seed).fit_transform(np.asarray(vectors, dtype=float))
    return np.pad(places, ((0, 0), (0, 2 - n_components))), PCA_WORDS


def map_figure(places: NDArray[np.floating], labels: "pd.Series[str]", names: "pd.Series[str]") -> go.Figure:
    """Entries coloured by a label; the most frequent labels have colours, the rest is grey, missing is hollow."""
    frequent = list(labels.value_counts().index[:MOST_COLOURS])
    shown = labels.where(labels.isin(frequent) | labels.isna(), OTHERS)
    figure = go.Figure()
    for name, colour in [(OTHERS, "#c8cfd3"), *zip(frequent, COLOURS, strict=False)]:
        mask = (shown == name).to_numpy()
        if mask.any():
            figure.add_scatter(x=places[mask, 0], y=places[mask, 1], mode="markers", name=str(name),
                               text=names[mask], marker={"size": 5, "color": colour, "opacity": 0.8})
    mask = shown.isna().to_numpy()
    if mask.any():
        figure.add_scatter(x=places[mask, 0], y=places[mask, 1], mode="markers", name="not annotated",
                           text=names[mask], marker={"size": 4, "color": "#9aa4aa", "symbol": "circle-open"})
    figure.update_layout(**{**LAYOUT, "height": 520})
    figure.update_xaxes(title="first", zeroline=False)
    figure.update_yaxes(title="second", zeroline=False)
    return figure


def entry_maps(vectors: NDArray[np.floating], entries: pd.DataFrame, seed: int = 0) -> tuple[dict[str, go.Figure], str]:
    """Maps of entries by mechanism and by plate, as far as they are known; empty where neither is."""
    chosen = np.arange(len(entries))
    if len(chosen) > MOST_POINTS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(entries), MOST_POINTS, replace=False))
    table = entries.iloc[chosen].reset_index(drop=True)
    labels = {}
    if "mechanism" in table and table["mechanism"].notna().any():
        labels["mechanism"] = table["mechanism"]
    if PLATE in table and table[PLATE].nunique() > 1:
        first = table[PLATE].astype(str).str.split(";").str[0]
        labels["plate"] = first.where(first != "", None)
    if not labels and "active" in table and table["active"].notna().any():
        labels["activity"] = table["active"].map({True: "active", False: "inactive"}).astype(object)
    if not labels:
        return {}, ""
    places, how = plane(vectors[chosen], seed)
    return {name: map_figure(places, values, table[MOLECULE_ID]) for name, values in labels.items()}, how
