"""Where the files of a site lie, as a CellProfiler `load_data.csv` says: FileName_, with PathName_, or URL_."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlparse

import pandas as pd

from dssl_bio.errors import ImageError
from dssl_bio.imaging.places import Place, is_remote
from dssl_bio.imaging.read import Plane
from dssl_bio.screens.image_source import FILE_NAME, PATH_NAME, ImagesSource, inside

Row = Mapping[Hashable, object]


def planes_of(row: Row, source: ImagesSource, base: Path) -> list[Plane]:
    """The places of a site's channels, in the order of the manifest's channels.

    Args:
        row: of the table of sites.
        source: the manifest's images.
        base: what relative paths are relative to.

    Raises:
        ImageError: a name is missing, leaves its folder, is behind an address that the manifest does not allow, or
            there is no such file; the channel is told.
    """
    found = []
    for channel in source.order:
        column = source.file or str(source.channels[channel])
        place = place_of(row, column, source, base, f"channel {channel}")
        if isinstance(place, Path) and not place.exists():
            raise ImageError(f"{place}: no such file (channel {channel})")
        found.append(Plane(place, int(source.channels[channel]) if source.file else None))
    return found


def place_of(row: Row, column: str, source: ImagesSource, base: Path, what: str) -> Place:
    """The place that one column of a row names.

    Raises:
        ImageError: as for `planes_of`, but for a file that is not there.
    """
    name = _text(row.get(column))
    if not name:
        raise ImageError(f"no file name in column {column} ({what})")
    folder = ""
    if source.folder is None and column.startswith(FILE_NAME):
        folder = _text(row.get(PATH_NAME + column.removeprefix(FILE_NAME)))
    whole = f"{folder.rstrip('/')}/{name}" if folder else name
    if is_remote(whole):
        return _allowed(whole, source, what)
    if whole.startswith("file:"):
        whole = unquote(urlparse(whole).path)
    if source.path_prefix and whole.startswith(source.path_prefix):
        whole = whole[len(source.path_prefix):].lstrip("/")
    try:
        return base / inside(whole)
    except ValueError as problem:
        advice = "; say what to cut off with path_prefix" if whole.startswith("/") and not source.path_prefix else ""
        raise ImageError(f"{what}: {problem}{advice}") from problem


def _allowed(address: str, source: ImagesSource, what: str) -> str:
    """An address that the manifest lets us fetch; a table from elsewhere must not send us anywhere it likes."""
    if not any(address.startswith(url) for url in source.urls) or "/../" in address:
        listed = ", ".join(source.urls) or f"none; name them as urls = [\"{address.rsplit('/', 1)[0]}/\"]"
        raise ImageError(f"{what}: {address} is not below the addresses that the manifest allows ({listed})")
    return address


def _text(value: object) -> str:
    return "" if value is None or value is pd.NA or value != value else str(value).strip()
