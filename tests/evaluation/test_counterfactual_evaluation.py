"""A small simulated screen from pictures to the page; and baselines against loops."""

import json

import numpy as np
import pandas as pd
import pytest

from dssl_bio.errors import EvaluationError
from dssl_bio.evaluation.counterfactual import CHANGED, SAME, evaluate_counterfactuals
from dssl_bio.evaluation.counterfactual_intervention import verdicts
from dssl_bio.evaluation.counterfactual_methods import OURS, UNCHANGED, reference
from dssl_bio.evaluation.counterfactual_truth import true_pairs, true_pictures
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.decoders.config import DecoderConfig
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.learning.decoders.fit import add_decoder
from dssl_bio.learning.fit import train
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.build import build_bundle
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.screen import Screen
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.simulation import simulate_screen

SIMULATION = SimulationConfig(seed=1, n_molecules=36, site_px=32, n_counterfactuals=150, doses_um=(10.0,))


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counterfactual_road")
    manifest = simulate_screen(folder / "sim", SIMULATION, n_workers=1)
    screen = ingest(read_manifest(manifest), folder / "screen")
    step = {"epochs": 1, "batch_size": 64}
    config = TrainConfig.model_validate({
        "molecule_encoder": "kernel", "shared_dim": 8, "specific_dim": 4, "hidden": 16, "step_1": step, "step_2": step,
        "image": {"tile_px": 32, "width": 8, "blocks": 1}})
    train(screen, config, folder / "run", report=lambda line: None)
    build_bundle(Run.open(folder / "run"), screen, folder / "bundle", report=lambda line: None)
    add_decoder(Run.open(folder / "run"), screen, folder / "bundle", DecoderConfig.model_validate(
        {"profile": {"steps": 40, "hidden": 16},
         "image": {"px": 16, "shrink": 2, "width": 8, "steps": 2, "batch_size": 8, "ode_steps": 1}}),
        report=lambda line: None)
    return folder


def test_everything_is_measured_and_where_nothing_changes_the_unchanged_well_has_no_error(road, tmp_path):
    lines = evaluate_counterfactuals(road / "bundle", Screen.open(road / "screen"), tmp_path / "out",
                                     truth=road / "sim" / "truth", report=lambda line: None)
    assert any(line.startswith("pictures") for line in lines)
    record = json.loads((tmp_path / "out" / "counterfactuals.json").read_text())
    assert record["facts"]["pairs"]["held_out"] > record["facts"]["pairs"]["changed"] > 0
    table = pd.read_csv(tmp_path / "out" / "errors_features.csv").set_index(["subset", "method"])
    assert 3 * table.loc[(SAME, UNCHANGED), "error"] < table.loc[(CHANGED, UNCHANGED), "error"]
    held_out = pd.read_csv(tmp_path / "out" / "held_out.csv").set_index("method")
    assert held_out.loc["mean of the plate or run", "r2"] == 0
    assert held_out.loc["mean of the plate or run", "r2_gain"] == pytest.approx(held_out.loc[OURS, "r2"])
    assert {"seeding density", "plate"} <= set(pd.read_csv(tmp_path / "out" / "intervention_pictures.csv")
                                                            ["factor"])
    assert "SIMULATED" in (tmp_path / "out" / "counterfactuals.html").read_text().upper()


def test_a_true_picture_is_scaled_and_cut_as_the_well_itself(road):
    bundle = Bundle.open(road / "bundle")
    decoder, screen = Decoder.open(road / "bundle", bundle.run.id), Screen.open(road / "screen")
    pairs, table, numbers = true_pairs(road / "sim" / "truth", bundle.run, decoder)
    none = np.flatnonzero((table["own_strength"] == 0) & (table["strength"] == 0))
    found = true_pictures(road / "sim" / "truth", numbers, pairs, bundle.run, screen, decoder)
    assert len(none)
    assert found[none] == pytest.approx(decoder.own_pictures(pairs.rows[none]), abs=0.004)


def test_a_control_is_no_part_of_its_own_reference(road):
    bundle = Bundle.open(road / "bundle")
    material = Decoder.open(road / "bundle", bundle.run.id).material
    found = reference(material)
    wells = material.wells
    for row in (0, 5, int(np.flatnonzero(wells["Metadata_pert_type"] == "negcon")[0])):
        same = (wells["Metadata_Plate"] == wells["Metadata_Plate"].iloc[row]) \
            & (wells["Metadata_pert_type"] == "negcon") & (np.arange(len(wells)) != row)
        assert found[row] == pytest.approx(np.asarray(material.features)[same.to_numpy()].mean(0), rel=1e-4, abs=1e-6)


def test_a_mechanism_must_stay_when_the_specific_part_is_exchanged_and_a_plate_when_the_shared_is():
    table = pd.DataFrame({"factor": ["mechanism", "plate", "seeding density", "row"], "reads": [0.9, 0.8, 0.5, 0.0],
                          "chance": [0.1, 0.1, 0, 0], "well": [0.8, 0.5, 1.0, 0.1], "shared": [0.7, 0.2, 0.4, 0.0],
                          "specific": [0.1, 0.4, 0.1, 0.0], "truth": [0.7, 0.1, 0.5, 0.0]})
    found = verdicts(table)
    assert [one["verdict"] for one in found.values()] == ["stays", "does not stay", "moves no more than in the truth",
                                                          "not readable"]
    assert found["mechanism"]["move"] == 0.1 and found["plate"]["move"] == 0.2


def test_truth_belongs_to_the_screen_of_the_decoder(road, tmp_path):
    with pytest.raises(EvaluationError, match="holds no counterfactuals.parquet"):
        evaluate_counterfactuals(road / "bundle", Screen.open(road / "screen"), tmp_path / "out", truth=tmp_path)
