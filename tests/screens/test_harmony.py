import sys
import types

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from dssl_bio.errors import ScreenError
from dssl_bio.evaluation.batch_effects import block_effects
from dssl_bio.screens.harmony import add_harmony_block, harmonised
from dssl_bio.screens.screen import Screen
from pipelines.main import app
from tests.evaluation.profile_screen import amides, amides_table


@pytest.fixture
def screen(tmp_path):
    """Each run is a plate with an offset of its own; every molecule is on both."""
    table = amides_table()
    features = [name for name in table if name.startswith("Cells_")]
    shift = np.random.default_rng(5).normal(size=len(features))
    table.loc[table["run"] == 2, features] += shift
    table["plate"] = "P" + table["run"].astype(str)
    return amides(tmp_path / "amides", table)


def centred_by_batch(data, meta, _, **options):
    """Stands in for the library: subtracts each batch's mean; remembers what it was given."""
    found = data - np.stack([data[:, (meta["batch"] == name).to_numpy()].mean(1) for name in meta["batch"]], axis=1)
    return types.SimpleNamespace(Z_corr=found.T, options=options)


@pytest.fixture
def stand_in(monkeypatch):
    module = types.ModuleType("harmonypy")
    module.run_harmony = centred_by_batch
    monkeypatch.setitem(sys.modules, "harmonypy", module)


def test_what_the_library_returns_is_mapped_back_to_the_features(stand_in):
    rng = np.random.default_rng(0)
    x, batch = rng.normal(size=(90, 12)) * rng.uniform(1, 9, 12), np.repeat(["a", "b", "c"], 30).astype(object)
    expected = (x - x.mean(0)) / x.std(0)
    expected -= np.repeat(expected.reshape(3, 30, 12).mean(1), 30, axis=0)
    assert np.allclose(harmonised(x, batch), expected, atol=1e-5)  # all components kept: centring by batch itself
    assert np.linalg.matrix_rank(harmonised(x, batch, 5).astype(float), tol=1e-3) == 5


def test_the_block_is_a_modality_with_names_of_its_own_and_can_be_made_again(screen, stand_in):
    block = add_harmony_block(screen, "cell_painting", "Metadata_Plate")
    opened = Screen.open(screen.folder, check=True)
    made, source = opened.profiles["harmony"], opened.profiles["cell_painting"]
    assert made.features == ["Harmony_" + name for name in source.features] and block.n_wells == len(made.rows) == 160
    expected = harmonised(np.asarray(source.values), opened.wells["Metadata_Plate"].iloc[source.rows].to_numpy(object))
    assert np.allclose(made.values, expected)
    assert opened.record["corrected_blocks"]["harmony"]["of"] == "cell_painting"
    add_harmony_block(opened, "cell_painting", "Metadata_Plate", n_components=3)
    assert Screen.open(screen.folder, check=True).record["profiles"] == ["cell_painting", "harmony"]


def test_wells_without_a_batch_are_left_out_and_bad_questions_answered(screen, stand_in, monkeypatch):
    screen.wells.loc[screen.wells.index[:5], "Metadata_Plate"] = None
    assert add_harmony_block(screen, "cell_painting", "Metadata_Plate").n_left_out == 5
    for words, message in ((("cell_painting", "Plate"), "no column 'Plate'"),
                           (("rna", "Metadata_Plate"), "it has cell_painting"),
                           (("cell_painting", "Metadata_pert_type"), "160 wells in 1 batches")):
        with pytest.raises(ScreenError, match=message):
            add_harmony_block(screen, *words)
    with pytest.raises(ScreenError, match="came with features"):
        add_harmony_block(screen, "cell_painting", "Metadata_Plate", "cell_painting")
    monkeypatch.setitem(sys.modules, "harmonypy", None)
    with pytest.raises(ScreenError, match=r"dssl-bio\[harmony\]"):
        add_harmony_block(screen, "cell_painting", "Metadata_Plate")


def test_harmony_itself_takes_plates_out_and_leaves_molecules(screen):
    pytest.importorskip("harmonypy")
    result = CliRunner().invoke(app, ["correct", str(screen.folder)])
    assert result.exit_code == 0, result.output
    assert "features harmony: 24 of 160 wells in 2 batches" in result.output and "harmony: of the ten" in result.output
    table = block_effects(Screen.open(screen.folder), ("cell_painting", "harmony"), "Metadata_Plate")
    before, after = table.set_index("representation").loc[["cell_painting", "harmony"]].to_dict("records")
    assert before["same_plate"] > 0.9 and after["same_plate"] < 0.6
    assert after["replicates"] > before["replicates"] + 0.2
    again = harmonised(np.asarray(screen.profiles["cell_painting"].values),
                       screen.wells["Metadata_Plate"].to_numpy(object), seed=0)
    assert np.allclose(again, Screen.open(screen.folder).profiles["harmony"].values, atol=1e-4)


def test_few_wells_have_no_figures(screen):
    few = Screen(screen.folder, screen.record, screen.wells.assign(Metadata_Plate=pd.Series(["P1"] * 3)),
                 screen.molecules, screen.rejected, screen.profiles, None)
    assert block_effects(few, ("cell_painting",), "Metadata_Plate").empty
