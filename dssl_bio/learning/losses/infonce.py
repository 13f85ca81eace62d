"""Symmetric InfoNCE, with one or more positives a row."""

from torch import Tensor


def infonce(a: Tensor, b: Tensor, temperature: float = 0.07, groups: Tensor | None = None) -> Tensor:
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
    if groups is None:
        # Both cross-entropies from one matrix: a transposed one would be copied, forwards and backwards.
        return ((logits.logsumexp(1) + logits.logsumexp(0)) / 2 - logits.diagonal()).mean()
    same = (groups[:, None] == groups[None, :]).to(logits.dtype)
    target = same / same.sum(1, keepdim=True)  # symmetric: a row and a column of one group have one size
    entropy = same.sum(1).log().mean()
    forward = -(target * logits.log_softmax(1)).sum(1).mean()
    backward = -(target * logits.T.log_softmax(1)).sum(1).mean()
    return (forward + backward) / 2 - entropy
