"""Position effect: how much of what is measured in a plate's wells depends on where they lie."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.vocabulary import well_position

MIN_WELLS = 24


def position_effect(wells: "Sequence[object] | NDArray[np.object_]", values: NDArray[np.floating]) -> float:
    """Share of the variance between wells that a quadratic surface over rows and columns explains, in [0, 1].

    Adjusted for its five coefficients, so that 0 is expected where position does nothing. It sees gradients across the
    plate and edges that differ from the middle; missing (NaN) with fewer than 24 wells.

    Args:
        wells: (S,) well of each value, such as C07; several values of a well are averaged.
        values: (S,) what was measured.
    """
    means = pd.Series(np.asarray(values, dtype=float), index=pd.Index(np.asarray(wells, dtype=object))).groupby(level=0)
    mean = means.mean().dropna()
    if len(mean) < MIN_WELLS or mean.std() == 0:
        return float("nan")
    places = np.array([well_position(str(well)) for well in mean.index], dtype=float)
    low, high = places.min(0), places.max(0)
    if (high == low).any():
        return float("nan")
    row, column = (2 * (places - low) / (high - low) - 1).T
    surface = np.stack([np.ones_like(row), row, column, row * column, row**2, column**2], axis=1)
    residual = mean - surface @ np.linalg.lstsq(surface, mean.to_numpy(), rcond=None)[0]
    n, k = surface.shape
    explained = 1 - (residual.var(ddof=0) / (n - k)) / (mean.var(ddof=0) / (n - 1))
    return float(np.clip(explained, 0, 1))
