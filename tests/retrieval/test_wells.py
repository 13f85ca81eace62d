import numpy as np
import pandas as pd
import pytest

from dssl_bio.retrieval.wells import (
    annotations_of,
    plate_layout,
    plate_shape,
    plates,
    relative_cell_count,
    wells_table,
)

WELLS = pd.DataFrame({
    "row_key": list("abcdefg"), "Metadata_Plate": ["P1"] * 4 + ["P2"] * 2 + ["P1"],
    "Metadata_Well": ["A01", "A02", "B12", "not a well", "A01", "P24", None],
    "Metadata_pert_type": ["negcon", "trt", "trt", "negcon", "negcon", "trt", "negcon"],
    "Metadata_SMILES": ["", "C", "CC", "", "", "C", ""], "Metadata_CellCount": [100, 50, 100, 900, 10, 20, 200],
    "Induction": [np.nan, 10.0, 2.0, np.nan, np.nan, 20.0, 7.0], "Toxic": [None, "yes", "no", None, None, "no", None],
})
TABLE = wells_table(WELLS, np.arange(7), np.array([-1, 0, 1, -1, -1, 0, -1]))


def test_cells_are_counted_against_the_controls_of_their_own_plate():
    # P1's controls have a median of 200, P2's of 10: entry 0 is the mean of 50/200 and 20/10.
    assert relative_cell_count(TABLE, 3) == pytest.approx([(0.25 + 2.0) / 2, 0.5, np.nan], nan_ok=True)


def test_without_counts_or_controls_nothing_is_said():
    assert relative_cell_count(TABLE.drop(columns="Metadata_CellCount"), 2) is None
    assert relative_cell_count(TABLE[TABLE["Metadata_pert_type"] == "trt"], 2) is None


def test_annotations_are_the_screens_own_columns():
    assert annotations_of(TABLE, 0) == [("Induction", "15"), ("Toxic", "yes, no")]
    assert annotations_of(TABLE.assign(n_sites=4, n_flagged_sites=0), 0) == annotations_of(TABLE, 0)
    assert "Metadata_SMILES" not in TABLE


def test_a_plate_is_drawn_from_the_wells_that_have_a_place():
    assert plates(TABLE) == ["P1", "P2"]
    layout = plate_layout(TABLE, "P1")
    assert layout[["row", "column"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 11]]
    assert plate_shape(layout) == (8, 12)
    assert plate_shape(plate_layout(TABLE, "P2")) == (16, 24)
    assert plates(TABLE.drop(columns="Metadata_Well")) == []
