"""Phenotype to molecules, batch, explore: used as a person would, bad inputs included."""

import io
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from dssl_bio.app import kept
from dssl_bio.app.jobs import queries_of_upload
from streamlit.testing.v1 import AppTest

from dssl_bio.errors import QueryError
from dssl_bio.learning.run import Run
from dssl_bio.retrieval import own_phenotypes
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import CHANNELS
from tests.hostile_texts import HOSTILE

PAGES = Path("app/app_pages")


def opened(name, bundle, monkeypatch, **parameters):
    monkeypatch.setenv("DSSL_BIO_BUNDLES", str(bundle))
    test = AppTest.from_file(str((PAGES / f"{name}.py").resolve()), default_timeout=60)
    for key, value in parameters.items():
        test.query_params[key] = value
    return test.run()


def shown(test):
    texts = [str(element.value) for kind in ("markdown", "error", "info", "warning", "caption", "title", "header")
             for element in test.get(kind)]
    return " ".join([*texts, *(element.proto.body for element in test.get("html"))])


def tiff(seed):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.random.default_rng(seed).poisson(300, (48, 48)).astype(np.uint16))
    return buffer.getvalue()


@pytest.fixture(params=["profile_bundle", "image_bundle"])
def bundle(request):
    return request.getfixturevalue(request.param)


def test_a_well_finds_molecules_and_the_page_says_whether_its_own_is_among_them(bundle, monkeypatch):
    key = pd.read_parquet(bundle / "entries.parquet")["entry_key"][4]
    test = opened("phenotype_to_molecules", bundle, monkeypatch, entry=key)
    assert not test.exception
    assert not test.error
    text = shown(test)
    assert "rank of its own molecule" in text
    assert text.count('class="rank"') == 12


def test_an_unknown_well_in_the_address_asks_for_one(profile_bundle, monkeypatch):
    test = opened("phenotype_to_molecules", profile_bundle, monkeypatch, entry="<script>no such</script>")
    assert not test.exception
    assert "Molecules, best first" not in shown(test)
    test.selectbox(key="phenotype").set_value(3).run()
    assert "Molecules, best first" in shown(test)


def test_a_profile_of_ones_own_finds_molecules(profile_bundle, monkeypatch):
    features = pd.read_json(profile_bundle / "profile_features.json")[0].tolist()
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(3, len(features))), columns=features)
    test = opened("phenotype_to_molecules", profile_bundle, monkeypatch)
    test.segmented_control(key="source").set_value("own").run()
    test.file_uploader[0].set_value(("mine.csv", table.to_csv(index=False).encode(), "text/csv")).run()
    assert not test.exception
    assert "Molecules, best first" in shown(test)
    test.file_uploader[0].set_value(("mine.csv", b"a,b\n1,2\n", "text/csv")).run()
    assert not test.exception
    assert "of which this table lacks" in test.error[0].value


def test_images_of_ones_own_find_molecules_once_every_channel_is_named(image_bundle, monkeypatch):
    test = opened("phenotype_to_molecules", image_bundle, monkeypatch)
    test.segmented_control(key="source").set_value("own").run()
    names = [*(f"my_{channel}.tif" for channel in CHANNELS[:4]), "w5.tif"]
    files = [(name, tiff(number), "image/tiff") for number, name in enumerate(names)]
    test.file_uploader(key="treated").set_value(files).run()
    assert not test.exception
    assert "Say which file is Mito" in shown(test)  # w5 tells no channel, and order is no hint
    test.selectbox[-1].set_value("Mito").run()
    assert "Molecules, best first" in shown(test)
    assert "your image sets its own scale" in shown(test)
    light, divided = Bundle.open(image_bundle).light, []
    assert light.words() in test.radio(key="light").help.replace("\\", "")
    monkeypatch.setattr(type(light), "corrected", lambda self, site: divided.append(site.shape) or site)
    test.radio(key="light").set_value(True).run()
    assert divided == [(5, 48, 48)] and "Molecules, best first" in shown(test)
    test.radio(key="light").set_value(False).run()
    assert len(divided) == 1
    test.selectbox[-1].set_value("DNA").run()
    assert "Two files are said to be DNA" in test.error[0].value


def test_a_pasted_batch_runs_to_its_end_with_a_row_for_what_is_no_molecule(profile_bundle, monkeypatch):
    test = opened("batch", profile_bundle, monkeypatch)
    test.text_area[0].set_value("CCO\nC1CC\n=1+1\nc1ccccc1")
    test.button[0].click().run()
    for _ in range(100):
        if test.session_state["batch_job"][-1].finished:
            break
        time.sleep(0.1)
    test.run()
    assert not test.exception
    text = shown(test)
    assert "<dt>molecules asked</dt><dd>4</dd>" in text
    assert "<dt>could not be read</dt><dd>2</dd>" in text
    assert test.dataframe[0].value["query"].tolist() == ["CCO", "C1CC", "=1+1", "c1ccccc1"]


def test_a_hostile_batch_is_one_row_a_line_each_with_hits_or_a_sentence(profile_bundle, monkeypatch):
    lines = [line.strip() for text in HOSTILE for line in text.encode("utf-8", "replace").decode().splitlines()]
    lines = [line for line in lines if line and len(line) < 5_000]
    test = opened("batch", profile_bundle, monkeypatch)
    test.text_area[0].set_value("\n".join(lines))
    test.button[0].click().run()
    job = test.session_state["batch_job"][-1]
    for _ in range(300):
        if job.finished:
            break
        time.sleep(0.1)
    test.run()
    assert not test.exception
    assert not test.error
    table = job.table
    assert job.done == len(lines)
    assert table["query"].drop_duplicates().tolist() == list(dict.fromkeys(lines))
    assert (table.loc[table["status"] == "error", "message"].str.len() > 10).all()
    assert (table["status"] == "ok").any()


@pytest.mark.parametrize(("name", "content", "message"), [
    ("x.parquet", b"PAR1 no", "cannot be read"),
    ("x.csv", b"", "is empty"), ("x.csv", b"a,b\n1,2\n", "which column holds the SMILES"),
    ("x.smi.gz", b"\x1f\x8b broken", "cannot be read"),
])
def test_a_file_that_cannot_be_asked_gets_a_sentence_without_its_place(name, content, message, profile_bundle,
                                                                       monkeypatch):
    test = opened("batch", profile_bundle, monkeypatch)
    test.file_uploader[0].set_value((name, content, "text/plain"))
    test.button[0].click().run()
    if not test.error:  # a file whose damage shows only when it is read on
        time.sleep(1)
        test.run()
    assert not test.exception
    assert message in test.error[0].value.replace("\\", "")
    assert "/tmp" not in test.error[0].value.replace("\\", "")


def test_spaces_are_drawn_and_what_is_sought_is_listed(bundle, monkeypatch):
    test = opened("explore", bundle, monkeypatch)
    assert not test.exception
    assert not test.error
    test.text_input(key="find").set_value("tubulin").run()
    listed = test.dataframe[0].value
    assert set(listed["mechanism"]) == {"tubulin"}
    assert set(listed["kind"]) == {"phenotype", "molecule"}
    for space in ("phenotype", "molecule"):
        test.segmented_control(key="space").set_value(space).run()
        assert not test.exception
    test.text_input(key="find").set_value("[regex(").run()
    assert not test.exception
    assert "Nothing here has that name" in shown(test)


def test_an_upload_is_written_under_a_name_of_ours(tmp_path):
    with pytest.raises(QueryError, match="expected a file that ends with"):
        queries_of_upload("../../etc/passwd", b"root", tmp_path)
    queries, total = queries_of_upload("../../evil.smi", b"CCO\n", tmp_path)
    assert [query.shown for query in queries] == ["CCO"]
    assert total == 1
    assert [path.name for path in tmp_path.iterdir()] == ["upload.smi"]


def test_two_molecules_are_compared_and_a_bad_one_gets_a_sentence(bundle, monkeypatch):
    test = opened("compare", bundle, monkeypatch, first="cpd 3", second="Nc1ccccc1")
    assert not test.exception
    text = shown(test)
    assert "shared cosine" in text
    assert "% of pairs" in text
    assert len(test.dataframe) == 2
    test = opened("compare", bundle, monkeypatch, first="cpd 3", second="C1CC")
    assert not test.exception
    assert "Not a valid SMILES" in test.error[0].value.replace("\\", "")


def test_a_kept_hit_is_saved_and_loaded_and_what_is_no_collection_is_refused(profile_bundle, monkeypatch):
    start = opened("molecule_to_phenotypes", profile_bundle, monkeypatch, molecule="CCO", top="2")
    next(button for button in start.button if button.label == "Keep").click().run()
    items = start.session_state["kept"]
    assert [item["query"] for item in items] == ["CCO"]
    assert [button.label for button in start.button].count("Kept") == 1
    saved = kept.saved(items)
    test = opened("kept_hits", profile_bundle, monkeypatch)
    assert "Nothing is kept yet" in shown(test)
    test.file_uploader(key="collection").set_value(("c.json", saved.encode(), "application/json")).run()
    assert not test.exception
    assert test.session_state["kept"] == items
    for content in (b"[]", b"{", b'{"form": "another"}', b"[" * 100_000, b"\xff"):
        test.file_uploader(key="collection").set_value(("c.json", content, "application/json")).run()
        assert not test.exception
        assert "not a collection" in test.error[0].value.replace("\\", "")
    assert test.session_state["kept"] == items


def test_notes_and_removals_are_taken_over(monkeypatch):
    items = [{"bundle": "b", "entry": f"E{i}", "name": "n", "query": "C", "score": 0.5, "note": ""} for i in range(3)]
    state = {"kept": list(items)}
    monkeypatch.setattr(kept.st, "session_state", state)
    monkeypatch.setattr(kept.st, "rerun", lambda: None)
    table = kept.as_table(items)
    table.loc[0, "note"] = "look again"
    kept.replace(items, table.drop(index=1))
    assert [(item["entry"], item["note"]) for item in state["kept"]] == [("E0", "look again"), ("E2", "")]


def test_ones_own_image_is_read_as_the_screens_own_were(image_bundle, monkeypatch):
    run, screen = Run.open(image_bundle / "run"), Screen.open(image_bundle.parent / "screen")
    own = run.phenotypes(screen)
    for row in own.rows[[0, 7]]:
        number = own.sites_of(int(row))
        site = np.asarray(screen.images.read(number))[0]
        monkeypatch.setattr(own_phenotypes, "limits", lambda *_, number=number: screen.images.limits(number)[0])
        vectors, picture = own_phenotypes.embed_site(run, site, screen.images.pixel_size_um)
        expected = run.embed_wells(own, np.array([row]))
        assert vectors.shared == pytest.approx(expected.shared, abs=1e-5)
        assert vectors.specific == pytest.approx(expected.specific, abs=1e-5)
        assert picture.shape == site.shape


def test_of_many_phenotypes_those_that_a_text_finds_are_offered(profile_bundle, monkeypatch):
    source = (PAGES / "phenotype_to_molecules.py").read_text(encoding="utf-8")
    monkeypatch.setenv("DSSL_BIO_BUNDLES", str(profile_bundle))
    test = AppTest.from_string(source.replace("MOST_LISTED, MOST_FOUND = 3_000, 200", "MOST_LISTED, MOST_FOUND = 3, 2"),
                               default_timeout=60).run()
    assert not test.exception
    assert test.selectbox(key="phenotype").options == []
    test.text_input(key="find_phenotype").set_value("CPD 1").run()
    assert "7 found; the first 2 are listed" in shown(test)
    assert len(test.selectbox(key="phenotype").options) == 2
    test.selectbox(key="phenotype").select_index(0).run()
    assert "Molecules, best first" in shown(test)
    test.text_input(key="find_phenotype").set_value("[nothing(").run()
    assert not test.exception
    assert "0 found" in shown(test)
    assert "Molecules, best first" in shown(test)
