import functools
import http.server
import struct
import threading
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

from dssl_bio.errors import ImageError
from dssl_bio.imaging import places
from dssl_bio.imaging.ome_zarr import channel_names, fields_of
from dssl_bio.imaging.read import Plane, header_of, read_planes, read_site

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
        read_planes(tmp_path / "a.doc")


def test_size_is_checked_before_anything_is_decoded(tmp_path, pixels, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", pixels[0])
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="20 x 30 pixels; at most 500"):
        read_planes(tmp_path / "a.tif", max_pixels=500)


ENCODERS = {
    "png": imagecodecs.png_encode,
    "jp2": functools.partial(imagecodecs.jpeg2k_encode, level=0, codecformat="jp2"),
    "j2k": functools.partial(imagecodecs.jpeg2k_encode, level=0, codecformat="j2k"),
    "jxl": functools.partial(imagecodecs.jpegxl_encode, lossless=True),
}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(20, 30), (64, 64), (33, 8)])
def test_other_formats_give_the_pixels_that_were_written(tmp_path, kind, dtype, shape):
    """The header is read by us: sizes that are equal, multiples of eight, and neither."""
    plane = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(ENCODERS[kind](plane))
    announced = header_of(path)
    assert (announced.shape, announced.dtype, announced.n_planes) == (shape, np.dtype(dtype), 1)
    np.testing.assert_array_equal(read_planes(path)[0], plane)
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
        with pytest.raises(ImageError, match=f"a.{kind}"):
            read_planes(path)


def test_colours_are_planes_and_palettes_are_refused(tmp_path, pixels):
    colours = np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
    (tmp_path / "rgb.png").write_bytes(imagecodecs.png_encode(colours))
    (tmp_path / "rgb.jxl").write_bytes(imagecodecs.jpegxl_encode(colours, lossless=True))
    for name in ("rgb.png", "rgb.jxl"):
        assert header_of(tmp_path / name).n_planes == 3
        np.testing.assert_array_equal(read_planes(tmp_path / name), pixels)
    content = bytearray((tmp_path / "rgb.png").read_bytes())
    content[25] = 3
    (tmp_path / "palette.png").write_bytes(content)
    with pytest.raises(ImageError, match="colours of a palette"):
        read_planes(tmp_path / "palette.png")


@pytest.mark.parametrize("options", [{"bigtiff": True}, {"tile": (16, 16)}, {"compression": "lzw", "predictor": True},
                                     {"compression": "zlib"}, {"compression": "zstd"}, {"compression": "jpeg2000"},
                                     {"compression": "png"}, {"compression": "jpegxl"}, {"ome": True}])
def test_tiff_of_every_kind_of_layout(tmp_path, pixels, options):
    path = tmp_path / ("a.ome.tif" if options.pop("ome", False) else "a.tif")
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "CYX"}, **options)
    np.testing.assert_array_equal(read_planes(path), pixels)
    assert header_of(path).n_planes == 3


def test_focal_planes_are_not_taken_for_channels(tmp_path, pixels):
    tifffile.imwrite(tmp_path / "stack.ome.tif", pixels, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(ImageError, match="3 focal planes"):
        read_planes(tmp_path / "stack.ome.tif")


def png_bomb(path, side=100_000):
    head = struct.pack(">IIBBBBB", side, side, 16, 0, 0, 0, 0)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b""))
                     + chunk(b"IEND", b""))


def test_a_header_that_claims_a_hundred_thousand_pixels_a_side_is_refused_unread(tmp_path, pixels):
    png_bomb(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", pixels[0], compression="zlib", rowsperstrip=20)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["ImageWidth"].overwrite(100_000)
        file.pages[0].tags["ImageLength"].overwrite(100_000)
    j2k = bytearray(ENCODERS["j2k"](pixels[0]))
    j2k[8:16] = struct.pack(">II", 100_000, 100_000)
    (tmp_path / "a.j2k").write_bytes(j2k)
    for name in ("a.png", "a.tif", "a.j2k"):
        with pytest.raises(ImageError, match=rf"{name}: 100000 x 100000 pixels; at most"):
            read_planes(tmp_path / name)


def test_a_bomb_inside_a_tiff_part_is_refused(tmp_path, pixels):
    """The TIFF header is modest, the picture inside it is not."""
    path = tmp_path / "inner.tif"
    tifffile.imwrite(path, pixels[0], compression="png")
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[start + 16:start + 24] = struct.pack(">II", 50_000, 50_000)
    path.write_bytes(content)
    with pytest.raises(ImageError, match="inner.tif: a part announces 50000 x 50000 pixels"):
        read_planes(path)


def test_declared_bits_say_the_type_and_the_brightest_pixel(tmp_path):
    twelve = np.full((4, 5), 4095, np.uint16)
    tifffile.imwrite(tmp_path / "twelve.tif", twelve)
    tifffile.imwrite(tmp_path / "over.tif", twelve + 1)
    tifffile.imwrite(tmp_path / "eight.tif", np.zeros((4, 5), np.uint8))
    one = ("DNA",)
    np.testing.assert_array_equal(read_site([Plane(tmp_path / "twelve.tif")], one, bits=12)[0], twelve)
    with pytest.raises(ImageError, match="brightest pixel is 4,096, beyond the 12 bits"):
        read_site([Plane(tmp_path / "over.tif")], one, bits=12)
    with pytest.raises(ImageError, match="pixels are uint8, expected uint16 for the declared 12 bits"):
        read_site([Plane(tmp_path / "eight.tif")], one, bits=12)
    with pytest.raises(ImageError, match="pixels are uint16, expected uint8 for the declared 8 bits"):
        read_site([Plane(tmp_path / "twelve.tif")], one, bits=8)


def test_one_picture_for_two_channels_is_refused(tmp_path, pixels):
    for name, plane in (("a", pixels[0]), ("b", pixels[1]), ("copy", pixels[0])):
        tifffile.imwrite(tmp_path / f"{name}.tif", plane)
    with pytest.raises(ImageError, match="copy.tif: channel Mito is the picture of channel DNA once more .*a.tif"):
        read_site([Plane(tmp_path / f"{name}.tif") for name in ("a", "b", "copy")], CHANNELS)
    with pytest.raises(ImageError, match="channel ER is the picture of channel DNA"):
        read_site([Plane(tmp_path / "a.tif")] * 2, CHANNELS[:2])


def write_plate(folder, pixels, version=2):
    """An HCS plate of wells A/1 and B/2 with one field each."""
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}, {"path": "B/2", "rowIndex": 1, "columnIndex": 1}]

    def group(path, **attributes):
        found = zarr.open_group(path, mode="a", zarr_format=version)
        found.attrs.update(attributes if version == 2 else {"ome": {"version": "0.5", **attributes}})
        return found

    group(folder, plate={"name": "PZ1", "wells": wells})
    for number, well in enumerate(wells):
        group(folder / well["path"], well={"images": [{"path": "0"}]})
        scale = {"datasets": [{"path": "0"}], "axes": [{"name": a, "type": "space"} for a in "tczyx"]}
        group(folder / well["path"] / "0", multiscales=[scale], omero={"channels": [{"label": c} for c in CHANNELS]})
        array = zarr.create_array(store=folder / well["path"] / "0" / "0", shape=(1, 3, 1, 20, 30), dtype="uint16",
                                  chunks=(1, 1, 1, 20, 30), zarr_format=version)
        array[:] = pixels[None, :, None] // (number + 1)
    return folder


@pytest.mark.parametrize("version", [2, 3])
def test_a_plate_of_ome_zarr_names_its_fields_and_gives_their_channels(tmp_path, pixels, version):
    plate = write_plate(tmp_path / "p.zarr", pixels, version)
    name, fields = fields_of(plate)
    assert name == "PZ1"
    assert [(f.row, f.column, f.number, f.image) for f in fields] == [("A", "1", 1, "A/1/0"), ("B", "2", 1, "B/2/0")]
    assert channel_names(plate / "A/1/0") == list(CHANNELS)
    np.testing.assert_array_equal(read_planes(plate / "B/2/0"), pixels // 2)
    site = read_site([Plane(plate / "A/1/0", i) for i in (2, 0, 1)], CHANNELS)
    np.testing.assert_array_equal(site, pixels[[2, 0, 1]])
    with pytest.raises(ImageError, match="20 x 30 pixels; at most 500"):
        read_planes(plate / "A/1/0", max_pixels=500)
    with pytest.raises(ImageError, match="no OME-Zarr (plate|group)"):
        fields_of(plate / "A")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_file_behind_an_address_is_fetched_and_its_faults_are_told(tmp_path, pixels, monkeypatch):
    monkeypatch.setattr(places, "PAUSE_S", 0.0)
    tifffile.imwrite(tmp_path / "a.tif", pixels[0], compression="lzw")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-50])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        np.testing.assert_array_equal(read_planes(f"{address}/a.tif?version=3")[0], pixels[0])
        with pytest.raises(ImageError, match="cut.tif.*(truncated|damaged)"):
            read_planes(f"{address}/cut.tif")
        with pytest.raises(ImageError, match="gone.tif: no such file"):
            read_planes(f"{address}/gone.tif")
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(ImageError, match="cannot be fetched"):
        read_planes(f"{address}/a.tif")


def test_paths_and_addresses_are_told_apart():
    assert places.is_remote("s3://bucket/a.tif") and not places.is_remote(Path("s3:/x"))
    assert places.suffix_of("https://x.org/a.TIFF?sig=1.2") == ".tiff"
    assert places.suffix_of("no.dots/here") == ""
