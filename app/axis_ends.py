"""What lies at both ends of a factor axis: structures of molecules, cells of wells."""

import numpy as np
import pandas as pd
import streamlit as st
from dssl_bio.app import cards, pictures, words
from dssl_bio.app.query import value
from dssl_bio.app.resources import tables

from dssl_bio.chem.standardize import Molecule
from dssl_bio.retrieval.pictures import place_of
from dssl_bio.retrieval.tables import ENTRY, PICTURE, Tables
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, INCHIKEY, MOA, MOLECULE_ID, PERT_TYPE, PLATE, ROW_KEY, SMILES, WELL

ENDS = (("high", "Highest"), ("low", "Lowest"))


def ends(path: str, positions: pd.DataFrame, side: str) -> None:
    """Asks for one of the axes and shows what lies furthest on it; `positions` are those of `OneFactors`."""
    names = positions["axis"].astype(str).tolist()
    chosen = st.selectbox("What lies at the ends of", range(len(names)), index=None, key=f"ends_of_{side}",
                          format_func=lambda number: words.shortened(names[number], 60), placeholder="Choose an axis")
    if chosen is None:
        return
    for end, label in ENDS:
        keys = [str(key) for key in positions[end].iloc[chosen]]
        shown = molecules(path, keys) if side == "molecule" else wells(path, keys)
        st.html(f"<div><b>{label}</b></div>{shown}")


def molecules(path: str, keys: list[str]) -> str:
    """Structures of the library's molecules of these ids, as HTML."""
    library = tables(path).molecules
    shown = []
    for key in keys:
        for _, row in library[library[MOLECULE_ID] == key].iloc[:1].iterrows():
            name = value(row, COMPOUND) or key
            told = " · ".join(filter(None, (words.shortened(name, 26), value(row, MOA))))
            shown.append(f"<div>{cards.drawing(Molecule(row[SMILES], row[INCHIKEY]), name, 150, 100)}"
                         f"<small>{cards.escape(told)}</small></div>")
    return f'<div class="dssl-grid dssl-ends">{"".join(shown)}</div>'


def wells(path: str, keys: list[str]) -> str:
    """Cells of these wells as HTML, each over what it got; of a well without a picture of its own the words alone."""
    bundle = tables(path)
    if bundle.wells is None:
        return f"<p>{cards.escape(', '.join(keys))}</p>"
    rows = [bundle.wells[bundle.wells[ROW_KEY].astype(str) == key].iloc[0] for key in keys
            if (bundle.wells[ROW_KEY].astype(str) == key).any()]
    told = [(picture_of(bundle, row), name_of(row)) for row in rows]
    shown = pictures.row_of(path, [(number, name) for number, name in told if number >= 0])
    rest = [name for number, name in told if number < 0]
    also = ("Also " if shown else "") + "; ".join(rest) if rest else ""
    return shown + (f"<p><small>{cards.escape(also)}</small></p>" if also else "")


def name_of(well: pd.Series) -> str:
    """Where a well is and what it got, in words."""
    untreated = value(well, PERT_TYPE) == "negcon"
    dose = words.dose_text(float(well[DOSE_UM])) if DOSE_UM in well and not untreated else ""
    got = "untreated" if untreated else " ".join(filter(None, (words.shortened(value(well, COMPOUND), 30), dose)))
    place = " ".join(filter(None, (value(well, PLATE), value(well, WELL)))) or str(well[ROW_KEY])
    return ", ".join(filter(None, (place, got)))


def picture_of(bundle: Tables, well: pd.Series) -> int:
    """Number of a well's own picture; -1 where there is none.

    An entry of several wells is pictured by its first one; that picture shows no other well, and above all not another
    plate, which is what many axes are about.
    """
    treated = int(well[ENTRY]) >= 0
    table = bundle.entries if treated else bundle.controls
    if PICTURE not in table:
        return -1
    row = int(well[ENTRY])
    if not treated:
        found = np.flatnonzero((table[ROW_KEY].astype(str) == str(well[ROW_KEY])).to_numpy())
        return int(table[PICTURE].iloc[found[0]]) if len(found) else -1
    same = place_of(table, row) == place_of(pd.DataFrame([well]), 0)
    return int(table[PICTURE].iloc[row]) if same else -1
