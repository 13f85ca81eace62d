"""The HTTP interface, asked as a program would; it must say what the library says."""

import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
from dssl_bio.app.api import forms, guard
from dssl_bio.app.api.server import create
from starlette.testclient import TestClient

from dssl_bio.chem.standardize import standardize
from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.factors.index import read_factors
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.own_phenotypes import embed_site
from dssl_bio.retrieval.reverse import molecules_of
from dssl_bio.retrieval.search import Searcher
from dssl_bio.vocabulary import CHANNELS
from tests.hostile_texts import HOSTILE, odd


@pytest.fixture(scope="module")
def client(profile_bundle, image_bundle):
    with Standardizer(2, 5.0) as pool:
        app = create({"profiles": profile_bundle, "images": image_bundle}, pool, ["testserver"])
        with TestClient(app, raise_server_exceptions=False) as opened:
            yield opened


def tiff(seed, shape=(48, 48)):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.random.default_rng(seed).poisson(300, shape).astype(np.uint16))
    return buffer.getvalue()


def surrogate(character):
    """Half a character, which no request can hold but as an escape of JSON."""
    return 0xD800 <= ord(character) <= 0xDFFF


def images(**others):
    return {channel: (f"../{channel}.tif", tiff(number)) for number, channel in enumerate(CHANNELS)} | others


def test_health_tells_what_is_served_and_what_is_simulated(client):
    answer = client.get("/health").json()
    assert answer["status"] == "ok"
    assert [(one["name"], one["reads"], one["simulated"]) for one in answer["bundles"]] == [
        ("profiles", "profiles", False), ("images", "images", True)]
    assert answer["bundles"][1]["channels"] == list(CHANNELS)
    assert "Simulated screen" in answer["bundles"][1]["warning"]


def test_hits_are_those_of_the_library(client, profile_bundle):
    bundle = Bundle.open(profile_bundle)
    found = client.get("/retrieve", params={"molecule": "Nc1ccccc1.Cl", "top_k": 4}).json()
    one = found["answers"][0]
    assert one["changes"] == ["kept the largest fragment"]
    assert one["status"] == "ok"
    expected = Searcher(bundle).hits(bundle.run.embed_molecules([standardize("Nc1ccccc1")]).shared, 4)[0]
    assert [hit["entry_key"] for hit in one["hits"]] == [bundle.entries["entry_key"][hit.entry] for hit in expected]
    assert [(hit["score"], hit["p"], hit["q"]) for hit in one["hits"]] == [
        pytest.approx((hit.score, hit.p, hit.q), abs=1e-6) for hit in expected]


def test_many_are_asked_at_once_and_a_bad_one_costs_the_others_nothing(client):
    found = client.post("/retrieve", json={"molecules": ["cpd 3", "C1CC", "<script>x</script>", "CCO"], "top_k": 1,
                                           "bundle": "images"}).json()
    assert [(one["query"], one["status"]) for one in found["answers"]] == [
        ("cpd 3", "ok"), ("C1CC", "error"), ("<script>x</script>", "error"), ("CCO", "ok")]
    assert found["answers"][0]["found_by"] == "name"
    assert found["answers"][0]["own_rank"] >= 1
    assert "Not a valid SMILES" in found["answers"][1]["message"].replace("not", "Not", 1)
    assert found["answers"][1]["hits"] == []
    assert "Simulated screen" in found["warning"]


def test_a_phenotype_of_the_screen_and_a_profile_of_ones_own_find_the_librarys_molecules(client, profile_bundle):
    bundle = Bundle.open(profile_bundle)
    key = str(bundle.entries["entry_key"][4])
    answer = client.post("/phenotype-to-molecules/entry", json={"entry_key": key, "top_k": 5}).json()
    expected = molecules_of(bundle, bundle.vectors.shared[4], 5)
    assert [one["molecule_id"] for one in answer["molecules"]] == [
        bundle.molecules["molecule_id"][hit.row] for hit in expected]
    assert 1 <= answer["own_rank"] <= len(bundle.molecules)
    profile = dict(zip(bundle.run.facts.features, bundle.profiles[4].astype(float), strict=True))
    own = client.post("/phenotype-to-molecules/profile", json={"profile": profile, "top_k": 5}).json()
    assert own["molecules"][0]["score"] == pytest.approx(answer["molecules"][0]["score"], abs=1e-4)
    assert own["notes"] == []
    far = client.post("/phenotype-to-molecules/profile", json={"profile": {k: 1e6 * v for k, v in profile.items()}})
    assert "not normalised in the same way" in far.json()["notes"][0]


def test_images_of_ones_own_are_told_apart_by_their_field_alone(client, image_bundle):
    bundle = Bundle.open(image_bundle)
    site = np.stack([tifffile.imread(io.BytesIO(tiff(number))) for number in range(5)])
    vectors, _ = embed_site(bundle.run, site, 1.0)
    expected = molecules_of(bundle, vectors.shared[0], 10)
    shuffled = dict(reversed(list(images().items())))
    answer = client.post(guard.IMAGES_PATH, files=shuffled, data={"bundle": "images", "pixel_size_um": "1.0"}).json()
    assert [one["score"] for one in answer["molecules"]] == pytest.approx([hit.score for hit in expected], abs=1e-6)
    assert "sets its own scale" in answer["notes"][0]
    untreated = {f"untreated_{channel}": ("x", tiff(9 + number)) for number, channel in enumerate(CHANNELS)}
    answer = client.post(guard.IMAGES_PATH, files=images(**untreated), data={"bundle": "images"}).json()
    assert answer["notes"] == ["The images were taken to be corrected for uneven light already."]


def test_the_screens_light_is_divided_out_of_images_when_that_is_asked_for(client, image_bundle):
    bundle = Bundle.open(image_bundle)
    site = np.stack([tifffile.imread(io.BytesIO(tiff(number))) for number in range(5)])
    vectors, _ = embed_site(bundle.run, site, 1.0, light=bundle.light)
    expected = molecules_of(bundle, vectors.shared[0], 10)
    data = {"bundle": "images", "pixel_size_um": "1.0", "light": "screen"}
    answer = client.post(guard.IMAGES_PATH, files=images(), data=data).json()
    assert [one["score"] for one in answer["molecules"]] == pytest.approx([hit.score for hit in expected], abs=1e-6)
    assert "divided by the mean illumination of 1 plate" in answer["notes"][1]
    answer = client.post(guard.IMAGES_PATH, files=images(), data={**data, "light": "bright"})
    assert answer.status_code == 422


def test_factors_are_places_on_the_bundles_own_axes(client, profile_bundle):
    bundle, kept = Bundle.open(profile_bundle), read_factors(profile_bundle)
    answer = client.get("/factors/molecule", params={"molecule": "Nc1ccccc1"}).json()
    molecule = standardize("Nc1ccccc1")
    places = kept.axes["molecule"].percentiles(bundle.run.embed_molecules([molecule]).specific)[0]
    assert [one["percentile"] for one in answer["factors"]] == pytest.approx(places.tolist())
    assert [one["name"] for one in answer["factors"]] == [axis.name for axis in kept.axes["molecule"].axes]
    assert len(answer["atoms_shared"]) == len(answer["atoms_specific"]) == 7
    large = client.get("/factors/molecule", params={"molecule": "C" * 150}).json()
    assert large["atoms_shared"] == []
    assert len(large["factors"]) == len(places)
    key = str(bundle.entries["entry_key"][2])
    answer = client.get("/factors/phenotype", params={"entry_key": key}).json()
    places = kept.axes["phenotype"].percentiles(bundle.vectors.specific[2:3])[0]
    assert [one["percentile"] for one in answer["factors"]] == pytest.approx(places.tolist())


def test_a_bundle_without_factors_says_which_command_makes_them(profile_bundle, tmp_path):
    plain = shutil.copytree(profile_bundle, tmp_path / "plain")
    shutil.rmtree(plain / "factors")
    with Standardizer(1, 5.0) as pool:
        answer = TestClient(create({"plain": plain}, pool)).get("/factors/molecule", params={"molecule": "C"})
    assert answer.status_code == 422
    assert "dssl-bio index" in answer.json()["message"]


OF_IMAGES = {"bundle": "images"}
BROKEN = {channel: ("a", b"II*\x00no") for channel in CHANNELS}
REFUSALS = [
    ("GET", "/factors/molecule?molecule=C1CC", {}, 422, "valid SMILES"),
    ("GET", "/factors/phenotype?entry_key=none", {}, 404, "has no entry 'none'"),
    ("GET", "/retrieve?molecule=C1CC", {}, 422, "valid SMILES"),
    ("GET", "/retrieve", {}, 422, "molecule: Field required"),
    ("GET", "/retrieve?molecule=C&top_k=51", {}, 422, "top_k"),
    ("GET", "/retrieve?molecule=C&dose_um=nan", {}, 422, "dose_um"),
    ("GET", "/retrieve?molecule=C&bundle=..%2F..%2Fetc", {}, 404, "No bundle '../../etc'; there are profiles, images"),
    ("GET", "/nothing", {}, 404, "Not Found"),
    ("DELETE", "/retrieve", {}, 405, "Method Not Allowed"),
    ("POST", "/retrieve", {"content": b"{"}, 422, "application/json"),
    ("POST", "/retrieve", {"json": {"molecules": ["C"] * 101}}, 422, "at most 100"),
    ("POST", "/retrieve", {"json": {"molecules": ["C"], "topk": 3}}, 422, "topk: Extra inputs"),
    ("POST", "/retrieve", {"content": b'{"molecules": ["\\ud800"]}', "headers": {"content-type": "application/json"}},
     422, "unable to parse raw data as a unicode string"),
    ("POST", "/retrieve", {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 4, ""),
    ("POST", "/retrieve", {"content": b" " * (guard.MAX_JSON_BYTES + 1)}, 413, "larger than 8,000,000 bytes"),
    ("POST", "/retrieve", {"content": (b" " * 1_000_000 for _ in range(9))}, 413, "larger than 8,000,000 bytes"),
    ("POST", "/phenotype-to-molecules/entry", {"json": {"entry_key": "none"}}, 404, "has no entry 'none'"),
    ("POST", "/phenotype-to-molecules/profile", {"json": {"profile": {"a": 1}}}, 422, "lacks 12"),
    ("POST", "/phenotype-to-molecules/profile", {"json": {"profile": {}, "bundle": "images"}}, 404, "reads images"),
    ("POST", guard.IMAGES_PATH, {"files": {"DNA": ("a", b"x")}}, 404, "reads profiles"),
    ("POST", guard.IMAGES_PATH, {"files": {"DNA": ("a", b"x")}, "data": OF_IMAGES}, 422, "no file for"),
    ("POST", guard.IMAGES_PATH, {"files": BROKEN, "data": OF_IMAGES}, 422,
     "file of DNA"),
    ("POST", guard.IMAGES_PATH, {"files": {c: ("a", b"\x89PNG") for c in CHANNELS}, "data": OF_IMAGES}, 422,
     "file of DNA"),
]


@pytest.mark.parametrize(("method", "path", "sent", "status", "message"), REFUSALS,
                         ids=[f"{i}-{row[1][:40]}" for i, row in enumerate(REFUSALS)])
def test_what_does_not_fit_is_refused_with_a_sentence(method, path, sent, status, message, client):
    answer = client.request(method, path, **sent)
    assert answer.status_code == status or answer.status_code // 100 == status
    told = answer.json()
    assert list(told) == ["message"]
    assert message.casefold() in told["message"].casefold()
    assert told["message"].endswith(".")
    assert "/tmp" not in told["message"]
    assert "Traceback" not in told["message"]


def test_odd_and_hostile_texts_are_each_answered_by_hits_or_a_sentence(client):
    texts = [text for text in [*HOSTILE, *odd()] if len(text) <= forms.MAX_TEXT and not any(map(surrogate, text))]
    n_molecules = 0
    for start in range(0, len(texts), forms.MAX_MOLECULES):
        sent = texts[start:start + forms.MAX_MOLECULES]
        answer = client.post("/retrieve", json={"molecules": sent, "top_k": 1})
        assert answer.status_code == 200
        for text, one in zip(sent, answer.json()["answers"], strict=True):
            assert one["query"] == text
            assert bool(one["message"]) == (one["status"] == "error") == (not one["hits"])
            assert "Traceback" not in one["message"]
            n_molecules += one["status"] == "ok"
    assert n_molecules > 20  # and not everything is refused
    for text in HOSTILE:
        text = text.encode("utf-8", "replace").decode()[:5_000]
        status = client.get("/retrieve", params={"molecule": text, "top_k": 1}).status_code
        assert status in (200, 422)


def test_beyond_what_is_worked_at_a_request_is_told_to_wait(client):
    app = guard.Guard(None, max_under_way=0)
    answer = TestClient(app).get("/health")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"


def test_another_name_for_this_machine_is_refused(client):
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/health").headers["content-security-policy"].startswith("default-src 'none'")


def test_the_description_for_people_names_every_route_and_asks_nothing_of_others(client):
    text, schema = client.get("/docs").text, client.get("/openapi.json").json()
    assert all(f"<code>{path}</code>" in text for path in schema["paths"])
    assert "<script" not in text
    assert "http://" not in text.replace("http://localhost:8501", "")
    assert json.dumps(schema).count("HTTPValidationError") == 0
    assert set(pd.Series(list(schema["paths"]))) >= {"/health", "/retrieve", guard.IMAGES_PATH}
