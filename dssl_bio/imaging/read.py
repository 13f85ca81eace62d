"""TIFF files to sites (C, H, W) uint16; what the header announces is checked before anything is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from dssl_bio.errors import ImageError

MAX_PIXELS = 100_000_000
"""Of one plane; more is a whole slide or a decompression bomb, not a site."""
MAX_PLANES = 64
SUFFIXES = (".tif", ".tiff")
DTYPES = (np.dtype("uint8"), np.dtype("uint16"))


@dataclass(frozen=True)
class Plane:
    """Where one channel of a site lies: a file, and its number there (None: the file holds this plane alone)."""

    path: Path
    number: int | None = None


def read_site(planes: Sequence[Plane], channels: Sequence[str], shape: tuple[int, int] | None = None,
              max_pixels: int = MAX_PIXELS) -> NDArray[np.uint16]:
    """One site (C, H, W) in the order of `planes`; 8-bit files keep their values.

    Args:
        planes: C places.
        channels: their C names, for messages.
        shape: (H, W) that is expected; by default all planes must only agree with the first.
        max_pixels: largest H x W that is decoded.

    Raises:
        ImageError: a file is missing, no TIFF, truncated, too large, of another type than uint8 or uint16, of another
            size, or has another number of channels. The message names the file.
    """
    read: dict[Path, NDArray[np.uint16]] = {}
    found = []
    for channel, plane in zip(channels, planes, strict=True):
        if plane.path not in read:
            read[plane.path] = read_planes(plane.path, max_pixels)
        found.append(_chosen(read[plane.path], plane, channel, channels))
        expected = shape or found[0].shape
        if found[-1].shape != expected:
            raise ImageError(f"{plane.path}: {_size(found[-1].shape)} pixels, expected {_size(expected)} like "
                             + ("the other sites" if shape else f"channel {channels[0]}"))
    return np.stack(found)


def read_planes(path: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint16]:
    """All planes (N, H, W) of a TIFF file: its pages, or the channels of one page.

    Raises:
        ImageError: see `read_site`.
    """
    if not path.name.lower().endswith(SUFFIXES):
        raise ImageError(f"{path}: expected a TIFF file ({', '.join(SUFFIXES)})")
    if not path.is_file():
        raise ImageError(f"{path}: no such file")
    try:
        # OME metadata could send us to other files; pages and planes say all that we read
        with tifffile.TiffFile(path, is_ome=False) as file:
            _check_header(path, file, max_pixels)
            return np.concatenate([_planes_first(series.asarray(), series.axes) for series in file.series])
    except ImageError:
        raise
    except Exception as cause:  # noqa: BLE001 - decoders raise a dozen kinds on damaged bytes
        raise ImageError(f"{path}: cannot be read, damaged or not a TIFF file ({cause})") from cause


def _check_header(path: Path, file: tifffile.TiffFile, max_pixels: int) -> None:
    n_planes, shapes = 0, set()
    for series in file.series:
        sizes = dict(zip(series.axes, series.shape, strict=True))
        if "X" not in sizes or "Y" not in sizes:
            raise ImageError(f"{path}: axes {series.axes}, expected an image with X and Y")
        n_pixels = sizes["Y"] * sizes["X"]
        if n_pixels > max_pixels:
            raise ImageError(f"{path}: {sizes['Y']} x {sizes['X']} pixels; at most {max_pixels:,} pixels are accepted")
        if np.dtype(series.dtype) not in DTYPES:
            raise ImageError(f"{path}: pixels are {series.dtype}, expected uint16 or uint8")
        n_planes += int(np.prod(series.shape)) // max(1, n_pixels)
        shapes.add((sizes["Y"], sizes["X"]))
    if len(shapes) != 1:
        sizes_seen = ", ".join(map(_size, sorted(shapes)))
        raise ImageError(f"{path}: planes of {len(shapes)} sizes ({sizes_seen}), expected one")
    if not 1 <= n_planes <= MAX_PLANES:
        raise ImageError(f"{path}: {n_planes} planes, expected 1 to {MAX_PLANES}")
    length = path.stat().st_size
    for page in (page for series in file.series for page in series.pages):
        if page is None:
            raise ImageError(f"{path}: a page is missing")
        ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if not ends or max(ends) > length or min(page.databytecounts) == 0:
            raise ImageError(f"{path}: truncated: the file has {length:,} bytes, its header announces "
                             f"{max(ends, default=0):,}")


def _planes_first(pixels: NDArray[np.generic], axes: str) -> NDArray[np.uint16]:
    """(..., Y, X) in any order of axes -> (N, H, W)."""
    order = [i for i, axis in enumerate(axes) if axis not in "YX"] + [axes.index("Y"), axes.index("X")]
    turned = np.transpose(pixels, order)
    return turned.reshape(-1, *turned.shape[-2:]).astype(np.uint16, copy=False)


def _chosen(planes: NDArray[np.uint16], plane: Plane, channel: str, channels: Sequence[str]) -> NDArray[np.uint16]:
    names = ", ".join(channels)
    if plane.number is None:
        if len(planes) != 1:
            raise ImageError(f"{plane.path}: {len(planes)} channels, expected 1 ({channel}); for files that hold all "
                             "channels say `file` in the manifest")
        return planes[0]
    if len(planes) < len(channels) or plane.number >= len(planes):
        raise ImageError(f"{plane.path}: {len(planes)} channels, expected {max(len(channels), plane.number + 1)} "
                         f"({names})")
    return planes[plane.number]


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
