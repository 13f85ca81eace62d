"""An encoder: a trunk that reads the inputs and a head that ends in a representation."""

import math
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RESIDUAL_CLIP = 6.0
"""Standard deviations at which residual features are cut off: held-out inputs may lie far from what was fitted."""


MAX_NUISANCE = 16
"""Directions that can be taken out of a code."""


class Trunk(Protocol):
    """What a trunk offers: features (N, out_features) of a minibatch of inputs."""

    out_features: int

    def __call__(self, inputs: Any) -> Tensor:
        """Features of the inputs, (N, out_features)."""


def mlp(*widths: int, dropout: float = 0.0, norm: bool = False) -> nn.Sequential:
    """Linear layers of the given widths with ReLU between them (and LayerNorm, dropout before each ReLU's end)."""
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        layers.append(nn.Linear(width_in, width_out))
        if norm:
            layers.append(nn.LayerNorm(width_out))
        layers += [nn.ReLU(), nn.Dropout(dropout)] if dropout else [nn.ReLU()]
    last = max(i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear))
    return nn.Sequential(*layers[:last + 1])


class Members(nn.Module):
    """Several heads, each a linear path beside a hidden layer; their unit vectors side by side.

    Heads differ in initialisation and dropout, and each has a loss of its own: the cosine of two joined vectors is
    the mean of the heads' cosines, an ensemble in one model. With a `ridge` weight one more member stands beside
    them, which is fitted and not trained (see `ridge`); the others together have weight 1. It reads the same
    features, or `ridge_width` of its own, or with `ridge_of_codes` what the other members say.
    """

    anchor: Tensor
    anchor_centre: Tensor

    def __init__(self, width: int, hidden: int, out_dim: int, members: int, dropout: float, ridge: float = 0.0,
                 ridge_width: int = 0, ridge_of_codes: bool = False):
        super().__init__()
        n_parts = members + (ridge > 0)
        if out_dim % n_parts:
            raise ValueError(f"{out_dim} dimensions cannot be divided among {n_parts} members")
        dim = out_dim // n_parts
        self.out_features = out_dim
        self.linear = nn.ModuleList(nn.Linear(width, dim) for _ in range(members))
        self.hidden = nn.ModuleList(mlp(width, hidden, dim, dropout=dropout, norm=True) for _ in range(members))
        self.ridge_scale, self.ridge_of_codes = math.sqrt(ridge * members), ridge_of_codes
        if ridge > 0:
            n_read = members * dim if ridge_of_codes else ridge_width or width
            self.register_buffer("anchor", torch.zeros(n_read, dim))
            if ridge_of_codes:
                self.register_buffer("anchor_centre", torch.zeros(n_read))

    def forward(self, features: Tensor, own: Tensor | None = None) -> Tensor:
        """(N, out_dim), the members' unit vectors of equal dimensions; the ridge member's, scaled, comes last.

        Args:
            features: (N, width).
            own: (N, ridge_width) features of the ridge member, where it has its own.
        """
        pairs = zip(self.linear, self.hidden, strict=True)
        parts = [F.normalize(linear(features) + hidden(features), dim=1) for linear, hidden in pairs]
        if self.ridge_scale > 0:
            read = features if own is None else own
            if self.ridge_of_codes:
                read = torch.cat(parts, dim=1) - self.anchor_centre
            parts.append(self.ridge_scale * F.normalize(read @ self.anchor, dim=1))
        return torch.cat(parts, dim=1)


class Encoder(nn.Module):
    """Trunk, then an MLP with one hidden layer on [trunk features ; condition].

    A specific encoder is conditioned on the own shared code (arXiv 2410.23996, step 2: F([x ; c]));
    a shared encoder has no condition, and may have several `members` (see Members).
    Running statistics of a trunk are constants in evaluation mode, in which frozen encoders stay.

    A ridge member may read the inputs by a map of its own, `ridge_input`, in place of the trunk, or with
    `ridge_of_codes` the other members' codes.

    With `projection` directions can be taken out of the code (see `plates`); none are until they are fitted.

    With `residual` the trunk is the shared encoder's, frozen, and the head reads what the own shared code does not
    explain of its features (see `fit_residual`): the step-2 contrast cannot be solved by what is shared already.
    """

    explained: Tensor
    condition_centre: Tensor
    centre: Tensor
    spread: Tensor
    nuisance: Tensor
    nuisance_centre: Tensor

    def __init__(self, trunk: nn.Module, out_dim: int, hidden: int = 256, condition_dim: int = 0, dropout: float = 0.0,
                 members: int = 1, ridge: float = 0.0, residual: bool = False, ridge_input: nn.Module | None = None,
                 ridge_of_codes: bool = False, projection: bool = False):
        super().__init__()
        self.trunk = trunk
        self.projection = projection
        if projection:
            self.register_buffer("nuisance", torch.zeros(out_dim, MAX_NUISANCE))
            self.register_buffer("nuisance_centre", torch.zeros(out_dim))
        self.ridge_input = ridge_input
        ridge_width = 0 if ridge_input is None else int(ridge_input.out_features)  # type: ignore[arg-type]
        self.condition_dim = condition_dim
        self.residual = residual
        if residual:
            n_features = int(trunk.out_features)  # type: ignore[arg-type]
            trunk.requires_grad_(False)
            self.register_buffer("explained", torch.zeros(condition_dim, n_features))
            self.register_buffer("condition_centre", torch.zeros(condition_dim))
            self.register_buffer("centre", torch.zeros(n_features))
            self.register_buffer("spread", torch.ones(n_features))
        width = int(trunk.out_features) + condition_dim  # type: ignore[arg-type]
        self.head = (mlp(width, hidden, out_dim, dropout=dropout, norm=True) if members == 1 and ridge == 0
                     else nn.Sequential(Members(width, hidden, out_dim, members, dropout, ridge, ridge_width,
                                                ridge_of_codes)))

    def forward(self, inputs: Any, condition: Tensor | None = None) -> Tensor:
        """(N, out_dim), of any length.

        Args:
            inputs: what the trunk reads.
            condition: (N, condition_dim), needed exactly when condition_dim is positive.
        """
        features = self.trunk(inputs)
        if (condition is None) != (self.condition_dim == 0):
            raise ValueError(f"a condition of {self.condition_dim} dimensions was declared, got "
                             f"{'none' if condition is None else tuple(condition.shape)}")
        if condition is not None:
            if self.residual:
                features = (self._rest(features, condition) / self.spread).clamp(-RESIDUAL_CLIP, RESIDUAL_CLIP)
            features = torch.cat([features, condition.to(features.dtype)], dim=1)
        code = self.head(features) if self.ridge_input is None else self.head[-1](features, self.ridge_input(inputs))
        if self.projection and not self.training:
            code = F.normalize(code, dim=1)
            code = code - (code - self.nuisance_centre.to(code.dtype)) @ self.nuisance @ self.nuisance.T
        return code

    def fit_residual(self, features: Tensor, condition: Tensor, ridge: float = 0.01) -> None:
        """Fits what the condition explains of the trunk's features, by ridge regression on training rows.

        Args:
            features: (N, out_features) of the trunk.
            condition: (N, condition_dim), the own shared codes.
            ridge: penalty, in units of the mean eigenvalue of the conditions' scatter.
        """
        self.condition_centre.copy_(condition.mean(0))
        self.centre.copy_(features.mean(0))
        c, x = (condition - self.condition_centre).double(), (features - self.centre).double()
        scatter = c.T @ c
        scatter += ridge * scatter.diagonal().mean() * torch.eye(len(scatter), dtype=scatter.dtype)
        self.explained.copy_(torch.linalg.solve(scatter, c.T @ x).float())
        spread = self._rest(features, condition).std(0)
        self.spread.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))

    def _rest(self, features: Tensor, condition: Tensor) -> Tensor:
        return features - self.centre - (condition.to(features.dtype) - self.condition_centre) @ self.explained

    def train(self, mode: bool = True) -> "Encoder":
        """Training mode; a trunk that is the shared encoder's stays in evaluation mode, as when it was fitted."""
        super().train(mode)
        if self.residual:
            self.trunk.eval()
        return self
