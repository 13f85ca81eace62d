"""Folds of molecules: made by scaffold, cluster, plate or a column, or read from a file; whole groups stay together."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.chem.clusters import butina_clusters
from dssl_bio.chem.scaffolds import murcko_scaffold
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import EvaluationError
from dssl_bio.screens.expressions import parse
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import INCHIKEY, MOLECULE_ID, PLATE, SMILES

FOLD, GROUP = "fold", "group"
RANDOM, SCAFFOLD, CLUSTER, PLATES = "random", "scaffold", "cluster", "plate"
WAYS = (RANDOM, SCAFFOLD, CLUSTER, PLATES)


def make_folds(screen: Screen, by: str, n_folds: int, seed: int = 0, *, train_where: str | None = None,
               gallery_where: str | None = None) -> pd.DataFrame:
    """Folds of the molecules of a screen that take part: those with a well to learn from or an entry to find.

    Args:
        screen: the data.
        by: what stays together: `random` (the molecule alone), `scaffold` (Bemis-Murcko), `cluster` (Butina),
            `plate` (molecules that share a plate, directly or through others), or a column of the wells.
        n_folds: how many.
        seed: of the shuffle.
        train_where: wells that may be learnt from; all when absent.
        gallery_where: wells that are entries; all when absent.

    Returns:
        molecule_id, fold (from 0), group; sorted by molecule_id.

    Raises:
        EvaluationError: no such column, no well left, or fewer groups than folds.
    """
    wells = _taking_part(screen.wells, train_where, gallery_where)
    ids = np.sort(wells[MOLECULE_ID].unique().astype(str))
    groups = _groups(screen, wells, ids, by)
    if n_folds < 2:
        raise EvaluationError(f"--folds {n_folds}: at least two folds are needed")
    if len(set(groups)) < n_folds:
        raise EvaluationError(f"{len(ids)} molecules fall into {len(set(groups))} groups by {by}, which cannot fill "
                              f"{n_folds} folds")
    return pd.DataFrame({MOLECULE_ID: ids, FOLD: balanced(groups, n_folds, seed), GROUP: groups})


def balanced(groups: NDArray[np.str_], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each molecule (M,): shuffled groups, largest first, each into the fold with the fewest molecules."""
    names, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, chosen = np.zeros(n_folds, dtype=np.int64), np.empty(len(names), dtype=np.int64)
    for group in order:
        chosen[group] = int(np.argmin(filled))
        filled[chosen[group]] += sizes[group]
    return chosen[inverse]


def read_folds(path: Path, screen: Screen) -> tuple[pd.DataFrame, str]:
    """Folds from a table (Parquet or CSV) with the columns molecule and fold, and block where groups are known.

    `molecule` may hold molecule ids or the values of any column of the wells that names molecules; the column that
    knows the most of them is taken. Molecules that the file does not name take no part.

    Returns:
        molecule_id, fold, group; and the column that was matched.

    Raises:
        EvaluationError: the file cannot be read, lacks a column, puts a molecule into two folds, or fits nothing.
    """
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"molecule": str})
    except (OSError, ValueError) as cause:
        raise EvaluationError(f"folds file {path} cannot be read: {cause}") from cause
    missing = {"molecule", FOLD} - set(table)
    if missing:
        raise EvaluationError(f"folds file {path} lacks the column {' and '.join(sorted(missing))}; it has "
                              f"{', '.join(map(str, table))}")
    table = table.assign(molecule=table["molecule"].astype(str))
    wells = screen.wells.dropna(subset=[MOLECULE_ID])
    names = set(table["molecule"])
    columns = [MOLECULE_ID, *(name for name in wells if name != MOLECULE_ID)]
    found = {name: len(names & set(wells[name].dropna().astype(str))) for name in columns
             if not pd.api.types.is_float_dtype(wells[name])}
    key = max(found, key=lambda name: found[name])
    if found[key] == 0:
        raise EvaluationError(f"no molecule of {path} is in screen {screen.name}: its column molecule holds "
                              f"{table['molecule'].iloc[0]!r}, ...; the screen's molecule_id holds "
                              f"{wells[MOLECULE_ID].iloc[0]!r}, ...")
    pairs = wells[[MOLECULE_ID, key]].set_axis([MOLECULE_ID, "molecule"], axis=1).astype(str).drop_duplicates()
    joined = table.merge(pairs, on="molecule")
    group = joined["block"].astype(str) if "block" in joined else joined[MOLECULE_ID]
    folds = pd.DataFrame({MOLECULE_ID: joined[MOLECULE_ID], FOLD: joined[FOLD], GROUP: group})
    several = folds.groupby(MOLECULE_ID)[FOLD].nunique()
    if (several > 1).any():
        raise EvaluationError(f"folds file {path} puts molecule {several.index[several > 1][0]} into "
                              f"{several.max()} folds")
    numbers = {name: number for number, name in enumerate(sorted(folds[FOLD].unique()))}
    if len(numbers) < 2:
        raise EvaluationError(f"folds file {path} has one fold; at least two are needed")
    folds[FOLD] = folds[FOLD].map(numbers).astype(np.int64)
    return folds.drop_duplicates(MOLECULE_ID).sort_values(MOLECULE_ID).reset_index(drop=True), key


def split_of_fold(folds: pd.DataFrame, fold: int) -> pd.DataFrame:
    """The split that holds one fold out: molecule_id, group, split."""
    return pd.DataFrame({MOLECULE_ID: folds[MOLECULE_ID], GROUP: folds[GROUP],
                         "split": np.where(folds[FOLD] == fold, "test", "train")})


def _taking_part(wells: pd.DataFrame, train_where: str | None, gallery_where: str | None) -> pd.DataFrame:
    """Wells with a molecule that either filter lets through: others would fill folds with nothing to ask."""
    named = wells[MOLECULE_ID].notna().to_numpy().copy()
    if train_where and gallery_where:
        named &= parse(train_where).mask(wells) | parse(gallery_where).mask(wells)
    if not named.any():
        raise EvaluationError(f"no well with a molecule is left where {train_where} or {gallery_where}")
    return wells[named]


def _groups(screen: Screen, wells: pd.DataFrame, ids: NDArray[np.str_], by: str) -> NDArray[np.str_]:
    if by == RANDOM:
        return ids
    if by in (SCAFFOLD, CLUSTER):
        table = screen.molecules.set_index(MOLECULE_ID).loc[ids]
        molecules = [Molecule(*values) for values in zip(table[SMILES], table[INCHIKEY], strict=True)]
        if by == SCAFFOLD:
            return np.array([murcko_scaffold(molecule) for molecule in molecules])
        return butina_clusters(molecules).astype(str)
    if by == PLATES:
        if PLATE not in wells:
            raise EvaluationError(f"--group-by plate needs a plate column; screen {screen.name} has none")
        return _connected(wells[MOLECULE_ID].astype(str).to_numpy(), wells[PLATE].astype(str).to_numpy(), ids)
    if by not in wells:
        raise EvaluationError(f"--group-by {by}: neither one of {', '.join(WAYS)} nor a column of the wells; "
                              f"they are {', '.join(map(str, wells))}")
    values = wells.groupby(MOLECULE_ID)[by]
    if (values.nunique(dropna=False) > 1).any():
        molecule = values.nunique(dropna=False).idxmax()
        raise EvaluationError(f"--group-by {by}: molecule {molecule} has several values, and would stand on two sides")
    first = values.first()
    return np.array([str(value) if pd.notna(value) else f"molecule {molecule}"
                     for molecule, value in zip(ids, first.reindex(ids), strict=True)])


def _connected(molecules: NDArray[np.str_], plates: NDArray[np.str_], ids: NDArray[np.str_]) -> NDArray[np.str_]:
    """Group of each molecule: plates joined by a molecule that was measured on both are one group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, plate = np.unique(plates, return_inverse=True)
    place = np.searchsorted(ids, molecules)
    n = len(ids) + len(names)
    _, label = connected_components(coo_array((np.ones(len(place)), (place, len(ids) + plate)), shape=(n, n)), False)
    return np.array([f"plates {number}" for number in label[:len(ids)]])
