"""Bad input through the command line: one line that says what to mend, its exit status, and nothing half-written."""

import json
import re
import resource
import shutil
from collections import namedtuple
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

from dssl_bio.artefact import seal
from pipelines.main import app
from tests.retrieval.small_bundle import MANIFEST, small_run, small_screen, wells
from tests.screens.small_screen import write_sites

FAST = [word for setting in ("molecule_encoder=kernel", "step_1.epochs=2", "step_2.epochs=1", "hidden=16")
        for word in ("--set", setting)]


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def refused(result, message):
    """One line on what is wrong, after nothing but lines of progress; exit status 1."""
    assert result.exit_code == 1, result.output
    assert re.search(message, result.output, re.DOTALL), result.output
    assert sum(line.startswith("error: ") for line in result.output.splitlines()) == 1


def ingest(folder, table=None, manifest=MANIFEST):
    """The result of ingesting a changed table or manifest, and whether anything was left behind."""
    (wells() if table is None else table).to_csv(folder / "wells.csv", index=False)
    (folder / "manifest.toml").write_text(manifest)
    return run("ingest", folder / "manifest.toml", "--out", folder / "screen")


@pytest.mark.parametrize(("old", "new", "message"), [
    ('"smiles"', '"smile"', "no column 'smile'; did you mean 'smiles'"),
    ('Metadata_MoA', 'Metadata_Moa', "'Metadata_Moa' is not a word of the program; did you mean 'Metadata_MoA'"),
    ('Metadata_Compound', 'Metadata_Compund', "did you mean 'Metadata_Compound'"),
    ("[dose]", "[doses]", "unknown key 'doses'; did you mean 'dose'.* Known keys: .*controls"),
    ('unit = "uM"', 'units = "uM"', "unknown key 'dose.units'; did you mean 'unit'.* Known keys: column, unit"),
    ('== "DMSO"', '== "dmso"', "finds no well; compound holds .*DMSO"),
    ('name = "amides"', 'name = "amides"\nkey = ["plate"]', "the key 001 .*row 1 and wells.csv row 2"),
    ('name = "amides"', 'name = "amides"\nwhere = "dose > 1000"', "no row is left of 64"),
    ("wells.csv", "welts.csv", "no such table"),
])
def test_a_manifest_that_does_not_fit_is_refused_with_the_near_name(tmp_path, old, new, message):
    assert old in MANIFEST
    refused(ingest(tmp_path, manifest=MANIFEST.replace(old, new)), message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.toml", "wells.csv"]


def features_of(table):
    return [name for name in table if name.startswith("Cells_")]


@pytest.mark.parametrize(("value", "message"), [
    (np.nan, "no well is left|none of 12 features is left|no row is left"),
    (3.0, "none of 12 features is left.*same value"),
])
def test_features_that_say_nothing_are_refused(tmp_path, value, message):
    table = wells()
    table[features_of(table)] = value
    refused(ingest(tmp_path, table), message)
    assert not (tmp_path / "screen").exists()


def test_a_feature_that_is_constant_or_mostly_missing_is_left_out_and_said(tmp_path):
    table = wells().assign(Cells_f0=1.0)
    table.loc[5:, "Cells_f1"] = np.nan
    result = ingest(tmp_path, table)
    assert result.exit_code == 0, result.output
    assert "Cells_f0" in result.output and "Cells_f1" in result.output
    assert len(json.loads((tmp_path / "screen/profiles/cell_painting/columns.json").read_text())) == 10


def test_an_empty_table_is_refused(tmp_path):
    refused(ingest(tmp_path, wells().iloc[:0]), "no row|empty")
    assert not (tmp_path / "screen").exists()


def test_smiles_that_are_none_or_too_large_leave_their_wells_without_molecule_and_are_listed(tmp_path):
    table = wells()
    table.loc[[0, 1, 2], "smiles"] = ["C1CC", "C" * 300, "C" * 2_500]
    result = ingest(tmp_path, table)
    assert "3 treated wells without molecule" in result.output
    assert "row by row in unjoined.parquet" in result.output
    reasons = pd.read_parquet(tmp_path / "screen" / "unjoined.parquet")["reason"]
    for words in ("not a valid SMILES", "about 300 atoms", "2,500 characters"):
        assert reasons.str.contains(words).sum() == 1


def spoil(path, how):
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif how == "unreadable":
        path.write_bytes(b"not a picture")
    else:
        tifffile.imwrite(path, np.zeros((3, 24, 32), np.uint16), photometric="minisblack")


@pytest.mark.parametrize(("how", "message"), [
    ("truncated", "truncated"), ("unreadable", "damaged or not a TIFF"), ("channels", "3 channels|3 planes|expected 1"),
])
def test_a_picture_that_cannot_be_read_is_listed_and_one_screen_of_them_is_refused(tmp_path, how, message):
    manifest, _ = write_sites(tmp_path, 3, 1)
    pictures = sorted((tmp_path / "images").iterdir())
    spoil(pictures[0], how)
    result = run("ingest", manifest, "--out", tmp_path / "screen")
    assert result.exit_code == 2, result.output
    assert "rejected: 1 x" in result.output
    (reason,) = pd.read_parquet(tmp_path / "screen" / "rejected.parquet")["reason"]
    assert re.search(message, reason) and pictures[0].name in reason
    before = sorted((tmp_path / "screen").rglob("*"))
    for path in pictures:
        spoil(path, how)
    again = run("ingest", manifest, "--out", tmp_path / "screen")
    refused(again, f"none of 3 sites can be read; the first: .*({message})")
    assert sorted((tmp_path / "screen").rglob("*")) == before


@pytest.mark.parametrize(("words", "message"), [
    (["simulate", "--out", "{out}", "--set", "n_molecule=40"], "unknown key 'n_molecule'; did you mean 'n_molecules'"),
    (["simulate", "--out", "{out}", "--molecules", "3"], "at least .* active ones are needed"),
    (["train", "{road}/screen", "--out", "{out}", "--set", "step_1.epoch=3"], "did you mean 'epochs'"),
    (["train", "{road}/screen", "--out", "{out}", "--set", "shared_dim=x"], "shared_dim"),
    (["train", "{road}/screen", "--out", "{out}", "--config", "{road}/nothing.toml"], "no such file"),
    (["train", "{road}/bundle", "--out", "{out}"], "expected a screen folder .* is a bundle folder"),
    (["train", "{road}/screen", "--out", "{road}"], "expected a run folder|exists and is not a run"),
    (["index", "{road}/screen", "{road}/screen", "--out", "{out}"], "expected a run folder .* is a screen folder"),
    (["index", "{road}/run", "{road}/run", "--out", "{out}"], "expected a screen folder .* is a run folder"),
    (["index", "{road}/run", "{road}/screen", "--out", "{out}", "--entries", "plates"], "consensus or wells"),
    (["index", "{road}/run", "{road}/screen", "--out", "{out}", "--where", "Metadata_Dose > 1"], "Metadata_Dose_um"),
    (["index", "{road}/run", "{road}/screen", "--out", "{out}", "--where", "Metadata_Dose_um > 99"],
     "no well to index"),
    (["index", "{road}/run", "{road}/screen", "--out", "{road}"], "exists and is not a bundle folder"),
])
def test_what_cannot_be_done_is_said_before_anything_is_written(small_road, tmp_path, words, message):
    before = sorted(small_road.iterdir())
    refused(run(*(word.format(out=tmp_path / "out", road=small_road) for word in words)), message)
    assert not list(tmp_path.iterdir())
    assert sorted(small_road.iterdir()) == before


def test_a_screen_that_lacks_what_the_model_reads_is_refused(small_road, tmp_path):
    small_screen(tmp_path, wells().rename(columns={"Cells_f3": "Cells_other"}))
    refused(run("index", small_road / "run", tmp_path / "screen", "--out", tmp_path / "bundle"), "Cells_f3")
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_whose_vectors_another_model_made_is_refused(small_road, tmp_path):
    from dssl_bio.screens.screen import Screen

    small_run(Screen.open(small_road / "screen"), tmp_path / "other", seed=1)
    shutil.copytree(small_road / "bundle", tmp_path / "bundle")
    shutil.rmtree(tmp_path / "bundle" / "run")
    shutil.copytree(tmp_path / "other", tmp_path / "bundle" / "run")
    refused(run("retrieve", tmp_path / "bundle", "--smiles", "CCO"), "was changed or damaged|is missing")
    record = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    own = ("kind", "schema_version", "made_by", "made_from", "files")
    seal(tmp_path / "bundle", "bundle", record["made_from"], **{k: v for k, v in record.items() if k not in own})
    for words in (["retrieve", tmp_path / "bundle", "--smiles", "CCO"],):
        refused(run(*words), "its vectors were made by model .*, the model inside is .*dssl-bio index")


def writers(road, folder):
    """Commands that write, with the largest file each makes allowed to be so many bytes."""
    (folder / "q.smi").write_text("".join(f"{'C' * (1 + i % 60)}O\n" for i in range(300)))
    return {
        "simulate": (["simulate", "--out", folder / "out", "--molecules", 32, "--workers", 1, "--set", "site_px=32",
                      "--set", "doses_um=[2.0]", "--set", "n_replicates=1"], 2_000),
        "ingest": (["ingest", road / "manifest.toml", "--out", folder / "out"], 2_000),
        "train": (["train", road / "screen", "--out", folder / "out", *FAST], 100_000),
        "index": (["index", road / "run", road / "screen", "--out", folder / "out"], 100_000),
        "evaluate": (["evaluate", road / "run", road / "screen", "--out", folder / "out", "--draws", 100], 100_000),
        **{ending: (["retrieve", road / "bundle", "--input", folder / "q.smi", "--out", folder / f"out.{ending}",
                     "--workers", 1], 9_000) for ending in ("csv", "parquet")},
    }


@contextmanager
def files_of_at_most(n_bytes):
    """Writing further fails in the system, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("stage", ["simulate", "ingest", "train", "index", "evaluate", "csv", "parquet"])
def test_a_disk_that_gets_full_while_writing_is_one_line_and_leaves_nothing_half(small_road, tmp_path, stage):
    words, n_bytes = writers(small_road, tmp_path)[stage]
    before = {path.name for path in tmp_path.iterdir()}
    with files_of_at_most(n_bytes):
        refused(run(*words), "error: .*File too large")
    # A training that was stopped can be resumed from what it keeps beside
    assert {path.name for path in tmp_path.iterdir()} - before == ({"out.partial"} if stage == "train" else set())
    assert run(*words).exit_code == 0


@pytest.mark.parametrize("stage", ["simulate", "ingest", "train", "index"])
def test_commands_that_write_much_say_how_much_and_refuse_a_disk_that_is_too_small(small_road, tmp_path, monkeypatch,
                                                                                 stage):
    words, _ = writers(small_road, tmp_path)[stage]
    before = {path.name for path in tmp_path.iterdir()}
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 100))
        refused(run(*words), "needs about [0-9.]+ MB and the disk has 0.0 MB left")
    assert {path.name for path in tmp_path.iterdir()} - before <= {"out.partial"}
    result = run(*words)
    assert re.search(r"^about [0-9.]+ MB will be written to .* free\)", result.output, re.MULTILINE)
