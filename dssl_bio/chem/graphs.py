"""A molecule as the graph that the GNN reads."""

import torch
from rdkit import Chem
from torch_geometric.data import Data

from dssl_bio.chem.graph_features import ATOM_FEATURES, BOND_FEATURES, graph_features
from dssl_bio.chem.standardize import Molecule

__all__ = ["ATOM_FEATURES", "BOND_FEATURES", "molecule_graph"]


def molecule_graph(molecule: Molecule) -> Data:
    """Atoms, bonds and their features as a torch-geometric graph.

    Returns:
        Data with x (A, ATOM_FEATURES), edge_index (2, 2B) with both directions of every bond,
        edge_attr (2B, BOND_FEATURES).
    """
    atoms, ends, bonds = graph_features(Chem.MolFromSmiles(molecule.smiles))
    return Data(x=torch.from_numpy(atoms), edge_index=torch.from_numpy(ends).long().contiguous(),
                edge_attr=torch.from_numpy(bonds))
