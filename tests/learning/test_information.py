import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dssl_bio.config import with_overrides
from dssl_bio.learning import validation
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.fit import train
from dssl_bio.learning.information import (
    club_estimate,
    diagnostics,
    infonce_lower_bound,
    nearest_neighbour_estimate,
    pair_diagnostics,
)
from dssl_bio.learning.representation import SharedSpecific, unit_rows


def gaussians(rho, n, dim=1):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, dim))
    return x, rho * x + math.sqrt(1 - rho**2) * rng.normal(size=(n, dim))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_nearest_neighbours_find_the_information_of_gaussians(rho):
    assert nearest_neighbour_estimate(*gaussians(rho, 3000)) == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.06)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_club_with_the_true_conditional_is_its_closed_form_above_the_information(rho):
    x, y = (torch.as_tensor(v) for v in gaussians(rho, 20_000, dim=3))
    # E log q over pairs less over products: rho^2 / (1 - rho^2) a dimension.
    assert club_estimate(x, y) == pytest.approx(3 * rho**2 / (1 - rho**2), rel=0.05, abs=0.02)


def test_infonce_bound_never_exceeds_the_logarithm_of_n():
    code = F.normalize(torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    assert math.log(64) - 0.1 < infonce_lower_bound(code, code) <= math.log(64)


def test_club_is_its_definition_with_the_regression_of_numpy():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1001, 3))
    y = x @ rng.normal(size=(3, 2)) + rng.normal(size=(1001, 2))
    c, s = x - x[:500].mean(0), y - y[:500].mean(0)
    weights = np.linalg.lstsq(c[:500], s[:500], rcond=None)[0]
    variance = ((s[:500] - c[:500] @ weights) ** 2).mean(0)
    predicted, seen = c[500:] @ weights, s[500:]
    pairs = -((seen - predicted) ** 2 / (2 * variance)).sum(1).mean()
    every = -((seen[:, None] - predicted[None]) ** 2 / (2 * variance)).sum(2).mean()
    assert club_estimate(torch.as_tensor(x), torch.as_tensor(y), ridge=0.0) == pytest.approx(pairs - every, rel=1e-9)
    with pytest.raises(ValueError, match="shared has 1001 rows, specific has 10"):
        club_estimate(torch.as_tensor(x), torch.as_tensor(y[:10]))


def test_diagnostics_tell_a_repeating_specific_code_from_an_independent_one_and_a_square_by_neighbours_only():
    generator = torch.Generator().manual_seed(0)
    shared, other = torch.randn(1500, 4, generator=generator), torch.randn(1500, 4, generator=generator)
    found = {name: diagnostics((shared, specific), (shared, specific), 0.07)
             for name, specific in (("same", shared + 0.1 * other), ("square", shared.square()), ("apart", other))}
    assert abs(found["apart"]["specific_shared_club_1"]) < 0.1 and abs(found["apart"]["specific_shared_knn_1"]) < 0.1
    assert found["same"]["specific_shared_club_1"] > 10 and found["same"]["specific_shared_knn_1"] > 1
    assert abs(found["square"]["specific_shared_club_1"]) < 0.5
    assert found["square"]["specific_shared_knn_1"] > found["apart"]["specific_shared_knn_1"] + 0.1
    assert set(diagnostics((shared, shared[:, :0]), (shared, shared[:, :0]), 0.07)) == {
        "shared_information_lower_bound", "resultant_length_1", "resultant_length_2"}


def test_pairs_of_molecule_and_phenotype_are_matched_by_owner_and_few_rows_find_no_dependence_that_is_not_there():
    rng = np.random.default_rng(0)
    shared = unit_rows(rng.normal(size=(64, 32)))
    molecules = SharedSpecific(shared, unit_rows(rng.normal(size=(64, 16))))
    owner = np.r_[rng.permutation(60), 3, 5]  # two molecules have a second phenotype, four have none
    phenotypes = SharedSpecific(shared[owner], unit_rows(rng.normal(size=(62, 16))))
    found = pair_diagnostics(molecules, phenotypes, owner, 0.07)
    assert found["n_pairs"] == 60
    assert found["shared_information_lower_bound"] > math.log(60) - 0.2
    assert abs(found["specific_shared_club_1"]) < 3 and abs(found["specific_shared_knn_2"]) < 0.3
    assert pair_diagnostics(molecules, phenotypes, owner[::-1].copy(), 0.07)["shared_information_lower_bound"] < 0
    assert not any("specific" in name for name in pair_diagnostics(molecules, phenotypes, owner, 0.07, False))


@pytest.mark.parametrize("pairs", ["validation", "training"])
def test_every_run_on_a_screen_writes_its_information_diagnostics(tmp_path, amides_screen, pairs):
    fractions = {"validation": "[0.6,0.2,0.2]", "training": "[0.8,0.0,0.2]"}[pairs]
    config = with_overrides(TrainConfig(), ["molecule_encoder=kernel", "step_1.epochs=1", "step_2.epochs=1",
                                            "hidden=16", f"split.fractions={fractions}"])
    train(amides_screen, config, tmp_path / "run", report=lambda _: None)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    first, second = metrics["step_1"]["information"], metrics["step_2"]["information"]
    assert first["pairs"] == second["pairs"] == pairs
    assert first["shared_information_lower_bound"] <= math.log(first["n_pairs"])
    assert not any(name.startswith("specific") for name in first)
    if second["n_pairs"] >= 32:
        assert math.isfinite(second["specific_shared_club_1"]) and math.isfinite(second["specific_shared_knn_2"])


def collapse_of_phenotypes(monkeypatch, part):
    """Makes one part of the phenotypes' representations the same for all that validation looks at."""
    real = validation.embed_phenotypes

    def constant(*args, **options):
        found = real(*args, **options)
        codes = getattr(found, part)
        codes[:] = np.eye(1, codes.shape[1], dtype=np.float32)
        return found

    monkeypatch.setattr(validation, "embed_phenotypes", constant)


def test_training_warns_at_its_end_that_a_specific_code_has_collapsed(tmp_path, amides_screen, monkeypatch, caplog):
    collapse_of_phenotypes(monkeypatch, "specific")
    config = with_overrides(TrainConfig(), ["molecule_encoder=kernel", "step_1.epochs=1", "step_2.epochs=1",
                                            "hidden=16"])
    train(amides_screen, config, tmp_path / "run", report=lambda _: None)
    told = [line for line in caplog.messages if "specific representation has collapsed" in line]
    assert len(told) == 1 and "phenotypes' specific" in told[0] and "length 1.000" in told[0]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["step_2"]["information"][
        "specific_resultant_length_2"] == pytest.approx(1)


def test_a_shared_code_that_was_hardly_trained_is_told_to_be_trained_on(tmp_path, amides_screen, monkeypatch, caplog):
    collapse_of_phenotypes(monkeypatch, "shared")
    config = with_overrides(TrainConfig(), ["molecule_encoder=kernel", "step_1.epochs=3", "step_2.epochs=0",
                                            "hidden=16"])
    train(amides_screen, config, tmp_path / "run", report=lambda _: None)
    told = [line for line in caplog.messages if "shared representation has collapsed" in line]
    assert len(told) == 1 and "after 3 minibatches" in told[0] and "raise step_1.epochs" in told[0]
