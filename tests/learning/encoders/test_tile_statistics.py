import numpy as np
import pytest
import torch

from dssl_bio.imaging.statistics import site_statistics
from dssl_bio.learning.encoders.phenotype_cnn import SCALES, CnnTrunk, tile_statistics

CHANNELS = ("DNA", "ER", "AGP")


@pytest.fixture(scope="module")
def tiles():
    generator = np.random.default_rng(0)
    return generator.gamma(2, 0.2, (4, 3, 24, 24)).astype(np.float32)


def test_tile_statistics_are_those_of_the_images(tiles):
    found = tile_statistics(torch.from_numpy(tiles)).numpy()
    values, names = site_statistics(tiles, CHANNELS)
    expected = dict(zip(names, values.T, strict=True))
    assert found.shape == (4, 3 + 2 * 3 * SCALES + 3)
    for number, channel in enumerate(CHANNELS):
        assert np.allclose(found[:, number], expected[f"{channel}_mean"], atol=1e-5)
        assert np.allclose(np.exp(found[:, 3 + number]), expected[f"{channel}_std"], rtol=2e-3)  # n - 1 there, n here
        assert np.allclose(np.exp(found[:, 6 + number]), expected[f"{channel}_edges"], rtol=1e-4)
    pairs = ("DNA_ER", "DNA_AGP", "ER_AGP")
    assert np.allclose(found[:, -3:].T, [expected[f"{pair}_correlation"] for pair in pairs], atol=1e-4)


def test_tile_statistics_of_a_gain_are_shifts_and_nothing_is_lost_on_black(tiles):
    one, twice = tile_statistics(torch.from_numpy(tiles)), tile_statistics(2 * torch.from_numpy(tiles))
    assert torch.allclose(twice[:, 3:-3] - one[:, 3:-3], torch.full((), np.log(2)), atol=1e-4)
    assert torch.allclose(twice[:, -3:], one[:, -3:], atol=1e-4)
    assert torch.isfinite(tile_statistics(torch.zeros(1, 3, 24, 24))).all()


def test_a_frozen_cnn_is_constant_and_a_training_one_standardises(tiles):
    torch.manual_seed(0)
    trunk = CnnTrunk(3, width=8, blocks=2)
    inputs = torch.from_numpy(tiles)
    features = trunk.train()(inputs)
    assert features.shape == (4, trunk.out_features)
    assert torch.allclose(features.mean(0), torch.zeros(trunk.out_features), atol=1e-4)
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    together = trunk.eval()(inputs)
    alone = torch.cat([trunk(tile[None]) for tile in inputs])
    assert torch.allclose(together, alone, atol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in trunk.state_dict().items())
