"""Molecules as vectors: count-Morgan fingerprints and physico-chemical descriptors."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from dssl_bio.chem.standardize import Molecule

FINGERPRINT_BITS = 2048
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=FINGERPRINT_BITS)

_BASIC_AMINE = Chem.MolFromSmarts("[NX3;!$(N-C=[O,S,N]);!$(N-S=O);!$(N-a);!$(N-N)]")

DESCRIPTORS: dict[str, Callable[[Chem.Mol], float]] = {
    "molecular weight": rdMolDescriptors.CalcExactMolWt,
    "logP": lambda mol: rdMolDescriptors.CalcCrippenDescriptors(mol)[0],
    "polar surface area": rdMolDescriptors.CalcTPSA,
    "hydrogen-bond donors": rdMolDescriptors.CalcNumHBD,
    "hydrogen-bond acceptors": rdMolDescriptors.CalcNumHBA,
    "rotatable bonds": rdMolDescriptors.CalcNumRotatableBonds,
    "rings": rdMolDescriptors.CalcNumRings,
    "aromatic rings": rdMolDescriptors.CalcNumAromaticRings,
    "fraction of sp3 carbon": rdMolDescriptors.CalcFractionCSP3,
    "halogens": lambda mol: sum(atom.GetAtomicNum() in (9, 17, 35, 53) for atom in mol.GetAtoms()),
    "basic amines": lambda mol: len(mol.GetSubstructMatches(_BASIC_AMINE)),
    "stereocentres": rdMolDescriptors.CalcNumAtomStereoCenters,
}
"""Descriptors a chemist can name, with the function that computes each."""


def count_morgan(molecule: Molecule) -> NDArray[np.uint32]:
    """Count-Morgan fingerprint of radius 2 (ECFP4 with counts), (FINGERPRINT_BITS,)."""
    return count_morgan_of(Chem.MolFromSmiles(molecule.smiles))


def count_morgan_of(mol: Chem.Mol) -> NDArray[np.uint32]:
    """`count_morgan` of a molecule that is parsed already."""
    return _MORGAN.GetCountFingerprintAsNumPy(mol)


def descriptors(molecule: Molecule) -> NDArray[np.float64]:
    """Values of DESCRIPTORS, (12,)."""
    mol = Chem.MolFromSmiles(molecule.smiles)
    return np.array([function(mol) for function in DESCRIPTORS.values()], dtype=float)
