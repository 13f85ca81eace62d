"""Sites: from image files to one compressed Zarr array, site by site, and the intensity limits of each plate."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from skimage.transform import resize_local_mean
from zarr.codecs import BloscCodec

from dssl_bio.errors import ImageError
from dssl_bio.imaging.intensity import limits
from dssl_bio.imaging.read import Plane, read_site
from dssl_bio.screens.expressions import as_text
from dssl_bio.screens.manifest import ImagesSource, inside
from dssl_bio.screens.rows import Rejections, TableRows
from dssl_bio.screens.screen import INTENSITY, SITE_TABLE, SITES
from dssl_bio.vocabulary import PLATE, ROW_KEY, SITE

READERS = 4
SITES_FOR_LIMITS = 64
PIXELS_FOR_LIMITS = 65_536

Pixels = NDArray[np.uint16]


@dataclass(frozen=True)
class SiteList:
    """Sites whose file names can be followed.

    Attributes:
        rows: accepted rows of the image table.
        planes: where the channels of each lie.
        shape: (H, W) of the first site that can be read; the others must agree.
        stored: (H, W) after shrinking.
        n_files: files named.
        n_bytes: their size.
        digest: SHA-256 over their names and sizes, in order.
    """

    rows: pd.DataFrame
    planes: list[list[Plane]]
    shape: tuple[int, int]
    stored: tuple[int, int]
    n_files: int
    n_bytes: int
    digest: str


def list_sites(table: TableRows, source: ImagesSource, root: Path, rejections: Rejections) -> SiteList:
    """Follows the file names of an image table; rows that lead nowhere are rejected.

    Raises:
        ImageError: no site can be read.
    """
    base = root / source.folder if source.folder else table.plan.paths[0].parent
    kept, planes, files, problems = [], [], {}, []
    for position, row in enumerate(table.frame.to_dict("records")):
        try:
            found = [_plane(row, source, base, channel) for channel in source.order]
            files.update({plane.path: plane.path.stat().st_size for plane in found})
        except (ImageError, OSError) as problem:
            problems.append((position, str(problem)))
            continue
        kept.append(position)
        planes.append(found)
    rejected = table.frame.iloc[[position for position, _ in problems]]
    rejections.add("images", rejected, [reason for _, reason in problems])
    shape = _first_shape(planes, source, [reason for _, reason in problems])
    digest = hashlib.sha256()
    for path, size in files.items():
        digest.update(f"{path.relative_to(base).as_posix()}\t{size}\n".encode())
    return SiteList(table.frame.iloc[kept], planes, shape, _stored_shape(shape, source), len(files),
                    sum(files.values()), digest.hexdigest())


def write_sites(sites: SiteList, source: ImagesSource, folder: Path, rejections: Rejections,
                progress: Callable[[int, int], None]) -> pd.DataFrame:
    """Reads every site and writes the good ones, in order; unreadable ones are rejected with their reason.

    Returns:
        The rows of the sites written; row i is site i of the array.

    Raises:
        ImageError: no site could be read.
    """
    folder.mkdir(parents=True)
    shape = (len(sites.planes), len(source.order), *sites.stored)
    array = zarr.create_array(store=folder / SITES, shape=shape, chunks=(1, *shape[1:]), dtype="uint16",
                              compressors=BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"))
    good: list[int] = []
    bad: list[int] = []
    reasons: list[str] = []
    for position, outcome in enumerate(_read_ahead(sites, source)):
        if isinstance(outcome, ImageError):
            bad.append(position)
            reasons.append(str(outcome))
        else:
            array[len(good)] = outcome
            good.append(position)
        progress(position + 1, len(sites.planes))
    rejections.add("images", sites.rows.iloc[bad], reasons)
    if not good:
        raise ImageError(f"none of {len(sites.planes)} sites can be read; the first: {reasons[0]}")
    array.resize((len(good), *shape[1:]))
    return sites.rows.iloc[good].reset_index(drop=True)


def write_site_table(rows: pd.DataFrame, wells: pd.DataFrame, plates: NDArray[np.str_],
                     is_control: NDArray[np.bool_], channels: tuple[str, ...], folder: Path) -> None:
    """Writes which well each site belongs to, and the intensity limits of each plate and channel.

    The limits are those of the plate's negative controls where it has some, so that a phenotype does not set its
    own scale; of all its sites otherwise.
    """
    position = pd.Series(np.arange(len(wells)), index=wells[ROW_KEY])
    owner = position.reindex(rows[ROW_KEY]).to_numpy(np.int64)
    table = pd.DataFrame({"row": owner, SITE: rows[SITE].to_numpy(), PLATE: plates[owner], "file": rows["file"]})
    table.to_parquet(folder / SITE_TABLE)
    array = zarr.open_array(folder / SITES, mode="r")
    step = max(1, math.ceil(math.sqrt(array.shape[2] * array.shape[3] / PIXELS_FOR_LIMITS)))
    found = []
    for plate, members in table.groupby(PLATE, sort=True):
        numbers = members.index.to_numpy()
        controls = numbers[is_control[owner[numbers]]]
        chosen = controls if len(controls) else numbers
        spread = np.linspace(0, len(chosen) - 1, min(len(chosen), SITES_FOR_LIMITS))
        chosen = chosen[spread.round().astype(int)]
        pixels = np.stack([np.asarray(array[int(number)])[:, ::step, ::step] for number in chosen])
        for channel, (low, high) in zip(channels, limits(pixels), strict=True):
            found.append({PLATE: plate, "channel": channel, "low": low, "high": high, "n_sites": len(chosen),
                          "reference": "negcon" if len(controls) else "plate"})
    pd.DataFrame(found).to_parquet(folder / INTENSITY)


def file_text(rows: pd.DataFrame, source: ImagesSource) -> "pd.Series[str]":
    """The files of each site, as its table names them, joined by ";"."""
    columns = [source.file] if source.file else [str(source.channels[channel]) for channel in source.order]
    text = as_text(rows[columns[0]])
    for column in columns[1:]:
        text = text + ";" + as_text(rows[column])
    return text


def _plane(row: dict[str, object], source: ImagesSource, base: Path, channel: str) -> Plane:
    column = source.file or str(source.channels[channel])
    name = row[column]
    if name is None or name is pd.NA or name != name or not str(name).strip():
        raise ImageError(f"no file name in column {column} (channel {channel})")
    try:
        path = base / inside(str(name).strip())
    except ValueError as problem:
        raise ImageError(f"channel {channel}: {problem}") from problem
    if not path.is_file():
        raise ImageError(f"{path}: no such file (channel {channel})")
    return Plane(path, int(source.channels[channel]) if source.file else None)


def _first_shape(planes: list[list[Plane]], source: ImagesSource, problems: list[str]) -> tuple[int, int]:
    for found in planes:
        try:
            height, width = read_site(found, source.order).shape[1:]
        except ImageError as problem:
            problems.append(str(problem))
            continue
        return height, width
    first = f"; the first: {problems[0]}" if problems else ""
    raise ImageError(f"none of {len(problems)} sites can be read{first}")


def _stored_shape(shape: tuple[int, int], source: ImagesSource) -> tuple[int, int]:
    if source.store_pixel_size_um is None:
        return shape
    zoom = source.pixel_size_um / source.store_pixel_size_um
    return max(1, round(shape[0] * zoom)), max(1, round(shape[1] * zoom))


def _read_ahead(sites: SiteList, source: ImagesSource) -> Iterator[Pixels | ImageError]:
    """Sites in order, read by a few threads that stay a little ahead; decoders release the interpreter."""

    def read(planes: list[Plane]) -> Pixels | ImageError:
        try:
            return _shrunk(read_site(planes, source.order, sites.shape), sites.stored)
        except ImageError as problem:
            return problem

    waiting: deque[Future[Pixels | ImageError]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            for planes in sites.planes:
                waiting.append(pool.submit(read, planes))
                if len(waiting) > 2 * READERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _shrunk(site: Pixels, shape: tuple[int, int]) -> Pixels:
    """A site (C, H, W) whose pixels are means over those they cover."""
    if site.shape[1:] == shape:
        return site
    small = resize_local_mean(site.astype(np.float32), shape, channel_axis=0, preserve_range=True)
    return np.clip(np.rint(small), 0, 65_535).astype(np.uint16)
