import numpy as np
import pytest

from dssl_bio.config import with_overrides
from dssl_bio.errors import ConfigError
from dssl_bio.learning.choice import AUTO, PROFILE_RECIPES, choose, trial_options, with_recipe
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.fit import prepare, resolve, train
from dssl_bio.learning.run import Run
from tests.evaluation.profile_screen import amides

PREFERRED, *OTHERS = PROFILE_RECIPES


def chosen(ranks):
    lines = []
    config, trials = choose(TrainConfig(), "profile", lambda one: ranks[one.molecule_encoder], lines.append)
    return config.molecule_encoder, trials, "\n".join(lines)


def test_another_encoder_is_taken_only_when_it_is_better_by_more_than_a_standard_error():
    rng = np.random.default_rng(0)
    base = rng.uniform(0, 1, 100)
    noisy = {PREFERRED: base, OTHERS[0]: base + rng.normal(0.001, 0.3, 100), OTHERS[1]: base - 0.2}
    assert chosen(noisy)[0] == PREFERRED
    clear = {**noisy, OTHERS[1]: base + 0.1 + rng.normal(0, 0.1, 100)}
    name, trials, text = chosen(clear)
    assert name == OTHERS[1] and len(trials) == len(PROFILE_RECIPES)
    assert trials[-1].mrr == pytest.approx(clear[OTHERS[1]].mean())
    difference = base - clear[OTHERS[1]]
    assert trials[-1].error == pytest.approx(difference.std(ddof=1) / 10)
    assert f"{trials[-1].mrr:.3f}" in text and "100 molecules asked" in text


def test_what_the_user_set_stays():
    config = with_overrides(TrainConfig(), ["dropout=0.1", "profile.layers=1", "members=4"])
    found = with_recipe(config, PREFERRED, PROFILE_RECIPES[PREFERRED])
    assert (found.dropout, found.profile.layers, found.members) == (0.1, 1, 4)
    assert found.ridge == PROFILE_RECIPES[PREFERRED]["ridge"] and found.shared_dim % 5 == 0


@pytest.mark.parametrize(("dim", "members", "ridge"), [(64, 15, True), (680, 16, True), (37, 1, False), (8, 7, True)])
def test_as_many_members_as_the_users_dimensions_hold(dim, members, ridge):
    found = with_recipe(with_overrides(TrainConfig(), [f"shared_dim={dim}"]), PREFERRED, PROFILE_RECIPES[PREFERRED])
    assert (found.shared_dim, found.members, found.ridge > 0) == (dim, members, ridge)


def test_members_and_dimensions_of_the_users_own_that_do_not_fit_are_one_line():
    config = with_overrides(TrainConfig(), ["shared_dim=64", "members=4"])
    with pytest.raises(ConfigError, match="shared_dim 64 cannot be divided among 5 members"):
        with_recipe(config, PREFERRED, PROFILE_RECIPES[PREFERRED])


def test_a_named_encoder_is_left_as_it_is():
    config = with_overrides(TrainConfig(), ["molecule_encoder=gine"])
    assert choose(config, "profile", None, print)[0] is config


def test_on_images_the_graph_network_stays_unless_the_kernel_alone_is_clearly_better():
    base = np.random.default_rng(0).uniform(0, 1, 100)
    for ahead, expected in ((0.0, "hybrid"), (0.05, "kernel")):
        ranks = {"hybrid": base, "kernel": base + ahead + np.linspace(-0.1, 0.1, 100)}
        config, trials = choose(TrainConfig(), "images", lambda one, ranks=ranks: ranks[one.molecule_encoder], print)
        assert config.molecule_encoder == expected and len(trials) == 2
        assert (config.specific_input, config.specific_ridge, config.members) == ("residual", 1.0, 8)
    assert choose(TrainConfig(), "images", None, print)[0].molecule_encoder == "hybrid"


def test_a_trial_on_images_trains_a_part_of_the_epochs_and_on_profiles_all():
    config = with_overrides(TrainConfig(), ["step_1.epochs=20"])
    assert trial_options(config, "images").epochs == 8 and trial_options(config, "cells").epochs == 20
    assert trial_options(with_overrides(TrainConfig(), ["step_1.epochs=1"]), "images").epochs == 1
    assert trial_options(config, "images").learning_rate == config.step_1.learning_rate


def test_the_trial_looks_at_no_held_out_molecule(tmp_path, amides_screen, monkeypatch):
    """Every set that a trial prepares is made of the training and validation molecules of the real split."""
    from dssl_bio.learning import fit

    config = with_overrides(TrainConfig(), ["step_1.epochs=2", "step_2.epochs=0", "members=2", "hidden=16"])
    held_out = set(prepare(amides_screen, config).split.query("split == 'test'").molecule_id)
    seen = []
    original = fit.prepare

    def watched(screen, config, split=None):
        material = original(screen, config, split)
        if split is not None:
            names = screen.wells["molecule_id"].to_numpy()
            seen.append(set(names[material.pairs.rows]) | set(names[material.validation.rows]))
        return material

    monkeypatch.setattr(fit, "prepare", watched)
    lines = []
    resolved = resolve(amides_screen, config, lines.append)
    assert resolved.molecule_encoder != AUTO and len(seen) == len(PROFILE_RECIPES)
    assert all(not one & held_out for one in seen) and len(seen[0]) == 80 - len(held_out)
    assert sum("validation MRR" in line for line in lines) == len(PROFILE_RECIPES)


def test_a_run_says_which_encoder_it_chose(tmp_path):
    screen = amides(tmp_path)
    config = with_overrides(TrainConfig(), ["step_1.epochs=2", "step_2.epochs=1", "members=2", "hidden=16"])
    metrics = train(screen, config, tmp_path / "run", report=lambda line: None)
    run = Run.open(tmp_path / "run")
    assert run.config.molecule_encoder in PROFILE_RECIPES and 0 < metrics["step_1"]["validation_mrr"] <= 1
