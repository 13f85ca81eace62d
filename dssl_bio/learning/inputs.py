"""Minibatches as encoders read them, and what they are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from dssl_bio.chem.fingerprints import FINGERPRINT_BITS, count_morgan
from dssl_bio.chem.graphs import molecule_graph
from dssl_bio.chem.kernel_blocks import BLOCK_WIDTH, kernel_blocks
from dssl_bio.chem.standardize import Molecule


@dataclass(frozen=True)
class MoleculeBatch:
    """N molecules: as one big graph, as count fingerprints (N, bits) or the blocks of several kernels, or both.

    Attributes:
        graph: of all molecules.
        fingerprint: (N, bits), or what an encoder made of it before.
        log_dose: (N,) log10 of the dose in uM, NaN where it is not known; None where no dose is known.
    """

    graph: Batch | None
    fingerprint: Tensor | None
    log_dose: Tensor | None = None

    def to(self, device: torch.device) -> "MoleculeBatch":
        """The same on another device."""
        parts = (self.graph, self.fingerprint, self.log_dose)
        return MoleculeBatch(*(None if part is None else part.to(device) for part in parts))

    def __len__(self) -> int:
        if self.fingerprint is not None:
            return len(self.fingerprint)
        return 0 if self.graph is None else int(self.graph.num_graphs)


@dataclass(frozen=True)
class MoleculeInputs:
    """Featurised molecules, of which minibatches are taken."""

    graphs: list[Data] | None
    fingerprints: Tensor | None

    @classmethod
    def of(cls, molecules: Sequence[Molecule], needs: frozenset[str]) -> "MoleculeInputs":
        """Features of molecules: `graph`, and `fingerprint` or `kernels`, as the encoder says it needs."""
        graphs = [molecule_graph(molecule) for molecule in molecules] if "graph" in needs else None
        fingerprints = None
        if "fingerprint" in needs:
            counts = [count_morgan(molecule) for molecule in molecules]
            fingerprints = torch.from_numpy(np.array(counts, dtype=np.float32).reshape(-1, FINGERPRINT_BITS))
        elif "kernels" in needs:
            blocks = [kernel_blocks(molecule) for molecule in molecules]
            fingerprints = torch.from_numpy(np.array(blocks, dtype=np.float32).reshape(-1, BLOCK_WIDTH))
        return cls(graphs, fingerprints)

    def __len__(self) -> int:
        if self.fingerprints is not None:
            return len(self.fingerprints)
        return len(self.graphs or [])

    def batch(self, rows: Sequence[int], log_dose: Tensor | None = None) -> MoleculeBatch:
        """A minibatch of some molecules, in the order asked for, at some doses (see `MoleculeBatch`)."""
        graph = None if self.graphs is None else Batch.from_data_list([self.graphs[row] for row in rows])
        fingerprint = None if self.fingerprints is None else self.fingerprints[list(rows)]
        return MoleculeBatch(graph, fingerprint, log_dose)
