"""Kernel dependence of two representations: sees what a correlation cannot, such as a square."""

import torch
from torch import Tensor

from dssl_bio.learning.losses.dependence import require_same_rows

MIN_OWN = 1e-4
"""Below this a code's kernel varies by little more than rounding."""


def hsic(shared: Tensor, specific: Tensor) -> Tensor:
    """Normalised Hilbert-Schmidt independence criterion: 0 in the mean for independent codes, 1 for identical ones.

    Gaussian kernels with the median distance as bandwidth (constant in the gradient), the unbiased estimator of
    Song et al. 2012 (JMLR 13, equation 5), divided by the root of the codes' own values, so that neither
    scale nor minibatch size changes its meaning. It can be slightly negative.

    Args:
        shared: (N, D), N at least 4.
        specific: (N, E), row i from the same input.

    Raises:
        ValueError: rows do not match, fewer than 4, or a value that is not finite.
    """
    require_same_rows(shared, specific)
    if len(shared) < 4:
        raise ValueError(f"HSIC needs at least 4 rows, got {len(shared)}")
    k, m = _kernel(shared), _kernel(specific)
    # A collapsed code has no variance of its own: its dependence then counts as nothing.
    own = [unbiased_hsic(x, x).clamp_min(MIN_OWN) for x in (k, m)]
    return unbiased_hsic(k, m) / (own[0] * own[1]).sqrt()


def unbiased_hsic(k: Tensor, m: Tensor) -> Tensor:
    """Unbiased HSIC from two kernel matrices (N, N) whose diagonals are ignored."""
    n = len(k)
    k, m = k - torch.diag(torch.diagonal(k)), m - torch.diag(torch.diagonal(m))
    rows_k, rows_m = k.sum(1), m.sum(1)
    trace = (k * m).sum()
    apart = rows_k.sum() * rows_m.sum() / ((n - 1) * (n - 2))
    chained = 2 / (n - 2) * (rows_k * rows_m).sum()
    return (trace + apart - chained) / (n * (n - 3))


def _kernel(x: Tensor) -> Tensor:
    x = x.float()
    x = x - x.mean(0)  # distances of nearly equal rows would otherwise drown in rounding
    square = (x.square().sum(1)[:, None] + x.square().sum(1)[None, :] - 2 * x @ x.T).clamp_min(0)
    off_diagonal = square.detach()[~torch.eye(len(x), dtype=torch.bool, device=x.device)]
    return torch.exp(-square / off_diagonal.median().clamp_min(1e-6))
