import numpy as np
import pandas as pd
import pytest

from dssl_bio.factors.probes import probe, probe_all


@pytest.fixture
def known():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 6))
    factors = pd.DataFrame({
        "number": 3 * x[:, 0] + 0.1 * generator.normal(size=300) + 7,
        "category": np.where(x[:, 1] > 0.3, "a", "b"),
        "unknown number": generator.normal(size=300),
        "unknown category": generator.choice(["p", "q", "r"], 300),
        "constant": 1.0,
    })
    return x, factors, np.repeat(np.arange(100), 3).astype(str)


def test_what_is_in_the_representation_is_read_and_what_is_not_is_not(known):
    table = probe_all({"it": known[0]}, known[1], known[2]).set_index("factor")["score"]
    assert table["number"] > 0.95
    assert table["category"] > 0.7
    assert table["unknown number"] < 0.05
    assert table["unknown category"] < 0.12
    assert "constant" not in table


def test_a_molecule_cannot_be_recognised_across_folds():
    """A factor that is the molecule's own and unrelated to the representation of others is not readable."""
    generator = np.random.default_rng(0)
    x = np.repeat(generator.normal(size=(60, 30)), 5, axis=0)
    factor = pd.Series(np.repeat(generator.choice(["u", "v"], 60), 5))
    assert probe(x, factor, np.repeat(np.arange(60), 5).astype(str))["score"] < 0.35
    leaking = probe(x, factor, np.arange(300).astype(str))  # without groups the molecule itself is recognised
    assert leaking["score"] > 0.5


def test_too_few_rows_give_nothing():
    assert probe(np.zeros((10, 2)), pd.Series(np.arange(10.0)), np.arange(10).astype(str)) is None
