"""Feature blocks that are added to a screen which lies there already; the screen is whole at every moment."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dssl_bio.artefact import checksum, read_record, write_json, written_whole
from dssl_bio.errors import ScreenError
from dssl_bio.screens.normalize import Normalisation
from dssl_bio.screens.screen import COLUMNS, PROFILES, ROWS, VALUES, Screen

CELL_BLOCKS, CORRECTED_BLOCKS = "cell_blocks", "corrected_blocks"
KINDS = (CELL_BLOCKS, CORRECTED_BLOCKS)
"""Keys of a screen's record that say how its added blocks were made."""


def require_free_name(screen: Screen, name: str) -> None:
    """A block of one's own is replaced; one that came with the screen is not.

    Raises:
        ScreenError: a block of that name came with the screen.
    """
    record = read_record(screen.folder, "screen")
    if name in record["profiles"] and not any(name in record.get(kind, {}) for kind in KINDS):
        raise ScreenError(f"screen {screen.name} came with features {name!r}, which are not replaced; "
                          "choose another name")


def write_block(screen: Screen, name: str, kind: str, values: NDArray[np.floating], features: list[str],
                rows: NDArray[np.integer], normalisation: Normalisation, facts: dict[str, Any]) -> None:
    """Writes a block, then the screen's record with it; a record never names files that are not there.

    Args:
        screen: that it is added to.
        name: of the block; an added block of that name is replaced.
        kind: of KINDS.
        values: (R, F).
        features: F names.
        rows: (R,) position in the screen's wells of each row.
        normalisation: of the values.
        facts: how it was made.
    """
    path, folder = screen.folder / "screen.json", screen.folder / PROFILES / name
    record = _without(read_record(screen.folder, "screen"), name)
    if folder.exists():
        write_json(path, record)
    with written_whole(folder) as work:
        work.mkdir()
        np.ascontiguousarray(values, np.float32).tofile(work / VALUES)
        np.save(work / ROWS, rows.astype(np.int32))
        (work / COLUMNS).write_text(json.dumps(features, indent=0), encoding="utf-8")
    record["profiles"].append(name)
    record["modalities"].append(name)
    record["normalisation"][name], record["transform"][name] = normalisation, "none"
    record[kind] = {**record.get(kind, {}), name: facts}
    record["files"] |= {f"{PROFILES}/{name}/{file}": checksum(folder / file) for file in (VALUES, ROWS, COLUMNS)}
    write_json(path, record)


def _without(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The record of a screen without a block."""
    for key in ("profiles", "modalities"):
        record[key] = [other for other in record[key] if other != name]
    for key in ("normalisation", "transform", *(kind for kind in KINDS if kind in record)):
        record[key] = {other: value for other, value in record[key].items() if other != name}
    record["files"] = {file: value for file, value in record["files"].items()
                       if not file.startswith(f"{PROFILES}/{name}/")}
    return record
