"""The von Mises-Fisher distribution: posterior of the shared representation in step 1."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln, ive, logsumexp
from torch import Tensor
from torch.nn import functional as F

MIN_KAPPA, MAX_KAPPA = 1e-3, 1e6
CANDIDATES = 4


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


def vmf_kl(mean_1: Tensor, mean_2: Tensor, kappa: float | Tensor, kappa_2: float | Tensor | None = None) -> Tensor:
    """KL( vMF(mean_1, kappa) || vMF(mean_2, kappa_2) ) in nats, one value a row.

    Equal kappa on both sides gives kappa * A_d(kappa) * (1 - mean_1 . mean_2), symmetric in 1 and 2
    (arXiv 2410.23996, step 1; the authors' code drops the factor and the constant). In general
    KL = k1 A_d(k1) - k2 A_d(k1) mean_1 . mean_2 + log C_d(k1) - log C_d(k2), with gradients to both kappas.

    Args:
        mean_1: (N, D) unit vectors.
        mean_2: (N, D) unit vectors.
        kappa: concentration of the first: a number, or a tensor () or (N,) where it is learned.
        kappa_2: concentration of the second; that of the first when absent.

    Raises:
        ValueError: shapes differ, or a kappa outside [1e-3, 1e6].
    """
    if mean_1.shape != mean_2.shape:
        raise ValueError(f"mean directions differ in shape: {tuple(mean_1.shape)} and {tuple(mean_2.shape)}")
    dim, cosine = mean_1.shape[1], (mean_1 * mean_2).sum(1)
    if kappa_2 is None and not isinstance(kappa, Tensor):
        return kappa * mean_resultant_length(dim, kappa) * (1 - cosine)
    # Normalisers are thousands of nats at common kappas, and their difference is a few: float64.
    one = torch.as_tensor(kappa, dtype=torch.float64, device=mean_1.device)
    two = one if kappa_2 is None else torch.as_tensor(kappa_2, dtype=torch.float64, device=mean_1.device)
    length = resultant_length(dim, one)
    divergence = one * length - two * length * cosine.double() + log_normalizer(dim, one) - log_normalizer(dim, two)
    return divergence.to(mean_1.dtype)


def resultant_length(dim: int, kappa: Tensor) -> Tensor:
    """A_d(kappa), elementwise and differentiable: A' = 1 - A^2 - (d - 1) A / kappa."""
    return _ResultantLength.apply(kappa, dim)


def log_normalizer(dim: int, kappa: Tensor) -> Tensor:
    """Log of the factor C_d(kappa) in the density C_d exp(kappa mean . z) on the sphere; slope -A_d(kappa)."""
    return _LogNormalizer.apply(kappa, dim)


class _ResultantLength(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kappa: Tensor, dim: int) -> Tensor:
        length = _elementwise(mean_resultant_length, dim, kappa)
        ctx.save_for_backward(kappa, length)
        ctx.dim = dim
        return length

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        kappa, length = ctx.saved_tensors
        return gradients[0] * (1 - length**2 - (ctx.dim - 1) * length / kappa), None


class _LogNormalizer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kappa: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(kappa)
        ctx.dim = dim
        return _elementwise(_log_normalizer, dim, kappa)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kappa,) = ctx.saved_tensors
        return -gradients[0] * _elementwise(mean_resultant_length, ctx.dim, kappa), None


def _elementwise(function: Any, dim: int, kappa: Tensor) -> Tensor:
    values = [function(dim, value) for value in kappa.detach().double().flatten().tolist()]
    return torch.tensor(values, dtype=kappa.dtype, device=kappa.device).reshape(kappa.shape)


def _log_normalizer(dim: int, kappa: float) -> float:
    _check(dim, kappa)
    order = dim / 2 - 1
    scaled = ive(order, kappa)
    if scaled > 1e-200:
        log_bessel = math.log(scaled) + kappa
    else:  # the power series, where the Bessel function underflows
        term = np.arange(2000)
        log_bessel = float(logsumexp((2 * term + order) * math.log(kappa / 2) - gammaln(term + 1)
                                     - gammaln(term + order + 1)))
    return order * math.log(kappa) - dim / 2 * math.log(2 * math.pi) - log_bessel


def sample_vmf(mean: Tensor, kappa: float | Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One reparameterised draw of vMF(mean, kappa) for each row.

    Wood's rejection sampler for the component along the mean, vectorised over rows (each round
    redraws the rows still open), a uniform tangent direction, and the Householder reflection that
    takes the first axis to the mean. Gradient flows through the mean, and through kappa where it is a
    tensor that wants one (by implicit differentiation of the component's distribution function).

    Args:
        mean: (N, D) unit vectors, D >= 2.
        kappa: concentration: a number, or a tensor () or (N,).
        generator: source of randomness; torch's global one when absent.

    Returns:
        (N, D) unit vectors.
    """
    n, dim = mean.shape
    along = _component_along_mean(n, dim, kappa, mean.device, generator).to(mean.dtype)  # (N, 1)
    tangent = F.normalize(torch.randn(n, dim - 1, device=mean.device, dtype=mean.dtype, generator=generator), dim=1)
    around_first_axis = torch.cat([along, (1 - along**2).clamp_min(1e-10).sqrt() * tangent], dim=1)
    axis = -mean
    axis[:, 0] += 1
    # The reflection across first axis - mean; the small number keeps it finite where the two are one.
    scale = 2 * (around_first_axis * axis).sum(1, keepdim=True) / (axis.square().sum(1, keepdim=True) + 1e-12)
    return around_first_axis - scale * axis


def _component_along_mean(n: int, dim: int, kappa: float | Tensor, device: torch.device,
                          generator: torch.Generator | None) -> Tensor:
    """(n, 1) draws of the cosine between sample and mean (Wood 1994, algorithm VM*), in float64."""
    if isinstance(kappa, Tensor):
        values = kappa.detach().unique().tolist()
        for value in values:
            _check(dim, value)
        if len(values) == 1:
            drawn = _one_kappa(n, dim, values[0], device, generator)
        else:
            drawn = _own_kappas(n, dim, kappa.detach().double().to(device).expand(n), generator)
        if kappa.requires_grad:
            return _ImplicitComponent.apply(kappa.double().expand(n), drawn, dim).unsqueeze(1)
        return drawn.unsqueeze(1)
    _check(dim, kappa)
    return _one_kappa(n, dim, kappa, device, generator).unsqueeze(1)


def _one_kappa(n: int, dim: int, kappa: float, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """(n,) draws where all rows have one kappa: any accepted candidate will do for any row, so none is wasted."""
    # b in the form without cancellation at large kappa.
    b = (dim - 1) / (2 * kappa + math.sqrt(4 * kappa**2 + (dim - 1) ** 2))
    x0 = (1 - b) / (1 + b)
    c = kappa * x0 + (dim - 1) * math.log1p(-(x0**2))
    found: list[Tensor] = []
    missing = n
    while missing > 0:
        w, accepted = _candidates((2 * missing + CANDIDATES,), dim, kappa, b, x0, c, device, generator)
        found.append(w[accepted][:missing])
        missing -= len(found[-1])
    return torch.cat(found)


def _own_kappas(n: int, dim: int, k: Tensor, generator: torch.Generator | None) -> Tensor:
    """(n,) draws where each row has a kappa of its own: several candidates a row at once, until each row has one."""
    b = (dim - 1) / (2 * k + (4 * k**2 + (dim - 1) ** 2).sqrt())
    x0 = (1 - b) / (1 + b)
    c = k * x0 + (dim - 1) * torch.log1p(-(x0**2))
    result = torch.empty(n, dtype=torch.float64, device=k.device)
    todo = torch.arange(n, device=k.device)
    while len(todo):
        w, accepted = _candidates((CANDIDATES, len(todo)), dim, k, b, x0, c, k.device, generator)
        chosen = accepted.to(torch.uint8).argmax(0, keepdim=True)  # a row's first accepted candidate
        result[todo] = w.gather(0, chosen).squeeze(0)
        refused = ~accepted.any(0)
        todo, k, b, x0, c = todo[refused], k[refused], b[refused], x0[refused], c[refused]
    return result


def _candidates(shape: tuple[int, ...], dim: int, kappa: Any, b: Any, x0: Any, c: Any, device: torch.device,
                generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Candidates of the component, and whether each is accepted; the envelope is a transformed Beta distribution."""
    half = torch.full((2, *shape), (dim - 1) / 2, dtype=torch.float64, device=device)
    first, second = torch._standard_gamma(half, generator=generator)
    z = first / (first + second)  # Beta((dim-1)/2, (dim-1)/2)
    w = (1 - (1 + b) * z) / (1 - (1 - b) * z)
    u = torch.rand(shape, dtype=torch.float64, device=device, generator=generator)
    return w, kappa * w + (dim - 1) * torch.log(1 - x0 * w) - c >= torch.log(u.clamp_min(1e-300))


class _ImplicitComponent(torch.autograd.Function):
    """Passes a drawn component w on, with dw/dkappa = -(dF/dkappa) / f(w), F its distribution function.

    f(t) is proportional to exp(kappa t) (1 - t^2)^((d-3)/2), so dF/dkappa is the integral of (t - A) f(t) up to w:
    Gauss-Legendre quadrature over the part of [-1, w] that holds mass (Figurnov et al. 2018, arXiv 1805.08498).
    """

    NODES, SPREADS = 64, 12

    @staticmethod
    def forward(ctx: Any, kappa: Tensor, component: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(kappa, component)
        ctx.dim = dim
        return component.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        kappa, component = (saved.cpu().numpy() for saved in ctx.saved_tensors)
        derivative = _component_by_kappa(ctx.dim, kappa, component)
        return gradients[0] * torch.as_tensor(derivative, device=gradients[0].device), None, None


def _component_by_kappa(dim: int, kappa: NDArray[np.float64], component: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.array([mean_resultant_length(dim, value) for value in kappa])
    spread = np.sqrt(np.maximum(1 - length**2 - (dim - 1) * length / kappa, 1e-14))
    w = np.clip(component, -1 + 1e-12, 1 - 1e-12)
    # From the side that holds less: the whole integral over [-1, 1] is zero, so either side will do.
    below = w <= length
    edge = np.where(below, np.maximum(-1, length - _ImplicitComponent.SPREADS * spread),
                    np.minimum(1, length + _ImplicitComponent.SPREADS * spread))
    node, weight = np.polynomial.legendre.leggauss(_ImplicitComponent.NODES)
    half = np.abs(w - edge)[:, None] / 2
    t = np.clip((w + edge)[:, None] / 2 + half * node, -1 + 1e-15, 1 - 1e-15)
    # log f(t) - log f(w): the normaliser cancels.
    ratio = kappa[:, None] * (t - w[:, None]) + (dim - 3) / 2 * (np.log1p(-t**2) - np.log1p(-w**2)[:, None])
    moment = ((t - length[:, None]) * np.exp(ratio) * weight * half).sum(1)
    return np.where(below, -moment, moment)


def _check(dim: int, kappa: float) -> None:
    if dim < 2:
        raise ValueError(f"a direction needs at least 2 dimensions, got {dim}")
    if not MIN_KAPPA <= kappa <= MAX_KAPPA:
        raise ValueError(f"kappa must lie in [{MIN_KAPPA}, {MAX_KAPPA}], got {kappa}")
