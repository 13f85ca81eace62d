import io

import numpy as np
import pandas as pd
import pytest

from dssl_bio.errors import QueryError
from dssl_bio.retrieval import spreadsheet
from dssl_bio.retrieval.spreadsheet import xlsx


def test_texts_stay_texts_and_numbers_numbers():
    openpyxl = pytest.importorskip("openpyxl")
    table = pd.DataFrame({"name": ["=1+1", "+x", "@y", "a\x00b", None], "score": [0.5, np.nan, 1, 2, 3],
                          "rank": pd.array([1, None, 2, 3, 4], "Int64")})
    sheet = openpyxl.load_workbook(io.BytesIO(xlsx(table))).active
    rows = list(sheet.iter_rows())
    assert [cell.value for cell in rows[0]] == ["name", "score", "rank"]
    assert [row[0].value for row in rows[1:]] == ["=1+1", "+x", "@y", "a b", None]
    assert {row[0].data_type for row in rows[1:5]} <= {"s", "inlineStr"}  # never "f", a formula
    assert [row[1].value for row in rows[1:]] == [0.5, None, 1, 2, 3]
    assert [row[2].value for row in rows[1:]] == [1, None, 2, 3, 4]


def test_without_the_package_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(spreadsheet, "INSTALLED", False)
    with pytest.raises(QueryError, match="openpyxl is not installed"):
        xlsx(pd.DataFrame())


def test_more_rows_than_a_sheet_holds_are_refused(monkeypatch):
    monkeypatch.setattr(spreadsheet, "INSTALLED", True)
    monkeypatch.setattr(spreadsheet, "MAX_ROWS", 1)
    with pytest.raises(QueryError, match="more than a sheet holds"):
        xlsx(pd.DataFrame({"a": [1, 2]}))
