"""Odd strings and hostile SMILES: a molecule or a sentence each time, never a traceback, never a wait."""

import time
from types import SimpleNamespace

import pandas as pd
import pytest

from dssl_bio.chem.depict import svg
from dssl_bio.chem.standardize import standardize
from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.errors import MoleculeError
from dssl_bio.retrieval.lookup import Identified, identify
from tests.hostile_texts import HOSTILE, odd

TIME_LIMIT_S = 5.0


@pytest.fixture(scope="module")
def bundle():
    molecules = pd.DataFrame({"molecule_id": ["LFQSCWFLJHTTHZ"], "Metadata_InChIKey": ["LFQSCWFLJHTTHZ-UHFFFAOYSA-N"],
                              "Metadata_SMILES": ["CCO"], "Metadata_Compound": ["ethanol"], "in_screen": [True],
                              "split": ["train"]})
    return SimpleNamespace(molecules=molecules, entries=pd.DataFrame({"entry_key": ["a"],
                                                                      "molecule_id": ["LFQSCWFLJHTTHZ"]}))


@pytest.fixture(scope="module")
def pool():
    with Standardizer(2, TIME_LIMIT_S) as workers:
        list(workers.standardized([]))
        yield workers


def asked(bundle, pool, text):
    start = time.monotonic()
    try:
        answer = identify(bundle, text, pool)
    except MoleculeError as error:
        answer = str(error)
        assert answer.strip()
        assert "Traceback" not in answer
        assert len(answer) < 500
    assert time.monotonic() - start < 2 * TIME_LIMIT_S
    return answer


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_is_a_molecule_or_gets_a_sentence(text, bundle, pool):
    answer = asked(bundle, pool, text)
    assert isinstance(answer, Identified | str)
    if isinstance(answer, Identified):  # what the page does next works on every molecule that was let in
        assert standardize(answer.molecule.smiles).smiles == answer.molecule.smiles
        assert svg(answer.molecule, 340, 220).count("<svg") == 1


def test_odd_strings_are_answered(bundle, pool):
    texts = odd()
    assert len(texts) == 2_000
    for text in texts:
        asked(bundle, pool, text)
