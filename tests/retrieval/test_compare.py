from types import SimpleNamespace

import numpy as np
import pytest

from dssl_bio.chem.standardize import standardize
from dssl_bio.learning.representation import SharedSpecific, unit_rows
from dssl_bio.retrieval.compare import PAIRS, likeness, random_pairs


@pytest.fixture
def bundle():
    generator = np.random.default_rng(0)
    vectors = SharedSpecific(unit_rows(generator.normal(size=(40, 5))), unit_rows(generator.normal(size=(40, 3))))
    return SimpleNamespace(molecules=range(40), molecule_vectors=vectors)


def test_random_pairs_are_never_a_molecule_with_itself(bundle):
    pairs = random_pairs(bundle)
    assert len(pairs) == PAIRS
    assert pairs.shared.max() < 1 - 1e-4
    assert np.array_equal(pairs.shared, random_pairs(bundle).shared)
    cosines = bundle.molecule_vectors.shared @ bundle.molecule_vectors.shared.T
    every = cosines[~np.eye(40, dtype=bool)]
    assert abs(pairs.shared.mean() - every.mean()) < 4 * every.std() / PAIRS**0.5


def test_a_molecule_is_wholly_like_itself_and_order_does_not_matter(bundle):
    ethanol, phenol = standardize("CCO"), standardize("Oc1ccccc1")
    pairs = random_pairs(bundle)
    same = likeness(ethanol, ethanol, bundle.molecule_vectors.take(np.array([3, 3])), pairs)
    assert (same.shared, same.specific, same.tanimoto) == pytest.approx((1, 1, 1), abs=1e-6)
    assert (same.shared_percentile, same.specific_percentile) == (100, 100)
    one = likeness(ethanol, phenol, bundle.molecule_vectors.take(np.array([3, 8])), pairs)
    other = likeness(phenol, ethanol, bundle.molecule_vectors.take(np.array([8, 3])), pairs)
    assert one == other
    expected = 100 * np.mean([cosine < one.shared for cosine in pairs.shared[:, 0]])
    assert one.shared_percentile == pytest.approx(expected)


def test_a_library_of_one_has_no_pairs(bundle):
    alone = SimpleNamespace(molecules=range(1), molecule_vectors=bundle.molecule_vectors.take(np.array([0])))
    ethanol = standardize("CCO")
    found = likeness(ethanol, ethanol, bundle.molecule_vectors.take(np.array([0, 0])), random_pairs(alone))
    assert np.isnan(found.shared_percentile)
