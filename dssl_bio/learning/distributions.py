"""The von Mises-Fisher distribution: posterior of the shared representation in step 1."""

import math

import torch
from scipy.special import ive
from torch import Tensor
from torch.nn import functional as F

MIN_KAPPA, MAX_KAPPA = 1e-3, 1e6


def mean_resultant_length(dim: int, kappa: float) -> float:
    """A_d(kappa) = I_{d/2}(kappa) / I_{d/2-1}(kappa), in (0, 1): the mean cosine to the mean direction.

    Raises:
        ValueError: dim below 2 or kappa outside [1e-3, 1e6].
    """
    _check(dim, kappa)
    order = dim / 2
    denominator = ive(order - 1, kappa)
    if denominator > 1e-200:
        return float(ive(order, kappa) / denominator)
    # Both Bessel functions underflow (many dimensions, small kappa); there the continued fraction
    # I_v / I_{v-1} = 1 / (2v/k + 1 / (2(v+1)/k + ...)) converges within a few terms.
    ratio = 0.0
    for step in range(1000, -1, -1):
        ratio = 1 / (2 * (order + step) / kappa + ratio)
    return ratio


def vmf_kl(mean_1: Tensor, mean_2: Tensor, kappa: float) -> Tensor:
    """KL( vMF(mean_1, kappa) || vMF(mean_2, kappa) ) in nats, one value a row.

    Equal kappa on both sides gives kappa * A_d(kappa) * (1 - mean_1 . mean_2), symmetric in 1 and 2
    (arXiv 2410.23996, step 1; the authors' code drops the factor and the constant).

    Args:
        mean_1: (N, D) unit vectors.
        mean_2: (N, D) unit vectors.
        kappa: concentration, shared by both.
    """
    if mean_1.shape != mean_2.shape:
        raise ValueError(f"mean directions differ in shape: {tuple(mean_1.shape)} and {tuple(mean_2.shape)}")
    return kappa * mean_resultant_length(mean_1.shape[1], kappa) * (1 - (mean_1 * mean_2).sum(1))


def sample_vmf(mean: Tensor, kappa: float, generator: torch.Generator | None = None) -> Tensor:
    """One reparameterised draw of vMF(mean, kappa) for each row.

    Wood's rejection sampler for the component along the mean, vectorised over rows (each round
    redraws the rows still open), a uniform tangent direction, and the Householder reflection that
    takes the first axis to the mean. Gradient flows through the mean only: kappa is fixed.

    Args:
        mean: (N, D) unit vectors, D >= 2.
        kappa: concentration.
        generator: source of randomness; torch's global one when absent.

    Returns:
        (N, D) unit vectors.
    """
    n, dim = mean.shape
    _check(dim, kappa)
    along = _component_along_mean(n, dim, kappa, mean.device, generator).to(mean.dtype)  # (N, 1)
    tangent = F.normalize(torch.randn(n, dim - 1, device=mean.device, dtype=mean.dtype, generator=generator), dim=1)
    around_first_axis = torch.cat([along, (1 - along**2).clamp_min(1e-10).sqrt() * tangent], dim=1)
    first_axis = torch.zeros_like(mean)
    first_axis[:, 0] = 1
    axis = first_axis - mean
    axis = axis / (axis.norm(dim=1, keepdim=True) + 1e-5)  # stays finite where the mean is the first axis
    reflected = around_first_axis - 2 * (around_first_axis * axis).sum(1, keepdim=True) * axis
    return F.normalize(reflected, dim=1)


def _component_along_mean(n: int, dim: int, kappa: float, device: torch.device,
                          generator: torch.Generator | None) -> Tensor:
    """(n, 1) draws of the cosine between sample and mean (Wood 1994, algorithm VM*), in float64."""
    # b in the form without cancellation at large kappa.
    b = (dim - 1) / (2 * kappa + math.sqrt(4 * kappa**2 + (dim - 1) ** 2))
    x0 = (1 - b) / (1 + b)
    c = kappa * x0 + (dim - 1) * math.log(1 - x0**2)
    result = torch.empty(n, dtype=torch.float64, device=device)
    todo = torch.arange(n, device=device)
    shape = torch.full((1,), (dim - 1) / 2, dtype=torch.float64, device=device)
    while len(todo):
        gamma = torch._standard_gamma(shape.expand(2 * len(todo)).contiguous(), generator=generator)
        first, second = gamma[: len(todo)], gamma[len(todo):]
        z = first / (first + second)
        w = (1 - (1 + b) * z) / (1 - (1 - b) * z)
        u = torch.rand(len(todo), dtype=torch.float64, device=device, generator=generator)
        accepted = kappa * w + (dim - 1) * torch.log(1 - x0 * w) - c >= torch.log(u.clamp_min(1e-300))
        result[todo[accepted]] = w[accepted]
        todo = todo[~accepted]
    return result.unsqueeze(1)


def _check(dim: int, kappa: float) -> None:
    if dim < 2:
        raise ValueError(f"a direction needs at least 2 dimensions, got {dim}")
    if not MIN_KAPPA <= kappa <= MAX_KAPPA:
        raise ValueError(f"kappa must lie in [{MIN_KAPPA}, {MAX_KAPPA}], got {kappa}")
