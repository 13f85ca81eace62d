import pickle

import numpy as np
import pytest

from dssl_bio.errors import ConfigError
from dssl_bio.studies.multibench import MultibenchConfig, multibench_study, read_task


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
        data[part] = {"vision": vision, "audio": np.zeros((n, 10, 2)), "text": text, "labels": labels,
                      "id": np.array([f"clip {i}" for i in range(n)], dtype=object)}
    (folder / name).write_bytes(pickle.dumps(data, 2))
    return folder


@pytest.mark.parametrize("labels_of", ["common", "vision"])
def test_codes_know_the_label_where_it_lies(tmp_path, labels_of):
    config = MultibenchConfig(dim=8, hidden=16, minibatch=64, epochs=25, learning_rate=3e-3, seeds=(0,),
                              methods=("disentangled",))
    found = multibench_study(config, task_file(tmp_path, labels_of), tmp_path / "out")
    _, shared, specific, both = found.tables[0].rows[0]
    if labels_of == "common":
        assert float(shared) > 0.85
    else:
        assert float(specific) > 0.7 and float(specific) > float(shared) + 0.05
    assert float(both) > 0.7
    assert "Not run, no file: mosi, mosei, ur-funny" in found.findings[0]


def test_labels_are_read_as_published(tmp_path):
    (_, _, y), _ = read_task(task_file(tmp_path) / "sarcasm.pkl")
    assert set(y) == {0, 1}


def test_another_layout_or_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds none of mosi_raw.pkl"):
        multibench_study(MultibenchConfig(), tmp_path, tmp_path / "out")
    (tmp_path / "humor.pkl").write_bytes(pickle.dumps({"train": {"vision": np.ones(3)}}))
    with pytest.raises(ConfigError, match="expected arrays vision, text and labels below 'train'"):
        read_task(tmp_path / "humor.pkl")
