import csv
import json
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest

from dssl_bio.chem.standardize import standardize
from dssl_bio.errors import QueryError
from dssl_bio.retrieval.batch import COLUMNS
from dssl_bio.retrieval.output import WRITERS, rows_to, without_formulas

READERS = {
    ".csv": lambda path: pd.read_csv(path, dtype={"plate": str, "well": str, "rank": "Int64"}),
    ".parquet": pd.read_parquet,
    ".json": lambda path: pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))),
}


def rows(*queries):
    """A hit and a failure for each query."""
    hit = {"query_inchikey": "LFQSCWFLJHTTHZ-UHFFFAOYSA-N", "rank": 1, "entry_key": "LFQSCWFLJHTTHZ@1uM",
           "molecule_id": "LFQSCWFLJHTTHZ", "compound": 'na,me "β"', "dose_um": 1.5, "plate": "00123", "well": "A01",
           "mechanism": None, "score": -0.25, "p": 0.5, "q": 0.75, "status": "ok", "message": ""}
    failure = {"status": "error", "message": "not a valid SMILES: '\n'"}
    table = pd.DataFrame([{"query": query, **part} for query in queries for part in (hit, failure)])
    return table.reindex(columns=list(COLUMNS)).astype({"rank": "Int64"})


@pytest.mark.parametrize("ending", WRITERS)
def test_a_file_gives_back_what_was_written(tmp_path, ending):
    path = tmp_path / f"hits{ending}"
    with rows_to(path) as write:
        write(rows("CCO", "O"))
        write(rows("CCN"))
    found = READERS[ending](path)
    assert list(found) == list(COLUMNS)
    assert found["query"].tolist() == ["CCO", "CCO", "O", "O", "CCN", "CCN"]
    first, second = found.iloc[0], found.iloc[1]
    assert (first["rank"], first["plate"], first["score"], first["compound"]) == (1, "00123", -0.25, 'na,me "β"')
    assert second[["rank", "score", "entry_key", "mechanism", "p"]].isna().all()
    assert second["message"] == "not a valid SMILES: '\n'"


def test_parquet_has_one_schema_even_where_a_chunk_holds_failures_only(tmp_path):
    with rows_to(tmp_path / "hits.parquet") as write:
        write(rows("x").iloc[1:])
        write(rows("CCO"))
    table = pd.read_parquet(tmp_path / "hits.parquet")
    assert str(table["rank"].dtype) in ("Int64", "float64")
    assert table["score"].dtype == float


@pytest.mark.parametrize("ending", WRITERS)
def test_no_rows_are_a_readable_file(tmp_path, ending):
    with rows_to(tmp_path / f"hits{ending}"):
        pass
    assert len(READERS[ending](tmp_path / f"hits{ending}")) == 0


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_stops_the_writing_leaves_the_old_file_and_no_half_one(tmp_path, ending, stop):
    path = tmp_path / f"hits{ending}"
    path.write_text("old")
    with pytest.raises((KeyboardInterrupt, OSError)), rows_to(path) as write:
        write(rows("CCO"))
        raise stop
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "hits.json"
    path.write_text("old")
    program = f"""
import os, pathlib, signal
from dssl_bio.retrieval.output import rows_to
from tests.retrieval.test_output import rows
with rows_to(pathlib.Path({str(path)!r})) as write:
    write(rows("CCO"))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.getcwd()}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["hits", "hits.xlsx", "hits.csv.gz"])
def test_an_unknown_ending_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(QueryError, match="ends with .csv, .parquet, .json"), rows_to(tmp_path / "new" / name):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_is_never_replaced_by_a_file(tmp_path):
    (tmp_path / "hits.csv").mkdir()
    with pytest.raises(QueryError, match="is a folder"), rows_to(tmp_path / "hits.csv"):
        pass


@pytest.mark.parametrize("name", ["=1+1", "+plus", "-minus", "@sum", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1"])
def test_a_name_that_a_spreadsheet_would_run_gets_an_apostrophe_in_a_csv_only(tmp_path, name):
    table = rows("CCO").assign(compound=name, mechanism=name, query=name)
    for ending in WRITERS:
        with rows_to(tmp_path / f"hits{ending}") as write:
            write(table)
    with (tmp_path / "hits.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    for column in ("compound", "mechanism", "query"):
        assert cells[0][column] == "'" + name.replace("\r", "\n")
        assert READERS[".parquet"](tmp_path / "hits.parquet")[column][0] == name
        assert READERS[".json"](tmp_path / "hits.json")[column][0] == name
    assert cells[0]["score"] == "-0.25"  # a number is no formula


@pytest.mark.parametrize("smiles", [
    "CCO", "[Na+].[Cl-]", "[2H]C", "c1ccccc1=O", "C[C@@H](N)C(=O)O", "N#CC=C", "C/C=C\\C", "*C", "[O-]S(=O)(=O)[O-]",
    "%10CC%10", "(CCO)"])
def test_no_smiles_is_changed_by_the_guard_against_formulas(smiles):
    assert without_formulas(pd.Series([smiles])).tolist() == [smiles]


@pytest.mark.parametrize("first", ["=", "+", "-", "@"])
def test_no_smiles_begins_like_a_formula(first):
    """So the guard cannot touch a query that was answered."""
    with pytest.raises(Exception, match="not a valid SMILES"):
        standardize(first + "CCO")
