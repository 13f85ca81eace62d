"""PNG, JPEG 2000 and JPEG XL: their headers are read by us, their pixels by imagecodecs."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dssl_bio.errors import ImageError
from dssl_bio.imaging.header import Header, Limits, require

SUFFIXES = (".png", ".jp2", ".j2k", ".j2c", ".jpx", ".jxl")

_PNG = b"\x89PNG\r\n\x1a\n"
_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_J2K = b"\xff\x4f\xff\x51"
_J2K_END = b"\xff\xd9"
_JXL_BOX = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_JXL = b"\xff\x0a"
_PNG_PLANES = {0: 1, 2: 3, 4: 2, 6: 4}
"""Channels by PNG colour type; 3 is a palette, whose numbers are no intensities."""
_JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def planes(content: bytes, name: str, limits: Limits) -> NDArray[np.uint16 | np.uint8]:
    """All planes (N, H, W) of a file's content.

    Raises:
        ImageError: not what `limits` accepts, truncated or damaged.
    """
    announced = header(content, name)
    require(announced, name, limits)
    _require_end(content, name)
    pixels = _decoder(content)(content)
    pixels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    if pixels.shape[1:] != announced.shape or pixels.dtype != announced.dtype:
        raise ImageError(f"{name}: decoded to {pixels.shape} of {pixels.dtype}, its header announces "
                         f"{announced.shape} of {announced.dtype}")
    return pixels


def header(content: bytes, name: str) -> Header:
    """What the content announces; its kind is told by its first bytes.

    Raises:
        ImageError: none of these kinds, or the header is damaged.
    """
    try:
        if content.startswith(_PNG):
            return _png(content, name)
        if content.startswith((_JP2, _J2K)):
            return _jpeg_2000(content, name)
        if content.startswith((_JXL_BOX, _JXL)):
            return _jpeg_xl(content, name)
    except (struct.error, IndexError) as cause:
        raise ImageError(f"{name}: truncated in its header ({len(content):,} bytes)") from cause
    raise ImageError(f"{name}: cannot be read, damaged or no PNG, JPEG 2000 or JPEG XL file")


def _decoder(content: bytes) -> Callable[[bytes], NDArray[Any]]:
    if content.startswith(_PNG):
        return imagecodecs.png_decode
    return imagecodecs.jpegxl_decode if content.startswith((_JXL_BOX, _JXL)) else imagecodecs.jpeg2k_decode


def _require_end(content: bytes, name: str) -> None:
    """Decoders that show what they have of a cut file must not be asked, nor those that only warn of wrong sums."""
    whole = True
    if content.startswith(_PNG):
        place, kind, view = len(_PNG), b"", memoryview(content)
        while kind != b"IEND" and place + 12 <= len(content):
            (length,), kind = struct.unpack_from(">I", content, place), content[place + 4:place + 8]
            end = place + 8 + length
            if end + 4 > len(content):
                break
            if zlib.crc32(view[place + 4:end]) != struct.unpack_from(">I", content, end)[0]:
                raise ImageError(f"{name}: damaged: the checksum of its part {kind.decode('latin-1')} differs")
            place = end + 4
        whole = kind == b"IEND" and place <= len(content)
    elif content.startswith((_JP2, _J2K)):
        whole = _J2K_END in content[-64:]
    if not whole:
        raise ImageError(f"{name}: truncated: the file has {len(content):,} bytes and no end")


def _png(content: bytes, name: str) -> Header:
    width, height, depth, colour = struct.unpack_from(">IIBB", content, 16)
    if content[12:16] != b"IHDR" or colour not in _PNG_PLANES or depth not in (8, 16):
        what = "colours of a palette" if colour == 3 else f"{depth} bits"
        raise ImageError(f"{name}: pixels are {what}, expected grey of 8 or 16 bits")
    return Header(_PNG_PLANES[colour], height, width, np.dtype(f"uint{depth}"))


def _jpeg_2000(content: bytes, name: str) -> Header:
    start = 0 if content.startswith(_J2K) else _box(content, (b"jp2c",), name)
    if content[start:start + 4] != _J2K:
        raise ImageError(f"{name}: damaged: no JPEG 2000 codestream")
    right, bottom, left, top = struct.unpack_from(">IIII", content, start + 8)
    (n_planes,) = struct.unpack_from(">H", content, start + 40)
    depths = {content[start + 42 + 3 * i] for i in range(min(n_planes, 64))}
    if len(depths) != 1 or (depth := depths.pop()) & 0x80 or depth >= 16 or right <= left or bottom <= top:
        raise ImageError(f"{name}: pixels are signed, of several depths or of more than 16 bits, expected uint16 or "
                         "uint8")
    return Header(n_planes, bottom - top, right - left, np.dtype("uint8" if depth < 8 else "uint16"))


def _box(content: bytes, kinds: tuple[bytes, ...], name: str) -> int:
    """Where the content of the first box of some kinds begins."""
    place = 0
    for _ in range(1_000):
        length, kind = struct.unpack_from(">I4s", content, place)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", content, place + 8), 16
        if kind in kinds:
            return place + head + (4 if kind == b"jxlp" else 0)
        if length < head:
            break
        place += length
    raise ImageError(f"{name}: damaged: no picture among its boxes")


class _Bits:
    """Bits of a JPEG XL header, the least significant first."""

    def __init__(self, content: bytes):
        self.value, self.place = int.from_bytes(content[:64], "little"), 0

    def __call__(self, n: int) -> int:
        if self.place + n > 512:
            raise IndexError("no more bits")
        found = (self.value >> self.place) & ((1 << n) - 1)
        self.place += n
        return found

    def choice(self, *options: tuple[int, int]) -> int:
        """One of four (offset, bits): offset plus the number in so many bits."""
        offset, n = options[self(2)]
        return offset + self(n)


def _jpeg_xl(content: bytes, name: str) -> Header:
    """SizeHeader and the beginning of ImageMetadata, ISO/IEC 18181-1, annex D."""
    start = 0 if content.startswith(_JXL) else _box(content, (b"jxlc", b"jxlp"), name)
    if content[start:start + 2] != _JXL:
        raise ImageError(f"{name}: damaged: no JPEG XL codestream")
    if start + 2 >= len(content):
        raise IndexError("no header")
    bits = _Bits(content[start + 2:])
    height, width = _jxl_size(bits)
    depth, is_float, n_planes = 8, False, 3
    if not bits(1):
        depth, is_float, n_planes = _jxl_metadata(bits, name)
    if is_float or depth not in (8, *range(9, 17)):
        raise ImageError(f"{name}: pixels are {'float' if is_float else 'uint'}{depth}, expected uint16 or uint8")
    return Header(n_planes, height, width, np.dtype("uint8" if depth == 8 else "uint16"))


def _jxl_size(bits: _Bits) -> tuple[int, int]:
    small = bits(1)

    def length() -> int:
        return 8 * (1 + bits(5)) if small else bits.choice((1, 9), (1, 13), (1, 18), (1, 30))

    height, ratio = length(), bits(3)
    if not ratio:
        return height, length()
    over, under = _JXL_RATIOS[ratio - 1]
    return height, height * over // under


def _jxl_metadata(bits: _Bits, name: str) -> tuple[int, bool, int]:
    """Bits of a pixel, whether it is a float, and the number of colour channels."""
    if bits(1):
        bits(3)  # orientation
        if bits(1):
            _jxl_size(bits)
        if bits(1) or bits(1):
            raise ImageError(f"{name}: a preview or an animation, expected one picture")
    is_float = bool(bits(1))
    depths = ((32, 0), (16, 0), (24, 0), (1, 6)) if is_float else ((8, 0), (10, 0), (12, 0), (1, 6))
    depth = bits.choice(*depths)
    if is_float:
        bits(4)
    bits(1)  # whether 16-bit buffers suffice
    n_extra = bits.choice((0, 0), (1, 0), (2, 4), (1, 12))
    if n_extra:
        raise ImageError(f"{name}: {n_extra} extra channels, expected grey or colour without transparency")
    bits(1)  # XYB, a lossy colour space; the colours that come out are as many
    grey = False
    if not bits(1):  # colour encoding is not the default
        grey = not bits(1) and bits.choice((0, 0), (1, 0), (2, 4), (18, 6)) == 1
    return depth, is_float, 1 if grey else 3
