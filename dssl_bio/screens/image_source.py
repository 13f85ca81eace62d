"""What a manifest says of images: where their files lie, what their channels are, and how they become a screen's."""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from dssl_bio.config import Config
from dssl_bio.imaging.illumination import Method
from dssl_bio.imaging.intensity import CEILING, HIGH_PERCENTILE, LOW_PERCENTILE, Clipping
from dssl_bio.imaging.places import REMOTE
from dssl_bio.imaging.quality import Thresholds
from dssl_bio.screens.site_store import StoreFormat
from dssl_bio.vocabulary import CHANNELS

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
