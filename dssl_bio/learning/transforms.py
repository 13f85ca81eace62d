"""Transforms of feature profiles that are fitted to rows: robust scaling, choice of features, sphering on controls."""

import torch
from torch import Tensor

ROUNDING = 1e-9
MAD_TO_SPREAD = 1.4826
"""Times the median absolute deviation: the standard deviation of a Gaussian."""


def robust_centre_and_spread(rows: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Centre and spread (F,) of rows (N, F) that a few wild wells do not move.

    The spread is 1.4826 times the median absolute deviation, or the standard deviation where that vanishes. The centre
    is the mean of what is left after clipping around the median, so that clipped rows have a mean of 0.
    """
    median = rows.median(0).values
    spread = MAD_TO_SPREAD * (rows - median).abs().median(0).values
    deviation = rows.std(0, correction=0)
    spread = torch.where(spread > 1e-6, spread, torch.where(deviation > 1e-6, deviation, torch.ones_like(spread)))
    return median + spread * ((rows - median) / spread).clamp(-clip, clip).mean(0), spread


def independent_features(rows: Tensor, max_correlation: float) -> Tensor:
    """Numbers, ascending, of features that vary and of which no two correlate more than a bound in absolute value.

    Features enter in the order of how little they correlate with all others (as pycytominer's correlation_threshold
    drops, of a pair, the one that correlates more with the rest), and one that repeats an earlier one is left out.

    Args:
        rows: (N, F).
        max_correlation: in (0, 1].
    """
    centred = rows - rows.mean(0)
    length = centred.norm(dim=0)
    varies = torch.nonzero(length > 1e-9 * max(1.0, float(length.max())))[:, 0]
    unit = centred[:, varies] / length[varies]
    correlation = (unit.T @ unit).abs()
    kept: list[int] = []
    for number in correlation.sum(0).argsort(stable=True).tolist():
        if not kept or float(correlation[number, kept].max()) <= max_correlation + ROUNDING:
            kept.append(number)
    return varies[kept].sort().values


def sphering(controls: Tensor, shrinkage: float) -> Tensor:
    """The symmetric map (F, F) after which untreated wells vary alike in every direction (ZCA).

    What untreated wells differ in is plate, position and chance, so those directions are made small and all others
    keep their size; typical variation normalisation does the same before it aligns batches (Ando et al. 2017).

    Args:
        controls: (C, F) standardised profiles of untreated wells, of any mean.
        shrinkage: in [0, 1]: share of the mean variance in place of the covariance; 1 changes no direction. With fewer
            controls than features it must be positive, or directions in which they do not vary would explode.

    Returns:
        W with cov(controls @ W) = I for shrinkage 0, and of the same mean variance as before otherwise.

    Raises:
        ValueError: fewer than two controls, or no shrinkage with too few of them.
    """
    n, n_features = controls.shape
    if n < 2 or (shrinkage == 0 and n <= n_features):
        raise ValueError(f"{n} controls cannot sphere {n_features} features" + (" without shrinkage" * (n >= 2)))
    covariance = torch.cov(controls.T, correction=0).reshape(n_features, n_features)
    mean_variance = covariance.diagonal().mean()
    if mean_variance <= 0:
        raise ValueError("the controls do not vary")
    shrunk = (1 - shrinkage) * covariance + shrinkage * mean_variance * torch.eye(n_features, dtype=controls.dtype)
    values, vectors = torch.linalg.eigh(shrunk)
    return vectors * values.clamp_min(1e-12).rsqrt() @ vectors.T * (mean_variance.sqrt() if shrinkage > 0 else 1.0)
