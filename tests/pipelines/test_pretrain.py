"""`dssl-bio pretrain`, and a training that starts from what it wrote."""

import json

from tests.evaluation.profile_screen import ACIDS, AMINES
from tests.pipelines.test_bad_input import refused, run
from tests.retrieval.small_bundle import SMILES

TINY = [word for setting in ("gine.hidden=8", "gine.layers=1", "epochs=2", "batch_size=16")
        for word in ("--set", setting)]


def test_a_file_with_a_bad_line_is_pretrained_on_without_the_screens_molecules(small_road, tmp_path):
    lines = [f"O=C({acid}){amine} m{i}" for acid in ACIDS.values() for i, amine in enumerate(AMINES)]
    (tmp_path / "more.smi").write_text("\n".join([*lines, lines[0], "this is none"]) + "\n")
    result = run("pretrain", "--molecules", tmp_path / "more.smi", "--exclude", small_road / "screen",
                 "--out", tmp_path / "gnn", "--workers", "1", *TINY)
    assert result.exit_code == 2, result.output  # written, and a line was refused
    n_shared = len(set(SMILES) & {line.split()[0] for line in lines})
    assert n_shared > 10
    assert f"{80 - n_shared} distinct molecules; 1 lines are none; {n_shared} left out" in result.output
    assert json.loads((tmp_path / "gnn" / "run.json").read_text())["metrics"]["molecules"] == 80 - n_shared
    started = run("train", small_road / "screen", "--start", tmp_path / "gnn", "--out", tmp_path / "run",
                  *[word for setting in ("molecule_encoder=gine", "gine.hidden=8", "gine.layers=1", "step_1.epochs=1",
                                         "step_2.epochs=1") for word in ("--set", setting)])
    assert started.exit_code == 0 and "GNN (shared)" in started.output


def test_a_pretrained_run_is_no_model_to_index_with(small_road, tmp_path):
    lines = [f"O=C({acid}){amine}" for acid in ACIDS.values() for amine in AMINES]
    (tmp_path / "more.smi").write_text("\n".join(lines) + "\n")
    assert run("pretrain", "--molecules", tmp_path / "more.smi", "--out", tmp_path / "gnn", "--workers", "1",
               *TINY).exit_code == 0
    refused(run("index", tmp_path / "gnn", small_road / "screen", "--out", tmp_path / "bundle"), "pre-trained GNN")
    refused(run("pretrain", "--molecules", tmp_path / "no.smi", "--out", tmp_path / "x"), "no such file")
