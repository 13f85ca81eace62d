from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from dssl_bio.retrieval.ranks import mechanisms_among, own_rank
from dssl_bio.vocabulary import MOA


def test_ties_count_against_the_own_phenotype():
    vectors = np.array([[1.0, 0], [1, 0], [0, 1], [1, 0]], dtype=np.float32)
    assert own_rank(vectors, np.array([1.0, 0], dtype=np.float32), np.array([1])) == 3
    assert own_rank(vectors, np.array([1.0, 0], dtype=np.float32), np.array([0, 1, 3])) == 1
    assert own_rank(vectors, np.array([1.0, 0], dtype=np.float32), np.array([], dtype=int)) is None


def test_enrichment_is_the_share_of_all_draws_with_as_many():
    entries = pd.DataFrame({MOA: ["a", "a", "b", "b", "b", None]})
    table = mechanisms_among(entries, [0, 1, 5], np.arange(6))
    draws = list(combinations(["a", "a", "b", "b", "b"], 2))
    assert table["mechanism"].tolist() == ["a"]
    assert table["p"][0] == pytest.approx(sum(d.count("a") >= 2 for d in draws) / len(draws))
    assert table["expected"][0] == pytest.approx(2 * 2 / 5)


def test_without_annotations_there_is_no_enrichment():
    assert mechanisms_among(pd.DataFrame({"x": [1]}), [0], np.array([0])).empty
