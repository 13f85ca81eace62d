"""Tiles around nuclei: from the store of sites, at any pixel size, of unflagged sites, so many of a well."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from skimage.transform import resize

from dssl_bio.errors import RunError, ScreenError
from dssl_bio.imaging.crops import corners_at, even_squares
from dssl_bio.learning.config import ImageConfig
from dssl_bio.learning.fit import train
from dssl_bio.learning.phenotypes import ImagePhenotypes, phenotypes_of
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.build import build_bundle
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.screens.masks import open_layer
from dssl_bio.screens.screen import FLAGGED, Screen
from tests.retrieval.small_bundle import small_config
from tests.screens.plates_with_nuclei import screen_with_nuclei

TILE = 32


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return screen_with_nuclei(tmp_path_factory.mktemp("nuclei"))


def opened(screen, **settings):
    image = ImageConfig(tile_px=TILE, tiles="nuclei", **settings)
    found = phenotypes_of(screen, "images", image=image, seed=3)
    assert isinstance(found, ImagePhenotypes)
    return found


def by_hand(screen, site, top, left, size=TILE):
    """A tile of a stored site, scaled."""
    low, high = screen.images.limits(np.array([site]))[0].T[..., None, None]
    window = screen.images.sites[site][:, top:top + size, left:left + size].astype(np.float32)
    return np.clip((window - low) / (high - low), 0, screen.images.clipping.ceiling)


def test_squares_about_nuclei_lie_in_the_site_and_hold_their_centres():
    centres = np.array([[0.0, 0.0], [63.0, 31.5], [20.0, 40.0]])
    corners = corners_at(centres, 20, (64, 50))
    assert corners.tolist() == [[0, 0], [44, 22], [10, 30]]  # the last: 10.5 and 30.5 are rounded to even numbers
    assert ((corners <= centres) & (centres < corners + 20)).all()
    assert corners_at(centres, 100, (64, 50)).tolist() == [[0, 0]] * 3


def test_squares_that_cover_sites_leave_no_pixel_out():
    sites = np.arange(2 * 70 * 50, dtype=np.float32).reshape(2, 1, 70, 50)
    tiles = even_squares(sites, 32)
    assert tiles.shape == (2 * 3 * 2, 1, 32, 32)
    assert set(np.unique(tiles)) == set(sites.ravel().tolist())


def test_a_well_is_read_around_its_nuclei_and_one_without_whole(screen):
    phenotypes = opened(screen)
    pieces = dict(zip([1, 0], phenotypes.chunks(np.array([1, 0]), np.array([0, 1])), strict=True))
    tiles, owner = pieces[1]
    assert tiles.shape == (3, 5, TILE, TILE) and owner.tolist() == [0] * 3
    expected = [by_hand(screen, 1, *corner) for corner in ((0, 4), (24, 32), (18, 14))]
    np.testing.assert_allclose(tiles.numpy(), np.stack(expected), atol=1e-6)
    whole, _ = pieces[0]
    np.testing.assert_allclose(whole.numpy(), even_squares(phenotypes.read(np.array([0])), TILE))
    without = sum(site % 5 == 0 for site in range(64))
    assert f"tiles of 32 px (32 um) around {3 * (64 - without)} nuclei of masks" in phenotypes.tiles_words()
    assert f"{without} wells have none and are read whole" in phenotypes.tiles_words()


def test_training_draws_tiles_around_nuclei(screen):
    phenotypes = opened(screen)
    generator = np.random.default_rng(0)
    drawn = np.concatenate([phenotypes.sample(np.array([1, 0]), generator).numpy()[:1] for _ in range(20)])
    around = phenotypes.around(phenotypes.nuclei.of_well[1])
    which = [np.flatnonzero([np.array_equal(tile, known) for known in around]) for tile in drawn]
    assert sorted(np.unique(np.concatenate(which)).tolist()) == [0, 1, 2] and all(len(w) == 1 for w in which)


def test_a_well_gives_at_most_so_many_nuclei_and_the_seed_chooses_the_same_again(screen):
    few, all_of_them = opened(screen, nuclei_per_well=2), opened(screen, nuclei_per_well=0)
    chosen = {row: few.nuclei.object[numbers].tolist() for row, numbers in few.nuclei.of_well.items()}
    assert {len(objects) for objects in chosen.values()} == {2}
    assert {len(numbers) for numbers in all_of_them.nuclei.of_well.values()} == {3}
    assert len({tuple(objects) for objects in chosen.values()}) == 3
    again = opened(screen, nuclei_per_well=2).nuclei
    assert {row: again.object[numbers].tolist() for row, numbers in again.of_well.items()} == chosen


def test_nuclei_of_flagged_sites_are_left_out(screen):
    table = screen.images.table.copy()
    table["row"] = np.arange(len(table)) // 2  # two sites a well
    table[FLAGGED] = np.arange(len(table)) == 2
    flagged = replace(screen, images=replace(screen.images, table=table))
    found = opened(flagged).nuclei
    assert found.site[found.of_well[1]].tolist() == [3] * 3
    everything = opened(flagged, flagged_sites=True).nuclei
    assert everything.site[everything.of_well[1]].tolist() == [2] * 3 + [3] * 3


def test_tiles_have_the_pixel_size_that_is_asked_for(screen):
    phenotypes = opened(screen, pixel_size_um=0.5)
    assert phenotypes.zoom == 2 and "(16 um)" in phenotypes.tiles_words()
    tiles = phenotypes.around(phenotypes.nuclei.of_well[1])
    assert tiles.shape == (3, 5, TILE, TILE)
    small = by_hand(screen, 1, 26, 22, 16)
    np.testing.assert_allclose(tiles[2], resize(small, (5, TILE, TILE), order=1), atol=1e-5)
    larger_than_the_site = opened(screen, pixel_size_um=4.0)
    assert larger_than_the_site.around(np.array([0])).shape == (1, 5, TILE, TILE)


def test_masks_that_are_not_there_are_named(screen):
    with pytest.raises(ScreenError, match="no masks 'mine'; it has classical"):
        opened(screen, masks="mine")
    partial = open_layer(screen, "classical")
    facts = {**partial.facts, "plates": partial.facts["plates"][:1]}
    with pytest.raises(RunError, match="have none of 32 of 64 sites"):
        ImagePhenotypes(screen.images, TILE, 1.0, masks=replace(partial, facts=facts))


def test_a_model_of_nuclei_trains_is_indexed_and_says_so(screen, tmp_path):
    said = []
    image = {"tile_px": TILE, "width": 8, "blocks": 1, "tiles": "nuclei", "nuclei_per_well": 2}
    wells = screen.wells.assign(molecule_id=[f"M{n % 17}" if n % 4 else None for n in range(len(screen.wells))])
    smiles = [f"{'C' * (n + 1)}O" for n in range(17)]
    molecules = pd.DataFrame({"molecule_id": [f"M{n}" for n in range(17)], "Metadata_SMILES": smiles,
                              "Metadata_InChIKey": [f"M{n}" for n in range(17)]})
    many = replace(screen, wells=wells, molecules=molecules)
    train(many, small_config(image=image), tmp_path / "run", report=said.append)
    assert any("around" in line and "nuclei of masks classical" in line for line in said)
    run = Run.open(tmp_path / "run")
    build_bundle(run, many, tmp_path / "bundle", report=said.append)
    bundle = Bundle.open(tmp_path / "bundle")
    assert "nuclei of masks classical" in bundle.record["tiles"]
    phenotypes = run.phenotypes(many)
    assert phenotypes.nuclei is not None and max(map(len, phenotypes.nuclei.of_well.values())) == 2
    assert np.isfinite(bundle.vectors.shared).all() and isinstance(screen, Screen)
