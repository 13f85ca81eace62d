import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

from dssl_bio.artefact import checksums
from dssl_bio.errors import ImageError, ManifestError, ScreenError
from dssl_bio.imaging.intensity import Clipping
from dssl_bio.learning.phenotypes import ImagePhenotypes
from dssl_bio.screens import plate_work
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import CHANNELS, PLATE, ROW_KEY, SITE
from tests.screens.small_screen import IMAGE_MANIFEST, ingested, write_sites


def pixels_of(folder, row):
    return np.stack([tifffile.imread(folder / "images" / row[channel.lower()]) for channel in CHANNELS])


def test_sites_are_stored_as_they_are_in_the_order_of_the_vocabulary(tmp_path):
    manifest, table = write_sites(tmp_path)
    screen = ingested(manifest)
    images = screen.images
    assert images is not None
    assert images.channels == CHANNELS
    assert images.sites.shape == (8, 5, 24, 32)
    assert len(screen.wells) == 4
    for number, row in enumerate(table.to_dict("records")):
        np.testing.assert_array_equal(images.read(np.array([number]))[0], pixels_of(tmp_path, row))
        owner = screen.wells.iloc[images.table["row"][number]]
        assert owner[ROW_KEY] == f"00123:A0{row['well'][1]}"
        assert images.table[SITE][number] == str(row["site"])
    assert images.pixel_size_um == 0.5
    assert screen.record["made_from"]["images"]["n_files"] == 40


def test_limits_come_from_the_controls_of_the_plate(tmp_path):
    manifest, table = write_sites(tmp_path)
    images = ingested(manifest).images
    control = np.stack([pixels_of(tmp_path, row) for row in table.to_dict("records")[:2]])
    for place in range(5):
        low, high = np.percentile(control[:, place], (1, 99.7))
        np.testing.assert_allclose(images.limits(np.array([7]))[0, place], (low, high), rtol=1e-5)
    assert set(images.intensity["reference"]) == {"negcon"}
    without = IMAGE_MANIFEST.replace("[controls]\nwhere = 'treatment == \"DMSO\"'\n", "")
    manifest.write_text(without)
    images = ingested(manifest).images
    assert set(images.intensity["reference"]) == {"plate"}
    assert images.intensity["high"].iloc[0] > high / 10


def test_sites_shrink_by_local_means(tmp_path):
    manifest, table = write_sites(tmp_path, 1, 1)
    manifest.write_text(IMAGE_MANIFEST.replace("pixel_size_um = 0.5", "pixel_size_um = 0.5\nstore_pixel_size_um = 1.0"))
    images = ingested(manifest).images
    whole = pixels_of(tmp_path, table.to_dict("records")[0]).astype(float)
    blocks = whole.reshape(5, 12, 2, 16, 2).mean((2, 4))
    assert images.sites.shape == (1, 5, 12, 16)
    assert images.pixel_size_um == 1.0
    assert np.abs(images.read(np.array([0]))[0] - blocks).max() <= 0.51


def damage(tmp_path, table):
    """Spoils five sites of five wells in five ways."""
    folder = tmp_path / "images"
    for number, well in enumerate(("A1_s2_DNA", "A2_s1_ER", "A3_s1_RNA", "A4_s2_AGP")):
        path = folder / f"{well}.tif"
        if number == 0:
            path.write_bytes(path.read_bytes()[:-300])
        elif number == 1:
            path.write_bytes(b"not a picture")
        elif number == 2:
            path.unlink()
        else:
            tifffile.imwrite(path, np.zeros((7, 7), np.uint16))
    return table


def test_sites_that_cannot_be_read_are_rejected_and_the_others_stay(tmp_path):
    manifest, table = write_sites(tmp_path)
    damage(tmp_path, table)
    table.loc[3, "mito"] = "../../secret.tif"
    table.loc[4, "mito"] = None
    table.to_csv(tmp_path / "sites.csv", index=False)
    screen = ingested(manifest)
    rejected = screen.rejected.set_index("row")["reason"]
    assert rejected.index.tolist() == [2, 3, 4, 5, 8]
    for row, words in ((2, "truncated"), (3, "damaged or not a TIFF"), (4, "leaves its folder"), (8, "7 x 7 pixels")):
        assert words in rejected[row]
    assert "A1_s2_DNA.tif" in rejected[2]
    counts = screen.record["counts"]
    assert counts["tables"]["images"] == {"input_rows": 8, "filtered": 0, "rejected": 5, "used": 3}
    assert screen.images.sites.shape[0] == 3
    assert sorted(screen.wells[ROW_KEY]) == ["00123:A01", "00123:A03", "00123:A04"]
    good = table.to_dict("records")[6]
    number = int(np.flatnonzero(screen.images.table["file"].str.contains("A4_s1"))[0])
    np.testing.assert_array_equal(screen.images.read(np.array([number]))[0], pixels_of(tmp_path, good))


def test_a_missing_file_name_and_a_missing_file_are_two_reasons(tmp_path):
    manifest, table = write_sites(tmp_path)
    (tmp_path / "images" / "A3_s1_RNA.tif").unlink()
    table.loc[1, "dna"] = None
    table.to_csv(tmp_path / "sites.csv", index=False)
    reasons = ingested(manifest).rejected["reason"].tolist()
    assert "no file name in column dna (channel DNA)" in reasons[0]
    assert "A3_s1_RNA.tif: no such file (channel RNA)" in reasons[1]


def test_nothing_readable_is_an_error_that_shows_the_first_reason(tmp_path):
    manifest, _ = write_sites(tmp_path, 2, 1)
    for path in (tmp_path / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ImageError, match="none of 2 sites can be read; the first: .*A1_s1_DNA.tif"):
        ingested(manifest)
    assert not (tmp_path / "screen").exists()


def test_files_of_all_channels_are_read_by_number_and_a_wrong_count_is_said(tmp_path):
    manifest, table = write_sites(tmp_path, 3, 1)
    for row in table.to_dict("records"):
        stack = pixels_of(tmp_path, row)[::-1]
        if row["well"] == "A2":
            stack = stack[:4]
        tifffile.imwrite(tmp_path / "images" / f"{row['well']}.tif", stack, photometric="minisblack")
    table.assign(all=table["well"] + ".tif").to_csv(tmp_path / "sites.csv", index=False)
    head = IMAGE_MANIFEST[:IMAGE_MANIFEST.index("channels")]
    manifest.write_text(head + 'file = "all"\nchannels = { Mito = 0, AGP = 1, RNA = 2, ER = 3, DNA = 4 }\n')
    screen = ingested(manifest)
    assert screen.images.sites.shape[0] == 2
    last = table.to_dict("records")[2]
    np.testing.assert_array_equal(screen.images.read(np.array([1]))[0], pixels_of(tmp_path, last))
    assert "A2.tif: 4 channels, expected 5 (DNA, ER, RNA, AGP, Mito)" in screen.rejected["reason"].iloc[0]


def test_a_repeated_site_is_an_error_and_says_what_to_map(tmp_path):
    manifest, table = write_sites(tmp_path)
    table.assign(site=1).to_csv(tmp_path / "sites.csv", index=False)
    with pytest.raises(ManifestError, match="the key 00123:A01, site 1 .* row 1 and sites.csv row 2.*Metadata_Site"):
        ingested(manifest)


def test_one_channel_is_enough_when_the_manifest_says_so(tmp_path):
    manifest, _ = write_sites(tmp_path)
    head = IMAGE_MANIFEST[:IMAGE_MANIFEST.index("channels")]
    manifest.write_text(head + 'some_channels = true\nchannels = { DNA = "dna" }\n')
    images = ingested(manifest).images
    assert images.channels == ("DNA",)
    assert images.sites.shape == (8, 1, 24, 32)


def test_sites_without_a_plate_share_one_scale(tmp_path):
    manifest, _ = write_sites(tmp_path)
    text = IMAGE_MANIFEST.replace('Metadata_Plate = "plate"\n', "")
    text = text.replace("[columns]", 'key = ["Metadata_Well"]\n[columns]')
    manifest.write_text(text)
    images = ingested(manifest).images
    assert set(images.table[PLATE]) == {"all"}
    assert images.limits(np.arange(8)).shape == (8, 5, 2)


def test_an_interrupt_while_sites_are_written_leaves_nothing(tmp_path, monkeypatch):
    manifest, _ = write_sites(tmp_path)
    real, calls = plate_work.read_site, []

    def read(*args, **options):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(plate_work, "read_site", read)
    with pytest.raises(KeyboardInterrupt):
        ingested(manifest)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "manifest.toml", "sites.csv"]


def test_images_and_profiles_of_one_well_meet(tmp_path):
    manifest, _ = write_sites(tmp_path)
    table = pd.DataFrame({"plate": "00123", "well": ["a01", "A02", "B01"], "smiles": None, "f_1": [1.0, 2.0, 4.0],
                          "treatment": ["DMSO", "compound", "compound"]})
    table.to_csv(tmp_path / "wells.csv", index=False)
    extra = '\n[profiles.small]\ntable = "wells.csv"\nfeatures = ["f_*"]\nnormalisation = "none"\n'
    manifest.write_text(IMAGE_MANIFEST + extra)
    screen = ingested(manifest)
    assert sorted(screen.wells[ROW_KEY]) == ["00123:A01", "00123:A02", "00123:A03", "00123:A04", "00123:B01"]
    assert screen.record["modalities"] == ["images", "small"]
    assert screen.wells[ROW_KEY].iloc[screen.profiles["small"].rows].tolist() == ["00123:A01", "00123:A02", "00123:B01"]


def test_a_screen_of_the_first_layout_is_still_read(tmp_path):
    """One Zarr array, no quality control, no clipping in the record: as every screen was before plates had folders."""
    manifest, _ = write_sites(tmp_path)
    screen = ingested(manifest)
    pixels, folder = screen.images.sites[:], screen.folder / "images"
    zarr.create_array(store=folder / "sites.zarr", shape=pixels.shape, chunks=(1, *pixels.shape[1:]),
                      dtype="uint16")[:] = pixels
    for name in ("quality", "plates", "warnings"):
        (folder / f"{name}.parquet").unlink()
    shutil.rmtree(folder / "plates")
    screen.images.table.drop(columns=["flags", "flagged"]).to_parquet(folder / "sites.parquet")
    facts = {"pixel_size_um": 0.5, "channels": list(CHANNELS)}
    record = screen.record | {"images": facts, "files": checksums(screen.folder, skip=("screen.json",))}
    (screen.folder / "screen.json").write_text(json.dumps(record))
    old = Screen.open(screen.folder, check=True).images
    np.testing.assert_array_equal(old.sites[:], pixels)
    np.testing.assert_array_equal(old.read(np.array([5, 2])), pixels[[5, 2]])
    assert not old.flagged.any() and old.clipping == Clipping()
    phenotypes = ImagePhenotypes(old, 20, 0.5, flagged=False)
    assert phenotypes.sample(phenotypes.trainable, np.random.default_rng(0)).shape == (4, 5, 20, 20)
    with pytest.raises(ScreenError, match="no quality control; make it again with `dssl-bio ingest`"):
        old.quality()
