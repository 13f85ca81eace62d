"""Evaluation of a Run on held-out molecules: ours, the simple baselines, the replicate ceiling, and true factors."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dssl_bio.errors import DsslBioError, EvaluationError
from dssl_bio.evaluation.baselines import (
    MeanProfile,
    NearestNeighbour,
    OrderOnly,
    PlateOnly,
    Standardised,
    TunedKernelRidge,
    nearest_training_similarity,
)
from dssl_bio.evaluation.batch_effects import batch_effects
from dssl_bio.evaluation.ceiling import replicate_ceiling
from dssl_bio.evaluation.division import Division, divide
from dssl_bio.evaluation.heldout import mechanism_table, ranks_table
from dssl_bio.evaluation.methods import Method, Vectors, retrievals
from dssl_bio.evaluation.truth import probe_truth, true_activity
from dssl_bio.learning.phenotypes import Phenotypes, flagged_words
from dssl_bio.learning.representation import SharedSpecific
from dssl_bio.learning.run import Run
from dssl_bio.learning.well_profiles import well_profiles
from dssl_bio.screens.entries import EntryMode
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import MOLECULE_ID, PLATE

logger = logging.getLogger(__name__)

SHARED, SPECIFIC = "shared representation", "specific representation"
CEILING_PROFILE, CEILING_SHARED = "replicates, by profile", "replicates, by shared representation"
BASELINES: tuple[type[Method], ...] = (TunedKernelRidge, NearestNeighbour, OrderOnly, PlateOnly, MeanProfile)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        ranks: one row a question (see `ranks_table`), with tanimoto to the nearest training molecule.
        mechanisms: one row an annotated question (see `mechanism_table`).
        probes: score of every true factor in every representation; empty without truth.
        batches: plate and biology in every description of the held-out wells (see `batch_effects`); may be empty.
        facts: counts, and how things were computed, in words.
    """

    ranks: pd.DataFrame
    mechanisms: pd.DataFrame
    probes: pd.DataFrame
    batches: pd.DataFrame
    facts: dict[str, Any]


def evaluate_run(run: Run, screen: Screen, *, mode: EntryMode = "consensus", gallery_where: str | None = None,
                 truth: Path | None = None, progress: Callable[[int, int], None] | None = None,
                 report: Callable[[str], None] = logger.info) -> Evaluation:
    """Asks a run's held-out molecules, and the baselines fitted to what the run was trained on, the same questions.

    Args:
        run: the model, with its split; molecules of another screen that it never saw count as held out.
        screen: where the phenotypes are.
        mode: consensus phenotypes per molecule and dose, or single wells.
        gallery_where: filter over the wells that are entries, such as one run of a screen that was measured twice.
        truth: the simulator's truth/ folder, for a simulated screen.
        progress: called with (done, total) entries.
        report: receives lines of progress.

    Raises:
        EvaluationError: no molecule of the screen was held out, or truth was given for a screen that was measured.
    """
    if truth is not None and not screen.simulated:
        raise EvaluationError(f"screen {screen.name} was measured; true factors exist for simulated screens only")
    phenotypes = run.phenotypes(screen)
    split, notes = split_on(run, screen)
    activity = true_activity(truth) if truth else None
    division = divide(screen, split, phenotypes.rows, well_profiles(phenotypes), fold=run.id, mode=mode,  # type: ignore[arg-type]
                      train_where=run.config.train_where, gallery_where=gallery_where, activity=activity,
                      sound=np.isin(phenotypes.rows, phenotypes.trainable))
    if words := flagged_words(phenotypes, division.rows, division.membership, division.entries):
        notes.append(words)
        report(words)
    report(f"{int(division.molecules['held_out'].sum())} held-out molecules, "
           f"{int(division.entries['held_out'].sum())} held-out entries, {len(division.entries)} entries in all")
    molecules = run.embed_molecules(division.standardised)
    entries = run.embed_wells(phenotypes, division.rows, division.membership, progress)
    ranks, mechanisms = _asked(division, _named_vectors(molecules, entries))
    for baseline in BASELINES if len(division.known) else ():
        try:
            vectors = baseline().vectors(division, seed=0)
        except DsslBioError as cause:
            notes.append(str(cause))
            continue
        _extend(ranks, mechanisms, _asked(division, {baseline.name: vectors}))
        report(f"baseline {baseline.name} done")
    wells = _held_out_wells(run, phenotypes, division)
    ceilings, how = _ceilings(division, wells, entries, profiles=bool(screen.profiles))
    ranks += ceilings
    table = pd.concat([part for part in ranks if len(part)], ignore_index=True)
    if len(division.known):
        table["tanimoto"] = table[MOLECULE_ID].map(nearest_training_similarity(division))
    probes = probe_truth(truth, division, molecules, wells) if truth else pd.DataFrame()
    batches = batch_effects(division, wells) if len(division.known) else pd.DataFrame()
    return Evaluation(table, pd.concat(mechanisms, ignore_index=True), probes, batches, _facts(division, how, notes))


def split_on(run: Run, screen: Screen) -> tuple[pd.DataFrame, list[str]]:
    """The run's split of a screen's molecules, with notes; on another screen whatever the run never saw is held out.

    Raises:
        EvaluationError: nothing is held out.
    """
    split, notes = run.split, []
    if run.record["made_from"]["screen"] != screen.id:
        unseen = screen.molecules.loc[~screen.molecules[MOLECULE_ID].isin(split[MOLECULE_ID]), MOLECULE_ID]
        split = pd.concat([split, pd.DataFrame({MOLECULE_ID: unseen, "group": unseen, "split": "test"})])
        notes.append(f"the run was trained on another screen ({run.record['screen_name']}): the {len(unseen)} "
                     "molecules it never saw are held out")
    split = split[split[MOLECULE_ID].isin(screen.molecules[MOLECULE_ID])]
    if not (split["split"] == "test").any():
        raise EvaluationError(f"run {run.folder} holds out no molecule of screen {screen.name}; train with a share "
                              "for the test split (split.fractions)")
    return split, notes


def _named_vectors(molecules: SharedSpecific, entries: SharedSpecific) -> dict[str, Vectors]:
    named = {SHARED: Vectors(molecules.shared, entries.shared)}
    if molecules.specific.shape[1] == entries.specific.shape[1]:
        named[SPECIFIC] = Vectors(molecules.specific, entries.specific)
    return named


def _asked(division: Division, named: dict[str, Vectors]) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    questions = [one for name, vectors in named.items() for one in retrievals(name, vectors, division)]
    return [ranks_table(one) for one in questions], [mechanism_table(one) for one in questions]


def _extend(ranks: list[pd.DataFrame], mechanisms: list[pd.DataFrame],
            more: tuple[list[pd.DataFrame], list[pd.DataFrame]]) -> None:
    ranks += more[0]
    mechanisms += more[1]


def _held_out_wells(run: Run, phenotypes: Phenotypes, division: Division) -> SharedSpecific:
    """Representations in the order of `division.rows`; zeros for wells of molecules that are not held out."""
    held_out = (division.owner >= 0) & division.molecules["held_out"].to_numpy()[division.owner]
    found = run.embed_wells(phenotypes, division.rows[held_out])
    full = []
    for part in (found.shared, found.specific):
        values = np.zeros((len(division.rows), part.shape[1]), np.float32)
        values[held_out] = part
        full.append(values)
    return SharedSpecific(*full)


def _ceilings(division: Division, wells: SharedSpecific, entries: SharedSpecific,
              profiles: bool) -> tuple[list[pd.DataFrame], str]:
    table, how = replicate_ceiling(division, wells.shared, entries.shared, CEILING_SHARED)
    tables = [table]
    if profiles and len(division.known):
        scale = Standardised(division.known_profiles, division.known_gallery_profiles)
        table, _ = replicate_ceiling(division, scale.training(division.profiles),
                                     scale.gallery(division.entry_profiles), CEILING_PROFILE)
        tables.append(table)
    return tables, how if any(len(table) for table in tables) else "no molecule was measured twice"


def _facts(division: Division, how: str, notes: Sequence[str]) -> dict[str, Any]:
    molecules, entries = division.molecules, division.entries
    counts = {name: int((molecules["split"] == name).sum()) for name in ("train", "valid", "test")}
    plates = _plates(entries) if PLATE in entries else 0
    return {"molecules": counts, "entries": len(entries), "held_out_entries": int(entries["held_out"].sum()),
            "plates": plates, "annotated_entries": int(entries["mechanism"].notna().sum()),
            "activity_known": int(molecules["active"].notna().sum()),
            "active_molecules": int(molecules["active"].fillna(False).sum()),
            "replicate_ceiling": how, "notes": list(notes)}


def _plates(entries: pd.DataFrame) -> int:
    return len({plate for text in entries[PLATE] for plate in str(text).split(";")} - {""})

