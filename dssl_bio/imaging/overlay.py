"""Masks as outlines over a picture, for people who judge a segmentation."""

import numpy as np
from numpy.typing import NDArray

from dssl_bio.imaging.labels import Labels, outlines

NUCLEUS_COLOUR, CELL_COLOUR = (255, 255, 255), (0, 220, 255)


def overlay(rgb: NDArray[np.uint8], nuclei: Labels, cells: Labels | None = None) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with nuclei outlined in white and cells in cyan, each on the object's own rim.

    Raises:
        ValueError: a mask is not of the picture's size.
    """
    drawn = rgb.copy()
    for labels, colour in ((cells, CELL_COLOUR), (nuclei, NUCLEUS_COLOUR)):
        if labels is None:
            continue
        if labels.shape != rgb.shape[:2]:
            raise ValueError(f"masks of {labels.shape} do not fit a picture of {rgb.shape[:2]}")
        drawn[outlines(labels)] = colour
    return drawn
