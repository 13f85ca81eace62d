import pytest
import torch
from torch.nn import functional as F

from dssl_bio.learning.baselines.focal import FOCALOptions, focal_loss
from dssl_bio.learning.disentangled import View


def four_views(n=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    drawn = [View(torch.randn(n, 5, generator=generator), torch.randn(n, 5, generator=generator)) for _ in range(4)]
    return (drawn[0], drawn[1]), (drawn[2], drawn[3])


def nce(a, b):
    scores = F.normalize(a) @ F.normalize(b).T / 0.07
    target = torch.arange(len(a))
    return float((F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2)


def cosines(hinged):
    """The six terms in loops: own shared and specific of four views, specific across modalities in both."""
    first, second = four_views()
    pairs = [(v.specific, v.shared) for v in (*first, *second)]
    pairs += [(first[k].specific, second[k].specific) for k in (0, 1)]
    total = 0.0
    for a, b in pairs:
        values = [float(x @ y / (x.norm() * y.norm())) for x, y in zip(a, b, strict=True)]
        total += sum(max(0.0, v) if hinged else v for v in values) / len(values)
    return total


@pytest.mark.parametrize("orthogonality", ["hinged", "cosine"])
def test_loss_is_the_sum_written_out(orthogonality):
    first, second = four_views()
    parts = focal_loss(first, second, FOCALOptions(a=0.5, **{"lambda": 3.0}, orthogonality=orthogonality))
    shared = sum(nce(first[k].shared, second[k].shared) for k in (0, 1))
    private = nce(first[0].specific, first[1].specific) + nce(second[0].specific, second[1].specific)
    assert float(parts.terms["shared"]) == pytest.approx(shared, rel=1e-5)
    assert float(parts.terms["private"]) == pytest.approx(0.5 * private, rel=1e-5)
    assert float(parts.terms["orthogonality"]) == pytest.approx(3 * cosines(orthogonality == "hinged"), rel=1e-4)
    assert float(parts.total) == pytest.approx(sum(float(t) for t in parts.terms.values()), rel=1e-6)


def test_the_published_hinge_does_not_reward_opposite_codes_and_the_cosine_does():
    code = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    views = (View(code, -code), View(code, -code)), (View(-code, code), View(-code, code))
    found = {kind: float(focal_loss(*views, FOCALOptions(orthogonality=kind)).terms["orthogonality"])
             for kind in ("hinged", "cosine")}
    assert found["hinged"] == pytest.approx(0, abs=1e-6)
    assert found["cosine"] == pytest.approx(-6, abs=1e-4)
