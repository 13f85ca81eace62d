"""Atoms and bonds of a molecule as numbers, without torch: what worker processes compute."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

_ELEMENTS = (5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53)
_HYBRIDISATIONS = (Chem.HybridizationType.SP, Chem.HybridizationType.SP2, Chem.HybridizationType.SP3)
_BONDS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC)
_CHIRALITIES = (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
_STEREO = (Chem.BondStereo.STEREOZ, Chem.BondStereo.STEREOE)
_RING_SIZES = (3, 4, 5, 6, 7)


class GraphFeatures(NamedTuple):
    """Atoms (A, ATOM_FEATURES), ends (2, 2B) of both directions of every bond, bonds (2B, BOND_FEATURES).

    Features are one-hot or scaled to about unit size.
    """

    atoms: NDArray[np.float32]
    ends: NDArray[np.int32]
    bonds: NDArray[np.float32]


def graph_features(mol: Chem.Mol) -> GraphFeatures:
    """What the GNN reads of a molecule."""
    atoms = np.array([_atom(atom) for atom in mol.GetAtoms()], dtype=np.float32)
    ends, bonds = [], []
    for bond in mol.GetBonds():
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        features = _bond(bond)
        ends += [(a, b), (b, a)]
        bonds += [features, features]
    return GraphFeatures(atoms.reshape(-1, ATOM_FEATURES), np.array(ends, dtype=np.int32).reshape(-1, 2).T,
                         np.array(bonds, dtype=np.float32).reshape(-1, BOND_FEATURES))


class _OneHot(dict[object, tuple[float, ...]]):
    """One place for each choice and a last one for anything else."""

    def __init__(self, choices: tuple[object, ...]):
        width = len(choices) + 1
        rows = [tuple(float(place == hot) for place in range(width)) for hot in range(width)]
        super().__init__(zip(choices, rows, strict=False))
        self._other = rows[-1]

    def __missing__(self, value: object) -> tuple[float, ...]:
        return self._other


_ELEMENT, _DEGREE, _HYDROGENS = _OneHot(_ELEMENTS), _OneHot((1, 2, 3, 4)), _OneHot((0, 1, 2, 3))
_HYBRIDISATION, _CHIRALITY = _OneHot(_HYBRIDISATIONS), _OneHot(_CHIRALITIES)
_BOND, _BOND_STEREO = _OneHot(_BONDS), _OneHot(_STEREO)
_IN_NO_RING = (0.0,) * (1 + len(_RING_SIZES))


def _atom(atom: Chem.Atom) -> list[float]:
    ring = _IN_NO_RING
    if atom.IsInRing():
        ring = (1.0, *(float(atom.IsInRingSize(size)) for size in _RING_SIZES))
    return [
        *_ELEMENT[atom.GetAtomicNum()],
        *_DEGREE[atom.GetTotalDegree()],
        *_HYDROGENS[atom.GetTotalNumHs()],
        *_HYBRIDISATION[atom.GetHybridization()],
        *_CHIRALITY[atom.GetChiralTag()],
        float(atom.GetFormalCharge()),
        float(atom.GetIsAromatic()),
        *ring,
        atom.GetMass() / 100,
    ]


def _bond(bond: Chem.Bond) -> list[float]:
    return [
        *_BOND[bond.GetBondType()],
        *_BOND_STEREO[bond.GetStereo()],
        float(bond.GetIsConjugated()),
        float(bond.IsInRing()),
    ]


def _probe() -> tuple[int, int]:
    mol = Chem.MolFromSmiles("CC")
    return len(_atom(mol.GetAtomWithIdx(0))), len(_bond(mol.GetBondWithIdx(0)))


ATOM_FEATURES, BOND_FEATURES = _probe()
