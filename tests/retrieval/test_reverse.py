"""Molecules of a phenotype against the whole computation written out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dssl_bio.errors import BundleError
from dssl_bio.retrieval.reverse import molecules_of, rank_of_molecule
from dssl_bio.retrieval.significance import Null


@pytest.fixture
def bundle():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(30, 4)).astype(np.float32)
    vectors[7] = vectors[3]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"M{number:02d}" for number in range(30)][::-1]
    molecules = pd.DataFrame({"molecule_id": ids, "in_screen": [True] * 20 + [False] * 10})
    null = Null("made up", np.sort(generator.uniform(-1, 1, 2000).astype(np.float32)))
    return SimpleNamespace(molecule_vectors=SimpleNamespace(shared=vectors), molecules=molecules, null=null)


def test_hits_are_those_of_the_whole_computation(bundle):
    phenotype = bundle.molecule_vectors.shared[3]
    hits = molecules_of(bundle, phenotype, 30)
    scores = [round(float(vector @ phenotype), 6) for vector in bundle.molecule_vectors.shared]
    expected = sorted(range(30), key=lambda row: (-scores[row], bundle.molecules["molecule_id"][row]))
    assert [hit.row for hit in hits] == expected
    assert [hit.rank for hit in hits] == list(range(1, 31))
    p = [(1 + (bundle.null.scores >= np.float32(hit.score)).sum()) / 2001 for hit in hits]
    assert [hit.p for hit in hits] == pytest.approx(p)
    q, smallest = [0.0] * 30, 1.0
    for place in range(29, -1, -1):
        smallest = min(smallest, p[place] * 30 / sum(value <= p[place] for value in p))
        q[place] = smallest
    assert [hit.q for hit in hits] == pytest.approx(q)


def test_molecules_that_only_training_knows_can_be_left_out(bundle):
    hits = molecules_of(bundle, bundle.molecule_vectors.shared[25], 30, in_screen_only=True)
    assert sorted(hit.row for hit in hits) == list(range(20))


def test_ties_count_against_the_molecule(bundle):
    phenotype = bundle.molecule_vectors.shared[3]
    assert rank_of_molecule(bundle, phenotype, bundle.molecules["molecule_id"][3]) == 2
    assert rank_of_molecule(bundle, phenotype, "not there") is None


def test_a_vector_that_does_not_fit_is_refused(bundle):
    with pytest.raises(BundleError, match="4 dimensions"):
        molecules_of(bundle, np.ones(3, np.float32))
    with pytest.raises(BundleError, match="NaN"):
        molecules_of(bundle, np.full(4, np.nan, np.float32))
