"""Odd strings and hostile SMILES: a molecule or a sentence each time, never a traceback, never a wait."""

import random
import string
import time
from types import SimpleNamespace

import pandas as pd
import pytest

from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.errors import MoleculeError
from dssl_bio.retrieval.lookup import Identified, identify

N_ODD = 2_000
TIME_LIMIT_S = 5.0
HOSTILE = [
    "C" * 10_000, "C1" * 900 + "C", "(" * 1_000, "[" * 500 + "C" + "]" * 500, "C%99" * 300, "c1ccccc1" * 200,
    "[C@@H]" * 300, ".".join("C" * 1_000), "C12C3C4C5C6C7C8C9" * 100, "<script>alert(1)</script>", "\u202eCCO\u202c",
    "CCO\x00CCO", "C\nC", "\t", "\ud83d\ude00", "[2000C]", "[C+++++++++]", "[Xx]", "*" * 500, "C" + "=C=C" * 400,
    "';DROP TABLE molecules;--", "../../etc/passwd", "{{7*7}}", "%n%s%x", "N" * 1_999, "[#0]", "[#999]",
    "C1CCC2(CC1)" * 80, "O=S(=O)" * 200, "[H][H]",
    "[Na+].[Cl-]", "|c:1,2|", "CCO |c:1|", "InChI=1S/CH4/h1H4", "0" * 300,
]


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
    assert isinstance(asked(bundle, pool, text), Identified | str)


def test_odd_strings_are_answered(bundle, pool):
    generator = random.Random(0)
    smiles, anything = "CNOPSFBrClI()[]=#@+-\\/%123456789cnos.*H", string.printable + "\u00e9\u202e\u4e2d\u0301\ufeff"
    for number in range(N_ODD):
        letters = smiles if number % 2 else anything
        asked(bundle, pool, "".join(generator.choices(letters, k=generator.randint(1, 60))))
