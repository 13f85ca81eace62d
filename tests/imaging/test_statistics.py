import numpy as np
import pytest
from scipy.stats import skew

from dssl_bio.imaging.crops import resampled, tiles_of
from dssl_bio.imaging.statistics import site_statistics, texture_statistics


def test_statistics_of_a_known_site():
    site = np.zeros((1, 2, 8, 8), np.float32)
    site[0, 0, :, 4:] = 1
    site[0, 1] = 1 - site[0, 0]
    values, names = site_statistics(site, ("DNA", "ER"))
    row = dict(zip(names, values[0], strict=True))
    assert row["DNA_mean"] == row["DNA_std"] == 0.5
    assert row["DNA_ER_correlation"] == -1
    assert np.isclose(row["DNA_edges"], np.sqrt(8 / 56))


def test_tiles_cover_every_pixel_with_next_to_no_overlap():
    for shape in ((96, 96), (100, 300), (96, 191), (128, 128), (1080, 1080)):
        places = np.arange(2 * shape[0] * shape[1], dtype=np.float32).reshape(1, 2, *shape)
        tiles = tiles_of(np.concatenate([places, -places]), 96)
        first = tiles[: len(tiles) // 2]
        assert np.array_equal(np.unique(first), places.ravel())
        assert np.array_equal(tiles[len(first):], -first)
        assert all(64 <= length <= 144 for length in tiles.shape[2:])
        assert first.size <= 1.03 * places.size
    with pytest.raises(ValueError, match="smaller than a tile of 96"):
        tiles_of(np.zeros((1, 2, 95, 200), np.float32), 96)


def test_shrinking_keeps_the_mean_and_small_images_are_mirrored_up():
    site = np.random.default_rng(0).random((1, 3, 64, 64)).astype(np.float32)
    small = resampled(site, 0.5, 8)
    assert small.shape == (1, 3, 32, 32)
    assert np.allclose(small.mean((2, 3)), site.mean((2, 3)), atol=0.02)
    assert resampled(site, 1.0, 80).shape == (1, 3, 80, 80)
    assert resampled(site, 1.004, 10) is site


def test_textures_tell_sizes_apart_and_know_nothing_of_brightness():
    rng = np.random.default_rng(0)
    fine = rng.choice([0.2, 0.6], (1, 1, 32, 32)).astype(np.float32)
    coarse = rng.choice([0.2, 0.6], (1, 1, 8, 8)).repeat(4, 2).repeat(4, 3).astype(np.float32)
    (a, names), (b, _) = texture_statistics(fine, ("DNA",)), texture_statistics(coarse, ("DNA",))
    assert names == ["DNA_octave1", "DNA_octave2", "DNA_octave4", "DNA_octave8", "DNA_skewness"]
    assert a[0, 0] == pytest.approx(np.log(0.2 * np.sqrt(3) / 2), abs=0.05)  # means of 4 keep a quarter of the variance
    assert b[0, 0] < -8 and b[0, 1] < -8 and b[0, 2] > -2.5  # squares of 4 pixels show nothing below 4
    assert texture_statistics(fine + 0.3, ("DNA",))[0] == pytest.approx(a, abs=1e-4)
    skewed = fine**4
    assert texture_statistics(skewed, ("DNA",))[0][0, 4] == pytest.approx(float(skew(skewed.ravel())), abs=1e-4)
