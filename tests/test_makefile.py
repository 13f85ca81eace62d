"""What `make env` installs, told by an interpreter that only writes down what it is asked."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# `pip show` knows what lies in the folder of installed packages; everything else succeeds.
INTERPRETER = """#!/bin/sh
echo "$@" >> {folder}/asked
case "$*" in
  "-c "*) exit {supported};;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python";;
  *"pip show --quiet "*) test -e "{folder}/packages/$5";;
  *"pip uninstall "*) rm -f {folder}/packages/*;;
  *"[cpu"*) touch {folder}/packages/faiss-cpu;;
  *"[gpu"*) touch {folder}/packages/faiss-gpu;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("needs make")
    for name in ("Makefile", "pyproject.toml", ".constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "packages").mkdir()
    return tmp_path


def env(checkout, extra="cpu", supported=True):
    """Runs `make env`; what it said and which of the two packages are there."""
    script = checkout / "python-of-mine"
    script.write_text(INTERPRETER.format(folder=checkout, supported=0 if supported else 1))
    script.chmod(0o755)
    done = subprocess.run(["make", "env", f"PYTHON={script}", f"EXTRA={extra}"], cwd=checkout, capture_output=True,
                          text=True, check=False)
    return done, sorted(path.name for path in (checkout / "packages").iterdir())


def test_another_extra_takes_the_place_of_the_first_and_the_same_one_installs_nothing(checkout):
    assert env(checkout, "cpu")[1] == ["faiss-cpu"]
    asked = (checkout / "asked").read_text()
    env(checkout, "cpu")
    assert (checkout / "asked").read_text() == asked
    for extra, there in (("gpu", "faiss-gpu"), ("cpu", "faiss-cpu"), ("cpu,umap", "faiss-cpu"), ("gpu", "faiss-gpu")):
        done, packages = env(checkout, extra)
        assert done.returncode == 0, done.stderr
        assert packages == [there]


def test_an_interpreter_that_was_named_and_is_not_supported_is_refused_in_words(checkout):
    done, packages = env(checkout, supported=False)
    assert done.returncode != 0
    assert "DSSL-Bio needs Python 3.11 or 3.12" in done.stdout
    assert not packages and not (checkout / ".venv").exists()
