"""`dssl-bio factors`: tables and pages, and what a user is told who asks for what is not there."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines.main import app


@pytest.fixture
def ask():
    return lambda *words: CliRunner().invoke(app, ["factors", *map(str, words)])


def test_factors_are_computed_from_the_screen_of_an_older_bundle(ask, small_road, tmp_path):
    refused = ask(small_road / "bundle", "--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert "holds no factors" in refused.stderr and "--screen" in refused.stderr
    done = ask(small_road / "bundle", "--screen", small_road / "screen", "--permutations", 3, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    matrix = pd.read_parquet(tmp_path / "out" / "matrix.parquet")
    assert {"molecule-specific", "phenotype-shared", "phenotype-raw"} <= set(matrix["representation"])
    assert {"rings", "plate", "mechanism"} <= set(matrix["factor"])
    assert "<svg" in (tmp_path / "out" / "factors.html").read_text()


def test_one_molecule_and_one_well_have_pages(ask, small_road, tmp_path):
    for words in (("--smiles", "O=C(c1ccccc1)NCC"), ("--well", "001:A03")):
        done = ask(small_road / "bundle", *words, "--out", tmp_path / "one")
        assert done.exit_code == 0, done.stderr
        assert "(an estimate)" in done.stdout
        assert (tmp_path / "one" / "factors.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(("words", "told"), [
    (("--well", "001:Z09"), "the nearest names are"),
    (("--smiles", "not a molecule"), "error: "),
    (("--smiles", "C", "--well", "001:A03"), "--smiles or --well, not both"),
    (("--truth", "nowhere"), "--truth needs --screen"),
    (("--screen", "nowhere"), "nowhere"),
])
def test_what_cannot_be_answered_is_one_sentence(ask, small_road, tmp_path, words, told):
    refused = ask(small_road / "bundle", *words, "--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert told in refused.stderr and "Traceback" not in refused.stderr
