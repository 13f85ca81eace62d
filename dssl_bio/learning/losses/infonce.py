"""Symmetric InfoNCE, with one or more positives a row."""

import torch
from torch import Tensor


def infonce(a: Tensor, b: Tensor, temperature: float = 0.07, groups: Tensor | None = None,
            weights: Tensor | None = None, emphasis: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE between two views, in nats: the lower it is, the higher the bound ln N - loss.

    0.5 [ CE(S, diagonal) + CE(S^T, diagonal) ] with S = a b^T / temperature (arXiv 2410.23996, step 1).
    With groups, all rows of one group are each other's positives: the target of a row is uniform over
    its group, and the loss is measured from the entropy of that target, so that a perfect model
    reaches 0 with and without repeats. Equal molecules are thus never each other's negatives.

    Args:
        a: (N, D) unit vectors of the first view.
        b: (N, D) unit vectors of the second view; row i belongs to a[i].
        temperature: positive.
        groups: (N,) integers, equal for rows that are the same perturbation; all different when absent.
        weights: (N,) how much each pair counts in the mean, not negative; all alike when absent.
        emphasis: (N, N) positive: how much each other row counts as a negative of a row, in both directions, as
            InfoCORE (Wang et al. 2024, ICLR) reweights negatives; its entries for positives are not read.

    Raises:
        ValueError: shapes differ, fewer than two rows, or a temperature that is not positive.
    """
    if a.shape != b.shape:
        raise ValueError(f"views differ in shape: {tuple(a.shape)} and {tuple(b.shape)}")
    if len(a) < 2:
        raise ValueError("InfoNCE needs a minibatch of at least 2 rows, got 1: there is no negative")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    logits = a @ b.T / temperature  # (N, N)
    if groups is None and weights is None and emphasis is None:
        # Both cross-entropies from one matrix: a transposed one would be copied, forwards and backwards.
        return ((logits.logsumexp(1) + logits.logsumexp(0)) / 2 - logits.diagonal()).mean()
    numbers = torch.arange(len(a), device=a.device) if groups is None else groups
    together = numbers[:, None] == numbers[None, :]
    same = together.to(logits.dtype)
    target = same / same.sum(1, keepdim=True)  # symmetric: a row and a column of one group have one size
    pressure = torch.zeros_like(logits) if emphasis is None else emphasis.log().masked_fill(together, 0)
    losses = [(pressure + one).logsumexp(1) - (target * one).sum(1) for one in (logits, logits.T)]
    loss = (losses[0] + losses[1]) / 2 - same.sum(1).log()  # (N,)
    return loss.mean() if weights is None else (weights * loss).sum() / weights.sum().clamp_min(1e-9)


def emphasis_of_alike(batches: Tensor, extra: float) -> Tensor:
    """Emphasis (N, N) on negatives of a row's own plate or batch: each counts 1 + extra times one of another.

    Every row's emphasis has a mean of 1 over the others, so the bound's scale stays. Telling plates apart then gains
    little, since most of what a row is contrasted with lies on its own.

    Args:
        batches: (N,) number of each row's plate or batch; -1 is like no other.
        extra: not negative; 0 gives ones.
    """
    alike = (batches[:, None] == batches[None, :]) & (batches[:, None] >= 0)
    alike.fill_diagonal_(False)
    emphasis = 1 + extra * alike.float()
    others = emphasis.sum(1, keepdim=True) - 1  # without the row itself
    return emphasis * (len(batches) - 1) / others
