"""The committed manifests on the published screens they describe, where those are at hand."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dssl_bio.screens.ingest import ingest, unjoined
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.vocabulary import CHANNELS, DOSE_UM, MOA, MOLECULE_ID, PERT_TYPE

DATA = os.environ.get("DSSL_BIO_DATA")
MANIFESTS = Path(__file__).parents[2] / "data_manifests"
pytestmark = pytest.mark.skipif(not DATA, reason="DSSL_BIO_DATA does not name the folder of published screens")


def published(name, tmp_path, **options):
    return ingest(read_manifest(MANIFESTS / f"{name}.toml", Path(str(DATA))), tmp_path / name, **options)


def test_dark_matter(tmp_path):
    screen = published("dark_matter", tmp_path)
    counts = screen.record["counts"]
    assert (counts["input_rows"], counts["filtered"], counts["rejected"], counts["wells"]) == (2001, 903, 0, 1098)
    raw = pd.read_parquet(Path(str(DATA)) / "comas" / "wells.parquet").query('source == "pahl2024_dcm"')
    assert (screen.wells[MOLECULE_ID].to_numpy() == raw["mol_key"].to_numpy()).all()
    assert screen.wells["Metadata_Run"].value_counts().to_dict() == {"1": 549, "2": 549}
    values = raw[screen.profiles["cell_painting"].features].to_numpy()
    expected = np.sign(values) * np.log1p(np.abs(values))
    np.testing.assert_allclose(screen.profiles["cell_painting"].values, expected, rtol=1e-5, atol=1e-6)


def test_grigalunas(tmp_path):
    screen = published("grigalunas", tmp_path)
    counts = screen.record["counts"]
    assert (counts["wells"], counts["rejected"], counts["plates"], counts["molecules"]) == (862, 1, 30, 168)
    assert set(screen.wells[DOSE_UM]) == {1, 3, 5, 10, 30, 50}


def test_lincs_plate_without_and_with_structures(tmp_path):
    screen = published("lincs_plate", tmp_path)
    counts = screen.record["counts"]
    found = [counts[name] for name in ("wells", "controls", "wells_without_molecule", "molecules")]
    assert found == [384, 24, 360, 0]
    assert any("Give one with --molecules" in note for note in screen.record["notes"])
    drugs = {"GXJABQQUPOEUTA": "CC(C)C[C@H](NC(=O)[C@H](Cc1ccccc1)NC(=O)c1cnccn1)B(O)O",
             "KTUFNOKKBVMGRW": "CN1CCN(Cc2ccc(cc2)C(=O)Nc2ccc(C)c(Nc3nccc(n3)-c3cccnc3)c2)CC1"}
    table = pd.DataFrame({"inchikey14": list(drugs), "smiles": list(drugs.values())})
    table.to_csv(tmp_path / "drugs.csv", index=False)
    screen = published("lincs_plate", tmp_path, molecules=tmp_path / "drugs.csv")
    joined = screen.wells[screen.wells[MOLECULE_ID].notna()]
    assert len(joined) + len(unjoined(screen)) == 360
    assert len(joined) >= 6
    assert joined[MOA].notna().all()
    # the first drug is the plate's positive control as well, at about 20 uM
    assert sorted(joined[DOSE_UM].unique())[:6] == pytest.approx([0.041152, 0.12346, 0.37037, 1.1111, 3.3333, 10.0])
    assert (screen.wells[PERT_TYPE] == "negcon").sum() == 24


def test_cmea(tmp_path):
    screen = published("cmea", tmp_path)
    assert {name: block.values.shape for name, block in screen.profiles.items()} == {
        "cell_painting": (123, 812), "expression": (123, 978)}
    assert len(screen.molecules) == 118


def test_cpjump1_sites(tmp_path):
    screen = published("cpjump1_sites", tmp_path)
    assert screen.images is not None
    assert screen.images.sites.shape == (6, 5, 1080, 1080)
    assert screen.images.channels == CHANNELS
    assert len(screen.molecules) == 5
    limits = screen.images.limits(np.array([0]))[0]
    assert (limits[:, 1] > 3 * limits[:, 0]).all()
