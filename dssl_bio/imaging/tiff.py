"""TIFF files: BigTIFF, OME-TIFF, stripped or tiled, pages or channels of one page; damage is told before decoding."""

import re
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from dssl_bio.errors import ImageError
from dssl_bio.imaging import compressed
from dssl_bio.imaging.header import Header, Limits, require, size_text

SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")

_PLAIN = {1, 5, 8, 32773, 32946, 34925, 50000}
"""None, LZW, deflate, packbits, LZMA, Zstandard: their decoders are told how much may come out."""
_PICTURES = {33003, 33004, 33005, 34712, 34933, 50002, 52546}
"""JPEG 2000, PNG, JPEG XL inside TIFF: their own headers say how much comes out, and are checked like files."""
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")


def planes(file: BinaryIO, name: str, limits: Limits) -> NDArray[np.uint16 | np.uint8]:
    """All planes (N, H, W), in the order of pages; channels of one page follow each other.

    Raises:
        ImageError: not what `limits` accepts, truncated or damaged.
    """
    with _opened(file, name) as tiff:
        require(_header(tiff, name), name, limits)
        _require_whole(tiff, file, name)
        parts = [_planes_first(series.asarray(maxworkers=1), series.axes) for series in tiff.series]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def header(file: BinaryIO, name: str) -> Header:
    """What the file announces.

    Raises:
        ImageError: no TIFF file, no image in it, or planes of several sizes.
    """
    with _opened(file, name) as tiff:
        return _header(tiff, name)


def _opened(file: BinaryIO, name: str) -> tifffile.TiffFile:
    # OME metadata could send us to other files; pages and planes say all that we read
    return tifffile.TiffFile(file, name=name, is_ome=False)


def _header(tiff: tifffile.TiffFile, name: str) -> Header:
    n_planes, shapes, kinds = 0, set(), set()
    for series in tiff.series:
        sizes = dict(zip(series.axes, series.shape, strict=True))
        if "X" not in sizes or "Y" not in sizes:
            raise ImageError(f"{name}: axes {series.axes}, expected an image with X and Y")
        n_pixels = sizes["Y"] * sizes["X"]
        n_planes += int(np.prod(series.shape, dtype=np.float64)) // max(1, n_pixels)
        shapes.add((sizes["Y"], sizes["X"]))
        kinds.add(np.dtype(series.dtype))
    if len(shapes) != 1 or len(kinds) != 1:
        seen = ", ".join([*map(size_text, sorted(shapes)), *map(str, kinds if len(kinds) > 1 else ())])
        raise ImageError(f"{name}: planes of {max(len(shapes), len(kinds))} sizes or types ({seen}), expected one")
    _refuse_stacks(tiff, name)
    (height, width), kind = shapes.pop(), kinds.pop()
    return Header(n_planes, height, width, kind)


def _refuse_stacks(tiff: tifffile.TiffFile, name: str) -> None:
    """Several focal planes or time points would be taken for channels."""
    first: Any = tiff.pages[0]
    found = _PIXELS.search(str(first.description or "")[:20_000])
    for axis, word in (("Z", "focal planes"), ("T", "time points")) if found else ():
        size = re.search(rf'\bSize{axis}="(\d{{1,9}})"', found.group())  # type: ignore[union-attr]
        if size and int(size.group(1)) > 1:
            raise ImageError(f"{name}: {size.group(1)} {word}; one is expected, project or choose before")


def _require_whole(tiff: tifffile.TiffFile, file: BinaryIO, name: str) -> None:
    """Every segment that the header names lies in the file and holds no more than it announces."""
    length = file.seek(0, 2)
    pages: list[Any] = [page for series in tiff.series for page in series.pages]
    for page in pages:
        if page is None:
            raise ImageError(f"{name}: a page is missing")
        expected = int(np.prod(page.chunked, dtype=np.float64))
        ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if not ends or max(ends) > length or min(page.databytecounts) == 0 or len(ends) < expected:
            raise ImageError(f"{name}: truncated: the file has {length:,} bytes, its header announces "
                             f"{max(ends, default=0):,} in {expected:,} parts")
        _require_segments(page, file, name)


def _require_segments(page: Any, file: BinaryIO, name: str) -> None:
    segment = int(np.prod(page.chunks, dtype=np.float64))
    if segment > max(4 * int(np.prod(page.shape, dtype=np.float64)), 1 << 20):
        raise ImageError(f"{name}: tiles of {size_text(page.chunks)} are larger than the image")
    kind = int(page.compression)
    if kind in _PLAIN:
        return
    if kind not in _PICTURES:
        raise ImageError(f"{name}: compression {page.compression!s} is lossy or unknown; expected none, LZW, deflate, "
                         "Zstandard, JPEG 2000, JPEG XL or PNG")
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        file.seek(offset)
        inner = compressed.header(file.read(count), name)
        if inner.height * inner.width * inner.n_planes > segment:
            raise ImageError(f"{name}: a part announces {size_text(inner.shape)} pixels inside a part of "
                             f"{size_text(page.chunks)}")


def _planes_first(pixels: NDArray[Any], axes: str) -> NDArray[Any]:
    """(..., Y, X) in any order of axes -> (N, H, W)."""
    order = [i for i, axis in enumerate(axes) if axis not in "YX"] + [axes.index("Y"), axes.index("X")]
    turned = np.transpose(pixels, order)
    return turned.reshape(-1, *turned.shape[-2:])
