import numpy as np
import pandas as pd
import pytest

from dssl_bio.errors import DsslBioError
from dssl_bio.evaluation.truth import OF_MOLECULE, OF_PHENOTYPE, SHARED, probe_truth, true_activity, true_factors
from dssl_bio.learning.representation import SharedSpecific


@pytest.fixture
def truth(tmp_path, division):
    """Row order and plates as the simulator writes them, with factors of our choice."""
    generator = np.random.default_rng(0)
    wells = division.screen.wells
    pd.DataFrame({"Metadata_Plate": wells.Metadata_Plate, "Metadata_Well": wells.Metadata_Well,
                  "Shared_strength": generator.normal(size=len(wells)),
                  "Specific_density": generator.normal(size=len(wells)), "n_cells": 7,
                  }).sample(frac=1, random_state=1).to_parquet(tmp_path / "wells.parquet")
    ids = division.molecules.molecule_id
    pd.DataFrame({"molecule_id": ids, "Shared_mechanism": ["inactive", "x"] * (len(ids) // 2),
                  "Specific_halogen": np.arange(len(ids)) % 3}).to_parquet(tmp_path / "molecules.parquet")
    return tmp_path


@pytest.fixture(scope="module")
def division(tmp_path_factory):
    """The amides with wells, without which truth cannot be joined."""
    from tests.evaluation.profile_screen import MANIFEST, amides_division, amides_table
    from tests.screens.small_screen import ingested

    folder = tmp_path_factory.mktemp("truth")
    table = amides_table()
    number = table.groupby("plate").cumcount()
    table["well"] = [f"{'ABCDEFGH'[n // 12]}{n % 12 + 1:02d}" for n in number]
    table.to_csv(folder / "wells.csv", index=False)
    text = MANIFEST.format(simulated="true").replace("[columns]", '[columns]\nMetadata_Well = "well"')
    (folder / "manifest.toml").write_text(text)
    return amides_division(ingested(folder / "manifest.toml"))


def test_factors_belong_to_the_wells_they_are_read_for(truth, division):
    factors, kinds, owner, rows = true_factors(truth, division)
    assert kinds == {"Shared_strength": SHARED, "Specific_density": OF_PHENOTYPE, "Specific_halogen": OF_MOLECULE}
    assert len(factors) == 40
    assert division.molecules.held_out.to_numpy()[owner].all()
    table = pd.read_parquet(truth / "wells.parquet").set_index(["Metadata_Plate", "Metadata_Well"])
    for place, well in enumerate(division.screen.wells.iloc[division.rows[rows]].itertuples()):
        assert factors.Shared_strength[place] == table.loc[(well.Metadata_Plate, well.Metadata_Well), "Shared_strength"]
    assert (factors.Specific_halogen == owner % 3).all()


def test_a_probe_reads_what_was_put_in_and_only_there(truth, division):
    factors, _, _, rows = true_factors(truth, division)
    generator = np.random.default_rng(3)
    shared = generator.normal(size=(len(division.rows), 4))
    shared[rows, 0] = factors.Shared_strength
    wells = SharedSpecific(shared, generator.normal(size=(len(division.rows), 4)))
    n = len(division.molecules)
    molecules = SharedSpecific(generator.normal(size=(n, 4)), generator.normal(size=(n, 4)))
    table = probe_truth(truth, division, molecules, wells)
    score = table[table.factor == "Shared_strength"].set_index("representation").score
    assert score["phenotype-shared"] > 0.9
    assert score.drop("phenotype-shared").max() < 0.3
    assert set(table[table.factor == "Specific_density"].truth) == {OF_PHENOTYPE}


def test_another_folder_or_another_screen_s_truth_is_refused(tmp_path, truth, division):
    with pytest.raises(DsslBioError, match="is not the truth of a simulated screen"):
        true_factors(tmp_path / "nowhere", division)
    wells = pd.read_parquet(truth / "wells.parquet")
    wells.assign(Metadata_Plate="another " + wells.Metadata_Plate).to_parquet(truth / "wells.parquet")
    with pytest.raises(DsslBioError, match="no well of screen amides is in the truth"):
        true_factors(truth, division)
    wells.assign(Metadata_Plate="one").to_parquet(truth / "wells.parquet")
    with pytest.raises(DsslBioError, match="plate and well repeat"):
        true_factors(truth, division)


def test_activity_is_that_of_the_truth(truth, division):
    active = true_activity(truth)
    assert active.sum() == len(division.molecules) / 2
