"""The tones of a picture, brought to given quantiles: histogram specification by channel."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dssl_bio.imaging.statistics import QUANTILES

LEAST, MOST, FAR = 0.5, 2.0, 100.0
"""Slope beyond the outermost quantiles, where few pixels say what it should be."""


def with_quantiles(picture: NDArray[np.floating], wanted: NDArray[np.floating]) -> NDArray[np.float32]:
    """A picture whose channels have the wanted quantiles; which pixel is brighter than which does not change.

    Piecewise linear between the quantiles; below the lowest the tones are moved as it is, above the highest they are
    stretched as between the two highest. Equal quantiles give the picture itself.

    Args:
        picture: (C, H, W) scaled pixels.
        wanted: (C, Q) values of the QUANTILES of each channel; made ascending and non-negative.

    Returns:
        (C, H, W), not below 0.
    """
    result = np.empty(picture.shape, np.float32)
    for number, (plane, target) in enumerate(zip(picture, wanted, strict=True)):
        own = np.quantile(plane, QUANTILES)
        goal = np.maximum.accumulate(np.maximum(target, 0))
        slope = (goal[-1] - goal[-2]) / max(own[-1] - own[-2], 1e-6)
        slope = 1.0 if np.allclose(goal, own, atol=1e-6) else float(np.clip(slope, LEAST, MOST))
        ends = (own[0] - FAR, goal[0] - FAR), (own[-1] + FAR, goal[-1] + FAR * slope)
        result[number] = np.interp(plane, [ends[0][0], *own, ends[1][0]], [ends[0][1], *goal, ends[1][1]])
    return np.maximum(result, 0)


def quantile_names(channels: Sequence[str]) -> list[list[str]]:
    """Names (C, Q) of the statistics that hold each channel's quantiles."""
    return [[f"{channel}_quantile{round(100 * quantile)}" for quantile in QUANTILES] for channel in channels]
