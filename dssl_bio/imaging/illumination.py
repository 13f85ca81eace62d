"""Uneven illumination: estimated from a plate's own sites, or given, and divided out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from dssl_bio.errors import ImageError
from dssl_bio.imaging.header import size_text

Method = Literal["estimate", "given", "none"]
Floats = NDArray[np.float32]

MIN_SITES = 16
"""Fewer sites tell cells and illumination badly apart."""
GRID = 16
"""Blocks along each side of a site; illumination is smoother than that."""
SAMPLE_PX = 128
"""Pixels along each side that are looked at of a site."""
QUANTILES = (0.02, *np.linspace(0.05, 0.95, 19).tolist(), 0.97, 0.98, 0.99)
DEGREE = 3
"""Of the polynomial: a tilt, a fall towards the corners, and their product."""
STORED_PX = 128
MIN_FIELD, MAX_FIELD = 0.2, 5.0
"""A field beyond these says that something else than illumination was estimated."""


@dataclass(frozen=True)
class Illumination:
    """What one plate's light does to each channel: seen = dark + field * (true - dark).

    Attributes:
        field: (C, h, w) relative brightness about 1, for estimates on a coarse grid.
        dark: (C,) counts that are there without light.
        unevenness: (C,) root mean square of field - 1.
        uncertainty: (C,) the same of half the difference of two estimates, each from half of the sites.
        method: how it was found.
        n_sites: sites that it was estimated from.
    """

    field: Floats
    dark: Floats
    unevenness: Floats
    uncertainty: Floats
    method: Method
    n_sites: int = 0

    def corrector(self, shape: tuple[int, int]) -> "Corrector":
        """The same at the size of a site (H, W)."""
        full = np.stack([resize(plane, shape, order=1, mode="edge", anti_aliasing=False) for plane in self.field])
        return Corrector((1 / full).astype(np.float32), self.dark[:, None, None].astype(np.float32))


@dataclass(frozen=True)
class Corrector:
    """Divides the illumination out of sites."""

    gain: Floats
    dark: Floats

    def __call__(self, site: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """A site (C, H, W) as even light would have shown it, rounded and cut off at 0 and 65,535."""
        result = np.empty_like(site)
        for plane, gain, dark, out in zip(site, self.gain, self.dark, result, strict=True):
            even = plane - dark
            even *= gain
            even += dark
            np.rint(even, out=even)
            np.clip(even, 0, 65_535, out=even)
            out[:] = even
        return result


def sample_of(site: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The pixels (C, h, w) of a site that an estimate looks at, about SAMPLE_PX along each side."""
    return site[:, ::max(1, site.shape[1] // SAMPLE_PX), ::max(1, site.shape[2] // SAMPLE_PX)]


def none(n_channels: int) -> Illumination:
    """Even light."""
    flat = np.ones((n_channels, 2, 2), np.float32)
    zero = np.zeros(n_channels, np.float32)
    return Illumination(flat, zero, zero, zero, "none")


def estimated(samples: NDArray[np.uint16]) -> Illumination | None:
    """The illumination of a plate from pixels of its sites; None where they are too few or too small.

    Wherever cells lie, each block of the field sees the same distribution of brightness, stretched by the light that
    falls there: quantile p of block x is dark (1 - field(x)) + field(x) * (quantile p over all blocks). So the field
    is the slope of a block's quantiles against the mean quantiles, whatever is added without light, smoothed by a
    polynomial of low degree; a median over sites, the usual estimate, would take haze and offset for light.
    The estimate is shrunk towards even light by how much two halves of the sites disagree (positive-part James-Stein),
    so that with little to go by little is done.

    Args:
        samples: (N, C, h, w) from `sample_of`.
    """
    if len(samples) < MIN_SITES or min(samples.shape[2:]) < GRID:
        return None
    quantiles = _block_quantiles(samples)
    field = _field(quantiles)
    halves = [_field(_block_quantiles(samples[start::2])) for start in (0, 1)]
    uncertainty = ((halves[0] - halves[1]) / 2).std((1, 2))
    spread = np.maximum((field - 1).std((1, 2)), 1e-9)
    trust = np.clip(1 - (uncertainty / spread) ** 2, 0, 1)[:, None, None]
    dark = _dark(quantiles, field, samples)
    field = 1 + trust * (field - 1)
    fine = np.stack([_polynomial(plane, STORED_PX) for plane in field])
    fine = np.clip(fine / fine.mean((1, 2), keepdims=True), MIN_FIELD, MAX_FIELD).astype(np.float32)
    return Illumination(fine, dark, (fine - 1).std((1, 2)), uncertainty.astype(np.float32), "estimate", len(samples))


def field_of(samples: NDArray[np.uint16]) -> Floats:
    """Field (C, GRID, GRID) of samples (N, C, h, w) as it is estimated, not shrunk; of corrected ones what is left."""
    return _field(_block_quantiles(samples)).astype(np.float32)


def residual(samples: NDArray[np.uint16]) -> Floats:
    """Unevenness (C,) that is estimated in samples (N, C, h, w); of corrected ones it is what is left."""
    return (field_of(samples) - 1).std((1, 2))


def given(paths: list[Path], channels: tuple[str, ...], shape: tuple[int, int]) -> Illumination:
    """Illumination functions (H, W) from `.npy` files, one a channel, as CellProfiler writes them.

    Raises:
        ImageError: a file is missing, no array of numbers, of another size than the sites, or not positive.
    """
    fields = []
    for channel, path in zip(channels, paths, strict=True):
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # size and type before any pixel
        except (OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError) as cause:
            raise ImageError(f"{path}: illumination of channel {channel} cannot be read ({cause})") from cause
        if getattr(mapped, "shape", None) != shape or mapped.dtype.kind not in "fiu":
            what = size_text(mapped.shape) if hasattr(mapped, "shape") else "not an array"
            raise ImageError(f"{path}: illumination of channel {channel} is {what} of {getattr(mapped, 'dtype', '?')}, "
                             f"expected numbers for {size_text(shape)} pixels")
        field = np.asarray(mapped, np.float32)
        if not np.isfinite(field).all() or field.min() <= 0:
            raise ImageError(f"{path}: illumination of channel {channel} has values that are not positive numbers")
        fields.append(field / field.mean())
    field = np.stack(fields)
    zero = np.zeros(len(field), np.float32)
    return Illumination(field, zero, (field - 1).std((1, 2)), zero, "given")


def _block_quantiles(samples: NDArray[np.uint16]) -> NDArray[np.float64]:
    """(Q, C, GRID, GRID) quantiles of the pixels of all sites in each block."""
    n, n_channels, height, width = samples.shape
    rows, columns = (np.linspace(0, length, GRID + 1).round().astype(int) for length in (height, width))
    result = np.empty((len(QUANTILES), n_channels, GRID, GRID))
    for i in range(GRID):
        for j in range(GRID):
            block = samples[:, :, rows[i]:rows[i + 1], columns[j]:columns[j + 1]]
            pixels = np.moveaxis(block, 1, 0).reshape(n_channels, -1)
            result[:, :, i, j] = np.quantile(pixels, QUANTILES, axis=1)
    return result


def _field(quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth field (C, GRID, GRID) of mean 1: slope of each block's quantiles against their mean over blocks."""
    mean = quantiles.mean((2, 3), keepdims=True)
    spread = mean - mean.mean(0)
    slope = (spread * (quantiles - quantiles.mean(0))).sum(0) / np.maximum((spread**2).sum(0), 1e-12)
    smooth = np.stack([_polynomial(plane, GRID) for plane in slope])
    return smooth / smooth.mean((1, 2), keepdims=True)


def _dark(quantiles: NDArray[np.float64], field: NDArray[np.float64], samples: NDArray[np.uint16]) -> Floats:
    """Counts (C,) that are there without light, between 0 and the darkest hundredth of what was seen."""
    mean = quantiles.mean((2, 3), keepdims=True)
    rest = (quantiles - field * mean).mean(0)  # dark * (1 - field), and noise
    lack = 1 - field
    dark = (rest * lack).sum((1, 2)) / np.maximum((lack**2).sum((1, 2)), 1e-12)
    darkest = np.quantile(np.moveaxis(samples[:, :, ::4, ::4], 1, 0).reshape(samples.shape[1], -1), 0.01, axis=1)
    return np.clip(dark, 0, darkest).astype(np.float32)


def _polynomial(plane: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    """The polynomial nearest to a square plane, on a grid of `size` x `size` points over the same square."""
    fitted = _basis(plane.shape[0])
    coefficients = np.linalg.lstsq(fitted, plane.ravel(), rcond=None)[0]
    return (_basis(size) @ coefficients).reshape(size, size)


def _basis(size: int) -> NDArray[np.float64]:
    """(size * size, K) products of Legendre polynomials at the centres of `size` equal parts of each side."""
    centres = (2 * np.arange(size) + 1) / size - 1
    one = np.polynomial.legendre.legvander(centres, DEGREE)  # (size, DEGREE + 1)
    return np.stack([np.outer(one[:, i], one[:, j]).ravel() for i in range(DEGREE + 1)
                     for j in range(DEGREE + 1 - i)], axis=1)
