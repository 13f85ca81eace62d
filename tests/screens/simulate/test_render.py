from dataclasses import fields, replace

import numpy as np
import pytest

from dssl_bio.screens.simulate.cells import seed_cells
from dssl_bio.screens.simulate.mechanisms import MECHANISMS
from dssl_bio.screens.simulate.microscope import Exposure
from dssl_bio.screens.simulate.morphology import SHARES, UNTREATED, Morphology, hill, response
from dssl_bio.screens.simulate.render import NO_EFFECT, Effect, SiteState, render
from dssl_bio.vocabulary import CHANNELS

EXPOSURE = Exposure(stain=(1.0,) * 5, background=(260.0,) * 5, illumination=((0.0, 0.0, 0.05),) * 5, focus_um=0.9)
SITE = SiteState(seed=(1, 2), size_px=96, pixel_size_um=1.3, cells_per_mm2=600.0, exposure=EXPOSURE)
SITES = [replace(SITE, seed=(1, k)) for k in range(6)]


def _pixels(effect, sites=SITES):
    return np.stack([render(site, effect).pixels for site in sites]).astype(float)


def test_a_site_is_five_channels_of_counts_with_room_below_saturation():
    pixels = render(SITE, NO_EFFECT).pixels
    assert pixels.shape == (len(CHANNELS), 96, 96) and pixels.dtype == np.uint16
    assert pixels.max() < 65535 and pixels.min() > 100


def test_rendering_is_a_pure_function():
    effect = Effect("HDAC inhibitor", 0.7)
    first = render(SITE, effect).pixels
    render(SITES[3], NO_EFFECT)
    np.testing.assert_array_equal(first, render(SITE, effect).pixels)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_no_strength_is_no_effect_and_full_strength_is_one(mechanism):
    np.testing.assert_array_equal(render(SITE, Effect(mechanism, 0.0)).pixels, render(SITE, NO_EFFECT).pixels)
    change = np.abs(_pixels(Effect(mechanism, 0.95)) - _pixels(NO_EFFECT)).mean(axis=(0, 2, 3))
    noise = 25.0
    assert change.max() > 2 * noise


def test_the_same_cells_stand_in_both_pictures_of_a_counterfactual():
    """A glucocorticoid kills nothing and leaves nuclei alone, so they stay where they are."""
    untreated = render(SITE, NO_EFFECT).pixels[0].ravel()
    treated = render(SITE, Effect("glucocorticoid receptor agonist", 0.9)).pixels[0].ravel()
    assert np.corrcoef(untreated, treated)[0, 1] > 0.9
    other_well = render(SITES[1], NO_EFFECT).pixels[0].ravel()
    assert abs(np.corrcoef(untreated, other_well)[0, 1]) < 0.4


def test_mechanisms_change_what_they_change_in_life():
    dna, er, rna, agp, mito = range(5)
    untreated = _pixels(NO_EFFECT)

    def brightness(mechanism, channel):
        signal = _pixels(Effect(mechanism, 0.95))[:, channel] - 460
        return signal[signal > 300].mean() / (untreated[:, channel] - 460)[untreated[:, channel] > 760].mean()

    assert brightness("ER stress inducer", er) > 1.3
    assert brightness("mitochondrial uncoupler", mito) < 0.75
    assert brightness("CDK inhibitor", rna) < 0.8
    assert brightness("HDAC inhibitor", dna) < 0.85


def test_more_strength_never_brings_cells_back():
    counts = [sum(render(site, Effect("topoisomerase inhibitor", s)).n_cells for site in SITES)
              for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert counts == sorted(counts, reverse=True) and counts[-1] < 0.75 * counts[0]


def test_cell_loss_is_of_the_effect_and_density_of_the_site():
    assert Effect("topoisomerase inhibitor", 0.5).cell_loss == pytest.approx(
        MECHANISMS["topoisomerase inhibitor"].effect.cell_loss / 2)
    assert NO_EFFECT.cell_loss == 0
    dense = replace(SITE, cells_per_mm2=1200.0)
    assert render(dense, NO_EFFECT).n_cells > render(SITE, NO_EFFECT).n_cells


def test_a_field_without_cells_is_background():
    pixels = render(replace(SITE, cells_per_mm2=1e-9), Effect("topoisomerase inhibitor", 1.0)).pixels
    assert pixels.mean() < 6000


def test_seeding_follows_the_density():
    n = [len(seed_cells(150.0, 500.0, np.random.default_rng(k))) for k in range(200)]
    expected = 500e-6 * (150 + 2 * 26) ** 2
    assert np.mean(n) == pytest.approx(expected, abs=4 * np.sqrt(expected / 200))


def test_response_is_exact_at_both_ends_and_monotonic_between():
    for mechanism in MECHANISMS.values():
        values = response(mechanism.effect, np.array([0.0, 0.3, 0.6, 1.0], np.float32))
        for field in fields(Morphology):
            start, *_, end = values[field.name]
            assert start == np.float32(getattr(UNTREATED, field.name))
            assert end == pytest.approx(getattr(mechanism.effect, field.name), rel=1e-5, abs=1e-6)
            steps = np.diff(values[field.name])
            assert (steps >= -1e-6).all() or (steps <= 1e-6).all()
            if field.name in SHARES:
                assert 0 <= start <= 1 and 0 <= end <= 1


def test_half_of_the_effect_is_at_the_ec50():
    assert hill(0.3, 0.3) == pytest.approx(0.5)
    assert hill(30.0, 0.3) > 0.99 and hill(0.003, 0.3) < 0.01
