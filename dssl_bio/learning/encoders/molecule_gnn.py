"""GINE: a graph network over atoms and bonds."""

import torch
from torch import Tensor, nn
from torch_geometric.nn import GINEConv, global_add_pool, global_max_pool, global_mean_pool

from dssl_bio.chem.graphs import ATOM_FEATURES, BOND_FEATURES
from dssl_bio.learning.encoders.encoder import mlp
from dssl_bio.learning.inputs import MoleculeBatch


class GineTrunk(nn.Module):
    """Graph isomorphism network with bond features (Hu et al., ICLR 2020, arXiv 1905.12265), residual, pre-normalised.

    The graph's features are mean, maximum and sum over atoms, from the last layer, standardised by the statistics of
    training minibatches (constants in evaluation mode).
    """

    needs = frozenset({"graph"})

    def __init__(self, hidden: int = 128, layers: int = 4, dropout: float = 0.1):
        super().__init__()
        self.out_features = 3 * hidden
        self.atoms = nn.Linear(ATOM_FEATURES, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        self.convolutions = nn.ModuleList(
            GINEConv(mlp(hidden, 2 * hidden, hidden), train_eps=True, edge_dim=BOND_FEATURES) for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.last_norm = nn.LayerNorm(hidden)
        self.standardised = nn.BatchNorm1d(self.out_features, affine=False)

    def forward(self, molecules: MoleculeBatch) -> Tensor:
        """(N, 3 * hidden) features of N molecules."""
        graph = molecules.graph
        if graph is None:
            raise ValueError("the GNN needs graphs, and the minibatch has none")
        h = self.atoms(graph.x)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            h = h + self.dropout(convolution(norm(h), graph.edge_index, graph.edge_attr))
        h = self.last_norm(h)
        size = graph.num_graphs
        pools = (global_mean_pool, global_max_pool, global_add_pool)  # the sum tells sizes apart
        return self.standardised(torch.cat([pool(h, graph.batch, size) for pool in pools], dim=1))
