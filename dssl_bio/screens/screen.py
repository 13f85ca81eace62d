"""A Screen: one data set as tables and arrays in a folder, opened lazily."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from dssl_bio.artefact import identity, read_record, require_files, verify
from dssl_bio.errors import ScreenError
from dssl_bio.vocabulary import PLATE

WELLS, MOLECULES, REJECTED, UNJOINED = "wells.parquet", "molecules.parquet", "rejected.parquet", "unjoined.parquet"
PROFILES, VALUES, COLUMNS, ROWS = "profiles", "values.f32", "columns.json", "rows.npy"
IMAGES, SITES, SITE_TABLE, INTENSITY = "images", "sites.zarr", "sites.parquet", "intensity.parquet"


@dataclass(frozen=True)
class Profiles:
    """One feature block, transformed and normalised.

    Attributes:
        values: (R, F) float32, memory-mapped.
        features: names of the F columns.
        rows: (R,) position in `wells` of each row.
    """

    values: NDArray[np.float32]
    features: list[str]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Images:
    """Raw sites.

    Attributes:
        sites: Zarr array (S, C, H, W) uint16.
        table: one row a site: row (position in `wells`), Metadata_Site, plate.
        pixel_size_um: of the stored sites.
        channels: names of the C channels.
        intensity: plate, channel, low, high: limits for scaling.
    """

    sites: zarr.Array
    table: pd.DataFrame
    pixel_size_um: float
    channels: tuple[str, ...]
    intensity: pd.DataFrame

    def read(self, numbers: NDArray[np.integer]) -> NDArray[np.uint16]:
        """Sites (N, C, H, W) by number."""
        return np.stack([np.asarray(self.sites[int(number)]) for number in numbers])

    def limits(self, numbers: NDArray[np.integer]) -> NDArray[np.float32]:
        """Intensity limits (N, C, 2) of each site's plate."""
        keyed = self.intensity.set_index([PLATE, "channel"])[["low", "high"]]
        plates = self.table[PLATE].to_numpy(object)[numbers]
        known = {plate: keyed.loc[[(plate, channel) for channel in self.channels]].to_numpy(np.float32)
                 for plate in set(plates)}
        return np.stack([known[plate] for plate in plates])


@dataclass(frozen=True)
class Screen:
    """A data set; read-only.

    Attributes:
        folder: where it lies.
        record: its screen.json.
        wells: one row per measured phenotype; row_key is unique, molecule_id is missing where none could be joined.
        molecules: one row per molecule (first InChIKey block).
        rejected: every input row that is not in `wells`, with file, row, reason.
        profiles: feature blocks by name.
        images: sites, where there are any.
    """

    folder: Path
    record: dict[str, Any]
    wells: pd.DataFrame
    molecules: pd.DataFrame
    rejected: pd.DataFrame
    profiles: dict[str, Profiles]
    images: Images | None

    @classmethod
    def open(cls, folder: Path, *, check: bool = False) -> "Screen":
        """Opens a screen folder; arrays are read when they are used.

        Every file must be there: an absent chunk of pixels would be read as zeros.

        Args:
            folder: made by `dssl-bio ingest`.
            check: read every file once and compare its checksum, as who computes something lasting should.

        Raises:
            ScreenError: not a screen folder, of another schema version, or a file is missing or damaged.
        """
        record = verify(folder, "screen") if check else read_record(folder, "screen")
        if not check:
            require_files(folder, "screen", record)
        try:
            wells, molecules, rejected = (pd.read_parquet(folder / name) for name in (WELLS, MOLECULES, REJECTED))
            profiles = {name: _open_profiles(folder / PROFILES / name) for name in record["profiles"]}
            images = _open_images(folder / IMAGES, record["images"]) if record["images"] else None
        except (OSError, ValueError, KeyError) as cause:
            raise ScreenError(f"screen {folder} is damaged: {cause}; make it again with `dssl-bio ingest`") from cause
        return cls(folder, record, wells, molecules, rejected, profiles, images)

    @property
    def id(self) -> str:
        """Twelve characters that name the screen by its content."""
        return identity(self.record)

    @property
    def name(self) -> str:
        """The manifest's name."""
        return str(self.record["name"])

    @property
    def simulated(self) -> bool:
        """True when the manifest says that nothing here was measured."""
        return bool(self.record["simulated"])


def _open_profiles(folder: Path) -> Profiles:
    features = json.loads((folder / COLUMNS).read_text(encoding="utf-8"))
    rows = np.load(folder / ROWS, allow_pickle=False).astype(np.int64)
    values = np.memmap(folder / VALUES, dtype=np.float32, mode="r", shape=(len(rows), len(features)))
    return Profiles(values, features, rows)


def _open_images(folder: Path, facts: dict[str, Any]) -> Images:
    return Images(zarr.open_array(folder / SITES, mode="r"), pd.read_parquet(folder / SITE_TABLE),
                  float(facts["pixel_size_um"]), tuple(facts["channels"]), pd.read_parquet(folder / INTENSITY))
