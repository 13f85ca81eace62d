"""The question at the top of a page: a molecule, a dose, how many hits; and the address that carries it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import streamlit as st
from dssl_bio.app import words
from dssl_bio.app.resources import standardizer
from streamlit.delta_generator import DeltaGenerator

from dssl_bio.chem.standardize import MAX_CHARACTERS
from dssl_bio.chem.standardize_many import Question
from dssl_bio.errors import DsslBioError, MoleculeError
from dssl_bio.retrieval.lookup import examples
from dssl_bio.retrieval.tables import IN_SCREEN, SPLIT, Tables
from dssl_bio.vocabulary import COMPOUND, DOSE_UM

MOLECULE, DOSE, TOP = "molecule", "dose", "top"
DEFAULT_TOP, MAX_TOP = 6, 50
MAX_DOSES = 24
N_EXAMPLES = 6
MAX_PASTED = 500
PLACEHOLDER = "SMILES, or a name or InChIKey of this screen"


def asked() -> str:
    """The molecule that the address names, cut one character beyond what is accepted so that it is refused there."""
    return st.query_params.get(MOLECULE, "").strip()[:MAX_CHARACTERS + 1]


def ask(text: str) -> None:
    """Puts a molecule into the address and asks it."""
    st.query_params[MOLECULE] = text.strip()
    st.rerun()


def several(text: str) -> list[str]:
    """The molecules of a text that holds several of them, such as a pasted column; nothing where it is one question."""
    pieces = [piece for piece in re.split(r"[\s;,]+", text) if piece]
    if not 2 <= len(pieces) <= MAX_PASTED:
        return []
    outcomes = list(standardizer().standardized(map(Question, pieces)))
    return [] if any(isinstance(outcome, MoleculeError) for outcome in outcomes) else pieces


def form(bundle: Tables) -> None:
    """Asks for a molecule; the answer stands in the address, so that it can be shared and reloaded."""
    with st.form("query", border=False):
        doses = doses_of(bundle)
        places = iter(st.columns([5, *([1.3] if doses else []), 1, 1], vertical_alignment="bottom"))
        typed = next(places).text_input("Molecule", value=st.query_params.get(MOLECULE, "")[:MAX_CHARACTERS],
                                        max_chars=MAX_CHARACTERS, placeholder=PLACEHOLDER)
        chosen = dose_box(next(places), doses, _place(doses, st.query_params.get(DOSE))) if doses else None
        count = next(places).number_input("Hits", 1, MAX_TOP, top_k())
        if next(places).form_submit_button("Search", type="primary", width="stretch"):
            st.query_params.update({MOLECULE: typed.strip(), TOP: str(int(count))})
            st.query_params.pop(DOSE, None)
            if chosen is not None:
                st.query_params[DOSE] = f"{chosen:g}"
            st.rerun()


def dose_box(place: DeltaGenerator, doses: list[float], index: int = 0) -> float | None:
    """Asks for a dose, or none."""
    return place.selectbox("Dose", [None, *doses], index=index,
                           format_func=lambda value: "any" if value is None else words.dose_text(value),
                           help="Compares with each molecule's dose nearest to this one.")


def offered(bundle: Tables) -> None:
    """Molecules of the screen to begin with."""
    found = _examples(str(bundle.folder), bundle)
    if not found:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Examples that were not in training:" if _held_out(bundle, len(found)) else "Examples:",
                   width="content")
        for label, example in found:
            if st.button(words.plain(words.shortened(label, 40)), key=f"example_{example}", type="secondary"):
                ask(example)


def pictured_examples(bundle: Tables, n: int) -> list[tuple[int, str]]:
    """The first n examples with an entry each, at their highest dose, and how a caption calls it."""
    shown: list[tuple[int, str]] = []
    if COMPOUND not in bundle.entries:
        return shown
    for label, text in _examples(str(bundle.folder), bundle)[:n]:
        own = bundle.entries[(bundle.entries[COMPOUND] == text).to_numpy(bool)]
        if len(own):
            best = own.sort_values(DOSE_UM).iloc[-1] if DOSE_UM in own else own.iloc[0]
            dose = words.dose_text(float(best[DOSE_UM])) if DOSE_UM in own else ""
            shown.append((int(best.name), f"{label} {dose}".strip()))
    return shown


def dose_um(bundle: Tables) -> float | None:
    """The dose that the address names, where the screen has it."""
    doses = doses_of(bundle)
    return ([None, *doses])[_place(doses, st.query_params.get(DOSE))]


def top_k() -> int:
    """How many hits the address asks for."""
    given = st.query_params.get(TOP)
    return min(MAX_TOP, max(1, int(given))) if given and given.isascii() and given.isdigit() else DEFAULT_TOP


def doses_of(bundle: Tables) -> list[float]:
    """Doses of the screen, ascending."""
    if DOSE_UM not in bundle.entries:
        return []
    return sorted(float(value) for value in bundle.entries[DOSE_UM].dropna().unique())[:MAX_DOSES]


@contextmanager
def sentences() -> Iterator[None]:
    """What is wrong with a question, or with a bundle, is said in a sentence; the rest of the page is left out."""
    try:
        yield
    except DsslBioError as error:
        st.error(words.sentence(error))
        st.stop()


def value(row: pd.Series, column: str) -> str:
    """A cell as text; nothing where it is missing."""
    return "" if column not in row or pd.isna(row[column]) else str(row[column])


def listed(row: pd.Series, column: str) -> str:
    """The plates or wells that an entry joins."""
    return ", ".join(value(row, column).split(";"))


@st.cache_resource(show_spinner=False, max_entries=8)
def _examples(path: str, _bundle: Tables) -> list[tuple[str, str]]:
    return examples(_bundle, N_EXAMPLES)


def _place(doses: list[float], given: str | None) -> int:
    return next((i + 1 for i, dose in enumerate(doses) if given == f"{dose:g}"), 0)


def _held_out(bundle: Tables, n: int) -> bool:
    """Whether the first n examples can all be molecules that the model was not trained on."""
    return int((bundle.molecules[IN_SCREEN] & (bundle.molecules[SPLIT] != "train")).sum()) >= n
