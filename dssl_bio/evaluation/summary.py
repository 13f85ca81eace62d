"""From ranks to the numbers that are reported: value, interval over molecules, chance for the actual pool."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.evaluation.intervals import N_DRAWS, Bootstrap
from dssl_bio.evaluation.metrics import chance_summary, pool_share_chance, summarize
from dssl_bio.vocabulary import MOLECULE_ID

ALL, ACTIVE, ANNOTATED = "all", "active", "annotated"
SUBSETS = (ALL, ACTIVE, ANNOTATED)
TOP_K = (1, 5, 10)
TOP_SHARES = (0.01, 0.05)
"""Shares of the pool (top-1 %, top-5 %)."""
METRICS = ("top_1", "top_5", "top_10", "top_1_per_cent", "top_5_per_cent", "mrr")
MECHANISM_METRICS = ("precision", "average_precision")


def reciprocal_columns(ranks: pd.DataFrame) -> NDArray[np.float64]:
    """(Q, 6) what each query adds to the mean of METRICS."""
    rank, pool = ranks["rank"].to_numpy(float), ranks["n_entries"].to_numpy(float)
    hits = [rank <= k for k in TOP_K] + [rank <= np.ceil(share * pool) for share in TOP_SHARES]
    return np.stack([*(np.asarray(hit, dtype=float) for hit in hits), 1 / rank], axis=1)


def summaries(ranks: pd.DataFrame, by: tuple[str, ...] = ("method", "direction", "setting"), n_draws: int = N_DRAWS,
              seed: int = 0) -> list[dict[str, Any]]:
    """One record for each method, direction, setting and subset (all, active, annotated queries).

    Args:
        ranks: of `ranks_table`.
        by: columns that separate records.
        n_draws: of the bootstrap over molecules.
        seed: of the bootstrap.

    Returns:
        records: the columns of `by`, subset, n_queries, n_molecules, n_entries (median), and for each metric value,
        low, high and chance.
    """
    found = []
    for names, group in ranks.groupby(list(by), sort=False):
        for subset in SUBSETS:
            chosen = subset_of(group, subset)
            if len(chosen) and (subset == ALL or len(chosen) < len(group)):
                found.append({**dict(zip(by, names, strict=True)), "subset": subset,
                              **summary_of(chosen, n_draws, seed)})
    return found


def summary_of(ranks: pd.DataFrame, n_draws: int = N_DRAWS, seed: int = 0) -> dict[str, Any]:
    """Numbers of one set of queries."""
    columns, molecules = reciprocal_columns(ranks), ranks[MOLECULE_ID].to_numpy(str)
    pool, right = ranks["n_entries"].to_numpy(), ranks["n_right"].to_numpy()
    chance = {**asdict(chance_summary(pool.tolist(), right.tolist())),
              **{f"top_{round(100 * share)}_per_cent": pool_share_chance(pool, right, share) for share in TOP_SHARES}}
    bootstrap = Bootstrap(molecules, n_draws, seed)
    interval = bootstrap.mean_interval(columns)
    metrics = {name: _number(columns[:, i].mean(), interval[i], chance[name]) for i, name in enumerate(METRICS)}
    median = summarize(ranks["rank"].to_numpy(), pool).median_rank
    around = bootstrap.median_interval((ranks["rank"] / ranks["n_entries"]).to_numpy())
    metrics["median_rank"] = _number(median, around, chance["median_rank"])
    return {"n_queries": len(ranks), "n_molecules": len(set(molecules)), "n_entries": float(np.median(pool)), **metrics}


def mechanism_summaries(table: pd.DataFrame, by: tuple[str, ...] = ("method", "direction"), n_draws: int = N_DRAWS,
                        seed: int = 0) -> list[dict[str, Any]]:
    """Precision among the ten nearest beside prevalence, and mean average precision, of annotated queries."""
    found = []
    for names, group in (table.groupby(list(by), sort=False) if len(table) else ()):
        values = group[list(MECHANISM_METRICS)].to_numpy(float)
        interval = Bootstrap(group[MOLECULE_ID].to_numpy(str), n_draws, seed).mean_interval(values)
        precision, prevalence = float(values[:, 0].mean()), float(group["prevalence"].mean())
        annotated = float(group["prevalence_annotated"].mean())
        found.append({
            **dict(zip(by, names, strict=True)), "n_queries": len(group), "n_molecules": group[MOLECULE_ID].nunique(),
            "precision_at_10": _number(precision, interval[0], prevalence), "prevalence": prevalence,
            "prevalence_annotated": annotated, "times_prevalence": precision / prevalence,
            "times_prevalence_annotated": precision / annotated,
            "map": _number(values[:, 1].mean(), interval[1], group["chance_average_precision"].mean()),
        })
    return found


def subset_of(ranks: pd.DataFrame, subset: str) -> pd.DataFrame:
    """Queries of active or annotated molecules alone, or all of them."""
    if subset == ALL:
        return ranks
    mask = ranks["active"].fillna(False).astype(bool) if subset == ACTIVE else ranks["annotated"].astype(bool)
    return ranks[mask]


def _number(value: float, interval: NDArray[np.floating], chance: float) -> dict[str, float]:
    return {"value": float(value), "low": float(interval[0]), "high": float(interval[1]), "chance": float(chance)}
