import json
import shutil
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dssl_bio import artefact
from dssl_bio.errors import DsslBioError, ManifestError, ScreenError
from dssl_bio.screens import ingest_profiles
from dssl_bio.screens.ingest import unjoined
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import DOSE_UM, INCHIKEY, MOLECULE_ID, PERT_TYPE, PLATE, ROW_KEY, SMILES, WELL
from tests.screens.small_screen import FEATURES, PROFILE_MANIFEST, ingested, wells_table, write_profiles, write_sites


def test_reads_keys_as_text_wells_in_one_spelling_and_doses_in_micromolar(tmp_path):
    screen = ingested(write_profiles(tmp_path, wells_table()))
    wells = screen.wells
    assert wells[PLATE].unique().tolist() == ["00123"]
    assert wells[WELL].tolist()[:2] == ["A01", "A02"]
    assert wells[ROW_KEY].iloc[0] == "00123:A01"
    assert (wells[PERT_TYPE] == np.where(np.arange(16) % 2 == 0, "negcon", "trt")).all()
    assert wells.loc[wells[PERT_TYPE] == "trt", DOSE_UM].unique().tolist() == [5.0]
    assert wells.loc[wells[PERT_TYPE] == "negcon", MOLECULE_ID].isna().all()
    assert len(screen.molecules) == 4
    assert screen.molecules[MOLECULE_ID].eq(screen.molecules[INCHIKEY].str[:14]).all()
    assert screen.molecules.loc[3, SMILES] == "c1ccncc1"
    assert len(unjoined(screen)) == 0
    assert len(screen.rejected) == 0


def test_profiles_are_robust_z_scores_against_the_plates_controls(tmp_path):
    table = wells_table()
    screen = ingested(write_profiles(tmp_path, table))
    raw = table[FEATURES].to_numpy()
    control = raw[::2]
    middle = np.array([sorted(column)[3] / 2 + sorted(column)[4] / 2 for column in control.T])
    spread = 1.4826 * np.median(np.abs(control - middle), axis=0)
    profiles = screen.profiles["cell_painting"]
    np.testing.assert_allclose(profiles.values, np.clip((raw - middle) / spread, -10, 10), rtol=1e-4, atol=1e-4)
    assert profiles.features == FEATURES
    assert profiles.rows.tolist() == list(range(16))


@pytest.mark.parametrize("kind", ["csv.gz", "tsv", "parquet"])
def test_every_kind_of_table_gives_the_same_screen(tmp_path, kind):
    reference = ingested(write_profiles(tmp_path, wells_table()))
    other = tmp_path / "other"
    other.mkdir()
    path = write_profiles(other, wells_table(), PROFILE_MANIFEST.replace("wells.csv", f"wells.{kind}"))
    if kind == "parquet":
        wells_table().to_parquet(other / "wells.parquet")
    else:
        wells_table().to_csv(other / f"wells.{kind}", index=False, sep="\t" if kind == "tsv" else ",")
    screen = ingested(path)
    pd.testing.assert_frame_equal(screen.wells, reference.wells)
    np.testing.assert_allclose(screen.profiles["cell_painting"].values, reference.profiles["cell_painting"].values,
                               atol=1e-5)


def test_features_in_pieces_give_the_same_numbers(tmp_path, monkeypatch):
    path = write_profiles(tmp_path, wells_table(40))
    whole = np.array(ingested(path).profiles["cell_painting"].values)
    monkeypatch.setattr(ingest_profiles, "CELLS_AT_ONCE", 45)
    monkeypatch.setattr("dssl_bio.screens.tables.BLOCK_BYTES", 1_000)
    np.testing.assert_array_equal(whole, ingested(path).profiles["cell_painting"].values)


def test_several_tables_of_one_modality_are_one_after_the_other(tmp_path):
    table = wells_table()
    manifest = PROFILE_MANIFEST.replace('"wells.csv"', '"plate_*.csv"')
    path = write_profiles(tmp_path, table, manifest)
    for number in (1, 2):
        table.assign(plate=f"P{number}").to_csv(tmp_path / f"plate_{number}.csv", index=False)
    screen = ingested(path)
    assert len(screen.wells) == 32
    assert screen.record["counts"]["plates"] == 2
    values = screen.profiles["cell_painting"].values
    np.testing.assert_array_equal(values[:16], values[16:])


def test_two_modalities_share_their_wells(tmp_path):
    table = wells_table().assign(**{f"GE_{i}": np.arange(16.0) ** i for i in range(1, 4)})
    extra = '[profiles.expression]\ntable = "genes.csv"\nfeatures = ["GE_*"]\nnormalisation = "none"\n'
    path = write_profiles(tmp_path, table.drop(columns=["GE_1", "GE_2", "GE_3"]), PROFILE_MANIFEST + extra)
    table.drop(columns=[*FEATURES, "smiles"]).iloc[4:].to_csv(tmp_path / "genes.csv", index=False)
    screen = ingested(path)
    assert len(screen.wells) == 16
    assert screen.profiles["expression"].rows.tolist() == list(range(4, 16))
    np.testing.assert_allclose(screen.profiles["expression"].values[:, 0], np.arange(4, 16))


@pytest.mark.parametrize(("old", "new", "message"), [
    ('Metadata_Well = "well"', 'Metadata_Well = "wel"', "columns: no column 'wel'; did you mean 'well'"),
    ("treatment ==", "treatmnt ==", "controls.where: no column 'treatmnt'; did you mean 'treatment'"),
    ('column = "dose"', 'column = "doses"', "dose.column: no column 'doses'; did you mean 'dose'"),
    ('"Cells_*"', '"Cels_*"', "nothing matches 'Cels_"),
    ("wells.csv", "well.csv", "no such table"),
    ('"wells.csv"', '"*.parquet"', "no table matches"),
    ('== "DMSO"', '== "dmso"', r"finds no well; treatment holds (DMSO|compound) \(8\), "),
    ('name = "small"', 'name = "small"\nwhere = \'plate == "7"\'', "no row is left of 16"),
    ('name = "small"', 'name = "small"\nkey = ["plate"]', "the key 00123 .* wells.csv row 1 and wells.csv row 2"),
    ('name = "small"', 'name = "small"\nkey = ["nothing"]', "key: no column 'nothing'"),
    ('name = "small"', 'name = "small"\nannotations = ["batch"]', "nothing matches 'batch'"),
    ('name = "small"', 'name = "small"\n[checksums]\n"wells.csv" = "00"', "SHA-256 differs"),
    ('Metadata_Plate = "plate"', "", "no Metadata_Plate and Metadata_Well"),
])
def test_a_manifest_that_does_not_fit_its_table_is_a_clear_error(tmp_path, old, new, message):
    assert old in PROFILE_MANIFEST
    path = write_profiles(tmp_path, wells_table(), PROFILE_MANIFEST.replace(old, new))
    with pytest.raises(ManifestError, match=message):
        ingested(path)
    assert not (tmp_path / "screen").exists()


def test_normalisation_against_controls_needs_controls(tmp_path):
    manifest = PROFILE_MANIFEST.replace("[controls]\nwhere = 'treatment == \"DMSO\"'\n", "").replace("[dose]", "[dose]")
    table = wells_table().assign(dose=1.0)
    with pytest.raises(ManifestError, match="needs negative controls"):
        ingested(write_profiles(tmp_path, table, manifest))
    screen = ingested(write_profiles(tmp_path, table, manifest.replace('"negcon"', '"plate"')))
    assert any("no negative controls are declared" in note for note in screen.record["notes"])


def test_the_same_well_in_two_spellings_is_a_repeated_key(tmp_path):
    table = wells_table()
    table.loc[3, "well"] = "a01"
    with pytest.raises(ManifestError, match="the key 00123:A01 .* row 1 and wells.csv row 4"):
        ingested(write_profiles(tmp_path, table))


def test_broken_rows_are_rejected_with_their_place_and_reason(tmp_path):
    table = wells_table().astype({"dose": object})
    table.loc[1, "well"] = "Z999"
    table.loc[2, "well"] = None
    table.loc[3, "dose"] = "ten"
    table.loc[5, "dose"] = None
    table.loc[7, "dose"] = -1
    screen = ingested(write_profiles(tmp_path, table))
    rejected = screen.rejected.set_index("row")
    assert rejected["file"].unique().tolist() == ["wells.csv"]
    assert rejected.index.tolist() == [2, 3, 4, 6, 8]
    assert rejected.loc[2, "value"] == "Z999"
    assert "not a well" in rejected.loc[2, "reason"]
    assert rejected.loc[3, "reason"] == "no value in key column Metadata_Well"
    assert rejected.loc[4, "value"] == "ten"
    assert "dose is missing or not a number" in rejected.loc[6, "reason"]
    assert len(screen.wells) == 11


def test_missing_features_drop_features_or_rows_and_constant_ones_go(tmp_path):
    table = wells_table(60)
    table["Cells_f1"] = 3.5
    table["Cells_f2"] = table["Cells_f2"].astype(object)
    table.loc[:5, "Cells_f2"] = np.nan
    table.loc[7, "Cells_f3"] = np.inf
    table = table.astype({"Cells_f4": object})
    table.loc[9, "Cells_f4"] = "n.d."
    screen = ingested(write_profiles(tmp_path, table))
    assert screen.profiles["cell_painting"].features == ["Cells_f0", "Cells_f3", "Cells_f4", "Cells_f5"]
    assert screen.rejected["row"].tolist() == [8, 10]
    assert screen.rejected["reason"].tolist() == ["features are not finite numbers: Cells_f3",
                                                 "features are not finite numbers: Cells_f4"]
    notes = " ".join(screen.record["notes"])
    assert "1 of 6 features dropped, the same value in every row: Cells_f1" in notes
    assert "1 of 6 features dropped, not a finite number in more than 5% of the rows: Cells_f2" in notes
    assert np.isfinite(screen.profiles["cell_painting"].values).all()
    assert len(screen.wells) == 58


def test_a_screen_without_a_usable_feature_is_refused(tmp_path):
    table = wells_table().assign(**{name: 1.0 for name in FEATURES})
    with pytest.raises(ManifestError, match="none of 6 features is left"):
        ingested(write_profiles(tmp_path, table))
    table = wells_table().iloc[:0]
    with pytest.raises(ManifestError, match="no row is left of 0"):
        ingested(write_profiles(tmp_path, table))


def test_a_molecule_that_is_none_leaves_its_well_and_is_listed(tmp_path):
    table = wells_table()
    table.loc[1, "smiles"] = "no molecule"
    table.loc[3, "smiles"] = "C" * 5000
    table.loc[5, "smiles"] = None
    screen = ingested(write_profiles(tmp_path, table))
    assert len(screen.wells) == 16
    lost = unjoined(screen).set_index(ROW_KEY)
    assert lost.index.tolist() == ["00123:A02", "00123:A04", "00123:A06"]
    assert "not a valid SMILES" in lost.iloc[0]["reason"] or "no valid" in lost.iloc[0]["reason"]
    assert "characters" in lost.iloc[1]["reason"]
    assert lost.iloc[2]["reason"] == "no SMILES"
    assert screen.wells.loc[[1, 3, 5], MOLECULE_ID].isna().all()
    assert screen.record["counts"]["wells_without_molecule"] == 3


def test_control_wells_carry_no_molecule_even_with_a_smiles(tmp_path):
    table = wells_table()
    table.loc[0, "smiles"] = "CS(C)=O"
    screen = ingested(write_profiles(tmp_path, table))
    assert pd.isna(screen.wells.loc[0, MOLECULE_ID])
    assert len(screen.molecules) == 4


JOIN = """
[molecules]
table = "molecules.csv"
on = { left = "name", right = "drug" }
moa = "mechanism"
"""


def joined(tmp_path, molecules, names, manifest=None):
    table = wells_table().drop(columns="smiles").assign(name=names)
    text = (manifest or PROFILE_MANIFEST + JOIN).replace('Metadata_SMILES = "smiles"\n', "")
    path = write_profiles(tmp_path, table, text)
    molecules.to_csv(tmp_path / "molecules.csv", index=False)
    return ingested(path)


def test_structures_are_joined_from_a_table_and_what_is_not_there_is_said(tmp_path):
    molecules = pd.DataFrame({"drug": ["aspirin", "twice", "twice", "bad", "bad"], "mechanism": ["COX", "", "", "", ""],
                              "smiles": ["CC(=O)Oc1ccccc1C(=O)O", "CCO", "CCN", "x", "CCCl"]})
    screen = joined(tmp_path, molecules, ["DMSO", "aspirin", "DMSO", "twice", "DMSO", "bad", "DMSO", "unknown"] * 2)
    reasons = unjoined(screen).set_index(ROW_KEY)["reason"]
    assert len(screen.molecules) == 2
    assert screen.molecules["Metadata_MoA"].iloc[0] == "COX"
    assert screen.wells.loc[1, "Metadata_MoA"] == "COX"
    assert reasons["00123:A04"] == "molecules.csv gives more than one molecule for this name"
    assert reasons["00123:A08"] == "no row of molecules.csv has this name"
    assert screen.record["counts"]["wells_without_molecule"] == 4


def test_inchikeys_join_on_their_first_block_given_or_computed(tmp_path):
    aspirin = "BSYNRYMUTXBXSQ"
    molecules = pd.DataFrame({"key": [aspirin + "-UHFFFAOYSA-N"], "smiles": ["CC(=O)Oc1ccccc1C(=O)O"]})
    base = PROFILE_MANIFEST + JOIN.replace('moa = "mechanism"\n', "")
    for right in (', right = "key"', ""):
        manifest = base.replace(', right = "drug"', right)
        screen = joined(tmp_path, molecules, [None, aspirin] * 8, manifest)
        assert screen.molecules[MOLECULE_ID].tolist() == [aspirin]
        assert screen.wells[MOLECULE_ID].notna().sum() == 8


def test_rows_that_contradict_each_other_are_rejected(tmp_path):
    extra = '[profiles.second]\ntable = "second.csv"\nfeatures = ["Cells_*"]\nnormalisation = "none"\n'
    path = write_profiles(tmp_path, wells_table(), PROFILE_MANIFEST + extra)
    table = wells_table()
    table.loc[1, "dose"] = 7000.0
    table.to_csv(tmp_path / "second.csv", index=False)
    screen = ingested(path)
    assert screen.rejected[["modality", "row"]].to_numpy().tolist() == [["second", 2]]
    assert screen.rejected["value"].iloc[0] == "7.0 here, 5.0 before"
    assert len(screen.profiles["second"].rows) == 15


def test_a_well_alone_on_its_plate_is_rejected_when_plates_are_normalised(tmp_path):
    table = wells_table()
    table.loc[1, "plate"] = "lonely"
    screen = ingested(write_profiles(tmp_path, table, PROFILE_MANIFEST.replace('"negcon"', '"plate"')))
    assert screen.rejected["row"].tolist() == [2]
    assert "alone on its plate" in screen.rejected["reason"].iloc[0]


def test_the_record_says_what_it_was_made_from(tmp_path):
    path = write_profiles(tmp_path, wells_table())
    screen = ingested(path)
    record = artefact.verify(tmp_path / "screen", "screen")
    assert record["made_from"]["manifest"] == PROFILE_MANIFEST
    assert record["made_from"]["tables"] == {"wells.csv": artefact.checksum(tmp_path / "wells.csv")}
    assert record["counts"]["tables"]["cell_painting"] == {"input_rows": 16, "filtered": 0, "rejected": 0, "used": 16}
    again = ingested(path)
    assert again.id == screen.id


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 100))
    with pytest.raises(DsslBioError, match="needs about .* MB and the disk has 0.0 MB left"):
        ingested(write_profiles(tmp_path, wells_table()))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["manifest.toml", "wells.csv"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_stops_an_ingest_leaves_the_old_screen_and_no_half_one(tmp_path, monkeypatch, interruption):
    path = write_profiles(tmp_path, wells_table())
    before = ingested(path).id

    def stop(*_: object) -> None:
        raise interruption

    monkeypatch.setattr("dssl_bio.screens.ingest.write_block", stop)
    with pytest.raises((KeyboardInterrupt, OSError)):
        ingested(path)
    assert Screen.open(tmp_path / "screen").id == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["manifest.toml", "screen", "wells.csv"]


def test_a_folder_that_is_no_screen_is_never_replaced(tmp_path):
    (tmp_path / "screen").mkdir()
    (tmp_path / "screen" / "thesis.txt").write_text("three years")
    with pytest.raises(ScreenError, match="not a screen folder"):
        ingested(write_profiles(tmp_path, wells_table()))


def test_a_table_with_ragged_lines_names_the_line(tmp_path):
    path = write_profiles(tmp_path, wells_table())
    content = (tmp_path / "wells.csv").read_text()
    for line in ("1," * 40 + "\n", "00123,A1\n"):
        (tmp_path / "wells.csv").write_text(content + line)
        with pytest.raises(ManifestError, match="wells.csv cannot be read: .*[Rr]ow #18: Expected 11 columns"):
            ingested(path)


def test_a_damaged_screen_is_said(tmp_path):
    screen = ingested(write_profiles(tmp_path, wells_table()))
    (screen.folder / "wells.parquet").write_bytes(b"PAR1")
    with pytest.raises(ScreenError, match="damaged"):
        Screen.open(screen.folder)
    record = json.loads((screen.folder / "screen.json").read_text())
    (screen.folder / "screen.json").write_text(json.dumps(record | {"schema_version": 99}))
    with pytest.raises(ScreenError, match="dssl-bio ingest"):
        Screen.open(screen.folder)


@pytest.mark.parametrize("store", ["memory_map", "zarr"])
def test_a_screen_without_one_of_its_files_is_not_opened(tmp_path, store):
    """Zarr reads an absent chunk as zeros: black pictures, and no error."""
    manifest, _ = write_sites(tmp_path, 3, 1)
    manifest.write_text(manifest.read_text().replace("pixel_size_um", f'store = "{store}"\npixel_size_um'))
    folder = ingested(manifest).folder
    chunk = max((path for path in (folder / "images" / "plates").rglob("*") if path.is_file()),
                key=lambda path: path.stat().st_size * (path.suffix in ("", ".u16")))
    pixels = chunk.read_bytes()
    chunk.unlink()
    with pytest.raises(ScreenError, match=f"{chunk.name} is missing; make the screen again with `dssl-bio ingest`"):
        Screen.open(folder)
    chunk.write_bytes(pixels[:-1] + bytes([pixels[-1] ^ 1]))
    Screen.open(folder)
    with pytest.raises(ScreenError, match=f"{chunk.name} was changed or damaged"):
        Screen.open(folder, check=True)
    chunk.write_bytes(pixels)
    Screen.open(folder, check=True)


cells = st.sampled_from([None, "", "0.5", "1.5", "nan", "inf", "x", "2"])
broken_rows = st.lists(st.fixed_dictionaries({
    "well": st.sampled_from([None, "A1", "??", " b02 ", "C3", "AA4", "D005", "0", "e11"]),
    "treatment": st.sampled_from(["DMSO", "compound", None]), "smiles": st.sampled_from([None, "CCO", "x", "CCN"]),
    "dose": st.sampled_from([None, "1", "-1", "a", "1e3"]), "Cells_f0": cells, "Cells_f1": cells,
}), min_size=1, max_size=12)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken_rows)
def test_every_input_row_is_used_filtered_or_rejected(tmp_path, rows):
    """Whatever the rows hold: an error with a sentence, or a screen that accounts for each row once."""
    table = pd.DataFrame(rows).assign(plate=[f"P{i}" for i in range(len(rows))])
    manifest = PROFILE_MANIFEST.replace('"negcon"', '"none"').replace(
        "[columns]", "where = 'treatment != \"compound\" or dose != 1'\n[columns]")
    path = write_profiles(tmp_path, table, manifest)
    try:
        screen = ingested(path)
    except DsslBioError as problem:
        assert str(problem)
        return
    counts = screen.record["counts"]["tables"]["cell_painting"]
    kept = ~((table["treatment"] == "compound") & (table["dose"] == "1"))
    assert counts["filtered"] == int((~kept).sum())
    assert counts["input_rows"] == len(table) == counts["filtered"] + counts["rejected"] + counts["used"]
    assert counts["used"] == len(screen.wells) == len(screen.profiles["cell_painting"].rows)
    used = {int(key.split(":")[0][1:]) + 1 for key in screen.wells[ROW_KEY]}
    refused = screen.rejected["row"].tolist()
    assert len(set(refused)) == len(refused)
    assert used | set(refused) == set(np.flatnonzero(kept) + 1)
    assert not used & set(refused)
