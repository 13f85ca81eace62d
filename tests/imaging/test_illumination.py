"""Illumination against the simulator's known field, and against fields that a test draws itself."""

import numpy as np
import pytest

from dssl_bio.errors import ImageError
from dssl_bio.imaging.illumination import MIN_SITES, Corrector, estimated, given, none, residual, sample_of
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.microscope import _field
from dssl_bio.screens.simulate.molecules import draw_molecules
from dssl_bio.screens.simulate.plates import draw_wells
from dssl_bio.screens.simulate.render import render
from dssl_bio.vocabulary import CHANNELS


def spots(n, shape=(64, 64), seed=0):
    """Sites (n, 2, H, W) of bright discs, everywhere as many, on a dim ground."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:shape[0], :shape[1]]
    sites = np.full((n, 2, *shape), 50.0)
    for site in sites:
        for _ in range(12):
            top, left = generator.integers(-6, shape[0] + 6), generator.integers(-6, shape[1] + 6)
            site[:, (y - top) ** 2 + (x - left) ** 2 < 36] = generator.uniform(600, 1000)
    return sites


def tilted(shape, slope):
    field = 1 + slope * np.linspace(-1, 1, shape[1])[None, :] * np.ones((shape[0], 1))
    return field / field.mean()


def test_a_tilt_is_found_and_taken_away_and_an_offset_is_not_taken_for_light():
    shape, offset = (64, 64), 300
    field = np.stack([tilted(shape, 0.3), tilted(shape, -0.15)])
    truth = spots(80)
    seen = (offset + truth * field).astype(np.uint16)
    found = estimated(seen)
    full = 1 / found.corrector(shape).gain
    assert np.abs(full / field - 1).max() < 0.08
    np.testing.assert_allclose(found.dark, offset, atol=60)
    corrected = np.stack([found.corrector(shape)(site) for site in seen])
    assert np.sqrt(np.mean((corrected / (offset + truth) - 1) ** 2)) < 0.02
    assert (residual(corrected) < 0.15 * residual(seen)).all()
    np.testing.assert_allclose(found.unevenness, field.std((1, 2)), atol=0.02)


def test_even_light_is_left_alone():
    found = estimated(spots(60, seed=1).astype(np.uint16))
    assert found.unevenness.max() < 0.02


def test_with_little_to_go_by_little_is_done():
    """One bright spot a site: what is estimated is where the spots happened to be."""
    generator = np.random.default_rng(0)
    seen = generator.poisson(100, (MIN_SITES, 1, 32, 32)).astype(np.uint16)
    for site in seen:
        top, left = generator.integers(0, 24, 2)
        site[0, top:top + 8, left:left + 8] += 5000
    found = estimated(seen)
    assert found.unevenness.max() < found.uncertainty.max()
    assert estimated(seen[:MIN_SITES - 1]) is None


def test_the_residual_of_a_simulated_plate_is_under_three_percent():
    """The field is known exactly; the same code as in an ingest sees only pictures."""
    config = SimulationConfig(seed=2, n_molecules=48, site_px=128, sites_per_well=1)
    wells = [well for well in draw_wells(config, draw_molecules(config)) if well.plate.number == 0]
    sites = np.stack([render(well.site(config, 0), well.effect()).pixels for well in wells])
    assert len(sites) > 90
    found = estimated(np.stack([sample_of(site) for site in sites]))
    full = 1 / found.corrector((128, 128)).gain
    truth = np.stack([_field(light, (128, 128)) for light in wells[0].exposure.illumination])
    left = full / truth
    left = left / left.mean((1, 2), keepdims=True)
    before = (truth / truth.mean((1, 2), keepdims=True)).std((1, 2))

    assert len(left) == len(CHANNELS)
    assert (left.std((1, 2)) < 0.03).all()
    assert left.std((1, 2)).mean() < 0.5 * before.mean()


def test_functions_are_given_in_files_and_checked(tmp_path):
    shape = (6, 8)
    np.save(tmp_path / "a.npy", tilted(shape, 0.5))
    found = given([tmp_path / "a.npy"], ("DNA",), shape)
    site = (1000 * tilted(shape, 0.5)[None]).astype(np.uint16)
    assert np.ptp(found.corrector(shape)(site)) <= 2
    np.save(tmp_path / "size.npy", np.ones((6, 9)))
    np.save(tmp_path / "zero.npy", np.zeros(shape))
    np.save(tmp_path / "text.npy", np.full(shape, "x"))
    np.save(tmp_path / "objects.npy", np.full(shape, None), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:100])
    for name, words in (("size", "is 6 x 9 of float64, expected numbers for 6 x 8"), ("zero", "not positive"),
                        ("text", "expected numbers"), ("objects", "cannot be read"), ("cut", "cannot be read"),
                        ("gone", "cannot be read")):
        with pytest.raises(ImageError, match=rf"{name}.npy: illumination of channel DNA.*{words}"):
            given([tmp_path / f"{name}.npy"], ("DNA",), shape)


def test_no_correction_changes_nothing_and_corrections_are_cut_off():
    site = np.random.default_rng(0).integers(0, 65_535, (2, 5, 7)).astype(np.uint16)
    np.testing.assert_array_equal(none(2).corrector((5, 7))(site), site)
    bright = Corrector(np.full((2, 5, 7), 4, np.float32), np.zeros((2, 1, 1), np.float32))
    assert bright(site).max() == 65_535
