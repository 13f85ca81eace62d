"""A benchmark in numbers: means over seeds with intervals over molecules, and paired differences between methods."""

from typing import Any

import numpy as np
import pandas as pd

from dssl_bio.evaluation.benchmark_ranks import SEED, labelled
from dssl_bio.evaluation.heldout import WHOLE
from dssl_bio.evaluation.intervals import N_DRAWS, Bootstrap
from dssl_bio.evaluation.summary import (
    ALL,
    METRICS,
    SUBSETS,
    mechanism_summaries,
    reciprocal_columns,
    subset_of,
    summaries,
)
from dssl_bio.vocabulary import MOLECULE_ID

QUESTION = ["fold", "query", "plate"]


def benchmark_results(ranks: pd.DataFrame, mechanisms: pd.DataFrame, references: tuple[str, ...], *,
                      n_draws: int = N_DRAWS, seed: int = 0) -> dict[str, Any]:
    """Everything a benchmark reports.

    Args:
        ranks: of `rank_tables`.
        mechanisms: of `rank_tables`.
        references: methods that every other one is compared with, query by query.
        n_draws: of the bootstrap over molecules.
        seed: of the bootstrap.

    Returns:
        retrieval (mean over seeds; an ensemble is a method of its own), by_seed, differences, mechanism.
    """
    table = labelled(ranks)
    retrieval = [{**record, "n_queries": round(record["n_queries"] / _n_seeds(table, record["method"]))}
                 for record in summaries(table, n_draws=n_draws, seed=seed)]
    mechanism = (mechanism_summaries(labelled(mechanisms), n_draws=n_draws, seed=seed) if len(mechanisms) else [])
    return {"retrieval": retrieval, "by_seed": by_seed(ranks),
            "differences": [one for name in references for one in differences(table, name, n_draws, seed)],
            "mechanism": mechanism}


def by_seed(ranks: pd.DataFrame) -> list[dict[str, Any]]:
    """MRR and top-k of every single seed over the held-out library: how much a seed decides."""
    whole = ranks[(ranks["setting"] == WHOLE) & ~ranks[SEED].isin(["", "ensemble"])]
    found = []
    for (method, direction, seed), part in whole.groupby(["method", "direction", SEED], sort=False):
        values = reciprocal_columns(part).mean(0)
        found.append({"method": method, "direction": direction, "seed": seed,
                      **{name: float(value) for name, value in zip(METRICS, values, strict=True)}})
    return found


def differences(table: pd.DataFrame, reference: str, n_draws: int = N_DRAWS, seed: int = 0) -> list[dict[str, Any]]:
    """Method minus reference, question by question, each the mean over its seeds; intervals over molecules.

    Questions that only one of the two was asked are left out.

    Returns:
        method, reference, direction, setting, subset, n_queries, and for each metric value, low, high.
    """
    found = []
    for (direction, setting), asked in table.groupby(["direction", "setting"], sort=False):
        for subset in SUBSETS:
            chosen = subset_of(asked, subset)
            if not len(chosen) or (subset != ALL and len(chosen) == len(asked)):
                continue
            means = {str(name): _mean_over_seeds(part) for name, part in chosen.groupby("method", sort=False)}
            if reference not in means:
                continue
            for name, mean in means.items():
                both = mean.join(means[reference], how="inner", lsuffix="_own", rsuffix="_other")
                if name == reference or not len(both):
                    continue
                own, other = (both[[f"{metric}_{side}" for metric in METRICS]].to_numpy() for side in ("own", "other"))
                molecules = both[f"{MOLECULE_ID}_own"].to_numpy(str)
                interval = Bootstrap(molecules, n_draws, seed).mean_interval(own - other)
                value = (own - other).mean(0)
                numbers = {metric: {"value": float(value[i]), "low": float(interval[i, 0]),
                                    "high": float(interval[i, 1])} for i, metric in enumerate(METRICS)}
                found.append({"method": name, "reference": reference, "direction": direction, "setting": setting,
                              "subset": subset, "n_queries": len(both), **numbers})
    return found


def flat(results: dict[str, Any]) -> pd.DataFrame:
    """Retrieval results as one row a number, for spreadsheets."""
    rows = []
    for record in results["retrieval"]:
        names = ("method", "direction", "setting", "subset", "n_queries", "n_molecules", "n_entries")
        for metric in (*METRICS, "median_rank"):
            rows.append({**{name: record[name] for name in names}, "metric": metric, **record[metric]})
    return pd.DataFrame(rows)


def _mean_over_seeds(ranks: pd.DataFrame) -> pd.DataFrame:
    values = pd.DataFrame(reciprocal_columns(ranks), columns=list(METRICS), index=ranks.index)
    table = pd.concat([ranks[[*QUESTION, MOLECULE_ID]], values], axis=1)
    return table.groupby(QUESTION).agg({MOLECULE_ID: "first", **dict.fromkeys(METRICS, "mean")})


def _n_seeds(table: pd.DataFrame, method: str) -> int:
    return int(np.maximum(table.loc[table["method"] == method, SEED].nunique(), 1))
