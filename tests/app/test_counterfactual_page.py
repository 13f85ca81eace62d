"""The page of counterfactuals, used as a person would."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_other_pages import shown
from tests.retrieval.decoded import with_decoder

PAGE = Path("app/app_pages/counterfactual.py").resolve()


@pytest.fixture(scope="module")
def pictured(image_bundle, tmp_path_factory):
    return with_decoder(image_bundle, image_bundle.parent / "screen", tmp_path_factory.mktemp("pictured"))


def opened(bundle, monkeypatch, **parameters):
    monkeypatch.setenv("DSSL_BIO_BUNDLES", str(bundle))
    test = AppTest.from_file(str(PAGE), default_timeout=60)
    for key, value in parameters.items():
        test.query_params[key] = value
    return test.run()


def test_a_bundle_without_decoder_says_how_to_make_one(image_bundle, monkeypatch):
    test = opened(image_bundle, monkeypatch)
    assert not test.exception
    assert "dssl-bio decode" in shown(test)


def test_a_well_is_shown_under_a_molecule_and_without_treatment(pictured, monkeypatch):
    test = opened(pictured, monkeypatch)
    assert not test.exception and not test.dataframe
    test.selectbox(key="counterfactual_well").set_value(3).run()
    test.text_input[0].set_value("CCOc1ccc(N)cc1").run()
    assert not test.exception and not test.error
    text = shown(test)
    assert "predicted, never measured" in text
    assert "Leaving the well unchanged is the baseline to beat" in text
    assert "Only the control and the measured well were ever seen" in text
    before = test.dataframe[0].value
    test.slider[0].set_value(0.5).run()
    assert "not a dose" in shown(test)
    assert not before.equals(test.dataframe[0].value)
    test.segmented_control(key="mode").set_value("Remove its treatment").run()
    assert not test.exception
    assert "under no treatment" in shown(test)


def test_a_shared_address_shows_the_same_and_what_is_wrong_gets_a_sentence(pictured, monkeypatch):
    from dssl_bio.learning.decoders.decoder import Decoder
    from dssl_bio.retrieval.bundle import Bundle

    wells = Decoder.open(pictured, Bundle.open(pictured).run.id).material.wells
    test = opened(pictured, monkeypatch, well=str(wells["row_key"].iloc[2]), molecule="CCO")
    assert "predicted, never measured" in shown(test)
    test = opened(pictured, monkeypatch, well=str(wells["row_key"].iloc[2]), molecule="C1CC")
    assert not test.exception
    assert "Not a valid SMILES" in test.error[0].value.replace("\\", "")
    test = opened(pictured, monkeypatch, well="<script>")
    assert not test.exception
    assert "no well" in test.warning[0].value
