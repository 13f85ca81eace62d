"""Which molecules train, which choose when to stop, and which are held out."""

from pathlib import Path

import numpy as np
import pandas as pd

from dssl_bio.chem.scaffolds import murcko_scaffold
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import RunError
from dssl_bio.learning.config import SplitConfig
from dssl_bio.screens.splits import SPLITS, split_by_group
from dssl_bio.vocabulary import INCHIKEY, MOLECULE_ID, SMILES

SPLIT = "split"
GROUP = "group"
MAX_VALUES_SHOWN = 5


def partition(wells: pd.DataFrame, molecules: pd.DataFrame, config: SplitConfig, seed: int) -> pd.DataFrame:
    """Split of every molecule of a screen: columns molecule_id, group, split, sorted by molecule_id.

    Raises:
        RunError: the column or the folds file does not fit the screen.
        ScreenError: fewer groups than splits with a share.
    """
    ids = molecules[MOLECULE_ID].sort_values().astype(str).reset_index(drop=True)
    if config.method == "folds":
        return _by_folds(ids, wells, config, seed)
    if config.method == "column":
        return _by_column(ids, wells, config, seed)
    if config.method == "scaffold":
        rows = molecules.set_index(MOLECULE_ID).loc[ids, [SMILES, INCHIKEY]].itertuples(index=False)
        group = [murcko_scaffold(Molecule(smiles, key)) for smiles, key in rows]
    else:
        group = list(ids)
    split = split_by_group(np.array(group, dtype=str), config.fractions, seed)
    return pd.DataFrame({MOLECULE_ID: ids, GROUP: group, SPLIT: split})


def _by_column(ids: "pd.Series[str]", wells: pd.DataFrame, config: SplitConfig, seed: int) -> pd.DataFrame:
    """The split that a column says, or its values as groups. Molecules without a value take no part (split is empty).

    A value beside train, valid and test is refused: to read all of them as groups would train on what is held out.
    """
    group = np.array(_of_molecules(ids, wells, str(config.column)), dtype=str)
    known = group != ""
    counts = pd.Series(group[known]).value_counts()
    if counts.empty:
        raise RunError(f"column {config.column!r} has no value for any molecule")
    others = counts[~counts.index.isin(SPLITS)]
    table = pd.DataFrame({MOLECULE_ID: ids, GROUP: group, SPLIT: ""})
    if others.empty:
        table[SPLIT] = group
        return table
    if any(value.strip().casefold() in SPLITS for value in counts.index):
        shown = ", ".join(f"{value!r} ({count})" for value, count in others.head(MAX_VALUES_SHOWN).items())
        more = f" and {len(others) - MAX_VALUES_SHOWN} others" if len(others) > MAX_VALUES_SHOWN else ""
        raise RunError(f"column {config.column!r} names splits, and beside train, valid and test it holds, by number "
                       f"of molecules: {shown}{more}; leave the value out for molecules that take no part")
    table.loc[known, SPLIT] = split_by_group(group[known], config.fractions, seed)
    return table


def _by_folds(ids: "pd.Series[str]", wells: pd.DataFrame, config: SplitConfig, seed: int) -> pd.DataFrame:
    """Held out: the molecules of `test_fold`. The others are divided by the file's `block` where it has one.

    Molecules that the file does not name take no part (split is empty).
    """
    path = Path(str(config.file))
    try:
        folds = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"molecule": str})
    except (OSError, ValueError) as cause:
        raise RunError(f"folds file {path} cannot be read: {cause}") from cause
    missing = {"molecule", "fold"} - set(folds)
    if missing:
        raise RunError(f"folds file {path} lacks the column {' and '.join(sorted(missing))}; it has {', '.join(folds)}")
    folds = folds.drop_duplicates("molecule").set_index("molecule")
    name = ids if config.key == MOLECULE_ID else pd.Series(_of_molecules(ids, wells, config.key))
    known = name.isin(folds.index).to_numpy()
    if not known.any():
        raise RunError(f"no molecule of {path} is in the screen: its column molecule holds {folds.index[0]!r}, ..., "
                       f"the screen's {config.key} holds {name.iloc[0]!r}, ...")
    found = folds.loc[name[known]]
    if config.test_fold not in set(found["fold"]):
        raise RunError(f"split.test_fold {config.test_fold} is not in {path}: {sorted(set(found['fold']))}")
    table = pd.DataFrame({MOLECULE_ID: ids, GROUP: "", SPLIT: ""})
    table.loc[known, GROUP] = found["block" if "block" in found else "fold"].astype(str).to_numpy()
    held_out = known.copy()
    held_out[known] = (found["fold"] == config.test_fold).to_numpy()
    rest = known & ~held_out
    train, valid, _ = config.fractions
    shares = (train / (train + valid), valid / (train + valid), 0.0)
    groups = table.loc[rest, GROUP] if "block" in found else table.loc[rest, MOLECULE_ID]
    table.loc[held_out, SPLIT] = "test"
    table.loc[rest, SPLIT] = split_by_group(groups.to_numpy(str), shares, seed)
    return table


def _of_molecules(ids: "pd.Series[str]", wells: pd.DataFrame, column: str) -> list[str]:
    """The one value that a wells' column has for each molecule; empty where it is missing."""
    if column not in wells:
        raise RunError(f"the screen has no column {column!r} to split by; it has {', '.join(map(str, wells))}")
    values = wells.dropna(subset=[MOLECULE_ID]).groupby(MOLECULE_ID)[column]
    several = values.nunique(dropna=False)
    if (several > 1).any():
        molecule = several.index[several > 1][0]
        raise RunError(f"column {column!r} has {several[molecule]} values for molecule {molecule}: "
                       "a split by it would put one molecule on two sides")
    first = values.first().dropna()
    return [str(first.get(molecule, "")) for molecule in ids]
