import pandas as pd
import pytest

from dssl_bio.errors import ManifestError
from dssl_bio.screens.draft import draft
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.plan import described, plan_screen
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.simulation import simulate_screen
from tests.screens.small_screen import wells_table, write_sites


def drafted(tmp_path, path):
    out = tmp_path / "draft.toml"
    out.write_text(draft(path))
    return read_manifest(out, path if path.is_dir() else path.parent)


def test_a_draft_from_a_table_can_be_ingested(tmp_path):
    table = wells_table().rename(columns={"treatment": "Compound", "smiles": "SMILES", "dose": "Conc_nM"})
    table.assign(Cell_Count=100).to_csv(tmp_path / "my screen.csv", index=False)
    file = drafted(tmp_path, tmp_path / "my screen.csv")
    manifest = file.manifest
    assert manifest.name == "my_screen"
    assert manifest.columns["Metadata_SMILES"] == "SMILES"
    assert manifest.dose.unit == "nM"
    assert manifest.controls.where == 'Metadata_Compound == "DMSO"'
    assert manifest.profiles["profile"].features == ["Cells_*"]
    screen = ingest(file, tmp_path / "screen")
    assert len(screen.wells) == 16
    assert screen.record["counts"]["controls"] == 8


def test_a_draft_from_a_folder_of_images_can_be_ingested(tmp_path):
    _, table = write_sites(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "images").rename(folder / "images")
    names = {channel.lower(): f"FileName_Orig{channel}" for channel in ("DNA", "ER", "RNA", "AGP", "Mito")}
    table = table.rename(columns=names).drop(columns="plate")
    for column in names.values():
        table[column] = "images/" + table[column]
    table.to_csv(folder / "load_data.csv", index=False)
    file = drafted(tmp_path, folder)
    assert file.manifest.images.channels["Mito"] == "FileName_OrigMito"
    assert file.manifest.constants == {"Metadata_Plate": "plate_1"}
    assert "a guess" in file.text
    assert ingest(file, tmp_path / "screen").images.sites.shape[0] == 8


def test_says_when_there_is_nothing_to_draft_from(tmp_path):
    with pytest.raises(ManifestError, match="holds no table"):
        draft(tmp_path)
    pd.DataFrame({"a": ["x"]}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ManifestError, match="none with at least 5 columns of numbers; found a.csv"):
        draft(tmp_path)
    with pytest.raises(ManifestError, match="no such file"):
        draft(tmp_path / "gone")


def test_a_draft_of_a_simulated_folder_finds_controls_and_doses_and_leaves_the_truth_alone(tmp_path):
    folder = tmp_path / "sim"
    simulate_screen(folder, SimulationConfig(n_molecules=32, site_px=32, n_replicates=1), n_workers=1)
    (folder / "manifest.toml").unlink()
    file = drafted(tmp_path, folder)
    manifest = file.manifest
    assert "truth" not in file.text
    assert manifest.profiles == {}
    assert manifest.controls.where == 'Metadata_pert_type == "negcon"'
    assert (manifest.dose.column, manifest.dose.unit) == ("Metadata_Dose_um", "uM")
    assert manifest.images.folder == "images"
    assert described(plan_screen(file))
    screen = ingest(file, tmp_path / "screen")
    sites = pd.read_csv(folder / "sites.csv")
    assert screen.record["counts"]["controls"] == (sites["Metadata_pert_type"] == "negcon").sum()
    assert screen.record["counts"]["rejected"] == 0


def test_a_folder_called_truth_without_a_simulation_is_a_folder_like_any(tmp_path):
    (tmp_path / "truth").mkdir()
    wells_table().to_csv(tmp_path / "truth" / "wells.csv", index=False)
    assert 'table = "truth/wells.csv"' in draft(tmp_path)


def test_key_controls_and_doses_come_from_the_table_of_wells_and_a_table_without_the_key_is_left_out(tmp_path):
    table = wells_table().rename(columns={"treatment": "Compound"})
    table.to_csv(tmp_path / "wells.csv", index=False)
    numbers = table[[name for name in table if name.startswith("Cells_")]]
    numbers.assign(Compound=table["Compound"], dose=1.0).to_csv(tmp_path / "consensus.csv", index=False)
    file = drafted(tmp_path, tmp_path)
    assert [profile.table for profile in file.manifest.profiles.values()] == ["wells.csv"]
    assert "# Not used: consensus.csv" in file.text
    assert file.manifest.key == ["Metadata_Plate", "Metadata_Well"]
    assert ingest(file, tmp_path / "screen").record["counts"]["controls"] == 8
