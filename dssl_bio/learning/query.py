"""Shared vectors of molecules whose features workers have computed: what retrieval asks with."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Batch

from dssl_bio.chem.features import OFFERED, MoleculeFeatures
from dssl_bio.chem.standardize_many import Featurized
from dssl_bio.learning.inputs import MoleculeBatch
from dssl_bio.learning.model import MOLECULE, molecule_needs
from dssl_bio.learning.run import CHUNK, Run


def shared_of(run: Run, molecules: Sequence[Featurized]) -> NDArray[np.float32]:
    """Shared vectors (N, D) of molecules, as `Run.embed_molecules` gives them, without the specific ones.

    An encoder that needs features which the workers do not compute gets them here.
    """
    needs = molecule_needs(run.config)
    if not needs <= OFFERED:
        return run.embed_molecules([item.molecule for item in molecules]).shared
    run.model.eval()
    device = next(run.model.parameters()).device
    parts = [np.zeros((0, run.config.shared_dim), dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, len(molecules), CHUNK):
            batch = molecule_batch([item.features for item in molecules[start:start + CHUNK]], needs)
            parts.append(run.model.shared(MOLECULE, batch.to(device)).cpu().numpy())
    return np.concatenate(parts)


def molecule_batch(features: Sequence[MoleculeFeatures], needs: frozenset[str]) -> MoleculeBatch:
    """The minibatch that `MoleculeInputs.batch` makes, by joining arrays instead of graph objects."""
    graph = fingerprint = None
    if "graph" in needs:
        sizes = np.array([len(item.graph.atoms) for item in features])
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        ends = np.concatenate([item.graph.ends + offset for item, offset in zip(features, first, strict=True)], axis=1)
        graph = Batch(x=torch.from_numpy(np.concatenate([item.graph.atoms for item in features])),
                      edge_index=torch.from_numpy(ends).long(),
                      edge_attr=torch.from_numpy(np.concatenate([item.graph.bonds for item in features])),
                      batch=torch.from_numpy(np.repeat(np.arange(len(features)), sizes)), _num_graphs=len(features))
    if "fingerprint" in needs:
        fingerprint = torch.from_numpy(np.stack([item.fingerprint() for item in features]))
    return MoleculeBatch(graph, fingerprint)
