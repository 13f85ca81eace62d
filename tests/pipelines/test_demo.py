"""`dssl-bio demo`, whole, on a screen of a few dozen molecules: every folder is there, complete and consistent."""

import json
from itertools import permutations
from math import comb

import pandas as pd
import pytest
from typer.testing import CliRunner

from dssl_bio.artefact import verify
from dssl_bio.evaluation.heldout import DIRECTIONS, WHOLE
from pipelines.main import app

SIMULATION = ("site_px=32", "n_replicates=1")
TRAINING = ("image.tile_px=32", "image.width=8", "image.blocks=1", "gine.hidden=8", "gine.layers=1", "step_1.epochs=1",
            "step_2.epochs=1", "split.fractions=[0.4, 0.1, 0.5]")
COLUMNS = ["query", "query_inchikey", "rank", "entry_key", "molecule_id", "compound", "dose_um", "plate", "well",
           "mechanism", "score", "p", "q", "status", "message"]


def walk(out, seed=0):
    words = ["demo", "--out", str(out), "--no-serve", "--molecules", "44", "--seed", str(seed)]
    words += [word for setting in SIMULATION for word in ("--simulation", setting)]
    result = CliRunner().invoke(app, words + [word for setting in TRAINING for word in ("--set", setting)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "road"
    return out, walk(out)


def chance_mrr(n_entries, n_right):
    """Mean of 1 / (rank of the first right entry), by counting the orders of right and wrong."""
    return sum(comb(n_entries - rank, n_right - 1) / rank for rank in range(1, n_entries - n_right + 2)) / comb(
        n_entries, n_right)


def test_the_count_of_orders_is_right_where_all_can_be_written_out():
    firsts = [1 + min(order.index(0), order.index(1)) for order in permutations(range(5))]
    assert chance_mrr(5, 2) == pytest.approx(sum(1 / first for first in firsts) / len(firsts))


def test_the_road_is_walked_and_every_folder_is_complete(road):
    out, said = road
    assert {path.name for path in out.iterdir()} == {"sim", "screen", "run", "bundle", "evaluation", "hits.csv"}
    records = {kind: verify(out / kind, kind) for kind in ("screen", "run", "bundle", "evaluation")}
    assert records["screen"]["simulated"] and records["bundle"]["simulated"] and records["evaluation"]["simulated"]
    assert [f"[{number}/6] done" in said for number in range(1, 7)] == [True] * 6
    assert "(chance 0." in said and "times)" in said and "queries of active molecules: MRR" in said


def test_the_evaluation_has_retrieval_mechanisms_and_probes_and_chance_is_that_of_its_gallery(road):
    results = json.loads((road[0] / "evaluation" / "evaluation.json").read_text())["results"]
    shared = {"shared representation", "specific representation"}
    assert shared <= {one["method"] for one in results["retrieval"]}
    assert shared <= {one["method"] for one in results["mechanism"]}
    assert {one["representation"] for one in results["probes"]} == {
        "molecule-shared", "molecule-specific", "phenotype-shared", "phenotype-specific"}
    ranks = pd.read_parquet(road[0] / "evaluation" / "ranks.parquet")
    asked = ranks[(ranks["method"] == "shared representation") & (ranks["direction"] == DIRECTIONS[0])
                  & (ranks["setting"] == WHOLE)]
    (found,) = [one for one in results["retrieval"] if one["subset"] == "all" and one["setting"] == WHOLE
                and one["method"] == "shared representation" and one["direction"] == DIRECTIONS[0]]
    held_out = pd.read_parquet(road[0] / "run" / "split.parquet").query("split == 'test'")["molecule_id"]
    entries = pd.read_parquet(road[0] / "bundle" / "entries.parquet")
    own = entries[entries["molecule_id"].isin(held_out)]["molecule_id"].value_counts()
    assert found["n_queries"] == len(asked) == len(own)
    expected = [chance_mrr(own.sum(), n_right) for n_right in own]
    assert found["mrr"]["chance"] == pytest.approx(sum(expected) / len(expected))


def test_the_hits_have_the_columns_that_retrieve_writes_and_ask_for_held_out_molecules(road):
    hits = pd.read_csv(road[0] / "hits.csv")
    assert list(hits) == COLUMNS
    assert (hits["status"] == "ok").all() and hits["query"].nunique() == 3
    assert hits.groupby("query")["rank"].apply(list).tolist() == [list(range(1, 11))] * 3
    held_out = pd.read_parquet(road[0] / "run" / "split.parquet").query("split == 'test'")["molecule_id"]
    assert set(hits["query_inchikey"].str[:14]) <= set(held_out.str[:14])


def test_a_second_demo_replaces_the_first(road):
    out, _ = road
    before = {kind: (out / kind / f"{kind}.json").read_bytes() for kind in ("screen", "run", "bundle", "evaluation")}
    hits = (out / "hits.csv").read_bytes()
    walk(out, seed=1)
    for kind, bytes_before in before.items():
        verify(out / kind, kind)
        assert (out / kind / f"{kind}.json").read_bytes() != bytes_before
    assert (out / "hits.csv").read_bytes() != hits
    assert {path.name for path in out.iterdir()} == {"sim", "screen", "run", "bundle", "evaluation", "hits.csv"}
