"""What the pages share: the bundles that are served, the one that is looked at, and answers kept while in use."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.learning.representation import SharedSpecific
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.families import typical_entries
from dssl_bio.retrieval.lookup import Identified, identify
from dssl_bio.retrieval.search import Hit, Searcher

BUNDLES_VARIABLE = "DSSL_BIO_BUNDLES"
BUNDLE_PARAMETER = "bundle"
TIME_LIMIT_S = 5.0


@dataclass(frozen=True)
class Answer:
    """A query with everything a page shows of it.

    Attributes:
        identified: the molecule and what is known of it.
        vectors: its representations, one row.
        hits: best entries.
        gallery: rows of the entries that were searched.
        searched: their shared vectors.
    """

    identified: Identified
    vectors: SharedSpecific
    hits: list[Hit]
    gallery: NDArray[np.int64]
    searched: NDArray[np.float32]


def served() -> dict[str, Path]:
    """The bundles of this server by the name a page shows; two of one name are told apart by a number."""
    paths = [Path(text) for text in os.environ.get(BUNDLES_VARIABLE, "").split(os.pathsep) if text]
    seen: Counter[str] = Counter()
    named = {}
    for path in paths:
        seen[path.name] += 1
        named[path.name if seen[path.name] == 1 else f"{path.name} ({seen[path.name]})"] = path
    return named


def chosen_name() -> str:
    """The bundle that the address names, else the one looked at last, else the first."""
    names = list(served())
    wanted = st.query_params.get(BUNDLE_PARAMETER) or st.session_state.get(BUNDLE_PARAMETER, "")
    name = wanted if wanted in names else names[0]
    st.session_state[BUNDLE_PARAMETER] = name
    return name


@st.cache_resource(show_spinner="Opening the bundle", max_entries=8)
def opened(path: str) -> Bundle:
    """A bundle, verified and opened once for all sessions; never changed."""
    bundle = Bundle.open(Path(path))
    bundle.index  # noqa: B018 - built now rather than during somebody's first query
    return bundle


@st.cache_resource(show_spinner=False)
def standardizer() -> Standardizer:
    """Two processes that standardise what people type; they live as long as the server."""
    return Standardizer(n_workers=2, time_limit_s=TIME_LIMIT_S).__enter__()


@st.cache_resource(show_spinner=False, max_entries=32)
def searcher(path: str, dose_um: float | None) -> Searcher:
    """Searches all entries, or those at the doses nearest to one."""
    return Searcher(opened(path), dose_um)


@st.cache_resource(show_spinner=False, max_entries=8)
def typical_profiles(path: str) -> NDArray[np.float32]:
    """Profiles with which one is compared."""
    profiles = opened(path).profiles
    assert profiles is not None
    return typical_entries(profiles)


@st.cache_resource(show_spinner="Searching", max_entries=512)
def answer(path: str, text: str, dose_um: float | None, top_k: int) -> Answer:
    """The hits of a typed molecule, kept while other widgets of the page are moved.

    Raises:
        DsslBioError: the text is no molecule, or the dose cannot be searched.
    """
    bundle, search = opened(path), searcher(path, dose_um)
    identified = identify(bundle, text, standardizer())
    vectors = bundle.run.embed_molecules([identified.molecule])
    gallery = search.gallery
    return Answer(identified, vectors, search.hits(vectors.shared, top_k)[0], gallery, bundle.vectors.shared[gallery])


def dark() -> bool:
    """True when the page is dark."""
    return st.context.theme.type == "dark"
