import pandas as pd
import pytest

from dssl_bio.retrieval.benchmark_table import by_method, keep_benchmark, read_benchmark, settings_of

ROWS = [("a", "m → p", "held-out", "all", "top_1", 0.05, 0.04, 0.06, 0.01),
        ("a", "m → p", "held-out", "all", "mrr", 0.2, 0.15, 0.25, 0.05),
        ("b", "m → p", "held-out", "all", "mrr", 0.3, None, None, 0.05),
        ("b", "m → p", "held-out", "active", "mrr", 0.9, 0.8, 1.0, 0.05),
        ("b", "p → m", "held-out", "all", "mrr", 0.1, 0.0, 0.2, 0.05),
        ("a", "m → p", "held-out", "all", "median_rank", 0.2, 0.1, 0.3, 0.5)]


@pytest.fixture
def results(tmp_path):
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "bundle").mkdir()
    assert read_benchmark(tmp_path / "bundle") is None
    pd.DataFrame(ROWS, columns=["method", "direction", "setting", "subset", "metric", "value", "low", "high",
                                "chance"]).to_csv(tmp_path / "benchmark" / "summary.csv", index=False)
    keep_benchmark(tmp_path / "benchmark", tmp_path / "bundle")
    return read_benchmark(tmp_path / "bundle")


def test_the_best_stands_first_and_chance_last(results):
    assert settings_of(results) == [("m → p", "held-out"), ("p → m", "held-out")]
    table = by_method(results, "m → p", "held-out")
    assert table["method"].tolist() == ["b", "a", "chance"]
    assert table["MRR"].tolist() == ["0.300", "0.200 [0.150, 0.250]", "0.050"]
    assert table["top-1 %"].tolist() == ["", "5.0 [4.0, 6.0]", "1.0"]


def test_what_was_not_measured_is_an_empty_table(results):
    assert by_method(results, "m → p", "elsewhere").empty
