"""A picture brought to given statistics with little change: tones, contrast, edges and correlations of channels.

Newton's method on the statistics of `statistics.site_statistics`, as textures are synthesised from their statistics
(Portilla and Simoncelli 2000, Int. J. Comput. Vis. 40, 49). A step moves a picture along one direction a statistic: the
tones around a quantile, a channel's deviation from its mean, its Laplacian (blur or sharpen), a part of the pattern of
another channel; how much of each is found by least squares, damped, so that statistics which contradict each other are
met halfway.
"""

import numpy as np
from numpy.typing import NDArray

from dssl_bio.imaging.statistics import QUANTILES
from dssl_bio.imaging.tones import with_quantiles

Floats = NDArray[np.floating]

STEPS, DAMPING, BAND = 5, 0.1, 0.01
LEAST = 1e-6


def with_statistics(picture: Floats, wanted: Floats, spread: Floats, most: float, steps: int = STEPS,
                    ) -> NDArray[np.float32]:
    """A picture that shows wanted statistics as far as they go together, near to the one that is given.

    Args:
        picture: (C, H, W) scaled pixels.
        wanted: (F,) in the order of `site_statistics`.
        spread: (F,) what is a large difference of each; weighs them.
        most: brightest pixel there can be.
        steps: of Newton's method, between tones before and after.

    Returns:
        (C, H, W) from 0 to `most`; the picture itself where it shows them already.
    """
    channels = len(picture)
    goal = np.asarray(wanted, dtype=np.float64)
    quantiles = goal[2 * channels:7 * channels].reshape(len(QUANTILES), channels).T
    result = np.asarray(with_quantiles(picture, quantiles), dtype=np.float64)
    for _ in range(steps):
        values, change, direction = sensitivities(result)
        missing = (goal - values) / spread
        scale = np.sqrt(np.square(direction).mean(1)) + LEAST
        response = (change / np.asarray(spread, dtype=np.float64)[:, None]) @ (direction / scale[:, None]).T
        amounts = np.linalg.solve(response.T @ response + DAMPING * np.eye(len(response)), response.T @ missing)
        result = np.clip(result + ((amounts / scale) @ direction).reshape(result.shape), 0, most)
    return np.clip(with_quantiles(result, quantiles), 0, most)


def sensitivities(picture: Floats) -> tuple[Floats, Floats, Floats]:
    """Statistics of a picture, how they change with its pixels, and a direction for each.

    Args:
        picture: (C, H, W).

    Returns:
        (F,) statistics as `site_statistics` gives them; (F, P) their derivatives by the P pixels; (F, P) directions,
        which are the derivatives but for the quantiles, where all tones between the neighbouring quantiles move.
    """
    x = np.asarray(picture, dtype=np.float64)
    channels, height, width = x.shape
    flat = x.reshape(channels, -1)
    n = flat.shape[1]
    mean, std = flat.mean(1), np.maximum(flat.std(1), LEAST)
    z = (flat - mean[:, None]) / std[:, None]
    pairs = list(zip(*np.triu_indices(channels, 1), strict=True))
    size = 8 * channels + len(pairs)
    values, change, direction = np.empty(size), np.zeros((size, channels, n)), np.zeros((size, channels, n))
    rank = np.argsort(np.argsort(flat, axis=1, kind="stable"), axis=1) / (n - 1)
    values[:channels], values[channels:2 * channels] = mean, std
    values[2 * channels:7 * channels] = np.quantile(flat, QUANTILES, axis=1).ravel()
    down, across = np.diff(x, axis=1), np.diff(x, axis=2)
    edges = np.sqrt(np.square(down).mean((1, 2)) + np.square(across).mean((1, 2)) + LEAST**2)
    values[7 * channels:8 * channels] = edges
    laplacian = np.zeros_like(x)
    laplacian[:, 1:] += down / down[0].size
    laplacian[:, :-1] -= down / down[0].size
    laplacian[:, :, 1:] += across / across[0].size
    laplacian[:, :, :-1] -= across / across[0].size
    for c in range(channels):
        change[c, c], change[channels + c, c] = 1 / n, z[c] / n
        change[7 * channels + c, c] = laplacian[c].ravel() / edges[c]
        for number, quantile in enumerate(QUANTILES):
            row = (2 + number) * channels + c
            near = np.abs(rank[c] - quantile) <= BAND
            change[row, c] = near / max(int(near.sum()), 1)
            direction[row, c] = np.interp(rank[c], QUANTILES, np.eye(len(QUANTILES))[number])
    for number, (a, b) in enumerate(pairs, start=8 * channels):
        values[number] = rho = float((z[a] * z[b]).mean())
        change[number, a] = (z[b] - rho * z[a]) / (n * std[a])
        change[number, b] = (z[a] - rho * z[b]) / (n * std[b])
    of_quantiles = np.zeros(size, bool)
    of_quantiles[2 * channels:7 * channels] = True
    direction[~of_quantiles] = change[~of_quantiles] * n
    return values, change.reshape(size, -1), direction.reshape(size, -1)
