"""The words of the laboratory, each written once: channels, metadata columns, perturbation types."""

import re
from typing import Literal

CHANNELS = ("DNA", "ER", "RNA", "AGP", "Mito")
"""Cell Painting channels in the order in which every array of ours holds them."""

SOURCE = "Metadata_Source"
BATCH = "Metadata_Batch"
PLATE = "Metadata_Plate"
WELL = "Metadata_Well"
SITE = "Metadata_Site"
INCHIKEY = "Metadata_InChIKey"
SMILES = "Metadata_SMILES"
PERT_TYPE = "Metadata_pert_type"
COMPOUND = "Metadata_Compound"
DOSE_UM = "Metadata_Dose_um"
MOA = "Metadata_MoA"
CELL_LINE = "Metadata_CellLine"
REPLICATE = "Metadata_Replicate"
RUN = "Metadata_Run"
CELL_COUNT = "Metadata_CellCount"

METADATA = (SOURCE, BATCH, PLATE, WELL, SITE, INCHIKEY, SMILES, PERT_TYPE, COMPOUND, DOSE_UM, MOA, CELL_LINE, REPLICATE,
            RUN, CELL_COUNT)
"""Columns that the program knows; a screen may have others."""

ROW_KEY = "row_key"
MOLECULE_ID = "molecule_id"

PertType = Literal["trt", "negcon", "poscon", "empty"]
PERT_TYPES: tuple[PertType, ...] = ("trt", "negcon", "poscon", "empty")

_WELL = re.compile(r"^\s*([A-Za-z]{1,2})\s*0*([1-9][0-9]?)\s*$")


def well_name(text: str) -> str:
    """A well in its one spelling: a1, a01, A1 and A01 are all "A01".

    Raises:
        ValueError: the text is not one or two letters followed by a column number from 1 to 99.
    """
    match = _WELL.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a well: expected a letter and a column, such as C07 or AF48")
    return f"{match[1].upper()}{int(match[2]):02d}"


def well_position(well: str) -> tuple[int, int]:
    """Row and column of a well, both from 0: "A01" is (0, 0), "AA01" is (26, 0)."""
    name = well_name(well)
    letters, column = name[:-2], int(name[-2:])
    row = 0
    for letter in letters:
        row = row * 26 + ord(letter) - ord("A") + 1
    return row - 1, column - 1
