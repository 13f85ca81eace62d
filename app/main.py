"""The application's frame: title, navigation, and the pages in their order."""

from pathlib import Path

import streamlit as st
from dssl_bio.app import login
from dssl_bio.app.cards import favicon
from dssl_bio.app.resources import first_page, in_turn

PAGES = Path(__file__).parent / "app_pages"

# A picture of ours: Streamlit would fetch a named icon from the network.
st.set_page_config(page_title="DSSL-Bio", page_icon=favicon(), layout="wide")
login.gate()
page = st.navigation([
    st.Page(PAGES / "molecule_to_phenotypes.py", title="Molecule to phenotypes", icon=":material/search:",
            default=True),
    st.Page(PAGES / "phenotype_to_molecules.py", title="Phenotype to molecules", icon=":material/grid_view:"),
    st.Page(PAGES / "compare.py", title="Compare", icon=":material/compare_arrows:"),
    st.Page(PAGES / "counterfactual.py", title="Counterfactual", icon=":material/alt_route:"),
    st.Page(PAGES / "explore.py", title="Explore", icon=":material/scatter_plot:"),
    st.Page(PAGES / "batch.py", title="Batch", icon=":material/table_rows:"),
    st.Page(PAGES / "kept_hits.py", title="Kept hits", icon=":material/bookmark:"),
    st.Page(PAGES / "model_card.py", title="Model card", icon=":material/description:"),
], position="top")
with in_turn():
    page.run()
first_page.set()
