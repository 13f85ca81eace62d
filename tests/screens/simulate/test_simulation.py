import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from dssl_bio.errors import DsslBioError
from dssl_bio.imaging.read import Plane, read_site
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.simulate import simulation
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.mechanisms import INACTIVE, MECHANISMS
from dssl_bio.screens.simulate.molecules import draw_molecules
from dssl_bio.screens.simulate.plates import draw_wells
from dssl_bio.screens.simulate.render import render
from dssl_bio.vocabulary import CHANNELS

CONFIG = SimulationConfig(seed=4, n_molecules=32, site_px=32, sites_per_well=2)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "sim"
    simulation.simulate_screen(folder, CONFIG, n_workers=1)
    return folder


def _checksums(folder):
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_files_do_not_depend_on_the_number_of_processes(screen, tmp_path):
    simulation.simulate_screen(tmp_path / "again", CONFIG, n_workers=2)
    assert _checksums(tmp_path / "again") == _checksums(screen)


def test_another_seed_is_another_screen(screen, tmp_path):
    simulation.simulate_screen(tmp_path / "other", CONFIG.model_copy(update={"seed": 5}), n_workers=1)
    ours, theirs = _checksums(screen), _checksums(tmp_path / "other")
    images = [name for name in ours if name.startswith("images/")]
    assert not any(ours[name] == theirs.get(name) for name in images)


def test_ingest_reads_it_like_anybodys(screen, tmp_path):
    made = ingest(read_manifest(screen / "manifest.toml"), tmp_path / "screen")
    assert made.simulated and made.record["counts"]["rejected"] == 0
    assert len(made.molecules) == CONFIG.n_molecules
    assert made.images is not None and len(made.images.table) == len(pd.read_csv(screen / "sites.csv"))
    assert made.wells["Metadata_Plate"].str.startswith("SIM-0").all()


def test_pictures_match_their_rows(screen):
    sites = pd.read_csv(screen / "sites.csv")
    molecules = draw_molecules(CONFIG)
    wells = {(well.plate.name, well.name): well for well in draw_wells(CONFIG, molecules)}
    for _, row in sites.sample(8, random_state=0).iterrows():
        planes = [Plane(screen / "images" / row[f"FileName_{channel}"]) for channel in CHANNELS]
        well = wells[row["Metadata_Plate"], row["Metadata_Well"]]
        expected = render(well.site(CONFIG, row["Metadata_Site"] - 1), well.effect()).pixels
        np.testing.assert_array_equal(read_site(planes, CHANNELS), expected)


def test_the_truth_is_named_nowhere_outside_its_folder(screen):
    for name in ("manifest.toml", "sites.csv"):
        text = (screen / name).read_text()
        assert "truth" not in text and "Shared_" not in text and "Specific_" not in text


def test_true_masks_lie_under_the_stains_they_outline(screen):
    sites, masks = pd.read_csv(screen / "sites.csv"), pd.read_csv(screen / "truth" / "masks.csv")
    assert masks[["Metadata_Plate", "Metadata_Well", "Metadata_Site"]].equals(
        sites[["Metadata_Plate", "Metadata_Well", "Metadata_Site"]])
    inside, outside = [], []
    for number in range(12):
        nuclei, cells = (tifffile.imread(screen / "truth" / masks[column][number])
                         for column in ("FileName_NucleiMask", "FileName_CellsMask"))
        assert not (nuclei[nuclei > 0] != cells[nuclei > 0]).any()
        for channel, mask in (("DNA", nuclei), ("ER", cells)):
            picture = tifffile.imread(screen / "images" / sites[f"FileName_{channel}"][number]).astype(float)
            inside.append(picture[mask > 0].mean() if mask.any() else np.nan)
            outside.append(picture[mask == 0].mean() if (mask == 0).any() else np.nan)
    assert np.nanmean(np.array(inside) / np.array(outside)) > 2


def test_truth_has_a_row_for_every_well_and_molecule(screen):
    sites = pd.read_csv(screen / "sites.csv").drop_duplicates(["Metadata_Plate", "Metadata_Well"])
    wells = pd.read_parquet(screen / "truth" / "wells.parquet")
    molecules = pd.read_parquet(screen / "truth" / "molecules.parquet")
    pd.testing.assert_frame_equal(sites[["Metadata_Plate", "Metadata_Well"]].reset_index(drop=True).astype(object),
                                  wells[["Metadata_Plate", "Metadata_Well"]].astype(object), check_dtype=False)
    assert set(molecules["Metadata_SMILES"]) == set(sites["Metadata_SMILES"].dropna())
    assert (molecules["Shared_mechanism"] == INACTIVE).mean() >= 0.5
    assert set(molecules["Shared_mechanism"]) == {*MECHANISMS, INACTIVE}


def test_shared_truth_comes_of_the_molecule_and_specific_truth_does_not(screen):
    wells = pd.read_parquet(screen / "truth" / "wells.parquet")
    treated = wells[wells["Metadata_pert_type"] == "trt"]
    for column in ("Shared_mechanism", "Shared_strength", "Shared_cell_loss", "Shared_log10_ec50_um"):
        assert (treated.groupby(["molecule_id", "Metadata_Dose_um"])[column].nunique(dropna=False) == 1).all(), column
    assert (wells.loc[wells["Shared_mechanism"] == INACTIVE, ["Shared_strength", "Shared_cell_loss"]] == 0).all(None)
    swapped = draw_wells(CONFIG, draw_molecules(CONFIG)[::-1])
    original = draw_wells(CONFIG, draw_molecules(CONFIG))
    density = {(w.plate.name, w.name): w.cells_per_mm2 for w in original}
    assert {(w.plate.name, w.name): w.cells_per_mm2 for w in swapped} == density
    assert any(a.molecule != b.molecule for a, b in zip(original, swapped, strict=True))


def test_layout_scatters_molecules_and_puts_dmso_on_every_plate():
    config = SimulationConfig(seed=1, n_molecules=300)
    wells = draw_wells(config, draw_molecules(config))
    assert len({(well.plate.number, well.number) for well in wells}) == len(wells)
    for plate in {well.plate.number for well in wells}:
        on_plate = [well for well in wells if well.plate.number == plate]
        dmso = [well for well in on_plate if well.molecule is None]
        assert len(dmso) / len(on_plate) == pytest.approx(0.1, abs=0.02)
        assert len({well.row for well in dmso}) > 6 and len({well.column for well in dmso}) > 6
    places = {}
    for well in wells:
        if well.molecule is not None:
            places.setdefault((well.molecule.compound, well.dose_um), []).append(well)
    assert all(len(replicates) == 2 for replicates in places.values())
    assert all(len({well.plate.number for well in replicates}) == 2 for replicates in places.values())
    same = np.mean([len({well.number for well in replicates}) == 1 for replicates in places.values()])
    assert same < 0.03


def test_a_failed_run_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(simulation, "write_plane", full_disk)
    with pytest.raises(OSError, match="No space"):
        simulation.simulate_screen(tmp_path / "sim", CONFIG, n_workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_leaves_the_earlier_screen(screen, tmp_path, monkeypatch):
    simulation.simulate_screen(tmp_path / "sim", CONFIG, n_workers=1)
    monkeypatch.setattr(simulation, "table_of_sites", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        simulation.simulate_screen(tmp_path / "sim", CONFIG, n_workers=1)
    assert _checksums(tmp_path / "sim") == _checksums(screen)


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DsslBioError, match="not a simulated screen"):
        simulation.simulate_screen(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_too_small_a_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "disk_needed", lambda *_: 10**18)
    with pytest.raises(DsslBioError, match="needs about"):
        simulation.simulate_screen(tmp_path / "sim", CONFIG)
    assert not (tmp_path / "sim").exists()


def test_the_record_says_how_to_make_it_again(screen):
    record = json.loads((screen / "simulation.json").read_text())
    assert SimulationConfig(**record["config"]) == CONFIG and record["seed"] == 4
