"""The wells behind the entries: where each one lay, what it got, and how many cells were left."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.retrieval.tables import ENTRY
from dssl_bio.screens.site_tables import N_FLAGGED, N_SITES
from dssl_bio.vocabulary import (
    BATCH,
    CELL_COUNT,
    CELL_LINE,
    COMPOUND,
    DOSE_UM,
    INCHIKEY,
    MOA,
    MOLECULE_ID,
    PERT_TYPE,
    PLATE,
    REPLICATE,
    ROW_KEY,
    RUN,
    SMILES,
    SOURCE,
    WELL,
    well_position,
)

OF_THE_PRODUCT = frozenset({ROW_KEY, MOLECULE_ID, SOURCE, BATCH, PLATE, WELL, SMILES, INCHIKEY, PERT_TYPE, COMPOUND,
                            DOSE_UM, MOA, CELL_LINE, REPLICATE, RUN, CELL_COUNT, ENTRY, N_SITES, N_FLAGGED})
FEW_CELLS = 0.6
"""Below this share of the plate's controls an entry is called toxic to cells."""


def wells_table(wells: pd.DataFrame, rows: NDArray[np.integer], membership: NDArray[np.integer]) -> pd.DataFrame:
    """The table that a bundle keeps of its wells.

    Args:
        wells: the screen's wells.
        rows: positions in `wells` of those that were indexed, controls included.
        membership: (len(rows),) number of each one's entry, -1 for none.
    """
    table = wells.iloc[rows].drop(columns=[SMILES, INCHIKEY], errors="ignore").reset_index(drop=True)
    return table.assign(**{ENTRY: np.asarray(membership, dtype=np.int64)})


def relative_cell_count(wells: pd.DataFrame, n_entries: int) -> NDArray[np.float64] | None:
    """Cells of each entry as a share of its plates' negative controls, (n_entries,); nan where it cannot be told.

    The mean over an entry's wells of count / median count of the plate's controls. None without counts or controls.
    """
    if CELL_COUNT not in wells or PLATE not in wells or not (wells[PERT_TYPE] == "negcon").any():
        return None
    counts = pd.to_numeric(wells[CELL_COUNT], errors="coerce")
    control = counts[wells[PERT_TYPE] == "negcon"].groupby(wells[PLATE]).median()
    reference = wells[PLATE].map(control).to_numpy(float)
    share = pd.Series(np.where(reference > 0, counts.to_numpy(float) / np.maximum(reference, 1e-9), np.nan))
    means = share[wells[ENTRY].to_numpy() >= 0].groupby(wells[ENTRY]).mean()
    return means.reindex(range(n_entries)).to_numpy(float)


def annotations_of(wells: pd.DataFrame, entry: int) -> list[tuple[str, str]]:
    """What the screen's own columns say of an entry: a mean for numbers, the distinct values for words."""
    own = wells[wells[ENTRY] == entry]
    result = []
    for column in wells:
        if column in OF_THE_PRODUCT or own[column].isna().all():
            continue
        values = own[column].dropna()
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            result.append((str(column), f"{values.mean():.4g}"))
        else:
            result.append((str(column), ", ".join(dict.fromkeys(map(str, values)))))
    return result


def plates(wells: pd.DataFrame) -> list[str]:
    """Names of the plates that can be drawn: those whose wells have places."""
    if PLATE not in wells or WELL not in wells:
        return []
    placed = wells[PLATE].notna() & wells[WELL].notna()
    return sorted(wells.loc[placed, PLATE].astype(str).unique())


def plate_layout(wells: pd.DataFrame, plate: str) -> pd.DataFrame:
    """The wells of one plate with `row` and `column`, both from 0; a well whose name is none is left out."""
    own = wells[(wells[PLATE].astype(str) == plate) & wells[WELL].notna()]
    places = []
    for name in own[WELL].astype(str):
        try:
            places.append(well_position(name))
        except ValueError:
            places.append((-1, -1))
    own = own.assign(row=[row for row, _ in places], column=[column for _, column in places])
    return own[own["row"] >= 0]


def plate_shape(layout: pd.DataFrame) -> tuple[int, int]:
    """Rows and columns of the smallest usual plate (96, 384 or 1,536 wells) that holds a layout."""
    needed = (int(layout["row"].max()) + 1, int(layout["column"].max()) + 1) if len(layout) else (0, 0)
    usual = [(8, 12), (16, 24), (32, 48)]
    return next((shape for shape in usual if shape[0] >= needed[0] and shape[1] >= needed[1]), needed)
