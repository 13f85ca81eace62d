"""Dose beside structure: what a molecule does depends on how much of it there is."""

import math

import torch
from torch import Tensor, nn

from dssl_bio.learning.inputs import MoleculeBatch

N_BUMPS = 4
BEYOND = 1.5
"""How far outside of the training doses the input still moves, in halves of their logarithmic range."""


class DoseTrunk(nn.Module):
    """A molecule trunk's features, then those of the dose: known or not, its logarithm, and where on its range.

    The logarithm is 0 in the middle of the training doses and -1 and 1 at their ends (MolPhenix encodes dose likewise,
    Fradkin et al. 2024, arXiv 2409.08302). A dose that is not known gives zeros, which training has seen too.
    """

    def __init__(self, trunk: nn.Module, low_um: float, high_um: float):
        """Wraps a trunk; the smallest and the largest dose of training wells set the scale."""
        super().__init__()
        self.trunk, self.needs = trunk, trunk.needs
        self.out_features = int(trunk.out_features) + 2 + N_BUMPS  # type: ignore[arg-type]
        low, high = math.log10(low_um), math.log10(high_um)
        self._centre, self._half = (low + high) / 2, max((high - low) / 2, 1e-6)

    def forward(self, molecules: MoleculeBatch) -> Tensor:
        """(N, out_features) features of N molecules at their doses."""
        features = self.trunk(molecules)
        return torch.cat([features, self.dose_features(molecules.log_dose, features)], dim=1)

    def dose_features(self, log_dose: Tensor | None, like: Tensor) -> Tensor:
        """(N, 2 + N_BUMPS) of log10 doses (N,) in uM, NaN where not known; `like` (N, ...) says how many and where."""
        if log_dose is None:
            return like.new_zeros(len(like), 2 + N_BUMPS)
        known = ~log_dose.isnan()
        place = ((log_dose.nan_to_num() - self._centre) / self._half).clamp(-BEYOND, BEYOND).to(like.dtype)
        centres = torch.linspace(-1, 1, N_BUMPS, device=like.device, dtype=like.dtype)
        bumps = torch.exp(-((place[:, None] - centres) * N_BUMPS / 2).square())
        return torch.cat([torch.ones_like(place)[:, None], place[:, None], bumps], dim=1) * known[:, None]
