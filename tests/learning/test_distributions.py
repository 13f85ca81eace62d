import math

import numpy as np
import pytest
import torch
from scipy.special import ive
from torch.nn import functional as F

from dssl_bio.learning.distributions import mean_resultant_length, sample_vmf, vmf_kl


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
    assert float((z * mean).sum(1).mean()) == pytest.approx(mean_resultant_length(dim, kappa), abs=0.008)


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
