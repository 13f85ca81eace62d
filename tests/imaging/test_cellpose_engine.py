import json
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
from skimage.measure import label

from dssl_bio.errors import ConfigError
from dssl_bio.imaging import cellpose_engine
from dssl_bio.imaging.cellpose_engine import (
    CellposeFinder,
    CellposeTraining,
    learning_rate_factor,
    require_checksum,
    train_small,
    weights_path,
)
from dssl_bio.imaging.cellpose_weights import load_weights, save_weights
from dssl_bio.imaging.scores import pooled, scores_at
from dssl_bio.imaging.segmentation import network_input, paired

PLAN = CellposeTraining(steps=2, minibatch=2, crop_px=64, widths=(8, 16))


def fields(n, seed=0, side=96):
    """Soft disks of 18 to 26 pixels on noise, on the scale of network inputs."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    pictures, masks = [], []
    for _ in range(n):
        labels, light = np.zeros((side, side), np.int32), np.zeros((side, side))
        for number, (cy, cx) in enumerate(((24, 24), (24, 70), (70, 24), (70, 70)), start=1):
            cy, cx = cy + generator.integers(-6, 7), cx + generator.integers(-6, 7)
            inside = (y - cy) ** 2 + (x - cx) ** 2 < generator.integers(9, 14) ** 2
            labels[inside], light[inside] = number, generator.uniform(0.5, 1.0)
        noisy = light + generator.normal(0.1, 0.05, light.shape)
        pictures.append(np.stack([noisy, np.zeros_like(noisy)]).astype(np.float32))
        masks.append(labels)
    return pictures, masks


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    pytest.importorskip("cellpose", reason="the extra cellpose is not installed")
    path = tmp_path_factory.mktemp("weights") / "nuclei.safetensors"
    save_weights(path, train_small(*fields(6), 0.65, "nuclei", PLAN))
    return path


@pytest.mark.slow
def test_a_network_trained_for_a_minute_finds_disks_it_never_saw(tmp_path):
    pytest.importorskip("cellpose", reason="the extra cellpose is not installed")
    plan = CellposeTraining(steps=150, minibatch=4, crop_px=96, widths=(8, 16), learning_rate=0.01)
    save_weights(tmp_path / "nuclei", train_small(*fields(6), 0.65, "nuclei", plan))
    finder = CellposeFinder(tmp_path / "nuclei", gpu=False)
    pictures, masks = fields(4, seed=9)
    scores = pooled(scores_at(finder.find(p, 0.65), m) for p, m in zip(pictures, masks, strict=True))
    assert scores[0.5].f1 > 0.8


def test_a_network_that_was_saved_runs_again(weights):
    finder = CellposeFinder(weights, gpu=False)
    assert finder.target == "nuclei" and finder.diameter_um == pytest.approx(0.65 * 22, rel=0.2)
    assert finder.find(np.zeros((2, 64, 72), np.float32), 0.65).shape == (64, 72)


def test_weights_that_were_changed_or_lost_their_record_are_refused(weights, tmp_path):
    assert load_weights(weights).widths == (8, 16, 256)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    with pytest.raises(ConfigError, match="no copy.safetensors.json beside it"):
        load_weights(copy)
    record = json.loads((weights.parent / "nuclei.safetensors.json").read_text())
    assert record["made_from"]["objects"] == 24 and record["made_from"]["steps"] == PLAN.steps
    beside = tmp_path / "copy.safetensors.json"
    beside.write_text(json.dumps({**record, "sha256": "0" * 64}))
    with pytest.raises(ConfigError, match="checksum differs"):
        CellposeFinder(copy)
    for text in ("{", json.dumps({**record, "schema_version": 9})):
        beside.write_text(text)
        with pytest.raises(ConfigError, match="damaged|schema version"):
            load_weights(copy)


def test_a_file_of_cellposes_own_opens_only_by_its_checksum(tmp_path):
    path = tmp_path / "cyto3"
    path.write_bytes(b"anything")
    with pytest.raises(ConfigError, match="--weights-sha256 [0-9a-f]{64}"):
        require_checksum(path, None)
    with pytest.raises(ConfigError, match="not the expected file"):
        require_checksum(path, "0" * 64)
    require_checksum(path, "SHA256:" + "ee0874170b7f6f32b8c2ac9573c428d35b575270a66b757c2c0185d2bd09718d".upper())


def test_a_model_name_is_looked_up_and_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="neither a file nor a model"):
        weights_path("nuclei")
    (tmp_path / "nuclei").write_bytes(b"x")
    assert weights_path("nuclei") == tmp_path / "nuclei"


def test_version_4_reads_three_channels_and_trains_nothing(tmp_path, monkeypatch):
    """Cellpose 4 needs weights of 1.2 GB: its model is replaced by one that writes down what it is asked."""
    asked = {}

    class Model:
        def eval(self, picture, **settings):
            asked.update(settings, shape=picture.shape)
            return np.ones(picture.shape[1:], int), None, None

    monkeypatch.setattr(cellpose_engine, "version", lambda _: "4.2.1")
    monkeypatch.setattr(cellpose_engine, "_own_model", lambda path, main, device: Model())
    (tmp_path / "cpsam").write_bytes(b"anything")
    finder = CellposeFinder(tmp_path / "cpsam", "ee0874170b7f6f32b8c2ac9573c428d35b575270a66b757c2c0185d2bd09718d",
                            diameter_um=15.0)
    assert finder.find(np.zeros((2, 8, 9), np.float32), 0.5).max() == 1
    assert asked == {"shape": (3, 22, 23), "channel_axis": 0, "diameter": 30.0, "normalize": False,
                     "min_size": 40}
    with pytest.raises(ConfigError, match="cannot be trained from scratch"):
        train_small(*fields(1), 0.65, "nuclei", PLAN)


def test_pictures_are_mirrored_at_their_border_and_slivers_of_the_mirror_are_dropped(weights):
    finder = CellposeFinder(weights, gpu=False)
    seen = []

    class Model:
        def eval(self, picture, **settings):
            seen.append(picture)
            return label(picture[0] > 0.5), None, None

    finder._model = Model()
    picture = np.zeros((2, 60, 70), np.float32)
    picture[0, :5, 20:30] = picture[0, 30:40, 30:40] = 1.0
    picture[0, 50, 60:62] = 1.0  # two pixels, below any object's size
    found = finder.find(picture, 0.65)
    margin = (seen[0].shape[1] - 60) // 2
    assert margin == np.ceil(finder.diameter_um / 0.65 / 2) and seen[0].shape == (2, 60 + 2 * margin, 70 + 2 * margin)
    assert (seen[0][:, :margin] == seen[0][:, margin + 1:2 * margin + 1][:, ::-1]).all()
    assert found.shape == (60, 70) and found.max() == 2 and ((found > 0) == (picture[0] > 0))[:50].all()
    assert not found[50].any()


def test_without_cellpose_the_message_says_how_to_get_it(monkeypatch):
    def missing(_):
        raise PackageNotFoundError

    monkeypatch.setattr(cellpose_engine, "version", missing)
    with pytest.raises(ConfigError, match=r"pip install 'dssl-bio\[cellpose\]'"):
        cellpose_engine.cellpose_version()
    monkeypatch.setattr(cellpose_engine, "version", lambda _: "2.0")
    with pytest.raises(ConfigError, match="versions 3 and 4"):
        cellpose_engine.cellpose_version()


def test_training_ends_with_its_time_and_needs_objects():
    pytest.importorskip("cellpose", reason="the extra cellpose is not installed")
    pictures, masks = fields(2)
    network = train_small(pictures, masks, 0.65, "nuclei", PLAN.model_copy(update={"steps": 10_000,
                                                                                  "max_cpu_minutes": 0.01}))
    assert 0 < network.made_from["steps"] < 200
    with pytest.raises(ConfigError, match="none of 2 masks holds an object"):
        train_small(pictures, [m * 0 for m in masks], 0.65, "nuclei", PLAN)


def test_equal_seeds_train_equal_networks():
    pytest.importorskip("cellpose", reason="the extra cellpose is not installed")
    plan = PLAN.model_copy(update={"steps": 3})
    first, second = (train_small(*fields(2), 0.65, "nuclei", plan).tensors for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_learning_rate_rises_and_falls_to_nothing():
    assert learning_rate_factor(0) < 0.05 and learning_rate_factor(0.03) > 0.99 and learning_rate_factor(1) < 1e-9


def test_inputs_are_roots_on_the_scale_of_the_plate():
    site = np.stack([np.full((4, 4), value, np.uint16) for value in (400, 100, 900)])
    limits = np.array([[0, 400], [0, 400], [0, 900]], np.float32)
    nuclei = network_input(site, limits, ("DNA", "RNA", "AGP"), "nuclei")
    cells = network_input(site, limits, ("DNA", "RNA", "AGP"), "cells")
    assert (nuclei[0] == 1).all() and not nuclei[1].any()
    assert cells[0] == pytest.approx(np.sqrt((0.25 + 1) / 2)) and (cells[1] == 1).all()


def test_cells_take_the_numbers_of_their_nuclei():
    nuclei, cells = np.zeros((6, 12), np.int32), np.zeros((6, 12), np.int32)
    nuclei[1:3, 1:3], nuclei[4, 1], nuclei[1:4, 8:10] = 1, 2, 3
    cells[0:6, 0:5], cells[0:5, 7:11], cells[5, 11] = 8, 4, 6
    found = paired(nuclei, cells)
    assert (found[0:6, 0:5] == 1).all() and (found[0:5, 7:11] == 3).all() and found[5, 11] == 0
    assert 2 not in found
