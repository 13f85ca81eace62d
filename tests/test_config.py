import pytest

from dssl_bio.config import read_toml, with_overrides
from dssl_bio.errors import ConfigError
from dssl_bio.learning.config import TrainConfig


def test_settings_reach_nested_keys_as_users_write_them():
    changed = with_overrides(TrainConfig(), ["specific.lambda=5", "step_1.epochs=3", "split.method=scaffold", "seed=4"])
    assert (changed.specific.lambda_, changed.step_1.epochs, changed.seed) == (5, 3, 4)
    assert changed.split.method == "scaffold"
    assert changed.step_2 == TrainConfig().step_2


@pytest.mark.parametrize(("setting", "message"), [
    ("specific.lamda=1", "unknown key 'specific.lamda'; did you mean 'lambda'. Known keys: lambda, penalty"),
    ("step1.epochs=3", "no section 'step1'"), ("seed", "expects key=value"),
    ("step_1.epochs=0.5", "step_1.epochs.*got 0.5"), ("specific.lambda=-1", "specific.lambda.*greater than or equal"),
    ("seed=-1", "seed.*greater than or equal to 0"), ("split.fractions=[0,0,1]", "leave a share to train on"),
])
def test_a_setting_that_does_not_fit_is_answered_with_what_would(setting, message):
    with pytest.raises(ConfigError, match=message.replace("?", ".")):
        with_overrides(TrainConfig(), [setting])


def test_both_steps_left_out_is_nothing_to_train():
    for setting in ("step_1.epochs=0", "step_2.epochs=0"):
        with_overrides(TrainConfig(), [setting])
    with pytest.raises(ConfigError, match="nothing to train"):
        with_overrides(TrainConfig(), ["step_1.epochs=0", "step_2.epochs=0"])


def test_a_file_of_settings_is_read_or_refused_with_its_name(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('seed = 7\n[specific]\nlambda = 0.5\n')
    assert read_toml(path, TrainConfig).specific.lambda_ == 0.5
    for text, message in (("sed = 7", "mine.toml: unknown key 'sed'; did you mean 'seed'"),
                          ("seed = ", "mine.toml cannot be read as TOML")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_toml(path, TrainConfig)
    with pytest.raises(ConfigError, match="no such file"):
        read_toml(tmp_path / "none.toml", TrainConfig)
