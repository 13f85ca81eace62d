import doctest
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from dssl_bio.errors import RunError
from dssl_bio.learning import two_views
from dssl_bio.learning.collapse import CollapseWarning
from dssl_bio.learning.methods import METHODS
from dssl_bio.learning.two_views import DisentangledOptions, DisentangledSSL

SMALL = {"dim": 6, "hidden": 16, "minibatch": 32, "epochs": 2, "learning_rate": 1e-3}


def views(n=128, seed=0):
    rng = np.random.default_rng(seed)
    common, one, two = (rng.normal(size=(n, 4)) for _ in range(3))
    return np.hstack([one, common]), np.hstack([common, two, two])


def small(method, **more):
    extra = {"specific_epochs": 2} if method.name == "disentangled" else {}
    return method(method.Options(**SMALL, **extra, **more))


def fitted(method, **more):
    x1, x2 = views()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        return small(method, **more).fit(x1, x2, labels=(x1[:, 4] > 0).astype(int))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_fits_transforms_saves_and_loads(method, tmp_path):
    x1, x2 = views()
    model = fitted(method)
    model.save(tmp_path / "saved")
    again = method.load(tmp_path / "saved")
    for before, after in zip(model.transform(x1, x2), again.transform(x1, x2), strict=True):
        assert before.shared.shape == (128, 6)
        assert np.array_equal(before.shared, after.shared)
        assert np.array_equal(before.specific, after.specific)
    assert again.history == model.history


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_same_seed_gives_the_same_losses_bit_for_bit(method):
    assert fitted(method).history == fitted(method).history
    if method.steps:
        assert fitted(method).history != fitted(method, seed=1).history


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_code_depends_on_its_own_row_alone(method):
    model, (x1, _) = fitted(method), views()
    assert np.allclose(model.read(0, x1)[0][:5], model.read(0, x1[:5])[0], atol=1e-5)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_same_seed_gives_the_same_codes_bit_for_bit_and_another_seed_others(method):
    x1, x2 = views()
    one, again, other = fitted(method), fitted(method), fitted(method, seed=1)
    for modality, x in enumerate((x1, x2)):
        for a, b in zip(one.read(modality, x), again.read(modality, x), strict=True):
            assert np.array_equal(a, b)
        assert not np.array_equal(one.read(modality, x)[0], other.read(modality, x)[0])


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_refuses_views_it_cannot_learn_from(method):
    x1, x2 = views()
    holed = x2.copy()
    holed[3, 1] = np.inf
    for first, second, message in [
        (x1, holed, "x2 must be finite: 1 rows hold NaN or infinity, the first is row 3"),
        (x1, x2[:-1], "x1 has 128 rows, x2 has 127"),
        (x1[:31], x2[:31], "a minibatch holds 32 pairs and the views only 31"),
        (np.ones_like(x1), x2, "x1 is constant"),
    ]:
        with pytest.raises(ValueError, match=message):
            small(method).fit(first, second)
    with pytest.raises(ValueError, match="is not fitted"):
        small(method).embed(0, x1)
    with pytest.raises(ValueError, match=r"expected inputs of shape \(N, 12\) for modality 1"):
        fitted(method).embed(1, x1)


def test_step_2_changes_no_parameter_or_buffer_of_step_1():
    x1, x2 = views()
    model = small(DisentangledSSL)
    model.prepare(x1, x2)
    model.fit_step(1, x1, x2)
    before = {name: value.clone() for name, value in model.model.shared_encoders.state_dict().items()}
    model.fit_step(2, x1, x2)
    assert all(torch.equal(before[name], value) for name, value in model.model.shared_encoders.state_dict().items())
    assert all(p.grad is None for p in model.model.shared_encoders.parameters())


def test_running_statistics_of_shared_encoders_do_not_move_in_step_2_either():
    class Normalised(nn.Module):
        def __init__(self, width, out_dim, condition_dim):
            super().__init__()
            self.norm = nn.BatchNorm1d(width)
            self.layers = nn.Sequential(nn.Linear(width + condition_dim, 16), nn.Dropout(0.5), nn.Linear(16, out_dim))

        def forward(self, inputs, condition=None):
            x = self.norm(inputs)
            return self.layers(x if condition is None else torch.cat([x, condition], 1))

    x1, x2 = views()
    model = DisentangledSSL(DisentangledOptions(**SMALL, specific_epochs=2), lambda modality, out_dim, condition_dim:
                            Normalised((8, 12)[modality], out_dim, condition_dim))
    model.prepare(x1, x2)
    model.fit_step(1, x1, x2)
    encoders = model.model.shared_encoders
    before = {name: value.clone() for name, value in encoders.state_dict().items()}
    assert int(before["0.norm.num_batches_tracked"]) == 8  # step 1 does move them
    model.fit_step(2, x1, x2)
    assert len(before) == 18 and all(torch.equal(before[name], value) for name, value in encoders.state_dict().items())


def test_encoders_of_different_width_are_refused():
    def encoder(modality, out_dim, condition_dim):
        return nn.Linear((8, 12)[modality], out_dim + modality)

    with pytest.raises(ValueError, match="shared encoders differ in shape"):
        DisentangledSSL(DisentangledOptions(**SMALL), encoder).fit(*views())


def test_encoders_of_ones_own_may_read_any_array(tmp_path):
    class Reader(nn.Module):
        def __init__(self, channels, out_dim, condition_dim):
            super().__init__()
            self.convolution = nn.Conv2d(channels, 4, 3)
            self.out = nn.Linear(4 + condition_dim, out_dim)

        def forward(self, inputs, condition=None):
            features = self.convolution(inputs).mean((2, 3))
            return self.out(features if condition is None else torch.cat([features, condition], 1))

    def encoder(modality, out_dim, condition_dim):
        return Reader((1, 3)[modality], out_dim, condition_dim)

    rng = np.random.default_rng(0)
    x1, x2 = rng.normal(size=(64, 1, 8, 8)), rng.normal(size=(64, 3, 6, 6))
    options = DisentangledOptions(**SMALL, specific_epochs=1, augmentation="unchanged")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = DisentangledSSL(options, encoder).fit(x1, x2)
    model.save(tmp_path / "saved")
    assert np.array_equal(DisentangledSSL.load(tmp_path / "saved", encoder).embed(1, x2).shared,
                          model.embed(1, x2).shared)
    with pytest.raises(RunError, match="pass the same `encoder`"):
        DisentangledSSL.load(tmp_path / "saved")


def test_learned_kappas_move_and_stay_in_range():
    model = fitted(DisentangledSSL, learn_kappa=True, kappa=50.0, beta=0.01)
    assert all(1 <= float(k.detach()) <= 1e5 and float(k.detach()) != pytest.approx(50, abs=1e-4) for k in model.kappas)


def test_collapse_is_announced_while_training():
    x1, x2 = views(256)
    options = DisentangledOptions(**{**SMALL, "epochs": 6, "learning_rate": 1e-2}, beta=1.0, specific_epochs=1)
    with pytest.warns(CollapseWarning, match="Lower beta"):
        DisentangledSSL(options).fit(x1, x2)


def test_a_loss_that_is_not_finite_ends_the_training_with_advice():
    x1, x2 = views()
    with pytest.raises(RunError, match="lower the learning rate"):
        small(METHODS["dmvae"]).fit(x1 * 1e30, x2)


def test_every_step_ends_with_information_diagnostics_of_what_is_trained():
    history = fitted(DisentangledSSL).history
    shared = {"shared_information_lower_bound", "resultant_length_1", "resultant_length_2"}
    specific = {f"specific_{kind}_{number}" for kind in ("resultant_length", "shared_club", "shared_knn")
                for number in (1, 2)}
    assert [set(record["diagnostics"]) for record in history if "diagnostics" in record] == [shared, shared | specific]
    assert "diagnostics" in history[-1] and history[-1]["step"] == 2


def test_bad_views_are_refused_by_what_is_wrong_with_them():
    x1, x2 = views()
    holed = x1.copy()
    holed[7, 2] = np.nan
    model = small(DisentangledSSL)
    for first, second, message in [
        (holed, x2, "x1 must be finite: 1 rows hold NaN or infinity, the first is row 7"),
        (x1[:100], x2, "x1 has 100 rows, x2 has 128"),
        (x1[:20], x2[:20], "a minibatch holds 32 pairs and the views only 20"),
        (x1, np.ones_like(x2), "x2 is constant"),
        (x1[:, 0], x2, "got shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(first, second)
    with pytest.raises(ValueError, match="is not fitted"):
        model.transform(x1, x2)
    with pytest.raises(ValueError, match=r"expected inputs of shape \(N, 8\)"):
        fitted(DisentangledSSL).embed(0, x2)


@pytest.mark.parametrize("wrong", [{"beta": -1}, {"lambda": -1}, {"kappa": 1e9}, {"minibatch": 1}, {"bta": 1}])
def test_bad_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DisentangledOptions(**wrong)


def test_a_damaged_or_foreign_folder_is_refused(tmp_path):
    model = fitted(METHODS["clip"])
    model.save(tmp_path / "saved")
    with pytest.raises(RunError, match="holds the method 'clip', expected 'disentangled'"):
        DisentangledSSL.load(tmp_path / "saved")
    (tmp_path / "saved" / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(RunError, match="was changed"):
        METHODS["clip"].load(tmp_path / "saved")
    with pytest.raises(RunError, match="cannot be read"):
        DisentangledSSL.load(tmp_path / "nowhere")


def test_the_example_runs():
    assert doctest.testmod(two_views).failed == 0
