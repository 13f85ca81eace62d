import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from dssl_bio.errors import ConfigError
from dssl_bio.studies.two_views import (
    TwoViewsConfig,
    cross_modal_map,
    digits,
    mean_average_precision,
    two_views_study,
    wikipedia,
)


def test_mean_average_precision_agrees_with_scikit_learn_and_counts_ties_against_the_model():
    rng = np.random.default_rng(0)
    scores, right = rng.normal(size=(20, 30)), rng.random((20, 30)) < 0.3
    right[:, 0] = True
    expected = np.mean([average_precision_score(r, s) for r, s in zip(right, scores, strict=True)])
    assert mean_average_precision(scores, right) == pytest.approx(expected)
    assert mean_average_precision(np.zeros((1, 4)), np.array([[True, False, False, False]])) == 0.25


def test_random_codes_retrieve_at_the_frequency_of_the_class():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 5, 400)
    found = cross_modal_map(rng.normal(size=(400, 8)), rng.normal(size=(400, 8)), classes)
    assert found == pytest.approx([0.2, 0.2], abs=0.02)


def test_halves_of_digits_are_halves():
    (left, right, label), (test_left, _, _) = digits()
    assert left.shape == right.shape == (1437, 32) and test_left.shape == (360, 32)
    assert len(np.unique(label)) == 10


def test_study_reports_every_part_above_chance(tmp_path):
    config = TwoViewsConfig(epochs=6, seeds=(0,), methods=("disentangled", "clip"))
    found = two_views_study(config, tmp_path)
    ours, clip, raw, frequent = found.tables[0].rows
    assert all(float(str(cell)) > 0.5 for cell in ours[1:])
    assert clip[2] is None
    assert raw[3] > 0.8 and frequent[1] == pytest.approx(0.1, abs=0.02)
    assert [label for label, *_ in found.tables[1].rows] == ["disentangled", "clip", "raw features", "chance"]
    assert "Wikipedia was not run" in found.findings[-1]


def test_wikipedia_stands_beside_the_published_semantic_matching(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("tr", 300), ("te", 100)):
        y = rng.integers(0, 10, n)
        arrays |= {f"y_{part}": y + 1, f"I_{part}": np.eye(10)[y] + 0.3 * rng.normal(size=(n, 10)),
                   f"T_{part}": np.eye(10)[y] + 0.3 * rng.normal(size=(n, 10))}
    np.savez(tmp_path / "features.npz", **arrays)
    config = TwoViewsConfig(epochs=2, seeds=(0, 1), methods=("random_projection",), wikipedia=tmp_path / "features.npz")
    found = two_views_study(config, tmp_path / "out")
    table = found.tables[3]
    assert table.title == "wikipedia: cross-modal mAP by class"
    raw = next(row for row in table.rows if row[0] == "raw features")
    assert raw[3] > 0.5 and raw[7] == pytest.approx(raw[3] - 0.275) and raw[8] == pytest.approx(raw[4] - 0.242)
    method = table.rows[0]
    assert method[7] == pytest.approx(float(method[3].split()[0]) - 0.275, abs=6e-4)
    assert len(found.plots) == 2


def test_a_file_of_other_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "features.npz", a=np.ones(3))
    with pytest.raises(ConfigError, match="expected arrays I_tr"):
        wikipedia(tmp_path / "features.npz")
