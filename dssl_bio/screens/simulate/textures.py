"""Random textures of living matter at given grain, made once in a process and cut for each site."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TILE_PX = 512
GRAIN_UM = {"chromatin": 2.4, "er": 3.4, "golgi": 3.0, "mito": 6.2, "dots": 3.4, "warp": 18.0, "bands": 40.0}
"""Wavelength of each texture."""


class Textures:
    """Cuts of the textures for one site, at offsets of its own."""

    def __init__(self, size_px: int, pixel_size_um: float, rng: np.random.Generator):
        self.size_px, self.pixel_size_um = size_px, pixel_size_um
        self.offsets = {name: rng.integers(0, TILE_PX, 2) for name in GRAIN_UM}

    def __getitem__(self, name: str) -> Floats:
        """(H, W), mean 0, standard deviation 1."""
        tile = _tile(name, self.pixel_size_um)
        rows, columns = (np.arange(start, start + self.size_px) % TILE_PX for start in self.offsets[name])
        return tile[rows[:, None], columns]


@lru_cache(maxsize=32)
def _tile(name: str, pixel_size_um: float) -> Floats:
    """A periodic Gaussian random field whose power lies around one wavelength."""
    names = sorted(GRAIN_UM)
    noise = np.random.default_rng([7, names.index(name)]).standard_normal((TILE_PX, TILE_PX))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(TILE_PX), np.fft.rfftfreq(TILE_PX), indexing="ij"))
    wanted = pixel_size_um / GRAIN_UM[name]  # cycles per pixel
    field = np.fft.irfft2(np.fft.rfft2(noise) * np.exp(-(((frequency - wanted) / (0.35 * wanted)) ** 2)), noise.shape)
    return np.asarray((field - field.mean()) / field.std(), np.float32)
