"""What the molecule encoders read, computed in worker processes and sent over a pipe."""

import base64
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from dssl_bio.chem.fingerprints import count_morgan_of
from dssl_bio.chem.graph_features import ATOM_FEATURES, BOND_FEATURES, GraphFeatures, graph_features
from dssl_bio.chem.kernel_blocks import kernel_blocks_of
from dssl_bio.chem.standardize import Molecule


class MoleculeFeatures(NamedTuple):
    """What an encoder's `needs` asked for, the rest None.

    Attributes:
        graph: of atoms and bonds.
        vector: (width,) count fingerprint, or blocks of several kernels.
    """

    graph: GraphFeatures | None
    vector: NDArray[np.float32] | None


def molecule_features(molecule: Molecule, needs: frozenset[str]) -> MoleculeFeatures:
    """Features from one reading of the SMILES.

    Args:
        molecule: whose features.
        needs: of `graph`, and of `fingerprint` or `kernels`, those that are wanted.
    """
    mol = Chem.MolFromSmiles(molecule.smiles)
    vector = None
    if "fingerprint" in needs:
        vector = count_morgan_of(mol).astype(np.float32)
    elif "kernels" in needs:
        vector = kernel_blocks_of(mol)
    return MoleculeFeatures(graph_features(mol) if "graph" in needs else None, vector)


def to_json(features: MoleculeFeatures) -> list[Any]:
    """Features as values that JSON can hold; of a vector, which is mostly zeros, the others with their places."""
    graph, vector = features
    texts: list[Any] = [None if graph is None else [_text(array) for array in graph], None]
    if vector is not None:
        places = np.flatnonzero(vector).astype(np.int32)
        texts[1] = [len(vector), _text(places), _text(vector[places])]
    return texts


def from_json(texts: list[Any]) -> MoleculeFeatures:
    """The reverse of `to_json`."""
    graph = vector = None
    if texts[0] is not None:
        atoms, ends, bonds = map(base64.b64decode, texts[0])
        graph = GraphFeatures(np.frombuffer(atoms, np.float32).reshape(-1, ATOM_FEATURES),
                              np.frombuffer(ends, np.int32).reshape(2, -1),
                              np.frombuffer(bonds, np.float32).reshape(-1, BOND_FEATURES))
    if texts[1] is not None:
        width, places, values = texts[1]
        vector = np.zeros(width, dtype=np.float32)
        vector[np.frombuffer(base64.b64decode(places), np.int32)] = np.frombuffer(base64.b64decode(values), np.float32)
    return MoleculeFeatures(graph, vector)


def _text(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()
