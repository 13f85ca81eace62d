import numpy as np
import pandas as pd
import pytest
import torch

from dssl_bio.artefact import seal
from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.standardize import standardize
from dssl_bio.errors import BundleError
from dssl_bio.learning.encoders.molecule_kernel import min_max_tanimoto
from dssl_bio.retrieval.applicability import (
    ExpectedRecall,
    Trained,
    applicability,
    from_benchmark,
    jeffreys,
    learned,
    statement,
)


def simulated(n, seed):
    """Recall rises with similarity, as it does on screens; whether a molecule is found is a coin of that weight."""
    rng = np.random.default_rng(seed)
    similarity = rng.beta(4, 4, n)
    truth = 0.1 + 0.6 * similarity**2
    return similarity, (rng.uniform(size=n) < truth).astype(float), truth


def test_nine_bins_of_ten_cover_what_is_observed_afterwards():
    """Learned from 400 molecules, then asked of 50,000 new ones, for 60 screens: 95 % intervals, observed coverage."""
    covered = []
    for seed in range(60):
        similarity, hits, _ = simulated(400, seed)
        expected = learned(similarity, hits, 100, 0.1, "test")
        new, found, _ = simulated(50_000, 10_000 + seed)
        for one in expected.bins:
            inside = (new >= one.start) & (new <= one.stop)
            covered.append(one.low <= found[inside].mean() <= one.high)
    assert len(covered) == 360 and np.mean(covered) >= 0.9


def test_the_interval_covers_a_share_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for share in (0.1, 0.3, 0.6):
        hits = rng.binomial(60, share, 2000)
        inside = [low <= share <= high for low, high in map(lambda h: jeffreys(h, 60), hits)]
        assert np.mean(inside) > 0.92
    assert jeffreys(0, 10)[0] == 0 and jeffreys(10, 10)[1] == 1


def test_bins_hold_equal_numbers_and_go_up_in_similarity():
    similarity, hits, _ = simulated(300, 0)
    bins = learned(similarity, hits, 100, 0.1, "test").bins
    assert [one.n_molecules for one in bins] == [50] * 6
    assert all(a.stop <= b.start for a, b in zip(bins, bins[1:], strict=False))
    assert sum(one.recall * one.n_molecules for one in bins) == pytest.approx(hits.sum())


def test_too_few_molecules_say_nothing():
    with pytest.raises(BundleError, match="29 held-out molecules in the benchmark; at least 30"):
        learned(np.linspace(0, 1, 29), np.zeros(29), 10, 0.1, "test")


def benchmark_folder(folder, method="dssl", n=64):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = [{"method": method, "seed": str(seed), "fold": "fold 0", "direction": "molecule → phenotype",
             "setting": "held-out library", "query": f"m{i}", "molecule_id": f"m{i}", "plate": "",
             "rank": 1 if i % 2 else 1 + int(rng.integers(10, 60)), "n_entries": 80, "n_right": 1, "tanimoto": i / n}
            for seed in range(3) for i in range(n)]
    pd.DataFrame(rows).to_parquet(folder / "ranks.parquet")
    seal(folder, "benchmark", {"screen": "x", "screen_name": "tiny"},
         config={"group_by": "scaffold", "seeds": [0, 1, 2]})
    return folder


def test_a_benchmark_is_read_by_molecule_not_by_seed(tmp_path):
    expected = from_benchmark(benchmark_folder(tmp_path / "b"))
    assert [one.n_molecules for one in expected.bins] == [32, 32]
    assert all(one.recall == pytest.approx(0.5) for one in expected.bins)
    assert expected.gallery == 80 and expected.chance == pytest.approx(10 / 80) and "scaffold" in expected.source
    assert ExpectedRecall.from_json(expected.as_json()) == expected


def test_a_benchmark_without_our_model_is_refused(tmp_path):
    with pytest.raises(BundleError, match="holds no result of dssl; it has clip"):
        from_benchmark(benchmark_folder(tmp_path / "b", method="clip"))


def test_the_statement_gives_figures_or_says_that_nothing_is_known(tmp_path):
    assert "not known" in statement(0.5, None)
    expected = from_benchmark(benchmark_folder(tmp_path / "b"))
    words = statement(0.2, expected)
    assert "50 % [" in words and "first ten of 80 (chance 12 %)" in words and "further away" not in words
    far = learned(np.linspace(0.3, 0.9, 60), np.ones(60), 10, 0.5, "test")
    assert "further away than any" in statement(0.1, far)


def library(*smiles, split="train"):
    molecules = [standardize(text) for text in smiles]
    return pd.DataFrame({"molecule_id": [m.inchikey[:14] for m in molecules], "split": split,
                         "Metadata_InChIKey": [m.inchikey for m in molecules],
                         "Metadata_SMILES": [m.smiles for m in molecules], "Metadata_Compound": smiles})


def test_the_nearest_training_molecule_is_named_with_its_tanimoto():
    table = library("CCCCCCO", "c1ccccc1O", "CCCCCN")
    held_out = library("Cc1ccccc1O", split="test")
    found = applicability(standardize("Cc1ccccc1O"), pd.concat([held_out, table], ignore_index=True), None)
    own, other = (count_morgan(standardize(text)).astype(float) for text in ("Cc1ccccc1O", "c1ccccc1O"))
    assert found.nearest == 2 and not found.trained
    assert found.similarity == pytest.approx(np.minimum(own, other).sum() / np.maximum(own, other).sum(), abs=1e-6)
    assert "c1ccccc1O, Tanimoto 0." in found.words and "not known" in found.words


def test_a_molecule_that_was_trained_on_is_not_its_own_neighbour_and_promises_nothing():
    found = applicability(standardize("CCCCCCO"), library("CCCCCCO", "c1ccccc1O", "CCCCCN"), None)
    assert found.trained and found.nearest == 2 and "trained on this very molecule" in found.words


def test_a_stranger_is_further_than_the_training_molecules_are_from_each_other():
    table = library("CCCCCCO", "CCCCCO", "CCCCO", "CCCCCCCO")
    assert applicability(standardize("c1ccc2ncccc2c1"), table, None).further == 0
    assert applicability(standardize("CCCCCCCCO"), table, None).further > 0


def test_training_molecules_are_compared_as_a_dense_matrix_of_all_pairs_compares_them():
    table = library(*("C" * (1 + i // 2) + "c1ccccc1" * (i % 2) + "O" for i in range(1, 30)))
    prints = np.array([count_morgan(standardize(text)) for text in table["Metadata_SMILES"]], dtype=np.float32)
    dense = min_max_tanimoto(torch.from_numpy(prints), torch.from_numpy(prints)).double().numpy()
    np.fill_diagonal(dense, -1)
    ordered = np.sort(dense, axis=1)
    every, some = Trained.of(table), Trained.of(table, most_compared=10)
    assert np.allclose(every.first, ordered[:, -1], atol=1e-6)
    assert np.allclose(every.second, ordered[:, -2], atol=1e-6)
    assert np.allclose(dense[np.arange(len(table)), every.nearest], ordered[:, -1], atol=1e-6)
    assert len(some.compared) == 10
    assert np.allclose(some.first, every.first[some.compared])
    stranger = standardize("c1ccc2ncccc2c1")
    assert applicability(stranger, table, None, some).similarity == applicability(stranger, table, None).similarity


def test_without_training_molecules_nothing_can_be_compared():
    with pytest.raises(BundleError, match="no training molecule"):
        applicability(standardize("CCO"), library("CCN", split="test"), None)
