import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from dssl_bio.pipelines.main import app
from typer.testing import CliRunner

from dssl_bio.artefact import verify
from dssl_bio.config import with_overrides
from dssl_bio.errors import DsslBioError, EvaluationError
from dssl_bio.evaluation import catalogue
from dssl_bio.evaluation.baselines import MeanProfile
from dssl_bio.evaluation.benchmark import BenchmarkOptions, Placed, ensembles
from dssl_bio.evaluation.benchmark_command import benchmark_screen
from dssl_bio.evaluation.benchmark_ranks import drawn_ranks, drawn_setting
from dssl_bio.evaluation.benchmark_summary import differences
from dssl_bio.evaluation.heldout import DIRECTIONS, WHOLE
from dssl_bio.evaluation.learned import ClipRun, DisentangledRun, TrainingContext
from dssl_bio.evaluation.methods import Method, Vectors
from dssl_bio.evaluation.metrics import chance_of_rank
from dssl_bio.evaluation.two_view_methods import TWO_VIEW_METHODS
from dssl_bio.learning.config import TrainConfig
from tests.evaluation.profile_screen import MANIFEST, amides, amides_division, amides_table
from tests.evaluation.test_baselines import amides_names, reciprocal_ranks
from tests.screens.small_screen import ingested

FAST = with_overrides(TrainConfig(), ["molecule_encoder=kernel", "step_1.epochs=12", "step_1.batch_size=16",
                                      "profile.components=8", "shared_dim=32", "hidden=32"])
RUN_1, RUN_2 = 'Metadata_Run == "1"', 'Metadata_Run == "2"'


@pytest.fixture(scope="module")
def context():
    return TrainingContext(FAST, "cell_painting", RUN_1)


@pytest.fixture(scope="module")
def benchmark(amides_screen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "out"
    options = BenchmarkOptions(("dssl", "kernel-ridge", "order-only", "random"), (0, 1), FAST, train_where=RUN_1,
                               gallery_where=RUN_2, one_in=10)
    record = benchmark_screen(amides_screen, options, folder, folds="4", group_by="random", n_draws=200)
    return folder, options, record


@pytest.mark.parametrize("which", ["dssl", "clip", "siglip"])
def test_nothing_learnt_moves_when_held_out_wells_are_changed(which, tmp_path, division, context):
    """Other profiles and activity of held-out molecules leave every molecule and every training entry in place."""
    method = {"dssl": lambda: DisentangledRun(context), "clip": lambda: ClipRun(context),
              "siglip": TWO_VIEW_METHODS["siglip"]}[which]
    table = amides_table()
    held_out = set(division.molecules.loc[division.molecules.held_out, "Metadata_SMILES"])
    named = table.smiles.map(dict(zip(amides_names(division), division.molecules.Metadata_SMILES, strict=True)))
    mask = named.isin(held_out).to_numpy()
    features = [name for name in table if name.startswith("Cells_")]
    table.loc[mask, features] = np.random.default_rng(9).normal(size=(mask.sum(), len(features))) * 1000
    other = amides_division(amides(tmp_path / "changed", table))
    before, after = method().vectors(division, 0), method().vectors(other, 0)
    known = ~division.entries.held_out.to_numpy()
    assert np.array_equal(before.molecules, after.molecules)
    assert np.array_equal(before.entries[known], after.entries[known])
    assert not np.allclose(before.entries[~known], after.entries[~known])


def test_a_trained_model_finds_what_chemistry_decides(amides_screen, context):
    division = amides_division(amides_screen, gallery_where=RUN_1)
    found = reciprocal_ranks(DisentangledRun(context).vectors(division, 0), division).mean()
    assert found > 0.3  # chance 0.18 in a gallery of 20


def test_the_folder_holds_everything_under_checksums(benchmark):
    folder, _, record = benchmark
    assert verify(folder, "benchmark")["results"] == json.loads(json.dumps(record["results"]))
    ranks = pd.read_parquet(folder / "ranks.parquet")
    whole = ranks[(ranks.setting == WHOLE) & (ranks.method == "dssl")]
    assert whole.groupby(["seed", "direction"]).size().eq(80).all()
    assert set(whole.seed) == {"0", "1", "ensemble"}
    assert {"tanimoto", "fold", "query", "rank", "n_entries"} <= set(ranks)
    assert set(pd.read_parquet(folder / "folds.parquet").fold) == {0, 1, 2, 3}
    table = pd.read_csv(folder / "summary.csv")
    assert {"method", "metric", "value", "low", "high", "chance"} <= set(table)


def test_the_page_stands_alone_and_shows_chance(benchmark):
    folder, _, _ = benchmark
    page = (folder / "benchmark.html").read_text(encoding="utf-8")
    assert "<script src" not in page and "<link" not in page
    for text in ("chance (exact)", "95 % of draws", "Tanimoto similarity", "Map of the entries by mechanism",
                 "Map of the entries by plate", "DisentangledSSL, shared, ensemble of 2", "Paired differences"):
        assert text in page


def test_the_mean_over_seeds_is_the_headline(benchmark):
    folder, _, record = benchmark
    ranks = pd.read_parquet(folder / "ranks.parquet")
    for entry in record["results"]["retrieval"]:
        if entry["method"] == "dssl" and entry["setting"] == WHOLE and entry["subset"] == "all":
            part = ranks[(ranks.method == "dssl") & (ranks.setting == WHOLE) & ranks.seed.isin(["0", "1"])
                         & (ranks.direction == entry["direction"])]
            by_seed = part.groupby("seed")["rank"].agg(lambda rank: (1 / rank).mean())
            assert entry["mrr"]["value"] == pytest.approx(by_seed.mean())
            assert entry["n_queries"] == 80


def test_a_second_call_runs_no_job_again(benchmark, amides_screen):
    folder, options, record = benchmark
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "jobs").iterdir()}
    lines = []
    again = benchmark_screen(amides_screen, options, folder, folds="4", group_by="random", n_draws=200,
                             report=lambda done, total, line: lines.append(line))
    assert lines == [f"{len(before)} of {len(before)} jobs were done before"]
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "jobs").iterdir()} == before
    assert again["results"]["retrieval"] == record["results"]["retrieval"]


def test_paired_differences_are_those_of_the_same_questions():
    ranks = pd.DataFrame({
        "method": ["a"] * 4 + ["b"] * 2, "seed": ["0", "0", "1", "1", "", ""], "fold": "fold 0", "plate": "",
        "query": ["x", "y", "x", "y", "x", "y"], "molecule_id": ["x", "y", "x", "y", "x", "y"],
        "direction": "d", "setting": "s", "annotated": False, "active": None, "rank": [1, 2, 1, 4, 2, 2],
        "n_entries": 10, "n_right": 1})
    (found,) = differences(ranks, "b", n_draws=100)
    assert found["method"] == "a" and found["n_queries"] == 2
    assert found["mrr"]["value"] == pytest.approx(np.mean([1, (1 / 2 + 1 / 4) / 2]) - 1 / 2)
    assert found["top_1"]["value"] == pytest.approx(0.5)


def test_the_ensemble_scores_the_mean_of_the_cosines():
    rng = np.random.default_rng(0)
    several = [Vectors(rng.normal(size=(3, 4)), rng.normal(size=(5, 4))) for _ in range(2)]
    (joined,) = ensembles([Placed("m", 0, str(i), v) for i, v in enumerate(several)])
    unit = [(v.molecules / np.linalg.norm(v.molecules, axis=1, keepdims=True),
             v.entries / np.linalg.norm(v.entries, axis=1, keepdims=True)) for v in several]
    expected = np.mean([a @ b.T for a, b in unit], axis=0)
    assert np.allclose(joined.vectors.molecules @ joined.vectors.entries.T, expected, atol=1e-6)


def test_drawing_among_wrong_entries_has_the_exact_chance():
    """Random ranks among 60 entries become random ranks among 11."""
    rng = np.random.default_rng(1)
    n = 20_000
    ranks = pd.DataFrame({"setting": WHOLE, "rank": rng.integers(1, 61, n), "n_entries": 60, "n_right": 1})
    drawn = drawn_ranks(ranks, 10)
    assert set(drawn.setting) == {drawn_setting(10)} and (drawn.n_entries == 11).all()
    share = np.bincount(drawn["rank"], minlength=12)[1:] / n
    assert np.allclose(share, chance_of_rank(11, 1), atol=0.01)
    assert (drawn.loc[(ranks["rank"] == 1).to_numpy(), "rank"] == 1).all()
    assert len(drawn_ranks(ranks, 60)) == 0


class _Point:
    name, value = "mine", "somewhere:Mine"

    def __init__(self, loaded):
        self._loaded = loaded

    def load(self):
        return self._loaded


def test_a_method_of_ones_own_comes_from_an_entry_point(monkeypatch):
    class Mine(MeanProfile):
        name = "mine"

    monkeypatch.setattr(catalogue, "entry_points", lambda group: [_Point(Mine)] if group == "dssl_bio.methods" else [])
    assert catalogue.method_class("mine") is Mine and "mine" in catalogue.known_methods()
    monkeypatch.setattr(catalogue, "entry_points", lambda group: [_Point(object)])
    with pytest.raises(EvaluationError, match="not a subclass of dssl_bio.evaluation.methods.Method"):
        catalogue.method_class("mine")


def test_an_unknown_method_is_answered_with_the_known_ones():
    with pytest.raises(EvaluationError, match="unknown method 'gnn'; known: dssl, clip, kernel-ridge"):
        catalogue.checked_methods(["gnn"])
    assert all(issubclass(cls, Method) for cls in catalogue.METHODS.values())


def test_a_folder_with_other_things_is_left_alone(tmp_path, amides_screen):
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(EvaluationError, match="not a benchmark folder"):
        benchmark_screen(amides_screen, BenchmarkOptions(("random",)), tmp_path)


def test_a_method_that_cannot_run_is_named_and_the_others_go_on(tmp_path, amides_screen, monkeypatch):
    class Unable(MeanProfile):
        def fit(self, training, seed):
            raise DsslBioError("needs a column that nobody measured")

    monkeypatch.setitem(catalogue.METHODS, "plate-only", Unable)
    result = CliRunner().invoke(app, [
        "benchmark", str(amides_screen.folder), "--methods", "plate-only,mean-profile", "--folds", "2",
        "--draws", "100", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    record = verify(tmp_path / "out", "benchmark")
    assert record["results"]["facts"]["left_out"] == {"plate-only": "needs a column that nobody measured"}
    assert "mean profile" in result.output
    assert not list((tmp_path / "out" / "jobs").glob("plate-only*"))


def test_another_modality_may_ask(tmp_path):
    """Expression made of the same acids as the profiles finds them; a modality that is not there is refused."""
    table = amides_table()
    features = [name for name in table if name.startswith("Cells_")]
    rng = np.random.default_rng(3)
    mixed = table[features].to_numpy() @ rng.normal(size=(len(features), 12)) + rng.normal(size=(len(table), 12))
    table = table.assign(**{f"Genes_{i}": mixed[:, i] for i in range(12)})
    (tmp_path / "screen").mkdir()
    table.to_csv(tmp_path / "screen" / "wells.csv", index=False)
    manifest = MANIFEST.format(simulated="false") + (
        '[profiles.expression]\ntable = "wells.csv"\nfeatures = ["Genes_*"]\nnormalisation = "none"\n')
    (tmp_path / "screen" / "manifest.toml").write_text(manifest)
    screen = ingested(tmp_path / "screen" / "manifest.toml")
    options = BenchmarkOptions(("ridge@expression", "clip@expression", "random"), (0,), train_where=RUN_1,
                               gallery_where=RUN_1, modality="cell_painting")
    record = benchmark_screen(screen, options, tmp_path / "out", folds="4", n_draws=100)
    mrr = {one["method"]: one["mrr"]["value"] for one in record["results"]["retrieval"]
           if one["setting"] == WHOLE and one["subset"] == "all" and one["direction"] == DIRECTIONS[0]}
    assert mrr["ridge@expression"] > 0.5 > mrr["random"] and mrr["clip@expression"] > mrr["random"]
    with pytest.raises(EvaluationError, match="has no profiles 'proteins' to ask by; it has"):
        benchmark_screen(screen, replace(options, methods=("ridge@proteins",)), tmp_path / "other", folds="4")
