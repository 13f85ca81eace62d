import json
import shutil

import pandas as pd
import pytest
from rdkit import Chem
from typer.testing import CliRunner

from dssl_bio.retrieval.batch import COLUMNS
from pipelines.main import app
from tests.retrieval.small_bundle import SMILES

ASKED = SMILES[:3]


def run(*words):
    result = CliRunner().invoke(app, ["retrieve", *map(str, words)])
    assert "Traceback" not in result.output
    return result


def write_queries(path, bad=()):
    """A file of ASKED and of some lines that are no molecules."""
    texts = [*ASKED, *bad]
    table = pd.DataFrame({"id": [f"m{i}" for i in range(len(texts))], "SMILES": texts})
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".smi":
        path.write_text("".join(f"{text} m{i}\n\n" for i, text in enumerate(texts)))
    else:
        with Chem.SDWriter(str(path)) as writer:
            for i, text in enumerate(ASKED):
                mol = Chem.MolFromSmiles(text)
                mol.SetProp("_Name", f"m{i}")
                writer.write(mol)
        with path.open("a") as file:
            file.write("".join(f"bad{i}\n\n\nno counts\n$$$$\n" for i in range(len(bad))))


@pytest.mark.parametrize("ending", [".csv", ".smi", ".sdf", ".parquet"])
def test_every_kind_of_input_gives_the_same_hits(small_road, tmp_path, ending):
    write_queries(tmp_path / f"q{ending}")
    result = run(small_road / "bundle", "--input", tmp_path / f"q{ending}", "--top-k", 4, "--out", tmp_path / "h.csv")
    assert result.exit_code == 0, result.output
    assert "3 molecules asked among 56 entries, 0 failed; written to" in result.output
    hits = pd.read_csv(tmp_path / "h.csv", dtype={"plate": str})
    assert list(hits) == list(COLUMNS)
    assert hits["rank"].tolist() == [1, 2, 3, 4] * 3
    names = {".smi": [f"{text} m{i}" for i, text in enumerate(ASKED)], ".sdf": ["m0", "m1", "m2"]}
    assert hits["query"].drop_duplicates().tolist() == names.get(ending, ASKED)
    typed = run(small_road / "bundle", *[w for text in ASKED for w in ("--smiles", text)], "--top-k", 4, "--out",
                tmp_path / "typed.csv")
    assert typed.exit_code == 0
    expected = pd.read_csv(tmp_path / "typed.csv", dtype={"plate": str})
    pd.testing.assert_frame_equal(hits.drop(columns="query"), expected.drop(columns="query"), atol=2e-6)


@pytest.mark.parametrize("ending", [".csv", ".smi", ".sdf", ".parquet"])
def test_bad_lines_are_rows_with_their_reason_and_the_exit_status_is_2(small_road, tmp_path, ending):
    write_queries(tmp_path / f"q{ending}", bad=("C1CC", "xyz"))
    result = run(small_road / "bundle", "--input", tmp_path / f"q{ending}", "--top-k", 2, "--out", tmp_path / "h.json")
    assert result.exit_code == 2
    assert "5 molecules asked among 56 entries, 2 failed" in result.output
    hits = pd.DataFrame(json.loads((tmp_path / "h.json").read_text()))
    assert hits["status"].tolist() == ["ok"] * 6 + ["error"] * 2
    assert hits["message"][6:].str.contains("not a valid|no counts line").all()


def test_without_a_file_the_hits_are_a_table_that_shows_smiles_as_they_are(small_road):
    result = run(small_road / "bundle", "--smiles", "C[N+](C)(C)C", "--smiles", "x[bold]", "--top-k", 2)
    assert result.exit_code == 2
    assert "C[N+](C)(C)C" in result.output
    assert "error: not a valid SMILES: 'x[bold]'" in result.output
    assert "the smallest p it can tell is" in result.output


def test_a_name_that_a_spreadsheet_would_run_is_tamed_in_a_csv(small_road, tmp_path):
    run(small_road / "bundle", "--smiles", "CCO", "--top-k", 100, "--out", tmp_path / "h.csv")
    names = set(pd.read_csv(tmp_path / "h.csv")["compound"])
    assert {"'=1+1", "'+plus", "'-minus", "'@sum", "C4"} <= names


def test_quiet_prints_no_word_beside_the_answer(small_road, tmp_path):
    result = run(small_road / "bundle", "--smiles", "CCO", "--out", tmp_path / "h.csv", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    table = run(small_road / "bundle", "--smiles", "CCO", "--top-k", 1, "--quiet")
    assert "CCO" in table.output
    assert "null" not in table.output


def test_the_dose_and_the_number_of_hits_are_obeyed(small_road, tmp_path):
    run(small_road / "bundle", "--smiles", "CCO", "--dose-um", 8, "--top-k", 1000, "--out", tmp_path / "h.parquet")
    hits = pd.read_parquet(tmp_path / "h.parquet")
    assert len(hits) == len(SMILES)
    assert set(hits["dose_um"]) == {10.0}


@pytest.mark.parametrize(("words", "message"), [
    ([], "give molecules with --smiles or with --input"),
    (["--smiles", "C", "--input", "q.smi"], "one of the two"),
    (["--smiles", "C", "--smiles-column", "s"], "--smiles-column belongs to --input"),
    (["--input", "nothing.smi"], "no such file: nothing.smi"),
    (["--input", "{folder}/table.csv"], "which column holds the SMILES"),
    (["--input", "{folder}/table.csv", "--smiles-column", "structre"], "did you mean 'structures'"),
    (["--input", "{folder}/empty.csv"], "is empty"),
    (["--input", "{folder}/comments.smi", "--out", "{folder}/h.csv"], "comments.smi holds no molecule"),
    (["--smiles", "C", "--out", "{folder}/h.xlsx"], "expected a name that ends with .csv, .parquet, .json"),
    (["--smiles", "C", "--dose-um", "0", "--out", "{folder}/h.csv"], "a dose must be positive"),
])
def test_what_cannot_be_asked_is_one_line_and_status_1(small_road, tmp_path, words, message):
    (tmp_path / "table.csv").write_text("structures,id\nCCO,1\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "comments.smi").write_text("# nothing\n\n")
    before = sorted(tmp_path.iterdir())
    result = run(small_road / "bundle", *(word.format(folder=tmp_path) for word in words))
    assert result.exit_code == 1
    assert message in result.output
    assert result.output.startswith("error: ") and result.output.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("make", "message"), [
    (lambda road, folder: road / "nothing", "expected a bundle folder made by `dssl-bio index`, but .* does not exist"),
    (lambda road, folder: road / "run", "is a run folder"),
    (lambda road, folder: tampered(road, folder, "entries.parquet"), "entries.parquet was changed or damaged"),
    (lambda road, folder: tampered(road, folder, "run/model.safetensors"), "model.safetensors was changed or damaged"),
])
def test_what_is_no_whole_bundle_is_refused_and_nothing_is_written(small_road, tmp_path, make, message):
    import re

    bundle = make(small_road, tmp_path)
    result = run(bundle, "--smiles", "CCO", "--out", tmp_path / "out" / "h.csv")
    assert result.exit_code == 1
    assert re.search(message, result.output), result.output
    assert not list((tmp_path / "out").glob("*"))


def tampered(road, folder, name):
    """A copy of the bundle in which one byte of a file is another."""
    shutil.copytree(road / "bundle", folder / "bundle")
    content = bytearray((folder / "bundle" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "bundle" / name).write_bytes(content)
    return folder / "bundle"
