import pytest
import torch
from torch.nn import functional as F

from dssl_bio.learning.baselines.joint_opt import JointOpt, JointOptOptions, joint_loss
from dssl_bio.learning.disentangled import View
from dssl_bio.learning.distributions import sample_vmf
from dssl_bio.learning.two_view_training import Minibatch


def four_views(n=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    drawn = [View(torch.randn(n, 6, generator=generator), torch.randn(n, 6, generator=generator)) for _ in range(4)]
    return (drawn[0], drawn[1]), (drawn[2], drawn[3])


def nce(a, b):
    scores = F.normalize(a) @ F.normalize(b).T / 0.07
    target = torch.arange(len(a))
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


@pytest.mark.parametrize(("a", "lambda_"), [(1.0, 1.0), (0.1, 10.0), (100.0, 0.0)])
def test_loss_is_the_weighted_sum_of_the_authors(a, lambda_):
    first, second = four_views()
    options = JointOptOptions(a=a, lambda_=lambda_, kappa=200.0)
    parts = joint_loss(first, second, options, torch.Generator().manual_seed(5))

    generator = torch.Generator().manual_seed(5)
    drawn = [sample_vmf(F.normalize(torch.cat([first[k].shared, second[k].shared])), 200.0, generator) for k in (0, 1)]
    shared = sum(nce(z[:12], z[12:]) for z in drawn) / 2
    joined = [[torch.cat([own[k].specific, other[k].shared], 1) for k in (0, 1)]
              for own, other in ((first, second), (second, first))]
    specific = nce(*joined[0]) + nce(*joined[1])
    overlap = sum(torch.linalg.matrix_norm(F.normalize(v.specific).T @ F.normalize(v.shared))
                  for v in (*first, *second)) / 2
    expected = 2 * shared / (1 + a) + a * specific / (1 + a) + lambda_ * 2 * overlap / 2
    assert float(parts.total) == pytest.approx(float(expected), rel=1e-5)


def test_unlike_in_two_steps_the_specific_terms_move_the_shared_encoder():
    torch.manual_seed(0)
    model = JointOpt(JointOptOptions(dim=4, hidden=8, minibatch=8))
    model.assemble([[5], [6]])
    x = [[torch.randn(8, 5) for _ in range(2)], [torch.randn(8, 6) for _ in range(2)]]
    for term in ("specific", "dependence", "shared"):
        model.zero_grad()
        model.loss(1, Minibatch((x[0], x[1]), None, torch.Generator().manual_seed(0))).terms[term].backward()
        assert all(float(p.grad.abs().sum()) > 0 for p in model.shared_encoders[0].parameters())
