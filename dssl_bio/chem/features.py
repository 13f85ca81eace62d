"""What the molecule encoders read, computed in worker processes and sent over a pipe."""

import base64
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from dssl_bio.chem.fingerprints import FINGERPRINT_BITS, count_morgan_of
from dssl_bio.chem.graph_features import ATOM_FEATURES, BOND_FEATURES, GraphFeatures, graph_features
from dssl_bio.chem.standardize import Molecule

OFFERED = frozenset({"graph", "fingerprint"})
"""Names of what `MoleculeFeatures` holds, as an encoder's `needs` calls it."""


class MoleculeFeatures(NamedTuple):
    """Graph, and the bits (K,) of the count fingerprint that are set with their counts (K,)."""

    graph: GraphFeatures
    bits: NDArray[np.int32]
    counts: NDArray[np.int32]

    def fingerprint(self) -> NDArray[np.float32]:
        """The whole count fingerprint, (FINGERPRINT_BITS,)."""
        whole = np.zeros(FINGERPRINT_BITS, dtype=np.float32)
        whole[self.bits] = self.counts
        return whole


def molecule_features(molecule: Molecule) -> MoleculeFeatures:
    """Both kinds of features, from one reading of the SMILES."""
    mol = Chem.MolFromSmiles(molecule.smiles)
    fingerprint = count_morgan_of(mol)
    bits = np.flatnonzero(fingerprint)
    return MoleculeFeatures(graph_features(mol), bits.astype(np.int32), fingerprint[bits].astype(np.int32))


def to_json(features: MoleculeFeatures) -> list[str]:
    """Features as texts that JSON can hold."""
    arrays = (*features.graph, features.bits, features.counts)
    return [base64.b64encode(array.tobytes()).decode() for array in arrays]


def from_json(texts: list[Any]) -> MoleculeFeatures:
    """The reverse of `to_json`."""
    atoms, ends, bonds, bits, counts = (base64.b64decode(text) for text in texts)
    graph = GraphFeatures(np.frombuffer(atoms, np.float32).reshape(-1, ATOM_FEATURES),
                          np.frombuffer(ends, np.int32).reshape(2, -1),
                          np.frombuffer(bonds, np.float32).reshape(-1, BOND_FEATURES))
    return MoleculeFeatures(graph, np.frombuffer(bits, np.int32), np.frombuffer(counts, np.int32))
