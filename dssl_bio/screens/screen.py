"""A Screen: one data set as tables and arrays in a folder, opened lazily."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from dssl_bio.artefact import identity, read_record, require_files, verify
from dssl_bio.errors import ScreenError
from dssl_bio.imaging.intensity import Clipping
from dssl_bio.screens.by_plate import name_on_disk
from dssl_bio.screens.site_store import SiteArray, SiteStore
from dssl_bio.vocabulary import CELL_COUNT, PLATE, ROW_KEY

WELLS, MOLECULES, REJECTED, UNJOINED = "wells.parquet", "molecules.parquet", "rejected.parquet", "unjoined.parquet"
PROFILES, VALUES, COLUMNS, ROWS = "profiles", "values.f32", "columns.json", "rows.npy"
IMAGES, SITES, SITE_TABLE, INTENSITY = "images", "sites.zarr", "sites.parquet", "intensity.parquet"
PLATE_FOLDERS, PLATE_TABLE, QUALITY, WARNINGS = "plates", "plates.parquet", "quality.parquet", "warnings.parquet"
CELL_COUNTS = "cell_counts.parquet"
FLAGS, FLAGGED = "flags", "flagged"


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
    """Sites, with the illumination of their plates divided out.

    Attributes:
        sites: array (S, C, H, W) uint16; a site, or several, are read when they are asked for.
        table: one row a site: row (position in `wells`), Metadata_Site, plate, flags (of quality), flagged.
        pixel_size_um: of the stored sites.
        channels: names of the C channels.
        intensity: plate, channel, low, high: limits for scaling.
        clipping: how the limits were found and where scaled values are cut off.
        folder: where the tables of quality lie.
    """

    sites: SiteArray
    table: pd.DataFrame
    pixel_size_um: float
    channels: tuple[str, ...]
    intensity: pd.DataFrame
    clipping: Clipping = Clipping()
    folder: Path | None = None

    def read(self, numbers: NDArray[np.integer]) -> NDArray[np.uint16]:
        """Sites (N, C, H, W) by number."""
        return np.stack([np.asarray(self.sites[int(number)]) for number in numbers])

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """(S,) sites that quality control marked; none in screens of earlier versions."""
        if FLAGGED not in self.table:
            return np.zeros(len(self.table), dtype=bool)
        return self.table[FLAGGED].to_numpy(bool)

    def quality(self) -> pd.DataFrame:
        """What was measured of each site and channel: site (number), channel, imaging.quality.METRICS."""
        return self._read(QUALITY)

    def plates(self) -> pd.DataFrame:
        """What was found of each plate and channel: illumination, its unevenness, position effect."""
        return self._read(PLATE_TABLE)

    def warnings(self) -> pd.DataFrame:
        """What is doubtful and was kept: plate, well, site, file, message."""
        return self._read(WARNINGS)

    def illumination(self, plate: str) -> NDArray[np.float32]:
        """The field (C, h, w) that was divided out of a plate's sites, about 1."""
        if self.folder is None or not (self.folder / PLATE_FOLDERS).is_dir():
            return np.ones((len(self.channels), 2, 2), np.float32)
        return np.load(self.folder / PLATE_FOLDERS / name_on_disk(plate) / "illumination.npy", allow_pickle=False)

    def _read(self, name: str) -> pd.DataFrame:
        if self.folder is None or not (self.folder / name).is_file():
            raise ScreenError("this screen was made by an earlier version and holds no quality control; make it again "
                              "with `dssl-bio ingest`")
        return pd.read_parquet(self.folder / name)

    def limits(self, numbers: NDArray[np.integer]) -> NDArray[np.float32]:
        """Intensity limits (N, C, 2) of each site's plate."""
        plate, known = self._limits
        return known[plate[numbers]]

    @cached_property
    def _limits(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Number of each site's plate (S,), and the limits of all plates (P, C, 2)."""
        keyed = self.intensity.set_index([PLATE, "channel"])[["low", "high"]]
        plates, number = np.unique(self.table[PLATE].to_numpy(object).astype(str), return_inverse=True)
        wanted = pd.MultiIndex.from_product([plates, self.channels])
        return number, keyed.reindex(wanted).to_numpy(np.float32).reshape(len(plates), len(self.channels), 2)


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
            wells = _with_cell_counts(wells, folder / IMAGES / CELL_COUNTS)
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


def _with_cell_counts(wells: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Wells with the counts of the last segmentation where the screen's own tables gave none."""
    if not path.is_file():
        return wells
    counted = pd.read_parquet(path).set_index(ROW_KEY)[CELL_COUNT].reindex(wells[ROW_KEY]).to_numpy(float)
    given = wells[CELL_COUNT].to_numpy(float) if CELL_COUNT in wells else np.full(len(wells), np.nan)
    return wells.assign(**{CELL_COUNT: np.where(np.isfinite(given), given, counted)})


def _open_profiles(folder: Path) -> Profiles:
    features = json.loads((folder / COLUMNS).read_text(encoding="utf-8"))
    rows = np.load(folder / ROWS, allow_pickle=False).astype(np.int64)
    values = np.memmap(folder / VALUES, dtype=np.float32, mode="r", shape=(len(rows), len(features)))
    return Profiles(values, features, rows)


def _open_images(folder: Path, facts: dict[str, Any]) -> Images:
    sites: SiteArray
    if "plates" in facts:
        sites = SiteStore.open([folder / PLATE_FOLDERS / name_on_disk(plate) for plate in facts["plates"]])
    else:  # screens of earlier versions: one Zarr array
        sites = zarr.open_array(folder / SITES, mode="r")
    return Images(sites, pd.read_parquet(folder / SITE_TABLE), float(facts["pixel_size_um"]), tuple(facts["channels"]),
                  pd.read_parquet(folder / INTENSITY), Clipping(**facts.get("clipping", {})), folder)
