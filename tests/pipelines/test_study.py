import json

import pytest
from typer.testing import CliRunner

from dssl_bio.studies import synthetic as synthetic_module
from dssl_bio.studies.result import Check, StudyResult, Table
from pipelines.study import app


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def stand_in(monkeypatch, passed):
    seen = {}

    def study(config, folder, workers, report):
        seen.update(config=config, workers=workers)
        report(1, 1, "job")
        return StudyResult("synthetic", config.model_dump(), tables=[Table("A table", ("x",), [[0.5]])],
                           checks=[Check("T", "1", "2", passed)])

    monkeypatch.setattr(synthetic_module, "synthetic_study", study)
    return seen


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 2)])
def test_options_reach_the_study_and_a_failed_check_the_exit_status(tmp_path, monkeypatch, passed, status):
    seen = stand_in(monkeypatch, passed)
    found = run("synthetic", "--out", tmp_path, "--noisy", "--betas", "0,0.1", "--seeds", "3,1,3", "--workers", 2)
    assert found.exit_code == status
    assert seen["config"].betas == (0.0, 0.1) and seen["config"].seeds == (3, 1) and seen["workers"] == 2
    assert seen["config"].noises == (0.0, synthetic_module.NOISE)
    assert json.loads((tmp_path / "study.json").read_text())["passed"] is passed
    assert "A table" in found.output and "<h2>A table</h2>" in (tmp_path / "study.html").read_text()


def test_full_is_the_size_of_the_paper_and_quiet_says_nothing(tmp_path, monkeypatch):
    seen = stand_in(monkeypatch, True)
    found = run("synthetic", "--out", tmp_path, "--full", "--seed", 4, "--quiet")
    assert found.output == "" and seen["config"].n == 90_000 and seen["config"].seeds == (4,)


@pytest.mark.parametrize(("words", "message"), [
    (("synthetic", "--betas=-1"), "betas.0: Input should be greater than or equal to 0"),
    (("synthetic", "--lambdas", "0,-0.5"), "lambdas.1: Input should be greater than or equal to 0"),
    (("synthetic", "--betas", "a"), "--betas expects numbers separated by commas, got 'a'"),
    (("synthetic", "--betas", "nan"), "--betas expects finite numbers"),
    (("synthetic", "--seeds", "0,1.5"), "--seeds expects whole numbers from 0"),
    (("synthetic", "--parts", "beta,figure"), "parts.1: Input should be 'beta', 'lambda', 'penalty' or 'methods'"),
    (("multibench", "--data", "nowhere"), "nowhere holds none of im.pk"),
])
def test_bad_settings_are_one_line_and_exit_status_1(tmp_path, words, message):
    found = run(*words, "--out", tmp_path / "out")
    assert found.exit_code == 1
    assert message in found.output and found.output.count("\n") == 1
