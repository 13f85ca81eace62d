"""What the pages share: the bundles that are served, the one that is looked at, and answers kept while in use.

Nothing here imports the network at the top: a page is drawn from a bundle's tables while `warm` loads the rest.
"""

import gc
import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from dssl_bio.app.later import Later
from dssl_bio.app.served import bundles_of_server
from dssl_bio.app.turns import Turns
from numpy.typing import NDArray

from dssl_bio.errors import DsslBioError
from dssl_bio.retrieval.answer import Answer
from dssl_bio.retrieval.tables import Tables

if TYPE_CHECKING:
    from dssl_bio.chem.standardize_many import Standardizer
    from dssl_bio.learning.representation import SharedSpecific
    from dssl_bio.retrieval.applicability import Trained
    from dssl_bio.retrieval.bundle import Bundle
    from dssl_bio.retrieval.explore import Method, Space
    from dssl_bio.retrieval.families import Usual
    from dssl_bio.retrieval.reverse import MoleculeHit
    from dssl_bio.retrieval.search import Searcher

logger = logging.getLogger(__name__)

BUNDLE_PARAMETER = "bundle"
TIME_LIMIT_S = 5.0
FIRST_PAGE_S = 4.0

_ready: set[str] = set()
_turns = Turns()

first_page = threading.Event()
"""Set when a page was shown: until then nothing heavy is loaded beside it."""


def served() -> dict[str, Path]:
    """The bundles of this server by the name a page shows."""
    return bundles_of_server()


def chosen_name() -> str:
    """The bundle that the address names, else the one looked at last, else the first."""
    names = list(served())
    wanted = st.query_params.get(BUNDLE_PARAMETER) or st.session_state.get(BUNDLE_PARAMETER, "")
    name = wanted if wanted in names else names[0]
    st.session_state[BUNDLE_PARAMETER] = name
    return name


@st.cache_resource(show_spinner=False, max_entries=8)
def tables(path: str) -> Tables:
    """A bundle's tables, read once for all sessions; never changed."""
    return Tables.open(Path(path))


@st.cache_resource(show_spinner=False, max_entries=8)
def opened(path: str) -> "Bundle":
    """A bundle with its model, verified and opened once for all sessions; never changed."""
    from dssl_bio.retrieval.bundle import Bundle

    bundle = Bundle.open(Path(path))
    bundle.index  # noqa: B018 - built now rather than during somebody's first query
    settle()
    return bundle


@st.cache_resource(show_spinner=False)
def standardizer() -> "Standardizer":
    """Two processes that standardise what people type; they live as long as the server."""
    from dssl_bio.chem.standardize_many import Standardizer

    return Standardizer(n_workers=2, time_limit_s=TIME_LIMIT_S).__enter__()


@st.cache_resource(show_spinner=False, max_entries=32)
def searcher(path: str, dose_um: float | None) -> "Searcher":
    """Searches all entries, or those at the doses nearest to one."""
    from dssl_bio.retrieval.search import Searcher

    return Searcher(opened(path), dose_um)


@st.cache_resource(show_spinner=False, max_entries=8)
def typical_profiles(path: str) -> NDArray[np.float32]:
    """Profiles with which one is compared."""
    from dssl_bio.retrieval.families import typical_entries

    profiles = opened(path).profiles
    assert profiles is not None
    return typical_entries(profiles)


@st.cache_resource(show_spinner=False, max_entries=8)
def usual_changes(path: str) -> "Usual":
    """How much each feature family usually changes in a bundle's screen."""
    from dssl_bio.retrieval.families import Usual

    return Usual.of(tables(path).features, typical_profiles(path))


@st.cache_resource(show_spinner=False, max_entries=8)
def cell_counts(path: str) -> NDArray[np.float64] | None:
    """Cells of each entry relative to its plates' controls, where the screen counted them."""
    from dssl_bio.retrieval.wells import relative_cell_count

    own = tables(path)
    return None if own.wells is None else relative_cell_count(own.wells, len(own.entries))


@st.cache_resource(show_spinner=False, max_entries=512)
def answer(path: str, text: str, dose_um: float | None, top_k: int) -> Answer:
    """The hits of a typed molecule, kept while other widgets of the page are moved.

    Raises:
        DsslBioError: the text is no molecule, or the dose cannot be searched.
    """
    from dssl_bio.retrieval.answer import answer as answer_of
    from dssl_bio.retrieval.lookup import identify

    identified = identify(tables(path), text, standardizer())  # says what is wrong before the model is waited for
    return answer_of(searcher(path, dose_um), identified, top_k)


@st.cache_resource(show_spinner=False, max_entries=512)
def searched_molecules(path: str, vector: bytes, top_k: int) -> "list[MoleculeHit]":
    """The molecules nearest to a phenotype, given as the bytes of its shared vector."""
    from dssl_bio.retrieval.reverse import molecules_of

    return molecules_of(opened(path), np.frombuffer(vector, dtype=np.float32), top_k)


@st.cache_resource(show_spinner=False, max_entries=32)
def mapped(path: str, space: "Space", method: "Method") -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """A space as points on a plane; laid out once for all sessions."""
    from dssl_bio.retrieval.explore import plane, points

    table, vectors = points(opened(path), space)
    return table, plane(vectors, method)


@st.cache_resource(show_spinner=False, max_entries=8)
def comparing(path: str) -> "Later[Trained]":
    """A bundle's training molecules, being compared with each other: half a minute for a hundred thousand."""
    from dssl_bio.retrieval.applicability import Trained

    return Later(lambda: Trained.of(tables(path).molecules))


def trained(path: str) -> "Trained":
    """A bundle's training molecules, compared with each other once; waited for."""
    found = comparing(path).value(wait_s=threading.TIMEOUT_MAX)
    assert found is not None
    return found


def trust(path: str, smiles: str, inchikey: str) -> tuple[str, str]:
    """How like the training molecules a molecule is and what recall to expect there: a sentence, and the figures."""
    from dssl_bio.app.words import COMPARING, plain

    try:
        return _trust(path, smiles, inchikey) if comparing(path).value() is not None else (COMPARING, "")
    except DsslBioError as error:
        return plain(str(error)), ""


@st.cache_resource(show_spinner=False, max_entries=512)
def _trust(path: str, smiles: str, inchikey: str) -> tuple[str, str]:
    from dssl_bio.app.words import nearness

    from dssl_bio.chem.standardize import Molecule
    from dssl_bio.retrieval.applicability import applicability, read_expected

    bundle = tables(path)
    expected = read_expected(bundle.folder)
    found = applicability(Molecule(smiles, inchikey), bundle.molecules, expected, trained(path))
    return nearness(found, expected), found.words


@st.cache_resource(show_spinner=False, max_entries=8)
def pairs_of(path: str) -> "SharedSpecific":
    """Cosines of random pairs of the library, with which a pair is compared."""
    from dssl_bio.retrieval.compare import random_pairs

    return random_pairs(opened(path))


@contextmanager
def waiting(path: str) -> Iterator[None]:
    """Shows that a page is at work, and after a start why it takes a few seconds."""
    with st.spinner("Searching" if path in _ready else "Loading the model, once after a start"):
        yield
        _ready.add(path)


def in_turn() -> AbstractContextManager[object]:
    """Has pages made a few at a time; at once while no model is loaded, for then a page waits and does not work."""
    return _turns.turn() if _ready else nullcontext()


def settle() -> None:
    """Takes what is loaded, and stays, out of the sight of the garbage collector.

    Streamlit collects after every run of a page. Among a million objects of the imported libraries that took a quarter
    of a second of processor, more than the page itself.
    """
    gc.collect()
    gc.freeze()


def warm() -> None:
    """Loads what pages need, then, once a page was shown, what queries need."""
    from dssl_bio.app import cards, plots  # noqa: F401 - imported for the pages to come

    paths = [str(path) for path in served().values()]
    try:
        for path in paths:
            tables(path)
        standardizer()
        first_page.wait(FIRST_PAGE_S)
        for path in paths[:1]:
            molecule = answer(path, "c1ccccc1", None, 1).identified.molecule
            _ready.add(path)
            trust(path, molecule.smiles, molecule.inchikey)
        settle()
    except DsslBioError as error:
        logger.warning("%s", error)  # whoever opens the page reads it there


def dark() -> bool:
    """True when the page is dark."""
    return st.context.theme.type == "dark"
