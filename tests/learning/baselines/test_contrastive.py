import pytest
import torch
from torch.nn import functional as F

from dssl_bio.learning.baselines.contrastive import CLIP, CLOOB, CLOOBOptions, SigLIP
from dssl_bio.learning.baselines.dcca import DCCA, DCCAOptions
from dssl_bio.learning.losses.canonical_correlation import canonical_correlation_loss
from dssl_bio.learning.losses.cloob import cloob
from dssl_bio.learning.two_view_method import MethodOptions
from dssl_bio.learning.two_view_training import Minibatch

SMALL = {"dim": 4, "hidden": 8, "minibatch": 16}


def loss_and_codes(method):
    method.assemble([[5], [6]])
    x1, x2 = torch.randn(16, 5), torch.randn(16, 6)
    parts = method.loss(1, Minibatch(([x1], [x2]), None, torch.Generator()))
    return float(parts.total.detach()), (method.codes(0, x1)[0].detach(), method.codes(1, x2)[0].detach())


def test_clip_is_the_cross_entropy_both_ways_of_unit_codes():
    found, codes = loss_and_codes(CLIP(MethodOptions(**SMALL, temperature=0.2)))
    scores = F.normalize(codes[0]) @ F.normalize(codes[1]).T / 0.2
    target = torch.arange(16)
    assert found == pytest.approx(float(F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2,
                                  rel=1e-5)


def test_siglip_starts_at_its_published_scale_and_bias():
    found, codes = loss_and_codes(SigLIP(MethodOptions(**SMALL)))
    logits = 10 * F.normalize(codes[0]) @ F.normalize(codes[1]).T - 10
    expected = F.binary_cross_entropy_with_logits(logits, torch.eye(16), reduction="sum") / 16
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_cloob_reads_its_options():
    found, codes = loss_and_codes(CLOOB(CLOOBOptions(**SMALL, inverse_temperature=5.0, hopfield_scale=3.0)))
    unit = [F.normalize(code) for code in codes]
    assert found == pytest.approx(float(cloob(*unit, 5.0, 3.0)), rel=1e-5)


def test_dcca_correlates_raw_codes_and_wants_four_rows_a_dimension():
    found, codes = loss_and_codes(DCCA(DCCAOptions(**SMALL, ridge=0.1)))
    assert found == pytest.approx(float(canonical_correlation_loss(*codes, 0.1)), rel=1e-4)
    with pytest.raises(ValueError, match="at least 4 rows a dimension, 400 for dim 100, got 256"):
        DCCAOptions(dim=100, minibatch=256)


@pytest.mark.parametrize("kind", [CLIP, SigLIP, CLOOB, DCCA])
def test_methods_with_one_code_have_an_empty_specific_one(kind):
    method = kind(kind.Options(**SMALL))
    method.assemble([[5], [6]])
    assert method.codes(1, torch.randn(3, 6))[1].shape == (3, 0)
