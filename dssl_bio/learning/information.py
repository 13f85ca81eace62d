"""Estimates of mutual information between representations, in nats: bounds and estimates, named as such."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma
from torch import Tensor
from torch.nn import functional as F

from dssl_bio.learning.collapse import resultant_length
from dssl_bio.learning.losses.infonce import infonce

MINIBATCH = 256


def infonce_lower_bound(a: Tensor, b: Tensor, temperature: float = 0.07) -> float:
    """At most I(a; b) for unit vectors (N, D): ln N - InfoNCE, never above ln N (van den Oord et al. 2018)."""
    return math.log(len(a)) - float(infonce(a, b, temperature))


def club_estimate(shared: Tensor, specific: Tensor, ridge: float = 1e-3) -> float:
    """CLUB of I(shared; specific) with a linear Gaussian conditional, fitted on one half and read on the other.

    E log q(s|c) over pairs less the same over shuffled pairs (Cheng et al. 2020, ICML): an upper bound where
    q is the true conditional, here an estimate that sees linear dependence only.

    Args:
        shared: (N, D).
        specific: (N, E); N should be well above D.
        ridge: added to the shared code's covariance, relative to its mean variance.
    """
    half = len(shared) // 2
    c, s = shared.double(), specific.double()
    c, s = c - c[:half].mean(0), s - s[:half].mean(0)
    gram = c[:half].T @ c[:half]
    gram = gram + ridge * gram.diagonal().mean().clamp_min(1e-12) * torch.eye(len(gram), dtype=c.dtype, device=c.device)
    weights = torch.linalg.solve(gram, c[:half].T @ s[:half])
    variance = (s[:half] - c[:half] @ weights).square().mean(0).clamp_min(1e-12)
    predicted, seen = c[half:] @ weights, s[half:]
    pairs = (seen - predicted).square().mean(0)
    # Mean over all pairs (i, j) of (s_j - p_i)^2.
    apart = seen.square().mean(0) + predicted.square().mean(0) - 2 * seen.mean(0) * predicted.mean(0)
    return float(((apart - pairs) / (2 * variance)).sum())


def nearest_neighbour_estimate(x: NDArray[np.floating], y: NDArray[np.floating], neighbours: int = 5) -> float:
    """I(x; y) by Kraskov, Stoegbauer and Grassberger 2004 (PRE 69, 066138), algorithm 1, for a few dimensions.

    Args:
        x: (N, D).
        y: (N, E).
        neighbours: k of the algorithm.
    """
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} rows, y has {len(y)}")
    radius = cKDTree(np.hstack([x, y])).query(np.hstack([x, y]), neighbours + 1, p=np.inf)[0][:, -1]
    closer = np.nextafter(radius, 0)
    within = [np.asarray(cKDTree(part).query_ball_point(part, closer, p=np.inf, return_length=True)) for part in (x, y)]
    return float(digamma(neighbours) + digamma(len(x)) - np.mean(digamma(within[0]) + digamma(within[1])))


def diagnostics(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], temperature: float) -> dict[str, float]:
    """Bounds and estimates from the (shared, specific) codes of N pairs, to be logged with every training.

    Returns:
        shared_information_lower_bound: InfoNCE bound of I(shared_1; shared_2), at most ln 256.
        resultant_length_1, resultant_length_2: 1 for a collapsed shared code.
        specific_shared_club_1, specific_shared_club_2: CLUB estimate of I(specific; own shared).
    """
    found: dict[str, float] = {}
    if first[0].shape[1] and first[0].shape == second[0].shape:
        unit = [F.normalize(codes[0].float(), dim=1) for codes in (first, second)]
        blocks = list(zip(unit[0].split(MINIBATCH), unit[1].split(MINIBATCH), strict=True))
        blocks = [block for block in blocks if len(block[0]) == min(MINIBATCH, len(unit[0]))]
        bounds = [infonce_lower_bound(a, b, temperature) for a, b in blocks]
        found["shared_information_lower_bound"] = float(np.mean(bounds))
    for number, (shared, specific) in enumerate((first, second), start=1):
        if shared.shape[1]:
            found[f"resultant_length_{number}"] = resultant_length(shared)
            if specific.shape[1]:
                found[f"specific_shared_club_{number}"] = club_estimate(shared, specific)
    return found
