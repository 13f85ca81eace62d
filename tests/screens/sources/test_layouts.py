"""File names as published tables hold them: with folders, with addresses, and as OME-Zarr plates."""

import functools
import http.server
import threading

import numpy as np
import pandas as pd
import pytest
import zarr

from dssl_bio.errors import ImageError, ManifestError
from dssl_bio.imaging import places
from dssl_bio.screens.image_source import ImagesSource
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.sources.load_data import place_of, planes_of
from dssl_bio.vocabulary import CHANNELS
from tests.screens.small_screen import IMAGE_MANIFEST, ingested, write_sites

NAMES = "channels = { " + ", ".join(f'{c} = "FileName_Orig{c}"' for c in CHANNELS) + " }\n"


def source(**changed):
    values = {"table": "t.csv", "channels": {"DNA": "FileName_OrigDNA"}, "some_channels": True, "pixel_size_um": 1.0}
    return ImagesSource(**{**values, **changed})


def test_a_file_its_folder_and_a_prefix_that_is_cut_off(tmp_path):
    row = {"FileName_OrigDNA": "a.tif", "PathName_OrigDNA": "/home/ubuntu/bucket/plate 1/"}
    cut = source(path_prefix="/home/ubuntu/bucket")
    assert place_of(row, "FileName_OrigDNA", cut, tmp_path, "") == tmp_path / "plate 1" / "a.tif"
    assert place_of(row, "FileName_OrigDNA", source(folder="images"), tmp_path, "") == tmp_path / "a.tif"
    with pytest.raises(ImageError, match="leaves its folder.*path_prefix"):
        place_of(row, "FileName_OrigDNA", source(), tmp_path, "channel DNA")
    row["PathName_OrigDNA"] = "relative"
    assert place_of(row, "FileName_OrigDNA", source(), tmp_path, "") == tmp_path / "relative" / "a.tif"
    with pytest.raises(ImageError, match=r"a.tif: no such file \(channel DNA\)"):
        planes_of(row, source(), tmp_path)


def test_addresses_are_fetched_only_below_what_the_manifest_allows(tmp_path):
    row = {"URL_OrigDNA": "s3://gallery/plate/a.tif", "local": "file:///data/x/a%20b.tif"}
    allowed = source(channels={"DNA": "URL_OrigDNA"}, urls=["s3://gallery/"])
    assert planes_of(row, allowed, tmp_path)[0].path == "s3://gallery/plate/a.tif"
    for url in ("s3://other/a.tif", "https://gallery/a.tif", "s3://gallery/../secret/a.tif"):
        with pytest.raises(ImageError, match="is not below the addresses"):
            planes_of({"URL_OrigDNA": url}, allowed, tmp_path)
    with pytest.raises(ImageError, match=r'name them as urls = \["s3://gallery/plate/"\]'):
        planes_of(row, source(channels={"DNA": "URL_OrigDNA"}), tmp_path)
    assert place_of(row, "local", source(path_prefix="/data"), tmp_path, "") == tmp_path / "x" / "a b.tif"
    with pytest.raises(ValueError, match="beginning of the addresses"):
        source(urls=["https://"])


def test_several_load_data_tables_in_folders_of_their_own(tmp_path):
    """As in the Cell Painting Gallery: each plate has its load_data.csv, its PathName_, and brightfield beside."""
    for plate in ("BR1", "BR2"):
        folder = tmp_path / plate
        folder.mkdir()
        _, table = write_sites(folder, 2, 1, seed=int(plate[-1]))
        (folder / "manifest.toml").unlink()
        table["plate"] = plate
        for channel in CHANNELS:
            table = table.rename(columns={channel.lower(): f"FileName_Orig{channel}"})
            table[f"PathName_Orig{channel}"] = f"/bucket/{plate}/images"
        table["FileName_OrigBrightfield"] = "not_there.tif"
        table.to_csv(folder / "load_data.csv", index=False)
        (folder / "sites.csv").unlink()
    head = IMAGE_MANIFEST[:IMAGE_MANIFEST.index("[images]")]
    text = head + '[images]\ntable = "*/load_data.csv"\npath_prefix = "/bucket/"\npixel_size_um = 0.5\n' + NAMES
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(ImageError, match="none of 4 sites"):  # relative to each table's own folder
        ingested(tmp_path / "manifest.toml")
    (tmp_path / "manifest.toml").write_text(text.replace('"/bucket/"\n', '"/bucket/BR1/"\n'))
    screen = ingested(tmp_path / "manifest.toml")
    assert len(screen.images.table) == 2
    assert screen.rejected["file"].tolist() == ["BR2/load_data.csv"] * 2
    assert sorted(screen.record["made_from"]["tables"]) == ["BR1/load_data.csv", "BR2/load_data.csv"]


def test_brightfield_is_ignored_unless_named(tmp_path):
    manifest, table = write_sites(tmp_path)
    table["bf"] = table["dna"].str.replace("_DNA", "_BF")
    for dna, name in zip(table["dna"], table["bf"], strict=True):
        content = (tmp_path / "images" / dna).read_bytes()
        (tmp_path / "images" / name).write_bytes(content)
    table.to_csv(tmp_path / "sites.csv", index=False)
    assert ingested(manifest).images.channels == CHANNELS
    manifest.write_text(IMAGE_MANIFEST.replace('AGP = "agp"', 'AGP = "agp", Brightfield = "bf"'))
    with pytest.raises(ImageError, match="channel Brightfield is the picture of channel DNA"):
        ingested(manifest)
    generator = np.random.default_rng(5)
    import tifffile
    for name in table["bf"]:
        tifffile.imwrite(tmp_path / "images" / name, generator.poisson(900, (24, 32)).astype(np.uint16))
    images = ingested(manifest).images
    assert images.channels == (*CHANNELS, "Brightfield") and images.sites.shape == (8, 6, 24, 32)
    manifest.write_text(IMAGE_MANIFEST.replace('AGP = "agp"', 'AGP = "agp", Phase = "bf"'))
    with pytest.raises(ManifestError, match="expected DNA, ER, RNA, AGP, Mito"):
        ingested(manifest)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_screen_from_addresses_is_the_screen_from_files(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "PAUSE_S", 0.0)
    manifest, table = write_sites(tmp_path, 3, 1)
    local = ingested(manifest)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/images/"
    try:
        for channel in CHANNELS:
            table[f"URL_Orig{channel}"] = address + table[channel.lower()]
        table.loc[2, "URL_OrigER"] = address + "gone.tif"
        table.to_csv(tmp_path / "sites.csv", index=False)
        names = "channels = { " + ", ".join(f'{c} = "URL_Orig{c}"' for c in CHANNELS) + " }\n"
        head = IMAGE_MANIFEST[:IMAGE_MANIFEST.index("folder")]
        manifest.write_text(head + f'urls = ["{address}"]\npixel_size_um = 0.5\n' + names)
        screen = ingest(read_manifest(manifest), tmp_path / "fetched")
    finally:
        server.shutdown()
        server.server_close()
    np.testing.assert_array_equal(screen.images.sites[:], local.images.sites[:2])
    assert screen.rejected["reason"].str.contains("gone.tif: no such file").all() and len(screen.rejected) == 1


def write_ome_plate(folder, name, seed):
    generator = np.random.default_rng(seed)
    wells = [{"path": f"{row}/{column}", "rowIndex": 0, "columnIndex": 0} for row in "AB" for column in ("1", "02")]
    zarr.open_group(folder, mode="a", zarr_format=2).attrs["plate"] = {"name": name, "wells": wells}
    for well in wells:
        place = folder / well["path"]
        zarr.open_group(place, mode="a", zarr_format=2).attrs["well"] = {"images": [{"path": "0"}, {"path": "1"}]}
        for image in ("0", "1"):
            group = zarr.open_group(place / image, mode="a", zarr_format=2)
            group.attrs["multiscales"] = [{"datasets": [{"path": "0"}], "axes": [{"name": a} for a in "cyx"]}]
            array = zarr.create_array(store=place / image / "0", shape=(5, 24, 32), dtype="uint16", zarr_format=2)
            array[:] = generator.integers(100, 900, (5, 24, 32))


def test_plates_of_ome_zarr_are_their_own_table(tmp_path):
    for number in (1, 2):
        write_ome_plate(tmp_path / f"p{number}.zarr", f"Z{number}", number)
    pd.DataFrame({"well": ["A01"], "smiles": ["CCO"]}).to_csv(tmp_path / "map.csv", index=False)
    channels = ", ".join(f"{channel} = {number}" for number, channel in enumerate(CHANNELS[::-1]))
    (tmp_path / "manifest.toml").write_text(f"""
name = "hcs"
[controls]
where = 'Metadata_Well == "B02"'
[molecules]
table = "map.csv"
on = {{ left = "Metadata_Well", right = "well" }}
[images]
table = "*.zarr"
file = "file"
pixel_size_um = 0.6
channels = {{ {channels} }}
""")
    screen = ingested(tmp_path / "manifest.toml")
    assert screen.images.sites.shape == (16, 5, 24, 32)
    assert sorted(set(screen.wells["Metadata_Well"])) == ["A01", "A02", "B01", "B02"]
    assert set(screen.wells["Metadata_Plate"]) == {"Z1", "Z2"} and len(screen.molecules) == 1
    first = screen.images.table[screen.images.table["file"] == "p1.zarr/A/02/1"].index[0]
    raw = np.asarray(zarr.open_array(tmp_path / "p1.zarr/A/02/1/0", mode="r")[:])
    np.testing.assert_array_equal(screen.images.sites[int(first)], raw[::-1])
    (tmp_path / "p2.zarr" / ".zattrs").write_text("{}")
    with pytest.raises(ManifestError, match="p2.zarr: no OME-Zarr plate"):
        ingested(tmp_path / "manifest.toml")
