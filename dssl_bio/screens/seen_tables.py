"""Tables as a draft of a manifest looks at them: their first rows, and which columns hold what by their names."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dssl_bio.screens.tables import PARQUET, columns_of, read_text_columns, separator
from dssl_bio.vocabulary import (
    BATCH,
    CELL_LINE,
    CHANNELS,
    COMPOUND,
    MOA,
    PERT_TYPE,
    PLATE,
    REPLICATE,
    SITE,
    SMILES,
    WELL,
)

SAMPLE_ROWS = 2_000

# Spellings seen in published screens, without Metadata_ and punctuation, best first
ALIASES: dict[str, tuple[str, ...]] = {
    PLATE: ("plate", "assayplatebarcode", "platebarcode", "barcode", "plateid", "platename"),
    WELL: ("well", "wellid", "wellposition", "wellname", "pertwell"),
    SITE: ("site", "fieldid", "field", "fov"),
    BATCH: ("batch", "batchnumber", "experiment"),
    SMILES: ("smiles", "canonicalsmiles", "isomericsmiles", "structure"),
    COMPOUND: ("compound", "compoundname", "pertiname", "name", "compoundid", "broadsample", "broadid"),
    MOA: ("moa", "mechanism", "mechanismofaction"),
    CELL_LINE: ("cellline", "cellid", "cell"),
    REPLICATE: ("replicate", "rep"),
    PERT_TYPE: ("perttype", "controltype"),
}
DOSE = re.compile(r"^(metadata_)?(dose|conc|concentration)(_?(?P<unit>m|mm|um|nm|pm))?$|mmoles_per_liter", re.I)
CONTROLS = ("DMSO", "dmso", "negcon", "control", "ctl_vehicle", "vehicle")
_ANNOTATION = re.compile(r"^(unnamed|index|id$|row|col)|url|path|file|split|fold|count$", re.IGNORECASE)


@dataclass(frozen=True)
class Seen:
    """A table: its name relative to the folder, its columns, and its first rows."""

    name: str
    columns: list[str]
    rows: pd.DataFrame

    def channel_columns(self) -> dict[str, str]:
        """Columns that hold file names, by the channel that their names end with."""
        found = {}
        for channel in CHANNELS:
            named = [c for c in self.columns if re.search(rf"file.*{channel}$", c, re.IGNORECASE)]
            if named:
                found[channel] = min(named, key=len)
        return found

    def features(self) -> list[str]:
        """Columns of numbers that no word of the laboratory claims."""
        claimed = set(guessed(self).values()) | {column for column in self.columns if DOSE.search(column)}
        return [c for c in self.columns if not c.startswith("Metadata_") and c not in claimed
                and not _ANNOTATION.search(c) and is_number(self.rows[c])]


def look(path: Path, root: Path) -> Seen:
    """A table's columns and first rows.

    Raises:
        ManifestError: it cannot be read.
    """
    columns = columns_of(path)
    if path.name.lower().endswith(PARQUET):
        rows = read_text_columns(path, columns).head(SAMPLE_ROWS)
    else:
        rows = pd.read_csv(path, sep=separator(path), nrows=SAMPLE_ROWS, dtype=str, encoding="utf-8-sig",
                           index_col=False)
    return Seen(path.relative_to(root).as_posix(), columns, rows)


def _plain(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", column.lower().removeprefix("metadata_").removeprefix("image_metadata_"))


def guessed(table: Seen) -> dict[str, str]:
    """Words of ours and the columns that probably hold them."""
    found = {}
    for word, aliases in ALIASES.items():
        matching = sorted((aliases.index(_plain(c)), c != word, c) for c in table.columns if _plain(c) in aliases)
        if matching:
            found[word] = matching[0][2]
    return found


def is_number(values: "pd.Series[str]") -> bool:
    """Whether nearly all values that are there are numbers."""
    if values.dtype == bool:
        return False
    numbers = pd.to_numeric(values, errors="coerce")
    return bool(values.notna().any() and np.mean(numbers.notna() == values.notna()) > 0.99)
