"""Planes to TIFF files."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray


def write_plane(path: Path, plane: NDArray[np.uint16], pixel_size_um: float) -> None:
    """One channel (H, W) as a losslessly compressed TIFF that carries its pixel size."""
    if plane.ndim != 2 or plane.dtype != np.uint16:
        raise ValueError(f"expected (H, W) of uint16, got {plane.shape} of {plane.dtype}")
    pixels_per_cm = 1e4 / pixel_size_um
    tifffile.imwrite(path, plane, compression="zlib", compressionargs={"level": 1}, predictor=True,
                     resolution=(pixels_per_cm, pixels_per_cm), resolutionunit="CENTIMETER", metadata=None)
