"""Which molecule each well received: from its own SMILES, or from a table that gives structures to names and keys."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dssl_bio.chem.standardize import Molecule
from dssl_bio.chem.standardize_many import standardize_many
from dssl_bio.errors import ManifestError
from dssl_bio.screens.expressions import as_text, did_you_mean
from dssl_bio.screens.manifest import MoleculesSource
from dssl_bio.screens.rows import JOIN
from dssl_bio.screens.tables import columns_of, read_text_columns
from dssl_bio.vocabulary import COMPOUND, INCHIKEY, MOA, MOLECULE_ID, PERT_TYPE, ROW_KEY, SMILES

Progress = Callable[[int, int], None]
_INCHIKEY = re.compile(r"^([A-Z]{14})(-[A-Z]{10}-[A-Z])?$")


@dataclass(frozen=True)
class Joined:
    """Wells with their molecules.

    Attributes:
        wells: with molecule_id, missing where none could be joined and for controls and empty wells.
        molecules: one row per molecule_id: InChIKey, standardised SMILES, compound, mechanism.
        unjoined: treated wells without molecule: row_key, text, reason.
        notes: what was decided on the way.
    """

    wells: pd.DataFrame
    molecules: pd.DataFrame
    unjoined: pd.DataFrame
    notes: list[str]


def join_molecules(wells: pd.DataFrame, source: MoleculesSource | None, table: Path | None,
                   progress: Progress = lambda done, total: None) -> Joined:
    """Standardises every structure once and gives each treated well its molecule.

    Negative controls and empty wells get none, whatever their row says: DMSO is never a candidate.

    Args:
        wells: with Metadata_pert_type, and Metadata_SMILES or the column that the table is joined on.
        source: how the table is joined; needed with `table`.
        table: structures, where the wells do not carry them.
        progress: called with (done, total) distinct texts.

    Raises:
        ManifestError: a table without a rule to join it, or without its columns.
    """
    treated = ~wells[PERT_TYPE].isin(["negcon", "empty"])
    text = wells[SMILES].copy() if SMILES in wells else pd.Series(pd.NA, index=wells.index, dtype="str")
    reason = pd.Series("no SMILES", index=wells.index, dtype="str")
    notes: list[str] = []
    wells = wells.copy()
    if table is not None:
        looked_up = _looked_up(wells, source, table, progress)
        text = text.fillna(looked_up[SMILES])
        reason = looked_up["reason"]
        for column in (COMPOUND, MOA):
            if column in looked_up:
                wells[column] = wells[column].fillna(looked_up[column]) if column in wells else looked_up[column]
    elif SMILES not in wells:
        how = " (joined on " + source.on.left + ")" if source else ""
        reason[:] = "the screen has no SMILES and no table of molecules was given"
        notes.append(f"no structures: the screen has no SMILES column and no table of molecules was given{how}, so no "
                     "well has a molecule; it can be indexed, not trained on. Give one with --molecules FILE")
    outcomes = standardize_many(text[treated].dropna(), progress=progress)
    molecule = {t: outcome for t, outcome in outcomes.items() if isinstance(outcome, Molecule)}
    failed = {t: str(outcome) for t, outcome in outcomes.items() if not isinstance(outcome, Molecule)}
    wells[MOLECULE_ID] = text.map({t: m.id for t, m in molecule.items()}).where(treated).astype("str")
    lacking = treated & wells[MOLECULE_ID].isna()
    reason = text.map(failed).fillna(reason)
    shown = text if table is None else text.fillna(wells[JOIN] if JOIN in wells else pd.NA)
    unjoined = pd.DataFrame({ROW_KEY: wells[ROW_KEY], "text": shown.fillna(""), "reason": reason})[lacking]
    molecules = _molecules(wells, text, molecule, notes)
    return Joined(wells.drop(columns=JOIN, errors="ignore"), molecules, unjoined.astype("str").reset_index(drop=True),
                  notes)


def _looked_up(wells: pd.DataFrame, source: MoleculesSource | None, path: Path, progress: Progress) -> pd.DataFrame:
    """For each well the structure that the table has for its key (columns SMILES, reason, compound, mechanism)."""
    if source is None:
        raise ManifestError(f"{path}: the manifest does not say how to join a table of molecules; add "
                            "[molecules] on = { left = \"a column of the screen\", right = \"a column of the table\" }")
    header = columns_of(path)
    wanted = {SMILES: source.smiles, "key": source.on.right, COMPOUND: source.compound, MOA: source.moa}
    named = {word: column for word, column in wanted.items() if column is not None}
    for column in named.values():
        if column not in header:
            raise ManifestError(f"molecules: {path} has no column {column!r}{did_you_mean(column, header)}")
    raw = read_text_columns(path, list(dict.fromkeys(named.values())))
    table = pd.DataFrame({word: as_text(raw[column]).str.strip() for word, column in named.items()})
    outcomes = standardize_many(table[SMILES].dropna(), progress=progress)
    ids = table[SMILES].map({text: m.id for text, m in outcomes.items() if isinstance(m, Molecule)})
    table["key"] = ids if source.on.right is None else _first_block(table["key"])
    # A structure that does not parse is no second structure for its key
    several = ids.groupby(table["key"]).nunique() > 1
    one = table.assign(_bad=ids.isna()).dropna(subset=["key"]).sort_values("_bad", kind="stable")
    one = one.drop_duplicates("key").set_index("key")
    key = _first_block(wells[JOIN]) if JOIN in wells else pd.Series(pd.NA, index=wells.index, dtype="str")
    found = pd.DataFrame(index=wells.index)
    ambiguous = key.map(several).fillna(False).astype(bool)
    for word in (c for c in (SMILES, COMPOUND, MOA) if c in one):
        found[word] = key.map(one[word]).mask(ambiguous).astype("str")
    found["reason"] = pd.Series(f"no row of {path.name} has this {source.on.left}", index=wells.index, dtype="str")
    found.loc[key.isna(), "reason"] = f"no {source.on.left} to look up"
    found.loc[key.isin(one.index), "reason"] = f"no SMILES in {path.name}"
    found.loc[ambiguous, "reason"] = f"{path.name} gives more than one molecule for this {source.on.left}"
    return found


def _first_block(keys: "pd.Series[str]") -> "pd.Series[str]":
    """InChIKeys by their first block, so that 27 and 14 characters meet; anything else as it is."""
    return keys.map(lambda key: match[1] if (match := _INCHIKEY.match(key)) else key, na_action="ignore").astype("str")


def _molecules(wells: pd.DataFrame, text: "pd.Series[str]", molecule: dict[str, Molecule],
               notes: list[str]) -> pd.DataFrame:
    """One row per molecule_id, in the order of first appearance."""
    held = wells.dropna(subset=[MOLECULE_ID])
    parent = text[held.index].map(molecule)
    table = pd.DataFrame({MOLECULE_ID: held[MOLECULE_ID], INCHIKEY: parent.map(lambda m: m.inchikey),
                          SMILES: parent.map(lambda m: m.smiles)})
    isomers = table.groupby(MOLECULE_ID)[INCHIKEY].nunique()
    if (isomers > 1).any():
        notes.append(f"{int((isomers > 1).sum())} molecules were measured as several stereoisomers, which count as one "
                     "molecule; the first one's SMILES is shown")
    first = table.drop_duplicates(MOLECULE_ID).reset_index(drop=True)
    for column, choose in ((COMPOUND, _first), (MOA, _most_frequent)):
        values = held.groupby(MOLECULE_ID)[column].agg(choose) if column in held else pd.Series(dtype="str")
        first[column] = first[MOLECULE_ID].map(values).astype("str")
    return first.astype("str")


def _first(values: "pd.Series[str]") -> str | None:
    known = values.dropna()
    return str(known.iloc[0]) if len(known) else None


def _most_frequent(values: "pd.Series[str]") -> str | None:
    known = values.dropna()
    return str(known.value_counts(sort=True).index[0]) if len(known) else None
