"""Feature profiles (Cell Painting features, gene expression): standardise, reduce, MLP."""

import torch
from torch import Tensor, nn

from dssl_bio.learning.encoders.encoder import mlp

CLIP = 8.0


class ProfileScaler(nn.Module):
    """Standardises and clips features, then projects on principal components with partial whitening.

    Fitted on training rows only; mean, spread and components are buffers, saved with the weights, so
    that training and serving use the same numbers.
    """

    mean: Tensor
    spread: Tensor
    components: Tensor

    def __init__(self, n_features: int, n_components: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        self.register_buffer("components", torch.zeros(n_features, n_components))

    def fit(self, profiles: Tensor, whitening: float = 0.5) -> None:
        """Fits to training profiles (N, n_features).

        Args:
            profiles: rows of training molecules.
            whitening: 0 leaves the components' variances, 1 makes them equal.

        Raises:
            ValueError: fewer rows or features than components.
        """
        n_components = self.components.shape[1]
        if n_components > min(len(profiles) - 1, profiles.shape[1]):
            raise ValueError(f"{n_components} components cannot be fitted to profiles of shape {tuple(profiles.shape)}")
        x = profiles.double()
        self.mean.copy_(x.mean(0))
        spread = x.std(0, correction=0)
        self.spread.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))
        z = self._standardized(profiles).double()
        values, vectors = torch.linalg.eigh(z.T @ z / len(z))
        values, vectors = values.flip(0)[:n_components].clamp_min(1e-9), vectors.flip(1)[:, :n_components]
        self.components.copy_(vectors * values ** (-whitening / 2) * values[0] ** ((whitening - 1) / 2))

    def forward(self, profiles: Tensor) -> Tensor:
        """(N, n_components); the first component has about unit variance."""
        return self._standardized(profiles) @ self.components

    def _standardized(self, profiles: Tensor) -> Tensor:
        return ((profiles - self.mean) / self.spread).clamp(-CLIP, CLIP)


class MlpTrunk(nn.Module):
    """Scaler, then hidden layers (or none) beside a linear path, so that little data may stay linear."""

    def __init__(self, scaler: ProfileScaler, hidden: int = 256, layers: int = 2, dropout: float = 0.2):
        super().__init__()
        n_components = scaler.components.shape[1]
        self.scaler = scaler
        self.hidden = mlp(n_components, *(layers * [hidden]), dropout=dropout, norm=True) if layers else None
        self.dropout = nn.Dropout(dropout)
        self.out_features = n_components + (hidden if layers else 0)

    def forward(self, profiles: Tensor) -> Tensor:
        """(N, out_features) features of profiles (N, n_features)."""
        reduced = self.scaler(profiles)
        if self.hidden is None:
            return self.dropout(reduced)
        return torch.cat([self.dropout(reduced), self.hidden(reduced)], dim=1)
