"""What people call a well, and which one is meant."""

import pandas as pd
import pytest

from dssl_bio.errors import QueryError
from dssl_bio.retrieval.named_wells import find_well, only_well, wells_named

WELLS = pd.DataFrame({
    "row_key": ["P_1:A01", "P_1:A02", "P 2:A01", "P 2:B11", "p 2:b12", "q/3:A1"],
    "Metadata_Plate": ["P_1", "P_1", "P 2", "P 2", "p 2", "q/3"],
    "Metadata_Well": ["A01", "A02", "A01", "B11", "B12", "A1"],
})


@pytest.mark.parametrize(("text", "row"), [
    ("P_1:A01", 0), ("p_1:a01", 0), ("P_1 A1", 0), ("P_1_a1", 0), ("P_1/A01", 0), (" P_1:a02 ", 1), ("A02", 1),
    ("a2", 1), ("P 2:a1", 2), ("p 2 A1", 2), ("b11", 3), ("P 2 B11", 3), ("p 2/B12", 4), ("P 2 b12", 4),
    ("q/3:A01", 5), ("Q/3 a1", 5),
])
def test_every_spelling_of_a_well_is_understood(text, row):
    assert find_well(WELLS, text) == row


def test_a_name_that_several_wells_have_is_asked_back():
    assert wells_named(WELLS, "a1").tolist() == [0, 2, 5]
    with pytest.raises(QueryError, match="3 wells are called 'a1'; say which, such as P_1:A01, P 2:A01, q/3:A1"):
        find_well(WELLS, "a1")


def test_a_well_that_is_not_there_gets_the_nearest_names():
    assert only_well(WELLS, "P_1:C09") is None
    with pytest.raises(QueryError, match=r"no well is called 'P_1:A03'; the nearest names are P_1:A0[12], P_1:A0[12]"):
        find_well(WELLS, "P_1:A03")
    with pytest.raises(QueryError, match="no well is called ''"):
        find_well(WELLS, "")


def test_rows_without_plates_have_their_keys_alone():
    wells = pd.DataFrame({"row_key": ["ABC:1", "abc:2"]})
    assert find_well(wells, "ABC:2") == 1
    with pytest.raises(QueryError, match="no well is called 'A01'"):
        find_well(wells, "A01")
