import numpy as np
import pytest

from dssl_bio.errors import DsslBioError
from dssl_bio.evaluation.baselines import (
    CellCountOnly,
    Descriptors,
    MeanProfile,
    NearestNeighbour,
    OrderOnly,
    PlateOnly,
    RandomVectors,
    SeveralKernelRidge,
    TunedKernelRidge,
    fingerprints,
    library_order,
    nearest_training_similarity,
)
from dssl_bio.evaluation.heldout import TO_PHENOTYPE, WHOLE, ranks_table
from dssl_bio.evaluation.methods import Vectors, retrievals
from dssl_bio.evaluation.metrics import chance_summary
from tests.evaluation.profile_screen import amides, amides_division, amides_table

EVERY = [TunedKernelRidge, NearestNeighbour, Descriptors, MeanProfile, OrderOnly, PlateOnly, CellCountOnly,
         RandomVectors, SeveralKernelRidge]


def reciprocal_ranks(vectors, division):
    (asked,) = retrievals("it", vectors, division, [TO_PHENOTYPE])
    table = ranks_table(asked)
    return 1 / table.loc[table.setting == WHOLE, "rank"].to_numpy()


@pytest.mark.parametrize("method", EVERY)
def test_nothing_moves_in_training_when_held_out_wells_are_changed(method, tmp_path, division):
    """Other profiles, counts and activity of held-out molecules leave the placing of every molecule unmoved."""
    table = amides_table()
    held_out = set(division.molecules.loc[division.molecules.held_out, "Metadata_SMILES"])
    changed = table.smiles.map(dict(zip(amides_names(division), division.molecules.Metadata_SMILES, strict=True)))
    mask = changed.isin(held_out).to_numpy()
    assert mask.sum() == 40
    features = [name for name in table if name.startswith("Cells_")]
    table.loc[mask, features] = np.random.default_rng(9).normal(size=(40, len(features))) * 1000
    table.loc[mask, "Rel_Cell_Count"] = 1
    other = amides_division(amides(tmp_path / "changed", table))
    before, after = method().vectors(division, 0), method().vectors(other, 0)
    known = ~division.entries.held_out.to_numpy()
    assert np.array_equal(before.molecules, after.molecules)
    assert np.array_equal(before.entries[known], after.entries[known])


def amides_names(division):
    """SMILES as they were written in the table, in the order of the molecules."""
    written = amides_table().drop_duplicates("compound").set_index("compound").smiles
    return [written[name] for name in division.molecules.Metadata_Compound]


@pytest.mark.parametrize("method", [TunedKernelRidge, SeveralKernelRidge, NearestNeighbour])
def test_chemistry_finds_profiles_that_chemistry_decides(method, division):
    found = reciprocal_ranks(method().vectors(division, 0), division).mean()
    assert found > 3 * chance_summary([20], [1]).mrr


def test_random_vectors_are_at_chance_and_identity_is_perfect(division):
    draws = np.concatenate([reciprocal_ranks(RandomVectors().vectors(division, seed), division) for seed in range(30)])
    expected = chance_summary([20], [1]).mrr
    assert abs(draws.mean() - expected) < 3 * draws.std() / np.sqrt(len(draws))
    own = np.eye(len(division.molecules))
    where = {name: i for i, name in enumerate(division.molecules.molecule_id)}
    entries = own[[where[name] for name in division.entries.molecule_id]]
    assert (reciprocal_ranks(Vectors(own, entries), division) == 1).all()


def test_order_only_is_the_mean_of_the_five_training_molecules_nearest_by_name(division):
    vectors = OrderOnly().vectors(division, 0)
    number = division.molecules.Metadata_Compound.str[1:].astype(int).to_numpy()
    assert np.array_equal(np.argsort(library_order(division)), np.argsort(number))  # C9 comes before C10
    place = np.argsort(np.argsort(number))
    known = division.known
    mean, spread = division.known_profiles.mean(0), division.known_profiles.std(0)
    z = np.clip((division.known_profiles - mean) / spread, -8, 8)
    for query in np.flatnonzero(division.molecules.held_out)[:6]:
        distance = np.abs(place[known] - place[query])
        nearest = np.argsort(distance, kind="stable")[:5]
        assert vectors.molecules[query] == pytest.approx(z[nearest].mean(0), abs=1e-5)


def test_a_training_molecule_is_not_its_own_neighbour(division):
    near = nearest_training_similarity(division)
    prints = fingerprints(division.standardised)
    first = division.known[0]
    others = [i for i in division.known if i != first]
    minmax = [np.minimum(prints[first], prints[i]).sum() / np.maximum(prints[first], prints[i]).sum() for i in others]
    assert near.iloc[first] == pytest.approx(max(minmax), abs=1e-6)


def test_the_nearest_neighbour_s_profile_by_hand(division):
    vectors = NearestNeighbour().vectors(division, 0)
    prints = fingerprints(division.standardised)
    query = np.flatnonzero(division.molecules.held_out)[0]
    near = [np.minimum(prints[query], prints[i]).sum() / np.maximum(prints[query], prints[i]).sum()
            for i in division.known]
    best = np.flatnonzero(np.isclose(near, max(near)))
    z = (division.known_profiles - division.known_profiles.mean(0)) / division.known_profiles.std(0)
    assert vectors.molecules[query] == pytest.approx(np.clip(z, -8, 8)[best].mean(0), abs=1e-4)


def test_plate_only_finds_plates_and_nothing_else(tmp_path):
    """With a strong plate effect the plate alone halves the gallery; it never tells two molecules of a plate apart."""
    table = amides_table()
    features = [name for name in table if name.startswith("Cells_")]
    table[features] += 30 * np.sign(table.plate.str[-1].astype(int) - 0.5).to_numpy()[:, None]
    division = amides_division(amides(tmp_path, table), train_where=None, gallery_where=None)
    vectors = PlateOnly().vectors(division, 0)
    plates = division.molecules.Metadata_Plate.to_numpy()
    for plate in set(plates):
        same = vectors.molecules[plates == plate]
        assert np.allclose(same, same[0])
    assert reciprocal_ranks(vectors, division).mean() > chance_summary([20], [1]).mrr * 1.3


def test_cell_count_compares_counts_and_nothing_else(division):
    vectors = CellCountOnly().vectors(division, 0)
    counts = division.entries.merge(division.screen.wells[["molecule_id", "Rel_Cell_Count"]].drop_duplicates(
        "molecule_id"), on="molecule_id").Rel_Cell_Count.to_numpy()
    query = np.flatnonzero(division.molecules.held_out)[0]
    for value in np.unique(counts):
        same = vectors.entries[counts == value]
        assert np.allclose(same, same[0])
    scores = vectors.entries @ vectors.molecules[query]
    centre = counts[np.argmax(scores)]
    above = np.unique(counts[counts >= centre])
    mean_score = [scores[counts == value].mean() for value in above]
    assert (np.diff(mean_score) < 0).all()


def test_what_a_baseline_lacks_is_said(tmp_path, amides_screen):
    table = amides_table().drop(columns="Rel_Cell_Count")
    folder = tmp_path / "without"
    folder.mkdir()
    from tests.evaluation.profile_screen import MANIFEST
    from tests.screens.small_screen import ingested

    table.to_csv(folder / "wells.csv", index=False)
    text = MANIFEST.format(simulated="false")
    text = text.replace('"Rel_Cell_Count", ', "").replace('Metadata_Plate = "plate"\n', "")
    (folder / "manifest.toml").write_text(text)
    division = amides_division(ingested(folder / "manifest.toml"))
    with pytest.raises(DsslBioError, match="needs a column of cell counts"):
        CellCountOnly().vectors(division, 0)
    with pytest.raises(DsslBioError, match="needs a plate column"):
        PlateOnly().vectors(division, 0)
