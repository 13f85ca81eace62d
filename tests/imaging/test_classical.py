import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dssl_bio.imaging.classical import find_cells, find_nuclei
from dssl_bio.imaging.scores import scores_at
from dssl_bio.imaging.segmentation import ClassicalEngine, ClassicalSettings
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.molecules import draw_molecules
from dssl_bio.screens.simulate.plates import draw_wells
from dssl_bio.screens.simulate.render import render
from dssl_bio.vocabulary import CHANNELS

PIXEL_UM = 0.65


def disks(centres, radius_px=12, side=160, brightness=None, seed=0):
    """A field of soft disks with camera noise, and their true labels."""
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), int)
    light = np.zeros((side, side))
    for number, (cy, cx) in enumerate(centres, start=1):
        inside = (y - cy) ** 2 + (x - cx) ** 2 < radius_px**2
        labels[inside] = number
        light[inside] = 800 if brightness is None else brightness[number - 1]
    noise = np.random.default_rng(seed).normal(0, 8, light.shape)
    return (140 + gaussian_filter(light, 1.0) + noise).clip(0).astype(np.uint16), labels


def test_disks_are_found_with_their_outlines():
    picture, truth = disks([(30, 30), (30, 110), (90, 60), (130, 130)])
    scores = scores_at(find_nuclei(picture, PIXEL_UM), truth)
    assert scores[0.9].matched == 4 and scores[0.9].spurious == 0


def test_touching_disks_are_split():
    picture, truth = disks([(60, 50), (60, 72), (81, 61)])
    assert scores_at(find_nuclei(picture, PIXEL_UM), truth)[0.7].matched == 3


def test_dim_and_bright_nuclei_and_glaring_debris_in_one_field():
    picture, truth = disks([(30, 30), (30, 110), (100, 40), (120, 120)], brightness=[300, 1000, 500, 250])
    picture[70:76, 70:76] = 60_000
    found = find_nuclei(picture, PIXEL_UM)
    assert scores_at(found, truth)[0.7].matched == 4


def test_an_empty_field_stays_empty():
    noise = np.random.default_rng(0).normal(140, 8, (160, 160)).astype(np.uint16)
    assert not find_nuclei(noise, PIXEL_UM).any()
    assert not find_nuclei(np.full((64, 64), 200, np.uint16), PIXEL_UM).any()


def test_cells_grow_from_their_nuclei_and_keep_their_numbers():
    nuclei = np.zeros((120, 120), np.int32)
    nuclei[40:50, 30:40], nuclei[40:50, 80:90] = 1, 2
    ground = np.full((120, 120), 0.02, np.float32)
    ground[25:70, 10:110] = 1.0
    ground[25:70, 58:60] = 0.4  # a seam between two cells
    cells = find_cells(nuclei, ground, 1.0)
    assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()
    assert (cells[30:65, 15:57] == 1).all() and (cells[30:65, 61:105] == 2).all()
    assert not cells[:20].any()


def test_nuclei_and_cells_of_simulated_sites():
    """Held against the simulator's truth; cells without a nucleus in the field are not to be found."""
    config = SimulationConfig(seed=21, n_molecules=32)
    totals = {"nuclei": None, "cells": None}
    engine = ClassicalEngine(CHANNELS, config.pixel_size_um, ClassicalSettings())
    for well in draw_wells(config, draw_molecules(config))[:24]:
        site = render(well.site(config, 0), well.effect())
        low, high = np.percentile(site.pixels.reshape(5, -1), (1, 99.7), axis=1)
        found = engine.find(site.pixels, np.stack([low, high], 1).astype(np.float32))
        truth = {"nuclei": site.nuclei,
                 "cells": np.where(np.isin(site.cells, np.unique(site.nuclei[site.nuclei > 0])), site.cells, 0)}
        for target in totals:
            scores = scores_at(getattr(found, target), truth[target])[0.5]
            totals[target] = scores if totals[target] is None else totals[target] + scores
    assert totals["nuclei"].f1 > 0.9
    assert totals["cells"].f1 > 0.88


@pytest.mark.parametrize("shift", [0, 400])
def test_a_higher_camera_offset_changes_nothing(shift):
    picture, truth = disks([(40, 40), (90, 100)])
    assert scores_at(find_nuclei(picture + np.uint16(shift), PIXEL_UM), truth)[0.9].matched == 2
