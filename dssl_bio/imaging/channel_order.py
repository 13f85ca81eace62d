"""Are two channels exchanged? Each stain has its own brightness and sharpness, and a swap makes both fit the other."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from dssl_bio.imaging.quality import FOCUS, METRICS

MIN_SITES = 24
KEPT = 0.75
"""Share of the sites, the most usual ones, that say what is usual."""
ROUNDS = 3
USUAL = 4.0
"""A swap is suspected when it brings a site to at most so many times the usual squared distance ..."""
GAIN = 4.0
"""... and when it was at least so many times further away before."""


class Swap(NamedTuple):
    """Two channels of one picture that fit better the other way round."""

    number: int
    first: int
    second: int


def suspected_swaps(found: NDArray[np.floating]) -> list[Swap]:
    """Pairs of channels that look exchanged, at most one for each of several pictures.

    What all channels of a site look like together has a middle and a spread over the plate (a Gaussian with shrunk
    covariance, of the most usual three quarters of the sites). A site that lies far off as its channels are named, and
    near the middle when two of them change places, is suspected; a strong phenotype lies far off both ways.

    Args:
        found: (S, C, K) from `signatures`, of the sites of a plate, or of whole plates.
    """
    n_sites, n_channels = found.shape[:2]
    if n_sites < MIN_SITES or n_channels < 2:
        return []
    flat = found.reshape(n_sites, -1)
    usual = np.ones(n_sites, dtype=bool)
    for _ in range(ROUNDS):
        middle = np.median(flat[usual], axis=0)
        precision = np.linalg.pinv(ledoit_wolf(flat[usual] - middle, assume_centered=True)[0])
        distance = _distance(flat, middle, precision)
        usual = distance <= np.quantile(distance, KEPT)
    unit = np.median(distance)
    suspects: dict[int, tuple[float, Swap]] = {}
    for first, second in combinations(range(n_channels), 2):
        order = list(range(n_channels))
        order[first], order[second] = second, first
        swapped = _distance(found[:, order].reshape(n_sites, -1), middle, precision)
        for number in np.flatnonzero((swapped < USUAL * unit) & (distance > GAIN * np.maximum(swapped, unit))):
            if number not in suspects or swapped[number] < suspects[number][0]:
                suspects[int(number)] = (float(swapped[number]), Swap(int(number), first, second))
    return [suspects[number][1] for number in sorted(suspects)]


def signatures(metrics: NDArray[np.float32]) -> NDArray[np.float64]:
    """What tells stains apart (S, C, K) of quality metrics (S, C, M): levels, contrasts, sharpness, in logarithms."""
    def level(name: str) -> NDArray[np.float64]:
        return np.log10(np.maximum(metrics[:, :, METRICS.index(name)].astype(float), 1.0))

    focus = metrics[:, :, METRICS.index(FOCUS)].astype(float)
    return np.stack([level("q0.05"), level("q0.5"), level("q0.99") - level("q0.5"), level("q0.95") - level("q0.25"),
                     focus], axis=2)


def _distance(flat: NDArray[np.floating], middle: NDArray[np.floating], precision: NDArray[np.floating],
              ) -> NDArray[np.floating]:
    """Squared Mahalanobis distance of each row."""
    away = flat - middle
    return np.einsum("si,ij,sj->s", away, precision, away)
