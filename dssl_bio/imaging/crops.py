"""Cutting sites into tiles, and bringing them to a model's pixel size."""

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize


def tile_corners(shape: tuple[int, ...], size: int) -> list[tuple[int, int]]:
    """Upper left corners of the fewest tiles of `size` pixels that cover an image of shape (H, W), evenly spread.

    Raises:
        ValueError: the image is smaller than a tile.
    """
    if min(shape) < size:
        raise ValueError(f"an image of {shape[0]} x {shape[1]} pixels is smaller than a tile of {size}")
    axes = [np.linspace(0, length - size, -(-length // size)).round().astype(int) for length in shape]
    return [(int(y), int(x)) for y in axes[0] for x in axes[1]]


def resampled(sites: NDArray[np.float32], zoom: float, at_least: int) -> NDArray[np.float32]:
    """Sites (N, C, H, W) with `zoom` times as many pixels a side, mirrored at the edge up to `at_least` pixels.

    Shrinking averages over the pixels that become one (anti-aliasing); a zoom within 1 % of 1 changes nothing.
    """
    if abs(zoom - 1) >= 0.01:
        shape = tuple(max(1, round(length * zoom)) for length in sites.shape[2:])
        sites = np.stack([resize(site, (len(site), *shape), order=1, anti_aliasing=zoom < 1) for site in sites])
    missing = [max(0, at_least - length) for length in sites.shape[2:]]
    if any(missing):
        pad = [(0, 0), (0, 0), *((m // 2, m - m // 2) for m in missing)]
        sites = np.pad(sites, pad, mode="symmetric")
    return sites.astype(np.float32, copy=False)
