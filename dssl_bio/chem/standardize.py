"""From a text to the standardised parent molecule and its identity."""

import re
from dataclasses import dataclass

from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from dssl_bio.errors import MoleculeError

_V3000_COUNTS = re.compile(r"^M +V30 +COUNTS +(\d+)", re.MULTILINE)

rdBase.DisableLog("rdApp.*")  # a refused molecule is reported by us, once

MAX_CHARACTERS = 2_000
MAX_ATOMS = 250
MAX_BLOCK_CHARACTERS = 60_000
MIN_ATOMS = 1

_DISCONNECTOR, _NORMALIZER = rdMolStandardize.MetalDisconnector(), rdMolStandardize.Normalizer()
_REIONIZER, _UNCHARGER = rdMolStandardize.Reionizer(), rdMolStandardize.Uncharger()


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
    return _parent(mol, _shortened(smiles))


def standardize_mol_block(block: str) -> Molecule:
    """The parent of one record of an SDF or MOL file (V2000 or V3000), under the same caps as a SMILES.

    Raises:
        MoleculeError: too long, too many atoms, does not parse, or has no InChIKey.
    """
    if len(block) > MAX_BLOCK_CHARACTERS:
        raise MoleculeError(f"record of {len(block):,} characters; at most {MAX_BLOCK_CHARACTERS:,} are accepted")
    n_atoms = _declared_atoms(block)
    if n_atoms > MAX_ATOMS:
        raise MoleculeError(f"record of {n_atoms} atoms; at most {MAX_ATOMS} are accepted")
    mol = Chem.MolFromMolBlock(block)
    if mol is None:
        raise MoleculeError("not a valid MOL record")
    return _parent(mol, "the record")


def _parent(mol: Chem.Mol, shown: str) -> Molecule:
    """Largest fragment, uncharged; `shown` stands for the molecule in messages."""
    if mol.GetNumHeavyAtoms() < MIN_ATOMS:
        raise MoleculeError(f"no heavy atom in {shown}")
    changes: list[str] = []
    try:
        parent = rdMolStandardize.FragmentParent(_cleaned(mol), skipStandardize=True)
        if parent.GetNumAtoms() < mol.GetNumAtoms():
            changes.append("kept the largest fragment")
        neutral = _UNCHARGER.uncharge(parent)
        canonical = Chem.MolToSmiles(neutral)
        if canonical != Chem.MolToSmiles(parent):
            changes.append("neutralised charges")
        inchikey = Chem.MolToInchiKey(neutral)
    except (ValueError, RuntimeError) as error:
        raise MoleculeError(f"could not be standardised: {shown}") from error
    if not inchikey:
        raise MoleculeError(f"no InChIKey can be computed for {shown}")
    if Chem.MolFromSmiles(canonical) is None:  # PF6- without its charge has a hydrogen too many to be read again
        raise MoleculeError(f"has no neutral form that can be read: {shown}")
    return Molecule(canonical, inchikey, tuple(changes))


def _cleaned(mol: Chem.Mol) -> Chem.Mol:
    """What rdMolStandardize.Cleanup gives, without parsing its transforms anew for every molecule."""
    clean = _REIONIZER.reionize(_NORMALIZER.normalize(_DISCONNECTOR.Disconnect(Chem.RemoveHs(mol))))
    Chem.AssignStereochemistry(clean, cleanIt=True, force=True)
    return clean


def _declared_atoms(block: str) -> int:
    """The number of atoms that a record announces in its fourth line, or in its V3000 counts."""
    lines = block.split("\n", 4)
    counts = lines[3] if len(lines) == 5 else ""
    first = _V3000_COUNTS.search(lines[4]) if "V3000" in counts else None
    text = first[1] if first else counts[:3].strip()
    if not text.isdecimal():
        raise MoleculeError("no counts line of a V2000 or V3000 record where the fourth line should be")
    return int(text)


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
