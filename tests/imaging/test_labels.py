import numpy as np
import pytest
from PIL import Image

from dssl_bio.errors import ImageError
from dssl_bio.imaging.labels import areas_and_centres, numbered, outlines, read_labels, renumbered
from dssl_bio.imaging.overlay import NUCLEUS_COLOUR, overlay
from dssl_bio.imaging.write import write_plane


def test_one_label_may_be_several_objects_and_specks_are_dropped():
    values = np.zeros((8, 8), int)
    values[:3, :3], values[5:, 5:], values[0, 7] = 4, 4, 9
    assert len(np.unique(numbered(values))) == 4
    two = numbered(values, min_area_px=2)
    assert set(np.unique(two)) == {0, 1, 2} and two[0, 7] == 0
    assert renumbered(np.array([[0, 7], [3, 3]])).tolist() == [[0, 2], [1, 1]]


def test_masks_are_read_from_a_colour_png_and_from_tiff(tmp_path):
    values = np.zeros((6, 9), np.uint8)
    values[1:3, 1:4], values[4:, 6:] = 2, 2
    rgba = np.zeros((6, 9, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = values, 255
    Image.fromarray(rgba).save(tmp_path / "mask.png")
    write_plane(tmp_path / "mask.tif", values.astype(np.uint16), 1.0)
    for name in ("mask.png", "mask.tif"):
        assert areas_and_centres(read_labels(tmp_path / name)).tolist() == [[1, 6, 1.5, 2.0], [2, 6, 4.5, 7.0]]


def test_what_is_no_mask_is_said_with_its_file(tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name, words in (("cut.png", "damaged"), ("none.png", "no such file")):
        with pytest.raises(ImageError, match=f"{name}.*{words}"):
            read_labels(tmp_path / name)


def test_overlays_colour_the_rim_alone():
    labels = np.zeros((7, 7), int)
    labels[1:6, 1:6] = 1
    drawn = overlay(np.zeros((7, 7, 3), np.uint8), labels)
    rim = (drawn == NUCLEUS_COLOUR).all(axis=2)
    assert rim.sum() == 16 and not rim[2:5, 2:5].any() and (rim == outlines(labels)).all()
    with pytest.raises(ValueError, match="do not fit"):
        overlay(np.zeros((6, 7, 3), np.uint8), labels)
