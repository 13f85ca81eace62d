import numpy as np
import pytest

from dssl_bio.screens.position import MIN_WELLS, position_effect

WELLS = [f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)]
ROW = np.repeat(np.arange(16), 24)
COLUMN = np.tile(np.arange(24), 16)


def test_chance_is_near_zero_and_a_gradient_or_an_edge_is_seen():
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 1, (200, 384))
    assert np.mean([position_effect(WELLS, values) for values in noise]) < 0.012
    gradient = noise[0] + 0.1 * (COLUMN - 11.5)
    share = 1 - 1 / gradient.var()
    assert position_effect(WELLS, gradient) == pytest.approx(share, abs=0.06)
    edge = noise[1] - 2.0 * ((np.abs(ROW - 7.5) > 5) | (np.abs(COLUMN - 11.5) > 9))
    assert position_effect(WELLS, edge) > 0.2


def test_sites_of_a_well_count_as_one_and_order_does_not_matter():
    generator = np.random.default_rng(1)
    values = generator.normal(0, 1, 384) + 0.2 * ROW
    order = generator.permutation(768)
    twice = np.concatenate([values - 1, values + 1])[order]
    assert position_effect(np.array(WELLS * 2)[order], twice) == pytest.approx(position_effect(WELLS, values))


def test_too_few_wells_one_row_or_no_variance_say_nothing():
    assert np.isnan(position_effect(WELLS[:MIN_WELLS - 1], np.arange(MIN_WELLS - 1.0)))
    assert np.isnan(position_effect(WELLS[:24], np.arange(24.0)))
    assert np.isnan(position_effect(WELLS, np.ones(384)))
