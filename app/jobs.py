"""Long searches that go on while a page is looked at: started once, watched, and stopped when asked."""

import logging
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dssl_bio.errors import DsslBioError, QueryError

if TYPE_CHECKING:
    from dssl_bio.chem.standardize_many import Standardizer
    from dssl_bio.retrieval.queries import Query
    from dssl_bio.retrieval.search import Searcher

logger = logging.getLogger(__name__)

MAX_MOLECULES = 20_000
"""More are a matter for the command line, which writes to disk as it goes."""


@dataclass
class Job:
    """A batch of molecules under way.

    Attributes:
        total: molecules to ask, as far as is known.
        parts: tables of hits so far.
        done: molecules asked so far.
        failed: of these, those that were no molecule.
        error: what ended it early, in a sentence.
        finished: nothing more will come.
        stopped: set to end it.
    """

    total: int | None
    parts: list[pd.DataFrame] = field(default_factory=list)
    done: int = 0
    failed: int = 0
    error: str = ""
    finished: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def table(self) -> pd.DataFrame:
        """All rows so far."""
        from dssl_bio.retrieval.batch import COLUMNS

        return pd.concat(self.parts, ignore_index=True) if self.parts else pd.DataFrame(columns=list(COLUMNS))


def start(searcher: "Searcher", queries: "Iterable[Query]", pool: "Standardizer", top_k: int, total: int | None) -> Job:
    """Asks the molecules in a thread of its own."""
    job = Job(total)
    threading.Thread(target=_run, args=(job, searcher, queries, pool, top_k), name="batch", daemon=True).start()
    return job


def queries_of_upload(name: str, content: bytes, folder: Path) -> "tuple[Iterable[Query], int | None]":
    """Molecules of an uploaded file, which is written under a name of ours.

    Raises:
        QueryError: of no kind that is read, or damaged; the file is called as its owner calls it.
    """
    from dssl_bio.retrieval.queries import ENDINGS, QueryFile

    lower = name.lower()
    ending = next((kind for kind in ENDINGS if lower.removesuffix(".gz").endswith(kind)), "")
    if not ending:
        raise QueryError(f"expected a file that ends with {', '.join(ENDINGS)}")
    path = folder / f"upload{ending}{'.gz' if lower.endswith('.gz') else ''}"
    path.write_bytes(content)
    with _called(path):
        file = QueryFile.open(path)

    def queries() -> "Iterator[Query]":
        with _called(path):
            yield from file

    return queries(), file.total


@contextmanager
def _called(path: Path) -> Iterator[None]:
    """What is wrong with an upload is said of "the file": where we put it is nobody's business."""
    try:
        yield
    except QueryError as error:
        raise QueryError(str(error).replace(str(path), "the file")) from None


def new_folder() -> "tempfile.TemporaryDirectory[str]":
    """Where an upload lies while it is read; it goes with its owner's session."""
    return tempfile.TemporaryDirectory(prefix="dssl-bio-")


def _run(job: Job, searcher: "Searcher", queries: "Iterable[Query]", pool: "Standardizer", top_k: int) -> None:
    from dssl_bio.retrieval.batch import ERROR, retrieve

    def until_stopped() -> "Iterator[Query]":
        for query in islice(queries, MAX_MOLECULES):
            if job.stopped.is_set():
                return
            yield query

    try:
        for rows in retrieve(searcher, until_stopped(), pool, top_k):
            job.parts.append(rows)
            job.failed += int((rows["status"] == ERROR).sum())
            job.done += int(((rows["rank"] == 1) | (rows["status"] == ERROR)).sum())
            if job.stopped.is_set():
                break
    except DsslBioError as error:
        job.error = str(error)
    except Exception:
        logger.exception("a batch ended early")
        job.error = "the search ended early; the server's log says why"
        raise
    finally:
        job.finished = True
