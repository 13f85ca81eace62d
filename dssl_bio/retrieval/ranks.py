"""Where a molecule's own phenotype stands, and which mechanisms gather among the first hits."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom

from dssl_bio.retrieval.index import SCORE_DIGITS
from dssl_bio.vocabulary import MOA


def own_rank(vectors: NDArray[np.float32], query: NDArray[np.float32], own: NDArray[np.integer]) -> int | None:
    """Rank of the best of a query's own entries, ties counted against it; None when it has none.

    Args:
        vectors: (N, D) unit vectors of the gallery.
        query: (D,) unit vector.
        own: rows of the gallery that are right.
    """
    if len(own) == 0:
        return None
    scores = (vectors @ query).round(SCORE_DIGITS)
    others = np.ones(len(scores), dtype=bool)
    others[own] = False
    return 1 + int((scores[others] >= scores[own].max()).sum())


def mechanisms_among(entries: pd.DataFrame, hits: Sequence[int], gallery: NDArray[np.integer]) -> pd.DataFrame:
    """Annotated mechanisms among some hits, compared with the gallery they were taken from.

    Args:
        entries: the bundle's entries.
        hits: rows of `entries` that were found.
        gallery: rows of `entries` that were searched.

    Returns:
        mechanism, hits, in_gallery, expected (hits of that mechanism in as many annotated entries taken at random),
        p (one-sided hypergeometric, among annotated entries); most enriched first. Empty without annotations.
    """
    columns = ["mechanism", "hits", "in_gallery", "expected", "p"]
    if MOA not in entries:
        return pd.DataFrame(columns=columns)
    found = entries[MOA].iloc[list(hits)].dropna()
    searched = entries[MOA].iloc[gallery].dropna()
    totals = searched.value_counts()
    counts = found.value_counts()
    rows = [(name, int(n), int(totals[name]), len(found) * totals[name] / len(searched),
             float(hypergeom.sf(n - 1, len(searched), totals[name], len(found)))) for name, n in counts.items()]
    return pd.DataFrame(rows, columns=columns).sort_values(["p", "mechanism"], ignore_index=True)
