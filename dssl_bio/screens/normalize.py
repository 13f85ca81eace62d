"""Transforms and per-plate normalisation of feature profiles."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dssl_bio.errors import ScreenError

Normalisation = Literal["negcon", "plate", "screen", "none"]
Transform = Literal["none", "signed_log"]

CLIP = 10.0
"""Robust z-scores beyond this are measurement failures, not phenotypes."""


def transformed(features: NDArray[np.floating], transform: Transform) -> NDArray[np.float32]:
    """Features (W, F) after an elementwise transform: signed_log is sign(x) log(1 + |x|)."""
    if transform == "signed_log":
        return (np.sign(features) * np.log1p(np.abs(features))).astype(np.float32)
    return np.asarray(features, dtype=np.float32)


def normalized(features: NDArray[np.floating], plates: NDArray[np.str_], is_control: NDArray[np.bool_],
               normalisation: Normalisation) -> NDArray[np.float32]:
    """Robust z-scores of each feature: (x - median) / (1.4826 MAD) of the reference wells.

    The reference is the plate's negative controls (`negcon`), all its wells (`plate`), or the whole screen's
    (`screen`); `none` leaves the values as they are. A feature that does not vary in the reference is scaled
    by its spread over the whole screen instead, and becomes 0 where that vanishes too. Values are clipped
    to +-10.

    Args:
        features: (W, F) finite.
        plates: (W,) plate of each well.
        is_control: (W,) True for negative controls.

    Raises:
        ScreenError: `negcon` and a plate has fewer than 2 controls.
    """
    if normalisation == "none":
        return np.asarray(features, dtype=np.float32)
    everywhere = _spread(features)
    result = np.empty(features.shape, dtype=np.float32)
    units = np.full(len(plates), "all") if normalisation == "screen" else plates
    groups = np.unique(units, return_inverse=True)[1]
    for group in np.unique(groups):
        wells = groups == group
        reference = wells & is_control if normalisation == "negcon" else wells
        if normalisation == "negcon" and reference.sum() < 2:
            raise ScreenError(
                f"plate {plates[wells][0]}: {int(reference.sum())} negative controls, at least 2 are needed for "
                "normalisation against controls; choose normalisation plate, screen or none"
            )
        spread = _spread(features[reference])
        spread = np.where(spread > 0, spread, everywhere)
        centred = features[wells] - np.median(features[reference], axis=0)
        result[wells] = np.divide(centred, spread, out=np.zeros_like(centred, dtype=float), where=spread > 0)
    return np.clip(result, -CLIP, CLIP)


def _spread(features: NDArray[np.floating]) -> NDArray[np.floating]:
    """1.4826 times the median absolute deviation of each column, the standard deviation of a Gaussian."""
    return 1.4826 * np.median(np.abs(features - np.median(features, axis=0)), axis=0)
