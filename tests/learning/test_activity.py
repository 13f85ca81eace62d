import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from dssl_bio.learning import activity
from dssl_bio.learning.activity import activity_of, average_precision, replicate_map


def plate(n_molecules=40, n_active=10, n_wells=4, n_controls=48, seed=0):
    rng = np.random.default_rng(seed)
    effect = np.zeros((n_molecules, 20))
    effect[:n_active] = 3 * rng.normal(size=(n_active, 20))
    owner = np.repeat(np.arange(n_molecules), n_wells)
    profiles = np.vstack([effect[owner] + rng.normal(size=(len(owner), 20)), rng.normal(size=(n_controls, 20))])
    molecule = np.array([f"m{i:02d}" for i in owner] + [None] * n_controls, dtype=object)
    return profiles, molecule, np.arange(len(profiles)) >= len(owner)


def test_average_precision_is_that_of_scikit_learn_without_ties():
    rng = np.random.default_rng(0)
    for _ in range(20):
        right, wrong = rng.normal(size=4), rng.normal(size=30)
        expected = average_precision_score(np.r_[np.ones(4), np.zeros(30)], np.r_[right, wrong])
        assert average_precision(right, wrong) == pytest.approx(expected)
    assert average_precision(np.zeros(1), np.zeros(3)) == pytest.approx(1 / 4)


def test_replicate_map_is_that_of_scikit_learn_well_by_well(monkeypatch):
    profiles, molecule, control = plate(12, 6, 4, 20, seed=3)
    profiles, molecule, control = profiles[1:], molecule[1:], control[1:]  # one molecule has three wells, not four
    scaled = (profiles - profiles[control].mean(0)) / profiles[control].std(0)
    unit = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    expected = {}
    for name in sorted(set(molecule[~control])):
        own = np.flatnonzero(molecule == name)
        asked = [np.r_[own[own != well], np.flatnonzero(control)] for well in own]
        expected[name] = np.mean([average_precision_score(~control[among], unit[among] @ unit[well])
                                  for well, among in zip(own, asked, strict=True)])
    ours = replicate_map(profiles, molecule, control)
    assert np.allclose(ours["map"], pd.Series(expected)[ours.index]) and len(ours) == 12
    monkeypatch.setattr(activity, "MOST_PAIRS", 20 * 9)  # nine wells at once
    pd.testing.assert_frame_equal(replicate_map(profiles, molecule, control), ours)


def test_molecules_with_an_effect_are_found_and_the_others_mostly_not():
    table = replicate_map(*plate())
    active = table.q < 0.05
    assert active[[f"m{i:02d}" for i in range(10)]].all()
    assert active[[f"m{i:02d}" for i in range(10, 40)]].mean() < 0.15


def test_p_is_small_no_more_often_than_it_says_where_nothing_has_an_effect():
    """One molecule a plate: replicates of several molecules share the controls, and so their p would depend."""
    p = np.array([replicate_map(*plate(1, 0, 3, seed=seed), seed=seed)["p"].iloc[0] for seed in range(50)])
    for level in (0.05, 0.2):
        assert 0 < np.mean(p <= level) <= level + 2.5 * np.sqrt(level * (1 - level) / len(p))


def test_without_controls_or_replicates_nothing_is_said():
    profiles, molecule, control = plate()
    assert len(replicate_map(profiles, molecule, np.zeros_like(control))) == 0
    assert len(replicate_map(*plate(5, 2, 1))) == 0


def test_the_laboratorys_own_figure_goes_first(amides_screen):
    profiles = amides_screen.profiles["cell_painting"]
    found = activity_of(amides_screen, profiles.rows, np.asarray(profiles.values))
    assert found.sum() == 64 and len(found) == 80
