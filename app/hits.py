"""Hits as cards: cells beside untreated ones, or changed features; where a hit comes from, and how sure it is."""

from html import escape
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from dssl_bio.app import cards, kept, plots, words
from dssl_bio.app.pictures import Display, pair
from dssl_bio.app.query import listed, value
from dssl_bio.app.resources import cell_counts, opened, tables, usual_changes
from streamlit.delta_generator import DeltaGenerator

from dssl_bio.retrieval.wells import FEW_CELLS, annotations_of
from dssl_bio.screens.entries import ALL_FLAGGED, ENTRY_KEY, N_WELLS
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, MOA, MOLECULE_ID, PLATE, WELL

if TYPE_CHECKING:
    from dssl_bio.retrieval.search import Hit

N_FAMILIES = 8
FACTORS_OF = "factors_of_hit"
MAX_ANNOTATIONS, MAX_ANNOTATION = 6, 32
"""The screen's own columns that a card shows; long texts, such as scaffolds, are no label."""


def name_of(entry: pd.Series) -> str:
    """An entry's compound, else its molecule, else its key."""
    return value(entry, COMPOUND) or value(entry, MOLECULE_ID) or str(entry[ENTRY_KEY])


def hit_card(path: str, hit: "Hit", own: bool, display: Display | None) -> DeltaGenerator | None:
    """One hit: what is seen beside what is known, in one piece, and buttons; gives the place for its factors if asked.

    The page fills that place last: it takes longest, and the other hits are there to be looked at.
    """
    bundle = opened(path)
    entry = tables(path).entries.iloc[hit.entry]
    name = name_of(entry)
    share = cell_share(path, hit.entry)
    tags = [(value(entry, MOA), ""), ("the molecule itself" if own else "", "own"),
            ("few cells" if share == share and share < FEW_CELLS else "", "warn"),
            ("flagged sites only" if bool(entry.get(ALL_FLAGGED, False)) else "", "warn")]
    facts = cards.facts([
        *facts_of_entry(path, hit.entry), ("Cosine", f"{hit.score:.3f}"), ("p", words.p_text(hit.p, bundle.null)),
        ("q", words.q_text(hit, bundle.null)),
    ], {"Cosine": words.COSINE, "p": words.P, "q": words.Q, "Cells": words.CELLS, **words.unresolved(hit, bundle.null)})
    seen = seen_of(path, hit.entry, name, display)
    with st.container(border=True):
        st.html(f'<div class="dssl-hit">{seen}<div>{cards.title(words.shortened(name, 80), hit.rank, tags)}{facts}'
                "</div></div>")
        with st.container(horizontal=True, gap="small"):
            kept.keep_button(path, hit.entry, name, hit.score)
            opened_here = st.session_state.get(FACTORS_OF) == hit.entry
            if st.button("Hide factors" if opened_here else "Factors", key=f"factors_{hit.entry}", type="tertiary",
                         icon=":material/tune:", help="What the cells show because of the molecule, and what is the "
                         "well's own: plate, place, density"):
                st.session_state[FACTORS_OF] = None if opened_here else hit.entry
                st.rerun()
        return st.container() if opened_here else None


def seen_of(path: str, entry: int, name: str, display: Display | None) -> str:
    """What of an entry can be seen, as HTML: its cells beside untreated ones, or its most changed features."""
    return families(path, entry, name) if display is None else pair(path, entry, name, display)


def facts_of_entry(path: str, number: int) -> list[tuple[str, str]]:
    """Dose, place, cell count and the screen's own annotations of an entry."""
    bundle = tables(path)
    entry = bundle.entries.iloc[number]
    dose = words.dose_text(float(entry[DOSE_UM])) if DOSE_UM in entry and not pd.isna(entry[DOSE_UM]) else ""
    n_wells = int(entry[N_WELLS])
    return [("Dose", dose), ("Plate", listed(entry, PLATE)), ("Well", listed(entry, WELL)),
            ("Joined from", f"{n_wells} wells" if n_wells > 1 else ""),
            ("Cells", words.cells_text(cell_share(path, number))), *annotations(path, number)]


@st.cache_resource(show_spinner=False, max_entries=5_000)
def annotations(path: str, number: int) -> list[tuple[str, str]]:
    """The screen's own columns of an entry, as far as they are labels."""
    wells = tables(path).wells
    return [] if wells is None else [pair for pair in annotations_of(wells, number)
                                     if len(pair[1]) <= MAX_ANNOTATION][:MAX_ANNOTATIONS]


def cell_share(path: str, entry: int) -> float:
    """Cells of an entry as a share of its plates' controls; nan where the screen did not count them."""
    counts = cell_counts(path)
    return float("nan") if counts is None else float(counts[entry])


@st.cache_resource(show_spinner=False, max_entries=5_000)
def families(path: str, entry: int, name: str) -> str:
    """The most changed feature families of an entry as bars, each with a mark at the screen's typical entry."""
    profiles = opened(path).profiles
    if profiles is None:
        return ""
    table = usual_changes(path).most_changed(profiles[entry], N_FAMILIES)
    widest = max(float(table["change"].max()), float(table["typical"].max()), 1e-9)
    rows = "".join(
        f'<tr title="{escape(_told(row))}"><th scope="row">{escape(str(row.family))}</th><td class="bar">'
        f'<i style="width: {100 * row.change / widest:.1f}%; background: {plots.channel_colour(row.channel)}"></i>'
        f'<b style="left: {100 * row.typical / widest:.1f}%"></b></td><td>{row.change:.2f}</td></tr>'
        for row in table.itertuples())
    return (f'<table class="dssl-bars"><caption>Most changed feature families of {escape(words.shortened(name, 60))}. '
            "Bar: change (root mean square of normalised features); mark: the screen's typical entry.</caption>"
            f"<tbody>{rows}</tbody></table>")


def _told(row: object) -> str:
    told = {name: getattr(row, name) for name in ("typical", "percentile", "share_up", "n_features")}
    return (f"typical {told['typical']:.2f}; changes more than {told['percentile']:.0f} % of entries; "
            f"{100 * told['share_up']:.0f} % of its {told['n_features']} features rose")
