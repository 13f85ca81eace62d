"""What a person typed, as a molecule, and what a bundle knows of it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.chem.standardize import Molecule, without_extension
from dssl_bio.chem.standardize_many import Question, Standardizer
from dssl_bio.errors import MoleculeError
from dssl_bio.retrieval.tables import IN_SCREEN, SPLIT, HasTables
from dssl_bio.vocabulary import COMPOUND, INCHIKEY, MOA, MOLECULE_ID, SMILES

MAX_EXAMPLES = 8


@dataclass(frozen=True)
class Identified:
    """A query that became a molecule.

    Attributes:
        text: as typed.
        molecule: standardised parent.
        how: what the text was.
        library_row: row of the bundle's molecules with the same connectivity; None when it is new to the bundle.
        in_screen: its phenotype was measured in the indexed screen and can be found.
        split: `train`, `valid` or `test` of the model; empty when the model has not met it.
        compound: its name in the screen, where there is one.
        mechanism: its annotation, where there is one.
        entries: its own entries.
        other_stereo: the screen holds another stereoisomer (or one without stereochemistry) under the same block.
    """

    text: str
    molecule: Molecule
    how: Literal["SMILES", "name", "InChIKey"]
    library_row: int | None
    in_screen: bool
    split: str
    compound: str
    mechanism: str
    entries: NDArray[np.int64]
    other_stereo: bool


def identify(bundle: HasTables, text: str, pool: Standardizer) -> Identified:
    """The molecule that a text names: a compound of the bundle, an InChIKey of the bundle, or a SMILES.

    Names are compared without regard to case. A SMILES is standardised by a process of the pool, under its time limit.

    Raises:
        MoleculeError: empty, an InChIKey that the bundle does not hold, or not a SMILES that is accepted.
    """
    text = text.strip()
    if not text:
        raise MoleculeError("type a SMILES, or a name or InChIKey of the screen")
    row = _named(bundle, text)
    if row is not None:
        return _known(bundle, text, "name", row, None)
    if looks_like_inchikey(text):
        rows = np.flatnonzero(bundle.molecules[MOLECULE_ID].to_numpy(object) == text[:14].upper())
        if not len(rows):
            raise MoleculeError(f"InChIKey {text.upper()} is not in this bundle; give its SMILES instead")
        return _known(bundle, text, "InChIKey", int(rows[0]), None)
    outcome = next(pool.standardized([Question(text)]))
    if isinstance(outcome, MoleculeError):
        if _plain_word(text):
            raise MoleculeError(f"{outcome}; and no compound of this bundle has that name") from outcome
        raise outcome
    rows = np.flatnonzero(bundle.molecules[MOLECULE_ID].to_numpy(object) == outcome.id)
    return _known(bundle, text, "SMILES", int(rows[0]) if len(rows) else None, outcome)


def looks_like_inchikey(text: str) -> bool:
    """True for 14 letters, or a whole key of 14-10-1."""
    parts = text.strip().upper().split("-")
    letters = all(part.isascii() and part.isalpha() for part in parts)
    return letters and [len(part) for part in parts] in ([14], [14, 10, 1])


def examples(bundle: HasTables, n: int = MAX_EXAMPLES) -> list[tuple[str, str]]:
    """Molecules of the screen that show what the bundle can do: (label, text to query).

    Those that were not in training come first, annotated ones before others, and each mechanism once before any twice.
    """
    table = bundle.molecules[bundle.molecules[IN_SCREEN].to_numpy(bool)].reset_index(drop=True)
    mechanism = table[MOA] if MOA in table else pd.Series([None] * len(table), dtype=object)
    held_out = table[SPLIT] != "train"
    turn = mechanism.groupby(mechanism).cumcount().where(mechanism.notna(), len(table))
    order = pd.DataFrame({"trained": ~held_out, "turn": turn, "row": range(len(table))})
    chosen = order.sort_values(["trained", "turn", "row"])["row"].to_numpy()[:n]
    result = []
    for row in chosen:
        name = _text(table, COMPOUND, row) or table[MOLECULE_ID][row]
        what = _text(table, MOA, row)
        known = _named(bundle, name)
        same = known is not None and bundle.molecules[MOLECULE_ID][known] == table[MOLECULE_ID][row]
        result.append((f"{name} ({what})" if what else name, name if same else table[SMILES][row]))
    return result


def _known(bundle: HasTables, text: str, how: Literal["SMILES", "name", "InChIKey"], row: int | None,
           molecule: Molecule | None) -> Identified:
    """Facts of a row of the library, or of a molecule that is not in it."""
    if row is None:
        assert molecule is not None
        return Identified(text, molecule, how, None, False, "", "", "", np.array([], dtype=np.int64), False)
    table = bundle.molecules
    stored = Molecule(str(table[SMILES][row]), str(table[INCHIKEY][row]))
    molecule = molecule or stored
    own = np.flatnonzero(bundle.entries[MOLECULE_ID].to_numpy(object) == stored.id)
    return Identified(text, molecule, how, row, bool(table[IN_SCREEN][row]), str(table[SPLIT][row]),
                      _text(table, COMPOUND, row), _text(table, MOA, row), own, molecule.inchikey != stored.inchikey)


def _named(bundle: HasTables, text: str) -> int | None:
    """Row of the only molecule with that name; None when there is none or several."""
    if COMPOUND not in bundle.molecules:
        return None
    names = bundle.molecules[COMPOUND].astype(str).str.casefold().to_numpy(object)
    known = bundle.molecules[COMPOUND].notna().to_numpy()
    rows = np.flatnonzero((names == text.casefold()) & known)
    return int(rows[0]) if len(rows) == 1 else None


def _plain_word(text: str) -> bool:
    """True for what is more likely a name than a SMILES."""
    return without_extension(text) != text or (text.isascii() and not any(c in text for c in "()=#[]@+\\/"))


def _text(table: pd.DataFrame, column: str, row: int) -> str:
    if column not in table or pd.isna(table[column].iloc[row]):
        return ""
    return str(table[column].iloc[row])
