"""Retrieval metrics under the protocol of the README: ties count against the model, chance is exact."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.floating]


def ranks_of_best(scores: Floats, right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rank from 1 of each query's best right answer; entries of equal score count against the model.

    Args:
        scores: (Q, G) larger is nearer; the gallery is already deduplicated.
        right: (Q, G) True where the entry is a right answer of the query.

    Returns:
        (Q,) 1 + the number of wrong entries that score at least as high as the best right one.

    Raises:
        ValueError: shapes differ, a score is NaN, or a query has no right answer.
    """
    if scores.shape != right.shape:
        raise ValueError(f"scores are {scores.shape}, right answers {right.shape}")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    if not right.any(1).all():
        raise ValueError(f"query {int(np.argmin(right.any(1)))} has no right answer in the gallery")
    best = np.where(right, scores, -np.inf).max(1)
    return 1 + ((scores >= best[:, None]) & ~right).sum(1)


def chance_of_rank(n_entries: int, n_right: int) -> Floats:
    """Distribution of the best right answer's rank under a random order: element k-1 is P(rank = k), (G,).

    P(rank > k) = C(G - k, r) / C(G, r) with G entries and r right answers; exact for any pool.
    """
    if not 1 <= n_right <= n_entries:
        raise ValueError(f"{n_right} right answers in a gallery of {n_entries}")
    k = np.arange(n_entries + 1)
    left = n_entries - k
    survives = np.zeros(n_entries + 1)
    possible = left >= n_right
    survives[possible] = np.exp(
        gammaln(left[possible] + 1) - gammaln(left[possible] - n_right + 1)
        - gammaln(n_entries + 1) + gammaln(n_entries - n_right + 1)
    )
    return survives[:-1] - survives[1:]


@dataclass(frozen=True)
class RetrievalSummary:
    """Scores of one set of queries; shares lie in [0, 1], the median rank is a fraction of the gallery."""

    n_queries: int
    top_1: float
    top_5: float
    top_10: float
    mrr: float
    median_rank: float


def summarize(ranks: NDArray[np.int64], n_entries: NDArray[np.int64]) -> RetrievalSummary:
    """Top-k, MRR and median rank of queries with their own gallery sizes, both (Q,)."""
    if len(ranks) == 0:
        raise ValueError("no query to summarise")
    top_1, top_5, top_10 = (float(np.mean(ranks <= k)) for k in (1, 5, 10))
    mrr, median_rank = float(np.mean(1 / ranks)), float(np.median(ranks / n_entries))
    return RetrievalSummary(len(ranks), top_1, top_5, top_10, mrr, median_rank)


def chance_summary(n_entries: Sequence[int], n_right: Sequence[int]) -> RetrievalSummary:
    """What a random order scores, exact for each query's gallery and averaged over queries.

    The median rank is the median of the mixture of the queries' rank distributions.
    """
    pools = list(zip(n_entries, n_right, strict=True))
    distributions = {pool: chance_of_rank(*pool) for pool in set(pools)}

    def mean_over_queries(weight_of_rank: Callable[[Floats], Floats]) -> float:
        value = {p: float(d @ weight_of_rank(np.arange(1.0, p[0] + 1))) for p, d in distributions.items()}
        return float(np.mean([value[p] for p in pools]))

    top_1, top_5, top_10 = (mean_over_queries(lambda rank, k=k: rank <= k) for k in (1, 5, 10))  # type: ignore[misc]
    mrr = mean_over_queries(lambda rank: 1 / rank)
    places = np.concatenate([np.arange(1, p[0] + 1) / p[0] for p in pools])
    weights = np.concatenate([distributions[p] for p in pools])
    order = np.argsort(places, kind="stable")
    half = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return RetrievalSummary(len(pools), top_1, top_5, top_10, mrr, float(places[order][half]))


def pool_share_chance(n_entries: NDArray[np.int64], n_right: NDArray[np.int64], share: float) -> float:
    """Chance that the best right answer lies within a share of the pool (rounded up), averaged over queries."""
    pools, counts = np.unique(np.stack([n_entries, n_right]), axis=1, return_counts=True)
    found = [chance_of_rank(int(n), int(r))[:math.ceil(share * n)].sum() for n, r in pools.T]
    return float(np.average(found, weights=counts))
