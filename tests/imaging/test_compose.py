import io

import numpy as np
import pytest
from PIL import Image

from dssl_bio.imaging.compose import PALETTE, composite, enlarged, png, scale_bar_um, with_scale_bar
from dssl_bio.vocabulary import CHANNELS


def one_pixel(**values):
    return np.array([values.get(name, 0) for name in CHANNELS], dtype=np.uint8).reshape(5, 1, 1)


def test_light_is_joined_as_on_a_screen_and_dimmed_by_the_number_of_channels():
    rgb = composite(one_pixel(DNA=255, ER=128), CHANNELS, ["DNA", "ER"])[0, 0]
    dimming = min(1, 1.3 / 2**0.5)
    a, b = (np.array(PALETTE[name]) / 255 * dimming * level for name, level in (("DNA", 1), ("ER", 128 / 255)))
    assert np.abs(rgb - 255 * (1 - (1 - a) * (1 - b))).max() <= 1


def test_the_order_of_channels_does_not_matter_and_one_alone_is_grey():
    picture = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    assert np.array_equal(composite(picture, CHANNELS, ["ER", "DNA"]), composite(picture, CHANNELS, ["DNA", "ER"]))
    alone = composite(picture, CHANNELS, ["RNA"])
    assert np.array_equal(alone, np.repeat(picture[2][..., None], 3, axis=2))
    assert not composite(picture, CHANNELS, []).any()


def test_brightness_never_overflows():
    assert composite(one_pixel(DNA=200), CHANNELS, ["DNA"], brightness=3.0)[0, 0].tolist() == [255, 255, 255]


def test_a_wrong_number_of_channels_or_an_unknown_one_is_refused():
    with pytest.raises(ValueError, match="expected"):
        composite(np.zeros((4, 2, 2), np.uint8), CHANNELS)
    with pytest.raises(ValueError, match="no channel 'GFP'"):
        composite(np.zeros((5, 2, 2), np.uint8), CHANNELS, ["GFP"])


@pytest.mark.parametrize(("width", "size", "bar"), [(128, 1.3, 50), (160, 0.598, 20), (10, 0.1, 0.2)])
def test_the_scale_bar_is_a_round_length_of_at_most_a_third(width, size, bar):
    assert scale_bar_um(width, size) == pytest.approx(bar)


def test_the_drawn_bar_has_the_announced_length():
    marked = with_scale_bar(np.full((128, 128, 3), 90, np.uint8), 1.3)
    white = (marked == 255).all(2)
    assert white.any(0).sum() == round(50 / 1.3)


def test_a_png_holds_the_picture_and_enlarging_keeps_its_shape():
    rgb = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(rgb)))), rgb)
    assert enlarged(rgb, 10).shape == (18, 12, 3)
    assert enlarged(rgb, 3) is rgb
