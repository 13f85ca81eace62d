import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, kstest

from dssl_bio.learning.representation import unit_rows
from dssl_bio.retrieval import significance
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
    n = mismatched_pairs(gallery, gallery, [(np.arange(30), np.arange(30))], "others")
    assert len(n.scores) == 30 * 29
    assert n.scores.max() < 0.999
    assert (np.diff(n.scores) >= 0).all()


def several_codes(n_queries, n_entries):
    generator = np.random.default_rng(1)
    queries, gallery = (unit_rows(generator.normal(size=(n, 8))) for n in (n_queries, n_entries))
    return queries, gallery, [tuple(generator.integers(-1, 6, n) for n in (n_queries, n_entries)) for _ in range(2)]


def test_the_null_in_blocks_is_that_of_the_whole_matrix(monkeypatch):
    queries, gallery, related = several_codes(40, 23)
    apart = np.array([[all(own[q] != others[e] or own[q] == -1 for own, others in related) for e in range(23)]
                      for q in range(40)])
    expected = np.sort((queries @ gallery.T).round(6)[apart])
    for at_once in (1, 100, 10_000):
        monkeypatch.setattr(significance, "PAIRS_AT_ONCE", at_once)
        assert mismatched_pairs(queries, gallery, related, "others").scores == pytest.approx(expected, abs=2e-6)


def test_of_many_pairs_some_are_drawn_and_the_matrix_is_never_held(monkeypatch):
    queries, gallery, related = several_codes(3_000, 4_000)
    monkeypatch.setattr(significance, "PAIRS_AT_ONCE", 400_000)
    tracemalloc.start()
    try:
        n = mismatched_pairs(queries, gallery, related, "others", seed=3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(n.scores) == significance.MAX_DRAWS and peak < 3_000 * 4_000 * 4
    assert kstest(n.scores, np.sort((queries[:200] @ gallery.T).ravel())).pvalue > 0.01


def test_p_of_pairs_that_have_nothing_to_do_with_each_other_is_uniform():
    """Molecules and entries share a direction that says nothing of who belongs to whom, as trained models do."""
    levels, found = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8), []
    for seed in range(10):  # pairs of one molecule depend on each other, so one draw of molecules says little
        generator = np.random.default_rng(seed)
        common = 3 * generator.normal(size=16)
        queries, gallery = (unit_rows(generator.normal(size=(n, 16)) + common) for n in (400, 300))
        own = np.arange(400) % 300
        n = mismatched_pairs(queries[:200], gallery, [(own[:200], np.arange(300))], "others")
        right = own[200:, None] == np.arange(300)[None, :]
        p = np.sort(n.p_values((queries[200:] @ gallery.T)[~right].round(6)))
        found.append(np.searchsorted(p, levels, side="right") / len(p))
    assert np.mean(found, axis=0) == pytest.approx(levels, rel=0.15)
