from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dssl_bio.learning.representation import SharedSpecific, unit_rows
from dssl_bio.retrieval import explore
from dssl_bio.retrieval.explore import LIKE_UNTREATED, mean_of_entries, measures, plane, points


@pytest.fixture
def bundle():
    generator = np.random.default_rng(0)

    def vectors(n):
        return SharedSpecific(unit_rows(generator.normal(size=(n, 6)) + 1), unit_rows(generator.normal(size=(n, 3))))

    entries = pd.DataFrame({"entry_key": [f"E{i}" for i in range(40)], "molecule_id": [f"M{i // 2}" for i in range(40)],
                            "Metadata_Plate": ["P1;P2"] * 40, "Metadata_Dose_um": 2.0})
    molecules = pd.DataFrame({"molecule_id": [f"M{i}" for i in range(20)], "split": ["train", "test"] * 10,
                              "Metadata_Compound": [f"cpd {i}" for i in range(20)]})
    controls = pd.DataFrame({"row_key": ["a", "b"], "Metadata_Plate": ["P1", "P1"]})
    return SimpleNamespace(entries=entries, molecules=molecules, controls=controls, vectors=vectors(40),
                           molecule_vectors=vectors(20), control_vectors=vectors(2))


def test_the_shared_space_holds_both_kinds_centred_and_the_others_one(bundle):
    table, vectors = points(bundle, "shared")
    assert table["kind"].value_counts().to_dict() == {"phenotype": 40, "molecule": 20, "untreated": 2}
    molecule = (table["kind"] == "molecule").to_numpy()
    assert np.abs(vectors[molecule].mean(0)).max() < 1e-6
    assert np.abs(vectors[~molecule].mean(0)).max() < 1e-6
    assert set(points(bundle, "phenotype")[0]["kind"]) == {"phenotype", "untreated"}
    table, vectors = points(bundle, "molecule")
    assert table["name"].tolist() == [f"cpd {i}" for i in range(20)]
    assert np.array_equal(vectors, bundle.molecule_vectors.specific)


def test_a_phenotype_is_told_by_its_first_plate_its_molecules_split_and_its_likeness_to_untreated_cells(bundle):
    table, _ = points(bundle, "shared")
    mean = bundle.control_vectors.shared.mean(0)
    first = table.iloc[3]
    assert first["plate"] == "P1"
    assert first["split"] == "test"
    cosine = bundle.vectors.shared[3] @ mean / np.linalg.norm(mean)
    assert first[LIKE_UNTREATED] == pytest.approx(cosine, abs=1e-6)
    assert table.loc[table["kind"] == "molecule", LIKE_UNTREATED].isna().all()


def test_many_points_are_thinned_the_same_way_every_time(bundle, monkeypatch):
    monkeypatch.setattr(explore, "MAX_POINTS", 10)
    first, vectors = points(bundle, "shared")
    again, _ = points(bundle, "shared")
    assert len(first) == len(vectors) == 10
    assert first["key"].tolist() == again["key"].tolist()


def test_pca_keeps_the_distances_of_what_lies_on_a_plane():
    generator = np.random.default_rng(1)
    flat = generator.normal(size=(50, 2))
    turned = flat @ np.linalg.qr(generator.normal(size=(7, 7)))[0][:2]

    def distances(x):
        return np.linalg.norm(x[:, None] - x[None], axis=2)

    assert distances(plane(turned, "pca")) == pytest.approx(distances(flat), abs=1e-4)
    assert plane(np.ones((3, 1)), "pca").shape == (3, 2)


@pytest.mark.parametrize("method", explore.METHODS)
def test_every_method_keeps_three_far_groups_apart(method):
    generator = np.random.default_rng(2)
    groups = np.repeat(np.eye(3), 40, axis=0) * 10
    places = plane((groups + generator.normal(scale=0.1, size=groups.shape)).astype(np.float32), method)
    middles = places.reshape(3, 40, 2).mean(1)
    spread = np.linalg.norm(places.reshape(3, 40, 2) - middles[:, None], axis=2).max()
    assert min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > spread


def test_an_unknown_method_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="there are pca, tsne"):
        plane(np.zeros((4, 2)), "mds")


def test_numbers_of_wells_are_averaged_over_an_entry():
    wells = pd.DataFrame({"entry": [0, 0, 1, -1], "Induction": [1.0, 3.0, 5.0, 100.0], "same": [1, 1, 1, 1],
                          "flag": [True, False, True, True], "name": list("abcd")})
    assert measures(wells) == ["Induction"]
    assert mean_of_entries(wells, "Induction", 3) == pytest.approx([2, 5, np.nan], nan_ok=True)
