"""Pieces of pages: every text goes through `escape` before it becomes HTML."""

import base64
from collections.abc import Sequence
from html import escape
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

STYLE = """
<style>
  .stMainBlockContainer h2 { font-size: 1.45rem; padding: .4rem 0 .3rem; }
  .stMainBlockContainer { max-width: 1320px; padding-top: 4.2rem; }
  .dssl-banner { border-left: 4px solid #e69f00; background: color-mix(in srgb, #e69f00 13%, transparent);
    padding: .55rem .9rem; border-radius: 0 .5rem .5rem 0; font-size: .93rem; }
  .dssl-banner b { letter-spacing: .02em; }
  [data-testid="stCaptionContainer"] { opacity: 1; }  /* its colour below is told outright, so that it can be judged */
  dl.dssl-facts { padding: 0 !important; margin: .3rem 0 0 !important; }
  .dssl-facts { display: grid; grid-template-columns: max-content 1fr; gap: .18rem .9rem;
    font-size: .9rem; }
  .dssl-facts dt { color: color-mix(in srgb, currentColor 72%, transparent); }
  .dssl-facts dt, .dssl-facts dd { margin: 0 !important; padding: 0 !important; }
  .dssl-facts dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
  .dssl-facts abbr { text-decoration: underline dotted; text-underline-offset: 3px; cursor: help; }
  .dssl-figures { display: flex; flex-wrap: wrap; gap: .6rem 2.4rem; margin: .2rem 0 !important;
    padding: 0 !important; }
  .dssl-figures dt { font-size: .85rem; color: color-mix(in srgb, currentColor 72%, transparent); }
  .dssl-figures dd { font-size: 1.45rem; margin: 0 !important; padding: 0 !important; line-height: 1.25;
    font-variant-numeric: tabular-nums; }
  .dssl-figures abbr { text-decoration: underline dotted; text-underline-offset: 3px; cursor: help; }
  .dssl-title { display: flex; align-items: baseline; gap: .55rem; flex-wrap: wrap; }
  .dssl-title .rank { font-variant-numeric: tabular-nums; font-size: .85rem;
    color: color-mix(in srgb, currentColor 72%, transparent); }
  .dssl-title .name { font-size: 1.08rem; font-weight: 600; overflow-wrap: anywhere; }
  .dssl-tag { display: inline-block; font-size: .8rem; padding: .08rem .55rem; border-radius: 1rem;
    border: 1px solid color-mix(in srgb, currentColor 28%, transparent); }
  .dssl-tag.own { border-color: #009e73; background: color-mix(in srgb, #009e73 16%, transparent); }
  .dssl-tag.warn { border-color: #d55e00; background: color-mix(in srgb, #d55e00 16%, transparent); }
  .dssl-links { font-size: .85rem; margin-top: .35rem; }
  .dssl-links a { margin-right: .8rem; color: inherit; text-decoration: underline; }
  .dssl-key { display: inline-flex; align-items: center; gap: .35rem; font-size: .85rem; margin-right: .9rem; }
  .dssl-key i { width: .8rem; height: .8rem; border-radius: .2rem; display: inline-block; }
</style>
"""


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
    try:
        st.image(svg(molecule, width, height, dark=dark()), alt=f"Structure of {words.shortened(name)}")
    except MoleculeError as error:
        st.caption(words.plain(str(error)))


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
