"""Entries: what a query is compared with, one consensus phenotype per molecule and dose, or single wells."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.vocabulary import COMPOUND, DOSE_UM, MOA, MOLECULE_ID, PERT_TYPE, PLATE, ROW_KEY, WELL

EntryMode = Literal["consensus", "wells"]

ENTRY_KEY = "entry_key"
N_WELLS = "n_wells"
ALL_FLAGGED = "all_flagged"
"""Marks entries that consist of sites that quality control flagged, because there are no others."""
ALL_FLAGGED_WORDS = "every site of this entry is flagged by quality control"


def entries_of(wells: pd.DataFrame, rows: NDArray[np.integer], mode: EntryMode = "consensus",
               sound: NDArray[np.bool_] | None = None) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Groups some wells into entries; negative controls and empty wells are left out.

    Args:
        wells: the screen's wells.
        rows: positions in `wells` that may become entries.
        mode: one entry per molecule and dose (a well without molecule stands alone), or one a well.
        sound: (len(rows),) which of them have a site that quality control did not flag; the others join an entry only
            where it has no sound one, so that no molecule is lost and none is blurred by wells that were. All when
            absent.

    Returns:
        The entries, sorted by key: entry_key, molecule_id, compound, dose, plate and well (those of all
        members, joined by ";"), mechanism, n_wells, all_flagged. And for each of `rows` the number of its entry, -1
        for none.
    """
    table = wells.iloc[rows]
    candidate = ~table[PERT_TYPE].isin(["negcon", "empty"]).to_numpy()
    key = table[ROW_KEY].astype(str)
    sound = np.ones(len(rows), dtype=bool) if sound is None else sound
    if mode == "consensus":
        named = table[MOLECULE_ID].notna()
        dose = (table[DOSE_UM].map(lambda value: "" if pd.isna(value) else f"@{value:g}uM").astype(str)
                if DOSE_UM in table else "")  # a table without rows would give numbers
        key = key.where(~named, table[MOLECULE_ID].astype(str) + dose)
    candidate &= sound | ~key.isin(key[candidate & sound]).to_numpy()
    number = np.full(len(rows), -1, dtype=np.int64)
    names, inverse = np.unique(key[candidate].to_numpy(str), return_inverse=True)
    number[candidate] = inverse
    members = table[candidate].assign(**{ENTRY_KEY: key[candidate].to_numpy()}).groupby(ENTRY_KEY, sort=True)
    flagged = np.bincount(inverse, sound[candidate], minlength=len(names)) == 0
    entries = pd.DataFrame({ENTRY_KEY: names, N_WELLS: members.size().to_numpy(), ALL_FLAGGED: flagged})
    for column in (MOLECULE_ID, COMPOUND, DOSE_UM, MOA):
        if column in table:
            entries[column] = members[column].first().to_numpy()
    for column in (PLATE, WELL):
        if column in table:
            entries[column] = members[column].agg(_listed).to_numpy()
    return entries, number


def usable_controls(wells: pd.DataFrame, rows: NDArray[np.integer], sound: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of some wells are negative controls that count: sound ones, and on a plate without any all of them.

    Args:
        wells: the screen's wells.
        rows: positions in `wells`.
        sound: (len(rows),) as for `entries_of`.
    """
    table = wells.iloc[rows]
    control = (table[PERT_TYPE] == "negcon").to_numpy()
    plate = table[PLATE].astype(str).to_numpy() if PLATE in table else np.full(len(table), "")
    return control & (sound | ~np.isin(plate, plate[control & sound]))


def _listed(values: "pd.Series[str]") -> str:
    return ";".join(dict.fromkeys(str(value) for value in values if not pd.isna(value)))
