import numpy as np
import pytest

from dssl_bio.evaluation.metrics import chance_of_rank, chance_summary, ranks_of_best, summarize


def test_a_case_solved_by_hand():
    scores = np.array([[0.9, 0.5, 0.1], [0.2, 0.2, 0.1], [0.3, 0.1, 0.3]])
    right = np.eye(3, dtype=bool)
    assert ranks_of_best(scores, right).tolist() == [1, 2, 2]  # ties count against the model
    summary = summarize(np.array([1, 2, 2]), np.array([3, 3, 3]))
    assert summary.top_1 == pytest.approx(1 / 3)
    assert summary.mrr == pytest.approx(2 / 3)


def test_constant_scores_come_last():
    assert ranks_of_best(np.zeros((2, 7)), np.eye(2, 7, dtype=bool)).tolist() == [7, 7]


@pytest.mark.parametrize(("n_entries", "n_right"), [(10, 1), (12, 3), (4, 4)])
def test_chance_agrees_with_shuffling(n_entries, n_right):
    generator = np.random.default_rng(0)
    right = np.tile(np.arange(n_entries) < n_right, (20_000, 1))
    ranks = ranks_of_best(generator.random(right.shape), right)
    observed = np.bincount(ranks, minlength=n_entries + 1)[1:] / len(ranks)
    assert chance_of_rank(n_entries, n_right) == pytest.approx(observed, abs=0.015)
    chance = chance_summary([n_entries], [n_right])
    assert chance.mrr == pytest.approx(np.mean(1 / ranks), abs=0.01)
    assert chance.median_rank == pytest.approx(np.median(ranks) / n_entries, abs=0.11)


def test_chance_of_a_large_pool_is_k_over_n():
    chance = chance_summary([2115] * 3, [1] * 3)
    assert (chance.top_1, chance.top_10) == pytest.approx((1 / 2115, 10 / 2115))


def test_a_query_without_right_answer_is_refused():
    with pytest.raises(ValueError, match="query 1 has no right answer"):
        ranks_of_best(np.zeros((2, 2)), np.array([[True, False], [False, False]]))
