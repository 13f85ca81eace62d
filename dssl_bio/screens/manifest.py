"""A manifest: the TOML file that describes one screen. Every field is explained in data_manifests/README.md."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dssl_bio.config import Config, read_toml
from dssl_bio.errors import ConfigError, ManifestError
from dssl_bio.screens.expressions import parse
from dssl_bio.screens.image_source import ImagesSource, inside
from dssl_bio.screens.normalize import Normalisation, Transform
from dssl_bio.vocabulary import METADATA

DoseUnit = Literal["M", "mM", "uM", "nM", "pM"]
TO_UM: dict[DoseUnit, float] = {"M": 1e6, "mM": 1e3, "uM": 1.0, "nM": 1e-3, "pM": 1e-6}

ROW_NUMBER = "row"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_METADATA = re.compile(r"Metadata_\w+")


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
