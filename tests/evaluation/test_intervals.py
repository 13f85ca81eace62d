import numpy as np
import pytest

from dssl_bio.evaluation.intervals import Bootstrap


def test_interval_of_the_mean_is_that_of_resampled_molecules_written_out():
    generator = np.random.default_rng(0)
    groups = np.array(["a", "a", "b", "c", "c", "c", "d", "e"])
    values = generator.normal(size=(8, 2))
    low_high = Bootstrap(groups, 4000, seed=1).mean_interval(values)
    draws = []
    for _ in range(4000):
        chosen = generator.choice(np.unique(groups), 5)
        rows = np.concatenate([np.flatnonzero(groups == name) for name in chosen])
        draws.append(values[rows].mean(0))
    expected = np.quantile(draws, [0.025, 0.975], axis=0).T
    assert low_high == pytest.approx(expected, abs=0.08)


def test_molecules_are_resampled_not_queries():
    per_molecule = np.random.default_rng(0).random(40)
    names, values = np.arange(40).astype(str), per_molecule[:, None]
    ((low, high),) = Bootstrap(np.repeat(names, 25)).mean_interval(np.repeat(values, 25, axis=0))
    (alone,) = Bootstrap(names).mean_interval(values)
    assert (low, high) == pytest.approx(alone, abs=1e-6)
    assert high - low == pytest.approx(2 * 1.96 * per_molecule.std() / np.sqrt(40), rel=0.1)


def test_the_median_s_interval_by_resampling_written_out():
    generator = np.random.default_rng(0)
    values = generator.random(61)
    low, high = Bootstrap(np.arange(61).astype(str), 4000).median_interval(values)
    draws = [np.median(generator.choice(values, 61)) for _ in range(4000)]
    assert (low, high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.03)


def test_equal_seeds_draw_the_same_molecules_so_that_differences_are_paired():
    values = np.random.default_rng(0).normal(size=(30, 1))
    groups = np.arange(30).astype(str)
    assert np.array_equal(Bootstrap(groups, 1000).mean_interval(values), Bootstrap(groups, 1000).mean_interval(values))
    shifted = Bootstrap(groups, 1000).mean_interval(values + 1)
    assert shifted == pytest.approx(Bootstrap(groups, 1000).mean_interval(values) + 1)


def test_a_constant_has_no_width():
    assert Bootstrap(np.arange(9).astype(str), 600).mean_interval(np.ones((9, 1))).tolist() == [[1, 1]]
