"""From a text to the standardised parent molecule and its identity."""

from dataclasses import dataclass

from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from dssl_bio.errors import MoleculeError

rdBase.DisableLog("rdApp.*")  # a refused molecule is reported by us, once

MAX_CHARACTERS = 2_000
MAX_ATOMS = 250
MIN_ATOMS = 1


@dataclass(frozen=True)
class Molecule:
    """A standardised parent molecule.

    Attributes:
        smiles: canonical isomeric SMILES of the parent.
        inchikey: 27 characters; the first block names the connectivity.
        changes: what standardisation did, in words a chemist would use.
    """

    smiles: str
    inchikey: str
    changes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """First InChIKey block: what splits, joins, negatives and deduplication use."""
        return self.inchikey[:14]


def without_extension(text: str) -> str:
    """SMILES without its CXSMILES tail (`CCO |c:1|`) and without a name after white space."""
    parts = text.strip().split(maxsplit=1)
    return parts[0] if parts else ""


def standardize(text: str) -> Molecule:
    """The parent of a typed molecule: largest organic fragment, uncharged, with its InChIKey.

    The caps on length and on atoms are checked before RDKit sees the text: some short texts take
    it hours (rdkit issues 1281 and 9115).

    Raises:
        MoleculeError: empty, too long, too many atoms, does not parse, or has no InChIKey.
    """
    smiles = without_extension(text)
    if not smiles:
        raise MoleculeError("empty text where a SMILES was expected")
    if len(smiles) > MAX_CHARACTERS:
        raise MoleculeError(f"SMILES of {len(smiles):,} characters; at most {MAX_CHARACTERS:,} are accepted")
    if not smiles.isascii() or not smiles.isprintable():
        raise MoleculeError("SMILES holds characters that no SMILES has")
    n_atoms = _upper_bound_of_atoms(smiles)
    if n_atoms > MAX_ATOMS:
        raise MoleculeError(f"SMILES of about {n_atoms} atoms; at most {MAX_ATOMS} are accepted")
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise MoleculeError(f"not a valid SMILES: {_shortened(smiles)}")
    if mol.GetNumHeavyAtoms() < MIN_ATOMS:
        raise MoleculeError(f"no heavy atom in {_shortened(smiles)}")
    changes: list[str] = []
    try:
        parent = rdMolStandardize.FragmentParent(rdMolStandardize.Cleanup(mol))
        if parent.GetNumAtoms() < mol.GetNumAtoms():
            changes.append("kept the largest fragment")
        neutral = rdMolStandardize.Uncharger().uncharge(parent)
        if Chem.MolToSmiles(neutral) != Chem.MolToSmiles(parent):
            changes.append("neutralised charges")
        canonical = Chem.MolToSmiles(neutral)
        inchikey = Chem.MolToInchiKey(neutral)
    except (ValueError, RuntimeError) as error:
        raise MoleculeError(f"could not be standardised: {_shortened(smiles)}") from error
    if not inchikey:
        raise MoleculeError(f"no InChIKey can be computed for {_shortened(smiles)}")
    return Molecule(canonical, inchikey, tuple(changes))


def _upper_bound_of_atoms(smiles: str) -> int:
    """How many atom symbols the text can hold: bracket atoms and letters outside brackets."""
    count, inside = 0, False
    for character in smiles:
        if character == "[":
            inside, count = True, count + 1
        elif character == "]":
            inside = False
        elif not inside and character.isalpha():
            count += 1
    return count


def _shortened(smiles: str, length: int = 80) -> str:
    return repr(smiles if len(smiles) <= length else smiles[:length] + "...")
