"""Pictures that are brought to statistics, and the derivatives by which they are."""

import numpy as np
import pytest

from dssl_bio.imaging.retouch import sensitivities, with_statistics
from dssl_bio.imaging.statistics import site_statistics

CHANNELS = ("DNA", "ER", "Mito")


def picture(seed, size=32):
    """Blurred noise: three channels that have something in common."""
    rng = np.random.default_rng(seed)
    noise = rng.gamma(2.0, 0.1, (4, size + 4, size + 4))
    smooth = sum(noise[:, i:i + size, j:j + size] for i in range(4) for j in range(4)) / 16
    return (0.7 * smooth[:3] + 0.3 * smooth[3:]).astype(np.float32)


def statistics(one):
    return site_statistics(one[None].astype(np.float32), CHANNELS)[0][0]


def test_statistics_are_those_of_the_baseline_in_their_order():
    assert sensitivities(picture(0))[0] == pytest.approx(statistics(picture(0)), abs=1e-5)


def test_derivatives_are_what_a_small_change_does():
    one, step = picture(1, 12).astype(float), 1e-5
    values, change, _ = sensitivities(one)
    quantiles = np.zeros(len(values), bool)
    quantiles[6:21] = True
    for pixel in (5, 200, 400):
        moved = one.copy()
        moved.ravel()[pixel] += step
        found = (sensitivities(moved)[0] - values) / step
        assert found[~quantiles] == pytest.approx(change[~quantiles, pixel], abs=1e-4)
    # Of a quantile the derivative is spread over the pixels around it, so only its sum is the same.
    assert change[6:21].sum(1) == pytest.approx(1.0)


def test_a_picture_is_brought_to_the_statistics_of_another():
    one, other = picture(2), picture(3) * np.array([1.2, 0.8, 1.0], np.float32)[:, None, None] + 0.05
    wanted, spread = statistics(other), np.full(27, 0.05)
    before, after = (np.abs(statistics(x) - wanted).max() for x in (one, with_statistics(one, wanted, spread, 1.5)))
    assert after < 0.03 and after < 0.2 * before


def test_its_own_statistics_leave_a_picture_as_it_is():
    one = picture(4)
    assert with_statistics(one, statistics(one), np.full(27, 0.05), 1.5) == pytest.approx(one, abs=2e-3)


def test_statistics_that_no_picture_has_give_one_that_can_be_shown():
    wanted = np.full(27, -5.0)
    found = with_statistics(picture(5), wanted, np.ones(27), 1.5)
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1.5
    assert np.isfinite(with_statistics(np.zeros((3, 16, 16), np.float32), wanted, np.ones(27), 1.5)).all()
