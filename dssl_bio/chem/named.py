"""Everything of a molecule that a chemist has a name for: descriptors and counts of functional groups."""

from collections.abc import Callable, Sequence

import pandas as pd
from rdkit import Chem
from rdkit.Chem import QED, Fragments, GraphDescriptors, rdMolDescriptors

from dssl_bio.chem.fingerprints import DESCRIPTORS
from dssl_bio.chem.standardize import Molecule

MORE_DESCRIPTORS: dict[str, Callable[[Chem.Mol], float]] = {
    "drug-likeness (QED)": QED.qed,
    "molar refractivity": lambda mol: rdMolDescriptors.CalcCrippenDescriptors(mol)[1],
    "heavy atoms": lambda mol: mol.GetNumHeavyAtoms(),
    "heteroatoms": rdMolDescriptors.CalcNumHeteroatoms,
    "complexity (Bertz)": GraphDescriptors.BertzCT,
    "shape (kappa 2)": rdMolDescriptors.CalcKappa2,
    "shape (kappa 3)": rdMolDescriptors.CalcKappa3,
    "aliphatic heterocycles": rdMolDescriptors.CalcNumAliphaticHeterocycles,
    "aromatic heterocycles": rdMolDescriptors.CalcNumAromaticHeterocycles,
    "amide bonds": rdMolDescriptors.CalcNumAmideBonds,
    "bridgehead atoms": rdMolDescriptors.CalcNumBridgeheadAtoms,
    "spiro atoms": rdMolDescriptors.CalcNumSpiroAtoms,
}
"""Beside `fingerprints.DESCRIPTORS`, which the kernels read; for naming what a representation knows."""


def named_descriptors(molecules: Sequence[Molecule]) -> pd.DataFrame:
    """Descriptors of N molecules by their names, one row a molecule."""
    functions = {**DESCRIPTORS, **MORE_DESCRIPTORS}
    mols = [Chem.MolFromSmiles(molecule.smiles) for molecule in molecules]
    return pd.DataFrame({name: [float(function(mol)) for mol in mols] for name, function in functions.items()})


def functional_groups(molecules: Sequence[Molecule]) -> pd.DataFrame:
    """Counts of RDKit's functional groups (its fr_ descriptors) by their names, such as `aliphatic hydroxyl groups`."""
    mols = [Chem.MolFromSmiles(molecule.smiles) for molecule in molecules]
    return pd.DataFrame({_named(name, function): [float(function(mol)) for mol in mols]
                         for name, function in Fragments.fns})


def _named(name: str, function: Callable[[Chem.Mol], int]) -> str:
    """The group in words, from RDKit's own description; its short name where there is none."""
    text = (function.__doc__ or "").strip()
    return text.removeprefix("Number of ") if text.startswith("Number of ") else name
