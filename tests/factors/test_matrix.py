import numpy as np
import pandas as pd
import pytest

from dssl_bio.factors.matrix import Known, disentanglement, factor_matrix


@pytest.fixture(scope="module")
def made():
    """A representation that holds one number and one category, and factors that it does not."""
    generator = np.random.default_rng(1)
    groups = np.repeat(np.arange(80), 4)
    own = generator.normal(size=(80, 10))[groups]
    x = own + 0.3 * generator.normal(size=own.shape)
    factors = pd.DataFrame({
        "held": own[:, 0], "class": np.where(own[:, 1] > 0.5, "a", "b"),
        "unknown": generator.normal(size=80)[groups], "unknown class": generator.choice(["p", "q"], 80)[groups],
        "row by row": generator.normal(size=320), "constant": 1.0})
    factors.loc[:30, "held"] = np.nan
    known = Known(factors, dict.fromkeys(factors, "x"), {"held": "molecule"}, groups.astype(str),
                  np.arange(320) % 80 < 40)
    return x, known, factor_matrix({"it": x}, known, permutations=30)


def test_what_is_held_is_read_far_above_chance_and_the_rest_lies_in_its_interval(made):
    table = made[2].set_index("factor")
    assert table["score"]["held"] > 0.8 and table["score"]["class"] > 0.9
    assert (table["p"][["held", "class"]] <= 1 / 31 + 1e-9).all()
    for name in ("unknown", "unknown class", "row by row"):
        assert table["score"][name] <= table["null_high"][name] + 0.05
        assert table["above"][name] < 0.15
    assert "constant" not in table.index
    assert table["n"]["held"] == 289 and table["metric"]["class"] == "AUROC"


def test_permuted_labels_give_chance(made):
    """Over many labels without meaning, p is small about as often as it says."""
    x, known, _ = made
    generator = np.random.default_rng(2)
    factors = pd.DataFrame({f"n{i}": generator.normal(size=80)[np.repeat(np.arange(80), 4)] for i in range(60)})
    noise = Known(factors, dict.fromkeys(factors, "x"), {}, known.groups, known.held_out)
    table = factor_matrix({"it": x}, noise, permutations=19)
    assert (table["p"] <= 0.1).mean() < 0.25
    assert table["above"].max() < 0.25


def test_a_factor_of_the_group_cannot_be_recognised_by_the_group():
    """Every molecule has a place of its own in the representation, and a label without relation to it."""
    generator = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 5)
    x = generator.normal(size=(60, 40))[groups]
    labels = pd.DataFrame({"label": generator.choice(["u", "v"], 60)[groups]})
    known = Known(labels, {"label": "x"}, {}, groups.astype(str), np.zeros(300, dtype=bool))
    assert abs(factor_matrix({"it": x}, known, permutations=0)["score"][0] - 0.5) < 0.15


def test_rows_without_a_representation_are_left_out(made):
    x, known, _ = made
    holes = x.copy()
    holes[:100] = np.nan
    table = factor_matrix({"it": holes, "none": x[:, :0]}, known, permutations=2).set_index("factor")
    assert table["n"]["row by row"] == 220
    assert set(table["representation"]) == {"it"}


def test_the_verdict_says_where_a_factor_is():
    def rows(factor, belongs, **scores):
        return [{"factor": factor, "family": "f", "belongs": belongs, "representation": name.replace("_", "-"),
                 "metric": "R2", "score": score, "above": max(score, 0)} for name, score in scores.items()]

    table = pd.DataFrame([
        *rows("rings", "molecule", molecule_specific=0.8, molecule_shared=0.1, molecule_raw=0.9),
        *rows("plate", "phenotype", phenotype_specific=0.3, phenotype_shared=0.6, phenotype_raw=0.9),
        *rows("mechanism", "shared", molecule_shared=0.9, molecule_specific=0.5, phenotype_shared=0.02,
              phenotype_specific=0.0, phenotype_raw=0.9),
        *rows("hidden", "phenotype", phenotype_specific=0.01, phenotype_shared=0.02, phenotype_raw=0.03)])
    found = disentanglement(table).set_index(["factor", "side"])
    assert found["verdict"].to_dict() == {
        ("rings", "molecule"): "disentangled", ("plate", "phenotype"): "more in the wrong one",
        ("mechanism", "molecule"): "in both", ("mechanism", "phenotype"): "in neither"}
    assert found["share_of_raw"]["rings", "molecule"] == pytest.approx(0.8 / 0.9)
    assert found["leak"]["plate", "phenotype"] == pytest.approx(2)


def test_a_factor_of_entries_and_of_wells_is_told_twice():
    table = pd.DataFrame([
        {"factor": "mechanism", "rows": rows, "family": "f", "belongs": "shared", "representation": f"molecule-{part}",
         "metric": "AUROC", "score": 0.5 + above / 2, "above": above}
        for rows, scores in (("entries", (0.9, 0.1)), ("wells", (0.6, 0.5)))
        for part, above in zip(("shared", "specific"), scores, strict=True)])
    found = disentanglement(table)
    assert found["rows"].tolist() == ["entries", "wells"]
    assert found["verdict"].tolist() == ["disentangled", "in both"]
