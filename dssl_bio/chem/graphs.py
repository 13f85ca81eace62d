"""A molecule as the graph that the GNN reads."""

import torch
from rdkit import Chem
from torch_geometric.data import Data

from dssl_bio.chem.standardize import Molecule

_ELEMENTS = (5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53)
_HYBRIDISATIONS = (Chem.HybridizationType.SP, Chem.HybridizationType.SP2, Chem.HybridizationType.SP3)
_BONDS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC)
_CHIRALITIES = (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
_STEREO = (Chem.BondStereo.STEREOZ, Chem.BondStereo.STEREOE)


def molecule_graph(molecule: Molecule) -> Data:
    """Atoms, bonds and their features as a torch-geometric graph.

    Returns:
        Data with x (A, ATOM_FEATURES), edge_index (2, 2B) with both directions of every bond,
        edge_attr (2B, BOND_FEATURES). Features are one-hot or scaled to about unit size.
    """
    mol = Chem.MolFromSmiles(molecule.smiles)
    x = torch.tensor([_atom(atom) for atom in mol.GetAtoms()], dtype=torch.float32)
    ends, bonds = [], []
    for bond in mol.GetBonds():
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        features = _bond(bond)
        ends += [(a, b), (b, a)]
        bonds += [features, features]
    edge_index = torch.tensor(ends, dtype=torch.long).reshape(-1, 2).T.contiguous()
    edge_attr = torch.tensor(bonds, dtype=torch.float32).reshape(-1, BOND_FEATURES)
    return Data(x=x, edge_index=edge_index, edge_attr=edge_attr)


def _one_hot(value: object, choices: tuple[object, ...]) -> list[float]:
    """One place for each choice and a last one for anything else."""
    hot = [float(value == choice) for choice in choices]
    return [*hot, float(not any(hot))]


def _atom(atom: Chem.Atom) -> list[float]:
    return [
        *_one_hot(atom.GetAtomicNum(), _ELEMENTS),
        *_one_hot(atom.GetTotalDegree(), (1, 2, 3, 4)),
        *_one_hot(atom.GetTotalNumHs(), (0, 1, 2, 3)),
        *_one_hot(atom.GetHybridization(), _HYBRIDISATIONS),
        *_one_hot(atom.GetChiralTag(), _CHIRALITIES),
        float(atom.GetFormalCharge()),
        float(atom.GetIsAromatic()),
        float(atom.IsInRing()),
        *(float(atom.IsInRingSize(size)) for size in (3, 4, 5, 6, 7)),
        atom.GetMass() / 100,
    ]


def _bond(bond: Chem.Bond) -> list[float]:
    return [
        *_one_hot(bond.GetBondType(), _BONDS),
        *_one_hot(bond.GetStereo(), _STEREO),
        float(bond.GetIsConjugated()),
        float(bond.IsInRing()),
    ]


def _probe() -> tuple[int, int]:
    mol = Chem.MolFromSmiles("CC")
    return len(_atom(mol.GetAtomWithIdx(0))), len(_bond(mol.GetBondWithIdx(0)))


ATOM_FEATURES, BOND_FEATURES = _probe()

