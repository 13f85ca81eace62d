"""Scaffolds: what a scaffold split keeps together."""

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from dssl_bio.chem.standardize import Molecule


def murcko_scaffold(molecule: Molecule) -> str:
    """SMILES of the Bemis-Murcko scaffold without stereochemistry; a molecule without rings is its own."""
    mol = Chem.MolFromSmiles(molecule.smiles)
    Chem.RemoveStereochemistry(mol)
    scaffold = Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(mol))
    return scaffold or Chem.MolToSmiles(mol)
