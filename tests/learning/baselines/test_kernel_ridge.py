import numpy as np
from sklearn.kernel_ridge import KernelRidge as SklearnKernelRidge

from dssl_bio.evaluation.metrics import ranks_of_best
from dssl_bio.learning.baselines.kernel_ridge import KernelRidge, similarity
from dssl_bio.learning.representation import unit_rows


def screen(n=120, seed=0):
    """Fingerprints whose bits decide the profile, with noise."""
    generator = np.random.default_rng(seed)
    fingerprints = generator.poisson(0.4, (n, 60)).astype(float)
    profiles = fingerprints @ np.random.default_rng(1).normal(size=(60, 90)) + generator.normal(size=(n, 90)) + 5
    return fingerprints, profiles, np.arange(n).astype(str)


def test_prediction_is_that_of_scikit_learn():
    fingerprints, profiles, groups = screen()
    model = KernelRidge(fingerprints, profiles, groups)
    judge = SklearnKernelRidge(alpha=model.setting.ridge, kernel="precomputed")
    target = model._scale.whitened(model._scale.training(profiles), model.setting.whitening)
    judge.fit(similarity(fingerprints, fingerprints), target)
    new, _, _ = screen(20, seed=3)
    assert np.allclose(model.predict(new), unit_rows(judge.predict(similarity(new, fingerprints))), atol=1e-4)


def test_it_finds_profiles_of_molecules_it_has_not_seen():
    model = KernelRidge(*screen(400))
    fingerprints, profiles, _ = screen(50, seed=3)
    ranks = ranks_of_best(model.predict(fingerprints) @ model.project(profiles).T, np.eye(50, dtype=bool))
    assert np.mean(ranks <= 5) > 0.4  # chance is 0.1


def test_similarity_to_itself_is_one():
    fingerprints, _, _ = screen(10)
    assert np.allclose(np.diag(similarity(fingerprints, fingerprints)), 1)


def test_a_gallery_measured_on_another_day_is_standardised_by_itself():
    """Another day's gains and offsets change nothing when the training molecules were measured on it as well."""
    fingerprints, profiles, groups = screen()
    generator = np.random.default_rng(5)
    gain, offset = generator.uniform(0.5, 2, 90), 10 * generator.normal(size=90)
    new, measured, _ = screen(20, seed=3)
    same, other = KernelRidge(fingerprints, profiles, groups), \
        KernelRidge(fingerprints, profiles, groups, gallery=profiles * gain + offset)
    assert other.setting == same.setting
    assert np.allclose(other.predict(new), same.predict(new), atol=1e-4)
    assert np.allclose(other.project(measured * gain + offset), same.project(measured), atol=1e-4)
