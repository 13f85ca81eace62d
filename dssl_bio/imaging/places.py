"""Where image files lie: on this machine, or behind an s3:// or https:// address that is read without credentials."""

import io
import time
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from dssl_bio.errors import ImageError

Place = Path | str
"""A path, or the address of a remote file."""

REMOTE = ("s3://", "https://", "http://")
MAX_BYTES = 2_000_000_000
TRIES = 3
PAUSE_S = 0.5
TIMEOUT_S = 60


def is_remote(place: Place) -> bool:
    """Whether a place is an address and no path."""
    return isinstance(place, str) and place.startswith(REMOTE)


def suffix_of(place: Place) -> str:
    """The end of a place's name, in small letters, from its last dot."""
    name = str(place).split("?", 1)[0] if is_remote(place) else str(place)
    return f".{name.rpartition('.')[2].lower()}" if "." in name.rpartition("/")[2] else ""


def opened(place: Place) -> BinaryIO:
    """The bytes of a place; a remote file is fetched whole, and again when the line breaks.

    Raises:
        ImageError: no such file, too large, or it cannot be fetched.
    """
    if is_remote(place):
        return io.BytesIO(_fetched(str(place)))
    path = Path(place)
    if not path.is_file():
        raise ImageError(f"{place}: no such file")
    return path.open("rb")


def require_reader(address: str) -> None:
    """Says at once that a kind of address cannot be read here, rather than for every file.

    Raises:
        ImageError: the library for it is not installed.
    """
    _file_system(address.split("://", 1)[0])


def _fetched(address: str) -> bytes:
    files = _file_system(address.split("://", 1)[0])
    for attempt in range(TRIES):
        try:
            size = files.info(address).get("size")
            if size is not None and size > MAX_BYTES:
                raise ImageError(f"{address}: {size:,} bytes; at most {MAX_BYTES:,} are accepted")
            return bytes(files.cat_file(address))
        except ImageError:
            raise
        except Exception as cause:  # noqa: BLE001 - every kind of storage has errors of its own
            # fsspec says FileNotFoundError of a server that does not answer, too; what it was made from tells
            origin = cause.__cause__ if isinstance(cause, FileNotFoundError) and cause.__cause__ else cause
            if isinstance(origin, FileNotFoundError) or getattr(origin, "status", None) in (404, 410):
                raise ImageError(f"{address}: no such file") from cause
            if attempt == TRIES - 1:
                raise ImageError(f"{address}: cannot be fetched ({type(origin).__name__}: {origin})") from cause
            time.sleep(PAUSE_S * 2**attempt)
    raise AssertionError("unreachable")


@cache
def _file_system(scheme: str) -> Any:
    """The reader of a kind of address, without credentials."""
    import fsspec

    try:
        if scheme == "s3":
            return fsspec.filesystem("s3", anon=True)
        from aiohttp import ClientTimeout

        return fsspec.filesystem(scheme, client_kwargs={"timeout": ClientTimeout(total=TIMEOUT_S)})
    except ImportError as cause:
        raise ImageError(f"files at {scheme}:// need more than is installed: pip install 'dssl-bio[scale]' "
                         f"({cause})") from cause
