import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm, subspace_angles

from dssl_bio.learning.losses.canonical_correlation import canonical_correlation_loss


def views(n=200, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 3))
    a = np.hstack([common, rng.normal(size=(n, 2))]) @ rng.normal(size=(5, 5)) + 4
    b = np.hstack([common + rng.normal(size=(n, 3)), rng.normal(size=(n, 1))]) @ rng.normal(size=(4, 4)) - 2
    return a, b


def loss(a, b, ridge=1e-3):
    return float(canonical_correlation_loss(torch.as_tensor(a), torch.as_tensor(b), ridge))


def test_is_minus_the_sum_of_cosines_between_the_column_spaces():
    a, b = views()
    angles = subspace_angles(a - a.mean(0), b - b.mean(0))  # scipy: the cosines are the canonical correlations
    assert loss(a, b, ridge=1e-10) == pytest.approx(-np.cos(angles).sum(), rel=1e-6)


def test_with_a_ridge_it_is_the_nuclear_norm_of_the_definition():
    a, b = views()
    one, two = a - a.mean(0), b - b.mean(0)
    n = len(a) - 1
    roots = [np.linalg.inv(np.real(sqrtm(x.T @ x / n + 0.5 * np.eye(x.shape[1])))) for x in (one, two)]
    expected = np.linalg.svd(roots[0] @ (one.T @ two / n) @ roots[1], compute_uv=False).sum()
    assert loss(a, b, ridge=0.5) == pytest.approx(-expected, rel=1e-8)


def test_is_blind_to_invertible_maps_and_symmetric():
    a, b = views()
    rng = np.random.default_rng(1)
    assert loss(a @ rng.normal(size=(5, 5)), b, 1e-10) == pytest.approx(loss(a, b, 1e-10), rel=1e-5)
    assert loss(b, a) == pytest.approx(loss(a, b), rel=1e-9)


def test_identical_views_reach_the_number_of_dimensions_with_a_finite_gradient():
    a = torch.as_tensor(views()[0]).requires_grad_()
    value = canonical_correlation_loss(a, a, ridge=1e-8)
    value.backward()
    assert float(value.detach()) == pytest.approx(-5, abs=1e-3)
    assert torch.isfinite(a.grad).all()


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="canonical correlations of 5 dimensions need more rows than that, got 5"):
        canonical_correlation_loss(torch.randn(5, 5), torch.randn(5, 2))
    with pytest.raises(ValueError, match="views differ in rows: 6 and 7"):
        canonical_correlation_loss(torch.randn(6, 2), torch.randn(7, 2))
