"""Page: the spaces of a bundle on a plane, and its plates as heat maps."""

import numpy as np
import pandas as pd
import streamlit as st
from dssl_bio.app import cards, plots, query, words
from dssl_bio.app.resources import cell_counts, mapped, opened, tables, waiting

from dssl_bio.retrieval.explore import (
    LIKE_UNTREATED,
    METHODS,
    PHENOTYPE,
    Method,
    Space,
    likeness_to_untreated,
    mean_of_entries,
    measures,
)
from dssl_bio.retrieval.tables import Tables
from dssl_bio.retrieval.wells import plate_layout, plates
from dssl_bio.vocabulary import CELL_COUNT, COMPOUND, DOSE_UM, MOA, PERT_TYPE

SPACES: dict[Space, str] = {"shared": "Shared", "phenotype": "Phenotype only", "molecule": "Molecule only"}
ABOUT: dict[Space, str] = {
    "shared": "What cells and molecules tell each other. Circles are phenotypes, diamonds molecules, crosses untreated "
              "wells; each kind is centred on its own mean, so that the gap between kinds hides nothing.",
    "phenotype": "What only cells tell: plate, density, day. A good model keeps plates out of the shared space.",
    "molecule": "What only structures tell.",
}
METHOD_NAMES: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
COLOURS = {"mechanism": "Mechanism", "kind": "What it is", "plate": "Plate", "split": "Training",
           LIKE_UNTREATED: "Likeness to untreated cells", "cells": "Cells left", "dose_um": "Dose"}
NUMBERS = (LIKE_UNTREATED, "cells", "dose_um")
LISTED = ["kind", "name", "mechanism", "dose_um", "plate", "key"]
PHENOTYPE_PAGE = "app_pages/phenotype_to_molecules.py"


def space_map(path: str) -> None:
    """A space as points; those that are drawn around become a table."""
    left, second, third, right = st.columns([1.4, 1, 1, 1.4], vertical_alignment="bottom")
    space = left.segmented_control("Space", list(SPACES), default="shared", format_func=SPACES.__getitem__,
                                   required=True, key="space") or "shared"
    method = second.selectbox("Drawn by", list(METHODS), format_func=METHOD_NAMES.__getitem__, key="method") or "pca"
    with waiting(path), st.spinner("Laying out"):
        table, places = mapped(path, space, method)
        opened(path)
    own = _numbers_of_phenotypes(path)
    phenotype, number = (table["kind"] == PHENOTYPE).to_numpy(), table["number"].to_numpy(int)
    table = table.assign(**{name: np.where(phenotype, values[np.where(phenotype, number, 0)], np.nan)
                            for name, values in own.items()})
    offered = [name for name in (*COLOURS, *own) if name in table and table[name].notna().any()]
    colour = third.selectbox("Coloured by", list(dict.fromkeys(offered)), key="colour",
                             format_func=lambda name: COLOURS.get(name, name))
    wanted = right.text_input("Find", placeholder="a compound or mechanism", max_chars=80, key="find").strip()
    wanted = wanted.casefold()
    found = np.zeros(len(table), dtype=bool)
    if wanted:
        texts = table["name"].astype(str).str.casefold() + "\n" + table["mechanism"].astype(str).str.casefold()
        found = texts.str.contains(wanted, regex=False).to_numpy(bool)
    note = "" if method == "pca" else " Distances between groups mean nothing in this drawing; who is near whom does."
    st.caption(ABOUT[space] + note)
    event = st.plotly_chart(plots.points(table, places, colour, colour in NUMBERS or colour in own, found,
                                         COLOURS.get(colour, colour)),
                            on_select="rerun", selection_mode=("lasso", "box", "points"), key=f"map_{space}_{method}",
                            config=plots.SELECT, alt=f"{SPACES[space]} space, by {COLOURS.get(colour, colour)}")
    rows = sorted({int(point["customdata"]) for point in event["selection"]["points"]})
    chosen = table.iloc[rows] if rows else table[found] if wanted else table.iloc[:0]
    if chosen.empty:
        st.caption("Draw around points, or type what to find: they are listed here." if not wanted else
                   "Nothing here has that name or mechanism.")
        return
    picked = st.dataframe(chosen[LISTED].rename(columns={"dose_um": "dose (µM)"}), hide_index=True, height=280,
                          on_select="rerun", selection_mode="single-row", key="listed",
                          alt="The points that were chosen")
    marked = picked["selection"]["rows"]
    if marked and chosen.iloc[marked[0]]["kind"] == PHENOTYPE:
        key = str(chosen.iloc[marked[0]]["key"])
        if st.button("Its molecules", icon=":material/grid_view:"):
            st.switch_page(PHENOTYPE_PAGE, query_params={"entry": key})
    st.caption(f"{len(chosen):,} of {len(table):,} points. Mark a phenotype to open it.")


def _numbers_of_phenotypes(path: str) -> dict[str, np.ndarray]:
    """What else a phenotype can be coloured by: cells left, and the screen's own numbers."""
    bundle, counts = tables(path), cell_counts(path)
    numbers = {} if counts is None else {"cells": counts}
    if bundle.wells is not None:
        numbers |= {name: mean_of_entries(bundle.wells, name, len(bundle.entries)) for name in measures(bundle.wells)
                    if name not in (CELL_COUNT, DOSE_UM)}
    return numbers


def plate_heat_map(path: str, bundle: Tables) -> None:
    """One number of every well of a plate, in place: edges, rows and columns that stand out are not biology."""
    st.header("Plates", anchor=False)
    names = plates(bundle.wells) if bundle.wells is not None else []
    if bundle.wells is None or not names:
        st.caption("This screen names no plates and wells." if bundle.wells is not None else
                   "This bundle was made before wells were kept in it; index it again to see its plates.")
        return
    offered = measures(bundle.wells)
    likeness = opened(path).controls is not None and len(opened(path).controls) > 0
    options = sorted([*offered, *([LIKE_UNTREATED] if likeness else [])],
                     key=lambda name: (name != CELL_COUNT, name != LIKE_UNTREATED, name))
    if not options:
        st.caption("No number of these wells varies.")
        return
    left, right = st.columns(2)
    plate = left.selectbox("Plate", names, key="heat_plate")
    measure = right.selectbox("Value", options, key="heat_value", format_func=lambda name: NAMES.get(name, name))
    layout = plate_layout(bundle.wells, plate)
    layout = layout.assign(value=_values(path, layout, measure), told=[
        " · ".join(filter(None, (query.value(row, COMPOUND), query.value(row, MOA), query.value(row, PERT_TYPE))))
        for _, row in layout.iterrows()])
    st.plotly_chart(plots.heat_map(layout, NAMES.get(measure, measure)), config=plots.STILL, key="heat",
                    alt=f"{words.plain(NAMES.get(measure, measure))} of every well of plate {words.plain(plate)}")
    st.caption("Look for edges, rows and columns that stand out: they are the plate's doing."
               + (" Treated wells show their entry's value." if measure == LIKE_UNTREATED else ""))


NAMES = {CELL_COUNT: "cell count", DOSE_UM: "dose (µM)"}


def _values(path: str, layout: pd.DataFrame, measure: str) -> np.ndarray:
    if measure != LIKE_UNTREATED:
        return pd.to_numeric(layout[measure], errors="coerce").to_numpy(float)
    likeness, entry = likeness_to_untreated(opened(path)), layout["entry"].to_numpy(int)
    assert likeness is not None
    return np.where(entry >= 0, likeness[np.maximum(entry, 0)], np.nan)


def page() -> None:
    """The map, then the plates."""
    bundle, path = cards.begin("Explore", "Which phenotypes and molecules lie together, and what the plates look like.")
    with query.sentences():
        space_map(path)
        plate_heat_map(path, bundle)


page()
