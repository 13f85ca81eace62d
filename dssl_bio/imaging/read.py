"""Image files to sites (C, H, W) uint16; what the header announces is checked before anything is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dssl_bio.errors import ImageError
from dssl_bio.imaging import compressed, ome_zarr, tiff
from dssl_bio.imaging.header import MAX_PIXELS, Header, Limits
from dssl_bio.imaging.places import MAX_BYTES, Place, opened, suffix_of

SUFFIXES = (*tiff.SUFFIXES, *compressed.SUFFIXES)


@dataclass(frozen=True)
class Plane:
    """Where one channel of a site lies: a file, and its number there (None: the file holds this plane alone)."""

    path: Place
    number: int | None = None


def read_site(planes: Sequence[Plane], channels: Sequence[str], shape: tuple[int, int] | None = None,
              max_pixels: int = MAX_PIXELS, bits: int | None = None, dtype: np.dtype | None = None,
              ) -> NDArray[np.uint16]:
    """One site (C, H, W) in the order of `planes`; 8-bit files keep their values.

    Args:
        planes: C places.
        channels: their C names, for messages.
        shape: (H, W) that is expected; by default all planes must only agree with the first.
        max_pixels: largest H x W that is decoded.
        bits: significant bits of a pixel, as a manifest declares them.
        dtype: type that the files must have; any of uint8 and uint16 when absent.

    Raises:
        ImageError: a file is missing, of an unknown kind, truncated, damaged, too large, of another type than uint8 or
            uint16 or than declared, of another size, has another number of channels, or holds the picture of another
            channel once more. The message names the file.
    """
    limits = Limits(max_pixels=max_pixels, shape=shape, bits=bits, dtype=dtype)
    read: dict[Place, NDArray[np.uint16]] = {}
    found: list[NDArray[np.uint16]] = []
    for channel, plane in zip(channels, planes, strict=True):
        if found and shape is None:
            limits = replace(limits, shape=(found[0].shape[0], found[0].shape[1]), like=f"channel {channels[0]}")
        if plane.path not in read:
            read[plane.path] = read_planes(plane.path, max_pixels, limits)
        found.append(_chosen(read[plane.path], plane, channel, channels))
    site = np.stack(found)
    _require_range(site, planes, bits)
    _refuse_copies(site, planes, channels)
    return site


def read_planes(path: Place, max_pixels: int = MAX_PIXELS, limits: Limits | None = None) -> NDArray[np.uint16]:
    """All planes (N, H, W) of a file: its pages, the channels of one page, or those of an OME-Zarr image.

    Raises:
        ImageError: see `read_site`.
    """
    limits = limits or Limits(max_pixels=max_pixels)
    try:
        if isinstance(path, Path) and ome_zarr.is_zarr(path):
            return ome_zarr.planes(path, limits).astype(np.uint16, copy=False)
        suffix = _known(path)
        with opened(path) as file:
            if suffix in tiff.SUFFIXES:
                return tiff.planes(file, str(path), limits).astype(np.uint16, copy=False)
            return compressed.planes(file.read(MAX_BYTES), str(path), limits).astype(np.uint16, copy=False)
    except ImageError:
        raise
    except Exception as cause:  # noqa: BLE001 - decoders raise a dozen kinds on damaged bytes
        raise ImageError(f"{path}: cannot be read, damaged or not a {_kind(path)} file ({cause})") from cause


def header_of(path: Place) -> Header:
    """What a file announces; nothing is decoded.

    Raises:
        ImageError: missing, of an unknown kind, or its header is damaged.
    """
    try:
        if isinstance(path, Path) and ome_zarr.is_zarr(path):
            return ome_zarr.header(path)
        suffix = _known(path)
        with opened(path) as file:
            if suffix in tiff.SUFFIXES:
                return tiff.header(file, str(path))
            return compressed.header(file.read(MAX_BYTES), str(path))
    except ImageError:
        raise
    except Exception as cause:  # noqa: BLE001 - as above
        raise ImageError(f"{path}: cannot be read, damaged or not a {_kind(path)} file ({cause})") from cause


def _known(path: Place) -> str:
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise ImageError(f"{path}: expected a TIFF file ({', '.join(tiff.SUFFIXES)}), one of "
                         f"{', '.join(compressed.SUFFIXES)}, or an OME-Zarr image")
    return suffix


def _kind(path: Place) -> str:
    suffix = suffix_of(path)
    return "TIFF" if suffix in tiff.SUFFIXES else {".png": "PNG", ".jxl": "JPEG XL"}.get(suffix, "JPEG 2000")


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


def _require_range(site: NDArray[np.uint16], planes: Sequence[Plane], bits: int | None) -> None:
    """No pixel is brighter than the declared bits can say: the declaration, or the file, is wrong."""
    if bits is None or bits in (8, 16):
        return
    for plane, pixels in zip(planes, site, strict=True):
        if (brightest := int(pixels.max())) >= 1 << bits:
            raise ImageError(f"{plane.path}: its brightest pixel is {brightest:,}, beyond the {bits} bits that are "
                             f"declared (at most {(1 << bits) - 1:,})")


def _refuse_copies(site: NDArray[np.uint16], planes: Sequence[Plane], channels: Sequence[str]) -> None:
    """Two stains never give the same pixels; a copied file does. Even pictures without any cell differ by noise."""
    for second in range(1, len(site)):
        for first in range(second):
            sample = np.s_[::16, ::16]
            if (np.array_equal(site[first][sample], site[second][sample]) and np.ptp(site[first]) > 0
                    and np.array_equal(site[first], site[second])):
                raise ImageError(f"{planes[second].path}: channel {channels[second]} is the picture of channel "
                                 f"{channels[first]} once more ({planes[first].path})")
