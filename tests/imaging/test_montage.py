import numpy as np
import pytest

from dssl_bio.imaging.compose import colour_of
from dssl_bio.imaging.montage import Panel, bar_with_length, crops_at, montage

CHANNELS = ("DNA", "RNA")


def panel(title, dna=0, rna=0):
    picture = np.stack([np.full((40, 60), value, np.uint8) for value in (dna, rna)])
    return Panel((title,), picture, picture[None, :, :20, :20])


def test_crops_are_centred_and_black_beyond_the_border():
    site = np.arange(2 * 30 * 30).reshape(2, 30, 30) + 1
    middle, corner = crops_at(site, [(15.0, 10.0), (0.0, 0.0)], 8)
    assert (middle == site[:, 11:19, 6:14]).all()
    assert (corner[:, 4:, 4:] == site[:, :4, :4]).all() and not corner[:, :4].any() and not corner[:, :, :4].any()
    assert crops_at(site, [], 8).shape == (0, 2, 8, 8)


def test_every_channel_has_a_strip_in_its_colour_on_one_scale():
    page = montage([panel("first", dna=255), panel("second", rna=255)], CHANNELS, 1.0, width_px=60)
    colours = {tuple(int(v) for v in colour) for colour in page.reshape(-1, 3)}
    assert {colour_of("DNA", CHANNELS), colour_of("RNA", CHANNELS)} <= colours
    rows = {}
    for channel in CHANNELS:
        tinted = (page == colour_of(channel, CHANNELS)).all(axis=2)
        assert tinted.sum() == 60 * 40
        rows[channel] = np.flatnonzero(tinted.any(axis=1))
    assert rows["DNA"].max() < rows["RNA"].min()


def test_the_bar_is_as_long_as_it_says():
    """300 pixels of 0.5 um: a bar of 50 um is 100 pixels long."""
    marked = bar_with_length(np.zeros((200, 300, 3), np.uint8), 0.5)
    longest = max(len(run) for row in marked[..., 0] for run in "".join("x" if v == 255 else " " for v in row).split())
    assert longest in (100, 101)


def test_a_montage_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one well"):
        montage([], CHANNELS, 1.0)
