"""Estimates of mutual information between representations, in nats: bounds and estimates, named as such."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma
from torch import Tensor
from torch.nn import functional as F

from dssl_bio.learning.collapse import resultant_length
from dssl_bio.learning.losses.infonce import infonce
from dssl_bio.learning.representation import SharedSpecific

MINIBATCH = 256
MIN_ROWS, NEIGHBOUR_ROWS = 32, 1000


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
    if len(shared) != len(specific):
        raise ValueError(f"shared has {len(shared)} rows, specific has {len(specific)}")
    if len(shared) < 4:
        raise ValueError(f"CLUB is fitted on one half of the rows and read on the other: expected at least 4, got "
                         f"{len(shared)}")
    half = len(shared) // 2
    centre = shared[:half].double().mean(0), specific[:half].double().mean(0)

    def blocks(first: int, last: int) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(first, last, MINIBATCH):  # float64 of a few rows at a time
            rows = slice(start, min(start + MINIBATCH, last))
            yield shared[rows].double() - centre[0], specific[rows].double() - centre[1]

    gram, cross = (sum(parts) for parts in zip(*((c.T @ c, c.T @ s) for c, s in blocks(0, half)), strict=True))
    eye = torch.eye(shared.shape[1], dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.solve(gram + ridge * gram.diagonal().mean().clamp_min(1e-12) * eye, cross)
    residual = sum((s - c @ weights).square().sum(0) for c, s in blocks(0, half))
    # Mean over all pairs (i, j) of (s_j - p_i)^2, less that over the pairs that belong together.
    sums = [sum(parts) for parts in zip(*(((c @ weights).sum(0), s.sum(0), (s * (c @ weights)).sum(0))
                                          for c, s in blocks(half, len(shared))), strict=True)]
    n = len(shared) - half
    together, apart = sums[2] / n, sums[0] / n * sums[1] / n
    return float(((together - apart) / (residual / half).clamp_min(1e-12)).sum())


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
    """Bounds and estimates in nats from the (shared, specific) codes of N pairs, to be logged with every training.

    A code of no dimensions is left out. What the names say is what the numbers are: `lower_bound` never exceeds the
    information (but for chance), `club` is an upper bound only where the conditional is linear and Gaussian, `knn` is
    the information between the two leading principal components of each, which is at most that of the whole codes.

    Args:
        first: (N, D) shared and (N, E) specific codes of the first modality.
        second: the same of the second; row i is paired with row i of the first.
        temperature: of the InfoNCE bound.

    Returns:
        shared_information_lower_bound: InfoNCE bound of I(shared_1; shared_2), at most ln 256.
        resultant_length_1, resultant_length_2: 1 for a collapsed shared code.
        specific_resultant_length_1, specific_resultant_length_2: 1 for a collapsed specific code.
        specific_shared_club_1, specific_shared_club_2: CLUB estimate of I(specific; own shared).
        specific_shared_knn_1, specific_shared_knn_2: nearest-neighbour estimate of the same.
    """
    found: dict[str, float] = {}
    if first[0].shape[1] and first[0].shape == second[0].shape and len(first[0]) > 1:
        size = min(MINIBATCH, len(first[0]))
        blocks = list(zip(first[0].split(size), second[0].split(size), strict=True))
        found["shared_information_lower_bound"] = float(np.mean([
            infonce_lower_bound(F.normalize(a.float(), dim=1), F.normalize(b.float(), dim=1), temperature)
            for a, b in blocks if len(a) == size]))
    for number, (shared, specific) in enumerate((first, second), start=1):
        if shared.shape[1]:
            found[f"resultant_length_{number}"] = resultant_length(shared)
            if specific.shape[1]:
                found[f"specific_resultant_length_{number}"] = resultant_length(specific)
            if specific.shape[1] and len(shared) >= MIN_ROWS:
                # A regression on more dimensions than a quarter of its rows would find what is not there.
                many = [_leading(code, len(shared) // 8) for code in (shared, specific)]
                found[f"specific_shared_club_{number}"] = club_estimate(many[0], many[1])
                few = [_leading(code[:NEIGHBOUR_ROWS], 2).cpu().numpy() for code in (shared, specific)]
                found[f"specific_shared_knn_{number}"] = nearest_neighbour_estimate(few[0], few[1])
    return found


def pair_diagnostics(molecules: SharedSpecific, phenotypes: SharedSpecific, owner: NDArray[np.int64],
                     temperature: float, specific: bool = True) -> dict[str, float]:
    """`diagnostics` of molecules and their phenotypes; the first phenotype of each molecule is its partner.

    Args:
        molecules: M codes.
        phenotypes: G codes.
        owner: (G,) number of each phenotype's molecule.
        temperature: of the InfoNCE bound.
        specific: whether the specific codes are trained yet; otherwise they are left out.

    Returns:
        see `diagnostics`, first is the molecule and second the phenotype; and n_pairs.
    """
    numbers, chosen = np.unique(owner, return_index=True)
    codes = []
    for both in (molecules.take(numbers), phenotypes.take(chosen)):
        shared = torch.as_tensor(both.shared)
        codes.append((shared, torch.as_tensor(both.specific) if specific else shared[:, :0]))
    return {**diagnostics(codes[0], codes[1], temperature), "n_pairs": float(len(numbers))}


def _leading(code: Tensor, components: int) -> Tensor:
    """(N, components) scores on the leading principal components, of unit variance; all of them is the code itself."""
    centred = (code - code.mean(0)).double()
    if components >= code.shape[1]:
        return centred
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    return centred @ vectors[:, -components:] / values[-components:].clamp_min(1e-18).sqrt()
