"""What the several-kernel encoder compares: three count fingerprints and a block of descriptors."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from dssl_bio.chem.fingerprints import DESCRIPTORS
from dssl_bio.chem.standardize import Molecule

BITS = 2048
_FEATURE_ATOMS = rdFingerprintGenerator.GetMorganFeatureAtomInvGen()
_GENERATORS = (
    rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS),
    rdFingerprintGenerator.GetMorganGenerator(radius=3, fpSize=BITS, atomInvariantsGenerator=_FEATURE_ATOMS),
    rdFingerprintGenerator.GetAtomPairGenerator(fpSize=BITS),
)
N_COUNT_BLOCKS = len(_GENERATORS)
KEPT = 2048
"""Molecules whose blocks are remembered, 25 kB each: a benchmark asks for the same ones in every fold and seed."""
_VECTORS = (rdMolDescriptors.MQNs_, rdMolDescriptors.SlogP_VSA_, rdMolDescriptors.SMR_VSA_, rdMolDescriptors.PEOE_VSA_)


def kernel_blocks(molecule: Molecule) -> NDArray[np.float32]:
    """Counts of Morgan (radius 2), pharmacophoric Morgan (radius 3) and atom pairs, then descriptors, (BLOCK_WIDTH,).

    Descriptors are those a chemist can name, the molecular quantum numbers (Nguyen et al. 2009) and surface areas
    by logP, refractivity and charge (Labute 2000), as signed logarithms; what cannot be computed is 0.
    """
    return _blocks(molecule.smiles)


@lru_cache(maxsize=KEPT)
def _blocks(smiles: str) -> NDArray[np.float32]:
    blocks = kernel_blocks_of(Chem.MolFromSmiles(smiles))
    blocks.setflags(write=False)  # whoever asks again gets the same array
    return blocks


def kernel_blocks_of(mol: Chem.Mol) -> NDArray[np.float32]:
    """`kernel_blocks` of a molecule that is parsed already."""
    counts = [generator.GetCountFingerprintAsNumPy(mol) for generator in _GENERATORS]
    values = np.array(_descriptors(mol), dtype=float)
    values[~np.isfinite(values)] = 0
    return np.concatenate([*counts, np.sign(values) * np.log1p(np.abs(values))]).astype(np.float32)


def _descriptors(mol: Chem.Mol) -> list[float]:
    return [*(function(mol) for function in DESCRIPTORS.values()),
            *(float(value) for function in _VECTORS for value in function(mol))]


N_DESCRIPTORS = len(_descriptors(Chem.MolFromSmiles("CC")))
BLOCK_WIDTH = N_COUNT_BLOCKS * BITS + N_DESCRIPTORS
