"""The results of a benchmark as a bundle keeps them, and as a table that a person reads beside chance."""

import shutil
from pathlib import Path

import pandas as pd

BENCHMARK = "benchmark.csv"
SUMMARY = "summary.csv"
"""Of a benchmark folder: one row a method, direction, setting, subset and metric, with its interval and chance."""

CHANCE = "chance"
METRICS = {"top_1": "top-1 %", "top_5": "top-5 %", "top_10": "top-10 %", "mrr": "MRR"}
ALL = "all"


def keep_benchmark(benchmark: Path, bundle: Path) -> None:
    """Copies the results of a benchmark folder, which its reader has verified, into a bundle's."""
    shutil.copyfile(benchmark / SUMMARY, bundle / BENCHMARK)


def read_benchmark(bundle: Path) -> pd.DataFrame | None:
    """The results that a bundle keeps; None when it was indexed without a benchmark."""
    path = bundle / BENCHMARK
    return pd.read_csv(path) if path.is_file() else None


def settings_of(results: pd.DataFrame) -> list[tuple[str, str]]:
    """The directions and settings that were measured, in the order of the file."""
    return list(results[["direction", "setting"]].drop_duplicates().itertuples(index=False, name=None))


def by_method(results: pd.DataFrame, direction: str, setting: str) -> pd.DataFrame:
    """One row a method and last chance, best MRR first; a cell is a value with its interval, or empty.

    Returns:
        method, then a column for each of METRICS that was measured.
    """
    own = results[(results["direction"] == direction) & (results["setting"] == setting) & (results["subset"] == ALL)
                  & results["metric"].isin(METRICS)]
    names = [metric for metric in METRICS if (own["metric"] == metric).any()]
    order = own[own["metric"] == (names[-1] if names else "")].sort_values(["value", "method"],
                                                                           ascending=[False, True])["method"]
    rows = [{"method": method, **{METRICS[name]: _cell(own, method, name) for name in names}} for method in order]
    chance = {METRICS[name]: _number(float(own.loc[own["metric"] == name, CHANCE].median()), name) for name in names}
    return pd.DataFrame([*rows, {"method": CHANCE, **chance}] if rows else [])


def _cell(own: pd.DataFrame, method: str, metric: str) -> str:
    found = own[(own["method"] == method) & (own["metric"] == metric)]
    if found.empty:
        return ""
    row = found.iloc[0]
    interval = "" if pd.isna(row["low"]) else f" [{_number(row['low'], metric)}, {_number(row['high'], metric)}]"
    return _number(float(row["value"]), metric) + interval


def _number(value: float, metric: str) -> str:
    return f"{value:.3f}" if metric == "mrr" else f"{100 * value:.1f}"
