"""What is known of molecules and wells: the factors that representations are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from dssl_bio.chem.named import functional_groups, named_descriptors
from dssl_bio.chem.scaffolds import murcko_scaffold
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import DsslBioError
from dssl_bio.retrieval.families import family_of
from dssl_bio.retrieval.wells import OF_THE_PRODUCT
from dssl_bio.vocabulary import (
    BATCH,
    CELL_COUNT,
    CELL_LINE,
    DOSE_UM,
    MOA,
    MOLECULE_ID,
    PLATE,
    REPLICATE,
    RUN,
    WELL,
    well_position,
)

DESCRIPTOR, GROUP, SCAFFOLD, ANNOTATION = "descriptor", "functional group", "scaffold", "annotation"
PLACE, CELLS, DOSE, FEATURE, TRUTH = "plate and position", "cells", "dose", "feature", "simulated truth"
MOLECULE, PHENOTYPE, SHARED = "molecule", "phenotype", "shared"
LEAST_SHARE = 0.03
"""Of molecules with a functional group, and of those without it, for the group to be asked for."""
MAX_FEATURES = 120
USUAL_ROWS, USUAL_COLUMNS = (8, 16, 32), (12, 24, 48)
NO_FACTORS = ("split", "id", "index", "key", "smiles", "inchi", "block", "scaffold")
"""Words in the names of columns that tell one row from another, or were made for a computation."""


@dataclass
class Facts:
    """Columns of factors with what each is; built up, then read."""

    table: pd.DataFrame
    families: dict[str, str] = field(default_factory=dict)
    belongs: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, values: "pd.Series[object]", family: str, belongs: str = "") -> None:
        """One more factor; a column without values is left out, and a name that is taken keeps its meaning."""
        if name not in self.table and values.notna().any():
            self.table[name] = values.to_numpy()
            self.families[name], self.belongs[name] = family, belongs


def facts_of_molecules(molecules: Sequence[Molecule], table: pd.DataFrame) -> Facts:
    """Descriptors, functional groups, scaffold classes and mechanism of M molecules.

    Args:
        molecules: standardised.
        table: one row a molecule with its mechanism, where it is annotated.
    """
    facts = Facts(pd.DataFrame(index=range(len(molecules))))
    for name, values in named_descriptors(molecules).items():
        facts.add(str(name), values, DESCRIPTOR, MOLECULE)
    groups = functional_groups(molecules)
    share = (groups > 0).mean()
    for name in groups.columns[(share >= LEAST_SHARE) & (share <= 1 - LEAST_SHARE)]:
        facts.add(str(name), groups[name], GROUP, MOLECULE)
    facts.add("scaffold class", pd.Series([murcko_scaffold(one) for one in molecules], dtype=object), SCAFFOLD)
    if MOA in table:
        facts.add("mechanism", table[MOA].reset_index(drop=True), ANNOTATION, SHARED)
    return facts


def facts_of_wells(wells: pd.DataFrame) -> Facts:
    """Dose, plate, position, batch, cell count and the screen's own annotations of W wells."""
    wells = wells.reset_index(drop=True)
    facts = Facts(pd.DataFrame(index=wells.index))
    for column, name in ((PLATE, "plate"), (BATCH, "batch"), (RUN, "run"), (REPLICATE, "replicate"),
                         (CELL_LINE, "cell line")):
        if column in wells:
            facts.add(name, wells[column].map(lambda value: None if pd.isna(value) else str(value)), PLACE, PHENOTYPE)
    if WELL in wells:
        _add_position(facts, wells[WELL])
    if DOSE_UM in wells:
        dose = pd.to_numeric(wells[DOSE_UM], errors="coerce")
        facts.add("dose (log10 uM)", np.log10(dose.where(dose > 0)), DOSE)
    if CELL_COUNT in wells:
        facts.add("cell count", pd.to_numeric(wells[CELL_COUNT], errors="coerce"), CELLS)
    for column in wells:
        words = str(column).lower().replace("-", "_").split("_")
        if column in OF_THE_PRODUCT or any(word in NO_FACTORS for word in words):
            continue
        values = wells[column]
        family = CELLS if {"cell", "count"} <= set(words) else ANNOTATION
        if not pd.api.types.is_numeric_dtype(values):
            values = values.map(lambda value: None if pd.isna(value) else str(value)[:60])
        facts.add(str(column), values, family)
    return facts


def _add_position(facts: Facts, names: "pd.Series[str]") -> None:
    """Row and column from 1, and whether the well lies on the border of the smallest usual plate that holds all."""
    places = [_place(name) for name in names]
    row, column = (pd.Series([place[axis] for place in places]) for axis in (0, 1))
    facts.add("row", row, PLACE, PHENOTYPE)
    facts.add("column", column, PLACE, PHENOTYPE)
    if row.notna().any():
        shape = next((pair for pair in zip(USUAL_ROWS, USUAL_COLUMNS, strict=True)
                      if row.max() <= pair[0] and column.max() <= pair[1]), (row.max(), column.max()))
        edge = row.isin([1, shape[0]]) | column.isin([1, shape[1]])
        facts.add("edge of the plate", edge.map({True: "edge", False: "inside"}).where(row.notna()), PLACE, PHENOTYPE)


def _place(name: object) -> tuple[float, float]:
    try:
        row, column = well_position(str(name))
    except ValueError:
        return float("nan"), float("nan")
    return float(row + 1), float(column + 1)


def facts_of_features(values: np.ndarray, names: Sequence[str], *, each: bool = False) -> Facts:
    """Named features (W, F) of wells; of more than 120, each family's leading component in place of its features.

    Args:
        values: of W wells.
        names: of the F features.
        each: every feature by itself, however many there are.
    """
    facts = Facts(pd.DataFrame(index=range(len(values))))
    if each or len(names) <= MAX_FEATURES:
        for number, name in enumerate(names):
            facts.add(name, pd.Series(values[:, number]), FEATURE)
        return facts
    members: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        found = family_of(name)
        members.setdefault(found.name if found else name, []).append(number)
    if len(members) > MAX_FEATURES:  # names of another making, such as genes: the most variable ones
        spread = np.nanstd(values, axis=0)
        chosen = np.sort(np.argsort(-spread, kind="stable")[:MAX_FEATURES])
        return facts_of_features(values[:, chosen], [names[number] for number in chosen], each=True)
    for family, numbers in members.items():
        facts.add(family, pd.Series(_leading(values[:, numbers])), FEATURE)
    return facts


def _leading(values: np.ndarray) -> np.ndarray:
    """First principal component of standardised columns, signed so that most of them rise with it."""
    spread = values.std(0)
    z = (values - values.mean(0)) / np.where(spread > 1e-9, spread, 1)
    direction = np.linalg.svd(z, full_matrices=False)[2][0]
    return np.asarray(z @ (direction if direction.sum() >= 0 else -direction))


TRUE_NAMES = {"Shared_mechanism": "true mechanism", "Shared_log10_ec50_um": "true potency (log10 EC50)",
              "Shared_strength": "true strength of the effect", "Shared_cell_loss": "true cell loss",
              "Specific_cells_per_mm2": "true seeding density", "Specific_focus_um": "true focus",
              "n_cells": "true cell count"}


def truth_of_wells(folder: Path, wells: pd.DataFrame) -> Facts:
    """What the simulator knows of W wells, by plate and well.

    Raises:
        DsslBioError: no truth of a simulated screen lies there, or it is that of another screen.
    """
    facts = Facts(pd.DataFrame(index=range(len(wells))))
    truth = _read(folder / "wells.parquet").astype({PLATE: str, WELL: str})
    if PLATE not in wells or WELL not in wells:
        raise DsslBioError("the screen has no plates and wells by which the truth could be joined")
    joined = wells[[PLATE, WELL]].astype(str).reset_index(drop=True).merge(truth, how="left", on=[PLATE, WELL])
    if len(joined) != len(wells) or joined["Shared_strength"].isna().all():
        raise DsslBioError(f"no well of this screen is in the truth at {folder}, or plates and wells repeat")
    for column in joined:
        name = str(column)
        if name.startswith(("Shared_", "Specific_")) or name == "n_cells":
            belongs = SHARED if name.startswith("Shared_") else PHENOTYPE if name.startswith("Specific_") else ""
            if name not in ("Specific_plate", "Specific_batch", "Specific_row", "Specific_column", "Specific_edge"):
                facts.add(_true_name(name), joined[column], TRUTH, belongs)
    return facts


def truth_of_molecules(folder: Path, ids: Sequence[str]) -> Facts:
    """What the simulator knows of M molecules: mechanism and potency, and how many decorations of each kind."""
    facts = Facts(pd.DataFrame(index=range(len(ids))))
    truth = _read(folder / "molecules.parquet").drop_duplicates(MOLECULE_ID).set_index(MOLECULE_ID)
    own = truth.reindex(list(ids)).reset_index(drop=True)
    for column in own:
        if str(column).startswith(("Shared_", "Specific_")):
            shared = str(column).startswith("Shared_")
            facts.add(_true_name(str(column)) if shared else f"true decorations: {str(column)[9:]}", own[column],
                      TRUTH, SHARED if shared else MOLECULE)
    return facts


def _true_name(column: str) -> str:
    return TRUE_NAMES.get(column, "true " + column.split("_", 1)[1].replace("_", " "))


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as cause:
        raise DsslBioError(f"{path.parent} is not the truth of a simulated screen: {cause}") from cause


def joined(parts: Sequence[Facts]) -> Facts:
    """Several sets of factors of the same rows as one; a name that was taken keeps its first meaning."""
    all_of_them = Facts(pd.DataFrame(index=parts[0].table.index))
    for part in parts:
        for name in part.table:
            all_of_them.add(str(name), part.table[name], part.families[str(name)], part.belongs[str(name)])
    all_of_them.table = all_of_them.table.copy()  # many single columns are slow to read
    return all_of_them
