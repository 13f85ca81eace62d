"""Words that no command takes: exit status 1, for 2 says that some rows were rejected; and what every command takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pipelines.main import app

WRONG = {
    "an unknown command": ["bogus"],
    "an unknown subcommand": ["study", "bogus"],
    "an unknown option": ["ingest", "--bogus"],
    "a missing argument": ["ingest", "--out", "screen"],
    "a bad value": ["serve", "bundle", "--port", "http"],
    "a negative seed": ["simulate", "--out", "sim", "--seed", "-1"],
    "a negative seed of training": ["train", "screen", "--out", "run", "--seed", "-1"],
    "a negative seed of a study": ["study", "gaussian", "--out", "study", "--seed", "-1"],
    "a negative seed of studies": ["study", "synthetic", "--out", "study", "--seed", "-1"],
    "negative seeds of studies": ["study", "synthetic", "--out", "study", "--seeds", "0,-1"],
    "negative seeds": ["benchmark", "screen", "--out", "benchmark", "--seeds", "-1"],
    "seeds that are no numbers": ["benchmark", "screen", "--out", "benchmark", "--seeds", "a"],
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_wrong_words_are_an_error_and_not_a_partial_result(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert "error" in result.output.lower()
    assert not list(tmp_path.iterdir())
    assert "--seeds" not in words or "--seeds" in result.output  # what is wrong, before any folder is opened


def test_the_program_itself_leaves_with_the_same_status():
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", "from pipelines.main import main; main()", "bogus"], cwd=root,
                          env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No such command 'bogus'" in done.stderr and "Traceback" not in done.stderr


def commands(group, name=""):
    """Every command by its words."""
    for word, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, f"{name}{word} ")
        else:
            yield f"{name}{word}", one


def test_every_command_takes_a_seed_and_quiet_and_shows_an_example():
    found = dict(commands(get_command(app)))
    assert {"manifest init", "manifest check", "study gaussian", "demo"} <= set(found)
    for name, one in found.items():
        taken = {flag for option in one.params for flag in option.opts}
        assert {"--seed", "--quiet"} <= taken, name
        assert f"Example: dssl-bio {name}" in one.help, name
