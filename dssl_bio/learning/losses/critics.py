"""Contrastive bounds of mutual information from the scores of a learned critic (FactorCL)."""

import math

import torch
from torch import Tensor, nn


class PairCritic(nn.Module):
    """Scores f(x_i, y_j) of all pairs: one hidden ReLU layer on [x ; y].

    The first layer on a concatenation is a sum of two linear maps, so it is applied to rows and not to pairs.
    """

    def __init__(self, width_x: int, width_y: int, hidden: int = 512):
        super().__init__()
        self.of_x = nn.Linear(width_x, hidden)
        self.of_y = nn.Linear(width_y, hidden, bias=False)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(N, N) scores; the diagonal holds the pairs."""
        return self.out(torch.relu(self.of_x(x)[:, None] + self.of_y(y)[None, :])).squeeze(-1)


def nce_bound(scores: Tensor) -> Tensor:
    """E f(pair) - E log sum_k exp f(x, y_k) + log N: a lower bound of I(x; y), at most log N."""
    return (scores.diagonal() - scores.logsumexp(1)).mean() + math.log(len(scores))


def nce_club(scores: Tensor) -> Tensor:
    """E f(pair) - E f(all pairs): an upper bound of I(x; y) where f is the optimal critic of `nce_bound`.

    Liang et al. 2023 (FactorCL, NeurIPS, arXiv 2306.05268), equation 8.
    """
    return scores.diagonal().mean() - scores.mean()
