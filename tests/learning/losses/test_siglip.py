import math

import pytest
import torch
from torch.nn import functional as F

from dssl_bio.learning.losses.siglip import siglip


def test_is_the_sum_over_pairs_written_out():
    generator = torch.Generator().manual_seed(0)
    a, b = (F.normalize(torch.randn(6, 4, generator=generator), dim=1) for _ in range(2))
    total = 0.0
    for i in range(6):
        for j in range(6):
            logit = (1 if i == j else -1) * (10 * float(a[i] @ b[j]) - 3)
            total += math.log1p(math.exp(-logit))
    assert float(siglip(a, b, torch.tensor(10.0), torch.tensor(-3.0))) == pytest.approx(total / 6, rel=1e-5)


def test_agrees_with_the_binary_cross_entropy_of_torch():
    generator = torch.Generator().manual_seed(1)
    a, b = (F.normalize(torch.randn(9, 4, generator=generator), dim=1) for _ in range(2))
    expected = F.binary_cross_entropy_with_logits(7 * a @ b.T - 2, torch.eye(9), reduction="sum") / 9
    assert float(siglip(a, b, torch.tensor(7.0), torch.tensor(-2.0))) == pytest.approx(float(expected), rel=1e-6)


def test_views_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="views differ in shape"):
        siglip(torch.ones(3, 2), torch.ones(4, 2), torch.tensor(1.0), torch.tensor(0.0))
