"""The pictures of a bundle: an entry's cells, and untreated cells of the same plate beside them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.retrieval.tables import ENTRY, PICTURE, WELLS
from dssl_bio.vocabulary import PLATE, ROW_KEY, WELL

if TYPE_CHECKING:
    from dssl_bio.retrieval.bundle import Bundle


@dataclass(frozen=True)
class Shown:
    """One picture and where it was taken.

    Attributes:
        pixels: (C, H, W); 255 is the upper limit of the plate's channel.
        plate: empty when the screen has no plates.
        well: empty when the screen has no wells.
    """

    pixels: NDArray[np.uint8]
    plate: str
    well: str

    @property
    def place(self) -> str:
        """Plate and well in words."""
        return _place(self.plate, self.well)


def entry_picture(bundle: "Bundle", entry: int) -> Shown | None:
    """The picture of an entry: the first site of its first well; None where the bundle has no pictures."""
    return _shown(bundle, bundle.entries, entry)


def picture_numbers(bundle: "Bundle") -> dict[str, int]:
    """Number of the picture of each well by its row key: that of the well's entry, or of the control itself."""
    numbers: dict[str, int] = {}
    path = bundle.folder / WELLS
    if path.is_file() and PICTURE in bundle.entries:
        wells = pd.read_parquet(path, columns=[ROW_KEY, ENTRY])
        member = wells[wells[ENTRY] >= 0]
        numbers = dict(zip(member[ROW_KEY].astype(str), bundle.entries[PICTURE].to_numpy()[member[ENTRY]].tolist(),
                           strict=True))
    if PICTURE in bundle.controls and ROW_KEY in bundle.controls:
        numbers |= dict(zip(bundle.controls[ROW_KEY].astype(str), bundle.controls[PICTURE].tolist(), strict=True))
    return {key: int(number) for key, number in numbers.items() if number >= 0}


def control_picture(bundle: "Bundle", plate: str) -> Shown | None:
    """Negative-control cells of one plate; None when that plate has none with a picture."""
    row = control_row(bundle.controls, plate)
    return None if row is None else _shown(bundle, bundle.controls, row)


def control_row(controls: pd.DataFrame, plate: str) -> int | None:
    """The negative control whose picture stands for its plate: the first one that has a picture; None without any."""
    if PICTURE not in controls:
        return None
    pictured = controls[PICTURE].to_numpy() >= 0
    if PLATE in controls:
        pictured &= (controls[PLATE].astype(str) == plate).to_numpy(bool)
    rows = np.flatnonzero(pictured)
    return int(rows[0]) if len(rows) else None


def place_of(table: pd.DataFrame, row: int) -> str:
    """Plate and well of an entry's or a control's picture, in words."""
    return _place(_first(table, PLATE, row), _first(table, WELL, row))


def _shown(bundle: "Bundle", table: pd.DataFrame, row: int) -> Shown | None:
    if bundle.pictures is None or PICTURE not in table or table[PICTURE].iloc[row] < 0:
        return None
    pixels = np.asarray(bundle.pictures[int(table[PICTURE].iloc[row])])
    return Shown(pixels, _first(table, PLATE, row), _first(table, WELL, row))


def _place(plate: str, well: str) -> str:
    return ", ".join(filter(None, (plate and f"plate {plate}", well and f"well {well}")))


def _first(table: pd.DataFrame, column: str, row: int) -> str:
    """The first of the plates or wells that an entry joins."""
    if column not in table or pd.isna(table[column].iloc[row]):
        return ""
    return str(table[column].iloc[row]).split(";")[0]
