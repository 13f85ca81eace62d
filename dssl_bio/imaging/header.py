"""What an image file announces about itself, and what of that is accepted before anything is decoded."""

from dataclasses import dataclass

import numpy as np

from dssl_bio.errors import ImageError

MAX_PIXELS = 100_000_000
"""Of one plane; more is a whole slide or a decompression bomb, not a site."""
MAX_PLANES = 64
MAX_TOTAL = 5
"""Times the pixels of the largest plane: what all planes of one file may have together."""
DTYPES = (np.dtype("uint8"), np.dtype("uint16"))


@dataclass(frozen=True)
class Header:
    """Size and type of a file's planes, from its first bytes."""

    n_planes: int
    height: int
    width: int
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of every plane."""
        return self.height, self.width


@dataclass(frozen=True)
class Limits:
    """What is accepted.

    Attributes:
        max_pixels: H x W of the largest plane that is decoded.
        shape: (H, W) that is expected; any when absent.
        like: whose shape that is, for messages.
        bits: significant bits of a pixel as the manifest declares them; any when absent. Up to 8 lie in uint8,
            9 to 16 (such as a 12-bit camera's) in uint16.
        dtype: type of the other sites' files; any when absent.
    """

    max_pixels: int = MAX_PIXELS
    shape: tuple[int, int] | None = None
    like: str = "the other sites"
    bits: int | None = None
    dtype: np.dtype | None = None


def require(header: Header, name: str, limits: Limits) -> None:
    """Refuses what is announced before it is decoded.

    Raises:
        ImageError: too large, of another type or size; the file is named.
    """
    n_pixels = header.height * header.width
    if not n_pixels:
        raise ImageError(f"{name}: no pixels ({size_text(header.shape)})")
    if n_pixels > limits.max_pixels:
        raise ImageError(f"{name}: {size_text(header.shape)} pixels; at most {limits.max_pixels:,} pixels are accepted")
    if header.dtype not in DTYPES:
        raise ImageError(f"{name}: pixels are {header.dtype}, expected uint16 or uint8")
    wanted = limits.dtype
    if limits.bits is not None:
        wanted = np.dtype("uint8") if limits.bits <= 8 else np.dtype("uint16")
    if wanted is not None and header.dtype != wanted:
        whose = f"for the declared {limits.bits} bits" if limits.bits is not None else "like the other sites"
        raise ImageError(f"{name}: pixels are {header.dtype}, expected {wanted} {whose}")
    if not 1 <= header.n_planes <= MAX_PLANES:
        raise ImageError(f"{name}: {header.n_planes} planes, expected 1 to {MAX_PLANES}")
    if header.n_planes * n_pixels > MAX_TOTAL * limits.max_pixels:
        raise ImageError(f"{name}: {header.n_planes} planes of {size_text(header.shape)} pixels are more than "
                         f"{MAX_TOTAL * limits.max_pixels:,} pixels")
    if limits.shape is not None and header.shape != limits.shape:
        raise ImageError(f"{name}: {size_text(header.shape)} pixels, expected {size_text(limits.shape)} "
                         f"like {limits.like}")


def size_text(shape: tuple[int, ...]) -> str:
    """Such as 1080 x 1080."""
    return " x ".join(map(str, shape))
