from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from dssl_bio.chem.standardize import standardize
from dssl_bio.learning.representation import SharedSpecific, unit_rows
from dssl_bio.retrieval.neighbours import SHARED_COSINE, SPECIFIC_COSINE, TANIMOTO, cosines_with_library, nearest

SMILES = ["CCO", "CCCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN"]


@pytest.fixture
def bundle():
    generator = np.random.default_rng(0)
    molecules = [standardize(text) for text in SMILES]
    table = pd.DataFrame([(m.id, m.inchikey, m.smiles) for m in molecules],
                         columns=["molecule_id", "Metadata_InChIKey", "Metadata_SMILES"])
    vectors = SharedSpecific(unit_rows(generator.normal(size=(5, 4))), unit_rows(generator.normal(size=(5, 3))))
    return SimpleNamespace(molecules=table, molecule_vectors=vectors)


def test_the_two_spaces_rank_by_their_own_cosine_and_leave_the_query_out(bundle):
    query = bundle.molecule_vectors.take(np.array([0]))
    table = cosines_with_library(bundle, query, exclude=bundle.molecules["molecule_id"][0])
    assert len(table) == 4
    for space, column, vectors in (("shared", SHARED_COSINE, bundle.molecule_vectors.shared),
                                   ("specific", SPECIFIC_COSINE, bundle.molecule_vectors.specific)):
        cosine = [float(vectors[row] @ vectors[0]) for row in range(1, 5)]
        expected = sorted(range(1, 5), key=lambda row: -cosine[row - 1])
        found = nearest(table, space, standardize("CCO"), 3)
        assert found["Metadata_SMILES"].tolist() == [bundle.molecules["Metadata_SMILES"][row] for row in expected[:3]]
        assert found[column].tolist() == pytest.approx(sorted(cosine, reverse=True)[:3], abs=1e-6)


def test_tanimoto_is_that_of_count_morgan(bundle):
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    query = bundle.molecule_vectors.take(np.array([0]))
    found = nearest(cosines_with_library(bundle, query), "shared", standardize("CCO"), 5)
    own = generator.GetCountFingerprint(Chem.MolFromSmiles("CCO"))
    expected = [DataStructs.TanimotoSimilarity(own, generator.GetCountFingerprint(Chem.MolFromSmiles(text)))
                for text in found["Metadata_SMILES"]]
    assert found[TANIMOTO].tolist() == pytest.approx(expected)


def test_equal_cosines_come_in_the_order_of_ids(bundle):
    bundle.molecule_vectors.shared[:] = bundle.molecule_vectors.shared[0]
    query = bundle.molecule_vectors.take(np.array([0]))
    found = nearest(cosines_with_library(bundle, query), "shared", standardize("CCO"), 5)
    assert found["molecule_id"].tolist() == sorted(bundle.molecules["molecule_id"])
