"""What is typed becomes a molecule, and what the bundle knows of it is told."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dssl_bio.chem.standardize import standardize
from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.errors import MoleculeError
from dssl_bio.retrieval.lookup import examples, identify, looks_like_inchikey

NAMED = {"aspirin": "CC(=O)Oc1ccccc1C(=O)O", "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "twin": "CCO",
         "L-alanine": "C[C@H](N)C(=O)O", "Twin": "CCCO"}


@pytest.fixture(scope="module")
def bundle():
    molecules = [standardize(smiles) for smiles in NAMED.values()]
    table = pd.DataFrame({
        "molecule_id": [molecule.id for molecule in molecules], "Metadata_InChIKey": [m.inchikey for m in molecules],
        "Metadata_SMILES": [m.smiles for m in molecules], "Metadata_Compound": list(NAMED),
        "Metadata_MoA": ["COX inhibitor", None, None, None, None], "in_screen": [True, True, True, True, False],
        "split": ["test", "train", "valid", "train", ""]})
    entries = pd.DataFrame({"entry_key": ["a", "b", "c"], "molecule_id": [table["molecule_id"][i] for i in (1, 0, 0)]})
    return SimpleNamespace(molecules=table, entries=entries)


@pytest.fixture(scope="module")
def pool():
    with Standardizer(1) as workers:
        yield workers


def test_a_name_is_found_without_regard_to_case_with_all_that_is_known(bundle, pool):
    found = identify(bundle, "  ASPIRIN ", pool)
    assert (found.how, found.compound, found.mechanism, found.split) == ("name", "aspirin", "COX inhibitor", "test")
    assert found.in_screen
    assert found.entries.tolist() == [1, 2]
    assert found.molecule == standardize(NAMED["aspirin"])


def test_a_name_of_two_molecules_is_none(bundle, pool):
    with pytest.raises(MoleculeError, match="no compound of this bundle has that name"):
        identify(bundle, "twin", pool)


def test_another_spelling_or_salt_of_a_smiles_is_the_same_molecule(bundle, pool):
    found = identify(bundle, "OC(=O)c1ccccc1OC(C)=O.[Na]", pool)
    assert found.how == "SMILES"
    assert found.library_row == 0
    assert found.molecule.changes
    assert not found.other_stereo


def test_stereoisomers_are_joined_and_told_apart(bundle, pool):
    found = identify(bundle, "C[C@@H](N)C(=O)O", pool)
    assert found.library_row == 3
    assert found.other_stereo


def test_an_inchikey_is_found_whole_or_by_its_first_block(bundle, pool):
    key = bundle.molecules["Metadata_InChIKey"][1]
    for text in (key, key[:14], key.lower()):
        assert identify(bundle, text, pool).compound == "caffeine"
    with pytest.raises(MoleculeError, match="is not in this bundle"):
        identify(bundle, "AAAAAAAAAAAAAA", pool)


def test_a_new_molecule_is_known_to_be_new(bundle, pool):
    found = identify(bundle, "c1ccccc1Br", pool)
    assert (found.library_row, found.in_screen, found.split) == (None, False, "")
    assert len(found.entries) == 0


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_is_answered_with_what_can_be_typed(bundle, pool, text):
    with pytest.raises(MoleculeError, match="type a SMILES"):
        identify(bundle, text, pool)


@pytest.mark.parametrize(("text", "answer"), [
    ("BSYNRYMUTXBXSQ-UHFFFAOYSA-N", True), ("bsynrymutxbxsq", True), ("BSYNRYMUTXBXSQ-UHFFFAOYSA", False),
    ("CCCCCCCCCCCCCC", True), ("BSYNRYMUTXBX1Q", False), ("", False),
])
def test_an_inchikey_is_recognised_by_its_form(text, answer):
    assert looks_like_inchikey(text) is answer


def test_examples_are_held_out_first_and_ask_for_what_finds_them(bundle, pool):
    offered = examples(bundle)
    assert offered[0] == ("aspirin (COX inhibitor)", "aspirin")
    assert [identify(bundle, text, pool).compound for _, text in offered][0] == "aspirin"
    # "twin" names two molecules, so its example asks by structure
    assert dict(offered)["twin"] == "CCO"
    assert "Twin" not in dict(offered)
    assert len(examples(bundle, 2)) == 2
    assert np.all([len(label) > 0 for label, _ in offered])
