import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dssl_bio.learning.information import club_estimate, infonce_lower_bound, nearest_neighbour_estimate


def gaussians(rho, n, dim=1):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, dim))
    return x, rho * x + math.sqrt(1 - rho**2) * rng.normal(size=(n, dim))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_nearest_neighbours_find_the_information_of_gaussians(rho):
    assert nearest_neighbour_estimate(*gaussians(rho, 3000)) == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.06)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_club_with_the_true_conditional_is_its_closed_form_above_the_information(rho):
    x, y = (torch.as_tensor(v) for v in gaussians(rho, 20_000, dim=3))
    # E log q over pairs less over products: rho^2 / (1 - rho^2) a dimension.
    assert club_estimate(x, y) == pytest.approx(3 * rho**2 / (1 - rho**2), rel=0.05, abs=0.02)


def test_infonce_bound_never_exceeds_the_logarithm_of_n():
    code = F.normalize(torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    assert math.log(64) - 0.1 < infonce_lower_bound(code, code) <= math.log(64)
