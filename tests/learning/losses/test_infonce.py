import math

import pytest
import torch
from torch.nn import functional as F

from dssl_bio.learning.losses.infonce import infonce


def _views(n=12, dim=8):
    generator = torch.Generator().manual_seed(0)
    return (F.normalize(torch.randn(n, dim, generator=generator), dim=1) for _ in range(2))


def test_equals_the_double_loop():
    a, b = _views()
    total = 0.0
    for i in range(len(a)):
        row = [math.exp(float(a[i] @ b[k]) / 0.07) for k in range(len(a))]
        column = [math.exp(float(a[k] @ b[i]) / 0.07) for k in range(len(a))]
        total -= math.log(row[i] / sum(row)) / 2 + math.log(column[i] / sum(column)) / 2
    assert float(infonce(a, b)) == pytest.approx(total / len(a), rel=1e-4)


def test_groups_of_one_change_nothing():
    a, b = _views()
    assert float(infonce(a, b, groups=torch.arange(len(a)))) == pytest.approx(float(infonce(a, b)), rel=1e-5)


def test_equal_molecules_are_not_each_others_negatives():
    unit = torch.eye(4)
    a = unit[[0, 0, 1, 2]]
    groups = torch.tensor([0, 0, 1, 2])
    assert float(infonce(a, a, 0.01, groups)) == pytest.approx(0, abs=1e-5)
    assert float(infonce(a, a, 0.01)) > 0.3


def test_constant_views_give_the_logarithm_of_the_minibatch():
    same = F.normalize(torch.ones(32, 5), dim=1)
    assert float(infonce(same, same)) == pytest.approx(math.log(32), rel=1e-5)


def test_a_minibatch_of_one_is_refused():
    with pytest.raises(ValueError, match="at least 2 rows"):
        infonce(torch.ones(1, 3), torch.ones(1, 3))
