from itertools import permutations

import pytest
import torch

from dssl_bio.learning.losses.dependence import cross_covariance
from dssl_bio.learning.losses.hsic import hsic, unbiased_hsic


def test_estimator_is_the_average_over_all_quadruples():
    generator = torch.Generator().manual_seed(0)
    k, m = (torch.randn(6, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    k, m = k + k.T, m + m.T
    terms = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(6), 4)]
    assert float(unbiased_hsic(k, m)) == pytest.approx(float(sum(terms) / len(terms)), rel=1e-9)


@pytest.mark.parametrize("n", [64, 256])
def test_independent_codes_give_0_and_identical_ones_1_at_every_minibatch_size(n):
    generator = torch.Generator().manual_seed(0)
    shared, specific = (torch.randn(n, 8, generator=generator) for _ in range(2))
    assert float(hsic(shared, specific)) == pytest.approx(0, abs=0.06)
    assert float(hsic(shared, 3 * shared)) == pytest.approx(1, abs=1e-3)


def test_sees_a_square_that_correlations_do_not():
    shared = torch.randn(512, 2, generator=torch.Generator().manual_seed(0))
    assert abs(float(cross_covariance(shared, shared**2))) < 0.1
    assert float(hsic(shared, shared**2)) > 0.15


def test_a_collapsed_code_has_no_dependence_and_a_finite_gradient():
    shared = torch.ones(16, 4, requires_grad=True)
    value = hsic(shared, torch.randn(16, 4, generator=torch.Generator().manual_seed(3)))
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-3)
    assert torch.isfinite(shared.grad).all()
