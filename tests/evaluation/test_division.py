import numpy as np
import pytest

from dssl_bio.errors import DsslBioError
from dssl_bio.evaluation.division import divide, query_entries, query_molecules
from tests.evaluation.profile_screen import amides_division, split_of


def test_profiles_of_training_molecules_are_those_of_their_training_wells(amides_screen, division):
    wells = amides_screen.wells
    values = np.asarray(amides_screen.profiles["cell_painting"].values)
    ids = division.molecules["molecule_id"].to_numpy()[division.known]
    assert not set(ids) & set(division.molecules.loc[division.molecules.held_out, "molecule_id"])
    assert len(ids) == 60
    for number, molecule in enumerate(ids[:7]):
        of_run = {run: values[((wells.molecule_id == molecule) & (wells.Metadata_Run == run)).to_numpy()][0]
                  for run in ("1", "2")}
        assert division.known_profiles[number] == pytest.approx(of_run["1"])
        assert division.known_gallery_profiles[number] == pytest.approx(of_run["2"])


def test_entries_are_wells_of_the_gallery_filter(amides_screen, division):
    assert set(division.entries.Metadata_Plate) == {"P20", "P21"}
    assert len(division.entries) == 80
    assert division.entries.held_out.sum() == 20
    wells = amides_division(amides_screen, mode="wells", gallery_where=None)
    assert len(wells.entries) == 160


def test_activity_and_mechanism_come_from_the_screen(division):
    active = division.molecules.set_index("molecule_id").active
    butyl = division.molecules.Metadata_SMILES.str.startswith("CCCCC(=O)")
    assert not active[butyl.to_numpy()].any()
    assert active[~butyl.to_numpy()].all()
    assert division.molecules.mechanism.isna().sum() == 16


def test_queries_of_molecules_have_no_plate_and_those_of_entries_keep_theirs(division):
    assert "Metadata_Plate" not in query_molecules(division)
    assert set(query_entries(division).Metadata_Plate) == {"P20", "P21"}
    assert len(query_molecules(division)) == len(query_entries(division)) == 20


def test_nothing_to_ask_or_to_learn_from_is_an_error(amides_screen):
    with pytest.raises(DsslBioError, match="no held-out molecule of screen amides has an entry where Metadata_Run"):
        amides_division(amides_screen, gallery_where='Metadata_Run == "3"')
    with pytest.raises(DsslBioError, match="no training well where"):
        amides_division(amides_screen, train_where='Metadata_Run == "3"')


def test_molecules_without_a_split_take_no_part(amides_screen):
    split = split_of(amides_screen)
    split.loc[1, "split"] = ""
    profiles = amides_screen.profiles["cell_painting"]
    left = divide(amides_screen, split, profiles.rows, np.asarray(profiles.values), fold="f")
    assert split.molecule_id[1] not in set(left.molecules.molecule_id)
    assert split.molecule_id[1] not in set(left.entries.molecule_id)
