from pathlib import Path

import pytest

from dssl_bio.errors import ManifestError
from dssl_bio.screens.manifest import inside, read_manifest
from tests.screens.small_screen import IMAGE_MANIFEST, PROFILE_MANIFEST

MANIFESTS = sorted((Path(__file__).parents[2] / "data_manifests").glob("*.toml"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_committed_manifests_are_complete(path):
    manifest = read_manifest(path).manifest
    assert manifest.name == path.stem
    assert manifest.title
    assert manifest.citation
    assert manifest.licence


@pytest.mark.parametrize(("old", "new", "message"), [
    ("unit =", "units =", "unknown key 'dose.units'; did you mean 'unit'. Known keys: column, unit"),
    ("[controls]", "[control]", "unknown key 'control'; did you mean 'controls'"),
    ("name = \"small\"", "name = \"a b\"", "cannot be a name"),
    ("unit = \"nM\"", "unit = \"mg/mL\"", "mass concentration"),
    ("unit = \"nM\"", "unit = \"furlong\"", "dose.unit"),
    ("Metadata_Well =", "Well =", "named Metadata_"),
    ("treatment == ", "treatment = ", "character 11: cannot be read"),
    ("wells.csv", "../wells.csv", "leaves its folder"),
    ("wells.csv", "/etc/passwd", "leaves its folder"),
    ("normalisation = \"negcon\"", "", "normalisation: Field required"),
    ("normalisation = \"negcon\"", "normalisation = \"plates\"", "normalisation"),
    ("[\"Cells_*\"]", "[]", "features"),
    ("[profiles.cell_painting]", "[profiles.images]", "cannot be a name"),
])
def test_says_what_is_wrong_with_a_manifest(tmp_path, old, new, message):
    path = tmp_path / "m.toml"
    assert old in PROFILE_MANIFEST
    path.write_text(PROFILE_MANIFEST.replace(old, new))
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


@pytest.mark.parametrize(("old", "new", "message"), [
    (', AGP = "agp"', "", "expected DNA, ER, RNA, AGP, Mito, found Mito, DNA, ER, RNA; say some_channels"),
    ("Mito =", "Mitochondria =", "expected DNA, ER, RNA, AGP, Mito, found Mitochondria"),
    ("channels =", "channel =", "channels: Field required"),
    ('AGP = "agp"', "AGP = 3", "name a column for each channel"),
    ('AGP = "agp"', 'AGP = "dna"', "same place"),
    ("pixel_size_um = 0.5", "pixel_size_um = 0", "pixel_size_um"),
    ("pixel_size_um = 0.5", "pixel_size_um = 0.5\nstore_pixel_size_um = 0.2", "only ever shrunk"),
])
def test_the_channel_map_is_required_and_named(tmp_path, old, new, message):
    path = tmp_path / "m.toml"
    assert old in IMAGE_MANIFEST
    path.write_text(IMAGE_MANIFEST.replace(old, new))
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)


@pytest.mark.parametrize("path", ["", "/a", "a/../../b", "C:\\x.tif", "\\\\server\\x", "..", "a\0b"])
def test_a_path_cannot_leave_its_folder(path):
    with pytest.raises(ValueError, match="path"):
        inside(path)


def test_micro_sign_is_a_micro(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(PROFILE_MANIFEST.replace('"nM"', '"\u00b5M"'))
    manifest = read_manifest(path).manifest
    assert manifest.dose is not None
    assert manifest.dose.unit == "uM"
