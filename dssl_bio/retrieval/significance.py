"""How often would an unrelated molecule score as high: empirical p, and q over the query's gallery."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dssl_bio.retrieval.tail import Tail, fit_tail

Floats = NDArray[np.floating]

MIN_DRAWS = 1_000
MAX_DRAWS = 100_000
PAIRS_AT_ONCE = 4_000_000
"""Pairs of which it is looked up at a time whether they are related: a byte or two each."""
GRID = 1_000_000
"""Scores are compared after rounding to six digits: beyond, they depend on the order of summation."""


@dataclass(frozen=True)
class Null:
    """Scores under a named null hypothesis.

    Attributes:
        name: what the draws are, in words.
        scores: (R,) ascending.
    """

    name: str
    scores: NDArray[np.float32]

    @property
    def resolution(self) -> float:
        """The smallest p that can come out."""
        return 1 / (1 + len(self.scores))

    def p_values(self, scores: Floats) -> Floats:
        """One-sided empirical p of each score: (1 + #null >= score) / (1 + #null)."""
        return (1 + self._exceeding(scores)) / (1 + len(self.scores))

    @cached_property
    def tail(self) -> Tail | None:
        """Fitted tail, for scores that no draw reaches; None where it cannot be fitted."""
        return fit_tail(self.scores)

    def fitted_p(self, score: float) -> float | None:
        """Of the fitted tail, for a score that no draw reaches: at most the resolution; None without a tail."""
        if self.tail is None:
            return None
        return min(float(self.tail.p_values(np.array([score]))[0]), self.resolution)

    def q_values(self, hits: Floats, gallery: Floats) -> Floats:
        """Benjamini-Hochberg q (1995) of some scores of one query over its whole gallery.

        q of rank i is min over j >= i of p_(j) m / j. p depends on a score only through how many draws exceed
        it, so the minimum runs over those levels and nothing is sorted.

        Args:
            hits: (K,) scores taken from the gallery.
            gallery: (m,) all scores of the query, deduplicated.
        """
        return self._benjamini_hochberg(self._exceeding(hits), self._exceeding(gallery))

    def q_on_grid(self, hits: NDArray[np.int32], gallery: NDArray[np.int32]) -> Floats:
        """`q_values` of scores given as multiples of 1 / GRID: a look-up for each instead of a search.

        Args:
            hits: (K,) from -GRID to GRID.
            gallery: (m,) all scores of the query, deduplicated.
        """
        levels = self._exceeding_on_grid
        return self._benjamini_hochberg(levels.take(hits + GRID, mode="clip"), levels.take(gallery + GRID, mode="clip"))

    def _benjamini_hochberg(self, hits: NDArray[np.integer], gallery: NDArray[np.integer]) -> Floats:
        """The q that belongs to numbers of draws which exceed a score, each found among the gallery's."""
        n_levels = len(self.scores) + 1
        at_least = np.bincount(gallery, minlength=n_levels).cumsum()  # entries with p up to the level's
        # A hit whose last digit was rounded the other way may lie one step before the gallery's first
        levels, places = np.unique(np.maximum(hits, gallery.min()), return_inverse=True)
        start = levels[0]  # levels before a hit's never hold its minimum
        ratio = self._ranks[start:] / at_least[start:]
        within = np.minimum.reduceat(ratio, levels - start)  # from each hit's level to the next one's
        q = np.minimum.accumulate(within[::-1])[::-1] * (len(gallery) / n_levels)
        return np.minimum(1.0, q[places])

    @cached_property
    def _ranks(self) -> NDArray[np.float64]:
        return np.arange(1.0, len(self.scores) + 2)

    @cached_property
    def _exceeding_on_grid(self) -> NDArray[np.int32]:
        grid = (np.arange(-GRID, GRID + 1) / GRID).astype(np.float32)
        return self._exceeding(grid).astype(np.int32)

    def _exceeding(self, scores: Floats) -> NDArray[np.int64]:
        """How many draws are at least as large as each score."""
        return len(self.scores) - np.searchsorted(self.scores, scores.astype(np.float32), side="left")


Codes = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Of Q queries and of N entries: a query and an entry of one code are related; -1 is related to nothing."""


def mismatched_pairs(queries: Floats, gallery: Floats, related: Sequence[Codes], name: str, seed: int = 0) -> Null:
    """Null of scores between queries and entries that have nothing to do with each other.

    Memory does not grow with queries times entries: pairs are looked at in blocks, and scored when they are drawn.

    Args:
        queries: (Q, D) unit vectors of molecules the model was not trained on.
        gallery: (N, D) unit vectors of entries.
        related: codes of molecule, of annotated mechanism, ...; a pair that is related by any of them does not count.
        name: what the draws are.
        seed: of the subsample, when there are more than 100,000 pairs.
    """
    step = max(1, PAIRS_AT_ONCE // max(1, len(gallery)))
    blocks = [slice(start, min(start + step, len(queries))) for start in range(0, len(queries), step)]
    counts = [int(_unrelated(related, block, len(gallery)).sum()) for block in blocks]
    total = sum(counts)
    if total > MAX_DRAWS:
        drawn = np.sort(np.random.default_rng(seed).choice(total, MAX_DRAWS, replace=False, shuffle=False))
    else:
        drawn = np.arange(total)
    scores, first = [np.zeros(0, np.float32)], 0
    for block, count in zip(blocks, counts, strict=True):
        here = drawn[np.searchsorted(drawn, first):np.searchsorted(drawn, first + count)] - first
        query, entry = np.divmod(np.flatnonzero(_unrelated(related, block, len(gallery)))[here], max(1, len(gallery)))
        scores.append(np.einsum("nd,nd->n", queries[block][query], gallery[entry]).astype(np.float32).round(6))
        first += count
    return Null(name, np.sort(np.concatenate(scores)))


def _unrelated(related: Sequence[Codes], block: slice, n_entries: int) -> NDArray[np.bool_]:
    """(queries of the block, N) True for pairs that no code relates."""
    apart = np.ones((block.stop - block.start, n_entries), dtype=bool)
    for own, others in related:
        apart &= (own[block, None] != others[None, :]) | (own[block, None] < 0)
    return apart
