"""Molecules alike: by what cells show too, and by what only the structure tells."""

import pandas as pd
import streamlit as st
from dssl_bio.app import cards, plots, words
from dssl_bio.app.query import value
from dssl_bio.app.resources import Answer, opened

from dssl_bio.chem.standardize import Molecule
from dssl_bio.retrieval.neighbours import (
    SHARED_COSINE,
    SPECIFIC_COSINE,
    TANIMOTO,
    Space,
    cosines_with_library,
    nearest,
)
from dssl_bio.vocabulary import COMPOUND, INCHIKEY, MOA, MOLECULE_ID, SMILES

LISTED = 6
SPACES: dict[Space, str] = {"specific": "Specific", "shared": "Shared"}


def neighbours(path: str, found: Answer) -> None:
    """Molecules that resemble this one in what only molecules show, against what cells show too."""
    molecule = found.identified.molecule
    table = cosines_with_library(opened(path), found.vectors, molecule.id)
    if table.empty:
        return
    st.header("Molecules alike", anchor=False)
    st.markdown("The model keeps two descriptions of a molecule: a **shared** one, what cells can show of it, and a "
                "**specific** one, what only the structure tells. Alike in the first: expect a similar phenotype. "
                "Alike in the second only: a relative on paper.")
    space: Space = st.segmented_control("Nearest by", list(SPACES), default="specific", format_func=SPACES.__getitem__,
                                        required=True, key="alike_by") or "specific"
    near = nearest(table, space, molecule, LISTED)
    _list(near, space)
    first = near[MOLECULE_ID]
    marked = table[MOLECULE_ID].isin(first).to_numpy()
    told = table.iloc[plots.thinned(marked)]
    names = told[COMPOUND].fillna(told[MOLECULE_ID]) if COMPOUND in told else told[MOLECULE_ID]
    told = told.assign(_name=names.map(lambda text: words.shortened(str(text), 40)))
    marked = told[MOLECULE_ID].isin(first).to_numpy()
    st.plotly_chart(plots.spaces(told, "_name", marked), config=plots.STILL, key="spaces",
                    alt="Library molecules by shared and by specific cosine to the query")
    st.caption(f"Each point is a molecule of the library; orange: the nearest by {space}.")


def _list(table: pd.DataFrame, space: Space) -> None:
    shown = []
    for _, row in table.iterrows():
        name = value(row, COMPOUND) or str(row[MOLECULE_ID])
        pairs = [("specific", f"{row[SPECIFIC_COSINE]:.2f}"), ("shared", f"{row[SHARED_COSINE]:.2f}"),
                 ("Tanimoto", f"{row[TANIMOTO]:.2f}")]
        facts = cards.facts([*(pairs if space == "specific" else [pairs[1], pairs[0], pairs[2]]),
                             ("mechanism", value(row, MOA))])
        shown.append(f"<div>{cards.drawing(Molecule(row[SMILES], row[INCHIKEY]), name, 170, 120)}"
                     f"<b>{cards.escape(words.shortened(name, 26))}</b>{facts}</div>")
    st.html(f'<div class="dssl-grid">{"".join(shown)}</div>')
