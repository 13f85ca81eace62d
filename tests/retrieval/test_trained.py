"""What is kept of the training molecules says the same as comparing them anew for each question."""

import numpy as np
import pandas as pd
import pytest

from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.standardize import standardize
from dssl_bio.retrieval.applicability import Trained, applicability

SMILES = ["CCO", "CCCO", "CCCCO", "c1ccccc1O", "c1ccccc1N", "CC(=O)Nc1ccccc1", "CCN", "C1CCCCC1", "CCCCCCN"]


@pytest.fixture(scope="module")
def library():
    molecules = [standardize(text) for text in SMILES]
    return pd.DataFrame([(m.id, m.inchikey, m.smiles) for m in molecules], columns=[
        "molecule_id", "Metadata_InChIKey", "Metadata_SMILES"]).assign(split=["train"] * 8 + ["test"])


def tanimoto(one, other):
    a, b = count_morgan(one).astype(float), count_morgan(other).astype(float)
    return np.minimum(a, b).sum() / np.maximum(a, b).sum()


@pytest.mark.parametrize("asked", [*SMILES, "CCOC", "c1ccncc1"])
def test_a_question_is_answered_as_by_the_whole_comparison(asked, library):
    molecule = standardize(asked)
    others = [standardize(text) for text in SMILES[:8] if standardize(text).id != molecule.id]
    near = [tanimoto(molecule, other) for other in others]
    own = [max(tanimoto(one, other) for other in others if other != one) for one in others]
    found = applicability(molecule, library, None, Trained.of(library))
    assert found.similarity == pytest.approx(max(near), abs=1e-6)
    assert found.further == pytest.approx(np.mean([value < max(near) - 1e-9 for value in own]))
    assert found.trained == (asked in SMILES[:8])
    assert found == applicability(molecule, library, None)
