"""What is measured of a site to judge it, and the judgement: out of focus, saturated, debris, empty."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999)
FOCUS, SATURATED = "focus", "saturated"
METRICS = (*(f"q{quantile:g}" for quantile in QUANTILES), "mean", FOCUS, SATURATED)
"""Per site and channel: quantiles and mean of intensity, focus, and the share of saturated pixels."""

PIXELS = 200
"""Along each side, for quantiles."""
TILE_PX = 256
FINE_UM, COARSE_UM = (2.5, 6.0), (12.0, 50.0)
"""Wavelengths of the details that blur takes first, and of those that it leaves."""

BLUR, SATURATION, DEBRIS, EMPTY = "blur", "saturation", "debris", "empty"
FLAGS = (BLUR, SATURATION, DEBRIS, EMPTY)


@dataclass(frozen=True)
class Thresholds:
    """When a site is flagged.

    Attributes:
        blur_z: robust standard deviations by which details are weaker than usual on the plate, in most channels.
        saturated_share: of pixels at the camera's limit, in any channel.
        debris_height: times the plate's range between its intensity limits, in any channel ...
        debris_share: ... of that share of pixels.
        empty_share: of pixels that are brighter than background in the DNA channel (all channels where there is none).
    """

    blur_z: float = 6.0
    saturated_share: float = 0.005
    debris_height: float = 4.0
    debris_share: float = 0.005
    empty_share: float = 0.001


MIN_SITES_FOR_BLUR = 12
MIN_SPREAD = 0.05
"""Of the focus measure (log10): plates whose sites are sharper alike than this are taken to vary so much."""
NUCLEUS = 0.35
"""Of the way from the lower to the upper limit: where nuclei begin."""


def site_metrics(raw: NDArray[np.uint16], corrected: NDArray[np.uint16], pixel_size_um: float,
                 full_scale: int) -> Floats:
    """METRICS (C, M) of one site.

    Args:
        raw: (C, H, W) as recorded, for saturation.
        corrected: (C, H, W) after illumination was divided out.
        pixel_size_um: of both.
        full_scale: the camera's largest value.
    """
    step = max(1, min(corrected.shape[1:]) // PIXELS)
    sample = corrected[:, ::step, ::step].reshape(len(corrected), -1)
    result = np.empty((len(corrected), len(METRICS)), np.float32)
    result[:, :len(QUANTILES)] = np.quantile(sample, QUANTILES, axis=1).T
    result[:, len(QUANTILES)] = sample.mean(1)
    result[:, METRICS.index(FOCUS)] = focus(corrected, pixel_size_um)
    result[:, METRICS.index(SATURATED)] = (raw[:, ::2, ::2] >= full_scale).mean((1, 2))
    return result


def focus(site: NDArray[np.uint16], pixel_size_um: float) -> Floats:
    """Sharpness (C,) of a site: log10 of the power in fine details over that in coarse ones, less the noise's.

    The noise is what the highest frequencies hold, where optics pass nothing; without taking it away a blurred dim
    picture would look sharp.
    """
    tiles = _tiles(site)
    n = tiles.shape[-1]
    window = np.hanning(n).astype(np.float32)
    flat = tiles - tiles.mean((2, 3), keepdims=True)
    power = (np.abs(np.fft.rfft2(flat * window[:, None] * window)) ** 2).mean(0)  # (C, n, n // 2 + 1)
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None, :]) / pixel_size_um
    noise = power[:, frequency * pixel_size_um > 0.45].mean(1)

    def band(wavelengths: tuple[float, float]) -> NDArray[np.floating]:
        short, long = max(wavelengths[0], 2.3 * pixel_size_um), max(wavelengths[1], 4 * pixel_size_um)
        inside = (frequency <= 1 / short) & (frequency >= 1 / long)
        return np.maximum(power[:, inside].mean(1) - noise, 1e-3 * noise + 1e-12)

    return np.log10(band(FINE_UM) / band(COARSE_UM)).astype(np.float32)


def flags_of(metrics: Floats, limits: Floats, channels: tuple[str, ...],
             thresholds: Thresholds | None = None) -> list[list[str]]:
    """Flags of each site of one plate, in the order of FLAGS.

    Args:
        metrics: (S, C, M) from `site_metrics`.
        limits: (C, 2) intensity limits of the plate.
        channels: C names.
        thresholds: the defaults when absent.
    """
    thresholds = thresholds or Thresholds()
    found = np.stack([
        blur_z(metrics) > thresholds.blur_z,
        (metrics[:, :, METRICS.index(SATURATED)] > thresholds.saturated_share).any(1),
        _debris(metrics, limits, thresholds),
        _empty(metrics, limits, channels, thresholds),
    ], axis=1)
    found[found[:, FLAGS.index(EMPTY)], FLAGS.index(BLUR)] = False  # nothing there that could be sharp
    return [[flag for flag, yes in zip(FLAGS, row, strict=True) if yes] for row in found]


def blur_z(metrics: Floats) -> Floats:
    """By how many robust standard deviations each site (S,) is less sharp than the plate's middle, in most channels.

    A lens out of focus blurs all channels; a phenotype changes some. So it is the median over channels.
    """
    sharp = metrics[:, :, METRICS.index(FOCUS)]
    if len(sharp) < MIN_SITES_FOR_BLUR:
        return np.zeros(len(sharp), np.float32)
    middle = np.median(sharp, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(sharp - middle), axis=0), MIN_SPREAD)
    return np.median((middle - sharp) / spread, axis=1).astype(np.float32)


def share_above(metrics: Floats, level: Floats) -> Floats:
    """Share of pixels (S, C) brighter than a level (C,), read off the quantiles."""
    quantiles = metrics[:, :, :len(QUANTILES)]
    result = np.empty(quantiles.shape[:2], np.float32)
    for site, channel in np.ndindex(*result.shape):
        values = quantiles[site, channel]
        result[site, channel] = 1 - np.interp(level[channel], values, QUANTILES, left=0.0, right=1.0)
    return result


def _debris(metrics: Floats, limits: Floats, thresholds: Thresholds) -> NDArray[np.bool_]:
    level = limits[:, 0] + thresholds.debris_height * (limits[:, 1] - limits[:, 0])
    return (share_above(metrics, level) > thresholds.debris_share).any(1)


def _empty(metrics: Floats, limits: Floats, channels: tuple[str, ...], thresholds: Thresholds) -> NDArray[np.bool_]:
    share = share_above(metrics, limits[:, 0] + NUCLEUS * (limits[:, 1] - limits[:, 0]))
    looked_at = [channels.index("DNA")] if "DNA" in channels else list(range(len(channels)))
    return (share[:, looked_at] < thresholds.empty_share).all(1)


def _tiles(site: NDArray[np.uint16]) -> Floats:
    """Up to four squares (T, C, n, n) of a site, away from each other."""
    height, width = site.shape[1:]
    n = min(TILE_PX, height, width)
    tops = [0] if height < 2 * n else [height // 4 - n // 2, 3 * height // 4 - n // 2]
    lefts = [0] if width < 2 * n else [width // 4 - n // 2, 3 * width // 4 - n // 2]
    return np.stack([site[:, max(0, y):max(0, y) + n, max(0, x):max(0, x) + n] for y in tops for x in lefts]
                    ).astype(np.float32)
