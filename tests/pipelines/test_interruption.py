"""Ctrl-C in each stage: exit status 130, the old state or the new one and never half, and the command works again."""

import json
import signal

import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from dssl_bio.artefact import verify
from pipelines import train as train_command
from pipelines.main import app
from tests.pipelines.forked import Forks

FAST = ["molecule_encoder=kernel", "shared_dim=8", "specific_dim=4", "hidden=16", "step_1.epochs=6", "step_2.epochs=3",
        "step_1.batch_size=8", "step_2.batch_size=8"]
SETTINGS = [word for setting in FAST for word in ("--set", setting)]
ATTEMPTS = 6


@pytest.fixture(scope="module")
def forks():
    with Forks() as running:
        yield running


def stages(road, folder):
    """Words of each command, what it writes, and the kind of artefact that is."""
    (folder / "q.smi").write_text("".join(f"{'C' * (1 + i % 50)}O\n" for i in range(500)))
    return {
        "simulate": (["simulate", "--out", folder / "sim", "--molecules", 32, "--workers", 2, "--set", "site_px=32",
                      "--set", "doses_um=[2.0]", "--set", "n_replicates=1"], folder / "sim", None),
        "ingest": (["ingest", road / "manifest.toml", "--out", folder / "screen"], folder / "screen", "screen"),
        "train": (["train", road / "screen", "--out", folder / "run", *SETTINGS], folder / "run", "run"),
        "index": (["index", road / "run", road / "screen", "--out", folder / "bundle"], folder / "bundle", "bundle"),
        "evaluate": (["evaluate", road / "run", road / "screen", "--out", folder / "evaluation", "--draws", 2000],
                     folder / "evaluation", "evaluation"),
        "retrieve": (["retrieve", road / "bundle", "--input", folder / "q.smi", "--out", folder / "h.csv",
                      "--workers", 1], folder / "h.csv", None),
    }


@pytest.mark.parametrize("stage", ["simulate", "ingest", "train", "index", "evaluate", "retrieve"])
def test_ctrl_c_leaves_the_old_state_or_the_new_and_never_half(small_road, tmp_path, forks, stage):
    words, out, kind = stages(small_road, tmp_path)[stage]
    log = tmp_path / "log"
    beside = {path.name for path in tmp_path.iterdir()} | {"log"}

    def whole():
        """What is there is complete: by its checksums, or by being what the uninterrupted command wrote."""
        if kind:
            verify(out, kind)
        assert names_in(out) == complete
        assert {path.name for path in tmp_path.iterdir()} - beside <= {out.name, f"{out.name}.partial"}

    def interrupt(delay):
        """Interrupts the command, sooner if it was done by then."""
        for _ in range(ATTEMPTS):
            status, _ = forks.run(words, log, delay)
            assert status in (0, 130), log.read_text()
            assert "Traceback" not in log.read_text()
            if status == 130:
                assert "interrupted; what was complete before this command is unchanged" in log.read_text()
                return
            delay *= 0.6
        pytest.fail(f"done within {delay:.2f} s in every attempt")

    status, seconds = forks.run(words, log)
    assert status == 0, log.read_text()
    complete = names_in(out)
    interrupt(0.7 * seconds)
    whole()
    remove(out)
    interrupt(0.4 * seconds)
    if out.exists():  # the signal came when the last rename was done
        whole()
    assert {path.name for path in tmp_path.iterdir()} - beside <= {out.name, f"{out.name}.partial"}
    assert forks.run(words, log)[0] == 0, log.read_text()
    whole()
    assert {path.name for path in tmp_path.iterdir()} - beside == {out.name}


def names_in(out):
    """Names below a folder, or the bytes of a file; names of a run's logs hold the time."""
    if out.is_file():
        return out.read_bytes()
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if "tensorboard" not in path.parts}


def remove(out):
    if out.is_file():
        out.unlink()
        return
    for path in sorted(out.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    out.rmdir()


@pytest.fixture
def sigint_as_it_was():
    """Lightning ignores Ctrl-C for the rest of the process once it has seen one."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("moment", ["step 1 epoch 1/6", "step 1 epoch 4/6", "step 2 epoch 2/3"])
def test_a_resumed_training_gives_the_losses_and_the_weights_of_one_that_was_not_stopped(
        small_road, tmp_path, monkeypatch, sigint_as_it_was, moment):
    screen = str(small_road / "screen")

    def run(out, *more, stop=None):
        lines = []

        def report(line):
            if stop and line.startswith(stop):
                raise KeyboardInterrupt
            if line.startswith("step "):
                lines.append(line)

        monkeypatch.setattr(train_command, "reporter", lambda quiet: report)
        result = CliRunner().invoke(app, ["train", screen, "--out", str(tmp_path / out), *SETTINGS, *more])
        return result.exit_code, lines, result.output

    status, straight, _ = run("straight")
    assert status == 0
    status, first, output = run("stopped", stop=moment)
    assert status == 130, output
    assert not (tmp_path / "stopped").exists()
    status, second, output = run("stopped", "--resume")
    assert status == 0, output
    assert first + second == straight
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("straight", "stopped")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    metrics = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("straight", "stopped")]
    assert metrics[0] == metrics[1]
    for step, epochs in ((1, 6), (2, 3)):
        curves = [(tmp_path / name / "curves" / f"step_{step}" / "metrics.csv").read_text()
                  for name in ("straight", "stopped")]
        assert curves[0] == curves[1]
        assert len(curves[0].splitlines()) == 1 + epochs
    assert not (tmp_path / "stopped.partial").exists()


def test_what_cannot_be_resumed_is_said(small_road, tmp_path):
    result = CliRunner().invoke(app, ["train", str(small_road / "screen"), "--out", str(tmp_path / "run"), "--resume"])
    assert result.exit_code == 1
    assert "nothing to resume" in result.output
    assert not list(tmp_path.iterdir())
