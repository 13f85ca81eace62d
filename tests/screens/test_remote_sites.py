"""A load_data.csv whose URL_ columns lie in a bucket is ingested as the same files beside it are."""

import shutil

import numpy as np
import pandas as pd
import pytest
from dssl_bio.pipelines.main import app
from typer.testing import CliRunner

from dssl_bio.imaging import places
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import CHANNELS
from tests.screens.plates_of_discs import MANIFEST, write_plates
from tests.screens.s3_like import bucket_of

s3fs = pytest.importorskip("s3fs", reason="the extra scale is not installed")
N_WELLS = 16
URLS = '[images]\nurls = ["{prefix}"]'


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discs")
    manifest, table = write_plates(folder, n_plates=1, n_wells=N_WELLS)
    return folder, table, ingest(read_manifest(manifest), folder / "screen")


@pytest.fixture
def bucket(plates, tmp_path, monkeypatch):
    """The plates' images in a bucket, to be spoilt; nothing but the endpoint is told, and no credentials."""
    shutil.copytree(plates[0] / "images", tmp_path / "bucket" / "images")
    for word in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(word, raising=False)
    monkeypatch.setattr(places, "PAUSE_S", 0.01)
    with bucket_of(tmp_path / "bucket") as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        places._file_system.cache_clear()
        s3fs.S3FileSystem.clear_instance_cache()
        yield server
        places._file_system.cache_clear()
        s3fs.S3FileSystem.clear_instance_cache()


def load_data(plates, folder, prefix):
    """The table with URL_ columns, and the manifest that allows their beginning."""
    table = plates[1].rename(columns={channel.lower(): f"URL_Orig{channel}" for channel in CHANNELS})
    for channel in CHANNELS:
        table[f"URL_Orig{channel}"] = f"{prefix}images/" + table[f"URL_Orig{channel}"]
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / "load_data.csv", index=False)
    text = MANIFEST.replace("sites.csv", "load_data.csv").replace('folder = "images"\n', "")
    for channel in CHANNELS:
        text = text.replace(f'"{channel.lower()}"', f'"URL_Orig{channel}"')
    (folder / "manifest.toml").write_text(text.replace("[images]", URLS.format(prefix=prefix)))
    return folder / "manifest.toml"


def pixels(screen):
    return np.stack([screen.images.sites[number] for number in range(len(screen.images.table))])


def test_a_screen_in_a_bucket_is_read_without_credentials(plates, bucket, tmp_path):
    manifest = load_data(plates, tmp_path / "local", "s3://screens/")
    done = CliRunner().invoke(app, ["ingest", str(manifest), "--out", str(tmp_path / "screen"), "--quiet"])
    assert done.exit_code == 0, done.output
    screen = Screen.open(tmp_path / "screen", check=True)
    np.testing.assert_array_equal(pixels(screen), pixels(plates[2]))
    pd.testing.assert_frame_equal(screen.images.intensity, plates[2].images.intensity)
    assert len(screen.rejected) == 0 and bucket.signed == []
    got = [key for method, key in bucket.asked if method == "GET" and key]
    assert set(got) == {path.relative_to(bucket.root).as_posix() for path in bucket.root.rglob("*.tif")}


def test_a_missing_forbidden_broken_or_disallowed_object_costs_its_own_site(plates, bucket, tmp_path):
    (bucket.root / "images/P1/A2_ER.tif").unlink()
    (bucket.root / "images/P1/A4_Mito.tif").write_bytes(b"II*\0 cut off")
    bucket.forbidden.add("images/P1/A3_DNA.tif")
    bucket.busy["images/P1/A6_RNA.tif"] = 1  # answers at the second try
    manifest = load_data(plates, tmp_path / "local", "s3://screens/")
    table = pd.read_csv(manifest.parent / "load_data.csv")
    table.loc[6, "URL_OrigDNA"] = "s3://elsewhere/secret.tif"
    table.to_csv(manifest.parent / "load_data.csv", index=False)
    done = CliRunner().invoke(app, ["ingest", str(manifest), "--out", str(tmp_path / "screen"), "--quiet"])
    assert done.exit_code == 2, done.output
    screen = Screen.open(tmp_path / "screen")
    assert len(screen.images.table) == N_WELLS - 4
    reasons = dict(zip(screen.rejected["well"], screen.rejected["reason"], strict=True))
    assert set(reasons) == {"A02", "A03", "A04", "A07"}
    assert "s3://screens/images/P1/A2_ER.tif: no such file" in reasons["A02"]
    assert "s3://screens/images/P1/A3_DNA.tif: cannot be fetched" in reasons["A03"]
    assert "s3://screens/images/P1/A4_Mito.tif" in reasons["A04"]
    assert "not below the addresses that the manifest allows" in reasons["A07"]
    assert not any("secret" in key for _, key in bucket.asked)


@pytest.mark.slow
def test_the_same_files_behind_an_http_address_give_the_same_screen(plates, bucket, tmp_path):
    manifest = load_data(plates, tmp_path / "local", f"{bucket.address}/screens/")
    screen = ingest(read_manifest(manifest), tmp_path / "screen")
    np.testing.assert_array_equal(pixels(screen), pixels(plates[2]))
