"""Feature profiles (Cell Painting features, gene expression): standardise, reduce, MLP."""

import torch
from torch import Tensor, nn

from dssl_bio.learning.encoders.encoder import mlp
from dssl_bio.learning.transforms import independent_features, robust_centre_and_spread, sphering

CLIP = 8.0


class ProfileScaler(nn.Module):
    """Standardises and clips features, then projects on principal components with partial whitening.

    Fitted on training rows only; mean, spread and components are buffers, saved with the weights, so
    that training and serving use the same numbers. Sphering on controls and the choice of features are linear, and
    part of the components.
    """

    mean: Tensor
    spread: Tensor
    components: Tensor

    def __init__(self, n_features: int, n_components: int, transform: str = "none"):
        """Zeros until it is fitted; `transform` signed_log is sign(x) log(1 + |x|), before everything else."""
        super().__init__()
        self.signed_log = transform == "signed_log"
        self.out_features = n_components
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        self.register_buffer("components", torch.zeros(n_features, n_components))

    def fit(self, profiles: Tensor, whitening: float = 0.5, *, robust: bool = False, max_correlation: float = 1.0,
            controls: Tensor | None = None, shrinkage: float = 0.1) -> None:
        """Fits to training profiles (N, n_features).

        Args:
            profiles: rows of training molecules.
            whitening: 0 leaves the components' variances, 1 makes them equal.
            robust: scale by the median absolute deviation in place of the standard deviation.
            max_correlation: of two features that correlate more than this in absolute value, one is left out.
            controls: (C, n_features) profiles of untreated wells: directions in which they vary are made small.
            shrinkage: of their covariance, see `transforms.sphering`.

        Raises:
            ValueError: fewer rows or features than components.
        """
        n_components = self.components.shape[1]
        if n_components > min(len(profiles) - 1, profiles.shape[1]):
            raise ValueError(f"{n_components} components cannot be fitted to profiles of shape {tuple(profiles.shape)}")
        x = self._transformed(profiles).double()
        mean, spread = (x.mean(0), x.std(0, correction=0)) if not robust else robust_centre_and_spread(x, CLIP)
        self.mean.copy_(mean)
        self.spread.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))
        z = self.standardized(profiles).double()
        prepared = self._prepared(z, max_correlation, controls, shrinkage, n_components)
        values, vectors = torch.linalg.eigh((z @ prepared).T @ (z @ prepared) / len(z))
        values, vectors = values.flip(0)[:n_components].clamp_min(1e-9), vectors.flip(1)[:, :n_components]
        scale = values ** (-whitening / 2) * values[0] ** ((whitening - 1) / 2)
        self.components.copy_(prepared @ (vectors * scale))

    def _prepared(self, z: Tensor, max_correlation: float, controls: Tensor | None, shrinkage: float,
                  n_components: int) -> Tensor:
        """(n_features, kept) linear map of standardised features before the principal components."""
        kept = torch.arange(z.shape[1])
        if max_correlation < 1:
            kept = independent_features(z, max_correlation)
            if len(kept) < n_components:
                raise ValueError(f"{len(kept)} features correlate at most {max_correlation:g}, and {n_components} "
                                 "components were asked for")
        selected = torch.eye(z.shape[1], dtype=z.dtype)[:, kept]
        if controls is None:
            return selected
        return selected @ sphering(self.standardized(controls).double()[:, kept], shrinkage)

    def forward(self, profiles: Tensor) -> Tensor:
        """(N, n_components); the first component has about unit variance."""
        return self.standardized(profiles) @ self.components

    def standardized(self, profiles: Tensor) -> Tensor:
        """(N, n_features) transformed, standardised and clipped, before the components."""
        return ((self._transformed(profiles) - self.mean) / self.spread).clamp(-CLIP, CLIP)

    def _transformed(self, profiles: Tensor) -> Tensor:
        return profiles.sign() * profiles.abs().log1p() if self.signed_log else profiles


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
