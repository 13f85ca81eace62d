import json

import pandas as pd
import typer
from typer.testing import CliRunner

from pipelines.ingest import ingest
from pipelines.manifest import app as manifest_app
from tests.screens.small_screen import wells_table, write_profiles

app = typer.Typer()
app.command("ingest")(ingest)
app.add_typer(manifest_app, name="manifest")


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_says_what_became_of_the_rows(tmp_path):
    path = write_profiles(tmp_path, wells_table())
    result = run("ingest", path, "--out", tmp_path / "screen")
    assert result.exit_code == 0
    assert "16 wells on 1 plate, 8 negative controls, 4 molecules, 0 treated wells without molecule" in result.output
    assert "MB will be written" in result.output


def test_exit_status_2_when_rows_were_rejected_and_why(tmp_path):
    table = wells_table()
    table.loc[1, "dose"] = None
    table.loc[3, "smiles"] = "x"
    result = run("ingest", write_profiles(tmp_path, table), "--out", tmp_path / "screen")
    assert result.exit_code == 2
    assert "rejected: 1 x dose is missing or not a number" in result.output
    assert "without molecule: 1 x" in result.output
    assert "row by row in rejected.parquet and unjoined.parquet" in result.output


def test_exit_status_1_and_one_line_for_what_the_user_can_mend(tmp_path):
    path = write_profiles(tmp_path, wells_table())
    path.write_text(path.read_text().replace("[dose]", "[doze]"))
    result = run("ingest", path, "--out", tmp_path / "screen")
    assert result.exit_code == 1
    assert "unknown key 'doze'; did you mean 'dose'" in result.output
    assert "Traceback" not in result.output


def test_exit_status_130_when_interrupted(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dssl_bio.screens.ingest.read_block", stop)
    result = run("ingest", write_profiles(tmp_path, wells_table()), "--out", tmp_path / "screen")
    assert result.exit_code == 130
    assert not (tmp_path / "screen").exists()


def test_quiet_prints_nothing(tmp_path):
    result = run("ingest", write_profiles(tmp_path, wells_table()), "--out", tmp_path / "screen", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_draft_check_and_ingest_in_a_row(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    wells_table().to_csv(data / "wells.csv", index=False)
    assert run("manifest", "init", data, "--out", tmp_path / "m.toml").exit_code == 0
    assert "exists" in run("manifest", "init", data, "--out", tmp_path / "m.toml").output
    checked = run("manifest", "check", tmp_path / "m.toml", "--data-root", data)
    assert checked.exit_code == 0
    assert "6 features" in checked.output
    # The draft cannot know the unit of `dose`, and DMSO rows have none: they are named as controls by hand
    text = (tmp_path / "m.toml").read_text().replace("# [controls]", "[controls]") + "\n"
    text = text.replace("# where = 'Metadata_Compound == \"DMSO\"'", "where = 'treatment == \"DMSO\"'")
    (tmp_path / "m.toml").write_text(text)
    done = run("ingest", tmp_path / "m.toml", "--data-root", data, "--out", tmp_path / "screen")
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "screen" / "screen.json").read_text())
    assert record["counts"]["controls"] == 8


def test_structures_from_the_command_line(tmp_path):
    path = write_profiles(tmp_path, wells_table().assign(name="aspirin").drop(columns="smiles"))
    text = path.read_text().replace('Metadata_SMILES = "smiles"\n', "")
    path.write_text(text + '[molecules]\non = { left = "name", right = "drug" }\n')
    without = run("ingest", path, "--out", tmp_path / "screen")
    assert "Give one with --molecules FILE" in without.output
    pd.DataFrame({"drug": ["aspirin"], "smiles": ["CC(=O)Oc1ccccc1C(=O)O"]}).to_csv(tmp_path / "d.csv", index=False)
    result = run("ingest", path, "--out", tmp_path / "screen", "--molecules", tmp_path / "d.csv")
    assert "1 molecules, 0 treated wells without molecule" in result.output
