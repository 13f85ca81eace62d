"""`dssl-bio evaluate`: every figure again from the vectors and the screen, and what it refuses."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from dssl_bio.artefact import verify
from dssl_bio.evaluation.heldout import DIRECTIONS, LIBRARY, WHOLE
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.screens.screen import Screen
from pipelines.main import app
from tests.retrieval.small_bundle import MANIFEST, small_run, small_screen

SHARED = "shared representation"


def evaluate(road, out, *more, run=None, screen=None):
    words = ["evaluate", run or road / "run", screen or road / "screen", "--out", out, "--draws", 200, *more]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert "Traceback" not in result.output
    return result


def evaluated(road, out, *more, **where):
    result = evaluate(road, out, *more, **where)
    assert result.exit_code == 0, result.output
    return verify(out, "evaluation"), pd.read_parquet(out / "ranks.parquet"), result.output


@pytest.fixture(scope="module")
def found(small_road, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluations") / "consensus"
    return (out, *evaluated(small_road, out))


def brute_force(road, bundle, setting):
    """Rank of every held-out molecule's best entry, from the bundle's vectors, a loop and no sorting."""
    opened = Bundle.open(road / bundle)
    ids = opened.entries["molecule_id"].to_numpy(str)
    vectors = {name: vector for name, vector in zip(opened.molecules["molecule_id"],
                                                    opened.molecule_vectors.shared, strict=True)}
    test = set(Run.open(road / "run").molecules_of("test"))
    gallery = np.array([setting == LIBRARY or name in test for name in ids])
    ranks = {}
    for name in test & set(ids):
        scores = (opened.vectors.shared @ vectors[name]).round(6)
        best = max(scores[ids == name])
        ranks[name] = 1 + sum(score >= best for score in scores[gallery & (ids != name)])
    return ranks


def of(ranks, setting, method=SHARED):
    chosen = ranks[(ranks["method"] == method) & (ranks["direction"] == DIRECTIONS[0]) & (ranks["setting"] == setting)]
    return chosen.set_index("molecule_id")


@pytest.mark.parametrize("setting", [WHOLE, LIBRARY])
def test_ranks_are_those_of_the_run_s_vectors_counted_one_by_one(small_road, found, setting):
    table = of(found[2], setting)
    assert table["rank"].to_dict() == brute_force(small_road, "bundle", setting)
    assert table["rank"].nunique() > 1


def test_the_record_s_figures_are_those_of_its_ranks(found):
    _, record, ranks, _ = found
    keys = ("method", "direction", "setting")
    whole = [one for one in record["results"]["retrieval"] if one["subset"] == "all"]
    assert len(whole) == len(ranks.drop_duplicates(list(keys)))
    for one in whole:
        rank = ranks[np.logical_and.reduce([ranks[key] == one[key] for key in keys])]["rank"].to_numpy()
        assert one["mrr"]["value"] == pytest.approx(np.mean(1 / rank))
        for k in (1, 5, 10):
            assert one[f"top_{k}"]["value"] == pytest.approx(np.sum(rank <= k) / len(rank))
    assert record["config"]["bootstrap_draws"] == 200


def test_ties_count_against_the_model(found):
    table = found[2]
    tied = table[(table["method"] == "mean_profile") & (table["direction"] == DIRECTIONS[1])
                 & (table["setting"] == WHOLE)]
    assert len(tied)  # the mean profile places all molecules at one point
    assert (tied["rank"] == tied["n_entries"]).all()


def test_entries_may_be_wells_and_the_gallery_a_part_of_them(small_road, tmp_path):
    _, ranks, _ = evaluated(small_road, tmp_path / "wells", "--entries", "wells")
    assert of(ranks, WHOLE)["rank"].to_dict() == brute_force(small_road, "bundle_of_wells", WHOLE)
    record, ranks, _ = evaluated(small_road, tmp_path / "part", "--gallery-where", "Metadata_Dose_um > 5")
    table = of(ranks, LIBRARY)
    assert set(table["n_right"]) == {1} and set(table["n_entries"]) == {28}
    assert record["config"]["gallery_where"] == "Metadata_Dose_um > 5"


def test_the_page_needs_no_network_and_says_what_was_simulated(small_road, found, tmp_path):
    page = (found[0] / "evaluation.html").read_text()
    assert not re.search(r"""<(script|link|img|iframe)[^>]*(src|href)=["']?(https?:)?//""", page)
    assert "(200 draws)" in page and "10,000 draws" not in page
    assert "more decided when to stop" in page
    assert "Simulated screen" not in page
    small_screen_of(tmp_path, 'simulated = true\n' + MANIFEST)
    run = small_run(Screen.open(tmp_path / "screen"), tmp_path / "run", step_1={
        "epochs": 2, "batch_size": 16, "keep": "last"})
    evaluated(small_road, tmp_path / "out", run=run.folder, screen=tmp_path / "screen")
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "Simulated screen" in page and "(simulated)" in page
    assert "decided when to stop" not in page


def small_screen_of(folder, manifest):
    from dssl_bio.screens.ingest import ingest
    from dssl_bio.screens.manifest import read_manifest

    small_screen(folder)
    (folder / "manifest.toml").write_text(manifest)
    return ingest(read_manifest(folder / "manifest.toml"), folder / "screen")


def test_the_terminal_says_mechanism_beside_prevalence(found):
    _, record, _, said = found
    for title, name in (("DisentangledSSL, shared", SHARED), ("kernel ridge on fingerprints (tuned)", "kernel_ridge")):
        (one,) = [one for one in record["results"]["mechanism"]
                  if one["method"] == name and one["direction"] == DIRECTIONS[0]]
        assert (f"{title}, {one['n_queries']} annotated queries: mechanism precision@10 "
                f"{100 * one['precision_at_10']['value']:.1f} %, prevalence {100 * one['prevalence']:.1f} % "
                f"({one['precision_at_10']['value'] / one['prevalence']:.1f} times)") in said


def test_what_cannot_be_evaluated_is_refused_and_nothing_written(small_road, tmp_path):
    def refused(message, *more, **where):
        result = evaluate(small_road, tmp_path / "out", *more, **where)
        assert result.exit_code == 1, result.output
        assert result.output.count("error: ") == 1 and re.search(message, result.output), result.output
        assert not (tmp_path / "out").exists()

    refused("was measured; true factors exist for simulated screens only", "--truth", tmp_path)
    refused("--entries is consensus or wells", "--entries", "plates")
    whole = small_run(Screen.open(small_road / "screen"), tmp_path / "whole",
                      split={"fractions": [0.8, 0.2, 0.0]})
    refused("holds out no molecule", run=whole.folder)
    shutil.copytree(small_road / "run", tmp_path / "damaged")
    with (tmp_path / "damaged" / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\1\2\3")
    refused("damaged|checksum", run=tmp_path / "damaged")
    (tmp_path / "damaged" / "run.json").write_text(json.dumps({}))
    refused("damaged: it lacks kind", run=tmp_path / "damaged")
