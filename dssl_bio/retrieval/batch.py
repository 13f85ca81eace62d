"""Any number of queries, a table of rows for each chunk of them."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import pandas as pd

from dssl_bio.chem.standardize import Molecule
from dssl_bio.chem.standardize_many import Featurized, Question, Standardizer
from dssl_bio.errors import MoleculeError
from dssl_bio.learning.model import molecule_needs
from dssl_bio.learning.query import shared_of
from dssl_bio.retrieval.queries import Query
from dssl_bio.retrieval.search import Searcher
from dssl_bio.screens.entries import ALL_FLAGGED, ALL_FLAGGED_WORDS, ENTRY_KEY
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, MOA, MOLECULE_ID, PLATE, WELL

CHUNK = 256
MAX_ROWS_OF_A_CHUNK = 100_000

OF_THE_ENTRY = {"entry_key": ENTRY_KEY, "molecule_id": MOLECULE_ID, "compound": COMPOUND, "dose_um": DOSE_UM,
                "plate": PLATE, "well": WELL, "mechanism": MOA}
NUMBERS = ("dose_um", "score", "p", "q")
COLUMNS = ("query", "query_inchikey", "rank", *OF_THE_ENTRY, "score", "p", "q", "status", "message")
OK, ERROR = "ok", "error"

Asked = tuple[Query, Featurized | MoleculeError]


def retrieve(searcher: Searcher, queries: Iterable[Query], pool: Standardizer,
             top_k: int = 10) -> Iterator[pd.DataFrame]:
    """Hits of every query as rows of COLUMNS, chunk by chunk in the order of the queries.

    A query that is no molecule is one row with status `error` and the reason. While one chunk is searched, the pool's
    workers are at the next ones.

    Args:
        searcher: what is searched.
        queries: of any number; few are held at once.
        pool: standardises and featurises.
        top_k: hits of each query, at most.
    """
    size = max(1, min(CHUNK, MAX_ROWS_OF_A_CHUNK // top_k))
    answered = _answered(queries, pool, molecule_needs(searcher.bundle.run.config))
    while chunk := list(islice(answered, size)):
        yield _rows(searcher, chunk, top_k)


def _answered(queries: Iterable[Query], pool: Standardizer, needs: frozenset[str]) -> Iterator[Asked]:
    waiting: deque[Query] = deque()

    def questions() -> Iterator[Question]:
        for query in queries:
            waiting.append(query)
            yield query.question or Question("")  # keeps its place; the answer is not used

    for outcome in pool.featurized(questions(), needs):
        query = waiting.popleft()
        yield query, outcome if query.question is not None else MoleculeError(query.problem)


def _rows(searcher: Searcher, chunk: list[Asked], top_k: int) -> pd.DataFrame:
    """The chunk's rows; those of one query stand together, best first."""
    good = [(place, query, item) for place, (query, item) in enumerate(chunk) if isinstance(item, Featurized)]
    parts = [_failures([(place, query, item) for place, (query, item) in enumerate(chunk)
                        if isinstance(item, MoleculeError)])]
    if good:
        parts.append(_hits(searcher, good, top_k))
    table = pd.concat([part for part in parts if len(part)])
    return table.sort_values(["place", "rank"], kind="stable")[list(COLUMNS)].reset_index(drop=True)


def _failures(failed: list[tuple[int, Query, MoleculeError]]) -> pd.DataFrame:
    return pd.DataFrame({"place": [place for place, _, _ in failed], "rank": pd.array([None] * len(failed), "Int64"),
                         "query": [query.shown for _, query, _ in failed], "status": ERROR,
                         "message": [str(problem) for _, _, problem in failed]}).reindex(columns=["place", *COLUMNS])


def _hits(searcher: Searcher, good: list[tuple[int, Query, Featurized]], top_k: int) -> pd.DataFrame:
    asked = shared_of(searcher.bundle.run, [item for _, _, item in good], searcher.dose_um)
    found = searcher.find(asked, top_k)
    n_hits = found.scores.shape[1]
    molecules: list[Molecule] = [item.molecule for _, _, item in good]
    null = searcher.bundle.null
    # A p that no draw reaches is the floor of what the null can tell, so it bounds the truth from above.
    floor = f"p not resolvable: none of the null's {len(null.scores):,} draws scores as high"
    of_query = {"place": [place for place, _, _ in good], "query": [query.shown for _, query, _ in good],
                "query_inchikey": [molecule.inchikey for molecule in molecules]}
    entries = searcher.bundle.entries.iloc[found.entries.ravel()]
    of_entry = {name: entries[column].to_numpy() if column in entries else None
                for name, column in OF_THE_ENTRY.items()}
    p = found.p.ravel()
    message = np.where(p > null.resolution, "", floor).astype(object)
    if ALL_FLAGGED in entries:
        doubt = np.where(entries[ALL_FLAGGED], ALL_FLAGGED_WORDS, "")
        message = np.array(["; ".join(filter(None, words)) for words in zip(message, doubt, strict=True)], dtype=object)
    return pd.DataFrame({
        **{name: np.repeat(np.array(values, dtype=object), n_hits) for name, values in of_query.items()},
        "rank": pd.array(np.tile(np.arange(1, n_hits + 1), len(good)), "Int64"), **of_entry,
        "score": found.scores.ravel().astype(float).round(6), "p": p, "q": found.q.ravel(), "status": OK,
        "message": message,
    })
