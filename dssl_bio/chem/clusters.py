"""Clusters of similar molecules: a stricter division than scaffolds, which near analogues may cross."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import DataStructs
from rdkit.Chem import MolFromSmiles, rdFingerprintGenerator
from rdkit.ML.Cluster import Butina

from dssl_bio.chem.standardize import Molecule

SIMILARITY = 0.35
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)


def butina_clusters(molecules: Sequence[Molecule], similarity: float = SIMILARITY) -> NDArray[np.int64]:
    """Cluster number of each molecule (M,), by Butina's sphere exclusion on count-Morgan Tanimoto similarity.

    Args:
        molecules: M molecules.
        similarity: members of a cluster are at least this similar to its centre (Butina 1999).
    """
    prints = [_MORGAN.GetCountFingerprint(MolFromSmiles(molecule.smiles)) for molecule in molecules]
    distances: list[float] = []
    for i in range(1, len(prints)):
        distances.extend(1 - value for value in DataStructs.BulkTanimotoSimilarity(prints[i], prints[:i]))
    numbers = np.zeros(len(molecules), dtype=np.int64)
    clusters = Butina.ClusterData(distances, len(prints), 1 - similarity, isDistData=True, reordering=True)
    for number, members in enumerate(clusters):
        numbers[list(members)] = number
    return numbers
