import pytest
import torch

from dssl_bio.chem.graphs import ATOM_FEATURES, BOND_FEATURES, molecule_graph
from dssl_bio.chem.standardize import standardize


@pytest.mark.parametrize(("smiles", "atoms", "bonds"), [("CC(=O)Oc1ccccc1C(=O)O", 13, 13), ("C", 1, 0)])
def test_every_bond_stands_in_both_directions(smiles, atoms, bonds):
    graph = molecule_graph(standardize(smiles))
    assert graph.x.shape == (atoms, ATOM_FEATURES)
    assert graph.edge_attr.shape == (2 * bonds, BOND_FEATURES)
    forward = {tuple(ends) for ends in graph.edge_index.T.tolist()}
    assert forward == {(b, a) for a, b in forward} and len(forward) == 2 * bonds


def test_enantiomers_differ_in_their_atoms_only():
    left, right = (molecule_graph(standardize(s)) for s in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"))
    assert not torch.equal(left.x, right.x)
    assert torch.equal(left.edge_attr, right.edge_attr)
