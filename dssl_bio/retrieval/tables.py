"""The tables of a bundle, read without its model: a fraction of a second, where loading the network takes seconds."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from dssl_bio.artefact import checksum, identity, read_record
from dssl_bio.errors import BundleError

RUN_FOLDER = "run"
ENTRIES, CONTROLS, MOLECULES, WELLS = "entries.parquet", "controls.parquet", "molecules.parquet", "wells.parquet"
FACTS, SPLIT_TABLE = f"{RUN_FOLDER}/facts.json", f"{RUN_FOLDER}/split.parquet"
EXPECTED_RECALL = "expected_recall.json"
PICTURES = "pictures.npy"

PICTURE, IN_SCREEN, SPLIT = "picture", "in_screen", "split"
ENTRY = "entry"
"""Column of the wells' table: number of the entry that a well belongs to, -1 for none."""


class HasTables(Protocol):
    """A Bundle, or its Tables."""

    @property
    def entries(self) -> pd.DataFrame:
        """One row an entry."""

    @property
    def molecules(self) -> pd.DataFrame:
        """The library."""


@dataclass(frozen=True)
class Tables:
    """What of a bundle can be shown before its model is loaded; read-only.

    Attributes:
        folder: where it lies.
        record: its bundle.json.
        entries: one row an entry.
        controls: negative-control wells.
        molecules: the library.
        modality: `images` or the name of a feature block.
        channels: of its pictures; empty for profiles.
        pixel_size_um: of its pictures; 0 for profiles.
        features: of its profiles; empty for images.
    """

    folder: Path
    record: dict[str, Any]
    entries: pd.DataFrame
    controls: pd.DataFrame
    molecules: pd.DataFrame
    modality: str
    channels: tuple[str, ...]
    pixel_size_um: float
    features: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path) -> "Tables":
        """Reads the tables of a bundle folder after their checksums were verified.

        Raises:
            BundleError: not a bundle, or one of these files is missing or was changed.
        """
        record = read_record(folder, "bundle")
        for name in (ENTRIES, CONTROLS, MOLECULES, FACTS):
            path = folder / name
            if not path.is_file():
                raise BundleError(f"{folder}: {name} is missing; make the bundle again with `dssl-bio index`")
            if checksum(path) != record["files"].get(name):
                raise BundleError(f"{folder}: {name} was changed or damaged after it was written (checksum differs)")
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        entries, controls, molecules = (pd.read_parquet(folder / name) for name in (ENTRIES, CONTROLS, MOLECULES))
        return cls(folder, record, entries, controls, molecules, facts["modality"], tuple(facts["channels"]),
                   facts["pixel_size_um"], tuple(facts["features"]))

    @cached_property
    def id(self) -> str:
        """Twelve characters that name the bundle by its content."""
        return identity(self.record)

    @property
    def simulated(self) -> bool:
        """True when the phenotypes or the model come from a simulated screen."""
        return bool(self.record["simulated"])

    @cached_property
    def wells(self) -> pd.DataFrame | None:
        """Every well that was indexed, controls included, with the number of its entry; None in older bundles."""
        path = self.folder / WELLS
        return pd.read_parquet(path) if path.is_file() else None

    @cached_property
    def split(self) -> pd.DataFrame:
        """molecule_id, group and split of the model's molecules."""
        return pd.read_parquet(self.folder / SPLIT_TABLE)
