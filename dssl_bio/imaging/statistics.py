"""Classical statistics of a site's intensities: what a baseline without a network sees."""

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
OCTAVES = (1, 2, 4, 8)
LEAST = 1e-8


def site_statistics(sites: NDArray[np.float32], channels: tuple[str, ...]) -> tuple[NDArray[np.float32], list[str]]:
    """Per channel mean, standard deviation, quantiles and edge energy; correlations of channels.

    Args:
        sites: (N, C, H, W) scaled sites.
        channels: C names.

    Returns:
        (N, F) statistics and their F names, such as `DNA_mean` and `DNA_ER_correlation`.
    """
    flat = sites.reshape(*sites.shape[:2], -1)
    columns = {"mean": flat.mean(2), "std": flat.std(2)}
    for quantile, values in zip(QUANTILES, np.quantile(flat, QUANTILES, axis=2), strict=True):
        columns[f"quantile{round(100 * quantile)}"] = values
    vertical, horizontal = np.diff(sites, axis=2), np.diff(sites, axis=3)
    columns["edges"] = np.sqrt((vertical**2).mean((2, 3)) + (horizontal**2).mean((2, 3)))
    names = [f"{channel}_{name}" for name in columns for channel in channels]
    first, second = np.triu_indices(len(channels), 1)
    z = (flat - flat.mean(2, keepdims=True)) / np.maximum(flat.std(2, keepdims=True), 1e-6)
    correlation = np.einsum("ncp,ndp->ncd", z, z, optimize=True)[:, first, second] / flat.shape[2]
    names += [f"{channels[a]}_{channels[b]}_correlation" for a, b in zip(first, second, strict=True)]
    return np.concatenate([*columns.values(), correlation], axis=1).astype(np.float32), names


def texture_statistics(sites: NDArray[np.float32], channels: tuple[str, ...]) -> tuple[NDArray[np.float32], list[str]]:
    """Per channel the logarithm of the standard deviation in octaves of size, and the skewness of its pixels.

    Nothing that is in `site_statistics`: the octaves are what averages over squares of 1, 2, 4 and 8 pixels lose when
    the squares become twice as large.

    Args:
        sites: (N, C, H, W) scaled sites; rows and columns beyond a multiple of 16 are left out.
        channels: C names.

    Returns:
        (N, F) statistics and their F names, such as `DNA_octave2` and `DNA_skewness`.
    """
    sites = sites[:, :, :sites.shape[2] // 16 * 16, :sites.shape[3] // 16 * 16]
    columns: dict[str, NDArray[np.floating]] = {}
    fine: NDArray[np.floating] = sites
    for size in OCTAVES:
        n, c, height, width = fine.shape
        squares = fine.reshape(n, c, height // 2, 2, width // 2, 2)
        coarse = squares.mean((3, 5))
        lost = squares - coarse[:, :, :, None, :, None]
        columns[f"octave{size}"] = 0.5 * np.log(np.square(lost).mean((2, 3, 4, 5)) + LEAST)
        fine = coarse
    flat = sites.reshape(*sites.shape[:2], -1)
    centred = flat - flat.mean(2, keepdims=True)
    columns["skewness"] = (centred**3).mean(2) / np.maximum(np.square(centred).mean(2), LEAST) ** 1.5
    names = [f"{channel}_{name}" for name in columns for channel in channels]
    return np.concatenate(list(columns.values()), axis=1).astype(np.float32), names
