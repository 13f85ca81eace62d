"""Penalties that keep shared information out of the specific representation (step 2)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def authors_orthogonality(shared: Tensor, specific: Tensor) -> Tensor:
    """Frobenius norm of shared^T specific with rows of unit length: the authors' penalty, as they use it.

    Not divided by N and not centred: independent codes still give about sqrt(N), so lambda changes
    meaning with the minibatch size. Kept for reproduction only (arXiv 2410.23996, step 2).

    Args:
        shared: (N, D).
        specific: (N, E), row i from the same input.
    """
    require_same_rows(shared, specific)
    return (F.normalize(shared, dim=1).T @ F.normalize(specific, dim=1)).norm()


def scaled_orthogonality(shared: Tensor, specific: Tensor) -> Tensor:
    """The authors' penalty over sqrt(N): about 1, not 0, for independent isotropic codes, at any minibatch size.

    For comparison with the other penalties under one objective; codes that are constant still give sqrt(N).

    Args:
        shared: (N, D).
        specific: (N, E), row i from the same input.
    """
    return authors_orthogonality(shared, specific) / len(shared) ** 0.5


def cross_covariance(shared: Tensor, specific: Tensor) -> Tensor:
    """Mean squared correlation of shared and specific coordinates, less what independence would give.

    Columns are standardised, C = shared^T specific / N, and mean(C^2) is an unbiased 1/(N-1) above zero for
    independent codes; that floor is subtracted, so the value means the same at every minibatch size
    (it can be slightly negative). It is 1/D for identical isotropic codes of D dimensions and is
    multiplied by D here: identical codes give about 1, independent ones about 0.

    Args:
        shared: (N, D), N at least 3.
        specific: (N, E), row i from the same input.

    Raises:
        ValueError: rows do not match, or fewer than 3.
    """
    require_same_rows(shared, specific)
    n = len(shared)
    if n < 3:
        raise ValueError(f"a correlation needs at least 3 rows, got {n}")
    correlation = _standardized(shared).T @ _standardized(specific) / n  # (D, E)
    floor = 1 / (n - 1)
    return (correlation.square().mean() - floor) / (1 - floor) * min(correlation.shape)


def _standardized(x: Tensor, eps: float = 1e-4) -> Tensor:
    centred = x - x.mean(0)
    # A collapsed column divides by eps, not by zero: its correlation then counts as nothing.
    return centred / (centred.square().mean(0) + eps**2).sqrt()


def require_same_rows(shared: Tensor, specific: Tensor) -> None:
    """Refuses representations of different inputs, and ones that are not finite."""
    if len(shared) != len(specific):
        raise ValueError(f"shared has {len(shared)} rows, specific has {len(specific)}")
    if not (torch.isfinite(shared).all() and torch.isfinite(specific).all()):
        raise ValueError("a representation holds NaN or infinity")
