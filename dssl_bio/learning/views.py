"""Augmented views: changes that leave a molecule or a phenotype what it is for the question asked."""

import torch
from torch import Tensor
from torch_geometric.data import Batch

from dssl_bio.chem.fingerprints import FINGERPRINT_BITS
from dssl_bio.learning.inputs import MoleculeBatch


def molecule_view(molecules: MoleculeBatch, mask: float = 0.1) -> MoleculeBatch:
    """Atoms' features and bonds masked, and fingerprint bits silenced, each with probability `mask`.

    The blocks of several kernels, of which descriptors are a part, are left to the encoder's dropout.
    """
    graph, fingerprint = molecules.graph, molecules.fingerprint
    if graph is not None:
        kept_atoms = torch.rand(len(graph.x), 1, device=graph.x.device) >= mask
        kept_bonds = torch.rand(len(graph.edge_attr), 1, device=graph.x.device) >= mask
        graph = Batch(x=graph.x * kept_atoms, edge_index=graph.edge_index, edge_attr=graph.edge_attr * kept_bonds,
                      batch=graph.batch, _num_graphs=graph.num_graphs)
    if fingerprint is not None and fingerprint.shape[1] == FINGERPRINT_BITS:
        fingerprint = fingerprint * (torch.rand_like(fingerprint) >= mask)
    return MoleculeBatch(graph, fingerprint, molecules.log_dose)


def profile_view(profiles: Tensor, spread: Tensor, noise: float = 0.1, drop: float = 0.1) -> Tensor:
    """Gaussian noise of `noise` standard deviations, and a share `drop` of features set to their mean of the minibatch.

    Args:
        profiles: (N, F).
        spread: (F,) standard deviation of each feature over training rows.
        noise: in units of `spread`.
        drop: probability of each feature of each row.
    """
    noisy = profiles + noise * spread * torch.randn_like(profiles)
    dropped = torch.rand_like(profiles) < drop
    return torch.where(dropped, profiles.mean(0, keepdim=True), noisy)


def tile_view(tiles: Tensor, gain: float = 0.1) -> Tensor:
    """One of the eight orientations for the minibatch's halves, and a gain per channel of each tile.

    Position within the plate, illumination and stain do not survive as orientation or absolute brightness does not.

    Args:
        tiles: (N, C, H, H) scaled tiles.
        gain: spread of the log gain.
    """
    turned = torch.empty_like(tiles)
    orientation = torch.randint(0, 8, (len(tiles),), device=tiles.device)
    for which in range(8):
        rows = orientation == which
        if rows.any():
            part = torch.rot90(tiles[rows], which % 4, (2, 3))
            turned[rows] = part.flip(3) if which >= 4 else part
    gains = torch.exp(gain * torch.randn(len(tiles), tiles.shape[1], 1, 1, device=tiles.device))
    return turned * gains
