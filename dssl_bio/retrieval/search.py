"""From molecules to hits."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.index import PhenotypeIndex
from dssl_bio.retrieval.significance import GRID
from dssl_bio.vocabulary import DOSE_UM, MOLECULE_ID

QUERIES_AT_ONCE = 256
SCORES_AT_ONCE = 26_000_000


@dataclass(frozen=True)
class Hit:
    """A retrieved phenotype.

    Attributes:
        rank: from 1.
        entry: row of the bundle's entries.
        score: cosine of the shared representations.
        p: one-sided empirical p under the bundle's null.
        q: Benjamini-Hochberg over the query's gallery.
    """

    rank: int
    entry: int
    score: float
    p: float
    q: float


@dataclass(frozen=True)
class Found:
    """The K best entries of each of Q queries, best first.

    Attributes:
        entries: (Q, K) rows of the bundle's entries.
        scores: (Q, K) cosine of the shared representations.
        p: (Q, K) one-sided empirical p under the bundle's null.
        q: (Q, K) Benjamini-Hochberg over each query's gallery.
    """

    entries: NDArray[np.int64]
    scores: NDArray[np.float32]
    p: NDArray[np.floating]
    q: NDArray[np.floating]


class Searcher:
    """Searches a bundle, or the entries at the doses nearest to one.

    Attributes:
        bundle: what is searched.
        dose_um: that was asked for: molecules are to be embedded at it (`Run.embed_molecules(molecules, dose_um)`).
        gallery: rows of the bundle's entries that are searched.
    """

    def __init__(self, bundle: Bundle, dose_um: float | None = None):
        self.bundle, self.dose_um = bundle, dose_um
        self.gallery = np.arange(len(bundle.entries)) if dose_um is None else bundle.nearest_doses(dose_um)
        whole = len(self.gallery) == len(bundle.entries)
        self._duplicates = _Duplicates.of(bundle.entries.iloc[self.gallery])
        self._index = bundle.index if whole else PhenotypeIndex(bundle.vectors.shared[self.gallery], bundle.run.id)

    def dose_words(self) -> str:
        """What the dose that was asked for, or its absence, means for an answer; empty where nothing is to be said."""
        run = self.bundle.run
        if not run.reads_dose:
            return "" if self.dose_um is None else (
                "the model does not read doses: the dose chooses among the entries and leaves the molecule as it is")
        low, high = run.facts.doses_um
        if self.dose_um is None:
            return (f"dose not known: the model, trained at {low:g} to {high:g} uM, was told no dose in half of its "
                    "training; it can be asked at one")
        if low * 0.999 <= self.dose_um <= high * 1.001:
            return f"asked at {self.dose_um:g} uM (trained at {low:g} to {high:g} uM)"
        return (f"asked at {self.dose_um:g} uM, outside of the training doses ({low:g} to {high:g} uM): what depends "
                "on the dose is not to be trusted there")

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Shared vectors of the gallery, in its order; never copied for a query."""
        return self._index.vectors

    def hits(self, queries: NDArray[np.float32], top_k: int = 10) -> list[list[Hit]]:
        """Best entries of each shared vector (Q, D)."""
        found = self.find(queries, top_k)
        rows = zip(found.entries.tolist(), found.scores.tolist(), found.p.tolist(), found.q.tolist(), strict=True)
        return [[Hit(rank, *values) for rank, values in enumerate(zip(*row, strict=True), start=1)] for row in rows]

    def find(self, queries: NDArray[np.float32], top_k: int = 10) -> Found:
        """Best entries of each shared vector (Q, D), as arrays."""
        null = self.bundle.null
        scores, numbers = self._index.search(queries, top_k, self.bundle.run.id)
        q = np.ones(scores.shape)
        step = max(1, min(QUERIES_AT_ONCE, SCORES_AT_ONCE // len(self._index)))
        for start in range(0, len(queries), step):
            rows = slice(start, start + step)
            everything = _on_grid(queries[rows] @ self._index.vectors.T)
            for row, whole in enumerate(everything, start=start):
                gallery = whole if self._duplicates is None else self._duplicates.best(whole)
                q[row] = null.q_on_grid(_on_grid(scores[row]), gallery)
        return Found(self.gallery[numbers], scores, null.p_values(scores), q)


@dataclass(frozen=True)
class _Duplicates:
    """Entries of one molecule and dose: an order that brings them together, and where each group starts."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, entries: pd.DataFrame) -> "_Duplicates | None":
        """Groups by molecule and dose, an entry without molecule standing alone; None when all differ."""
        own = pd.Series(np.arange(len(entries)).astype(str), index=entries.index)
        name = entries[MOLECULE_ID].astype(object).where(entries[MOLECULE_ID].notna(), "entry " + own)
        dose = entries[DOSE_UM].astype(str) if DOSE_UM in entries else ""
        codes, names = pd.factorize(name + "@" + dose)
        if len(names) == len(entries):
            return None
        order = np.argsort(codes, kind="stable")
        return cls(order, np.searchsorted(codes[order], np.arange(len(names))))

    def best(self, scores: NDArray[np.int32]) -> NDArray[np.int32]:
        """The largest score of each group."""
        return np.maximum.reduceat(scores[self.order], self.starts)


def _on_grid(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """Scores as whole multiples of 1 / GRID."""
    scaled = scores * np.float32(GRID)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -GRID, GRID, out=scaled).astype(np.int32)
