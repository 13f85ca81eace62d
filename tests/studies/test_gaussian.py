import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from dssl_bio.studies.gaussian import (
    GaussianConfig,
    critical_beta,
    exact_objective,
    exact_optimum,
    gaussian_study,
    surrogate_objective,
    surrogate_optimum,
    train,
)
from dssl_bio.studies.result import as_page


@pytest.mark.parametrize("rho", [0.5, 0.8, 0.95])
def test_closed_form_is_the_numerical_optimum_and_collapses_at_the_critical_beta(rho):
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        beta = share * critical_beta(rho)
        found = minimize_scalar(lambda a, beta=beta: -exact_objective(a, rho, beta), bounds=(0, 0.9999),
                                method="bounded", options={"xatol": 1e-9})
        assert found.x == pytest.approx(exact_optimum(rho, beta), abs=1e-3)
    grid = np.linspace(0, 0.999, 500)
    assert np.argmax([exact_objective(a, rho, 1.01 * critical_beta(rho)) for a in grid]) == 0


def test_surrogate_terms_agree_with_monte_carlo():
    rho, a, beta = 0.8, 0.6, 0.3
    weight = (a / (1 - a)) ** 0.5
    rng = np.random.default_rng(0)
    x1, e1, e2, e3 = rng.normal(size=(4, 400_000))
    x2 = rho * x1 + (1 - rho**2) ** 0.5 * e1
    z1, z2 = weight * x1 + e2, weight * x2 + e3
    information = -0.5 * np.log(1 - np.corrcoef(z1, z2)[0, 1] ** 2)
    divergence = np.mean((weight * (x1 - x2)) ** 2 / 2)
    assert surrogate_objective(a, rho, beta) == pytest.approx(information - beta * divergence, abs=0.005)


def test_surrogate_collapses_where_the_exact_optimum_is_still_a_half():
    beta = critical_beta(0.8) / 2
    assert exact_optimum(0.8, beta) == pytest.approx(0.5)
    assert surrogate_optimum(0.8, beta) == 0


@pytest.mark.parametrize("kind", ["free", "surrogate"])
def test_training_on_samples_reaches_the_optimum_of_its_own_objective(kind, tmp_path):
    settings = {"rho": 0.8, "kind": kind, "beta": 0.2, "steps": 1500, "minibatch": 2048, "seed": 0}
    optimum = (exact_optimum if kind == "free" else surrogate_optimum)(0.8, 0.2)
    assert train(settings, tmp_path)["a"] == pytest.approx(optimum, abs=0.02)


def test_study_stands_beside_both_optima_and_shows_the_surrogate_collapsed_at_half_the_critical_beta(tmp_path):
    config = GaussianConfig(correlations=(0.8,), shares=(0.5,), steps=1200, minibatch=1024)
    found = gaussian_study(config, tmp_path)
    (half,) = next(table.rows for table in found.tables if table.title.startswith("Both at half"))
    assert half[2] == pytest.approx(0.5) and half[3] == pytest.approx(0.5, abs=0.03)
    assert half[5] == 0 and half[6] < 0.02
    assert [check.name for check in found.checks if not check.passed] == []
    assert "<h2>Where the shared code collapses</h2>" in as_page(found)
