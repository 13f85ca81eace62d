"""Questions about single molecules and wells of a small bundle, and what they are told where something is missing."""

import shutil
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Batch

from dssl_bio.chem.atoms import fingerprints_without, matched_atoms
from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.graphs import molecule_graph
from dssl_bio.chem.standardize import Molecule, standardize
from dssl_bio.errors import BundleError, MoleculeError, QueryError
from dssl_bio.evaluation.factor_report import one_page, write_factor_report
from dssl_bio.factors.attribution import atom_weights, family_weights, integrated_gradients, randomised, share_on
from dssl_bio.factors.index import keep_factors, read_factors
from dssl_bio.factors.query import Asker
from dssl_bio.learning.inputs import MoleculeBatch
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.build import build_bundle
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.screens.screen import Screen
from tests.retrieval.small_bundle import small_run

AMIDE = "O=C(c1ccccc1)NCC"


@pytest.fixture(scope="module")
def bundle(small_road, tmp_path_factory):
    folder = tmp_path_factory.mktemp("factors") / "bundle"
    build_bundle(Run.open(small_road / "run"), Screen.open(small_road / "screen"), folder, also=keep_factors(),
                 report=lambda line: None)
    return Bundle.open(folder)


@pytest.fixture(scope="module")
def asker(bundle):
    return Asker(bundle)


def test_single_wells_of_an_entry_have_vectors_and_one_well_is_its_entry(bundle):
    wells = pd.read_parquet(bundle.folder / "wells.parquet")
    member = (wells["entry"] >= 0).to_numpy()
    np.testing.assert_allclose(bundle.well_vectors.shared[member],
                               bundle.vectors.shared[wells["entry"][member]], atol=1e-5)
    assert np.allclose(np.linalg.norm(bundle.well_vectors.specific, axis=1), 1, atol=1e-4)


def test_a_molecule_has_positions_neighbours_and_atoms(asker):
    one = asker.molecule(standardize(AMIDE))
    assert one.positions["percentile"].between(0, 100).all() and len(one.positions)
    for table, column in ((one.shared_neighbours, "shared_cosine"), (one.specific_neighbours, "specific_cosine")):
        assert table[column].is_monotonic_decreasing
        assert standardize(AMIDE).id not in set(table["molecule_id"])
    assert one.weights.shared.shape == one.weights.specific.shape == (11,)
    assert 0 <= one.share.share <= 1 and not any("weights" in note for note in one.notes)


def test_an_answer_is_kept(asker):
    first = asker.molecule(standardize("CCCCC(=O)NC"))
    started = time.perf_counter()
    assert asker.molecule(standardize("CCCCC(=O)NC")) is first
    assert time.perf_counter() - started < 0.05


def test_a_well_is_found_by_its_key_its_place_and_its_entry(asker, bundle):
    one = asker.well("001:A03")
    assert asker.well("001:a3") is one
    assert one.weights.shared.shape == (len(one.parts),)
    entry = str(bundle.entries["entry_key"].iloc[0])
    assert asker.well(entry) is asker.entry(0)
    with pytest.raises(QueryError, match="2 wells are called 'A03'; say which, such as 001:A03, 002:A03"):
        asker.well("A03")
    with pytest.raises(QueryError, match="no well or entry is called '001:H12'; the nearest names are"):
        asker.well("001:H12")


def test_a_control_has_neighbours_and_says_that_its_profile_is_not_kept(asker):
    one = asker.well("001:C07")
    assert len(one.shared_neighbours) and one.weights is None
    assert "feature families have no weights" in " ".join(one.notes)


def test_a_bundle_without_factors_answers_the_rest_and_tells_the_command(small_road):
    asker = Asker(Bundle.open(small_road / "bundle"))
    one = asker.molecule(standardize(AMIDE))
    assert one.positions.empty and one.weights is not None
    assert "dssl-bio factors BUNDLE --screen SCREEN" in " ".join(one.notes)
    with pytest.raises(BundleError, match="holds no factors"):
        read_factors(small_road / "bundle")


def test_an_atom_that_no_environment_holds_is_not_in_the_fingerprint():
    molecule = standardize("CCCCCCCCO")
    without = fingerprints_without(molecule, frozenset({"fingerprint"}))
    whole = count_morgan(molecule)
    assert (without <= whole).all() and (without.sum(1) < whole.sum()).all()
    oxygen = matched_atoms(molecule, "[OX2H]")[0]
    # The oxygen alone; radius 1 around it and its carbon; radius 2 around that and the next carbon (around the oxygen
    # it is the same bonds as radius 1 around the carbon, which Morgan counts once).
    assert whole.sum() - without[oxygen].sum() == 5
    with pytest.raises(MoleculeError, match="no atoms"):
        fingerprints_without(Molecule("", ""), frozenset({"fingerprint"}))


def test_weights_come_from_what_was_learned(bundle):
    """The sanity check of Adebayo et al. 2018: other weights of the network, other weights of the atoms."""
    molecule = standardize("O=C(c1ccoc1)NCC#N")
    own = atom_weights(bundle.run, molecule)
    other = atom_weights(bundle.run, molecule, model=randomised(bundle.run))
    for mine, theirs in ((own.shared, other.shared), (own.specific, other.specific)):
        assert not np.allclose(mine, theirs, rtol=0.1)
    again = atom_weights(bundle.run, molecule)
    np.testing.assert_array_equal(own.shared, again.shared)


def test_integrated_gradients_sum_to_the_change_from_the_baseline(small_road, tmp_path):
    run = small_run(Screen.open(small_road / "screen"), tmp_path / "run", molecule_encoder="gine",
                    gine={"hidden": 16, "layers": 2})
    molecule = standardize(AMIDE)
    weights = integrated_gradients(run, molecule)
    occluded = atom_weights(run, molecule)
    assert weights.shared.shape == occluded.shared.shape == (11,)
    graph = Batch.from_data_list([molecule_graph(molecule)])
    empty = Batch(x=graph.x * 0, edge_index=graph.edge_index, edge_attr=graph.edge_attr * 0, batch=graph.batch,
                  _num_graphs=1)
    with torch.no_grad():
        whole, nothing = (run.model.shared(0, MoleculeBatch(one, None)) for one in (graph, empty))
    assert weights.shared.sum() == pytest.approx(1 - float(whole @ nothing.T), abs=0.1)


def test_a_family_that_changes_nothing_has_no_weight(bundle):
    profile = np.asarray(bundle.profiles[0])
    weights = family_weights(bundle.run, profile, np.where(np.arange(12) == 3, 9.0, profile), np.arange(12))
    assert weights.shared[3] > 1e-6
    assert np.delete(weights.shared, 3).max() < 1e-5


def test_the_share_on_atoms():
    assert share_on(np.array([3.0, 1.0, -5.0]), np.array([0])) == 0.75
    assert np.isnan(share_on(np.zeros(3), np.array([0])))


def test_pages_escape_what_others_typed(asker, bundle, tmp_path):
    hostile = "<script>alert(1)</script>"
    one = asker.molecule(standardize(AMIDE))
    page = one_page(replace(one, title=hostile, facts=[("compound", hostile)], notes=[hostile],
                            positions=one.positions.assign(axis=hostile)), bundle)
    assert hostile not in page and "&lt;script&gt;" in page
    factors = read_factors(bundle.folder)
    write_factor_report({"a": factors, "b": factors}, {"a": bundle, "b": bundle}, tmp_path / "report")
    assert {path.name for path in (tmp_path / "report").iterdir()} >= {"factors.html", "matrix.parquet", "matrix.csv",
                                                                       "summary.csv", "trade_off.csv"}
    shutil.rmtree(tmp_path / "report")


def test_a_collapsed_specific_part_is_said_to_mean_little(bundle):
    constant = np.zeros_like(bundle.molecule_vectors.specific)
    constant[:, 0] = 1
    collapsed = replace(bundle, molecule_vectors=replace(bundle.molecule_vectors, specific=constant))
    assert "step 2 has collapsed" in " ".join(Asker(collapsed).molecule(standardize(AMIDE)).notes)
