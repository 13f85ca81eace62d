import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dssl_bio.learning.disentangled import (
    DisentangledModel,
    SharedObjective,
    SpecificObjective,
    View,
    shared_loss,
    specific_loss,
)
from dssl_bio.learning.distributions import mean_resultant_length
from dssl_bio.learning.losses.dependence import authors_orthogonality, cross_covariance
from dssl_bio.learning.losses.hsic import hsic


class Conditioned(nn.Module):
    def __init__(self, width_in: int, condition: int, out: int):
        super().__init__()
        self.layer = nn.Linear(width_in + condition, out)

    def forward(self, x, condition=None):
        return self.layer(x if condition is None else torch.cat([x, condition], 1))


def model(units="nats", **objectives):
    torch.manual_seed(0)
    shared = (Conditioned(6, 0, 8), Conditioned(7, 0, 8))
    specific = (Conditioned(6, 8, 5), Conditioned(7, 8, 5))
    return DisentangledModel(shared, specific, SharedObjective(units=units), SpecificObjective(units=units))


def test_step_1_in_authors_units_is_their_formula():
    torch.manual_seed(0)
    raw_1, raw_2 = torch.randn(12, 8), torch.randn(12, 8)
    objective = SharedObjective(beta=0.3, posterior="none", units="authors")
    mean_1, mean_2 = F.normalize(raw_1), F.normalize(raw_2)
    scores = mean_1 @ mean_2.T / 0.07
    target = torch.arange(12)
    expected = (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
    expected = expected - 0.3 * (mean_1 * mean_2).sum(1).mean()
    assert torch.allclose(shared_loss(raw_1, raw_2, objective).total, expected)


def test_the_two_units_have_one_gradient_when_beta_is_mapped():
    torch.manual_seed(0)
    raw = torch.randn(12, 8, requires_grad=True)
    other = torch.randn(12, 8)
    ours = SharedObjective(beta=1e-3, posterior="none", kappa=50)
    theirs = SharedObjective(beta=ours.authors_beta(8), posterior="none", units="authors")
    gradients = [torch.autograd.grad(shared_loss(raw, other, o).total, raw)[0] for o in (ours, theirs)]
    assert torch.allclose(*gradients, atol=1e-6)
    assert SharedObjective(beta=1e-4).authors_beta(100) == pytest.approx(1e-4 * 1000 * mean_resultant_length(100, 1000))


def test_step_2_contrast_uses_the_others_shared_and_the_penalty_the_own():
    torch.manual_seed(0)
    own = [View(torch.randn(16, 5), torch.randn(16, 8)) for _ in range(2)]
    other = [View(torch.randn(16, 5), torch.randn(16, 8)) for _ in range(2)]
    parts = specific_loss((own[0], own[1]), (other[0], other[1]), SpecificObjective(units="authors", **{"lambda": 2.0}))

    def nce(a, b):
        s = F.normalize(a) @ F.normalize(b).T / 0.07
        return (F.cross_entropy(s, torch.arange(16)) + F.cross_entropy(s.T, torch.arange(16))) / 2

    def joined(mine, theirs):
        return torch.cat([mine.specific, theirs.shared], 1)

    def ortho(view):
        return torch.linalg.matrix_norm(F.normalize(view.specific).T @ F.normalize(view.shared))

    contrast = nce(*(joined(a, b) for a, b in zip(own, other, strict=True)))
    contrast = contrast + nce(*(joined(b, a) for a, b in zip(own, other, strict=True)))
    assert torch.allclose(parts.terms["infonce"], contrast)
    assert torch.allclose(parts.terms["dependence"], sum(ortho(v) for v in own + other))  # 2 * (1/2 + 1/2)
    assert torch.allclose(parts.total, parts.terms["infonce"] + parts.terms["dependence"])


@pytest.mark.parametrize("units", ["nats", "authors"])
def test_step_2_leaves_the_shared_encoders_exactly_as_they_are(units):
    m = model(units)
    m.freeze_shared()
    before = copy.deepcopy(m.shared_encoders.state_dict())
    optimizer = torch.optim.Adam(m.parameters(), lr=0.1)
    x1, x2 = torch.randn(10, 6), torch.randn(10, 7)
    m.train()
    for _ in range(3):
        optimizer.zero_grad()
        m.step_2((x1, x1 + 0.1), (x2, x2 + 0.1)).total.backward()
        optimizer.step()
    assert all(p.grad is None for p in m.shared_encoders.parameters())
    assert all(torch.equal(before[name], value) for name, value in m.shared_encoders.state_dict().items())
    assert not any(module.training for module in m.shared_encoders.modules())


def test_step_1_learns_what_two_views_share():
    torch.manual_seed(0)
    common = torch.randn(256, 3)
    x1 = torch.cat([common, torch.randn(256, 3)], 1)
    x2 = torch.cat([common, torch.randn(256, 4)], 1)
    m = model()
    optimizer = torch.optim.Adam(m.parameters(), lr=0.02)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        parts = m.step_1(x1, x2)
        parts.total.backward()
        optimizer.step()
        losses.append(parts.total.item())
    assert losses[-1] < 0.5 * losses[0]
    m.eval()
    scores = m.shared(0, x1) @ m.shared(1, x2).T
    assert (scores.argmax(1) == torch.arange(256)).float().mean() > 0.5


def test_lambda_is_read_by_its_name_in_the_paper():
    assert SpecificObjective(**{"lambda": 3.0}).lambda_ == 3.0


def test_learned_kappas_that_equal_the_fixed_one_give_its_loss():
    torch.manual_seed(0)
    raw_1, raw_2 = torch.randn(12, 8), torch.randn(12, 8)
    objective = SharedObjective(beta=0.1, kappa=50)
    kappa = torch.tensor(50.0, dtype=torch.float64, requires_grad=True)
    losses = [shared_loss(raw_1, raw_2, objective, generator=torch.Generator().manual_seed(3), kappas=kappas)
              for kappas in (None, (kappa, kappa))]
    assert float(losses[0].total) == pytest.approx(float(losses[1].total.detach()), rel=1e-5)
    losses[1].total.backward()
    assert torch.isfinite(kappa.grad) and kappa.grad != 0


@pytest.mark.parametrize("wrong", [{"beta": -1}, {"kappa": 1e7}, {"kappa": 0}, {"temperature": 0}])
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SharedObjective(**wrong)


def test_each_penalty_is_that_of_unit_codes_and_leaves_the_contrast_alone():
    torch.manual_seed(0)
    views = [View(torch.randn(16, 5), torch.randn(16, 8)) for _ in range(4)]
    first, second = (views[0], views[1]), (views[2], views[3])
    functions = {"cross_covariance": cross_covariance, "hsic": hsic,
                 "orthogonality": lambda c, s: authors_orthogonality(c, s) / 4}
    terms = {penalty: specific_loss(first, second, SpecificObjective(penalty=penalty, **{"lambda": 3.0})).terms
             for penalty in functions}
    assert len({float(t["infonce"]) for t in terms.values()}) == 1
    for penalty, function in functions.items():
        expected = 3 * sum(function(F.normalize(v.shared), F.normalize(v.specific)) for v in views) / 2
        assert torch.allclose(terms[penalty]["dependence"], expected, atol=1e-6)
