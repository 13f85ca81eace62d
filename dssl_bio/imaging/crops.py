"""Cutting sites into tiles, and bringing them to a model's pixel size."""

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize


def tiles_of(sites: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Sites (N, C, H, W) cut into equal tiles (N * T, C, h, w) that cover them, a site's tiles one after the other.

    Sides are divided into round(length / size) parts, so h and w lie between 2/3 and 3/2 of `size`, and tiles overlap
    by a pixel or two at most: what reads tiles of any size reads every pixel once.

    Raises:
        ValueError: a site is smaller than a tile of `size`.
    """
    shape = sites.shape[2:]
    if min(shape) < size:
        raise ValueError(f"an image of {shape[0]} x {shape[1]} pixels is smaller than a tile of {size}")
    numbers = [round(length / size) for length in shape]
    h, w = (-(-length // n) for length, n in zip(shape, numbers, strict=True))
    top, left = (np.linspace(0, length - part, n).round().astype(int)
                 for length, part, n in zip(shape, (h, w), numbers, strict=True))
    tiles = [sites[:, :, y:y + h, x:x + w] for y in top for x in left]
    return np.stack(tiles, axis=1).reshape(-1, sites.shape[1], h, w)


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
