import pickle

import numpy as np
import pytest

from dssl_bio.errors import ConfigError
from dssl_bio.learning.methods import METHODS
from dssl_bio.studies.multibench import MultibenchConfig, multibench_study
from dssl_bio.studies.multibench_data import read_task


def task_file(folder, labels_of="common", name="sarcasm.pkl"):
    """MultiBench's layout: padded sequences whose steps carry a latent common to both views, and own ones."""
    rng = np.random.default_rng(0)
    data = {}
    for part, n in (("train", 320), ("valid", 40), ("test", 160)):
        common, own = rng.normal(size=(n, 1, 3)), rng.normal(size=(n, 1, 3))
        vision = np.concatenate([common, own], 2) + 0.1 * rng.normal(size=(n, 10, 6))
        text = np.concatenate([common, rng.normal(size=(n, 1, 4))], 2) + 0.1 * rng.normal(size=(n, 10, 7))
        for i, start in enumerate(rng.integers(0, 6, n)):
            vision[i, :start] = text[i, :start] = 0  # padded in front, as published
        latent = {"common": common, "vision": own}[labels_of]
        labels = np.where(latent[:, 0, :1] > 0, 1.0, -1.0)
        if name.startswith("mos"):  # sentiment, from -3 to 3
            labels = np.clip(latent[:, :, :1], -3, 3)
            text[0, 8, 0], vision[0, 9, 1] = -np.inf, np.nan  # as published
        data[part] = {"vision": vision, "audio": np.zeros((n, 10, 2)), "text": text, "labels": labels,
                      "id": np.array([f"clip {i}" for i in range(n)], dtype=object)}
    (folder / name).write_bytes(pickle.dumps(data, 2))
    return folder


def mimic_file(folder, labels_of="common", n=800):
    """MultiBench's im.pk: five facts, 24 hours of 12 measurements, 20 groups of diagnoses, mortality."""
    rng = np.random.default_rng(0)
    common, own, other = (rng.normal(size=(n, 2)) for _ in range(3))
    static = np.hstack([common, own, rng.normal(size=(n, 1))]) * [1, 10, 2, 3, 100] + 5
    series = np.hstack([common, other]) @ rng.normal(size=(4, 12))
    series = 50 + 20 * (series[:, None] + 0.3 * rng.normal(size=(n, 24, 12)))
    static[3, 1], series[5, 2, 7] = np.nan, np.inf
    groups = rng.integers(0, 2, (n, 20))
    groups[:, 7] = {"common": common, "static": own}[labels_of][:, 0] > 0
    data = {"ep_tdata": series, "adm_features_all": static, "adm_labels_all": rng.integers(0, 2, (n, 6)),
            "y_icd9": groups}
    (folder / "im.pk").write_bytes(pickle.dumps(data, 2))
    return folder


CONFIG = {"dim": 8, "hidden": 16, "minibatch": 64, "epochs": 15, "learning_rate": 3e-3, "seeds": (0,)}


@pytest.mark.parametrize("labels_of", ["common", "vision"])
def test_codes_know_the_label_where_it_lies(tmp_path, labels_of):
    config = MultibenchConfig(**CONFIG, methods=("disentangled",))
    found = multibench_study(config, task_file(tmp_path, labels_of), tmp_path / "out")
    _, shared, specific, both, *_ = found.tables[0].rows[0]
    if labels_of == "common":
        assert float(shared) > 0.85
    else:
        assert float(specific) > 0.7 and float(specific) > float(shared) + 0.05
    assert float(both) > 0.7
    assert found.findings == ["Run on: sarcasm.pkl.", "Not run, no file: mimic, mosei, mosi, ur-funny."]


@pytest.mark.parametrize("labels_of", ["common", "static"])
def test_diagnoses_are_known_to_the_code_they_depend_on(tmp_path, labels_of):
    config = MultibenchConfig(**{**CONFIG, "epochs": 8}, methods=("disentangled",))
    found = multibench_study(config, mimic_file(tmp_path, labels_of), tmp_path / "out")
    _, shared, specific, _, *_ = found.tables[0].rows[0]
    better, worse = (shared, specific) if labels_of == "common" else (specific, shared)
    assert float(better) > 0.85 and float(better) > float(worse) + 0.05


def test_stays_are_split_and_scaled_as_said(tmp_path):
    train, test = read_task(mimic_file(tmp_path) / "im.pk")
    assert (len(train[2]), len(test[2])) == (640, 80)
    assert train[0].shape == (640, 5) and test[1].shape == (80, 24, 12)
    assert np.allclose(train[0].mean(0), 0, atol=1e-4) and np.allclose(train[1].std((0, 1)), 1, atol=1e-3)
    assert abs(test[0].mean(0)).max() > 1e-3  # the test part has no say in the scale
    assert all(np.isfinite(x).all() for x in (*train, *test))


def test_every_method_reads_sequences_and_stands_beside_its_published_row(tmp_path):
    config = MultibenchConfig(**{**CONFIG, "epochs": 1})
    table = multibench_study(config, task_file(tmp_path, name="mosi_data.pkl"), tmp_path / "out").tables[0]
    rows = {row[0]: row for row in table.rows}
    assert set(METHODS) < set(rows)
    assert rows["factorcl"][4] == 0.5291 and rows["factorcl"][5] == pytest.approx(float(rows["factorcl"][3]) - 0.5291,
                                                                                  abs=6e-4)
    assert rows["FactorCL-SUP, published"][4] == 0.7069 and rows["CoMM, published"][4] == 0.675


def test_labels_are_read_as_published(tmp_path):
    (_, _, y), _ = read_task(task_file(tmp_path) / "sarcasm.pkl")
    assert set(y) == {0, 1}
    (vision, text, y), _ = read_task(task_file(tmp_path, name="mosi_data.pkl") / "mosi_data.pkl")
    assert 0.3 < y.mean() < 0.7 and np.isfinite(vision).all() and np.isfinite(text).all()


@pytest.mark.parametrize(("data", "message"), [
    ({"ep_tdata": np.ones((20, 24, 12)), "adm_features_all": np.ones((20, 5))}, "expected arrays adm_features_all"),
    ({"ep_tdata": np.ones((19, 24, 12)), "adm_features_all": np.ones((20, 5)), "y_icd9": np.ones((20, 20))},
     r"got \(20, 5\), \(19, 24, 12\)"),
    ({"ep_tdata": np.ones((20, 24, 12)), "adm_features_all": np.ones((20, 5)), "y_icd9": np.ones((20, 3))},
     "at least 10 stays and 8 groups"),
])
def test_another_layout_of_stays_is_refused(tmp_path, data, message):
    (tmp_path / "im.pk").write_bytes(pickle.dumps(data))
    with pytest.raises(ConfigError, match=message):
        read_task(tmp_path / "im.pk")


def test_another_layout_or_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds none of im.pk"):
        multibench_study(MultibenchConfig(), tmp_path, tmp_path / "out")
    (tmp_path / "humor.pkl").write_bytes(pickle.dumps({"train": {"vision": np.ones(3)}}))
    with pytest.raises(ConfigError, match="train: expected arrays vision, text and labels"):
        read_task(tmp_path / "humor.pkl")
