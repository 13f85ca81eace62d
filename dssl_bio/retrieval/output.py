"""Rows of hits on disk: CSV, Parquet or JSON, written as they come and present only when complete."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dssl_bio.artefact import written_whole
from dssl_bio.errors import QueryError
from dssl_bio.retrieval.batch import COLUMNS, NUMBERS

Writer = Callable[[pd.DataFrame], None]

TEXTS = tuple(name for name in COLUMNS if name not in (*NUMBERS, "rank"))
SCHEMA = pa.schema([(name, pa.int64() if name == "rank" else pa.float64() if name in NUMBERS else pa.string())
                    for name in COLUMNS])

# A spreadsheet runs a cell that begins so as a formula (CSV injection).
_FORMULA = re.compile(r"^[\t\r\n]|^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


@contextmanager
def rows_to(path: Path) -> Iterator[Writer]:
    """The function that takes tables of rows for a file; the file appears, or is replaced, when the block ends well.

    Raises:
        QueryError: the name ends with none of .csv, .parquet, .json, or is a folder.
    """
    if path.suffix.lower() not in WRITERS:
        raise QueryError(f"--out {path}: expected a name that ends with {', '.join(WRITERS)}")
    if path.is_dir():
        raise QueryError(f"--out {path} is a folder; a file is wanted")
    with written_whole(path) as temporary, WRITERS[path.suffix.lower()](temporary) as writer:
        yield writer


def without_formulas(texts: "pd.Series[str]") -> "pd.Series[str]":
    """Texts that a spreadsheet shows as they are: one that it would run gets an apostrophe in front.

    No SMILES begins with =, +, - or @, so a query that was answered is never changed. A carriage return becomes a line
    feed: the csv writer of Python 3.11 does not quote it, and it would end the row for some readers. Parquet and JSON
    keep every text as it is.
    """
    return texts.map(_tamed)


def _tamed(text: object) -> object:
    if not isinstance(text, str):
        return text
    guarded = "'" + text if _FORMULA.match(text) else text
    return guarded.replace("\r\n", "\n").replace("\r", "\n")


@contextmanager
def _csv(path: Path) -> Iterator[Writer]:
    with path.open("w", encoding="utf-8", newline="") as file:
        pd.DataFrame(columns=COLUMNS).to_csv(file, index=False)

        def write(rows: pd.DataFrame) -> None:
            safe = rows.assign(**{name: without_formulas(rows[name]) for name in TEXTS})
            safe.to_csv(file, index=False, header=False, lineterminator="\n")

        yield write


@contextmanager
def _parquet(path: Path) -> Iterator[Writer]:
    with pq.ParquetWriter(path, SCHEMA) as file:

        def write(rows: pd.DataFrame) -> None:
            file.write_table(pa.Table.from_pandas(rows, SCHEMA, preserve_index=False))

        yield write


@contextmanager
def _json(path: Path) -> Iterator[Writer]:
    with path.open("w", encoding="utf-8") as file:
        separator = "[\n"

        def write(rows: pd.DataFrame) -> None:
            nonlocal separator
            plain = rows.astype(object).where(rows.notna(), None)
            for row in plain.to_dict("records"):
                file.write(separator + json.dumps(row, ensure_ascii=False, allow_nan=False))
                separator = ",\n"

        yield write
        file.write("[]\n" if separator == "[\n" else "\n]\n")


WRITERS = {".csv": _csv, ".parquet": _parquet, ".json": _json}
