import numpy as np
import pytest

from dssl_bio.imaging.scores import ObjectScores, pooled, scores_at


def counted_in_loops(found, reference, threshold):
    """Matches by comparing every pair of pixel sets."""
    sets = [[{tuple(p) for p in np.argwhere(image == k)} for k in np.unique(image[image > 0])]
            for image in (found, reference)]
    matched = sum(len(a & b) / len(a | b) > threshold for a in sets[0] for b in sets[1])
    return ObjectScores(matched, len(sets[1]) - matched, len(sets[0]) - matched)


@pytest.mark.parametrize("seed", range(4))
def test_matches_the_count_in_loops(seed):
    generator = np.random.default_rng(seed)
    reference = np.kron(generator.integers(0, 5, (6, 6)), np.ones((3, 3), int))
    found = np.where(generator.random(reference.shape) < 0.15, 7, reference)
    for threshold, scores in scores_at(found, reference).items():
        assert scores == counted_in_loops(found, reference, threshold)


def test_a_case_solved_by_hand():
    reference, found = np.zeros((4, 10), int), np.zeros((4, 10), int)
    reference[:, :4], reference[:, 6:] = 1, 2
    found[:, :3], found[:, 5:6] = 4, 9  # 12 of 16 pixels: IoU 0.75; and one object that is not there
    scores = scores_at(found, reference)
    assert scores[0.5] == scores[0.7] == ObjectScores(matched=1, missed=1, spurious=1)
    assert scores[0.9].matched == 0
    assert scores[0.5].f1 == pytest.approx(0.5)


def test_nothing_found_where_nothing_is_is_right_and_pooling_adds_counts():
    empty, one = np.zeros((3, 3), int), np.eye(3, dtype=int)
    assert scores_at(empty, empty)[0.5].f1 == 1
    assert scores_at(one, empty)[0.5].f1 == 0
    assert pooled([scores_at(one, one), scores_at(one, empty)])[0.9] == ObjectScores(1, 0, 1)


def test_thresholds_without_unique_matches_and_other_sizes_are_refused():
    with pytest.raises(ValueError, match="below 0.5"):
        scores_at(np.eye(3, dtype=int), np.eye(3, dtype=int), [0.3])
    with pytest.raises(ValueError, match="cannot be compared"):
        scores_at(np.eye(3, dtype=int), np.eye(4, dtype=int))
