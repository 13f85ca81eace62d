"""The quick acceptance tests of the method, by their numbers; T7 to T14 are checks of `dssl-bio study synthetic`.

T1 is there too, and T6 in `dssl-bio study gaussian` with trained encoders.
"""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from dssl_bio.evaluation.metrics import ranks_of_best, summarize
from dssl_bio.learning.distributions import mean_resultant_length, sample_vmf, vmf_kl
from dssl_bio.learning.losses.dependence import authors_orthogonality
from dssl_bio.learning.losses.infonce import infonce
from dssl_bio.learning.two_views import DisentangledOptions, DisentangledSSL
from dssl_bio.studies import synthetic_reference as reference
from dssl_bio.studies.gaussian import critical_beta, exact_optimum
from dssl_bio.studies.synthetic import SyntheticConfig, ceilings_key, compared_key, step_1_key, step_2_key
from dssl_bio.studies.synthetic_acceptance import acceptance
from dssl_bio.studies.synthetic_data import synthetic_pairs


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_t1_labels_are_balanced_and_linear_ceilings_are_the_known_ones():
    pairs = synthetic_pairs(10_000)
    assert np.array_equal(pairs.labels.mean(0), [0.5, 0.5, 0.5])
    for name, expected in reference.CEILINGS.items():
        x = getattr(pairs, name)
        for k, accuracy in enumerate(expected):
            probe = LogisticRegression(max_iter=200).fit(x[pairs.train], pairs.labels[pairs.train, k])
            assert probe.score(x[pairs.test], pairs.labels[pairs.test, k]) == pytest.approx(accuracy, abs=0.02)


def test_t2_infonce_is_half_of_both_cross_entropies():
    one, two = (F.normalize(torch.randn(64, 100, generator=generator(seed)), dim=1) for seed in (0, 1))
    scores, target = one @ two.T / 0.07, torch.arange(64)
    expected = (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
    assert abs(float(infonce(one, two)) - float(expected)) < 1e-4


@pytest.mark.parametrize(("dim", "kappa", "length"), [(100, 1000.0, 0.9517), (100, 10.0, 0.0990), (16, 50.0, 0.8599),
                                                      (3, 10.0, 0.9000)])
def test_t3_draws_have_the_resultant_length_of_the_distribution(dim, kappa, length):
    mean = F.normalize(torch.randn(1, dim, generator=generator(3)), dim=1).repeat(4000, 1).requires_grad_()
    drawn = sample_vmf(mean, kappa, generator())
    assert float((drawn * mean).sum(1).mean().detach()) == pytest.approx(length, abs=0.004)
    assert mean_resultant_length(dim, kappa) == pytest.approx(length, abs=1e-4)
    assert (drawn.norm(dim=1) - 1).abs().max() < 1e-4
    at_first_axis = torch.eye(dim)[:1].requires_grad_()
    for means, codes in ((mean, drawn), (at_first_axis, sample_vmf(at_first_axis, kappa, generator()))):
        (gradient,) = torch.autograd.grad(codes[:, -1].sum(), means)
        assert torch.isfinite(gradient).all()


def test_t4_divergence_is_within_half_a_percent_of_monte_carlo():
    one, two = F.normalize(torch.randn(2, 16, generator=generator(1)), dim=1).split(1)
    drawn = sample_vmf(one.expand(40_000, 16), 50.0, generator())
    monte_carlo = 50.0 * float((drawn @ (one - two).T).mean())  # equal normalisers cancel
    assert float(vmf_kl(one, two, 50.0)) == pytest.approx(monte_carlo, rel=0.005)


def test_t5_the_authors_penalty_has_its_measured_values():
    one, two = (torch.randn(256, 100, generator=generator(seed)) for seed in (0, 1))
    assert float(authors_orthogonality(one, two)) == pytest.approx(16.0, abs=0.3)
    assert float(authors_orthogonality(one, one)) == pytest.approx(30, abs=1)
    assert float(authors_orthogonality(torch.ones(256, 100), torch.ones(256, 100))) == pytest.approx(256, rel=1e-4)


@pytest.mark.parametrize("rho", [0.5, 0.8, 0.95])
def test_t6_the_gaussian_bottleneck_has_its_closed_form(rho):
    def lagrangian(a, beta):  # I(Z;X2) - beta (I(Z;X1) - I(Z;X2)), written out here and not taken from the study
        own, other = -0.5 * math.log(1 - a), -0.5 * math.log(1 - rho**2 * a)
        return other - beta * (own - other)

    assert critical_beta(rho) == pytest.approx(rho**2 / (1 - rho**2))
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 1.1):
        beta = share * critical_beta(rho)
        found = minimize_scalar(lambda a, beta=beta: -lagrangian(a, beta), bounds=(0, 0.99999), method="bounded",
                                options={"xatol": 1e-9})
        assert found.x == pytest.approx(exact_optimum(rho, beta), abs=1e-3)


def small_config(**more):
    return SyntheticConfig(seeds=(0,), betas=(0.1, 1.0, 10.0, 100.0, 1000.0), lambdas=(0.0, 0.1, 1.0, 10.0, 100.0),
                           **more)


def good_results(config):
    """Results in the middle of every range, as the authors' code gave them."""
    ln_b = math.log(256)
    results = {ceilings_key(0.0): {"balance": [0.5] * 3, "accuracy": dict(reference.CEILINGS)}}
    for beta in config.betas:
        collapsed = beta >= 100
        results[step_1_key(0.0, beta, 0, "authors")] = {
            "accuracy": {"shared": list(reference.REDUCED[beta])}, "cosine": 0.999 if collapsed else 0.9,
            "loss": {"infonce": ln_b if collapsed else 0.06}}
    for lambda_ in config.lambdas:
        own, shared = reference.REDUCED_SPECIFIC[lambda_]
        results[step_2_key(0.0, lambda_, "", 0, "authors")] = {"accuracy": {"specific_1": [own, shared, 0.5]},
                                                               "orthogonality": 45.0 if lambda_ == 0 else 32.0}
    results[compared_key(0.0, "joint_opt released a=1 lambda=1", 0)] = {
        "accuracy": {"specific_1": [0.598, 0.592, 0.509], "shared": [0.596, 0.617, 0.591]}}
    return results


def test_t7_to_t14_pass_on_what_the_authors_code_gave():
    checks = acceptance(small_config(), good_results(small_config()))
    assert [check.name for check in checks] == ["T1", *(f"T{n}" for n in range(7, 15))]
    assert all(check.passed for check in checks), [check for check in checks if not check.passed]


@pytest.mark.parametrize(("test", "spoil"), [
    ("T1", lambda r: r[ceilings_key(0.0)]["balance"].__setitem__(0, 0.51)),
    ("T7", lambda r: r[step_1_key(0.0, 0.1, 0, "authors")]["loss"].__setitem__("infonce", 0.09)),
    ("T8", lambda r: r[step_1_key(0.0, 10.0, 0, "authors")]["accuracy"]["shared"].__setitem__(0, 0.70)),
    ("T9", lambda r: r[step_1_key(0.0, 100.0, 0, "authors")].__setitem__("cosine", 0.9)),
    ("T10", lambda r: r[step_2_key(0.0, 0.0, "", 0, "authors")]["accuracy"]["specific_1"].__setitem__(2, 0.6)),
    ("T10", lambda r: r[step_2_key(0.0, 0.0, "", 0, "authors")].__setitem__("orthogonality", 40.0)),
    ("T11", lambda r: r[step_2_key(0.0, 1.0, "", 0, "authors")].__setitem__("orthogonality", 36.0)),
    ("T12", lambda r: r[step_2_key(0.0, 1.0, "", 0, "authors")]["accuracy"]["specific_1"].__setitem__(1, 0.65)),
    ("T13", lambda r: r[step_2_key(0.0, 100.0, "", 0, "authors")]["accuracy"]["specific_1"].__setitem__(0, 0.6)),
    ("T14", lambda r: r[compared_key(0.0, "joint_opt released a=1 lambda=1", 0)]["accuracy"]["specific_1"]
        .__setitem__(0, 0.7)),
])
def test_each_check_fails_when_its_own_range_is_left(test, spoil):
    results = good_results(small_config())
    spoil(results)
    failed = [check.name for check in acceptance(small_config(), results) if not check.passed]
    assert test in failed


def test_figure_4a_is_checked_at_full_size_only_and_beta_0_against_the_left_end_of_the_line():
    config = SyntheticConfig.full(seeds=(0,), betas=(0.0, 10.0))
    results = {step_1_key(0.0, 0.0, 0, "authors"): {"accuracy": {"shared": [0.680, 0.770, 0.690]}},
               step_1_key(0.0, 10.0, 0, "authors"): {"accuracy": {"shared": [0.608, 0.709, 0.635]}}}
    checks = acceptance(config, results)
    assert [(check.name, check.passed) for check in checks] == [("figure 4a, beta 0", True),
                                                                ("figure 4a, beta 10", False)]
    assert acceptance(small_config(epochs=3), good_results(small_config())) == []


def test_t15_step_2_leaves_step_1_exactly_as_it_is():
    rng = np.random.default_rng(0)
    x1, x2 = rng.normal(size=(2, 128, 8))
    model = DisentangledSSL(DisentangledOptions(dim=6, hidden=16, minibatch=32, epochs=2, specific_epochs=2))
    model.prepare(x1, x2)
    model.fit_step(1, x1, x2)
    encoders = model.model.shared_encoders
    before = {name: value.clone() for name, value in encoders.state_dict().items()}
    rows = torch.as_tensor(x1[:32], dtype=torch.float32)
    view = model.model.view(0, rows, unit=False)
    assert view.shared.grad_fn is None and not view.shared.requires_grad and view.specific.requires_grad
    model.fit_step(2, x1, x2)
    assert all(torch.equal(before[name], value) for name, value in encoders.state_dict().items())
    assert all(parameter.grad is None for parameter in encoders.parameters())


def test_t16_retrieval_is_chance_for_random_and_perfect_for_identical_representations():
    rng = np.random.default_rng(0)
    n_queries, n_entries = 2000, 50
    right = np.arange(n_entries)[None, :] == rng.integers(0, n_entries, n_queries)[:, None]
    queries, gallery = rng.normal(size=(n_queries, 8)), rng.normal(size=(n_entries, 8))
    sizes = np.full(n_queries, n_entries)
    random = summarize(ranks_of_best(queries @ gallery.T, right), sizes)
    for k, found in ((1, random.top_1), (5, random.top_5), (10, random.top_10)):
        share = k / n_entries
        assert abs(found - share) < 3 * math.sqrt(share * (1 - share) / n_queries)
    order = rng.permutation(n_entries)
    assert summarize(ranks_of_best(queries @ gallery[order].T, right[:, order]), sizes) == random
    unit = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    perfect = summarize(ranks_of_best(unit @ unit.T, np.eye(n_entries, dtype=bool)), sizes[:n_entries])
    assert perfect.top_1 == perfect.mrr == 1
