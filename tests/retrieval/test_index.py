import numpy as np
import pytest

from dssl_bio.errors import BundleError
from dssl_bio.learning.representation import unit_rows
from dssl_bio.retrieval.index import PhenotypeIndex


def vectors(n, dim=16, seed=0):
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


@pytest.mark.parametrize("n_queries", [1, 3, 700])
def test_search_is_the_full_matrix_computation(n_queries):
    gallery, queries = vectors(500), vectors(n_queries, seed=1)
    scores, numbers = PhenotypeIndex(gallery, "m").search(queries, 10, "m")
    full = (queries @ gallery.T).round(6)
    assert np.allclose(scores, -np.sort(-full, 1)[:, :10], atol=2e-6)
    assert np.allclose(np.take_along_axis(full, numbers, 1), scores, atol=2e-6)


def test_equal_scores_come_in_the_order_of_the_entries():
    gallery = np.repeat(vectors(3), 8, axis=0)
    _, numbers = PhenotypeIndex(gallery, "m").search(gallery[8:9], 6, "m")
    assert numbers[0].tolist() == [8, 9, 10, 11, 12, 13]


def test_any_number_of_equal_scores_comes_in_the_order_of_the_entries():
    """Replicates differ in the last bits, so that their scores are equal only after rounding."""
    generator = np.random.default_rng(2)
    group = generator.permutation(np.repeat(np.arange(4), 300))
    gallery = vectors(4)[group] + (3e-8 * generator.normal(size=(1200, 16))).astype(np.float32)
    queries = vectors(5, seed=3)
    scores, numbers = PhenotypeIndex(gallery, "m").search(queries, 20, "m")
    for query, row, score in zip(queries, numbers, scores, strict=True):
        best = int(np.argmax(vectors(4) @ query))
        assert row.tolist() == np.flatnonzero(group == best)[:20].tolist()
        assert len(set(score.tolist())) == 1


def test_k_is_at_most_the_number_of_entries():
    scores, numbers = PhenotypeIndex(vectors(4), "m").search(vectors(2), 10, "m")
    assert scores.shape == numbers.shape == (2, 4)


def test_a_query_of_another_model_or_width_is_refused():
    index = PhenotypeIndex(vectors(5), "one")
    with pytest.raises(BundleError, match="model one, the query by model two"):
        index.search(vectors(1), 3, "two")
    with pytest.raises(BundleError, match="16 dimensions, the query 8"):
        index.search(vectors(1, 8), 3, "one")


def test_an_index_without_entries_or_with_nan_is_refused():
    with pytest.raises(BundleError, match="at least one"):
        PhenotypeIndex(np.zeros((0, 4), np.float32), "m")
    with pytest.raises(BundleError, match="NaN"):
        PhenotypeIndex(np.full((2, 4), np.nan, np.float32), "m")
