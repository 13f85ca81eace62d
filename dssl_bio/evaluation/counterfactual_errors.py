"""Errors of counterfactuals with intervals: root mean squares by feature, ratios of methods, explained variance."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.retrieval.families import family_of

Floats = NDArray[np.floating]

N_DRAWS, LEVEL = 2_000, 0.95


@dataclass(frozen=True)
class Resampled:
    """Draws of molecules with replacement, the same for everything that is compared.

    Attributes:
        groups: (P,) number of each row's molecule.
        counts: (B, G) how often each molecule is drawn.
    """

    groups: NDArray[np.int64]
    counts: Floats

    @classmethod
    def of(cls, names: NDArray[np.str_], seed: int, n_draws: int = N_DRAWS) -> "Resampled":
        """Draws over the molecules of rows (P,)."""
        unique, groups = np.unique(names, return_inverse=True)
        drawn = np.random.default_rng(seed).multinomial(len(unique), np.full(len(unique), 1 / len(unique)), n_draws)
        return cls(groups, drawn.astype(float))

    def sums(self, values: Floats) -> Floats:
        """(B + 1, K) sums of rows (P, K) in every draw; the last one is over the rows as they are."""
        total = np.zeros((self.counts.shape[1], values.shape[1]))
        np.add.at(total, self.groups, values)
        return np.concatenate([self.counts @ total, total.sum(0, keepdims=True)])


def root_mean_square(squares: Floats, draws: Resampled) -> Floats:
    """(B + 1,) mean over features of the root of the mean square over rows, of squared errors (P, F)."""
    sizes = draws.sums(np.ones((len(squares), 1)))
    return np.sqrt(draws.sums(squares) / np.maximum(sizes, 1)).mean(1)


def explained(squares: Floats, reference: Floats, draws: Resampled) -> Floats:
    """(B + 1,) one minus the ratio of the sums of squared errors (P, F) to those of a reference (P, F)."""
    own, other = draws.sums(squares.sum(1)[:, None]), draws.sums(reference.sum(1)[:, None])
    return (1 - own / np.maximum(other, 1e-12))[:, 0]


def mean_of(values: Floats, draws: Resampled) -> Floats:
    """(B + 1,) mean of values (P,)."""
    return (draws.sums(values[:, None]) / np.maximum(draws.sums(np.ones((len(values), 1))), 1))[:, 0]


def interval(draws: Floats) -> dict[str, float]:
    """The value and its 95 % percentile interval, of (B + 1,) draws with the value itself last."""
    low, high = np.quantile(draws[:-1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"value": float(draws[-1]), "low": float(low), "high": float(high)}


def compared(squares: dict[str, Floats], ours: str, names: NDArray[np.str_], seed: int) -> pd.DataFrame:
    """Feature error of every method, and how much lower ours is.

    Args:
        squares: squared standardised errors (P, F) by method.
        ours: the method that is compared with every other.
        names: (P,) molecule of each row: what is resampled.
        seed: of the bootstrap.

    Returns:
        method, error, error_low, error_high, lower, lower_low, lower_high: error is the mean over features of the root
        mean square; lower is 1 - ours / the method's.
    """
    draws = Resampled.of(names, seed)
    found = {method: root_mean_square(values, draws) for method, values in squares.items()}
    rows = []
    for method, values in found.items():
        error, lower = interval(values), interval(1 - found[ours] / np.maximum(values, 1e-12))
        rows.append({"method": method, "error": error["value"], "error_low": error["low"], "error_high": error["high"],
                     "lower": lower["value"], "lower_low": lower["low"], "lower_high": lower["high"]})
    return pd.DataFrame(rows)


def by_group(squares: dict[str, Floats], features: tuple[str, ...], channels: tuple[str, ...]) -> pd.DataFrame:
    """Feature error of every method by channel (pictures) or by kind of measurement (profiles): group, then methods."""
    groups = np.array([group_of(name, channels) for name in features])
    rows = [{"group": group, "features": int((groups == group).sum()),
             **{method: float(np.sqrt(values[:, groups == group].mean(0)).mean())
                for method, values in squares.items()}}
            for group in dict.fromkeys(groups)]
    return pd.DataFrame(rows)


def by_feature(squares: dict[str, Floats], features: tuple[str, ...]) -> pd.DataFrame:
    """Root mean square error of every feature: feature, then methods."""
    errors = {method: np.sqrt(values.mean(0)) for method, values in squares.items()}
    return pd.DataFrame({"feature": features, **errors})


def group_of(feature: str, channels: tuple[str, ...]) -> str:
    """The channel of a picture's statistic, `correlations` of two; else the kind of a CellProfiler feature."""
    if channels:
        return "correlations" if feature.endswith("_correlation") else feature.split("_")[0]
    family = family_of(feature)
    return family.kind if family is not None else "features"
