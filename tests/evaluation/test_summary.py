import numpy as np
import pandas as pd
import pytest

from dssl_bio.evaluation.metrics import chance_of_rank, pool_share_chance
from dssl_bio.evaluation.summary import mechanism_summaries, summaries


def ranks(n=40, pool=30, seed=0):
    generator = np.random.default_rng(seed)
    return pd.DataFrame({
        "method": "ours", "direction": "d", "setting": "s", "query": np.arange(n).astype(str),
        "molecule_id": (np.arange(n) // 2).astype(str), "annotated": np.arange(n) % 4 == 0,
        "active": pd.array([True, False, None, True] * (n // 4), dtype="boolean"),
        "rank": generator.integers(1, pool + 1, n), "n_entries": pool, "n_right": 1})


def test_numbers_by_hand():
    table = ranks()
    record = {r["subset"]: r for r in summaries(table, n_draws=300)}
    assert record["all"]["top_5"]["value"] == (table["rank"] <= 5).mean()
    assert record["all"]["mrr"]["value"] == pytest.approx((1 / table["rank"]).mean())
    assert record["all"]["top_5_per_cent"]["value"] == (table["rank"] <= 2).mean()  # 5 % of 30 is rounded up
    assert record["all"]["top_5"]["chance"] == pytest.approx(5 / 30)
    assert record["active"]["n_queries"] == 20  # not known is not active
    assert record["annotated"]["n_queries"] == 10
    assert record["all"]["n_molecules"] == 20


def test_the_interval_holds_the_value_and_molecules_decide_its_width():
    table = ranks(200)
    (every,) = (r for r in summaries(table, n_draws=2000) if r["subset"] == "all")
    for name in ("top_1", "top_10", "mrr", "median_rank"):
        assert every[name]["low"] <= every[name]["value"] <= every[name]["high"]
    doubled = pd.concat([table, table], ignore_index=True)
    (twice,) = (r for r in summaries(doubled, n_draws=2000) if r["subset"] == "all")
    assert twice["mrr"]["high"] == pytest.approx(every["mrr"]["high"])


def test_chance_of_a_share_of_the_pool_is_averaged_over_queries():
    found = pool_share_chance(np.array([100, 10]), np.array([1, 2]), 0.05)
    assert found == pytest.approx((0.05 + chance_of_rank(10, 2)[0]) / 2)


def test_precision_stands_beside_both_prevalences():
    table = pd.DataFrame({"method": "ours", "direction": "d", "molecule_id": ["a", "b"], "precision": [0.5, 0.3],
                          "prevalence": [0.1, 0.1], "prevalence_annotated": [0.2, 0.2],
                          "average_precision": [0.4, 0.2], "chance_average_precision": [0.1, 0.1]})
    (record,) = mechanism_summaries(table, n_draws=200)
    assert record["times_prevalence"] == pytest.approx(4)
    assert record["times_prevalence_annotated"] == pytest.approx(2)
    assert record["map"]["value"] == pytest.approx(0.3)
    assert mechanism_summaries(pd.DataFrame()) == []
