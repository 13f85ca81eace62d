import math

import numpy as np
import pytest
import torch
from scipy.special import ive
from torch.nn import functional as F

from dssl_bio.learning.distributions import log_normalizer, mean_resultant_length, sample_vmf, vmf_kl


@pytest.mark.parametrize(("dim", "kappa"), [(100, 1000.0), (100, 10.0), (16, 50.0), (3, 10.0), (2, 0.5), (256, 5e4)])
def test_mean_resultant_length_is_the_ratio_of_bessel_functions(dim, kappa):
    expected = ive(dim / 2, kappa) / ive(dim / 2 - 1, kappa)
    assert mean_resultant_length(dim, kappa) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("dim", "kappa"), [(100, 1000.0), (100, 10.0), (16, 50.0), (3, 10.0)])
def test_samples_have_the_mean_cosine_of_theory_and_unit_length(dim, kappa):
    generator = torch.Generator().manual_seed(0)
    mean = F.normalize(torch.randn(1, dim, generator=generator), dim=1).expand(4000, dim)
    z = sample_vmf(mean, kappa, generator)
    assert (z.norm(dim=1) - 1).abs().max() < 1e-4
    assert float((z * mean).sum(1).mean()) == pytest.approx(mean_resultant_length(dim, kappa), abs=0.004)


def test_gradient_is_finite_also_at_the_first_axis():
    mean = torch.eye(5)[:2].clone().requires_grad_()
    sample_vmf(mean, 50.0, torch.Generator().manual_seed(0)).sum().backward()
    assert torch.isfinite(mean.grad).all()


def test_kl_agrees_with_monte_carlo():
    generator = torch.Generator().manual_seed(1)
    one, two = F.normalize(torch.randn(2, 16, generator=generator), dim=1).split(1)
    kappa = 50.0
    z = sample_vmf(one.expand(40_000, 16), kappa, generator)
    monte_carlo = kappa * (z @ (one - two).T).mean()  # equal normalisers cancel
    assert float(vmf_kl(one, two, kappa)) == pytest.approx(float(monte_carlo), rel=0.005)
    assert float(vmf_kl(one, one, kappa)) == pytest.approx(0, abs=1e-4)


def test_mean_resultant_length_survives_underflow_of_the_bessel_functions():
    assert mean_resultant_length(2000, 1.0) == pytest.approx(1 / 2000, rel=1e-3)


@pytest.mark.parametrize("kappa", [0.0, -1.0, math.inf, np.nan])
def test_kappa_outside_the_stable_range_is_refused(kappa):
    with pytest.raises(ValueError, match="kappa must lie in"):
        mean_resultant_length(10, kappa)


@pytest.mark.parametrize(("dim", "kappa", "kappa_2"), [(16, 50.0, 20.0), (16, 20.0, 80.0), (100, 1000.0, 700.0)])
def test_kl_of_different_kappas_agrees_with_monte_carlo(dim, kappa, kappa_2):
    generator = torch.Generator().manual_seed(1)
    one, two = F.normalize(torch.randn(2, dim, generator=generator, dtype=torch.float64), dim=1).split(1)

    def log_density(z, mean, k):
        log_bessel = math.log(ive(dim / 2 - 1, k)) + k
        return (dim / 2 - 1) * math.log(k) - dim / 2 * math.log(2 * math.pi) - log_bessel + k * (z @ mean.T)

    z = sample_vmf(one.expand(40_000, dim), kappa, generator)
    monte_carlo = float((log_density(z, one, kappa) - log_density(z, two, kappa_2)).mean())
    assert float(vmf_kl(one, two, kappa, kappa_2)) == pytest.approx(monte_carlo, rel=0.005)


def test_kl_of_equal_learned_kappas_is_the_closed_form():
    one, two = F.normalize(torch.randn(2, 16, dtype=torch.float64), dim=1).split(1)
    learned = vmf_kl(one, two, torch.tensor(50.0, dtype=torch.float64))
    assert float(learned) == pytest.approx(float(vmf_kl(one, two, 50.0)), rel=1e-9)


def test_kl_has_the_gradient_of_its_finite_difference_in_both_kappas():
    one, two = F.normalize(torch.randn(2, 8, dtype=torch.float64), dim=1).split(1)
    kappas = torch.tensor([30.0, 12.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda k: vmf_kl(one, two, k[0], k[1]), kappas, eps=1e-4, atol=1e-5)


def test_log_normalizer_is_continuous_where_the_bessel_function_underflows():
    for dim, kappa in ((2000, 1.0), (1000, 30.0)):
        at = torch.tensor([kappa, kappa * 1.001], dtype=torch.float64)
        slope = float((log_normalizer(dim, at)[1] - log_normalizer(dim, at)[0]) / (at[1] - at[0]))
        assert slope == pytest.approx(-mean_resultant_length(dim, kappa), rel=2e-3)


@pytest.mark.parametrize(("dim", "kappa"), [(3, 2.0), (16, 50.0), (100, 1000.0)])
def test_samples_carry_the_gradient_of_kappa(dim, kappa):
    learned = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
    mean = F.normalize(torch.randn(1, dim, dtype=torch.float64), dim=1).expand(20_000, dim)
    cosine = (sample_vmf(mean, learned, torch.Generator().manual_seed(0)) * mean).sum(1)
    (first,) = torch.autograd.grad(cosine.mean(), learned, retain_graph=True)
    (second,) = torch.autograd.grad(cosine.square().mean(), learned)
    step = kappa * 1e-4
    up, down = mean_resultant_length(dim, kappa + step), mean_resultant_length(dim, kappa - step)
    # E w = A and E w^2 = 1 - (d - 1) A / kappa.
    square = [1 - (dim - 1) * a / k for a, k in ((up, kappa + step), (down, kappa - step))]
    assert float(first) == pytest.approx((up - down) / (2 * step), rel=0.03)
    assert float(second) == pytest.approx((square[0] - square[1]) / (2 * step), rel=0.03)


def test_rows_may_have_kappas_of_their_own():
    kappas = torch.tensor([5.0, 500.0]).repeat_interleave(4000)
    mean = F.normalize(torch.randn(1, 16), dim=1).expand(8000, 16)
    cosine = (sample_vmf(mean, kappas, torch.Generator().manual_seed(0)) * mean).sum(1)
    for part, kappa in ((cosine[:4000], 5.0), (cosine[4000:], 500.0)):
        assert float(part.mean()) == pytest.approx(mean_resultant_length(16, kappa), abs=0.01)
