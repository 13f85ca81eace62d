import json
import re
import shutil
from pathlib import Path

import pytest
from dssl_bio.app import cards, words
from streamlit.testing.v1 import AppTest

from dssl_bio.retrieval.applicability import Applicability, Bin, ExpectedRecall
from tests.hostile_texts import HOSTILE

PAGES = sorted(path for path in Path("app/app_pages").glob("*.py") if path.name != "__init__.py")
START = Path("app/app_pages/molecule_to_phenotypes.py")


def opened(page, bundle, monkeypatch, **parameters):
    monkeypatch.setenv("DSSL_BIO_BUNDLES", str(bundle))
    test = AppTest.from_file(str(page.resolve()), default_timeout=60)
    for name, value in parameters.items():
        test.query_params[name] = value
    return test.run()


def shown(test):
    return " ".join(str(element.value) for kind in ("markdown", "error", "info", "caption", "title", "header")
                    for element in test.get(kind)) + " ".join(element.proto.body for element in test.get("html"))


@pytest.fixture(params=["profile_bundle", "image_bundle"])
def bundle(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_opens_and_says_whether_the_screen_is_simulated(page, bundle, monkeypatch):
    test = opened(page, bundle, monkeypatch)
    assert not test.exception
    assert not test.error
    assert ("SIMULATED" in shown(test)) == (bundle.parent.name.startswith("images"))


def test_a_smiles_gives_hits_with_what_standardisation_did(bundle, monkeypatch):
    test = opened(START, bundle, monkeypatch, molecule="NCCc1ccccc1.Cl", top="3")
    assert not test.exception
    text = shown(test)
    assert "kept the largest fragment" in text
    assert "New: neither in this screen nor seen in training" in text
    assert text.count('class="rank"') == 3
    assert "the training molecules" in text
    assert "to the nearest); how often such a molecule finds its own phenotype is not known" in text
    assert "indexed without a benchmark" in text


def test_hits_are_gathered_by_mechanism_and_none_is_lost(profile_bundle, monkeypatch):
    test = opened(START, profile_bundle, monkeypatch, molecule="CCO", top="6")
    ranks = [int(found) for found in re.findall(r'class="rank">#(\d+)<', shown(test))]
    assert ranks == list(range(1, 7))
    test.segmented_control(key="order").set_value("mechanism").run()
    assert not test.exception
    text = shown(test)
    gathered = [int(found) for found in re.findall(r'class="rank">#(\d+)<', text)]
    assert sorted(gathered) == ranks
    assert text.count('class="dssl-group"') == len({"tubulin", "HDAC"} & set(re.findall(r"tubulin|HDAC", text)))
    assert "expected by chance" in text


def test_several_pasted_molecules_are_offered_to_the_batch_page(profile_bundle, monkeypatch):
    test = opened(START, profile_bundle, monkeypatch, molecule="CCO c1ccccc1,CCN")
    assert not test.exception
    assert "These are 3 molecules" in shown(test)
    test = opened(START, profile_bundle, monkeypatch, molecule="CCO ethanol")
    assert "These are" not in shown(test)
    assert "Phenotypes, best first" in shown(test)


def test_a_known_name_is_found_and_its_own_entries_are_marked(profile_bundle, monkeypatch):
    test = opened(START, profile_bundle, monkeypatch, molecule="CPD 5", top="50")
    assert "the molecule itself" in shown(test)
    assert "its own phenotype" in shown(test)
    assert "<dd>rank " in shown(test)


@pytest.mark.parametrize("text", ["not a molecule", "C" * 3000, "<script>alert(1)</script>", "![x](http://e.example/x)",
                                  "AAAAAAAAAAAAAA-BBBBBBBBBB-C", "\u202eCCO", "C1CC", "[Xx]"])
def test_what_is_no_molecule_gets_a_sentence(text, profile_bundle, monkeypatch):
    test = opened(START, profile_bundle, monkeypatch, molecule=text)
    assert not test.exception
    assert len(test.error) == 1
    assert "Traceback" not in test.error[0].value
    assert "![" not in test.error[0].value
    assert "<script>" not in test.error[0].value


def test_one_session_meets_many_hostile_texts_in_a_row(image_bundle, monkeypatch):
    test = opened(START, image_bundle, monkeypatch)
    for text in HOSTILE[::14]:
        test.query_params["molecule"] = text.encode("utf-8", "replace").decode()
        test.run()
        assert not test.exception
        assert len(test.error) == 1 or "Phenotypes, best first" in shown(test) or "molecules measured" in shown(test)
        assert "<script>" not in shown(test)


def test_a_hostile_compound_name_is_text(profile_bundle, monkeypatch):
    test = opened(START, profile_bundle, monkeypatch, molecule="CCO", top="50")
    text = shown(test)
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>" not in text


def test_a_missing_or_damaged_bundle_gets_a_sentence(tmp_path, monkeypatch):
    test = opened(START, tmp_path / "nothing", monkeypatch)
    assert not test.exception
    assert "does not exist" in test.error[0].value.replace("\\", "")


def test_typing_and_searching_survives_another_widget(image_bundle, monkeypatch):
    test = opened(START, image_bundle, monkeypatch)
    test.text_input[0].set_value("Nc1ccccc1")
    test.button[0].click().run()
    before = shown(test).count('class="rank"')
    test.slider(key="brightness").set_value(2.0).run()
    assert before == shown(test).count('class="rank"') > 0
    assert not test.exception


def test_what_a_benchmark_found_is_shown_beside_chance(profile_bundle, tmp_path, monkeypatch):
    bundle = shutil.copytree(profile_bundle, tmp_path / "with_benchmark")
    bins = [{"start": 0.1 * i, "stop": 0.1 * i + 0.1, "n_molecules": 40, "recall": 0.2, "low": 0.1, "high": 0.9}
            for i in range(4)]
    (bundle / "expected_recall.json").write_text(json.dumps(
        {"bins": bins, "gallery": 100.0, "chance": 0.1, "source": "benchmark on <b>x</b>", "k": 10, "level": 0.95}))
    (bundle / "benchmark.csv").write_text("method,direction,setting,subset,metric,value,low,high,chance\n"
                                          "<b>x</b>,to,whole,all,mrr,0.2,0.1,0.3,0.05\n")
    test = opened(Path("app/app_pages/model_card.py"), bundle, monkeypatch)
    assert not test.exception
    assert "Expected recall" in shown(test)
    assert "<td>0.200 [0.100, 0.300]</td>" in shown(test)
    assert "<td>&lt;b&gt;x&lt;/b&gt;</td>" in shown(test)
    assert "<td>0.050</td>" in shown(test)
    assert "no benchmark comes with it" not in shown(test)
    test = opened(START, bundle, monkeypatch, molecule="CCO")
    assert "20 of 100 such molecules find their own phenotype among the first ten of 100, where chance finds 10" in \
        shown(test)


@pytest.mark.parametrize("damaged", ["entries.parquet", "vectors.safetensors", "run/model.safetensors"])
def test_a_damaged_bundle_gets_a_sentence_with_the_first_search(damaged, profile_bundle, tmp_path, monkeypatch):
    bundle = shutil.copytree(profile_bundle, tmp_path / damaged.replace("/", "_"))
    (bundle / damaged).write_bytes(b"damaged")
    test = opened(START, bundle, monkeypatch, molecule="CCO")
    assert not test.exception
    assert "changed or damaged" in test.error[0].value


def test_every_piece_of_a_page_shows_markup_as_it_was_typed():
    hostile = '<img src=x onerror="alert(1)">'
    pieces = [cards.facts([(hostile, hostile)], {hostile: hostile}), cards.figures([(hostile, hostile)]),
              cards.title(hostile, 1, [(hostile, hostile)]), cards.links(hostile)]
    assert all("<img" not in piece and 'onerror="' not in piece for piece in pieces)
    assert words.plain("![x](http://e.example) <b> $x$") == r"\!\[x\]\(http\:\/\/e\.example\) \<b\> \$x\$"


@pytest.mark.parametrize(("q", "begin"), [(0.05, ""), (0.051, "Nothing is certain here: of hits as good as the best, a "
                                                       "share of 0.051"), (0.51, "No phenotype expected")])
def test_an_answer_claims_no_more_and_no_less_than_its_best_q(q, begin):
    assert words.standing_out(q).startswith(begin)
    assert bool(words.standing_out(q)) == bool(begin)


def test_a_hits_factors_open_where_the_hit_is_with_what_lies_at_the_ends_of_an_axis(bundle, monkeypatch):
    test = opened(START, bundle, monkeypatch, molecule="CCO", top="3")
    asked = [one for one in test.button if one.label == "Factors"]
    assert len(asked) == 3
    asked[1].click().run()
    assert not test.exception
    assert "Factors of this phenotype" in shown(test)
    assert [one.label for one in test.button if one.label in ("Factors", "Hide factors")] == [
        "Factors", "Hide factors", "Factors"]
    for key in ("ends_of_molecule", "ends_of_phenotype"):
        if key in [one.key for one in test.selectbox]:  # axes are kept where some factor can be read
            test.selectbox(key=key).select_index(0).run()
            assert not test.exception
            assert "<b>Highest</b>" in shown(test)
            test.selectbox(key=key).set_value(None).run()
    next(one for one in test.button if one.label == "Hide factors").click().run()
    assert "Factors of this phenotype" not in shown(test)


def test_a_well_is_pictured_by_its_own_cells_and_by_no_replicates(image_bundle, monkeypatch):
    from dssl_bio.app import axis_ends
    from dssl_bio.app.resources import tables

    monkeypatch.setenv("DSSL_BIO_BUNDLES", str(image_bundle))
    own = tables(str(image_bundle))
    pictured = own.wells.apply(lambda well: axis_ends.picture_of(own, well), axis=1)
    assert (pictured[own.wells["entry"] >= 0] >= 0).all()  # one well an entry; of the controls a few
    assert pictured[pictured >= 0].is_unique
    entry = own.wells[own.wells["entry"] >= 0].iloc[0]
    assert axis_ends.picture_of(own, entry.replace({entry["Metadata_Well"]: "H12"})) == -1
    html = axis_ends.wells(str(image_bundle), own.wells["row_key"].astype(str).tolist()[-6:])
    assert html.count("<img") == (pictured.tail(6) >= 0).sum() > 2
    assert "untreated" in html
    assert "<script>" not in axis_ends.wells(str(image_bundle), own.wells["row_key"].astype(str).tolist())


@pytest.mark.parametrize(("similarity", "further", "trained", "known", "told"), [
    (0.8, 0.6, False, True, "**Much like the training molecules** (Tanimoto 0.80 to the nearest): 40 of 100 such "
                            "molecules find their own phenotype among the first ten of 80, where chance finds 12."),
    (0.4, 0.2, False, True, "**Less like the training molecules than most of them are** (Tanimoto 0.40 to the "
                            "nearest): 20 of 100"),
    (0.1, 0.0, False, True, "**Unlike the training molecules** (Tanimoto 0.10 to the nearest): at most 20 of 100"),
    (0.1, 0.0, False, False, "**Unlike the training molecules** (Tanimoto 0.10 to the nearest); how often"),
    (0.9, 0.9, True, True, "**The model was trained on this very molecule**"),
])
def test_how_far_to_trust_an_answer_is_one_sentence(similarity, further, trained, known, told):
    bins = (Bin(0.3, 0.5, 40, 0.2, 0.1, 0.3), Bin(0.5, 0.9, 40, 0.4, 0.3, 0.5))
    expected = ExpectedRecall(bins, 80, 0.12, "a benchmark") if known else None
    sentence = words.nearness(Applicability(0, similarity, trained, further, ""), expected)
    assert sentence.startswith(told)
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")
