"""A manifest: the TOML file that describes one screen. Every field is explained in data_manifests/README.md."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dssl_bio.config import Config, read_toml
from dssl_bio.errors import ConfigError, ManifestError
from dssl_bio.imaging.illumination import Method
from dssl_bio.imaging.intensity import CEILING, HIGH_PERCENTILE, LOW_PERCENTILE, Clipping
from dssl_bio.imaging.places import REMOTE
from dssl_bio.imaging.quality import Thresholds
from dssl_bio.screens.expressions import parse
from dssl_bio.screens.normalize import Normalisation, Transform
from dssl_bio.screens.site_store import StoreFormat
from dssl_bio.vocabulary import CHANNELS, METADATA

DoseUnit = Literal["M", "mM", "uM", "nM", "pM"]
TO_UM: dict[DoseUnit, float] = {"M": 1e6, "mM": 1e3, "uM": 1.0, "nM": 1e-3, "pM": 1e-6}

ROW_NUMBER = "row"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_METADATA = re.compile(r"Metadata_\w+")
BRIGHTFIELD = "Brightfield"
"""Channels whose names begin so may be named beside the five stains; others of a table are left alone."""
FILE_NAME, PATH_NAME = "FileName_", "PathName_"
"""CellProfiler's columns of a load_data.csv: a file, and the folder that it lies in."""


def inside(path: str) -> str:
    """A relative path that stays in the folder it is relative to.

    Raises:
        ValueError: it is empty, absolute, or climbs out with `..`.
    """
    if not path.strip() or "\0" in path:
        raise ValueError("empty path")
    windows = PureWindowsPath(path)
    if PurePosixPath(path).is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise ValueError(f"path {path!r} leaves its folder; paths are relative to the manifest, or to --data-root")
    return path


class ControlsSource(Config):
    """Which rows are negative controls."""

    where: str

    @field_validator("where")
    @classmethod
    def _parses(cls, text: str) -> str:
        return _expression(text)


class DoseSource(Config):
    """The column that holds the dose, and its unit."""

    column: str
    unit: DoseUnit

    @field_validator("unit", mode="before")
    @classmethod
    def _molar(cls, unit: object) -> object:
        text = str(unit).replace("\u00b5", "u").replace("\u03bc", "u")
        if "/" in text:
            raise ValueError(f"{text} is a mass concentration; convert it to molar first (M, mM, uM, nM, pM)")
        return text


class JoinColumns(Config):
    """A column of the screen and the column of the molecules' table that it is compared with.

    Without `right` the first InChIKey block of each standardised SMILES is compared.
    """

    left: str
    right: str | None = None


class MoleculesSource(Config):
    """A table that gives structures to rows. Without `table` it is given on the command line."""

    table: str | None = None
    on: JoinColumns
    smiles: str = "smiles"
    compound: str | None = None
    moa: str | None = None

    @field_validator("table")
    @classmethod
    def _inside(cls, path: str | None) -> str | None:
        return None if path is None else inside(path)


class ProfilesSource(Config):
    """One block of features."""

    table: str | list[str]
    features: Annotated[list[str], Field(min_length=1)]
    exclude: list[str] = []
    transform: Transform = "none"
    normalisation: Normalisation

    @field_validator("table")
    @classmethod
    def _inside(cls, tables: str | list[str]) -> str | list[str]:
        for path in [tables] if isinstance(tables, str) else tables:
            inside(path)
        return tables

    @property
    def tables(self) -> list[str]:
        """The paths or globs."""
        return [self.table] if isinstance(self.table, str) else self.table


class IlluminationSource(Config):
    """Where a plate's illumination comes from: its own sites, `.npy` files, or nowhere."""

    method: Method = "estimate"
    files: str | None = None
    columns: dict[str, str] = {}

    @model_validator(mode="after")
    def _files_when_given(self) -> "IlluminationSource":
        if self.method == "given" and not (self.files or self.columns):
            raise ValueError('method "given" needs files = "folder/{plate}_Illum{channel}.npy" or columns, the columns '
                             "of the table that name the file of each channel")
        if self.method != "given" and (self.files or self.columns):
            raise ValueError(f'files and columns belong to method "given", not to {self.method!r}')
        if self.files is not None:
            inside(self.files)
            if set(re.findall(r"{(\w*)}", self.files)) - {"plate", "channel"} or "{channel}" not in self.files:
                raise ValueError("files needs {channel}, may have {plate}, and no other word in braces")
        return self


class QualitySource(Config):
    """When a site is flagged; see `imaging.quality.Thresholds`."""

    blur_z: Annotated[float, Field(gt=0)] = Thresholds.blur_z
    saturated_share: Annotated[float, Field(gt=0, le=1)] = Thresholds.saturated_share
    debris_height: Annotated[float, Field(gt=1)] = Thresholds.debris_height
    debris_share: Annotated[float, Field(gt=0, le=1)] = Thresholds.debris_share
    empty_share: Annotated[float, Field(ge=0, le=1)] = Thresholds.empty_share

    @property
    def thresholds(self) -> Thresholds:
        """The same for `imaging.quality`."""
        return Thresholds(**self.model_dump())


class ImagesSource(Config):
    """Images: one or more tables with one row a site, one file a channel or one file for all, or OME-Zarr plates."""

    table: str | list[str]
    folder: str | None = None
    path_prefix: str | None = None
    urls: list[str] = []
    file: str | None = None
    channels: dict[str, str | int]
    some_channels: bool = False
    bits: Annotated[int, Field(ge=8, le=16)] | None = None
    pixel_size_um: Annotated[float, Field(gt=0)]
    store_pixel_size_um: Annotated[float, Field(gt=0)] | None = None
    store: StoreFormat = "memory_map"
    illumination: IlluminationSource = IlluminationSource()
    percentiles: tuple[float, float] = (LOW_PERCENTILE, HIGH_PERCENTILE)
    ceiling: Annotated[float, Field(ge=1)] = CEILING
    quality: QualitySource = QualitySource()

    @field_validator("table")
    @classmethod
    def _tables_inside(cls, tables: str | list[str]) -> str | list[str]:
        for path in [tables] if isinstance(tables, str) else tables:
            inside(path)
        if not tables:
            raise ValueError("no table")
        return tables

    @field_validator("folder")
    @classmethod
    def _inside(cls, path: str | None) -> str | None:
        return None if path is None or path == "." else inside(path)

    @field_validator("urls")
    @classmethod
    def _addresses(cls, urls: list[str]) -> list[str]:
        for url in urls:
            if not url.startswith(REMOTE) or url in REMOTE or "/" not in url.split("://", 1)[1]:
                raise ValueError(f"{url!r}: expected the beginning of the addresses that may be fetched, such as "
                                 "s3://bucket/folder/ or https://server/folder/")
        return urls

    @field_validator("illumination", mode="before")
    @classmethod
    def _one_word(cls, value: object) -> object:
        return {"method": value} if isinstance(value, str) else value

    @field_validator("percentiles")
    @classmethod
    def _ordered(cls, percentiles: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= percentiles[0] < percentiles[1] <= 100:
            raise ValueError(f"percentiles must rise from 0 to at most 100, got {percentiles}")
        return percentiles

    @model_validator(mode="after")
    def _channel_map(self) -> "ImagesSource":
        unknown = [name for name in self.channels if name not in CHANNELS and not name.startswith(BRIGHTFIELD)]
        missing = [name for name in CHANNELS if name not in self.channels]
        if unknown or (missing and not self.some_channels) or not self.channels:
            found = ", ".join(self.channels) or "none"
            raise ValueError(f"channels: expected {', '.join(CHANNELS)}, found {found}"
                             + ("" if unknown else "; say some_channels = true when only these were imaged"))
        kinds = {type(place) for place in self.channels.values()}
        if self.file is None and kinds != {str}:
            raise ValueError("channels: name a column for each channel, or say `file` and give channel numbers")
        if self.file is not None and (kinds != {int} or any(int(place) < 0 for place in self.channels.values())):
            raise ValueError("channels: with `file`, each channel has its number in that file, counted from 0")
        if len(set(self.channels.values())) < len(self.channels):
            raise ValueError("channels: two channels have the same place")
        lit = set(self.illumination.columns)
        if lit and lit != set(self.channels):
            raise ValueError(f"illumination.columns: expected {', '.join(self.channels)}, found {', '.join(lit)}")
        if self.store_pixel_size_um is not None and self.store_pixel_size_um < self.pixel_size_um:
            raise ValueError("store_pixel_size_um is smaller than pixel_size_um: sites are only ever shrunk")
        return self

    @property
    def order(self) -> tuple[str, ...]:
        """The channels that there are, in the order of the vocabulary; brightfield comes last."""
        stains = tuple(name for name in CHANNELS if name in self.channels)
        return stains + tuple(name for name in self.channels if name not in CHANNELS)

    @property
    def tables(self) -> list[str]:
        """The paths or globs."""
        return [self.table] if isinstance(self.table, str) else self.table

    @property
    def file_columns(self) -> list[str]:
        """Columns that must be there because they name files."""
        named = [self.file] if self.file else [str(self.channels[channel]) for channel in self.order]
        return [*named, *self.illumination.columns.values()]

    @property
    def path_columns(self) -> list[str]:
        """Columns that name the folders of files, where a table has them."""
        return [PATH_NAME + column.removeprefix(FILE_NAME) for column in self.file_columns
                if column.startswith(FILE_NAME)]

    @property
    def clipping(self) -> Clipping:
        """How intensities are scaled."""
        return Clipping(*self.percentiles, self.ceiling)


class MasksSource(Config):
    """Masks that were drawn by hand, or are known: a table with a row a site and a column of files for each target."""

    table: str
    folder: str | None = None
    nuclei: str
    cells: str | None = None
    min_area_px: Annotated[int, Field(ge=0)] = 0

    @field_validator("table", "folder")
    @classmethod
    def _inside(cls, path: str | None) -> str | None:
        return None if path is None else inside(path)


class Manifest(Config):
    """One screen: where its tables and images lie and what their columns mean."""

    name: str
    title: str = ""
    citation: str = ""
    licence: str = ""
    url: str = ""
    simulated: bool = False
    key: list[str] | None = None
    where: str | None = None
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    annotations: list[str] = []
    controls: ControlsSource | None = None
    dose: DoseSource | None = None
    molecules: MoleculesSource | None = None
    profiles: dict[str, ProfilesSource] = {}
    images: ImagesSource | None = None
    masks: MasksSource | None = None
    checksums: dict[str, str] = {}

    @field_validator("key", mode="before")
    @classmethod
    def _one_or_more(cls, key: object) -> object:
        return [key] if isinstance(key, str) else key

    @field_validator("where")
    @classmethod
    def _parses(cls, text: str | None) -> str | None:
        return None if text is None else _expression(text)

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        for name in (self.name, *self.profiles):
            if not _NAME.fullmatch(name) or name == "images":
                raise ValueError(f"{name!r} cannot be a name: expected letters, digits, _ or -, and not `images`")
        for word in (*self.columns, *self.constants):
            if not _METADATA.fullmatch(word):
                raise ValueError(f"columns and constants are named Metadata_..., not {word!r}")
            meant = _misspelt(word)
            if meant is not None:
                raise ValueError(f"{word!r} is not a word of the program; did you mean {meant!r}? A column of your own "
                                 "needs a name that is less like it")
        both = set(self.columns) & set(self.constants)
        if both:
            raise ValueError(f"{', '.join(sorted(both))}: both in columns and in constants")
        if self.key is not None and (not self.key or (ROW_NUMBER in self.key and len(self.key) > 1)):
            raise ValueError("key: one or more columns, or \"row\" alone for the number of the row")
        if not self.profiles and self.images is None:
            raise ValueError("a screen needs [images] or at least one [profiles.NAME]")
        for path in self.checksums:
            inside(path)
        return self


@dataclass(frozen=True)
class ManifestFile:
    """A manifest, its text, and the folder that its paths are relative to."""

    manifest: Manifest
    path: Path
    text: str
    root: Path


def read_manifest(path: Path, data_root: Path | None = None) -> ManifestFile:
    """A manifest, checked for form; the files that it names are checked by `screens.plan.plan_screen`.

    Args:
        path: the TOML file.
        data_root: what its paths are relative to, the manifest's own folder by default.

    Raises:
        ManifestError: the file is missing, not TOML, or a key or value does not fit.
    """
    manifest = read_toml(path, Manifest, ManifestError)
    root = path.parent if data_root is None else data_root
    if not root.is_dir():
        raise ManifestError(f"no such folder: {root}")
    return ManifestFile(manifest, path, path.read_text(encoding="utf-8"), root)


def _expression(text: str) -> str:
    try:
        parse(text)
    except ConfigError as problem:
        raise ValueError(str(problem)) from problem
    return text


def _misspelt(word: str) -> str | None:
    """The word of the vocabulary that was meant; None for one that is in it, and for one that is like none of it.

    A column under a misspelt word would be kept and never used: no mechanism, no dose, and no message.
    """
    if word in METADATA:
        return None
    tails = {known.removeprefix("Metadata_").casefold(): known for known in METADATA}
    near = difflib.get_close_matches(word.removeprefix("Metadata_").casefold(), tails, n=1, cutoff=0.9)
    return tails[near[0]] if near else None
