"""Hits as cards: cells beside untreated ones, or changed features; where a hit comes from, and how sure it is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from dssl_bio.app import cards, kept, plots, words
from dssl_bio.app.query import listed, value
from dssl_bio.app.resources import cell_counts, opened, tables, usual_changes
from streamlit.delta_generator import DeltaGenerator

from dssl_bio.imaging.compose import colour_of, composite, enlarged, png, scale_bar_um, with_scale_bar
from dssl_bio.retrieval.pictures import control_picture, entry_picture
from dssl_bio.retrieval.tables import Tables
from dssl_bio.retrieval.wells import FEW_CELLS, annotations_of
from dssl_bio.screens.entries import ENTRY_KEY, N_WELLS
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, MOA, MOLECULE_ID, PLATE, WELL

if TYPE_CHECKING:
    from dssl_bio.retrieval.search import Hit

SHOWN_PX = 160  # the browser enlarges it: twelve pictures a page would cost half a second of drawing otherwise
N_FAMILIES = 8
MAX_ANNOTATIONS, MAX_ANNOTATION = 6, 32
"""The screen's own columns that a card shows; long texts, such as scaffolds, are no label."""


class Display(NamedTuple):
    """Which channels are laid over each other, how bright, and how much of the picture."""

    shown: tuple[str, ...]
    brightness: float
    zoom: int


def name_of(entry: pd.Series) -> str:
    """An entry's compound, else its molecule, else its key."""
    return value(entry, COMPOUND) or value(entry, MOLECULE_ID) or str(entry[ENTRY_KEY])


def display_settings(bundle: Tables, width_px: int) -> Display:
    """Asks which channels are shown, how bright, and how near."""
    channels = bundle.channels
    left, middle, right = st.columns([2.6, 1.2, 1.2], vertical_alignment="center")
    shown = left.pills("Channels", channels, selection_mode="multi", default=list(channels), key="channels")
    brightness = middle.slider("Brightness", 0.4, 3.0, 1.0, 0.1, key="brightness",
                               help="The same factor for all pictures, so that they stay comparable.")
    zoom = right.select_slider("Zoom", [1, 2, 4], 1, key="zoom", format_func=lambda factor: f"{factor}x",
                               help="The middle of every picture, enlarged.")
    keys = [(name, colour_of(name, channels)) for name in channels]
    alone = " A channel alone is shown in grey." if len(shown) == 1 else ""
    bar = f"bar {scale_bar_um(width_px // zoom, bundle.pixel_size_um):g} µm.{alone}" if bundle.pixel_size_um > 0 else ""
    st.html(cards.channel_key(keys) + f'<span class="dssl-key">{bar}</span>')
    return Display(tuple(name for name in channels if name in shown), brightness, zoom)


def hit_card(path: str, hit: "Hit", own: bool, display: Display | None) -> None:
    """One hit."""
    bundle, own_tables = opened(path), tables(path)
    entry = own_tables.entries.iloc[hit.entry]
    name = name_of(entry)
    with st.container(border=True):
        if display is not None:
            treated, control, text = st.columns([1, 1, 1.25])
            pictures(path, hit.entry, name, display, treated, control)
        else:
            text, plot = st.columns([1, 1.6])
            with plot:
                family_plot(path, hit.entry, name)
        share = cell_share(path, hit.entry)
        tags = [(value(entry, MOA), ""), ("the molecule itself" if own else "", "own"),
                ("few cells" if share == share and share < FEW_CELLS else "", "warn")]
        with text:
            st.html(cards.title(words.shortened(name, 80), hit.rank, tags) + cards.facts([
                *facts_of_entry(path, hit.entry), ("Cosine", f"{hit.score:.3f}"),
                ("p", words.p_text(hit.p, bundle.null)), ("q", words.q_text(hit, bundle.null)),
            ], {"Cosine": words.COSINE, "p": words.P, "q": words.Q, "Cells": words.CELLS}))
            kept.keep_button(path, hit.entry, name, hit.score)


def facts_of_entry(path: str, number: int) -> list[tuple[str, str]]:
    """Dose, place, cell count and the screen's own annotations of an entry."""
    bundle = tables(path)
    entry = bundle.entries.iloc[number]
    dose = words.dose_text(float(entry[DOSE_UM])) if DOSE_UM in entry and not pd.isna(entry[DOSE_UM]) else ""
    n_wells = int(entry[N_WELLS])
    own = [] if bundle.wells is None else [pair for pair in annotations_of(bundle.wells, number)
                                           if len(pair[1]) <= MAX_ANNOTATION][:MAX_ANNOTATIONS]
    return [("Dose", dose), ("Plate", listed(entry, PLATE)), ("Well", listed(entry, WELL)),
            ("Joined from", f"{n_wells} wells" if n_wells > 1 else ""),
            ("Cells", words.cells_text(cell_share(path, number))),
            *own]


def cell_share(path: str, entry: int) -> float:
    """Cells of an entry as a share of its plates' controls; nan where the screen did not count them."""
    counts = cell_counts(path)
    return float("nan") if counts is None else float(counts[entry])


def pictures(path: str, entry: int, name: str, display: Display, treated: DeltaGenerator,
             control: DeltaGenerator) -> None:
    """An entry's cells in one place and untreated cells of the same plate in another."""
    bundle = opened(path)
    picture = entry_picture(bundle, entry)
    if picture is None:
        return
    with treated:
        _cells(path, "entry", entry, "", display, f"treated, {picture.place}" if picture.place else "treated",
               f"Cells treated with {words.shortened(name)}")
    beside = control_picture(bundle, picture.plate)
    with control:
        if beside is None:
            st.caption("No untreated well of this plate has a picture.")
        else:
            _cells(path, "control", -1, picture.plate, display,
                   f"negative control, {beside.place}" if beside.place else "negative control",
                   f"Untreated cells of the same plate, {beside.place}")


def family_plot(path: str, entry: int, name: str) -> None:
    """The most changed feature families of an entry."""
    bundle = opened(path)
    if bundle.profiles is None:
        return
    table = usual_changes(path).most_changed(bundle.profiles[entry], N_FAMILIES)
    st.plotly_chart(plots.families(table), config=plots.STILL, key=f"families_{entry}",
                    alt=f"Most changed feature families of {words.shortened(name)}: " + ", ".join(table["family"]))
    st.caption("Most changed feature families; the mark is where the screen's entries typically are.")


@st.cache_resource(show_spinner=False, max_entries=2_000)
def picture_png(path: str, kind: str, entry: int, plate: str, channels: Sequence[str], display: Display) -> bytes:
    """A picture as it is shown, with its scale bar; kept, since several people look at the same ones."""
    bundle = opened(path)
    picture = entry_picture(bundle, entry) if kind == "entry" else control_picture(bundle, plate)
    assert picture is not None
    pixels = _middle(picture.pixels, display.zoom)
    rgb = enlarged(composite(pixels, channels, display.shown, display.brightness), SHOWN_PX)
    size = tables(path).pixel_size_um
    if size > 0:
        rgb = with_scale_bar(rgb, size * pixels.shape[2] / rgb.shape[1])
    return png(rgb)


def _cells(path: str, kind: str, entry: int, plate: str, display: Display, caption: str, alt: str) -> None:
    st.image(picture_png(path, kind, entry, plate, tables(path).channels, display), width="stretch",
             output_format="PNG", alt=alt)
    st.caption(words.plain(caption))


def _middle(pixels: np.ndarray, zoom: int) -> np.ndarray:
    height, width = (length // zoom for length in pixels.shape[1:])
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    return pixels[:, top:top + height, left:left + width]
