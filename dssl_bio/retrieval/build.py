"""From a Run and a Screen to a Bundle: entries, vectors, null, pictures."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.numpy import save_file

from dssl_bio.artefact import new_folder, require_disk, seal, write_json
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import BundleError
from dssl_bio.learning.phenotypes import ImagePhenotypes, Phenotypes, ProfilePhenotypes, flagged_words
from dssl_bio.learning.representation import SharedSpecific, unit_rows
from dssl_bio.learning.run import MOLECULE_TABLE, Run
from dssl_bio.retrieval.applicability import EXPECTED_RECALL, from_benchmark
from dssl_bio.retrieval.benchmark_table import keep_benchmark
from dssl_bio.retrieval.bundle import (
    CONTROLS,
    ENTRIES,
    MOLECULES,
    NULL,
    PROFILE_FEATURES,
    PROFILES,
    RUN_FOLDER,
    VECTORS,
    WELL_VECTORS,
)
from dssl_bio.retrieval.light import LIGHT, mean_light
from dssl_bio.retrieval.significance import MIN_DRAWS, Codes, Null, mismatched_pairs
from dssl_bio.retrieval.tables import IN_SCREEN, PICTURE, PICTURES, SPLIT, WELLS
from dssl_bio.retrieval.wells import wells_table
from dssl_bio.screens.entries import EntryMode, entries_of, usable_controls
from dssl_bio.screens.expressions import parse
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import COMPOUND, INCHIKEY, MOA, MOLECULE_ID, PLATE, ROW_KEY, SMILES

logger = logging.getLogger(__name__)

PICTURE_PX = 160
CONTROLS_PER_PLATE_SHOWN = 2
MAX_WELL_VECTORS = 50_000
"""Wells of which a bundle keeps the single vectors; a larger screen's wells are known by their entries."""


def build_bundle(run: Run, screen: Screen, folder: Path, *, mode: EntryMode = "consensus", where: str | None = None,
                 benchmark: Path | None = None, seed: int | None = None,
                 also: Callable[["Indexed", Path], None] | None = None,
                 progress: Callable[[int, int], None] | None = None,
                 report: Callable[[str], None] = logger.info) -> None:
    """Embeds a screen with a run and writes the bundle.

    Args:
        run: the trained model.
        screen: what is indexed; it may be another than the one trained on.
        folder: the bundle; a bundle there is replaced when the new one is complete.
        mode: consensus phenotypes per molecule and dose, or single wells.
        where: filter expression over the wells; controls are kept.
        benchmark: a benchmark folder: its results, and what to expect of molecules at which distance, are kept.
        seed: of the draws from the null where there are more than it keeps; the run's by default.
        also: computes something more from what was indexed and writes it into the bundle's folder before that is
            sealed, such as the factor matrix (see `factors.index`).
        progress: called with (done, total) wells or entries.
        report: receives lines of progress.

    Raises:
        RunError: the screen lacks what the model reads.
        BundleError: nothing to index.
    """
    expected = from_benchmark(benchmark) if benchmark else None
    phenotypes = run.phenotypes(screen)
    rows = phenotypes.rows
    sound = np.isin(rows, phenotypes.trainable)
    control = usable_controls(screen.wells, rows, sound)
    kept = parse(where).mask(screen.wells)[rows] if where else np.ones(len(rows), dtype=bool)
    entries, numbers = entries_of(screen.wells, rows[kept], mode, sound[kept])
    if len(entries) == 0:
        raise BundleError(f"screen {screen.name} has no well to index" + (f" where {where}" if where else ""))
    membership = np.full(len(rows), -1, dtype=np.int64)
    membership[kept] = numbers
    tiles = phenotypes.tiles_words() if isinstance(phenotypes, ImagePhenotypes) else ""
    if tiles:
        report(tiles)
    if words := flagged_words(phenotypes, rows, membership, entries):
        report(words)
    report(require_disk(folder, _disk_needed(phenotypes, len(entries), int(control.sum()))))
    vectors, well_vectors = _embedded(run, phenotypes, rows, membership, control, progress)
    control_rows, control_vectors = rows[control], well_vectors.take(np.flatnonzero(control))
    library = _library(run, screen)
    library_vectors = run.embed_molecules(_molecules(library))
    null = _null(library, library_vectors, entries, vectors, run.config.seed if seed is None else seed)
    columns = [column for column in (ROW_KEY, PLATE, "Metadata_Well") if column in screen.wells]
    controls = screen.wells.iloc[control_rows][columns].reset_index(drop=True)
    light = mean_light(phenotypes.images) if isinstance(phenotypes, ImagePhenotypes) else None
    with new_folder(folder, "bundle") as work:
        shutil.copytree(run.folder, work / RUN_FOLDER)  # whole: every file of a run has a checksum in it
        if isinstance(phenotypes, ImagePhenotypes):
            _write_pictures(work, phenotypes, entries, rows, membership, controls, control_rows)
        elif isinstance(phenotypes, ProfilePhenotypes):
            _write_profiles(work, phenotypes, rows, membership)
        wells = wells_table(screen.wells, rows, membership)
        for name, table in ((ENTRIES, entries), (CONTROLS, controls), (MOLECULES, library), (WELLS, wells)):
            table.to_parquet(work / name)
        arrays = {"entries": vectors, "controls": control_vectors, "molecules": library_vectors}
        save_file({f"{name}.{part}": np.ascontiguousarray(getattr(value, part))
                   for name, value in arrays.items() for part in ("shared", "specific")}, work / VECTORS)
        save_file({"scores": null.scores}, work / NULL)
        if len(rows) <= MAX_WELL_VECTORS:
            save_file({"shared": well_vectors.shared, "specific": well_vectors.specific}, work / WELL_VECTORS)
        if also is not None:
            also(Indexed(run, screen, phenotypes, entries, vectors, rows, membership, well_vectors, library,
                         library_vectors), work)
        if light is not None:
            light.save(work / LIGHT)
        if expected is not None:
            write_json(work / EXPECTED_RECALL, expected.as_json())
        if benchmark is not None:
            keep_benchmark(benchmark, work)
        seal(work, "bundle", {"run": run.id, "screen": screen.id, "where": where},
             model_id=run.id, screen_name=screen.name, simulated=bool(screen.simulated or run.simulated),
             trained_on=run.record["screen_name"], trained_on_simulated=run.simulated, entries=mode,
             n_entries=len(entries), citation=screen.record.get("citation"), licence=screen.record.get("licence"),
             title=screen.record.get("title"), tiles=tiles,
             light=None if light is None else light.as_json(),
             null={"name": null.name, "n_draws": len(null.scores), "resolution": null.resolution})
    report(f"{len(entries)} entries, {len(controls)} controls, {len(library)} molecules; null: {null.name}, "
           f"{len(null.scores):,} draws")


@dataclass(frozen=True)
class Indexed:
    """What indexing has computed: what factors are looked for in.

    Attributes:
        run: the model.
        screen: that was indexed.
        phenotypes: as the model reads them.
        entries: one row an entry.
        vectors: of the entries.
        rows: (W,) positions of wells in the screen.
        membership: (W,) number of each well's entry, -1 for none.
        well_vectors: of the W wells; zeros for those that are neither in an entry nor controls.
        library: molecules.
        library_vectors: of the library.
    """

    run: Run
    screen: Screen
    phenotypes: Phenotypes
    entries: pd.DataFrame
    vectors: SharedSpecific
    rows: NDArray[np.int64]
    membership: NDArray[np.int64]
    well_vectors: SharedSpecific
    library: pd.DataFrame
    library_vectors: SharedSpecific


def _embedded(run: Run, phenotypes: Phenotypes, rows: NDArray[np.int64], membership: NDArray[np.int64],
              control: NDArray[np.bool_], progress: Callable[[int, int], None] | None,
              ) -> tuple[SharedSpecific, SharedSpecific]:
    """Vectors of the entries, and of each of the wells (zeros where it is neither in an entry nor a control).

    An entry of images is the mean direction over the tiles of all its wells, so tiles are read once for both; one of
    profiles is the representation of its wells' mean profile.
    """
    used = (membership >= 0) | control
    single = np.where(used, np.cumsum(used) - 1, -1)
    if not isinstance(phenotypes, ImagePhenotypes):
        entries = run.embed_wells(phenotypes, rows, membership, progress)
        wells = run.embed_wells(phenotypes, rows, single)
        return entries, SharedSpecific(*(_spread(part, used) for part in (wells.shared, wells.specific)))
    sums = run.embed_wells(phenotypes, rows, single, progress, unit=False)
    joined = []
    member = membership[used]
    for part in (sums.shared, sums.specific):
        total = np.zeros((int(membership.max()) + 1, part.shape[1]))
        np.add.at(total, member[member >= 0], part[member >= 0])
        joined.append(unit_rows(total))
    return SharedSpecific(*joined), SharedSpecific(*(_spread(unit_rows(part), used)
                                                     for part in (sums.shared, sums.specific)))


def _spread(vectors: NDArray[np.float32], used: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Rows at the places that are used, zeros at the others."""
    result = np.zeros((len(used), vectors.shape[1]), np.float32)
    result[used] = vectors
    return result


def _library(run: Run, screen: Screen) -> pd.DataFrame:
    """Molecules of the screen, then those of the model's training that are not in it."""
    columns = [column for column in (MOLECULE_ID, INCHIKEY, SMILES, COMPOUND, MOA) if column in screen.molecules]
    own = screen.molecules[columns].assign(**{IN_SCREEN: True})
    trained = pd.read_parquet(run.folder / MOLECULE_TABLE).assign(**{IN_SCREEN: False})
    both = pd.concat([own, trained[~trained[MOLECULE_ID].isin(own[MOLECULE_ID])]], ignore_index=True)
    both[SPLIT] = both[MOLECULE_ID].map(run.split.set_index(MOLECULE_ID)[SPLIT]).fillna("")
    return both


def _molecules(table: pd.DataFrame) -> list[Molecule]:
    return [Molecule(smiles, key) for smiles, key in zip(table[SMILES], table[INCHIKEY], strict=True)]


def _null(library: pd.DataFrame, molecules: SharedSpecific, entries: pd.DataFrame, vectors: SharedSpecific,
          seed: int) -> Null:
    """Scores of held-out molecules with entries of other molecules and other annotated mechanisms.

    Molecules the model was trained on would score too low on what is not theirs; they serve only where
    held-out ones give fewer than 1,000 pairs, and the null's name says so.
    """
    held_out = library[SPLIT].isin(["valid", "test"]).to_numpy()
    name = "held-out molecules with entries of other molecules"
    if held_out.sum() * len(entries) < MIN_DRAWS:
        held_out, name = np.ones(len(library), dtype=bool), "all known molecules with entries of other molecules"
    queries = library[held_out]
    related = [_codes(queries, entries, column) for column in (MOLECULE_ID, MOA)
               if column in queries and column in entries]
    return mismatched_pairs(molecules.shared[held_out], vectors.shared, related, name, seed)


def _codes(queries: pd.DataFrame, entries: pd.DataFrame, column: str) -> Codes:
    """Equal numbers for equal values, -1 for missing ones."""
    codes = pd.factorize(pd.concat([queries[column], entries[column]]).astype(object))[0]
    return codes[:len(queries)], codes[len(queries):]


def _write_pictures(work: Path, phenotypes: ImagePhenotypes, entries: pd.DataFrame, rows: NDArray[np.int64],
                    membership: NDArray[np.int64], controls: pd.DataFrame, control_rows: NDArray[np.int64]) -> None:
    """One picture an entry (first site of its first well) and up to two controls a plate, as scaled bytes."""
    first_well = np.full(len(entries), -1, dtype=np.int64)
    for row, entry in zip(rows[::-1], membership[::-1], strict=True):
        if entry >= 0:
            first_well[entry] = row
    plates = controls[PLATE].to_numpy(object) if PLATE in controls else np.full(len(controls), "")
    shown = pd.Series(plates).groupby(plates).cumcount().to_numpy() < CONTROLS_PER_PLATE_SHOWN
    wells = np.concatenate([first_well, control_rows[shown]])
    _save_rows(work / PICTURES, (_picture(phenotypes, int(well)) for well in wells), len(wells))
    entries[PICTURE] = np.arange(len(entries))
    controls[PICTURE] = np.where(shown, len(entries) + np.cumsum(shown) - 1, -1)


def _save_rows(path: Path, rows: Iterator[NDArray[np.uint8]], n_rows: int) -> None:
    """An array of equally shaped rows as a NumPy file, each written as it comes: all pictures may not fit in memory.

    Into a plain file, not a memory map: where a disk gets full, that is an error and not the end of the process.
    """
    with path.open("wb") as file:
        for number, row in enumerate(rows):
            if number == 0:
                shape = (n_rows, *row.shape)
                np.lib.format.write_array_header_1_0(
                    file, {"descr": np.lib.format.dtype_to_descr(row.dtype), "fortran_order": False, "shape": shape})
            elif row.shape != shape[1:]:
                raise BundleError(f"picture {number} is {row.shape}, the others {shape[1:]}")
            file.write(np.ascontiguousarray(row).data)


def _picture(phenotypes: ImagePhenotypes, well: int) -> NDArray[np.uint8]:
    """Middle of a well's first site, (C, h, w); 255 is the upper limit of the plate's channel."""
    site = phenotypes.read(phenotypes.sites_of(well)[:1])[0]
    height, width = site.shape[1:]
    top, left = max(0, (height - PICTURE_PX) // 2), max(0, (width - PICTURE_PX) // 2)
    middle = site[:, top:top + PICTURE_PX, left:left + PICTURE_PX]
    return (np.clip(middle, 0, 1) * 255).round().astype(np.uint8)


def _write_profiles(work: Path, phenotypes: ProfilePhenotypes, rows: NDArray[np.int64],
                    membership: NDArray[np.int64]) -> None:
    parts = [inputs.numpy() for inputs, _ in phenotypes.chunks(rows, membership)]
    np.save(work / PROFILES, np.concatenate(parts), allow_pickle=False)
    (work / PROFILE_FEATURES).write_text(json.dumps(phenotypes.features) + "\n", encoding="utf-8")


def _disk_needed(phenotypes: Phenotypes, n_entries: int, n_controls: int) -> int:
    per_entry = 2_000
    if isinstance(phenotypes, ImagePhenotypes):
        per_entry += len(phenotypes.images.channels) * PICTURE_PX**2
    elif isinstance(phenotypes, ProfilePhenotypes):
        per_entry += 4 * len(phenotypes.features)
    return 30_000_000 + per_entry * (n_entries + n_controls)


