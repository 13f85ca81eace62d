"""Pieces of pages: every text goes through `escape` before it becomes HTML."""

import base64
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
import streamlit as st
from dssl_bio.app import words
from dssl_bio.app.resources import BUNDLE_PARAMETER, chosen_name, dark, served, tables

from dssl_bio.chem.depict import svg
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import DsslBioError, MoleculeError
from dssl_bio.imaging.compose import composite, png
from dssl_bio.retrieval.tables import Tables
from dssl_bio.vocabulary import CHANNELS

STYLE = f"<style>{(Path(__file__).parent / 'style.css').read_text(encoding='utf-8')}</style>"

LIGHT = """
<style>
  [data-testid="stCaptionContainer"] p { color: #55616b; }
</style>
"""
DARK = """
<style>
  [data-testid="stCaptionContainer"] p { color: #a9b4bc; }
  /* White on the light teal of the dark theme cannot be read. */
  button[kind^="primary"] p, button[kind^="primary"] span { color: #06252a; }
  /* Streamlit darkens a button that is pointed at, until its text cannot be read. */
  button[kind^="primary"]:hover, button[kind^="primary"]:active, button[kind^="primary"]:focus-visible {
    background-color: #6fd3d8; border-color: #6fd3d8; }
</style>
"""


def favicon() -> str:
    """Five overlapping discs in the colours of the channels, as a data address."""
    rows, columns = np.mgrid[0:64, 0:64]
    angles = np.linspace(0, 2 * np.pi, len(CHANNELS), endpoint=False) - np.pi / 2
    discs = [np.hypot(rows - 32 - 14 * np.sin(a), columns - 32 - 14 * np.cos(a)) < 17 for a in angles]
    picture = composite(np.stack(discs).astype(np.uint8) * 255, CHANNELS)
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()


def begin(title: str, explanation: str) -> tuple[Tables, str]:
    """The head of a page, and the bundle it shows (with its path); stops the page when there is none to show."""
    st.html(STYLE + (DARK if dark() else LIGHT))
    names = list(served())
    if not names:
        st.error("No bundle is served. Start with: dssl\\-bio serve BUNDLE")
        st.stop()
    name = chosen_name()
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.title(title, anchor=False)
    if len(names) > 1:
        name = right.selectbox("Bundle", names, index=names.index(name), key=f"choose_{title}")
        st.session_state[BUNDLE_PARAMETER] = name
    path = str(served()[name])
    try:
        bundle = tables(path)
    except DsslBioError as error:
        st.error(words.sentence(error))
        st.stop()
    st.query_params[BUNDLE_PARAMETER] = name
    st.markdown(explanation)
    if sentence := words.origin_sentence(bundle):
        label = "SIMULATED" if bundle.simulated else "NOTE"
        st.html(f'<div class="dssl-banner" role="note"><b>{label}</b>&ensp;{escape(sentence)}</div>')
    return bundle, path


def facts(pairs: Sequence[tuple[str, str]], help_texts: dict[str, str] | None = None) -> str:
    """A list of names and values; a name with a help text tells it when pointed at. Empty values are left out."""
    rows = []
    for name, value in pairs:
        if value:
            label = escape(name)
            if help_texts and name in help_texts:
                label = f'<abbr title="{escape(help_texts[name])}">{label}</abbr>'
            rows.append(f"<dt>{label}</dt><dd>{escape(value)}</dd>")
    return f'<dl class="dssl-facts">{"".join(rows)}</dl>'


def figures(pairs: Sequence[tuple[str, str]], help_texts: dict[str, str] | None = None) -> str:
    """A few numbers in large type, each with its label; a label with a help text tells it when pointed at."""
    shown = []
    for label, number in pairs:
        told = (help_texts or {}).get(label, "")
        name = f'<abbr title="{escape(told)}">{escape(label)}</abbr>' if told else escape(label)
        shown.append(f"<div><dt>{name}</dt><dd>{escape(number)}</dd></div>")
    return f'<dl class="dssl-figures">{"".join(shown)}</dl>'


def title(name: str, rank: int | None = None, tags: Sequence[tuple[str, str]] = ()) -> str:
    """A card's title with its rank and tags, each a (text, class)."""
    first = "" if rank is None else f'<span class="rank">#{rank}</span>'
    labels = "".join(f'<span class="dssl-tag {escape(kind)}">{escape(text)}</span>' for text, kind in tags if text)
    return f'<div class="dssl-title">{first}<span class="name">{escape(name)}</span>{labels}</div>'


def structure(molecule: Molecule, name: str, width: int = 320, height: int = 210) -> None:
    """A molecule's drawing, or a sentence that it cannot be drawn."""
    st.html(drawing(molecule, name, width, height))


def drawing(molecule: Molecule, name: str, width: int = 320, height: int = 210) -> str:
    """A molecule's drawing as HTML, or a sentence that it cannot be drawn."""
    address = _drawn(molecule, width, height, dark())
    if not address:
        return "<p>This molecule cannot be drawn.</p>"
    told = escape(words.spoken(words.shortened(name)))
    return (f'<img class="dssl-drawing" src="{address}" alt="Structure of {told}" width="{width}" '
            f'height="{height}">')


@lru_cache(maxsize=4_096)
def _drawn(molecule: Molecule, width: int, height: int, on_dark: bool) -> str:
    """A drawing as a data address; in an image no script of it could run."""
    try:
        text = svg(molecule, width, height, dark=on_dark)
    except MoleculeError:
        return ""
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def table(caption: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> str:
    """A small table as HTML, which every reader of pages can read; columns are (title, help text)."""
    head = "".join(f'<th scope="col"><abbr title="{escape(told)}">{escape(title)}</abbr></th>' if told else
                   f'<th scope="col">{escape(title)}</th>' for title, told in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (f'<div class="dssl-scroll"><table class="dssl-table"><caption>{escape(caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def links(inchikey: str) -> str:
    """Where public databases show a molecule; links only, nothing is fetched."""
    places = [("PubChem", f"https://pubchem.ncbi.nlm.nih.gov/#query={quote(inchikey)}"),
              ("UniChem", f"https://www.ebi.ac.uk/unichem/compoundsources?type=inchikey&compound={quote(inchikey)}")]
    shown = "".join(f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{name}</a>'
                    for name, address in places)
    return f'<div class="dssl-links">Look up: {shown}</div>'


def channel_key(colours: Sequence[tuple[str, tuple[int, int, int]]]) -> str:
    """Which colour is which channel."""
    return "".join(f'<span class="dssl-key"><i style="background: rgb{colour}"></i>{escape(name)}</span>'
                   for name, colour in colours)
