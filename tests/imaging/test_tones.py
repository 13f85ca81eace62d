import numpy as np
import pytest

from dssl_bio.imaging.statistics import QUANTILES
from dssl_bio.imaging.tones import quantile_names, with_quantiles


def picture(seed=0):
    return np.random.default_rng(seed).gamma(2.0, 0.15, (2, 40, 40)).astype(np.float32)


def test_a_picture_gets_the_quantiles_that_were_wanted_and_keeps_its_order():
    before, wanted = picture(), np.array([[0.05, 0.1, 0.3, 0.5, 0.9], [0.1, 0.2, 0.25, 0.26, 0.7]])
    after = with_quantiles(before, wanted)
    for channel in range(2):
        assert np.quantile(after[channel], QUANTILES) == pytest.approx(wanted[channel], abs=0.01)
        order = np.argsort(before[channel].ravel())
        assert (np.diff(after[channel].ravel()[order]) >= 0).all()


def test_its_own_quantiles_leave_a_picture_as_it_is():
    before = picture(1)
    own = np.quantile(before.reshape(2, -1), QUANTILES, axis=1).T
    assert with_quantiles(before, own) == pytest.approx(before, abs=1e-5)


def test_quantiles_that_descend_or_are_negative_are_mended_first():
    after = with_quantiles(picture(2), np.array([[-0.2, 0.3, 0.1, 0.5, 0.4], [0, 0, 0, 0, 0]]))
    assert (after >= 0).all() and np.isfinite(after).all()


def test_names_are_those_of_the_statistics():
    assert quantile_names(["DNA"]) == [["DNA_quantile5", "DNA_quantile25", "DNA_quantile50", "DNA_quantile75",
                                        "DNA_quantile95"]]
