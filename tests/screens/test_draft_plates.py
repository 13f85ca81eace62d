"""A draft for OME-Zarr plates is a manifest that ingest takes as it is."""

import numpy as np
import pandas as pd
import pytest
import zarr
from dssl_bio.pipelines.main import app
from typer.testing import CliRunner

from dssl_bio.errors import ManifestError
from dssl_bio.imaging.ome_zarr import pixel_size_um
from dssl_bio.screens.draft import draft
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from tests.screens.plates_of_discs import site
from tests.screens.small_screen import SMILES

LABELS = ("AGP (phalloidin)", "Hoechst 33342", "MitoTracker", "ConA ER", "SYTO 14")
ORDER = ("AGP", "DNA", "Mito", "ER", "RNA")
WELLS = ("A/1", "A/2", "B/1", "B/2")


def write_plate(folder, version=2, labels=LABELS, unit="micrometer", scale=0.65, seed=0):
    """An HCS plate of four wells with two fields of five channels each, as NGFF 0.4 or 0.5 lays them out."""
    generator = np.random.default_rng(seed)

    def group(path, **attributes):
        found = zarr.open_group(path, mode="a", zarr_format=version)
        found.attrs.update(attributes if version == 2 else {"ome": {"version": "0.5", **attributes}})

    group(folder, plate={"name": folder.stem, "wells": [{"path": well} for well in WELLS]})
    axes = [{"name": "c", "type": "channel"}, *({"name": a, "type": "space", "unit": unit} for a in "yx")]
    steps = [{"type": "scale", "scale": [1.0, scale, scale]}]
    for well in WELLS:
        group(folder / well, well={"images": [{"path": "0"}, {"path": "1"}]})
        for field in "01":
            planes = site(generator, n_cells=4)
            group(folder / well / field, omero={"channels": [{"label": label} for label in labels]}, multiscales=[
                {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}])
            array = zarr.create_array(store=folder / well / field / "0", shape=(5, 64, 64), dtype="uint16",
                                      chunks=(1, 64, 64), zarr_format=version)
            array[:] = np.stack([planes[channel] for channel in ORDER])
    return folder


def manifest_of(path, out):
    done = CliRunner().invoke(app, ["manifest", "init", str(path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    root = path if path.suffix != ".zarr" else path.parent
    assert f"--data-root {root}" in "".join(done.output.splitlines()) or str(root) in done.output.replace("\n", "")
    return read_manifest(out, root)


@pytest.mark.parametrize("version", [2, 3])
def test_a_plate_of_ome_zarr_is_drafted_and_ingested(tmp_path, version):
    plate = write_plate(tmp_path / "BR1.zarr", version)
    file = manifest_of(plate, tmp_path / "draft.toml")
    images = file.manifest.images
    assert images.table == "BR1.zarr" and images.pixel_size_um == 0.65
    assert images.channels == {"DNA": 1, "ER": 3, "RNA": 4, "AGP": 0, "Mito": 2}
    screen = ingest(file, tmp_path / "screen")
    assert screen.images.sites.shape == (8, 5, 64, 64)
    assert sorted(screen.wells["Metadata_Well"]) == ["A01", "A02", "B01", "B02"]
    assert set(screen.wells["Metadata_Plate"]) == {"BR1"} and len(screen.rejected) == 0
    stored = zarr.open_array(plate / "A/1" / "0" / "0", mode="r")[...]
    np.testing.assert_array_equal(screen.images.sites[0], stored[[1, 3, 4, 0, 2]])


def test_a_folder_of_plates_with_a_plate_map_gives_molecules_and_controls(tmp_path):
    for number in (1, 2):
        write_plate(tmp_path / f"P{number}.zarr", seed=number)
    pd.DataFrame({"well": ["A01", "A02", "B01", "b2"], "compound": ["DMSO", "one", "two", "DMSO"],
                  "smiles": [None, *SMILES[:2], None]}).to_csv(tmp_path / "platemap.csv", index=False)
    file = manifest_of(tmp_path, tmp_path / "draft.toml")
    assert file.manifest.images.table == "*.zarr"
    screen = ingest(file, tmp_path / "screen")
    assert len(screen.wells) == 8 and len(screen.molecules) == 2
    wells = screen.wells.set_index("Metadata_Well")
    assert set(wells.index[wells["Metadata_pert_type"] == "negcon"]) == {"A01", "B02"}
    assert set(wells.loc["A02", "Metadata_Compound"]) == {"one"}


def test_what_the_plates_do_not_say_is_a_guess_that_says_so(tmp_path):
    write_plate(tmp_path / "P1.zarr", labels=[f"w{n}" for n in range(5)], unit="furlong")
    (tmp_path / "other.zarr").mkdir()  # no plate
    text = draft(tmp_path)
    assert "ORDER IS A GUESS" in text and "pixel_size_um = 0.65      # a guess" in text
    assert '["P1.zarr"]' in text or 'table = "P1.zarr"' in text
    assert "# [molecules]" in text and "the plates do not say what their wells received" in text


@pytest.mark.parametrize(("unit", "scale", "expected"), [("nanometer", 108.0, 0.108), ("micrometer", 1.3, 1.3),
                                                         (None, 1.0, None)])
def test_the_pixel_size_is_read_in_its_unit(tmp_path, unit, scale, expected):
    plate = write_plate(tmp_path / "P.zarr", unit=unit, scale=scale)
    assert pixel_size_um(plate / "A/1" / "0") == (expected if expected is None else pytest.approx(expected))


def test_a_plate_without_a_field_is_refused(tmp_path):
    zarr.open_group(tmp_path / "P.zarr", mode="a", zarr_format=2).attrs.update(plate={"name": "P", "wells": []})
    with pytest.raises(ManifestError, match="no field of view"):
        draft(tmp_path / "P.zarr")
