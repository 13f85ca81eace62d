"""Cutting sites into tiles, and bringing them to a model's pixel size."""

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

SAME_ZOOM = 0.01
"""Pixel sizes that differ by less are one."""


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
    if abs(zoom - 1) >= SAME_ZOOM:
        shape = tuple(max(1, round(length * zoom)) for length in sites.shape[2:])
        sites = np.stack([resize(site, (len(site), *shape), order=1, anti_aliasing=zoom < 1) for site in sites])
    missing = [max(0, at_least - length) for length in sites.shape[2:]]
    if any(missing):
        pad = [(0, 0), (0, 0), *((m // 2, m - m // 2) for m in missing)]
        sites = np.pad(sites, pad, mode="symmetric")
    return sites.astype(np.float32, copy=False)


def corners_at(centres: NDArray[np.floating], size: int, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Upper left corners (N, 2) of squares of `size` pixels about centres (N, 2), moved so that they lie in a site.

    What is cut out was measured, all of it: near the border the centre is off the middle. Where a side of the site is
    shorter than the square, the square begins at its edge.

    Args:
        centres: row and column, in pixels.
        size: of the squares.
        shape: (H, W) of the site.
    """
    most = np.maximum(np.array(shape) - size, 0)
    return np.clip(np.rint(np.asarray(centres, float).reshape(-1, 2) - (size - 1) / 2), 0, most).astype(np.int64)


def crop_of(window: NDArray[np.float32], zoom: float, size: int) -> NDArray[np.float32]:
    """A square (C, size, size) at a model's pixel size from what was cut out of a site (C, h, w) for it.

    What is too small is mirrored at its edge as whole sites are; a pixel too much goes.
    """
    found = resampled(window[None], zoom, size)[0]
    top, left = ((length - size) // 2 for length in found.shape[1:])
    return found[:, top:top + size, left:left + size]


def even_squares(sites: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Sites (N, C, H, W), no smaller than that, as squares (N * T, C, size, size) that cover them, evenly spread."""
    corners = [np.linspace(0, length - size, -(-length // size)).round().astype(int) for length in sites.shape[2:]]
    cut = [sites[:, :, y:y + size, x:x + size] for y in corners[0] for x in corners[1]]
    return np.stack(cut, axis=1).reshape(-1, sites.shape[1], size, size)
