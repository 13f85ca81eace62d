"""Queries: molecules from the command line or from a file of any length, one at a time, bad lines included."""

import csv
import difflib
import gzip
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from dssl_bio.chem.sdf import END_OF_RECORD, sdf_records
from dssl_bio.chem.standardize import standardize
from dssl_bio.chem.standardize_many import Question
from dssl_bio.errors import MoleculeError, QueryError

MAX_LINE = 1_000_000
MAX_LINES_OF_A_CELL = 20
SMILES_COLUMNS = ("smiles", "metadata_smiles", "canonical_smiles", "isomeric_smiles", "structure")
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
ENDINGS = (*SEPARATORS, ".smi", ".smiles", ".sdf", ".sd", ".mol", ".parquet", ".pq")


@dataclass(frozen=True)
class Query:
    """A molecule that is asked, or a line that is none.

    Attributes:
        shown: the query as it was given: the SMILES, the line of an SMI file with its name, or the title of an SDF
            record.
        question: what is standardised; None where the line could not even be read.
        problem: why it could not.
    """

    shown: str
    question: Question | None
    problem: str = ""


def queries_of(texts: Iterable[str]) -> Iterator[Query]:
    """SMILES as queries."""
    return (Query(text, Question(text)) for text in texts)


@dataclass(frozen=True)
class QueryFile:
    """A file of molecules: CSV, TSV, SMI, SDF (each also gzipped) or Parquet.

    Attributes:
        path: the file.
        kind: its ending, without `.gz`.
        column: of the SMILES, in a table.
        total: number of molecules, None where only reading tells.
    """

    path: Path
    kind: str
    column: str | None
    total: int | None

    @classmethod
    def open(cls, path: Path, column: str | None = None) -> "QueryFile":
        """Looks at a file before anything is computed.

        Raises:
            QueryError: missing, of an unknown kind, not readable, or the column of the SMILES is not there.
        """
        name = path.name.lower()
        kind = Path(name.removesuffix(".gz")).suffix
        if kind not in ENDINGS or (kind in (".parquet", ".pq") and name.endswith(".gz")):
            raise QueryError(f"{path}: expected a name that ends with {', '.join(ENDINGS)} (text also with .gz)")
        if not path.is_file():
            raise QueryError(f"no such file: {path}")
        try:
            if kind in (".parquet", ".pq"):
                schema = pq.read_schema(path)
                return cls(path, kind, _smiles_column(schema.names, column, path), pq.read_metadata(path).num_rows)
            with _text(path) as lines:
                found = None
                if kind in SEPARATORS:
                    header = next(_cells(_short_lines(lines), SEPARATORS[kind]), None)
                    if header is None or isinstance(header, str):
                        raise QueryError(f"{path} is empty" if header is None else f"{path}: {header}")
                    found = _smiles_column(header, column, path)
            return cls(path, kind, found, _count(path, kind))
        except (OSError, EOFError, pa.ArrowException) as cause:
            raise QueryError(f"{path} cannot be read: {cause}") from cause

    def __iter__(self) -> Iterator[Query]:
        """Queries in the order of the file.

        Raises:
            QueryError: the file ends in the middle (a damaged gzip or Parquet file).
        """
        try:
            if self.kind in (".parquet", ".pq"):
                yield from self._parquet()
                return
            with _text(self.path) as lines:
                if self.kind in SEPARATORS:
                    yield from self._table(lines)
                elif self.kind in (".smi", ".smiles"):
                    yield from _smi(lines)
                else:
                    for number, record in enumerate(sdf_records(line for line, _ in _short_lines(lines)), start=1):
                        yield Query(record.title or f"record {number}", Question(record.block, "mol"))
        except (OSError, EOFError, pa.ArrowException) as cause:
            raise QueryError(f"{self.path} cannot be read to its end: {cause}") from cause

    def _parquet(self) -> Iterator[Query]:
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(1_000, columns=[str(self.column)]):
                for value in batch.column(0).to_pylist():
                    text = "" if value is None else str(value)
                    yield Query(text, Question(text))

    def _table(self, lines: IO[str]) -> Iterator[Query]:
        rows = _cells(_short_lines(lines), SEPARATORS[self.kind])
        header = next(rows)
        place = header.index(str(self.column))
        for row in rows:
            if isinstance(row, str):
                yield Query("", None, row)
            elif len(row) != len(header):
                shown = row[place] if place < len(row) else ""
                yield Query(shown, None, f"a line of {len(row)} cells under a header of {len(header)}")
            else:
                yield Query(row[place], Question(row[place]))


def _smiles_column(names: list[str], wanted: str | None, path: Path) -> str:
    """The wanted column, or the first whose name says SMILES, or the only one."""
    if wanted is not None:
        if names.count(wanted) != 1:
            near = difflib.get_close_matches(wanted, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near and wanted not in names else ";"
            raise QueryError(f"{path} has {names.count(wanted) or 'no'} columns named {wanted!r}{hint} It has "
                             f"{', '.join(names)}")
        return wanted
    for known in SMILES_COLUMNS:
        found = [name for name in names if name.lower().strip() == known]
        if len(found) == 1:
            return found[0]
    if len(names) == 1:
        if _is_molecule(names[0]):
            raise QueryError(f"{path}: its first line {names[0]!r} is a molecule where the header should be; write "
                             "'smiles' above it, or let the file's name end with .smi")
        return names[0]
    raise QueryError(f"{path}: which column holds the SMILES? Say it with --smiles-column; there are "
                     f"{', '.join(names)}")


def _is_molecule(text: str) -> bool:
    try:
        standardize(text)
    except MoleculeError:
        return False
    return True


def _smi(lines: IO[str]) -> Iterator[Query]:
    """One SMILES a line, anything after white space is its name or extension; blank lines and # comments are none."""
    for number, (line, problem) in enumerate(_short_lines(lines)):
        first = line.split(maxsplit=1)[0] if line.strip() else ""
        if problem:
            yield Query(first, None, f"line {number + 1}: {problem}")
        elif first and not first.startswith("#") and not (number == 0 and first.lower() == "smiles"):
            yield Query(line.strip(), Question(first))


def _cells(lines: Iterator[tuple[str, str]], separator: str) -> Iterator[Any]:
    """Cells of each row, or the reason (a text) why a line gives none.

    A quote that is not closed costs its own line only: the lines after it are read anew.
    """
    again: deque[tuple[str, str]] = deque()

    def following() -> tuple[str, str] | None:
        return again.popleft() if again else next(lines, None)

    number = 0
    while (item := following()) is not None:
        number += 1
        line, problem = item
        taken: list[tuple[str, str]] = []
        text = line
        while not problem and text.count('"') % 2 and len(taken) < MAX_LINES_OF_A_CELL:
            more = following()
            if more is None:
                break
            taken.append(more)
            text += more[0]
        if problem:
            yield f"line {number}: {problem}"
        elif text.count('"') % 2:
            again.extendleft(reversed(taken))
            yield f"line {number}: a quote is opened and not closed"
        elif text.strip():
            number += len(taken)
            try:
                yield next(csv.reader([text], delimiter=separator))
            except csv.Error as cause:
                yield f"line {number}: {cause}"


def _short_lines(file: IO[str]) -> Iterator[tuple[str, str]]:
    """Lines with an empty reason; of a line beyond the cap its beginning and the reason why it is refused."""
    while line := file.readline(MAX_LINE):
        if len(line) < MAX_LINE or line.endswith("\n"):
            yield line, ""
            continue
        while (rest := file.readline(MAX_LINE)) and not rest.endswith("\n"):
            pass
        yield line[:80], f"longer than {MAX_LINE:,} characters"


def _text(path: Path) -> IO[str]:
    """A text file; bytes that are no UTF-8 become a sign that no SMILES has."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _count(path: Path, kind: str) -> int | None:
    """About how many molecules there are, for the progress bar."""
    if path.name.lower().endswith(".gz"):
        return None
    mark = END_OF_RECORD.encode() if kind in (".sdf", ".sd", ".mol") else b"\n"
    with path.open("rb") as file:
        count = sum(piece.count(mark) for piece in iter(lambda: file.read(1 << 20), b""))
    return max(1, count - (kind in SEPARATORS))
