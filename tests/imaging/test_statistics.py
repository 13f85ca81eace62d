import numpy as np

from dssl_bio.imaging.crops import resampled, tile_corners
from dssl_bio.imaging.statistics import site_statistics


def test_statistics_of_a_known_site():
    site = np.zeros((1, 2, 8, 8), np.float32)
    site[0, 0, :, 4:] = 1
    site[0, 1] = 1 - site[0, 0]
    values, names = site_statistics(site, ("DNA", "ER"))
    row = dict(zip(names, values[0], strict=True))
    assert row["DNA_mean"] == row["DNA_std"] == 0.5
    assert row["DNA_ER_correlation"] == -1
    assert np.isclose(row["DNA_edges"], np.sqrt(8 / 56))


def test_tiles_cover_every_pixel_and_stay_inside():
    for shape in ((96, 96), (100, 300), (96, 191)):
        covered = np.zeros(shape, bool)
        for y, x in tile_corners(shape, 96):
            assert 0 <= y <= shape[0] - 96
            assert 0 <= x <= shape[1] - 96
            covered[y:y + 96, x:x + 96] = True
        assert covered.all()


def test_shrinking_keeps_the_mean_and_small_images_are_mirrored_up():
    site = np.random.default_rng(0).random((1, 3, 64, 64)).astype(np.float32)
    small = resampled(site, 0.5, 8)
    assert small.shape == (1, 3, 32, 32)
    assert np.allclose(small.mean((2, 3)), site.mean((2, 3)), atol=0.02)
    assert resampled(site, 1.0, 80).shape == (1, 3, 80, 80)
    assert resampled(site, 1.004, 10) is site
