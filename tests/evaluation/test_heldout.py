import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from dssl_bio.evaluation.heldout import (
    LIBRARY,
    WHOLE,
    WITHIN_BATCH,
    WITHIN_PLATE,
    Retrieval,
    chance_average_precision,
    mechanism_table,
    ranks_table,
)


def retrieval(scores=None):
    """Three held-out molecules a, b, c and one of training; two doses of a."""
    entries = pd.DataFrame({
        "molecule_id": ["a", "a", "b", "c", "t"], "mechanism": ["x", "x", "x", None, "y"],
        "Metadata_Plate": ["P1", "P1;P2", "P2", "P1", "P1"], "held_out": [True, True, True, True, False]})
    queries = pd.DataFrame({"molecule_id": ["a", "b"], "mechanism": ["x", "x"]})
    default = [[0.1, 0.5, 0.6, 0.5, 0.9], [0.3, 0.2, 0.7, 0.8, 0.7]]
    return Retrieval("ours", "fold 0", queries, entries, np.array(default if scores is None else scores))


def test_ranks_solved_by_hand_with_ties_against_the_model():
    table = ranks_table(retrieval()).set_index(["setting", "molecule_id"])
    assert table.loc[(WHOLE, "a"), "rank"].item() == 3  # best own 0.5; above it 0.6, and 0.5 of another is a tie
    assert table.loc[(WHOLE, "b"), "rank"].item() == 2
    assert table.loc[(LIBRARY, "a"), "rank"].item() == 4
    assert table.loc[(LIBRARY, "b"), "rank"].item() == 3  # a training entry ties
    assert table.loc[(WHOLE, "a"), ["n_entries", "n_right"]].to_numpy().tolist() == [4, 2]


def test_a_small_plate_is_not_asked_and_a_large_one_is():
    assert WITHIN_PLATE not in set(ranks_table(retrieval())["setting"])
    entries = pd.DataFrame({"molecule_id": [f"m{i}" for i in range(24)], "held_out": True,
                            "Metadata_Plate": ["P1"] * 12 + ["P2"] * 12})
    queries = pd.DataFrame({"molecule_id": [f"m{i}" for i in range(24)]})
    table = ranks_table(Retrieval("ours", "f", queries, entries, np.eye(24)))
    within = table[table.setting == WITHIN_PLATE]
    assert len(within) == 24
    assert set(within.n_entries) == {12}
    assert (within["rank"] == 1).all()


def test_each_batch_asks_among_its_own_and_a_single_one_does_not():
    entries = pd.DataFrame({"molecule_id": [f"m{i}" for i in range(24)], "held_out": True,
                            "Metadata_Batch": ["b1"] * 12 + ["b1;b2"] * 2 + ["b2"] * 10})
    queries = pd.DataFrame({"molecule_id": [f"m{i}" for i in range(24)]})
    table = ranks_table(Retrieval("ours", "f", queries, entries, np.eye(24)))
    within = table[table.setting == WITHIN_BATCH].set_index(["molecule_id", "plate"])
    assert len(within) == 12 + 2 * 2 + 10 and within.loc[("m12", "b1"), "n_entries"] == 14
    assert within.loc[("m20", "b2"), "n_entries"] == 12
    one = entries.assign(Metadata_Batch="b1")
    assert WITHIN_BATCH not in set(ranks_table(Retrieval("ours", "f", queries, one, np.eye(24))).setting)


def test_mechanism_metrics_are_those_of_scikit_learn_without_ties():
    generator = np.random.default_rng(0)
    entries = pd.DataFrame({"molecule_id": [f"m{i}" for i in range(60)], "held_out": True,
                            "mechanism": generator.choice(["x", "y", None], 60)})
    queries = entries.iloc[:30][["molecule_id", "mechanism"]]
    scores = generator.normal(size=(30, 60))
    table = mechanism_table(Retrieval("ours", "f", queries, entries, scores)).set_index("molecule_id")
    for i in np.flatnonzero(queries.mechanism.notna())[:5]:
        others = np.arange(60) != i
        right = (entries.mechanism == queries.mechanism.iloc[i]).to_numpy()[others]
        row = table.loc[f"m{i}"]
        assert row.average_precision == pytest.approx(average_precision_score(right, scores[i, others]))
        assert row.precision == right[np.argsort(-scores[i, others])][:10].mean()
        assert row.prevalence == right.mean()


def test_constant_scores_never_beat_chance():
    table = mechanism_table(retrieval(np.zeros((2, 5))))
    assert (table.average_precision <= table.chance_average_precision).all()


@pytest.mark.parametrize(("n", "r"), [(1, 1), (5, 1), (5, 3), (6, 6)])
def test_chance_average_precision_by_enumeration(n, r):
    from itertools import combinations

    values = [np.mean(np.arange(1, r + 1) / (np.array(places) + 1)) for places in combinations(range(n), r)]
    assert chance_average_precision(n, r) == pytest.approx(np.mean(values))
