"""CLOOB: InfoLOOB on representations that modern Hopfield networks retrieved."""

import torch
from torch import Tensor
from torch.nn import functional as F


def infoloob(a: Tensor, b: Tensor, inverse_temperature: float = 30.0) -> Tensor:
    """Mean of -log[ exp(t a_i.b_i) / sum_{j != i} exp(t a_i.b_j) ]: InfoNCE with the positive left out below.

    Poole et al. 2019 ("leave one out" bound); it can be negative.

    Args:
        a: (N, D) unit anchors, N at least 2.
        b: (N, D) unit samples.
        inverse_temperature: t.
    """
    if a.shape != b.shape or len(a) < 2:
        raise ValueError(f"expected two views of one shape and at least 2 rows, got {tuple(a.shape)}, {tuple(b.shape)}")
    scores = inverse_temperature * a @ b.T
    others = scores.masked_fill(torch.eye(len(a), dtype=torch.bool, device=a.device), -torch.inf)
    return (others.logsumexp(1) - scores.diagonal()).mean()


def retrieved(states: Tensor, memory: Tensor, hopfield_scale: float = 8.0) -> Tensor:
    """Unit vectors (N, D) that a modern Hopfield network recalls for states (N, D) from a memory (M, D)."""
    return F.normalize((hopfield_scale * states @ memory.T).softmax(1) @ memory, dim=1)


def cloob(x: Tensor, y: Tensor, inverse_temperature: float = 30.0, hopfield_scale: float = 8.0) -> Tensor:
    """CLOOB's loss (Fuerst et al. 2022, NeurIPS, arXiv 2110.11316, equations 3 to 6), half of their sum.

    Args:
        x: (N, D) unit vectors of the first view.
        y: (N, D) unit vectors of the second; row i belongs to x[i].
        inverse_temperature: of InfoLOOB.
        hopfield_scale: of the retrieval.
    """
    from_x, from_y = ((retrieved(x, memory, hopfield_scale), retrieved(y, memory, hopfield_scale)) for memory in (x, y))
    # Anchors are x in the first memory and y in the second, as the authors write it.
    one, two = (infoloob(anchors, others, inverse_temperature) for anchors, others in (from_x, from_y[::-1]))
    return (one + two) / 2
