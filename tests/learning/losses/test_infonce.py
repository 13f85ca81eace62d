import math

import pytest
import torch
from torch.nn import functional as F

from dssl_bio.learning.losses.infonce import emphasis_of_alike, infonce


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


def weighted_loops(a, b, groups, weights, emphasis, temperature=0.07):
    """The loss written out, one row and one direction after the other."""
    n, total = len(a), 0.0
    for i in range(n):
        own = [k for k in range(n) if groups[k] == groups[i]]
        loss = 0.0
        for one, two in ((a, b), (b, a)):
            score = [float(one[i] @ two[k]) / temperature for k in range(n)]
            below = sum(math.exp(score[k]) * (1 if k in own else float(emphasis[i, k])) for k in range(n))
            loss += sum(math.log(below) - score[k] for k in own) / len(own) / 2
        total += float(weights[i]) * (loss - math.log(len(own)))
    return total / float(weights.sum())


def test_weights_and_emphasis_equal_the_loops():
    a, b = _views()
    generator = torch.Generator().manual_seed(1)
    groups = torch.tensor([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9])
    weights, emphasis = torch.rand(12, generator=generator), 0.2 + torch.rand(12, 12, generator=generator)
    found = infonce(a, b, 0.07, groups, weights, emphasis)
    assert float(found) == pytest.approx(weighted_loops(a, b, groups, weights, emphasis), rel=1e-4)
    assert float(infonce(a, b, 0.07, groups, torch.ones(12), torch.ones(12, 12))) == pytest.approx(
        float(infonce(a, b, 0.07, groups)), rel=1e-5)


def test_a_pair_without_weight_is_a_negative_and_nothing_else():
    a, b = _views()
    weights, pushed = torch.tensor([0.0] + 11 * [1.0]), a.clone().requires_grad_()
    infonce(pushed, b, weights=weights).backward()
    assert float(infonce(a, b, weights=torch.zeros(12))) == 0
    assert pushed.grad[0].norm() > 0  # the others are pushed from it
    alone = [float(infonce(a, b, weights=torch.eye(12)[i])) for i in range(12)]
    assert float(infonce(a, b, weights=weights)) == pytest.approx(sum(alone[1:]) / 11, rel=1e-5)


def test_negatives_of_the_own_plate_weigh_more_and_all_together_the_same():
    plates = torch.tensor([0, 0, 0, 1, 1, -1, -1])
    emphasis = emphasis_of_alike(plates, 3.0)
    others = emphasis[~torch.eye(7, dtype=torch.bool)].reshape(7, 6)
    assert torch.allclose(others.mean(1), torch.ones(7))
    assert emphasis[0, 1] == pytest.approx(4 * float(emphasis[0, 3])) and emphasis[5, 6] == pytest.approx(1)
    assert torch.equal(emphasis_of_alike(plates, 0.0), torch.ones(7, 7))
