"""Crops around nuclei as a folder: the pixels that training sees, shared by processes, refused when damaged."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from dssl_bio.pipelines.main import app
from typer.testing import CliRunner

from dssl_bio.errors import ScreenError
from dssl_bio.imaging.crops import corners_at
from dssl_bio.learning.config import ImageConfig
from dssl_bio.learning.phenotypes import phenotypes_of
from dssl_bio.screens.crop_store import CropPlan, CropStore, write_crops
from dssl_bio.screens.masks import open_layer
from dssl_bio.screens.screen import FLAGGED
from tests.screens.plates_with_nuclei import screen_with_nuclei


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return screen_with_nuclei(tmp_path_factory.mktemp("nuclei"))


@pytest.fixture(scope="module")
def store(screen, tmp_path_factory):
    place = tmp_path_factory.mktemp("crops") / "crops"
    return write_crops(screen, open_layer(screen, "classical"), place, CropPlan(size_um=32, per_well=2, seed=3))


def test_crops_are_the_stored_pixels_around_their_nuclei(screen, store):
    table = store.table
    assert len(table) == len(store) == 2 * sum(site % 5 != 0 for site in range(64))
    assert table.groupby("row_key").size().max() == 2 and store.pixel_size_um == 1.0
    for number in (0, 1, 40, len(store) - 1):
        row = table.iloc[number]
        (top, left), = corners_at(np.array([[row["y_um"], row["x_um"]]]), 32, (64, 64))
        window = screen.images.sites[int(row["site"])][:, top:top + 32, left:left + 32]
        assert np.array_equal(store.raw(np.array([number]))[0], window)
    owner = screen.wells["row_key"].to_numpy()[screen.images.table["row"].to_numpy()[table["site"]]]
    assert (table["row_key"] == owner).all() and set(table["Metadata_Plate"]) == {"P1", "P2"}
    assert store.record["wells_without_nuclei"] == sum(site % 5 == 0 for site in range(64))


def test_they_are_the_tiles_that_training_draws(screen, store):
    image = ImageConfig(tile_px=32, tiles="nuclei", nuclei_per_well=2)
    phenotypes = phenotypes_of(screen, "images", image=image, seed=3)
    rows = sorted(phenotypes.nuclei.of_well)
    tiles = np.concatenate([phenotypes.around(phenotypes.nuclei.of_well[row]) for row in rows])
    np.testing.assert_array_equal(store[np.arange(len(store))], tiles)


def test_crops_have_the_size_and_pixel_size_that_are_asked_for(screen, store, tmp_path):
    small = write_crops(screen, open_layer(screen, "classical"), tmp_path / "crops",
                        CropPlan(size_um=32, pixel_size_um=2.0, per_well=2, seed=3))
    found = small.raw(np.arange(4)).astype(float)
    assert found.shape == (4, 5, 16, 16) and small.pixel_size_um == 2.0
    blocks = store.raw(np.arange(4)).reshape(4, 5, 16, 2, 16, 2).mean((3, 5))
    inner = np.s_[:, :, 3:-3, 3:-3]
    assert np.corrcoef(found[inner].ravel(), blocks[inner].ravel())[0, 1] > 0.97
    with pytest.raises(ScreenError, match="crops of 1 um are 1 pixels"):
        write_crops(screen, open_layer(screen, "classical"), tmp_path / "none", CropPlan(size_um=1))


def test_flagged_sites_give_none_unless_they_are_asked_for(screen, tmp_path):
    table = screen.images.table.assign(**{FLAGGED: np.arange(64) == 1})
    flagged = replace(screen, images=replace(screen.images, table=table))
    said = []
    layer = open_layer(screen, "classical")
    kept = write_crops(flagged, layer, tmp_path / "kept", CropPlan(size_um=20), said.append)
    assert 1 not in set(kept.table["site"]) and "1 sites are flagged by quality control and left out" in said[0]
    assert 1 in set(write_crops(flagged, layer, tmp_path / "all", CropPlan(size_um=20, flagged=True)).table["site"])


WORKER = """
import pickle, sys
store = pickle.loads(sys.stdin.buffer.read())
print(int(store.raw([0, 5]).astype("int64").sum()))
"""


def test_another_process_maps_the_file_in_place_of_a_copy(store):
    sent = pickle.dumps(store)
    assert len(sent) < 1_000 < store.raw(np.arange(len(store))).nbytes
    done = subprocess.run([sys.executable, "-c", WORKER], input=sent, capture_output=True, check=True)
    assert int(done.stdout) == int(store.raw(np.array([0, 5])).astype(np.int64).sum())


def test_the_command_writes_the_same_and_a_damaged_folder_is_refused(screen, store, tmp_path):
    out = tmp_path / "crops"
    done = CliRunner().invoke(app, ["images", "crops", str(screen.folder), "--out", str(out), "--size-um", "32",
                                    "--per-well", "2", "--seed", "3"])
    assert done.exit_code == 0, done.output
    assert "crops in" in done.output and "wells have no nucleus and none" in done.output
    again = CropStore(out)
    assert again.record["files"] == store.record["files"]
    (out / "sites.u16").write_bytes(b"short")
    with pytest.raises(ScreenError, match="cannot be read"):
        CropStore(out)
