import numpy as np
import pytest
import tifffile

from dssl_bio.errors import ImageError
from dssl_bio.imaging.read import Plane, read_planes, read_site

CHANNELS = ("DNA", "ER", "Mito")


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 65_535, (3, 20, 30)).astype(np.uint16)


def test_one_file_a_channel_gives_the_order_asked_for(tmp_path, pixels):
    for i in range(3):
        tifffile.imwrite(tmp_path / f"{i}.tif", pixels[i])
    site = read_site([Plane(tmp_path / f"{i}.tif") for i in (2, 0, 1)], CHANNELS)
    np.testing.assert_array_equal(site, pixels[[2, 0, 1]])
    assert site.dtype == np.uint16


@pytest.mark.parametrize("layout", ["pages", "planar", "interleaved"])
def test_one_file_for_all_channels_in_any_layout(tmp_path, pixels, layout):
    path = tmp_path / "all.tiff"
    if layout == "pages":
        with tifffile.TiffWriter(path) as writer:
            for plane in pixels:
                writer.write(plane, contiguous=False)
    elif layout == "planar":
        tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "CYX"})
    else:
        tifffile.imwrite(path, np.moveaxis(pixels, 0, -1), photometric="rgb")
    site = read_site([Plane(path, 1), Plane(path, 0), Plane(path, 2)], CHANNELS)
    np.testing.assert_array_equal(site, pixels[[1, 0, 2]])


def test_eight_bits_keep_their_values(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.arange(100, dtype=np.uint8).reshape(10, 10))
    assert read_planes(tmp_path / "a.tif").max() == 99


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path, pixels, compression, share):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, pixels[0], compression=compression, rowsperstrip=4)
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(ImageError, match="cut.tif"):
        read_planes(path)


def test_a_damaged_strip_is_an_error(tmp_path, pixels):
    path = tmp_path / "bad.tif"
    tifffile.imwrite(path, pixels[0], compression="zlib")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[0]
    content[start:start + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(ImageError, match="bad.tif.*damaged"):
        read_planes(path)


def test_says_what_a_file_is_and_what_was_expected(tmp_path, pixels):
    tifffile.imwrite(tmp_path / "float.tif", pixels[0].astype(np.float32))
    tifffile.imwrite(tmp_path / "three.tif", pixels, photometric="minisblack")
    tifffile.imwrite(tmp_path / "one.tif", pixels[0])
    tifffile.imwrite(tmp_path / "small.tif", pixels[0, :5, :5])
    (tmp_path / "text.tif").write_text("no picture")
    (tmp_path / "empty.tif").touch()
    for name, message in (("float", "float32, expected uint16"), ("text", "not a TIFF"), ("empty", "not a TIFF"),
                          ("gone", "no such file")):
        with pytest.raises(ImageError, match=message):
            read_planes(tmp_path / f"{name}.tif")
    with pytest.raises(ImageError, match=r"3 channels, expected 1 \(DNA\)"):
        read_site([Plane(tmp_path / "three.tif")], ("DNA",))
    with pytest.raises(ImageError, match=r"1 channels, expected 3 \(DNA, ER, Mito\)"):
        read_site([Plane(tmp_path / "one.tif", i) for i in range(3)], CHANNELS)
    with pytest.raises(ImageError, match="5 x 5 pixels, expected 20 x 30 like channel DNA"):
        read_site([Plane(tmp_path / "one.tif"), Plane(tmp_path / "small.tif")], ("DNA", "ER"))
    with pytest.raises(ImageError, match="expected a TIFF file"):
        read_planes(tmp_path / "a.png")


def test_size_is_checked_before_anything_is_decoded(tmp_path, pixels, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", pixels[0])
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="20 x 30 pixels; at most 500"):
        read_planes(tmp_path / "a.tif", max_pixels=500)
