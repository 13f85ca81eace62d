"""Plates on their way into a screen: light, limits, quality, faults; interrupted, in processes, on a cluster."""

import json
import os
import re
import shutil
import signal
import threading

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from dssl_bio.errors import ImageError, ManifestError, ScreenError
from dssl_bio.imaging import illumination
from dssl_bio.learning.config import ImageConfig
from dssl_bio.learning.phenotypes import ImagePhenotypes
from dssl_bio.screens import plate_light, plate_work
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import CHANNELS, PLATE
from tests.screens.plates_of_discs import MANIFEST, SIDE, light, site, write_plates


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discs")
    manifest, table = write_plates(folder)
    return folder, table, ingest(read_manifest(manifest), folder / "screen")


@pytest.fixture
def copy(plates, tmp_path):
    """The plates without the screen, to be spoilt; gives the folder and the table."""
    folder, table, _ = plates
    shutil.copytree(folder / "images", tmp_path / "images")
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    table.to_csv(tmp_path / "sites.csv", index=False)
    return tmp_path, table.copy()


def made(folder, table=None, manifest=MANIFEST, **options):
    if table is not None:
        table.to_csv(folder / "sites.csv", index=False)
    (folder / "manifest.toml").write_text(manifest)
    return ingest(read_manifest(folder / "manifest.toml"), folder / "screen", **options)


def test_the_light_is_taken_out_and_kept_with_the_screen(plates):
    _, table, screen = plates
    field = screen.images.illumination("P1")
    assert field.shape[0] == 5
    for plane in field:
        left, right = plane[:, :8].mean(), plane[:, -8:].mean()
        assert right - left == pytest.approx(light()[:, -4:].mean() - light()[:, :4].mean(), abs=0.06)
    found = screen.images.plates()
    assert set(found["illumination"]) == {"estimate"} and (found["unevenness"] > 0.1).all()
    mean = np.mean([screen.images.sites[i] for i in range(32)], axis=0)
    raw = np.mean([[tifffile.imread(plates[0] / "images" / row[c.lower()]) for c in CHANNELS]
                   for row in table.to_dict("records")[:32]], axis=0)
    for before, after in zip(raw, mean, strict=True):
        tilt = [np.polyfit(np.arange(SIDE), (plane - 300).mean(0) / (plane - 300).mean(), 1)[0] * SIDE
                for plane in (before, after)]
        assert tilt[0] > 0.3 and abs(tilt[1]) < 0.15


def test_clean_plates_have_no_flags_and_say_so(plates):
    screen = plates[2]
    assert not screen.images.flagged.any()
    assert screen.record["counts"]["quality"] == {"sites": 64, "flagged_sites": 0, "flags": {},
                                                  "wells_without_unflagged_site": 0}
    assert screen.wells["n_sites"].tolist() == [1] * 64
    assert set(screen.images.quality().columns) >= {"site", "channel", "focus", "saturated", "q0.5"}
    assert len(screen.images.quality()) == 64 * 5


def spoil(folder, row, change):
    for channel in CHANNELS:
        path = folder / "images" / row[channel.lower()]
        plane = change(tifffile.imread(path).astype(float))
        tifffile.imwrite(path, np.clip(plane, 0, 65_535).astype(np.uint16))


def with_blob(plane):
    y, x = np.mgrid[:SIDE, :SIDE]
    plane[(y - 30) ** 2 + (x - 30) ** 2 < 80] = 60_000
    return plane


NOISE = np.random.default_rng(0)
FAULTS = {
    "blur": lambda plane: gaussian_filter(plane, 2) + NOISE.normal(0, 8, plane.shape),
    "saturation": lambda plane: plane * 60,
    "debris": with_blob,
    "empty": lambda plane: NOISE.normal(320, 8, plane.shape),
}


def test_faults_are_flagged_kept_and_left_out_of_training(copy):
    folder, table = copy
    rows = table.to_dict("records")
    for number, fault in enumerate(FAULTS):
        spoil(folder, rows[5 + 2 * number], FAULTS[fault])
    screen = made(folder)
    flags = screen.images.table["flags"].str.split(";")
    for number, fault in enumerate(FAULTS):
        assert fault in flags[5 + 2 * number], (fault, flags[5 + 2 * number])
    assert screen.images.flagged.sum() == 4
    assert (screen.wells["quality_flags"] != "").sum() == 4 and len(screen.wells) == 64
    assert screen.record["counts"]["quality"]["wells_without_unflagged_site"] == 4
    kept = ImagePhenotypes(screen.images, 32, 1.0, flagged=ImageConfig().flagged_sites)
    assert len(kept.rows) == 64 and len(kept.trainable) == 60 and kept.n_left_out == 4
    assert not set(kept.trainable) & {5, 7, 9, 11}
    assert len(ImagePhenotypes(screen.images, 32, 1.0, flagged=True).trainable) == 64


def test_a_glaring_control_does_not_set_the_limits_of_its_plate(copy):
    folder, table = copy
    before = made(folder).images.intensity
    for number in (0, 4):
        spoil(folder, table.to_dict("records")[number], lambda plane: plane * 12)
    after = made(folder).images.intensity
    assert after["n_sites"].tolist()[:5] == [6] * 5
    np.testing.assert_allclose(after["high"][:5], before["high"][:5], rtol=0.15)


def test_what_is_refused_names_plate_well_site_and_file_and_the_rest_goes_on(copy):
    folder, table = copy
    image = folder / "images"
    (image / table["dna"][1]).write_bytes(b"")
    (image / table["er"][2]).write_bytes((image / table["er"][2]).read_bytes()[:300])
    shutil.copy(image / table["er"][3], image / table["rna"][3])
    tifffile.imwrite(image / table["agp"][5], np.zeros((SIDE, SIDE), np.float32))
    tifffile.imwrite(image / table["agp"][6], np.zeros((SIDE, SIDE), np.uint8))
    with tifffile.TiffFile(image / table["mito"][7], mode="r+") as file:
        file.pages[0].tags["ImageWidth"].overwrite(100_000)
        file.pages[0].tags["ImageLength"].overwrite(100_000)
    table.loc[9, "mito"] = table.loc[9, "dna"]
    table.loc[10, "rna"] = None
    screen = made(folder, table)
    rejected = screen.rejected.set_index("row")
    expected = {2: "P1/A2_DNA.tif: .*not a TIFF", 3: "P1/A3_ER.tif: .*(truncated|damaged)",
                4: "P1/A4_RNA.tif: channel RNA is the picture of channel ER", 6: "float32, expected uint16",
                7: "pixels are uint8, expected uint16 like the other sites", 8: "100000 x 100000 pixels; at most",
                10: "channel Mito is the picture of channel DNA", 11: "no file name in column rna"}
    assert rejected.index.tolist() == list(expected)
    for row, words in expected.items():
        assert re.search(words, rejected["reason"][row]), rejected["reason"][row]
        assert (rejected["plate"][row], rejected["site"][row]) == ("P1", "1")
    assert rejected["well"].tolist() == ["A02", "A03", "A04", "A06", "A07", "A08", "B02", "B03"]
    assert len(screen.images.table) == 56
    lost = screen.images.warnings()
    lost = lost[lost["message"] == "no site of this well is left"]
    assert lost["well"].tolist() == rejected["well"].tolist() and set(lost["plate"]) == {"P1"}
    assert any("no site of this well is left: plate P1 well A02" in note for note in screen.record["notes"])


def test_exchanged_channels_are_suspected_and_stay(copy):
    folder, table = copy
    table.loc[6, ["dna", "mito"]] = table.loc[6, ["mito", "dna"]].to_numpy()
    screen = made(folder, table)
    found = screen.images.warnings()
    assert found[["plate", "well"]].to_numpy().tolist() == [["P1", "A07"]]
    assert found["message"].str.contains("channels DNA and Mito look exchanged").all()
    assert len(screen.images.table) == 64


def test_one_strange_first_site_does_not_make_the_others_strange(copy):
    folder, table = copy
    for channel in CHANNELS:
        tifffile.imwrite(folder / "images" / table[channel.lower()][0], np.zeros((9, 9), np.uint16))
    screen = made(folder)
    assert screen.images.sites.shape == (63, 5, SIDE, SIDE)
    assert "9 x 9 pixels, expected 64 x 64" in screen.rejected["reason"].iloc[0]


def test_given_illumination_is_used_and_a_wrong_size_costs_its_plate_only(copy):
    folder, _ = copy
    (folder / "light").mkdir()
    for channel in CHANNELS:
        np.save(folder / "light" / f"P1_{channel}.npy", light())
        np.save(folder / "light" / f"P2_{channel}.npy", light() if channel != "RNA" else np.ones((3, 3)))
    given = MANIFEST + '[images.illumination]\nmethod = "given"\nfiles = "light/{plate}_{channel}.npy"\n'
    screen = made(folder, manifest=given)
    assert set(screen.images.table[PLATE]) == {"P1"} and len(screen.images.table) == 32
    assert (screen.rejected["plate"] == "P2").all() and len(screen.rejected) == 32
    assert "P2_RNA.npy: illumination of channel RNA is 3 x 3" in screen.rejected["reason"].iloc[0]
    np.testing.assert_allclose(screen.images.illumination("P1")[0], light(), rtol=1e-5)
    none = made(folder, manifest=MANIFEST + 'illumination = "none"\n')
    row = pd.read_csv(folder / "sites.csv").iloc[0]
    np.testing.assert_array_equal(none.images.sites[0][0], tifffile.imread(folder / "images" / row["dna"]))
    with pytest.raises(ManifestError, match='method "given" needs files'):
        made(folder, manifest=MANIFEST + 'illumination = "given"\n')


def test_a_plates_name_does_not_lead_out_of_the_folder_of_illumination_files(copy):
    folder, table = copy
    np.save(folder.parent / "secret_DNA.npy", light())
    given = MANIFEST + '[images.illumination]\nmethod = "given"\nfiles = "{plate}_{channel}.npy"\n'
    with pytest.raises(ImageError, match="none of 64 sites.*leaves its folder"):
        made(folder, table.assign(plate="../secret", site=range(64)), manifest=given)


def test_declared_bits_refuse_what_is_brighter(copy):
    folder, table = copy
    for row in table.to_dict("records"):
        spoil(folder, row, lambda plane: np.minimum(plane, 4095))
    path = folder / "images" / table["dna"][3]
    tifffile.imwrite(path, tifffile.imread(path) + np.uint16(3000))
    screen = made(folder, manifest=MANIFEST + "bits = 12\n")
    assert "beyond the 12 bits that are declared" in screen.rejected["reason"].iloc[0]
    assert screen.record["images"]["bits"] == 12


def test_percentiles_and_ceiling_are_the_screens(copy):
    folder, _ = copy
    screen = made(folder, manifest=MANIFEST + "percentiles = [5.0, 95.0]\nceiling = 2.5\n")
    assert (screen.images.clipping.low_percentile, screen.images.clipping.ceiling) == (5.0, 2.5)
    control = np.stack([screen.images.sites[i] for i in range(0, 32, 4)])
    np.testing.assert_allclose(screen.images.limits(np.array([0]))[0, 1], np.percentile(control[:, 1], (5, 95)))
    scaled = ImagePhenotypes(screen.images, 32, 1.0).read(np.arange(64))
    assert scaled.max() == 2.5


@pytest.mark.parametrize("store", ["memory_map", "zarr"])
def test_both_stores_give_the_same_pixels_by_site_slice_and_window(copy, plates, store):
    folder, _ = copy
    images = made(folder, manifest=MANIFEST + f'store = "{store}"\n').images
    truth = plates[2].images.sites
    np.testing.assert_array_equal(images.sites[:], truth[:])
    np.testing.assert_array_equal(images.sites[40], truth[40])
    np.testing.assert_array_equal(images.sites[np.array([63, 0, 32])], truth[np.array([63, 0, 32])])
    np.testing.assert_array_equal(images.sites.window(33, 5, 9, 20), truth[33][:, 5:25, 9:29])
    with pytest.raises(IndexError):
        images.sites[64]


def result(screen):
    return {name: value for name, value in screen.record["files"].items()}


@pytest.mark.slow
def test_processes_give_the_same_screen_as_one(copy, plates):
    folder, _ = copy
    screen = made(folder, workers=2)
    assert result(screen) == result(plates[2])
    assert Screen.open(folder / "screen", check=True)
    assert sorted(p.name for p in folder.iterdir()) == ["images", "manifest.toml", "screen", "sites.csv"]


def test_an_interrupted_ingest_goes_on_and_does_no_plate_again(copy, plates, monkeypatch):
    folder, _ = copy
    real, calls, said = plate_work.read_site, [], []

    def read(*args, **options):
        calls.append(str(args[0][0].path))
        if len([c for c in calls if "P2" in c]) == 40 and not said:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(plate_work, "read_site", read)
    # the second plate's sites are read once when they are kept from the sample: nothing is kept here
    monkeypatch.setattr(plate_light, "KEPT_BYTES", 0)
    with pytest.raises(KeyboardInterrupt):
        made(folder, report=lambda line: said.append(line) if "complete" in line else None)
    assert not (folder / "screen").exists()
    assert "1 of 2 plates are complete" in said[-1] and "screen.partial" in said[-1]
    calls.clear()
    screen = made(folder, report=said.append)
    assert any("1 plates were read by an earlier call" in line for line in said)
    assert not any("P1" in call for call in calls)
    assert result(screen) == result(plates[2])
    assert not (folder / "screen.partial").exists()


def test_a_changed_file_or_manifest_makes_its_plate_anew(copy, monkeypatch):
    folder, table = copy
    file = read_manifest(folder / "manifest.toml")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("dssl_bio.screens.site_tables.write_images", full)
    with pytest.raises(OSError):
        ingest(file, folder / "screen")
    place = folder / "screen.partial" / "plates"
    marks = {json.loads((p / "done.json").read_text())["plate"]: (p / "done.json").read_text() for p in place.iterdir()}
    assert set(marks) == {"P1", "P2"}
    path = folder / "images" / table["dna"][40]
    tifffile.imwrite(path, tifffile.imread(path))
    with pytest.raises(OSError):
        ingest(file, folder / "screen")
    again = {json.loads((p / "done.json").read_text())["plate"]: (p / "done.json").read_text() for p in place.iterdir()}
    assert again["P1"] == marks["P1"] and again["P2"] != marks["P2"]


def test_something_of_the_users_where_plates_would_lie_is_left_alone(copy):
    folder, _ = copy
    (folder / "screen.partial").mkdir()
    (folder / "screen.partial" / "diary.txt").write_text("mine")
    with pytest.raises(ScreenError, match="screen.partial.*holds no ingest"):
        made(folder)
    assert (folder / "screen.partial" / "diary.txt").read_text() == "mine"


def test_too_few_sites_are_left_as_they_are_with_a_note(tmp_path):
    manifest, _ = write_plates(tmp_path, 1, illumination.MIN_SITES - 1)
    screen = ingest(read_manifest(manifest), tmp_path / "screen")
    assert set(screen.images.plates()["illumination"]) == {"none"}
    assert any("illumination is not corrected: 15 sites, at least 16" in note for note in screen.record["notes"])


def test_a_site_is_drawn_alike_everywhere():
    """The helper itself: the light tilts every channel, and only that."""
    generator = [np.random.default_rng(3) for _ in range(2)]
    with_light, without = site(generator[0]), site(generator[1], tilted=False)
    bright = without["DNA"] > 1000
    ratio = (with_light["DNA"][bright].astype(float) - 300) / (without["DNA"][bright].astype(float) - 300)
    np.testing.assert_allclose(ratio, light()[bright], atol=0.05)


@pytest.mark.slow
def test_a_cluster_gives_the_same_screen_and_loses_a_worker_on_the_way(copy, plates):
    distributed = pytest.importorskip("distributed")
    folder, _ = copy
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            victim = next(iter(client.run(os.getpid).values()))
        strike = threading.Timer(0.3, os.kill, (victim, signal.SIGKILL))
        strike.start()
        screen = made(folder, scheduler=cluster.scheduler_address)
        strike.join()
    assert result(screen) == result(plates[2])
