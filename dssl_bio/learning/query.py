"""Shared vectors of molecules whose features workers have computed: what retrieval asks with."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Batch

from dssl_bio.chem.features import MoleculeFeatures
from dssl_bio.chem.standardize_many import Featurized
from dssl_bio.learning.inputs import MoleculeBatch
from dssl_bio.learning.model import MOLECULE
from dssl_bio.learning.phenotypes import CHUNK
from dssl_bio.learning.run import Run, log_doses


def shared_of(run: Run, molecules: Sequence[Featurized], dose_um: float | None = None) -> NDArray[np.float32]:
    """Shared vectors (N, D) of molecules, as `Run.embed_molecules` gives them, without the specific ones.

    Args:
        run: whose encoder.
        molecules: with the features that `molecule_needs` names for it.
        dose_um: of all of them, where the model reads doses; None says that the dose is not known.
    """
    dose = run.asked_dose(dose_um)
    run.model.eval()
    device = next(run.model.parameters()).device
    parts = [np.zeros((0, run.config.shared_dim), dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, len(molecules), CHUNK):
            features = [item.features for item in molecules[start:start + CHUNK]]
            batch = replace(molecule_batch(features), log_dose=log_doses(dose, len(features)))
            parts.append(run.model.shared(MOLECULE, batch.to(device)).cpu().numpy())
    return np.concatenate(parts)


def molecule_batch(features: Sequence[MoleculeFeatures]) -> MoleculeBatch:
    """The minibatch that `MoleculeInputs.batch` makes, by joining arrays instead of graph objects."""
    graphs = [item.graph for item in features if item.graph is not None]
    vectors = [item.vector for item in features if item.vector is not None]
    graph = None
    if graphs:
        sizes = np.array([len(item.atoms) for item in graphs])
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        ends = np.concatenate([item.ends + offset for item, offset in zip(graphs, first, strict=True)], axis=1)
        graph = Batch(x=torch.from_numpy(np.concatenate([item.atoms for item in graphs])),
                      edge_index=torch.from_numpy(ends).long(),
                      edge_attr=torch.from_numpy(np.concatenate([item.bonds for item in graphs])),
                      batch=torch.from_numpy(np.repeat(np.arange(len(graphs)), sizes)), _num_graphs=len(graphs))
    return MoleculeBatch(graph, torch.from_numpy(np.stack(vectors)) if vectors else None)
