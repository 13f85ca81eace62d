"""Feature blocks: raw tables to one normalised float32 memory map, a piece at a time."""

import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import ManifestError
from dssl_bio.screens.manifest import ProfilesSource
from dssl_bio.screens.normalize import normalized, transformed
from dssl_bio.screens.rows import Rejections, TableRows
from dssl_bio.screens.screen import COLUMNS, ROWS, VALUES
from dssl_bio.screens.tables import read_numbers
from dssl_bio.vocabulary import PLATE, ROW_KEY

RAW = "raw.f32"
MAX_MISSING = 0.05
"""A feature that is missing in more rows than this is dropped; otherwise the rows that lack it are."""
FEW_WELLS = 8
CELLS_AT_ONCE = 20_000_000

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class RawBlock:
    """Features of one modality as read, in a temporary memory map.

    Attributes:
        values: (R, F) float32, NaN where there is no finite number.
        keys: (R,) row keys.
        usable: (R,) rows without a missing value among the kept features.
        kept: numbers of the features that vary and are (nearly) always there.
        notes: which features were dropped.
    """

    values: Matrix
    keys: NDArray[np.str_]
    usable: NDArray[np.bool_]
    kept: NDArray[np.int64]
    notes: list[str]


def read_block(rows: TableRows, folder: Path, rejections: Rejections,
               progress: Callable[[int, int], None]) -> RawBlock:
    """Copies the accepted rows of a table to a temporary file, and judges features and rows.

    Raises:
        ManifestError: no feature is left.
    """
    features, frame = rows.plan.features, rows.frame
    folder.mkdir(parents=True, exist_ok=True)
    shape = (max(1, len(frame)), len(features))  # a memory map cannot be empty
    values = _new_map(folder / RAW, shape)[:len(frame)]
    place = np.full(rows.n_input, -1)
    place[frame.index] = np.arange(len(frame))
    position = 0
    for path in rows.plan.paths:
        for piece in read_numbers(path, features):
            target = place[position:position + len(piece)]
            values[target[target >= 0]] = piece[target >= 0]
            position += len(piece)
            progress(min(position, rows.n_input), rows.n_input)
    notes: list[str] = []
    missing = _column_sums(values, np.isnan)
    gappy = missing > MAX_MISSING * len(frame)
    _note(notes, rows, gappy, f"not a finite number in more than {MAX_MISSING:.0%} of the rows")
    kept = np.flatnonzero(~gappy)
    usable = _reject_gaps(rows, values, kept, np.flatnonzero((missing > 0) & ~gappy), rejections)
    constant = _constant(values, usable)
    _note(notes, rows, constant & ~gappy, "the same value in every row")
    kept = np.flatnonzero(~gappy & ~constant)
    if len(frame) and usable.any() and not len(kept):
        name = rows.plan.modality
        raise ManifestError(f"profiles.{name}: none of {len(features)} features is left; {'; '.join(notes)}")
    return RawBlock(values, frame[ROW_KEY].to_numpy(str), usable, kept, notes)


def without_lonely(block: RawBlock, rows: TableRows, rejections: Rejections) -> RawBlock:
    """The block for normalisation within plates: a well alone on its plate would become zeros, and is rejected.

    Plates of few wells are noted: their reference is what they measured themselves.
    """
    plates = rows.frame[PLATE]
    n_wells = plates[block.usable].value_counts()
    alone = block.usable & (plates.map(n_wells) == 1).to_numpy()
    reason = "alone on its plate: normalisation plate leaves nothing of it"
    rejections.add(rows.plan.modality, rows.frame[alone], reason, plates[alone].to_numpy())
    notes = list(block.notes)
    few = n_wells[(n_wells > 1) & (n_wells < FEW_WELLS)]
    if len(few):
        notes.append(f"{rows.plan.modality}: {len(few)} plates have fewer than {FEW_WELLS} wells ({int(few.sum())} in "
                     "all); normalised against themselves they keep little of what they measured")
    return replace(block, usable=block.usable & ~alone, notes=notes)


def write_block(block: RawBlock, features: list[str], source: ProfilesSource, wells: pd.DataFrame,
                plates: NDArray[np.str_], is_control: NDArray[np.bool_], folder: Path) -> None:
    """Transforms, normalises and writes a block over the final wells; removes the temporary file.

    Normalisation treats each feature by itself, so a group of features at a time gives the same numbers as all.

    Args:
        block: the features as read.
        features: names of all its columns.
        source: transform and normalisation.
        wells: the screen's wells.
        plates: (W,) plate of each well.
        is_control: (W,) negative controls.
        folder: where values, columns and rows go.
    """
    positions = pd.Series(np.arange(len(wells)), index=wells[ROW_KEY])
    rows = positions.reindex(block.keys[block.usable]).to_numpy(np.int64)
    shape = (len(rows), len(block.kept))
    result = _new_map(folder / VALUES, shape)
    for columns in _groups(len(block.kept), len(rows)):
        raw = np.asarray(block.values[:, block.kept[columns]])[block.usable]
        result[:, columns] = normalized(transformed(raw, source.transform), plates[rows], is_control[rows],
                                        source.normalisation)
    result.flush()
    np.save(folder / ROWS, rows.astype(np.int32))
    names = [features[i] for i in block.kept]
    (folder / COLUMNS).write_text(json.dumps(names, indent=0), encoding="utf-8")
    (folder / RAW).unlink()


def _new_map(path: Path, shape: tuple[int, int]) -> np.memmap:
    """A new float32 memory map whose room on the disk is taken now.

    A map over a file with holes would end the process without a word (SIGBUS) when the disk gets full.
    """
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, 4 * math.prod(shape))
        else:
            file.truncate(4 * math.prod(shape))
    return np.memmap(path, dtype=np.float32, mode="r+", shape=shape)


def _groups(n_columns: int, n_rows: int) -> Iterator[slice]:
    width = max(1, CELLS_AT_ONCE // max(1, n_rows))
    for start in range(0, n_columns, width):
        yield slice(start, min(start + width, n_columns))


def _column_sums(values: Matrix, test: Callable[[Matrix], NDArray[np.bool_]]) -> NDArray[np.int64]:
    total = np.zeros(values.shape[1], dtype=np.int64)
    step = max(1, CELLS_AT_ONCE // values.shape[1])
    for start in range(0, len(values), step):
        total += test(values[start:start + step]).sum(axis=0)
    return total


def _constant(values: Matrix, usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Features that hold one value over all usable rows; none does when there are fewer than two rows."""
    if usable.sum() < 2:
        return np.zeros(values.shape[1], dtype=bool)
    first = values[np.flatnonzero(usable)[0]]
    differ = np.zeros(values.shape[1], dtype=bool)
    step = max(1, CELLS_AT_ONCE // values.shape[1])
    for start in range(0, len(values), step):
        piece = values[start:start + step][usable[start:start + step]]
        differ |= (piece != first).any(axis=0)
    return ~differ


def _reject_gaps(rows: TableRows, values: Matrix, kept: NDArray[np.int64], suspects: NDArray[np.int64],
                 rejections: Rejections) -> NDArray[np.bool_]:
    """Rejects rows that miss a kept feature, naming which."""
    holes = np.isnan(np.asarray(values[:, suspects])) if len(suspects) else np.zeros((len(values), 0), dtype=bool)
    broken = holes.any(axis=1)
    if not len(kept):
        broken |= True
    reasons = []
    for hole in holes[broken]:
        names = [rows.plan.features[i] for i in suspects[hole]]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        reasons.append(f"features are not finite numbers: {', '.join(names[:3])}{more}" if names
                       else "all features are missing in too many rows")
    rejections.add(rows.plan.modality, rows.frame[broken], reasons)
    return ~broken


def _note(notes: list[str], rows: TableRows, which: NDArray[np.bool_], why: str) -> None:
    names = [rows.plan.features[i] for i in np.flatnonzero(which)]
    if names:
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        notes.append(f"{rows.plan.modality}: {len(names)} of {len(which)} features dropped, {why}: {listed}")
