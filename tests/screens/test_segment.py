import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

from dssl_bio.errors import ConfigError, ScreenError
from dssl_bio.imaging.cellpose_weights import load_weights
from dssl_bio.imaging.classical import ClassicalSettings
from dssl_bio.imaging.segmentation import settings_for
from dssl_bio.screens import segment as segmentation
from dssl_bio.screens.cell_block import CELLS, MEASURED, add_cell_block
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.masks import layer_folder, layers_of, open_layer
from dssl_bio.screens.montage import rows_named, write_montage
from dssl_bio.screens.overlays import write_overlays
from dssl_bio.screens.screen import Screen
from dssl_bio.screens.segment import GivenMasks, scores_against, segment_screen, take_given_masks
from dssl_bio.screens.segment_training import sites_where
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.simulation import simulate_screen
from dssl_bio.vocabulary import CELL_COUNT
from pipelines.main import app
from tests.screens.small_screen import PROFILE_MANIFEST, ingested, wells_table, write_profiles

CONFIG = SimulationConfig(seed=3, n_molecules=32, n_replicates=2, n_batches=1, doses_um=(10.0,), site_px=96)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    simulate_screen(folder / "sim", CONFIG, n_workers=1)
    return folder


@pytest.fixture(scope="module")
def screen(simulated):
    made = ingest(read_manifest(simulated / "sim" / "manifest.toml"), simulated / "screen")
    truth = simulated / "sim" / "truth"
    take_given_masks(made, GivenMasks(truth / "masks.csv", truth, cells="FileName_CellsMask"))
    segment_screen(made, settings_for("classical"), "classical")
    return made


def test_given_masks_are_those_of_the_files(screen, simulated):
    truth = simulated / "sim" / "truth"
    table, layer = pd.read_csv(truth / "masks.csv"), open_layer(screen, "given")
    assert layer.sites == list(range(len(table))) and layer.has_cells
    owners = screen.wells.iloc[screen.images.table["row"]]
    for site in (0, 7, len(table) - 1):
        row = table[(table["Metadata_Plate"] == owners["Metadata_Plate"].iloc[site])
                    & (table["Metadata_Well"] == owners["Metadata_Well"].iloc[site])].iloc[0]
        nuclei = tifffile.imread(truth / row["FileName_NucleiMask"])
        assert ((layer.read(site).nuclei > 0) == (nuclei > 0)).all()


def test_masks_agree_with_the_truth_and_counts_fill_the_wells(screen):
    classical, given = open_layer(screen, "classical"), open_layer(screen, "given")
    assert scores_against(classical, given, "nuclei", classical.sites)[0.5].f1 > 0.9
    assert scores_against(classical, given, "cells", classical.sites)[0.5].f1 > 0.85
    counts = Screen.open(screen.folder).wells[CELL_COUNT].to_numpy()
    assert counts.sum() == len(classical.objects())
    first = classical.objects().query("site == 0")
    row = screen.images.table["row"][0]
    assert counts[row] == len(first)
    area = (classical.read(0).nuclei == first["object"].iloc[0]).sum() * screen.images.pixel_size_um**2
    assert first["nucleus_area_um2"].iloc[0] == pytest.approx(area)


def test_a_layer_leaves_the_identity_of_the_screen_alone(screen):
    assert Screen.open(screen.folder, check=True).id == screen.id


def test_a_stopped_call_is_resumed_by_plates(simulated, tmp_path, monkeypatch):
    made = ingest(read_manifest(simulated / "sim" / "manifest.toml"), tmp_path / "screen")
    real, calls = segmentation._segment_plate, []

    def stops_at_the_second(job, out):
        calls.append(job.plate)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(job, out)

    monkeypatch.setattr(segmentation, "_segment_plate", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        segment_screen(made, settings_for("classical"), "classical")
    assert layers_of(made) == [] and CELL_COUNT not in Screen.open(made.folder).wells
    told = []
    segment_screen(made, settings_for("classical"), "classical", report=told.append)
    assert calls == ["SIM-00001", "SIM-00002", "SIM-00002"] and "1 of 2 plates were done before" in told[0]
    assert layers_of(made) == ["classical"]


def test_single_plates_are_added_to_a_layer_and_others_keep_their_counts(screen):
    before = Screen.open(screen.folder).wells[CELL_COUNT].to_numpy()
    coarse = settings_for("classical").model_copy(update={"classical": ClassicalSettings(split_um=2.0)})
    second = screen.images.table.index[screen.images.table["Metadata_Plate"] == "SIM-00002"].tolist()
    layer = segment_screen(screen, coarse, "coarse", plates=["SIM-00002"])
    assert layer.sites == second
    counts, on_plate = Screen.open(screen.folder).wells[CELL_COUNT].to_numpy(), np.zeros(len(before), bool)
    on_plate[screen.images.table["row"].iloc[second]] = True
    assert counts[on_plate].sum() == len(layer.objects()) and (counts[~on_plate] == before[~on_plate]).all()
    everything = list(range(len(screen.images.table)))
    assert segment_screen(screen, coarse, "coarse", plates=["SIM-00001"]).sites == everything
    assert segment_screen(screen, settings_for("classical"), "coarse", plates=["SIM-00001"]).sites == [
        site for site in everything if site not in second], "masks of other settings are not mixed"
    with pytest.raises(ScreenError, match="no plate 'P9' in screen sim; there are SIM-00001, SIM-00002"):
        segment_screen(screen, coarse, "coarse", plates=["P9"])
    segment_screen(screen, settings_for("classical"), "classical")
    assert (Screen.open(screen.folder).wells[CELL_COUNT].to_numpy() == before).all()


def test_counts_that_were_given_are_kept(tmp_path):
    """A profile screen whose table counts cells keeps its counts, whatever a segmentation counted."""
    table = wells_table().assign(count=np.where(np.arange(16) % 2, 40.0, np.nan))
    text = PROFILE_MANIFEST.replace('Metadata_Well = "well"', 'Metadata_Well = "well"\nMetadata_CellCount = "count"')
    made = ingested(write_profiles(tmp_path, table, text))
    (made.folder / "images").mkdir()
    counted = pd.DataFrame({"row_key": made.wells["row_key"], CELL_COUNT: 7.0})
    counted.to_parquet(made.folder / "images" / "cell_counts.parquet")
    counts = Screen.open(made.folder).wells[CELL_COUNT].to_numpy()
    given = made.wells[CELL_COUNT].to_numpy(float)
    assert (counts[np.isfinite(given)] == 40).all() and (counts[~np.isfinite(given)] == 7).all()
    with pytest.raises(ScreenError, match="has no images to segment"):
        segment_screen(made, settings_for("classical"), "classical")


def test_features_become_a_block_that_training_reads(tmp_path):
    simulate_screen(tmp_path / "sim", CONFIG.model_copy(update={"n_replicates": 1, "seed": 4}), n_workers=1)
    made = ingest(read_manifest(tmp_path / "sim" / "manifest.toml"), tmp_path / "screen")
    layer = segment_screen(made, settings_for("classical"), "classical")
    block = add_cell_block(made, layer)
    opened = Screen.open(made.folder, check=True)
    profiles = opened.profiles["cell_features"]
    assert profiles.values.shape == (block.n_wells, block.n_features) and np.isfinite(profiles.values).all()
    assert {"Cells_AreaShape_Area", "Nuclei_Intensity_MeanIntensity_DNA"} <= set(profiles.features)
    # one well by hand: the median of its cells, normalised against its plate's controls
    column = profiles.features.index("Nuclei_AreaShape_Area")
    objects = layer.objects()
    objects["row"] = opened.images.table["row"].to_numpy()[objects["site"]]
    area = objects.groupby("row")["nucleus_area_um2"].median()
    plate = opened.wells["Metadata_Plate"].iloc[profiles.rows[0]]
    on_plate = (opened.wells["Metadata_Plate"] == plate) & (opened.wells["Metadata_pert_type"] == "negcon")
    control = area.reindex(np.flatnonzero(on_plate)).dropna()
    deviation = 1.4826 * np.median(np.abs(control - control.median()))
    expected = np.clip((area[profiles.rows[0]] - control.median()) / deviation, -10, 10)
    assert profiles.values[0, column] == pytest.approx(expected, rel=1e-4)
    cells = pd.concat(pd.read_parquet(path) for path in (layer.folder / MEASURED).glob(f"*/{CELLS}"))
    assert len(cells) == block.n_cells == len(layer.objects())
    again = add_cell_block(opened, open_layer(opened, "classical"))
    assert again == block and Screen.open(made.folder, check=True).record["profiles"] == ["cell_features"]


@pytest.mark.slow
def test_networks_trained_by_the_command_find_nuclei_and_cells_of_one_plate(screen, tmp_path):
    pytest.importorskip("cellpose", reason="the extra cellpose is not installed")
    few = ["--set", "steps=2", "--set", "minibatch=2", "--set", "crop_px=64", "--set", "widths=[8,16]"]
    weights = {target: str(tmp_path / target) for target in ("nuclei", "cells")}
    for target, path in weights.items():
        done = CliRunner().invoke(app, ["segment", str(screen.folder), "--train", path, "--target", target, "--where",
                                        'Metadata_Plate == "SIM-00001"', *few])
        assert done.exit_code == 0 and f"{target} of " in done.stderr + done.stdout, done.output
        assert load_weights(Path(path)).target == target
    done = CliRunner().invoke(app, ["segment", str(screen.folder), "--engine", "cellpose", "--name", "networks",
                                    "--weights", weights["nuclei"], "--cell-weights", weights["cells"],
                                    "--plate", "SIM-00002", "--score"])
    assert done.exit_code == 0 and "nuclei against given" in done.output and "cells against given" in done.output
    layer = open_layer(screen, "networks")
    assert layer.has_cells and set(screen.images.table["Metadata_Plate"].iloc[layer.sites]) == {"SIM-00002"}
    segment_screen(screen, settings_for("classical"), "classical")


def test_overlays_and_montages_are_pictures(screen, tmp_path):
    layer = open_layer(screen, "classical")
    paths = write_overlays(screen, layer, tmp_path / "overlays", [0, 1])
    assert len(set(paths)) == 2 and all(path.read_bytes()[:4] == b"\x89PNG" for path in paths)
    treated = screen.wells.index[screen.wells["Metadata_pert_type"] == "trt"][0]
    key = screen.wells["row_key"][treated]
    assert write_montage(screen, [key], tmp_path / "page.png") == 2  # the well, and a control of its plate
    assert write_montage(screen, [key], tmp_path / "page.png", masks="given") == 2
    with pytest.raises(ScreenError, match="no well 'Z99'"):
        rows_named(screen, ["Z99"])


@pytest.mark.parametrize("words, message", [
    (["--engine", "classical", "--weights", "w"], "reads no weights"),
    (["--engine", "cellpose"], "needs --weights"),
    (["--engine", "otsu"], "no engine 'otsu'"),
    (["--set", "classical.split=1"], "unknown key 'classical.split'"),
    (["--train", "w", "--masks", "none"], "has no masks 'none'"),
    (["--train", "w", "--target", "mitochondria"], "nuclei or cells"),
    (["--score", "--masks", "none"], "has no masks 'none'"),
    (["--given-masks", "nowhere.csv"], "no such table"),
])
def test_what_a_user_gets_wrong_is_one_line(screen, words, message):
    done = CliRunner().invoke(app, ["segment", str(screen.folder), *words])
    assert done.exit_code == 1 and message in done.stderr and "Traceback" not in done.output


def test_mask_files_that_do_not_fit_are_named(screen, simulated, tmp_path):
    truth = simulated / "sim" / "truth"
    table = pd.read_csv(truth / "masks.csv")
    table.iloc[1:].to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(ScreenError, match="no masks for 1 of .* sites; the first is plate SIM-0000"):
        take_given_masks(screen, GivenMasks(tmp_path / "short.csv", truth), "other")
    table.to_csv(tmp_path / "masks.csv", index=False)
    with pytest.raises(ScreenError, match="2 of 2 plates failed.*no such file"):
        take_given_masks(screen, GivenMasks(tmp_path / "masks.csv", tmp_path), "other")
    assert "other" not in layers_of(screen)


def test_a_damaged_layer_and_a_wrong_filter_are_said(screen):
    with pytest.raises(ConfigError, match="Metadata_Plat"):
        sites_where(screen, open_layer(screen, "classical"), 'Metadata_Plat == "x"')
    with pytest.raises(ScreenError, match="have no site where"):
        sites_where(screen, open_layer(screen, "classical"), 'Metadata_Plate == "x"')
    path = layer_folder(screen, "classical") / "layer.json"
    text = path.read_text()
    try:
        path.write_text(json.dumps({**json.loads(text), "images": "of another screen"}))
        with pytest.raises(ScreenError, match="made of other images"):
            open_layer(screen, "classical")
        path.write_text(text[:50])
        with pytest.raises(ScreenError, match="damaged"):
            open_layer(screen, "classical")
    finally:
        path.write_text(text)


def test_a_manifest_without_masks_gives_none(screen, simulated):
    done = CliRunner().invoke(app, ["segment", str(screen.folder), "--given-masks",
                                    str(simulated / "sim" / "manifest.toml")])
    assert done.exit_code == 1 and "has no [masks]" in done.stderr
