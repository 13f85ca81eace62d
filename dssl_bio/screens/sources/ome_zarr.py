"""An OME-Zarr plate as a table of sites: a row a field of view, as if somebody had written a load_data.csv."""

from pathlib import Path

import pandas as pd

from dssl_bio.errors import ImageError, ManifestError
from dssl_bio.imaging.ome_zarr import SUFFIX, fields_of, is_zarr
from dssl_bio.vocabulary import PLATE, SITE, WELL, well_name

FILE_COLUMN = "file"
"""Holds the image of each field, relative to the folder that the plate lies in; a manifest says file = "file"."""


def is_plate(path: Path) -> bool:
    """Whether a table's path is a folder of OME-Zarr."""
    return path.name.lower().endswith(SUFFIX) and is_zarr(path)


def plate_table(path: Path) -> pd.DataFrame:
    """Metadata_Plate, Metadata_Well, Metadata_Site and the image of every field of a plate, all as text.

    Raises:
        ManifestError: no HCS plate, or its description is damaged.
    """
    try:
        name, fields = fields_of(path)
        rows = [(name, well_name(field.row + field.column), str(field.number), f"{path.name}/{field.image}")
                for field in fields]
    except ImageError as problem:
        raise ManifestError(str(problem)) from problem
    except ValueError as problem:
        raise ManifestError(f"{path}: {problem}") from problem
    return pd.DataFrame(rows, columns=[PLATE, WELL, SITE, FILE_COLUMN], dtype="str")
