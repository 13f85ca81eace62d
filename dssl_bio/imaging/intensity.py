"""From raw intensities to the scale that encoders and eyes read: the same code in training, indexing and serving."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.7
CEILING = 1.5
"""Brighter than one and a half times the reference's upper limit is cut off: debris, not phenotype."""
GLARING = 2.5
"""A reference site whose range is so many times the usual one in any channel sets no limits."""


@dataclass(frozen=True)
class Clipping:
    """How intensities become the scale of encoders; stored with a screen and with every run that is trained on it.

    Attributes:
        low_percentile: of the reference's pixels, becomes 0.
        high_percentile: of the reference's pixels, becomes 1.
        ceiling: larger values are cut off.
    """

    low_percentile: float = LOW_PERCENTILE
    high_percentile: float = HIGH_PERCENTILE
    ceiling: float = CEILING


def usual_sites(sites: NDArray[np.uint16], glaring: float = GLARING) -> NDArray[np.bool_]:
    """Which of several sites (N, C, H, W) are not glaring: overexposed, or with debris brighter than all cells.

    A few of them would set the limits of a whole plate, and everything else on it would look empty.
    """
    flat = sites.reshape(*sites.shape[:2], -1)
    low, high = np.percentile(flat, (LOW_PERCENTILE, HIGH_PERCENTILE), axis=2)
    span = np.maximum(high - np.median(low, axis=0), 1)
    return (span <= glaring * np.median(span, axis=0)).all(1)


def limits(sites: NDArray[np.uint16], clipping: Clipping | None = None) -> NDArray[np.float32]:
    """Lower and upper intensity (C, 2) of each channel over reference sites (N, C, H, W)."""
    clipping = clipping or Clipping()
    by_channel = np.moveaxis(sites, 1, 0).reshape(sites.shape[1], -1)
    low, high = np.percentile(by_channel, (clipping.low_percentile, clipping.high_percentile), axis=1)
    return np.stack([low, np.maximum(high, low + 1)], axis=1).astype(np.float32)


def scaled(sites: NDArray[np.uint16], reference: NDArray[np.float32], ceiling: float = CEILING) -> NDArray[np.float32]:
    """Sites (N, C, H, W) with each channel's limits at 0 and 1, clipped to [0, ceiling].

    Args:
        sites: raw intensities.
        reference: (N, C, 2) limits of each site's plate.
        ceiling: largest value, as the screen's `Clipping` says.
    """
    low, high = reference[:, :, 0, None, None], reference[:, :, 1, None, None]
    return np.clip((sites.astype(np.float32) - low) / (high - low), 0, ceiling)
