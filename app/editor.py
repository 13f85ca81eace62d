"""A molecule editor in the page, where the package that bundles it is installed; typing always works."""

import importlib.util

import streamlit as st
from dssl_bio.app import query

INSTALLED = importlib.util.find_spec("streamlit_jsme") is not None
DRAWN, LAST = "drawn", "last_structure"
HEIGHT_PX = 380


def editor() -> None:
    """Offers to draw the molecule; what is applied is asked. Its 1 MB is sent only to those who draw."""
    if not INSTALLED or not st.toggle("Draw the molecule", key="draw"):
        return
    from streamlit_jsme import st_jsme

    st.caption("Draw, then press Apply. To draw from a structure that was searched, search it first.")
    drawn = st_jsme(st.session_state.get(LAST, ""), height=HEIGHT_PX, key="editor")
    if drawn and drawn != st.session_state.get(DRAWN):
        st.session_state[DRAWN] = drawn
        query.ask(drawn)


def remember(smiles: str) -> None:
    """The structure that the editor starts from."""
    st.session_state[LAST] = smiles
