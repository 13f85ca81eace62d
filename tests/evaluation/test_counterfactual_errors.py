import numpy as np
import pytest

from dssl_bio.evaluation.counterfactual_errors import Resampled, compared, explained, interval, root_mean_square

NAMES = np.array(["a", "a", "b", "c", "c", "c"])


def test_the_last_draw_is_the_rows_as_they_are():
    squares = np.random.default_rng(0).random((6, 4))
    draws = Resampled.of(NAMES, 0, n_draws=50)
    expected = sum(float(np.sqrt(np.mean([row[k] for row in squares]))) for k in range(4)) / 4
    assert root_mean_square(squares, draws)[-1] == pytest.approx(expected)


def test_a_draw_holds_whole_molecules_as_often_as_they_were_drawn():
    squares = np.random.default_rng(1).random((6, 2))
    draws = Resampled.of(NAMES, 3, n_draws=20)
    for number in range(20):
        rows = [row for row, name in enumerate(NAMES) for _ in range(int(draws.counts[number]["abc".index(name)]))]
        expected = np.sqrt(squares[rows].mean(0)).mean()
        assert root_mean_square(squares, draws)[number] == pytest.approx(expected)


def test_half_of_the_error_is_fifty_per_cent_lower_in_every_draw():
    error = np.random.default_rng(2).random((6, 3))
    table = compared({"ours": error**2 / 4, "other": error**2}, "ours", NAMES, 0).set_index("method")
    assert table.loc["other", ["lower", "lower_low", "lower_high"]].tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert table.loc["ours", "lower"] == 0


def test_explained_variance_is_that_of_a_loop():
    rng = np.random.default_rng(4)
    own, other = rng.random((6, 3)), 2 + rng.random((6, 3))
    found = interval(explained(own, other, Resampled.of(NAMES, 0)))
    assert found["value"] == pytest.approx(1 - own.sum() / other.sum())
    assert found["low"] <= found["value"] <= found["high"]
