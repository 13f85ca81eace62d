import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dssl_bio.chem.standardize import standardize
from dssl_bio.errors import BundleError, DsslBioError
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.learning.decoders.prior import OWN_TEMPERATURE
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.counterfactual import under_molecule, without_treatment
from dssl_bio.retrieval.counterfactual_report import write_counterfactual


def opened(folder):
    bundle = Bundle.open(folder)
    return bundle, Decoder.open(folder, bundle.run.id)


def asked(bundle, decoder, row, smiles="O=C(c1ccccc1)NCCCC", **options):
    molecule = standardize(smiles)
    vector = bundle.run.embed_molecules([molecule], specific=False).shared
    return molecule, under_molecule(bundle, decoder, row, molecule, vector, **options)


@pytest.fixture(params=["decoded_profiles", "decoded_images"])
def folder(request):
    return request.getfixturevalue(request.param)


def test_what_a_well_got_gives_the_well_itself(folder):
    _, decoder = opened(folder)
    rows = np.arange(3)
    source = decoder.source_code(rows)
    again = decoder.under(source, decoder.specific(rows)) + decoder.unexplained(rows, source)
    assert again == pytest.approx(np.asarray(decoder.material.features[rows]), abs=1e-4)
    if decoder.velocity is not None:
        again = decoder.pictures(rows, decoder.source_code(rows))
        assert again == pytest.approx(decoder.own_pictures(rows), abs=1e-5)


def test_an_untreated_well_stays_when_its_treatment_is_removed_and_a_treated_one_does_not(folder):
    bundle, decoder = opened(folder)
    control = (decoder.material.wells["Metadata_pert_type"] == "negcon").to_numpy()
    untreated = without_treatment(bundle, decoder, int(np.flatnonzero(control)[0]))
    assert untreated.versions[-1].features == pytest.approx(untreated.before, abs=1e-4)
    assert any("negative control" in note for note in untreated.notes)
    treated = without_treatment(bundle, decoder, int(np.flatnonzero(~control)[0]))
    change = np.abs(treated.versions[-1].features - treated.before) / decoder.profile.spread.numpy()
    assert change.max() > (0.02 if decoder.velocity is None else 0)  # the pictures are noise, with nothing to learn


def test_strength_nothing_is_no_treatment_and_says_that_it_is_no_dose(folder):
    bundle, decoder = opened(folder)
    _, none = asked(bundle, decoder, 0, strength=0.0)
    removed = without_treatment(bundle, decoder, 0)
    assert none.versions[-1].features == pytest.approx(removed.versions[-1].features, abs=1e-4)
    assert any("not a dose" in warning for warning in none.warnings)
    if none.versions[-1].picture is not None:
        assert none.versions[-1].picture == pytest.approx(removed.versions[-1].picture, abs=1e-4)


def test_features_are_the_weighted_mean_of_decoded_treatments(decoded_profiles):
    bundle, decoder = opened(decoded_profiles)
    molecule, found = asked(bundle, decoder, 2, dose_um=10.0)
    vector = bundle.run.embed_molecules([molecule], specific=False).shared[0]
    total, weight = 0.0, 0.0
    for _, one in decoder.library.iterrows():
        if one["Metadata_Dose_um"] != 10.0:
            continue
        code = decoder.material.treatments[one["treatment"]]
        share = np.exp(float(vector @ code) / decoder.facts.temperature)
        total = total + share * decoder.features(code[None], decoder.specific(np.array([2])))[0][0]
        weight += share
    kept = decoder.unexplained(np.array([2]), found.versions[-1].shared[None])[0]
    assert found.versions[-1].features == pytest.approx(total / weight + kept, abs=1e-3)


def test_of_what_is_not_explained_the_plates_part_stays_and_the_rest_by_the_cosine(decoded_profiles):
    _, decoder = opened(decoded_profiles)
    material = decoder.material
    everything = decoder.unexplained(np.arange(len(material.wells)))
    plate = material.wells["Metadata_Plate"].to_numpy()
    learned = set(material.treatment[(material.wells["use"] != "").to_numpy()])
    row, target = 4, material.treatments[:1]
    around = [i for i in range(len(plate)) if plate[i] == plate[row] and material.treatment[i] in learned]
    common = sum(everything[i] for i in around) / len(around)
    rows = np.array([row])
    codes = [material.treatments[one] for one in sorted(set(decoder.library["treatment"]))] + [decoder.control_code[0]]
    directions, features = [], []
    for code in (decoder.source_code(rows)[0], target[0]):
        share = np.exp(np.array([float(code @ one) for one in codes]) / OWN_TEMPERATURE)
        share /= share.sum()
        directions.append(sum(weight * one for weight, one in zip(share, codes, strict=True)))
        features.append(sum(weight * decoder.features(one[None], decoder.specific(rows))[0][0]
                            for weight, one in zip(share, codes, strict=True)))
    cosine = max(0.0, float(directions[0] @ directions[1]) / np.prod([np.linalg.norm(one) for one in directions]))
    assert decoder.under(target, decoder.specific(rows))[0] == pytest.approx(features[1], abs=1e-4)
    left = np.asarray(material.features[row]) - features[0]
    assert decoder.unexplained(rows, target)[0] == pytest.approx(common + cosine * (left - common), abs=1e-4)


def test_a_series_goes_through_the_screens_doses_or_says_that_it_is_none(decoded_profiles, decoded_images):
    bundle, decoder = opened(decoded_profiles)
    _, found = asked(bundle, decoder, 0, series=True)
    assert found.series == "dose"
    assert [version.name for version in found.versions] == ["1 µM", "10 µM"]
    assert not np.allclose(found.versions[0].features, found.versions[1].features)
    bundle, decoder = opened(decoded_images)
    _, found = asked(bundle, decoder, 0, series=True)
    assert found.series == "strength"
    assert len(found.versions) == 4
    assert any("knows no doses" in warning for warning in found.warnings)
    one_by_one = asked(bundle, decoder, 0, strength=0.5)[1].versions[-1]
    assert found.versions[1].picture == pytest.approx(one_by_one.picture, abs=1e-4)


def test_a_strange_molecule_gets_a_warning_and_a_molecule_of_the_training_none(decoded_profiles):
    bundle, decoder = opened(decoded_profiles)
    assert any("Outside" in text for text in asked(bundle, decoder, 0, "FC(F)(F)S(=O)(=O)c1cncnc1Br")[1].warnings)
    known = bundle.molecules.loc[bundle.molecules["split"] == "train", "Metadata_SMILES"].iloc[0]
    assert not any("Outside" in text for text in asked(bundle, decoder, 0, known)[1].warnings)


def test_files_hold_what_was_found(folder, tmp_path):
    bundle, decoder = opened(folder)
    molecule, found = asked(bundle, decoder, 1)
    write_counterfactual(tmp_path / "out", bundle, decoder, found, molecule, "dssl-bio <b>")
    page = (tmp_path / "out" / "counterfactual.html").read_text()
    assert "dssl-bio &lt;b&gt;" in page
    assert 'src="http' not in page and "href=" not in page
    table = pd.read_csv(tmp_path / "out" / "changes.csv")
    assert len(table) == len(decoder.facts.features)
    assert (table["predicted"] - table["before"]).to_numpy() == pytest.approx(table["change"].to_numpy(), abs=1e-4)
    assert (table["sure"] == ((table["before"] < table["low"]) | (table["before"] > table["high"]))).all()
    pictures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    wanted = ["control.png", "difference.png", "measured.png", "predicted.png", "together.png"]
    assert pictures == (wanted if found.picture is not None else [])
    if pictures:
        assert Image.open(tmp_path / "out" / "predicted.png").size == (256, 256)
    write_counterfactual(tmp_path / "out", bundle, decoder, found, molecule)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(DsslBioError, match="holds no counterfactual"):
        write_counterfactual(tmp_path / "mine", bundle, decoder, found, molecule)


def test_a_bundle_without_decoder_says_which_command_makes_one(small_road):
    with pytest.raises(BundleError, match="has no decoder; make one with `dssl-bio decode"):
        Decoder.open(small_road / "bundle", "x")


def test_a_decoder_of_another_model_or_damaged_is_refused(decoded_profiles, tmp_path):
    import shutil

    with pytest.raises(BundleError, match="was made for model"):
        Decoder.open(decoded_profiles, "another")
    copy = tmp_path / "copy"
    shutil.copytree(decoded_profiles, copy)
    record = json.loads((copy / "decoder" / "decoder.json").read_text())
    (copy / "decoder" / "profile.safetensors").write_bytes(b"x")
    with pytest.raises(BundleError, match="changed or damaged"):
        Decoder.open(copy, record["made_from"]["run"])
