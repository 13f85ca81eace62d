"""The tail of a null, fitted: a p-value where no draw of the null is as large."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

SHARE = 0.01
"""Of the draws, the largest, that the tail is fitted to."""
MIN_EXCEEDANCES = 250
MAX_DISTANCE = 3.0
"""Kolmogorov distance of fit and draws, times the root of their number: beyond, the fit is not used."""


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto tail over a threshold (Knijnenburg et al. 2009, Bioinformatics 25, i161).

    P(score >= s) = share * (1 - shape (s - threshold) / scale)^(1 / shape); exponential where shape is 0. A positive
    shape would have an end, which a thousand draws do not know well enough: with it, p of 1e-6 came out a hundred
    times too small in one fit of four. Such tails are taken for exponential, which errs on the side of the null.

    Attributes:
        threshold: where the tail starts.
        share: of the draws beyond it.
        shape: k of Hosking and Wallis, never positive.
        scale: alpha of Hosking and Wallis.
        smallest: below this the fit says nothing: a thousandth of what the draws resolve.
    """

    threshold: float
    share: float
    shape: float
    scale: float
    smallest: float

    def p_values(self, scores: Floats) -> NDArray[np.float64]:
        """One-sided p of scores at or beyond the threshold, never below `smallest`; 1 below the threshold."""
        beyond = (np.asarray(scores, dtype=float) - self.threshold) / self.scale
        p = self.share * _survival(np.maximum(beyond, 0), self.shape)
        return np.where(beyond < 0, 1.0, np.maximum(p, self.smallest))


def fit_tail(scores: Floats) -> Tail | None:
    """Fits the tail of ascending draws (R,) by probability-weighted moments (Hosking and Wallis 1987).

    Returns:
        the tail; None with fewer than 25,000 draws, or where a generalised Pareto distribution does not fit.
    """
    n = int(SHARE * len(scores))
    if n < MIN_EXCEEDANCES:
        return None
    threshold = float(scores[-n - 1])
    excess = np.asarray(scores[-n:], dtype=float) - threshold  # ascending
    mean = excess.mean()
    weighted = float(np.mean(excess * np.arange(n - 1, -1, -1) / (n - 1)))
    if not mean > 2 * weighted > 0:
        return None
    shape, scale = mean / (mean - 2 * weighted) - 2, 2 * mean * weighted / (mean - 2 * weighted)
    if shape > 0:
        shape, scale = 0.0, mean
    expected = 1 - _survival(excess / scale, shape)
    distance = np.abs(expected - (np.arange(n) + 0.5) / n).max() * np.sqrt(n)
    if distance > MAX_DISTANCE:
        return None
    return Tail(threshold, n / len(scores), float(shape), float(scale), 1e-3 / (1 + len(scores)))


def _survival(x: Floats, shape: float) -> Floats:
    if abs(shape) < 1e-6:
        return np.exp(-x)
    return np.maximum(1 - shape * x, 0) ** (1 / shape)
