"""What differs between two pictures of the same cells, as a picture."""

import numpy as np
from numpy.typing import NDArray

BRIGHTER, DIMMER = (240, 150, 30), (64, 132, 255)
FULL = 0.5
"""A difference of so much of the plate's range has full colour."""


def difference(before: NDArray[np.floating], after: NDArray[np.floating], channel: int | None = None,
               ) -> NDArray[np.uint8]:
    """Orange where it grew brighter, blue where it grew dimmer, grey where nothing changed.

    Args:
        before: (C, H, W) scaled pixels.
        after: likewise.
        channel: one of them; the mean over all by default.

    Returns:
        (H, W, 3) RGB.

    Raises:
        ValueError: the two differ in shape.
    """
    if before.shape != after.shape:
        raise ValueError(f"pictures of {before.shape} and {after.shape} cannot be compared")
    change = np.asarray(after, np.float32) - np.asarray(before, np.float32)
    one = change.mean(0) * 2 if channel is None else change[channel]
    share = np.clip(np.abs(one) / FULL, 0, 1)[..., None]
    colour = np.where((one > 0)[..., None], np.array(BRIGHTER, np.float32), np.array(DIMMER, np.float32))
    return ((1 - share) * 28 + share * colour).round().astype(np.uint8)


def side_by_side(pictures: list[NDArray[np.uint8]], gap: int = 4) -> NDArray[np.uint8]:
    """Pictures (H, W, 3) of one height in a row, white between them."""
    between = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (between, picture)][1:]
    return np.concatenate(parts, axis=1)
