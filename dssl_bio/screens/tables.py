"""Reading tables: CSV, TSV (plain or gzipped) and Parquet, text as text and features as numbers."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from dssl_bio.errors import ManifestError
from dssl_bio.screens.sources.ome_zarr import is_plate, plate_table

MAX_TABLE_BYTES = 20_000_000_000
CHUNK_ROWS = 4_096
BLOCK_BYTES = 16_000_000
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "<NA>")
"""What stands for no value in a CSV."""
SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t", ".txt": "\t", ".txt.gz": "\t"}
PARQUET = (".parquet", ".pq")
SUFFIXES = (*SEPARATORS, *PARQUET)

_FAILURES = (OSError, ValueError, pa.ArrowException, EOFError, pd.errors.ParserError, pd.errors.EmptyDataError)


def columns_of(path: Path, max_bytes: int = MAX_TABLE_BYTES) -> list[str]:
    """The column names of a table, in order.

    Raises:
        ManifestError: missing, too large, of an unknown kind, not readable, or a column name is repeated.
    """
    if is_plate(path):
        return list(plate_table(path).columns)
    _check(path, max_bytes)
    try:
        if path.name.lower().endswith(PARQUET):
            names = [str(name) for name in pq.read_schema(path).names]
        else:
            head = pd.read_csv(path, sep=separator(path), header=None, nrows=1, dtype=str, keep_default_na=False)
            names = [str(name) for name in head.iloc[0]]
            names[0] = names[0].removeprefix("\ufeff")
    except _FAILURES as cause:
        raise ManifestError(f"table {path} cannot be read: {cause}") from cause
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise ManifestError(f"table {path} has more than one column named {', '.join(repeated[:5])}")
    return names


def read_text_columns(path: Path, columns: Sequence[str], max_bytes: int = MAX_TABLE_BYTES) -> pd.DataFrame:
    """Some columns of a table. CSV columns are text; Parquet columns keep their types. Empty cells are missing.

    Raises:
        ManifestError: the table cannot be read.
    """
    if is_plate(path):
        return plate_table(path)[list(columns)]
    _check(path, max_bytes)
    try:
        if path.name.lower().endswith(PARQUET):
            table = pq.read_table(path, columns=list(columns)).to_pandas()
            return table.reset_index(drop=True)[list(columns)]
        names = list(columns)
        batches = list(_csv_batches(path, names, pa.string()))
        empty = pa.schema([(name, pa.string()) for name in names])
        return pa.Table.from_batches(batches, batches[0].schema if batches else empty).to_pandas()[names].astype("str")
    except _FAILURES as cause:
        raise ManifestError(f"table {path} cannot be read: {cause}") from cause


def read_numbers(path: Path, columns: Sequence[str]) -> Iterator[NDArray[np.float32]]:
    """Feature columns of a table, in pieces of some thousand rows: (n, F) float32, NaN where a cell is no number.

    Raises:
        ManifestError: the table cannot be read.
    """
    names = list(columns)
    try:
        if path.name.lower().endswith(PARQUET):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(CHUNK_ROWS, columns=names):
                    yield _numbers(batch.to_pandas()[names])
        else:
            yield from _csv_numbers(path, names)
    except _FAILURES as cause:
        raise ManifestError(f"table {path} cannot be read: {cause}") from cause


def table_checksum(path: Path) -> str:
    """SHA-256 of a table's bytes; of an OME-Zarr plate, of the list of its fields."""
    if is_plate(path):
        return hashlib.sha256(plate_table(path).to_csv(index=False).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def separator(path: Path) -> str:
    """The column separator that a table's name announces."""
    name = path.name.lower()
    return next(mark for suffix, mark in SEPARATORS.items() if name.endswith(suffix))


def _csv_batches(path: Path, names: list[str], kind: pa.DataType) -> Iterator[pa.RecordBatch]:
    """Columns of a CSV in pieces. A line with too few or too many fields is an error with its number, never mended."""
    read = csv.ReadOptions(block_size=BLOCK_BYTES)
    parse = csv.ParseOptions(delimiter=separator(path), newlines_in_values=True)
    convert = csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, kind),
                                 null_values=list(MISSING), strings_can_be_null=True)
    with csv.open_csv(path, read, parse, convert) as reader:
        yield from reader


def _csv_numbers(path: Path, names: list[str]) -> Iterator[NDArray[np.float32]]:
    """Reads as numbers, the fast way; from the first piece with a cell that is no number, as text."""
    done = 0
    try:
        for batch in _csv_batches(path, names, pa.float64()):
            yield _numbers(batch.to_pandas())
            done += batch.num_rows
    except pa.ArrowInvalid as problem:
        if "conversion" not in str(problem):
            raise
        place = 0
        for batch in _csv_batches(path, names, pa.string()):
            fresh = batch.slice(max(0, done - place))
            place += batch.num_rows
            yield _numbers(fresh.to_pandas())


def _numbers(table: pd.DataFrame) -> NDArray[np.float32]:
    """Cells as float32; what is no number, or too large for one, is NaN."""
    if any(not pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes):
        table = table.apply(pd.to_numeric, errors="coerce")
    with np.errstate(over="ignore"):
        values = table.to_numpy(np.float64, na_value=np.nan).astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    return values


def _check(path: Path, max_bytes: int) -> None:
    if not path.name.lower().endswith(SUFFIXES):
        raise ManifestError(f"table {path}: expected a name that ends with {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ManifestError(f"no such table: {path}")
    if path.stat().st_size > max_bytes:
        raise ManifestError(f"table {path} has {path.stat().st_size:,} bytes; at most {max_bytes:,} are accepted")
