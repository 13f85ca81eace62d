"""A molecule without the influence of single atoms, as encoders read it: what occlusion and gradients work on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from dssl_bio.chem.fingerprints import FINGERPRINT_BITS
from dssl_bio.chem.kernel_blocks import BITS, N_COUNT_BLOCKS, kernel_blocks_of
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import MoleculeError

DUMMY = 0


def n_atoms(molecule: Molecule) -> int:
    """Heavy atoms of a molecule, in the order of its SMILES."""
    mol = Chem.MolFromSmiles(molecule.smiles)
    return 0 if mol is None else int(mol.GetNumAtoms())


def fingerprints_without(molecule: Molecule, needs: frozenset[str]) -> NDArray[np.float32]:
    """What a kernel encoder reads of a molecule when each atom in turn is not seen, (A, width).

    Of a Morgan fingerprint every environment that holds the atom is left out; of several kernels' blocks the atom
    becomes a dummy atom (atomic number 0), which changes pairs and descriptors too.

    Args:
        molecule: A heavy atoms.
        needs: of the encoder: `fingerprint` or `kernels`.

    Raises:
        MoleculeError: it has no atoms.
    """
    mol = Chem.MolFromSmiles(molecule.smiles)
    if mol is None or mol.GetNumAtoms() == 0:
        raise MoleculeError(f"no atoms to attribute to: {molecule.smiles[:80]!r}")
    if "kernels" in needs:
        return np.stack([_with_dummy(mol, [atom]) for atom in range(mol.GetNumAtoms())])
    environments = _environments(mol)  # once, not once an atom
    return np.stack([_morgan_without(environments, {atom}) for atom in range(mol.GetNumAtoms())])


def _with_dummy(mol: Chem.Mol, atoms: Sequence[int]) -> NDArray[np.float32]:
    changed = Chem.RWMol(mol)
    for atom in atoms:
        changed.GetAtomWithIdx(int(atom)).SetAtomicNum(DUMMY)
    blank = changed.GetMol()
    blank.UpdatePropertyCache(strict=False)
    Chem.GetSymmSSSR(blank)
    return kernel_blocks_of(blank)


def _morgan_without(environments: dict[int, list[set[int]]], atoms: set[int]) -> NDArray[np.float32]:
    """Counts of the environments (by bit) that hold none of some atoms, (FINGERPRINT_BITS,)."""
    counts = np.zeros(FINGERPRINT_BITS, dtype=np.float32)
    for bit, members_of_each in environments.items():
        counts[bit] = sum(members.isdisjoint(atoms) for members in members_of_each)
    return counts


def _environments(mol: Chem.Mol) -> dict[int, list[set[int]]]:
    """For each bit of the count fingerprint the atoms of each environment that sets it."""
    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=FINGERPRINT_BITS)
    generator.GetCountFingerprint(mol, additionalOutput=output)
    found: dict[int, list[set[int]]] = {}
    for bit, places in output.GetBitInfoMap().items():
        found[bit] = []
        for centre, radius in places:
            bonds = Chem.FindAtomEnvironmentOfRadiusN(mol, radius, centre)
            members = {centre}
            for number in bonds:
                bond = mol.GetBondWithIdx(number)
                members |= {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()}
            found[bit].append(members)
    return found


def matched_atoms(molecule: Molecule, smarts: str) -> NDArray[np.int64]:
    """Atoms of all matches of a substructure, sorted; empty where there is none.

    Raises:
        MoleculeError: the pattern cannot be read.
    """
    pattern = Chem.MolFromSmarts(smarts)
    if pattern is None:
        raise MoleculeError(f"not a substructure pattern: {smarts[:80]!r}")
    matches = Chem.MolFromSmiles(molecule.smiles).GetSubstructMatches(pattern)
    return np.array(sorted({atom for match in matches for atom in match}), dtype=np.int64)


BLOCK_BITS = BITS * N_COUNT_BLOCKS
"""Width of the count fingerprints among a kernel encoder's blocks."""
