import math

import pytest
import torch

from dssl_bio.learning.collapse import ENOUGH_MINIBATCHES, advice, collapse, resultant_length
from dssl_bio.learning.losses.infonce import infonce


def test_constant_codes_are_a_collapse_although_a_probe_might_read_them():
    directions = torch.ones(64, 8) + 1e-4 * torch.randn(64, 8)
    unit = torch.nn.functional.normalize(directions)
    found = collapse(float(infonce(unit, unit)), directions)
    assert found.happened
    assert found.resultant_length == pytest.approx(1, abs=1e-3)
    assert "ln N = 4.159" in found.message


def test_spread_codes_that_tell_pairs_apart_are_none():
    directions = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    assert not collapse(0.3, directions).happened
    assert resultant_length(directions) < 3 / math.sqrt(64)


def test_after_few_minibatches_the_advice_is_to_train_on_first():
    told = advice(6, "lower shared.beta")
    assert told.startswith("after 6 minibatches") and "step_1.epochs" in told and told.endswith("lower shared.beta")
    assert advice(1, "x").startswith("after 1 minibatch it")
    assert advice(ENOUGH_MINIBATCHES, "lower shared.beta") == "lower shared.beta"
