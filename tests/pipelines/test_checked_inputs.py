"""What train, index and evaluate make sure of before they compute anything."""

import shutil

import pytest

from tests.pipelines.test_bad_input import FAST, refused, run


@pytest.mark.parametrize("command", ["train", "index", "evaluate", "benchmark"])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_screen_that_is_not_as_it_was_written_is_refused_before_anything_is_computed(small_road, tmp_path, command,
                                                                                      how):
    shutil.copytree(small_road / "screen", tmp_path / "screen")
    path = tmp_path / "screen" / "profiles" / "cell_painting" / "values.f32"
    content = path.read_bytes()
    path.unlink()
    if how == "changed":
        path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    words = [] if command in ("train", "benchmark") else [small_road / "run"]
    refused(run(command, *words, tmp_path / "screen", "--out", tmp_path / "out"), f"values.f32 (was {how}|is {how})")
    assert [path.name for path in tmp_path.iterdir()] == ["screen"]


def test_all_molecules_can_train(small_road, tmp_path):
    result = run("train", small_road / "screen", "--out", tmp_path / "run", *FAST, "--set", "split.fractions=[1,0,0]")
    assert result.exit_code == 0, result.output
    assert "28 train, 0 valid, 0 test" in result.output
    assert run("index", tmp_path / "run", small_road / "screen", "--out", tmp_path / "bundle").exit_code == 0
    refused(run("evaluate", tmp_path / "run", small_road / "screen", "--out", tmp_path / "e"), "holds out no molecule")


@pytest.mark.parametrize(("words", "message"), [
    (["--set", "step_1.epochs=0", "--set", "step_2.epochs=0"], "nothing to train"),
    (["--seed", "-1"], "seed.*greater than or equal to 0"),
])
def test_what_cannot_be_trained_is_refused(small_road, tmp_path, words, message):
    refused(run("train", small_road / "screen", "--out", tmp_path / "run", *words), message)
    assert not list(tmp_path.iterdir())
