import math

import pytest
import torch
from torch.nn import functional as F

from dssl_bio.learning.losses.cloob import cloob, infoloob, retrieved


def units(n, dim, seed=0):
    return F.normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=1)


def by_loops(anchors, samples, t):
    total = 0.0
    for i, anchor in enumerate(anchors):
        others = sum(math.exp(t * float(anchor @ sample)) for j, sample in enumerate(samples) if j != i)
        total -= t * float(anchor @ samples[i]) - math.log(others)
    return total / len(anchors)


def recalled(state, memory, scale):
    weights = [math.exp(scale * float(state @ m)) for m in memory]
    mean = sum(w * m for w, m in zip(weights, memory, strict=True)) / sum(weights)
    return mean / mean.norm()


def test_infoloob_leaves_the_positive_out_of_the_denominator():
    a, b = units(7, 4), units(7, 4, 1)
    assert float(infoloob(a, b, 3.0)) == pytest.approx(by_loops(a, b, 3.0), rel=1e-9)
    assert float(infoloob(torch.eye(3), torch.eye(3), 30.0)) < -25  # unlike InfoNCE it falls below zero


def test_loss_is_equations_3_to_6_written_out():
    x, y, scale, t = units(6, 5), units(6, 5, 1), 2.0, 4.0
    u_x, u_y = (torch.stack([recalled(s, x, scale) for s in states]) for states in (x, y))
    v_x, v_y = (torch.stack([recalled(s, y, scale) for s in states]) for states in (x, y))
    expected = (by_loops(u_x, u_y, t) + by_loops(v_y, v_x, t)) / 2
    assert float(cloob(x, y, t, scale)) == pytest.approx(expected, rel=1e-9)


def test_a_sharp_memory_recalls_the_nearest_and_a_flat_one_the_mean():
    states, memory = units(5, 8), units(9, 8, 1)
    nearest = memory[(states @ memory.T).argmax(1)]
    assert torch.allclose(retrieved(states, memory, 1e4), nearest, atol=1e-6)
    assert torch.allclose(retrieved(states, memory, 0.0), F.normalize(memory.mean(0), dim=0).expand(5, 8))


def test_order_of_pairs_does_not_matter_and_shapes_must_agree():
    x, y = units(8, 4), units(8, 4, 1)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    assert float(cloob(x[order], y[order])) == pytest.approx(float(cloob(x, y)), rel=1e-9)
    with pytest.raises(ValueError, match="at least 2 rows"):
        infoloob(x[:1], y[:1])
