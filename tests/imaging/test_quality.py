"""Quality measures on pictures whose faults are known, and channels that were exchanged on purpose."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dssl_bio.imaging.channel_order import MIN_SITES, signatures, suspected_swaps
from dssl_bio.imaging.quality import FLAGS, METRICS, Thresholds, blur_z, flags_of, focus, share_above, site_metrics
from dssl_bio.vocabulary import CHANNELS
from tests.screens.plates_of_discs import site


@pytest.fixture(scope="module")
def sites():
    generator = np.random.default_rng(0)
    return np.stack([np.stack([planes[channel] for channel in CHANNELS])
                     for planes in (site(generator, tilted=False) for _ in range(48))])


@pytest.fixture(scope="module")
def metrics(sites):
    return np.stack([site_metrics(one, one, 1.0, 65_535) for one in sites])


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_focus_falls_with_blur_in_every_channel_and_noise_does_not_hide_it(sites, sigma):
    noise = np.random.default_rng(1)
    blurred = np.stack([[gaussian_filter(plane.astype(float), sigma) + noise.normal(0, 8, plane.shape) for plane in one]
                        for one in sites[:8]]).clip(0, 65_535).astype(np.uint16)
    sharp = np.stack([focus(one, 1.0) for one in sites[:8]])
    dull = np.stack([focus(one, 1.0) for one in blurred])
    assert (np.median(dull, axis=0) < np.median(sharp, axis=0) - 0.1).all()


def test_focus_does_not_depend_on_brightness_or_offset(sites):
    bright = sites[0].astype(np.int64) * 3 + 500
    np.testing.assert_allclose(focus(bright.astype(np.uint16), 1.0), focus(sites[0], 1.0), atol=1e-3)


def test_metrics_are_what_they_are_called(sites, metrics):
    raw = sites[0].copy()
    raw[1, :16] = 65_535
    found = site_metrics(raw, sites[0], 1.0, 65_535)
    assert found[1, METRICS.index("saturated")] == pytest.approx(16 / 64)
    assert found[:, METRICS.index("mean")] == pytest.approx(sites[0].mean((1, 2)))
    for name in ("q0.05", "q0.5", "q0.99"):
        expected = np.quantile(sites[0].reshape(5, -1), float(name[1:]), axis=1)
        np.testing.assert_allclose(found[:, METRICS.index(name)], expected, rtol=1e-5)
    level = np.array([500, 400, 800, 2000, 320], np.float32)
    share = (sites > level[:, None, None]).mean((2, 3))
    np.testing.assert_allclose(share_above(metrics, level), share, atol=0.08)


def test_each_fault_gets_its_flag_and_others_none(sites, metrics):
    limits = np.stack([np.quantile(sites[:, c], (0.01, 0.997)) for c in range(5)]).astype(np.float32)
    assert flags_of(metrics, limits, CHANNELS) == [[]] * len(metrics)
    changed = metrics.copy()
    changed[3, :, METRICS.index("focus")] -= 1.5
    changed[4, 2, METRICS.index("focus")] -= 1.5  # one channel alone is a phenotype
    changed[5, 1, METRICS.index("saturated")] = 0.02
    changed[6, 3, METRICS.index("q0.99"):METRICS.index("q0.999") + 1] = 60_000
    changed[7, 0, :METRICS.index("mean")] = 320
    found = flags_of(changed, limits, CHANNELS)
    assert [found[i] for i in (3, 4, 5, 6, 7)] == [["blur"], [], ["saturation"], ["debris"], ["empty"]]
    assert sum(map(len, found)) == 4
    assert set(FLAGS) == {flag for flags in found for flag in flags}
    assert not any(flags_of(changed, limits, CHANNELS, Thresholds(1e9, 1, 1e9, 1, 0)))
    assert (blur_z(changed[:5]) == 0).all()  # too few sites to say what is usual


def test_exchanged_channels_are_found_and_no_others():
    """Each channel has levels of its own; they vary together from site to site, as staining and density do."""
    generator = np.random.default_rng(0)
    middles = generator.normal(0, 1, (5, 5))
    common, own = generator.normal(0, 0.3, (200, 1, 5)), generator.normal(0, 0.1, (200, 5, 5))
    looks = middles + common + own
    assert suspected_swaps(looks) == []
    looks[17, [1, 4]] = looks[17, [4, 1]]
    looks[90, [0, 2]] = looks[90, [2, 0]]
    looks[120] += 3.0  # a strong phenotype is far off both ways
    assert [tuple(swap) for swap in suspected_swaps(looks)] == [(17, 1, 4), (90, 0, 2)]
    assert suspected_swaps(looks[:MIN_SITES - 1]) == []


def test_signatures_tell_the_stains_of_a_site_apart(metrics):
    looks = signatures(metrics)
    between = looks.mean(0).std(0)
    within = looks.std(0).mean(0)
    assert (between[1:4] > within[1:4]).all()
