"""A phenotype of one's own: five images or a row of features, checked, and read by a bundle's model as its own were."""

import io
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray

from dssl_bio.errors import ImageError, QueryError
from dssl_bio.imaging.classical import ClassicalSettings, find_nuclei
from dssl_bio.imaging.crops import SAME_ZOOM, corners_at, crop_of, even_squares, resampled, tiles_of
from dssl_bio.imaging.intensity import limits, scaled
from dssl_bio.imaging.labels import areas_and_centres
from dssl_bio.imaging.read import Plane, read_site
from dssl_bio.imaging.segmentation import NUCLEI_CHANNEL
from dssl_bio.retrieval.light import MeanLight
from dssl_bio.screens.normalize import normalized
from dssl_bio.vocabulary import PERT_TYPE

if TYPE_CHECKING:
    from dssl_bio.learning.representation import SharedSpecific
    from dssl_bio.learning.run import Run

MAX_PIXELS = 16_000_000
"""Of an uploaded plane: a whole camera field of 4,000 x 4,000 pixels."""
MAX_ROWS = 2_000
MAX_MISSING_NAMED = 5
UNLIKE = 4.0
"""Normalised profiles whose spread is that many times the bundle's, or that small a part of it, are doubted aloud."""


def site_of(files: Mapping[str, bytes], channels: tuple[str, ...]) -> NDArray[np.uint16]:
    """One site (C, H, W) of uploaded TIFF files, one a channel.

    Bytes are written under names of ours, and what their headers announce is checked before anything is decoded.

    Args:
        files: content by channel.
        channels: the C channels that the model reads, in its order.

    Raises:
        ImageError: a channel is missing, or a file is no TIFF that is accepted; the channel is named.
    """
    missing = [name for name in channels if name not in files]
    if missing:
        raise ImageError(f"no file for channel {', '.join(missing)}; the model reads {', '.join(channels)}")
    with tempfile.TemporaryDirectory(prefix="dssl-bio-") as folder:
        planes = []
        for number, name in enumerate(channels):
            path = Path(folder) / f"channel_{number}.tif"
            path.write_bytes(files[name])
            planes.append(Plane(path))
        try:
            return read_site(planes, channels, max_pixels=MAX_PIXELS)
        except ImageError as error:
            message = str(error)
            for number, name in enumerate(channels):
                message = message.replace(str(Path(folder) / f"channel_{number}.tif"), f"file of {name}")
            raise ImageError(message) from None


def embed_site(run: "Run", site: NDArray[np.uint16], pixel_size_um: float, control: NDArray[np.uint16] | None = None,
               light: MeanLight | None = None) -> "tuple[SharedSpecific, NDArray[np.uint8]]":
    """Representation of one's own site, and the picture (C, H, W) that a page shows of it.

    Args:
        run: the model.
        site: (C, H, W) raw intensities in the model's order of channels.
        pixel_size_um: of the site.
        control: an untreated site of the same plate: its intensities set the scale, as a plate's do when a screen is
            indexed. Without it the site sets its own scale, which hides a change of overall brightness.
        light: is divided out of both, as `ingest` does; without it they are taken to be corrected already.

    Raises:
        ImageError: the pixel size is not positive, or the control has other channels.
    """
    if not pixel_size_um > 0:
        raise ImageError(f"the pixel size must be positive, got {pixel_size_um:g} um")
    if control is not None and len(control) != len(site):
        raise ImageError(f"the untreated site has {len(control)} channels, the treated one {len(site)}")
    zoom = pixel_size_um / run.facts.pixel_size_um
    if max(site.shape[1:]) * zoom > MAX_PIXELS**0.5 * 1.01:
        raise ImageError(f"{site.shape[1]} x {site.shape[2]} pixels of {pixel_size_um:g} um are more than a field of a "
                         "microscope; check the pixel size")
    if light is not None:
        site, control = light.corrected(site), None if control is None else light.corrected(control)
    size = run.config.image.tile_px
    clipping = run.facts.clipping
    reference = limits((site if control is None else control)[None], clipping)
    whole_scale = scaled(site[None], reference[None], clipping.ceiling)
    whole = resampled(whole_scale, zoom, size)
    tiles = tiles_of(whole, size)
    if run.config.image.tiles == "nuclei":
        nuclei = _nuclei(run, site, pixel_size_um)
        tiles = _around(whole_scale[0], nuclei, zoom, size) if len(nuclei) else even_squares(whole, size)
    picture = (np.clip(whole[0], 0, 1) * 255).round().astype(np.uint8)
    return _embedded(run, torch.from_numpy(np.ascontiguousarray(tiles))), picture


def _nuclei(run: "Run", site: NDArray[np.uint16], pixel_size_um: float) -> NDArray[np.float64]:
    """Centres (N, 2) in pixels of nuclei that the classical engine finds in a raw site, as many as the model reads.

    The model may have learnt from nuclei that another engine found; here there are no weights.
    """
    channels = run.facts.channels
    if NUCLEI_CHANNEL not in channels:
        raise ImageError(f"this model reads tiles around nuclei, and none of {', '.join(channels)} shows them")
    zoom = min(1.0, pixel_size_um / run.facts.pixel_size_um)  # large fields of small pixels take long
    plane = resampled(site[None, [channels.index(NUCLEI_CHANNEL)]].astype(np.float32), zoom, 1)[0, 0]
    shrunk = site.shape[1] / plane.shape[0]
    labels = find_nuclei(plane, pixel_size_um * shrunk, ClassicalSettings())
    found = areas_and_centres(labels)[:, 2:]
    most = run.config.image.nuclei_per_well
    if most and len(found) > most:
        found = found[np.sort(np.random.default_rng(run.config.seed).choice(len(found), most, replace=False))]
    return (found + 0.5) * shrunk - 0.5


def _around(site: NDArray[np.float32], centres: NDArray[np.float64], zoom: float, size: int) -> NDArray[np.float32]:
    """Tiles (N, C, size, size) of a scaled site (C, H, W) around centres, cut as training cuts them."""
    wanted = math.ceil(size / zoom) if abs(zoom - 1) >= SAME_ZOOM else size
    corners = corners_at(centres, wanted, (site.shape[1], site.shape[2]))
    return np.stack([crop_of(site[:, y:y + wanted, x:x + wanted], zoom, size) for y, x in corners])


def profile_table(content: bytes, features: tuple[str, ...]) -> pd.DataFrame:
    """An uploaded CSV or Parquet table whose columns hold the model's features; its kind is told by its content.

    Raises:
        QueryError: not a table, too long, a feature is missing, or a value is no finite number.
    """
    try:
        if content[:4] == b"PAR1":
            table = pd.read_parquet(io.BytesIO(content))
        else:
            text = content.decode("utf-8-sig")
            separator = "\t" if "\t" in text.split("\n", 1)[0] else ","
            table = pd.read_csv(io.StringIO(text), sep=separator, nrows=MAX_ROWS + 1, low_memory=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, pa.ArrowException, ValueError,
            OSError) as cause:
        raise QueryError("this is no table of comma- or tab-separated text in UTF-8, and no Parquet file") from cause
    if not 1 <= len(table) <= MAX_ROWS:
        raise QueryError(f"the table has {'no' if table.empty else 'too many'} rows; 1 to {MAX_ROWS:,} are accepted")
    missing = [name for name in features if name not in table]
    if missing:
        raise QueryError(_lacking(features, missing, "this table"))
    values = table[list(features)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
    if len(bad):
        raise QueryError(f"{features[bad[0]]}: a value is missing or no finite number ({len(bad)} such features)")
    return table


def profile_row(values: Mapping[str, float], features: tuple[str, ...]) -> NDArray[np.float32]:
    """One profile (F,) in the order of the model's features, from values by name; further names are left aside.

    Raises:
        QueryError: a feature is missing, or its value is no finite number of single precision.
    """
    missing = [name for name in features if name not in values]
    if missing:
        raise QueryError(_lacking(features, missing, "this profile"))
    row = np.array([values[name] for name in features])
    bad = np.flatnonzero(~(np.abs(row) < np.finfo(np.float32).max))
    if len(bad):
        raise QueryError(f"{features[bad[0]]}: {row[bad[0]]:g} is no finite number that a model reads")
    return row.astype(np.float32)


def _lacking(features: tuple[str, ...], missing: list[str], what: str) -> str:
    more = f" and {len(missing) - MAX_MISSING_NAMED} more" if len(missing) > MAX_MISSING_NAMED else ""
    return (f"the model reads {len(features)} features, of which {what} lacks {len(missing)}: "
            f"{', '.join(missing[:MAX_MISSING_NAMED])}{more}")


def against_controls(table: pd.DataFrame, features: tuple[str, ...]) -> NDArray[np.float32]:
    """Profiles (N, F) normalised against the table's own negative controls, as a plate of a screen is.

    Raises:
        QueryError: no column Metadata_pert_type with `negcon` in at least two rows.
    """
    kind = table[PERT_TYPE].astype(str).to_numpy(str) if PERT_TYPE in table else np.full(len(table), "")
    control = kind == "negcon"
    if control.sum() < 2:
        raise QueryError(f"to normalise, the table needs a column {PERT_TYPE} that says negcon in at least 2 rows")
    return normalized(table[list(features)].to_numpy(float), np.full(len(table), "one plate"), control, "negcon")


def embed_profile(run: "Run", profile: NDArray[np.floating]) -> "SharedSpecific":
    """Representation of one normalised profile (F,) whose features are in the model's order."""
    return _embedded(run, torch.from_numpy(np.asarray(profile, dtype=np.float32)[None].copy()))


def looks_unlike(profile: NDArray[np.floating], typical: NDArray[np.floating]) -> bool:
    """True when a profile's spread is far from that of a bundle's (M, F): it was probably normalised otherwise."""
    own, usual = float(np.median(np.abs(profile))), float(np.median(np.abs(typical)))
    return not usual / UNLIKE <= own <= usual * UNLIKE if usual > 0 else False


def _embedded(run: "Run", inputs: torch.Tensor) -> "SharedSpecific":
    """Mean direction over inputs (N, ...) of one phenotype."""
    one: Any = _OnePhenotype(inputs)
    return run.embed_wells(one, np.array([0]), np.array([0]))


class _OnePhenotype:
    """Inputs that all belong to one entry."""

    def __init__(self, inputs: torch.Tensor):
        self.inputs, self.rows = inputs, np.array([0])

    def chunks(self, rows: NDArray[np.int64], membership: NDArray[np.int64]) -> Any:
        """All of them, in one piece."""
        yield self.inputs, np.zeros(len(self.inputs), dtype=np.int64)
