import numpy as np
import pandas as pd
import pytest

from dssl_bio.imaging.read import Plane, read_site
from dssl_bio.screens.simulate import simulation
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.counterfactuals import draw_counterfactuals
from dssl_bio.screens.simulate.molecules import draw_molecules
from dssl_bio.screens.simulate.plates import draw_wells
from dssl_bio.vocabulary import CHANNELS

CONFIG = SimulationConfig(seed=3, n_molecules=32, site_px=64, n_counterfactuals=40)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counterfactuals") / "sim"
    simulation.simulate_screen(folder, CONFIG, n_workers=1)
    table = pd.read_parquet(folder / "truth" / "counterfactuals.parquet")
    return folder, table, np.load(folder / "truth" / "counterfactuals.npy", mmap_mode="r")


def measured(folder, row):
    sites = pd.read_csv(folder / "sites.csv")
    site = sites[(sites["Metadata_Plate"] == row["Metadata_Plate"]) & (sites["Metadata_Well"] == row["Metadata_Well"])]
    planes = [Plane(folder / "images" / site.iloc[0][f"FileName_{channel}"]) for channel in CHANNELS]
    return read_site(planes, CHANNELS)


def test_a_pair_without_effect_on_either_side_is_the_well_itself(truth):
    folder, table, pixels = truth
    none = (table["own_strength"] == 0) & (table["strength"] == 0)
    assert none.sum() >= 2 and (~none).sum() >= 10
    for number in np.flatnonzero(none):
        assert np.array_equal(pixels[number], measured(folder, table.iloc[number]))


def test_a_molecule_changes_an_untreated_well_and_adds_no_cell(truth):
    folder, table, pixels = truth
    seen = pd.read_parquet(folder / "truth" / "wells.parquet").set_index(["Metadata_Plate", "Metadata_Well"])["n_cells"]
    changed = np.flatnonzero((table["own_strength"] == 0) & (table["strength"] > 0.5))
    assert len(changed)
    for number in changed:
        row = table.iloc[number]
        assert not np.array_equal(pixels[number], measured(folder, row))
        assert row["n_cells"] <= seen[(row["Metadata_Plate"], row["Metadata_Well"])]


def test_no_well_gets_its_own_molecule_and_fewer_pairs_are_the_first_of_more(truth):
    _, table, _ = truth
    assert (table["own_molecule_id"] != table["molecule_id"]).all()
    molecules = draw_molecules(CONFIG)
    wells = draw_wells(CONFIG, molecules)
    few, many = (draw_counterfactuals(CONFIG, molecules, wells, n) for n in (5, 50))
    assert [(p.well.name, p.molecule, p.dose_um) for p in few] == \
        [(p.well.name, p.molecule, p.dose_um) for p in many[:5]]
    assert [pair.molecule.inchikey[:14] for pair in few] == table["molecule_id"][:5].tolist()
