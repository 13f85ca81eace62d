"""The factors that a bundle keeps: computed when it is indexed, read when a question is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dssl_bio.errors import BundleError
from dssl_bio.factors.axes import Axes, axes_of, read_axes, write_axes
from dssl_bio.factors.ground import Ground, ground_of_index
from dssl_bio.factors.knowledge import ENTRIES, WELLS, Knowledge, knowledge
from dssl_bio.factors.known import Facts
from dssl_bio.factors.matrix import MOLECULE_SPECIFIC, PHENOTYPE_SPECIFIC, disentanglement
from dssl_bio.retrieval.build import Indexed
from dssl_bio.retrieval.tables import SPLIT
from dssl_bio.vocabulary import MOLECULE_ID, ROW_KEY

FOLDER = "factors"
MATRIX, RETRIEVAL = "matrix.parquet", "retrieval.parquet"


@dataclass(frozen=True)
class Factors:
    """What is kept.

    Attributes:
        matrix: see `knowledge.Knowledge`.
        summary: see `matrix.disentanglement`.
        retrieval: molecule to phenotype by each part.
        axes: of `molecule` and `phenotype`.
    """

    matrix: pd.DataFrame
    summary: pd.DataFrame
    retrieval: pd.DataFrame
    axes: dict[str, Axes]


def factors_of(ground: Ground, truth: Path | None = None, *, permutations: int = 20, each_feature: bool = False,
               seed: int = 0) -> Factors:
    """Matrix, summary and axes of a ground; see `knowledge`."""
    found = knowledge(ground, truth, permutations=permutations, each_feature=each_feature, seed=seed)
    return Factors(found.matrix, disentanglement(found.matrix), found.retrieval, _axes(ground, found, seed))


def _axes(ground: Ground, found: Knowledge, seed: int) -> dict[str, Axes]:
    """Of the molecules' specific space by what is known of molecules, and of the wells' by what is known of wells."""
    matrix = found.matrix
    first = pd.Series(ground.entry_molecule)[ground.entry_molecule >= 0].drop_duplicates()
    facts = Facts(found.of_entries.table.iloc[first.index].set_axis(first.to_numpy()).sort_index()
                  .reset_index(drop=True), found.of_entries.families, found.of_entries.belongs)
    rows = np.sort(first.to_numpy())
    specific = {MOLECULE_SPECIFIC: ENTRIES, PHENOTYPE_SPECIFIC: WELLS}
    own = {name: matrix[(matrix["representation"] == name) & (matrix["rows"] == which)]
           for name, which in specific.items()}
    result = {}
    if len(rows) and ground.molecule_vectors.specific.shape[1]:
        trained = (ground.molecules[SPLIT].to_numpy(object)[rows] == "train")
        result["molecule"] = axes_of("molecule", ground.molecule_vectors.specific[rows], facts, own[MOLECULE_SPECIFIC],
                                     ground.molecules[MOLECULE_ID].to_numpy(str)[rows], _or_all(trained), seed=seed)
    wells = ground.well_vectors.specific
    embedded = np.flatnonzero(wells.any(1))
    if len(embedded):
        trained = (ground.molecules[SPLIT] == "train").to_numpy()[ground.well_molecule[embedded]]
        trained &= ground.well_molecule[embedded] >= 0
        table = Facts(found.of_wells.table.iloc[embedded].reset_index(drop=True), found.of_wells.families,
                      found.of_wells.belongs)
        result["phenotype"] = axes_of("phenotype", wells[embedded], table, own[PHENOTYPE_SPECIFIC],
                                      ground.wells[ROW_KEY].to_numpy(str)[embedded], _or_all(trained), seed=seed)
    return result


def _or_all(training: "np.ndarray") -> "np.ndarray":
    """Training rows, or all where the bundle holds too few of them."""
    return training if training.sum() >= 10 else np.ones(len(training), dtype=bool)


def write_factors(folder: Path, factors: Factors) -> None:
    """Tables as Parquet, axes as JSON and safetensors, below `folder`/factors."""
    work = folder / FOLDER
    work.mkdir(parents=True, exist_ok=True)
    factors.matrix.to_parquet(work / MATRIX)
    factors.retrieval.to_parquet(work / RETRIEVAL)
    write_axes(work, factors.axes)


def keep_factors(truth: Path | None = None, report: Callable[[str], None] = lambda line: None,
                 ) -> Callable[[Indexed, Path], None]:
    """What `build_bundle` takes as `also`, to write a bundle's factors.

    Args:
        truth: the simulator's truth/ folder.
        report: receives a line.
    """

    def write(indexed: Indexed, folder: Path) -> None:
        factors = factors_of(ground_of_index(indexed), truth)
        write_factors(folder, factors)
        known = factors.matrix["factor"].nunique()
        report(f"factors: {known} known factors probed from shared and specific representations, "
               f"{sum(len(axes.axes) for axes in factors.axes.values())} axes")

    return write


def read_factors(bundle: Path) -> Factors:
    """The factors that a bundle keeps.

    Raises:
        BundleError: it keeps none; the message has the command that makes them.
    """
    folder = bundle / FOLDER
    if not (folder / MATRIX).is_file():
        raise BundleError("this bundle holds no factors: it was made by an earlier version, or without them. "
                          "Make it again with `dssl-bio index`, or compute them from its screen with "
                          "`dssl-bio factors BUNDLE --screen SCREEN --out DIR`")
    matrix = pd.read_parquet(folder / MATRIX)
    return Factors(matrix, disentanglement(matrix), pd.read_parquet(folder / RETRIEVAL), read_axes(folder))


def has_factors(bundle: Path) -> bool:
    """Whether a bundle keeps factors."""
    return (bundle / FOLDER / MATRIX).is_file()
