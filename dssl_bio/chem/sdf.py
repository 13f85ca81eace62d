"""Records of an SDF file, read as text; what they mean is found out by workers (see standardize_many)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dssl_bio.chem.standardize import MAX_BLOCK_CHARACTERS

END_OF_RECORD, END_OF_MOLECULE = "$$$$", "M  END"


class Record(NamedTuple):
    """The MOL part of a record and the title in its first line."""

    title: str
    block: str


def sdf_records(lines: Iterable[str]) -> Iterator[Record]:
    """Each record of an SDF, one at a time; data fields are left out, and a record too long is cut.

    A cut record is longer than the cap, so that standardisation refuses it with that reason.

    Args:
        lines: of the file, with or without their line ends.
    """
    block: list[str] = []
    size, in_molecule, empty = 0, True, True
    for raw in lines:
        line = raw.rstrip("\r\n")
        if line.startswith(END_OF_RECORD):
            yield Record(block[0].strip() if block else "", "\n".join(block) + "\n")
            block, size, in_molecule, empty = [], 0, True, True
            continue
        empty = empty and not line.strip()
        if in_molecule and size <= MAX_BLOCK_CHARACTERS:
            block.append(line)
            size += len(line) + 1
        in_molecule = in_molecule and not line.startswith(END_OF_MOLECULE)
    if not empty:  # the last record's end mark may be missing
        yield Record(block[0].strip(), "\n".join(block) + "\n")
