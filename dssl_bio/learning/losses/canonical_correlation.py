"""Canonical correlation of two representations."""

import torch
from torch import Tensor


def canonical_correlation_loss(a: Tensor, b: Tensor, ridge: float = 1e-3) -> Tensor:
    """Minus the sum of all canonical correlations, -|| S11^(-1/2) S12 S22^(-1/2) ||_*, in [-min(D, E), 0].

    Andrew et al. 2013 (ICML), section 3. Whitening by the Cholesky factor in place of the inverse
    root changes the matrix by rotations, which the nuclear norm does not see, and has a stable gradient.

    Args:
        a: (N, D), N well above D + E: below, correlations are 1 by chance.
        b: (N, E), row i belongs to a[i].
        ridge: added to the variances, in units of the codes.

    Raises:
        ValueError: rows do not match, or no more rows than dimensions.
    """
    if len(a) != len(b):
        raise ValueError(f"views differ in rows: {len(a)} and {len(b)}")
    if len(a) <= max(a.shape[1], b.shape[1]):
        raise ValueError(f"canonical correlations of {a.shape[1]} dimensions need more rows than that, got {len(a)}")
    one, two = a.double() - a.double().mean(0), b.double() - b.double().mean(0)
    n = len(a) - 1
    factors = []
    for x in (one, two):
        eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        factors.append(torch.linalg.cholesky(x.T @ x / n + ridge * eye))
    half = torch.linalg.solve_triangular(factors[0], one.T @ two / n, upper=False)
    whitened = torch.linalg.solve_triangular(factors[1], half.T, upper=False)
    return -torch.linalg.matrix_norm(whitened, "nuc").to(a.dtype)
