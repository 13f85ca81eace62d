"""Palettes as people with each kind of colour blindness see them, by computation.

Machado, Oliveira and Fernandes 2009 (doi 10.1109/TVCG.2009.113), severity 1, in linear light; distances are CIEDE2000,
where 1 is about the least difference that is seen side by side.
"""

import numpy as np
import pytest
from dssl_bio.app import plots
from skimage.color import deltaE_ciede2000, rgb2lab

from dssl_bio.chem.depict import HIGH, LOW
from dssl_bio.imaging.compose import PALETTE

SEEN = {
    "typical": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}


def from_hex(colour):
    return np.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])


PALETTES = {
    "channels": [np.array(colour) / 255 for colour in PALETTE.values()],
    "categories": [from_hex(colour) for colour in plots.PALETTE_OF_CATEGORIES],
    "atoms": [np.array(HIGH), np.array(LOW)],
    "wells": [from_hex(colour) for colour in dict.fromkeys(colour for _, colour, _ in plots.KINDS)],
}
LEAST = {"channels": 10.0, "categories": 10.0, "atoms": 20.0, "wells": 10.0}


def seen_by(colour, kind):
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    light = np.clip(SEEN[kind] @ linear, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def least_distance(colours, kind):
    lab = rgb2lab(np.array([seen_by(colour, kind) for colour in colours])[None])[0]
    return min(float(deltaE_ciede2000(lab[i], lab[j])) for i in range(len(lab)) for j in range(i))


def test_the_simulation_confuses_what_it_should():
    red, green, blue = (from_hex(colour) for colour in ("#b04020", "#6a6a10", "#1030c0"))
    assert least_distance([red, green], "typical") > 25
    assert least_distance([red, green], "deuteranopia") < 10
    assert least_distance([red, blue], "deuteranopia") > 25
    grey = from_hex("#777777")
    assert all(seen_by(grey, kind) == pytest.approx(grey, abs=0.02) for kind in SEEN)


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize("name", PALETTES)
def test_colours_of_a_palette_are_told_apart(name, kind):
    assert least_distance(PALETTES[name], kind) >= LEAST[name]
