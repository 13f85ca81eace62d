"""Sites that quality control flagged stay out of entries; an entry that would have no other is kept and marked."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.evaluation.benchmark import BenchmarkOptions, division_of, run_benchmark
from dssl_bio.evaluation.division import divide
from dssl_bio.evaluation.folds import make_folds
from dssl_bio.imaging.crops import tiles_of
from dssl_bio.imaging.intensity import scaled
from dssl_bio.learning.config import ImageConfig, TrainConfig
from dssl_bio.learning.precision import bf16_helps
from dssl_bio.learning.run import Run
from dssl_bio.learning.well_profiles import well_profiles
from dssl_bio.retrieval.batch import retrieve
from dssl_bio.retrieval.build import build_bundle
from dssl_bio.retrieval.bundle import VECTORS, Bundle
from dssl_bio.retrieval.queries import queries_of
from dssl_bio.retrieval.search import Searcher
from dssl_bio.screens.entries import ALL_FLAGGED, ALL_FLAGGED_WORDS, ENTRY_KEY, N_WELLS, entries_of, usable_controls
from dssl_bio.screens.screen import FLAGGED, Screen

TWO_SITES = 10
"""Wells 0 to 9 hold two sites each; the molecules of wells 0 and 1 are one, well 9 is the plate's control."""


@pytest.fixture(scope="module")
def run(image_bundle):
    return Run.open(image_bundle.parent / "run")


def flagged_screen(image_bundle, flagged):
    screen = Screen.open(image_bundle.parent / "screen")
    wells = screen.wells.iloc[:TWO_SITES].copy()
    wells.loc[1, ["molecule_id", "Metadata_MoA"]] = wells.loc[0, ["molecule_id", "Metadata_MoA"]].to_numpy()
    wells.loc[9, ["molecule_id", "Metadata_pert_type"]] = [None, "negcon"]
    table = screen.images.table.iloc[:2 * TWO_SITES].copy()
    table["row"] = np.arange(len(table)) // 2
    table[FLAGGED] = np.isin(np.arange(len(table)), flagged)
    return replace(screen, wells=wells, images=replace(screen.images, table=table))


def by_hand(run, screen, sites):
    """Mean direction over the tiles of some sites."""
    numbers = np.array(sites)
    pixels = scaled(screen.images.read(numbers), screen.images.limits(numbers), screen.images.clipping.ceiling)
    fast = bf16_helps(torch.device("cpu"))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast):
        found = run.model.shared(1, torch.from_numpy(tiles_of(pixels, run.config.image.tile_px))).float().numpy().sum(0)
    return found / np.linalg.norm(found)


def built(run, screen, folder):
    said = []
    build_bundle(run, screen, folder, report=said.append)
    return Bundle.open(folder), " ".join(said)


def test_an_entry_is_the_mean_of_the_sites_that_are_not_flagged(image_bundle, run, tmp_path):
    # Well 0 loses a site, well 1 both and so its place in their entry; well 2 has no other entry and is kept whole.
    screen = flagged_screen(image_bundle, [0, 2, 3, 4, 5])
    bundle, said = built(run, screen, tmp_path / "bundle")
    entry = bundle.entries.set_index(ENTRY_KEY)
    key = {row: screen.wells["molecule_id"].iloc[row] for row in range(9)}
    place = {row: bundle.entries.index[bundle.entries["molecule_id"] == key[row]][0] for row in key}
    for row, sites in ((0, [1]), (2, [4, 5]), (3, [6, 7])):
        np.testing.assert_allclose(bundle.vectors.shared[place[row]], by_hand(run, screen, sites), atol=1e-4)
    assert len(entry) == 8 and entry[ALL_FLAGGED].sum() == 1 and entry[N_WELLS].tolist() == [1] * 8
    assert bundle.entries[ALL_FLAGGED].iloc[place[2]]
    assert "3 of 20 sites are flagged by quality control and left out, 1 wells with them; 1 entries" in said
    assert bundle.entries["Metadata_Well"].iloc[place[0]] == screen.wells["Metadata_Well"].iloc[0]


def test_one_setting_reads_all_sites_again(image_bundle, run, tmp_path):
    screen = flagged_screen(image_bundle, [0, 2, 3, 4, 5])
    config = run.config.model_copy(update={"image": run.config.image.model_copy(update={"flagged_sites": True})})
    bundle, said = built(replace(run, config=config), screen, tmp_path / "bundle")
    place = np.flatnonzero(bundle.entries["molecule_id"] == screen.wells["molecule_id"].iloc[0])[0]
    np.testing.assert_allclose(bundle.vectors.shared[place], by_hand(run, screen, [0, 1, 2, 3]), atol=1e-4)
    assert not bundle.entries[ALL_FLAGGED].any() and "flagged" not in said


def test_a_control_counts_while_its_plate_has_a_sound_one(image_bundle, run, tmp_path):
    wells = pd.DataFrame({"Metadata_Plate": list("AAABB"), "Metadata_pert_type": ["negcon", "negcon", "trt"] +
                          ["negcon"] * 2})
    sound = np.array([True, False, True, False, False])
    assert usable_controls(wells, np.arange(5), sound).tolist() == [True, False, False, True, True]
    bundle, _ = built(run, flagged_screen(image_bundle, [18]), tmp_path / "bundle")
    np.testing.assert_allclose(load_file(tmp_path / "bundle" / VECTORS)["controls.shared"][0],
                               by_hand(run, flagged_screen(image_bundle, []), [19]), atol=1e-4)
    assert len(bundle.controls) == 1


def test_a_filter_leaves_out_of_an_entry_before_quality_control_does(image_bundle, run, tmp_path):
    screen = flagged_screen(image_bundle, [0, 1])
    well = screen.wells["Metadata_Well"].iloc[0]
    said = []
    build_bundle(run, screen, tmp_path / "bundle", where=f'Metadata_Well == "{well}"', report=said.append)
    entries = Bundle.open(tmp_path / "bundle").entries
    assert len(entries) == 1 and entries[ALL_FLAGGED].all()  # its sound well is filtered away


def test_a_hit_says_that_it_has_flagged_sites_only(image_bundle, run, tmp_path):
    bundle, _ = built(run, flagged_screen(image_bundle, [4, 5]), tmp_path / "bundle")

    with Standardizer(1) as pool:
        rows = next(retrieve(Searcher(bundle), queries_of(["CCO"]), pool, 20))
    marked = rows["entry_key"].isin(bundle.entries.loc[bundle.entries[ALL_FLAGGED], ENTRY_KEY])
    assert marked.sum() == 1
    assert rows["message"].str.contains(ALL_FLAGGED_WORDS).tolist() == marked.tolist()


def test_evaluation_asks_of_the_same_entries_and_learns_from_no_flagged_well(image_bundle, run):
    screen = flagged_screen(image_bundle, [0, 2, 3, 4, 5])
    phenotypes = run.phenotypes(screen)
    ids = screen.wells["molecule_id"].dropna().unique()
    split = pd.DataFrame({"molecule_id": ids, "group": ids, "split": ["test"] * 2 + ["train"] * (len(ids) - 2)})
    sound = np.isin(phenotypes.rows, phenotypes.trainable)
    division = divide(screen, split, phenotypes.rows, well_profiles(phenotypes), fold="f", sound=sound)
    _, whole = entries_of(screen.wells, phenotypes.rows, sound=sound)
    assert division.rows.tolist() == [0, 2, 3, 4, 5, 6, 7, 8, 9]  # well 1 is nowhere, not even a replicate
    assert division.membership.tolist() == np.delete(whole, 1).tolist()
    assert not division.training[division.rows == 2].any() and division.entries[ALL_FLAGGED].sum() == 1
    np.testing.assert_allclose(division.profiles, well_profiles(phenotypes, division.rows))


def test_a_benchmark_of_images_reads_what_training_reads(image_bundle, tmp_path):
    shutil.copytree(image_bundle.parent / "screen", tmp_path / "screen")
    path = tmp_path / "screen" / "images" / "sites.parquet"
    sites = pd.read_parquet(path)
    sites.assign(**{FLAGGED: np.arange(len(sites)) < 2}).to_parquet(path)
    screen = Screen.open(tmp_path / "screen")
    folds = make_folds(screen, "random", 2, 0)
    options = BenchmarkOptions(("nearest-neighbour",), seeds=(0,))
    placed, facts = run_benchmark(screen, folds, options, tmp_path / "benchmark")
    assert facts["flagged_sites_left_out"] == 2 and len(placed) == 2
    division = division_of(screen, folds, 0, options, tmp_path / "benchmark")
    assert division.entries[ALL_FLAGGED].sum() == 2 and not division.training[:2].any()
    config = TrainConfig(image=ImageConfig(flagged_sites=True, pixel_size_um=2.0))
    whole = replace(options, config=config)
    _, facts = run_benchmark(screen, folds, whole, tmp_path / "benchmark")
    assert "flagged_sites_left_out" not in facts
    division = division_of(screen, folds, 0, whole, tmp_path / "benchmark")
    assert not division.entries[ALL_FLAGGED].any() and division.training[:2].any()
    kept = {path.name for path in (tmp_path / "benchmark").glob("*.npy")}
    assert kept == {"profiles_of_sound_sites.npy", "well_profiles_2um.npy"}
