"""Pairwise sigmoid loss of image-text models."""

import torch
from torch import Tensor
from torch.nn import functional as F


def siglip(a: Tensor, b: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """-1/N sum_ij log sigmoid(y_ij (scale a_i.b_j + bias)), y_ij = 1 for a pair and -1 otherwise.

    Zhai et al. 2023 (ICCV, arXiv 2303.15343), algorithm 1.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors; row i belongs to a[i].
        scale: positive scalar.
        bias: scalar; about -10 at the start, so that the many negatives begin with little loss.
    """
    if a.shape != b.shape:
        raise ValueError(f"views differ in shape: {tuple(a.shape)} and {tuple(b.shape)}")
    sign = 2 * torch.eye(len(a), device=a.device, dtype=a.dtype) - 1
    return -F.logsigmoid(sign * (scale * a @ b.T + bias)).sum() / len(a)
