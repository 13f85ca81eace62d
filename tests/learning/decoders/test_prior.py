import math

import numpy as np
import pytest

from dssl_bio.learning.decoders.prior import at_dose, between, expected, kept_share, weights
from dssl_bio.learning.representation import unit_rows


def unit(seed, n, dim=5):
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def test_weights_are_the_softmax_written_out():
    molecules, treatments = unit(0, 3), unit(1, 4)
    found = weights(molecules, treatments, 0.2)
    for i in range(3):
        scores = [math.exp(sum(float(a) * float(b) for a, b in zip(molecules[i], t, strict=True)) / 0.2)
                  for t in treatments]
        assert found[i].tolist() == pytest.approx([score / sum(scores) for score in scores], rel=1e-5)


def test_a_cold_prior_is_the_nearest_treatment_and_a_hot_one_the_mean():
    molecules, treatments = unit(0, 3), unit(1, 6)
    nearest = treatments[(molecules @ treatments.T).argmax(1)]
    assert expected(molecules, treatments, 1e-3) == pytest.approx(nearest, abs=1e-4)
    mean = unit_rows(treatments.mean(0, keepdims=True))
    assert expected(molecules, treatments, 1e4) == pytest.approx(np.repeat(mean, 3, 0), abs=1e-3)


def test_each_molecule_gives_its_treatments_at_the_nearest_dose():
    doses, names = np.array([1.0, 10, 2, 20, np.nan]), np.array(["a", "a", "b", "b", "c"])
    assert at_dose(doses, names, 1.5).tolist() == [0, 2, 4]
    assert at_dose(doses, names, 30.0).tolist() == [1, 3, 4]
    assert at_dose(doses, names, None).tolist() == [0, 1, 2, 3, 4]


def test_between_two_directions_lies_the_great_circle():
    first, second = np.array([[1.0, 0, 0]], np.float32), np.array([[0, 1.0, 0]], np.float32)
    assert between(first, second, 0.0) == pytest.approx(first)
    assert between(first, second, 1.0) == pytest.approx(second, abs=1e-6)
    assert between(first, second, 0.5)[0].tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0])
    assert between(first, first, 0.3) == pytest.approx(first)


def test_all_is_kept_where_nothing_changes_and_nothing_beyond_a_right_angle():
    first = np.array([[2.0, 0], [1.0, 0], [1.0, 0], [1.0, 0]], np.float32)
    second = np.array([[5.0, 0], [0, 1.0], [-1.0, 0], [1.0, 1.0]], np.float32)
    assert kept_share(first, second)[:, 0].tolist() == pytest.approx([1, 0, 0, 0.5**0.5])
