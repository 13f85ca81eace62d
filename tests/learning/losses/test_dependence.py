import numpy as np
import pytest
import torch

from dssl_bio.learning.losses.dependence import authors_orthogonality, cross_covariance, scaled_orthogonality


def _codes(n, dim=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=generator), torch.randn(n, dim, generator=generator)


def test_authors_penalty_has_its_measured_values():
    shared, specific = _codes(256, 100)
    assert float(authors_orthogonality(shared, specific)) == pytest.approx(16.0, abs=0.3)
    assert float(authors_orthogonality(shared, shared)) == pytest.approx(30, abs=1)
    assert float(authors_orthogonality(torch.ones(256, 100), torch.ones(256, 100))) == pytest.approx(256, rel=1e-4)


def test_cross_covariance_equals_numpy_correlations():
    shared, specific = _codes(50, 6)
    both = np.corrcoef(np.hstack([shared.numpy(), specific.numpy()]).T)[:6, 6:]
    expected = ((both**2).mean() - 1 / 49) / (1 - 1 / 49) * 6
    assert float(cross_covariance(shared, specific)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("n", [64, 256, 1024])
def test_cross_covariance_means_the_same_at_every_minibatch_size(n):
    shared, specific = _codes(n)
    assert float(cross_covariance(shared, specific)) == pytest.approx(0, abs=0.05)
    assert float(cross_covariance(shared, shared)) == pytest.approx(1, abs=0.05)


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="shared has 4 rows, specific has 5"):
        cross_covariance(torch.ones(4, 2), torch.ones(5, 2))


@pytest.mark.parametrize("n", [64, 256, 1024])
def test_scaled_orthogonality_is_near_one_for_independent_codes_at_every_minibatch_size(n):
    assert float(scaled_orthogonality(*_codes(n))) == pytest.approx(1, abs=0.1)
