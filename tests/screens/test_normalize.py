import numpy as np
import pytest
from scipy.stats import median_abs_deviation

from dssl_bio.errors import ScreenError
from dssl_bio.screens.normalize import normalized, transformed


@pytest.fixture()
def plates_with_offsets():
    generator = np.random.default_rng(0)
    plates = np.repeat(["00123", "p2"], 60)
    features = generator.normal(size=(120, 5)) + np.where(plates == "p2", 7.0, 0.0)[:, None]
    return features, plates, np.tile(np.arange(60) < 20, 2)


def test_controls_of_every_plate_have_median_0_and_spread_1(plates_with_offsets):
    features, plates, control = plates_with_offsets
    result = normalized(features, plates, control, "negcon")
    for plate in ("00123", "p2"):
        reference = result[(plates == plate) & control]
        assert np.median(reference, axis=0) == pytest.approx(0, abs=1e-6)
        assert median_abs_deviation(reference, scale="normal") == pytest.approx(1, rel=1e-3)


def test_treated_wells_do_not_move_the_reference(plates_with_offsets):
    features, plates, control = plates_with_offsets
    moved = features + np.where(control, 0, 3.0)[:, None]
    before, after = (normalized(f, plates, control, "negcon") for f in (features, moved))
    assert (before[control] == after[control]).all()


def test_constant_features_become_zero_not_infinite(plates_with_offsets):
    features, plates, control = plates_with_offsets
    features[:, 2] = 4.2
    assert (normalized(features, plates, control, "plate")[:, 2] == 0).all()


def test_a_plate_without_controls_is_named(plates_with_offsets):
    features, plates, control = plates_with_offsets
    control[plates == "00123"] = False
    with pytest.raises(ScreenError, match="plate 00123: 0 negative controls"):
        normalized(features, plates, control, "negcon")


def test_signed_log_keeps_sign_and_order():
    values = np.array([[-100.0, -1, 0, 1, 100]])
    result = transformed(values, "signed_log")[0]
    assert (np.diff(result) > 0).all() and result[2] == 0 and result[0] == -result[4]
