import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, kstest

from dssl_bio.learning.representation import unit_rows
from dssl_bio.retrieval.significance import GRID, Null, mismatched_pairs


def null(*scores):
    return Null("test", np.sort(np.array(scores, dtype=np.float32)))


def test_p_solved_by_hand():
    assert null(0.1, 0.2, 0.2, 0.5).p_values(np.array([0.6, 0.5, 0.2, 0.0])) == pytest.approx([1 / 5, 2 / 5, 4 / 5, 1])


def test_p_is_never_zero_and_the_resolution_is_its_floor():
    n = null(*range(99))
    assert n.p_values(np.array([1e9]))[0] == n.resolution == 0.01


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40), st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_q_is_benjamini_hochberg_of_scipy(draws, gallery):
    n, scores = null(*draws), np.array(gallery, dtype=np.float32)
    assert n.q_values(scores, scores) == pytest.approx(false_discovery_control(n.p_values(scores)))


@pytest.mark.parametrize(("n_draws", "n_entries"), [(1, 1), (3, 40), (40, 3), (300, 200)])
def test_q_on_the_grid_is_q_of_any_hits_in_any_order(n_draws, n_entries):
    generator = np.random.default_rng(n_draws)
    n = null(*(generator.integers(-9, 9, n_draws) / 10))
    scores = (generator.integers(-9, 9, n_entries) * (GRID // 10)).astype(np.int32)
    hits = scores[::-2]
    expected = false_discovery_control(n.p_values(scores / GRID))[::-2]
    assert n.q_on_grid(hits, scores) == pytest.approx(expected)


def test_a_hit_that_was_rounded_past_the_best_of_the_gallery_has_the_q_of_that_one():
    n, scores = null(0.1, 0.2, 0.3), np.array([GRID // 5, GRID // 20], dtype=np.int32)
    with np.errstate(all="raise"):
        assert n.q_on_grid(scores[:1] + 2 * GRID // 10, scores) == n.q_on_grid(scores[:1], scores)


def test_p_of_scores_from_the_null_is_uniform():
    generator = np.random.default_rng(0)
    n = null(*generator.normal(size=5000))
    assert kstest(n.p_values(generator.normal(size=2000)), "uniform").pvalue > 0.01


def test_related_pairs_are_not_in_the_null():
    generator = np.random.default_rng(0)
    gallery = unit_rows(generator.normal(size=(30, 8)))
    related = np.eye(30, dtype=bool)
    n = mismatched_pairs(gallery, gallery, related, "others")
    assert len(n.scores) == 30 * 29
    assert n.scores.max() < 0.999
    assert (np.diff(n.scores) >= 0).all()
