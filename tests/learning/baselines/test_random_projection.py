import numpy as np
import pytest

from dssl_bio.learning.baselines.random_projection import RandomProjection
from dssl_bio.learning.two_view_method import MethodOptions


def test_squared_distances_are_kept_in_the_mean_and_nothing_is_trained():
    rng = np.random.default_rng(0)
    x1, x2 = rng.normal(size=(64, 30)), rng.normal(size=(64, 20))
    model = RandomProjection(MethodOptions(dim=400, minibatch=32)).fit(x1, x2)
    assert model.history == []
    for modality, x in enumerate((x1, x2)):
        for code in model.read(modality, x):
            ratio = ((code[1:] - code[0]) ** 2).sum(1) / ((x[1:] - x[0]) ** 2).sum(1)
            assert ratio.mean() == pytest.approx(1, abs=0.1) and ratio.std() < 0.2
    assert not np.allclose(*model.read(0, x1))  # shared and specific are two projections
