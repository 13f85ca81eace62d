"""Splits by a column: what it says is kept, and nothing is reassigned silently."""

import numpy as np
import pandas as pd
import pytest

from dssl_bio.errors import RunError
from dssl_bio.learning.config import SplitConfig
from dssl_bio.learning.partition import partition
from dssl_bio.vocabulary import MOLECULE_ID

IDS = [f"M{number:02d}" for number in range(12)]


def by_column(values, seed=0, fractions=(0.5, 0.25, 0.25)):
    """Split of each molecule, with two wells each."""
    wells = pd.DataFrame({MOLECULE_ID: IDS, "fate": values})
    config = SplitConfig(method="column", column="fate", fractions=fractions)
    table = partition(pd.concat([wells, wells]), pd.DataFrame({MOLECULE_ID: IDS[::-1]}), config, seed)
    assert table[MOLECULE_ID].tolist() == IDS
    return table["split"].tolist()


@pytest.mark.parametrize("missing", [None, np.nan, ""])
def test_a_column_of_splits_is_taken_as_it_is_and_a_missing_value_takes_no_part(missing):
    values = ["train"] * 6 + ["valid"] * 2 + ["test"] * 2 + [missing] * 2
    assert by_column(values) == ["train"] * 6 + ["valid"] * 2 + ["test"] * 2 + [""] * 2


@pytest.mark.parametrize(("values", "message"), [
    (["train"] * 8 + ["test", "exclude", "exclude", "later"], r"'exclude' \(2\), 'later' \(1\)"),
    (["Train"] * 8 + ["Test"] * 4, r"'Train' \(8\), 'Test' \(4\)"),
    (["train", *(f"x{number}" for number in range(11))], "and 6 others"),
])
def test_another_value_beside_splits_is_refused_with_its_count(values, message):
    with pytest.raises(RunError, match=message):
        by_column(values)


def test_values_that_are_no_splits_are_groups_which_stay_whole():
    values = ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e", None, None]
    split = by_column(values)
    assert split[10:] == ["", ""]
    assert split[:10:2] == split[1:10:2]
    assert set(split[:10]) == {"train", "valid", "test"}


def test_a_column_without_values_is_refused():
    with pytest.raises(RunError, match="no value"):
        by_column([None] * 12)
