"""Features from (shared, specific), each with a spread of its own."""

import math

import torch
from torch import Tensor, nn

from dssl_bio.learning.encoders.encoder import mlp

CLIP = 8.0
MIN_LOG_SPREAD, MAX_LOG_SPREAD = -4.0, 2.0
BETA = 0.5
"""Weight of the variance in the likelihood (Seitzer et al. 2022, arXiv 2203.09168): 0 is the Gaussian likelihood, which
neglects the mean where spread is large, and 1 is the squared error."""


class ProfileDecoder(nn.Module):
    """An MLP beside a linear path, to the mean and the log spread of every feature.

    Mean and spread of the training wells' features are buffers, and so is `widening` (F,): the factor by which the
    predicted spread must be multiplied for intervals that hold 90 % of held-out wells (split conformal prediction,
    Lei et al. 2018).
    """

    mean: Tensor
    spread: Tensor
    widening: Tensor

    def __init__(self, n_features: int, shared_dim: int, specific_dim: int, hidden: int = 256, dropout: float = 0.1):
        super().__init__()
        width = shared_dim + specific_dim
        self.shared_dim, self.specific_dim = shared_dim, specific_dim
        self.linear = nn.Linear(width, n_features)
        self.hidden = mlp(width, hidden, 2 * n_features, dropout=dropout, norm=True)
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        self.register_buffer("widening", torch.full((n_features,), 1.645))

    def fit_scale(self, features: Tensor) -> None:
        """Takes mean and spread from training wells (N, F)."""
        self.mean.copy_(features.double().mean(0))
        spread = features.double().std(0, correction=0)
        self.spread.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))

    def standardised(self, features: Tensor) -> Tensor:
        """(N, F) in units of the training wells' spread, clipped."""
        return ((features - self.mean) / self.spread).clamp(-CLIP, CLIP)

    def forward(self, shared: Tensor, specific: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised mean and log spread, (N, F) each, of unit vectors (N, D) and (N, E)."""
        parts = [shared * math.sqrt(max(1, self.shared_dim))]
        if self.specific_dim:
            parts.append(specific * math.sqrt(self.specific_dim))
        joint = torch.cat(parts, dim=1)
        mean, log_spread = self.hidden(joint).chunk(2, dim=1)
        return self.linear(joint) + mean, log_spread.clamp(MIN_LOG_SPREAD, MAX_LOG_SPREAD)

    def decoded(self, shared: Tensor, specific: Tensor) -> Tensor:
        """Mean features (N, F) in their own units."""
        return self(shared, specific)[0] * self.spread + self.mean

    def half_width(self, shared: Tensor, specific: Tensor) -> Tensor:
        """Half of the 90 % interval (N, F), in the features' own units."""
        return self(shared, specific)[1].exp() * self.widening * self.spread


def profile_loss(decoder: nn.Module, features: Tensor, shared: Tensor, specific: Tensor) -> Tensor:
    """Gaussian likelihood of standardised features, weighted by variance ** BETA."""
    mean, log_spread = decoder(shared, specific)
    target = decoder.standardised(features)  # type: ignore[operator]
    variance = (2 * log_spread).exp()
    likelihood = 0.5 * (target - mean).square() / variance + log_spread
    return (likelihood * variance.detach() ** BETA).mean()


def widening_of(residuals: Tensor, spread: Tensor, level: float = 0.9) -> Tensor:
    """Factor (F,) on the spread that covers a share of held-out residuals, feature by feature.

    Args:
        residuals: (N, F) standardised residuals of wells the decoder was not trained on.
        spread: (N, F) predicted for them.
        level: share to cover.

    Returns:
        The ceil((N + 1) level)-th smallest |residual| / spread, the largest one where N is too small for the level.
    """
    scores = (residuals.abs() / spread).sort(dim=0).values
    place = min(len(scores), math.ceil((len(scores) + 1) * level)) - 1
    return scores[place]
