"""From fluorescence to what a camera records."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from dssl_bio.vocabulary import CHANNELS

Floats = NDArray[np.float32]

FULL_SCALE = np.array([9000.0, 7000.0, 8000.0, 5500.0, 5000.0], np.float32)
"""Counts where a stain is bright, in CHANNELS order."""
OFFSET = 200.0
COUNTS_PER_PHOTON = 12.0
READ_NOISE = 18.0
HAZE = 0.13
HAZE_UM = 9.0
BLEED = (("ER", "RNA", 0.3), ("RNA", "AGP", 0.08), ("RNA", "ER", 0.12))
"""Channels whose dyes overlap: from, into, share."""


@dataclass(frozen=True)
class Exposure:
    """How one site is recorded; all of it belongs to plate and well and none to the molecule.

    Attributes:
        stain: (5,) brightness of each stain.
        background: (5,) counts where there is no cell.
        illumination: (5, 3) tilt along x, tilt along y, fall towards the corners.
        focus_um: width of the blur.
    """

    stain: tuple[float, ...]
    background: tuple[float, ...]
    illumination: tuple[tuple[float, float, float], ...]
    focus_um: float


def record(fluorescence: Floats, exposure: Exposure, pixel_size_um: float,
           rng: np.random.Generator) -> NDArray[np.uint16]:
    """Counts (5, H, W) of a fluorescence (5, H, W).

    Shot noise is drawn in its normal limit, so that the same generator gives the same noise whatever the cells look
    like: two renderings of one well differ by what the molecule does, and by nothing else.
    """
    seen = fluorescence.copy()
    for source, target, share in BLEED:
        seen[CHANNELS.index(target)] += np.float32(share) * fluorescence[CHANNELS.index(source)]
    gain = FULL_SCALE * np.asarray(exposure.stain, np.float32)
    for c, (plane, light) in enumerate(zip(seen, exposure.illumination, strict=True)):
        sharp = gaussian_filter(plane, exposure.focus_um / pixel_size_um)
        seen[c] = (sharp + HAZE * _haze(plane, HAZE_UM / pixel_size_um)) * gain[c] * _field(light, plane.shape)
        seen[c] += exposure.background[c]
    noise = rng.standard_normal((2, *seen.shape), np.float32)
    counts = OFFSET + seen + np.sqrt(seen * COUNTS_PER_PHOTON) * noise[0] + READ_NOISE * noise[1]
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)


def _haze(plane: Floats, sigma_px: float) -> Floats:
    """Light from out of focus: so wide that it can be computed on a quarter of the pixels."""
    h, w = plane.shape
    if min(h, w) < 16 or h % 4 or w % 4:
        return gaussian_filter(plane, sigma_px)
    coarse = plane.reshape(h // 4, 4, w // 4, 4).mean(axis=(1, 3))
    return zoom(gaussian_filter(coarse, sigma_px / 4), 4, order=1, grid_mode=True, mode="nearest")


def _field(light: tuple[float, float, float], shape: tuple[int, ...]) -> Floats:
    """Illumination (H, W), about 1."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    tilt_x, tilt_y, fall = light
    return (1 + tilt_x * x[None, :] + tilt_y * y[:, None]) * (1 - fall * (x[None, :] ** 2 + y[:, None] ** 2))
