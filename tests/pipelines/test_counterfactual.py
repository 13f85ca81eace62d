"""`dssl-bio decode` and `dssl-bio counterfactual` with what users get wrong."""

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from dssl_bio.learning.run import Run
from dssl_bio.screens.screen import Screen
from pipelines.main import app
from tests.retrieval.decoded import decoded_profiles  # noqa: F401 - a fixture


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_an_answer_is_written_and_told(decoded_profiles, tmp_path):  # noqa: F811
    done = run("counterfactual", decoded_profiles, "--well", "001 A03", "--smiles", "O=C(c1ccccc1)NCCCC", "--series",
               "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "features leave their 90 % interval" in done.output
    assert set(pd.read_csv(tmp_path / "out" / "versions.csv")["version"]) == {"measured", "1 µM", "10 µM"}
    done = run("counterfactual", decoded_profiles, "--well", "001 A03", "--remove-treatment", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(("words", "message"), [
    (["--well", "001 Z77", "--smiles", "CCO"], "no well is called '001 Z77'"),
    (["--well", "001 A03", "--smiles", "C1CC"], "not a valid SMILES"),
    (["--well", "001 A03"], "either a molecule with --smiles or --remove-treatment"),
    (["--well", "001 A03", "--smiles", "CCO", "--remove-treatment"], "either a molecule"),
    (["--smiles", "CCO"], "give a well"),
    (["--well", "001 A03", "--smiles", "CCO", "--dose-um", "-1"], "must be positive"),
    (["--truth", "x", "--well", "001 A03", "--smiles", "CCO"], "belong to --evaluate"),
])
def test_what_is_wrong_is_one_line_and_nothing_is_written(decoded_profiles, tmp_path, words, message):  # noqa: F811
    done = run("counterfactual", decoded_profiles, *words, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert message.lower() in done.output.lower()
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()


def test_a_bundle_without_decoder_names_the_command(small_road, tmp_path):
    done = run("counterfactual", small_road / "bundle", "--well", "001 A03", "--smiles", "CCO", "--out", tmp_path / "o")
    assert done.exit_code == 1
    assert "dssl-bio decode" in done.output


def test_a_decoder_goes_on_where_it_was_stopped_and_gives_the_same(small_road, tmp_path, monkeypatch):
    from dssl_bio.learning.training import network

    settings = ["--set", "profile.steps=400", "--set", "profile.hidden=16", "--set", "profile.batch_size=8", "--quiet"]
    bundles = [tmp_path / name for name in ("whole", "stopped")]
    for bundle in bundles:
        shutil.copytree(small_road / "bundle", bundle)
    assert run("decode", bundles[0], small_road / "screen", *settings).exit_code == 0
    assert run("decode", bundles[1], small_road / "screen", "--resume", *settings).exit_code == 1  # nothing to resume

    keep = network.NetworkKeeper.on_train_epoch_end

    def stopped(self, trainer, module):
        keep(self, trainer, module)
        raise KeyboardInterrupt

    monkeypatch.setattr(network.NetworkKeeper, "on_train_epoch_end", stopped)
    assert run("decode", bundles[1], small_road / "screen", *settings).exit_code == 130
    assert not (bundles[1] / "decoder").exists()
    monkeypatch.setattr(network.NetworkKeeper, "on_train_epoch_end", keep)
    other = run("decode", bundles[1], small_road / "screen", "--resume", "--set", "profile.steps=500", "--quiet")
    assert other.exit_code == 1 and "another run, screen or configuration" in other.output
    assert run("decode", bundles[1], small_road / "screen", "--resume", *settings).exit_code == 0
    files = [json.loads((bundle / "decoder" / "decoder.json").read_text())["files"] for bundle in bundles]
    assert files[0]["profile.safetensors"] == files[1]["profile.safetensors"]
    assert not list(tmp_path.glob("*.partial"))


def test_encoders_do_not_change(decoded_profiles, small_road):  # noqa: F811
    assert Run.open(decoded_profiles / "run").id == Run.open(small_road / "bundle" / "run").id
    record = json.loads((decoded_profiles / "decoder" / "decoder.json").read_text())
    assert record["made_from"]["screen"] == Screen.open(small_road / "screen").id
