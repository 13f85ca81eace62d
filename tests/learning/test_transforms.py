import numpy as np
import pytest
import torch

from dssl_bio.learning.encoders.phenotype_mlp import ProfileScaler
from dssl_bio.learning.transforms import independent_features, robust_centre_and_spread, sphering


def correlated(n, n_features=6, seed=0, mean=20.0):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(n_features, n_features, generator=generator, dtype=torch.float64)
    return torch.randn(n, n_features, generator=generator, dtype=torch.float64) @ mix + mean


def test_sphered_controls_have_the_identity_as_covariance_whatever_their_mean():
    controls = correlated(400)
    sphered = controls @ sphering(controls, 0.0)
    assert torch.allclose(torch.cov(sphered.T, correction=0), torch.eye(6, dtype=torch.float64), atol=1e-3)
    assert not torch.allclose(torch.cov(controls.T, correction=0), torch.eye(6, dtype=torch.float64), atol=0.3)


def test_with_all_shrinkage_sphering_changes_nothing_and_in_between_it_equalises():
    controls = correlated(40, 6)
    assert torch.allclose(sphering(controls, 1.0), torch.eye(6, dtype=torch.float64), atol=1e-9)

    def condition(shrinkage):
        return float(torch.linalg.cond(torch.cov((controls @ sphering(controls, shrinkage)).T)))

    assert condition(0.01) < condition(0.3) < condition(1.0)


def test_fewer_controls_than_features_need_shrinkage():
    few = correlated(4, 6)
    with pytest.raises(ValueError, match="4 controls cannot sphere 6 features without shrinkage"):
        sphering(few, 0.0)
    assert torch.isfinite(sphering(few, 0.1)).all()
    with pytest.raises(ValueError, match="do not vary"):
        sphering(torch.ones(5, 2, dtype=torch.float64), 0.1)


def test_the_scaler_makes_directions_small_in_which_controls_vary():
    """A plate effect in one direction is the largest component before, and none after."""
    rng = np.random.default_rng(0)
    effect = rng.normal(size=10) / np.sqrt(10)
    biology = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 10))
    treated = torch.from_numpy(biology + 6 * rng.normal(size=(200, 1)) * effect + 0.3 * rng.normal(size=(200, 10)))
    controls = torch.from_numpy(6 * rng.normal(size=(100, 1)) * effect + 0.3 * rng.normal(size=(100, 10)))

    def share_of_plate(**options):
        scaler = ProfileScaler(10, 10)
        scaler.fit(treated.float(), 0.0, **options)
        moved = scaler((treated.mean(0) + torch.from_numpy(effect)).float()) - scaler(treated.mean(0).float())
        other = scaler((treated.mean(0) + torch.from_numpy(biology[0])).float()) - scaler(treated.mean(0).float())
        return float(moved.norm() / other.norm()) * float(np.linalg.norm(biology[0]))

    assert share_of_plate(controls=controls.float(), shrinkage=0.01) < 0.3 * share_of_plate()


@pytest.mark.parametrize("options", [{}, {"robust": True}, {"max_correlation": 0.95}, {"controls": True}])
def test_fully_whitened_training_profiles_have_the_identity_as_covariance(options):
    profiles = correlated(500).float()
    options = {**options, **({"controls": correlated(300, seed=1).float()} if "controls" in options else {})}
    scaler = ProfileScaler(6, 4)
    scaler.fit(profiles, 1.0, **options)
    found = scaler(profiles)
    assert torch.allclose(torch.cov(found.T, correction=0), torch.eye(4), atol=2e-3)
    assert torch.allclose(found.mean(0), torch.zeros(4), atol=2e-2)


def test_a_wild_well_moves_the_robust_scale_little():
    rows = correlated(201, 3)
    wild = rows.clone()
    wild[0] = 1e6
    (centre, spread), (other, wider) = (robust_centre_and_spread(x, 8.0) for x in (rows, wild))
    assert torch.allclose(spread, wider, rtol=0.05) and ((centre - other).abs() < 0.1 * spread).all()
    expected = 1.4826 * np.median(np.abs(rows - np.sort(rows, axis=0)[100]), axis=0)
    assert np.allclose(spread, expected)
    assert (wild.std(0) > 100 * rows.std(0)).all()


def test_a_feature_that_hardly_varies_is_scaled_by_its_standard_deviation():
    rows = torch.zeros(10, 1, dtype=torch.float64)
    rows[0] = 5.0
    assert float(robust_centre_and_spread(rows, 8.0)[1]) == pytest.approx(float(rows.std(correction=0)))


def test_no_two_kept_features_correlate_more_than_the_bound_and_every_dropped_one_repeats_one():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(300, 5))
    rows = np.hstack([base, base[:, :2] + 0.05 * rng.normal(size=(300, 2)), -base[:, 2:3], np.full((300, 1), 3.0)])
    kept = independent_features(torch.from_numpy(rows), 0.9).numpy()
    correlation = np.abs(np.corrcoef(rows[:, :8].T))
    assert len(kept) == 5 and 8 not in kept and (np.diff(kept) > 0).all()
    assert (correlation[np.ix_(kept, kept)] - np.eye(5)).max() <= 0.9
    assert all(correlation[i, kept].max() > 0.9 for i in range(8) if i not in kept)
    assert len(independent_features(torch.from_numpy(rows), 1.0)) == 8


def test_signed_log_comes_before_everything_else():
    profiles = torch.exp(correlated(100, 4, mean=0.0)).float()
    logged = profiles.sign() * profiles.abs().log1p()
    one, two = ProfileScaler(4, 3, "signed_log"), ProfileScaler(4, 3)
    one.fit(profiles)
    two.fit(logged)
    assert torch.allclose(one(profiles), two(logged))


def test_too_few_independent_features_are_said():
    profiles = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))[:, [0, 0, 0, 1]]
    with pytest.raises(ValueError, match="2 features correlate at most 0.9, and 3 components"):
        ProfileScaler(4, 3).fit(profiles, max_correlation=0.9)
