"""What training is told of wells: dose, activity, controls; from a screen, and into a model."""

import numpy as np
import pandas as pd
import pytest

from dssl_bio.chem.standardize import standardize
from dssl_bio.config import with_overrides
from dssl_bio.errors import ConfigError, RunError
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.fit import prepare, train
from dssl_bio.learning.run import Run
from tests.evaluation.profile_screen import amides
from tests.retrieval.small_bundle import SMILES, small_config, small_run, small_screen, wells


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return small_screen(tmp_path_factory.mktemp("screen"))


def settings(**values):
    return small_config(**values)


def test_a_model_that_reads_doses_answers_differently_at_each_and_says_so_when_none_is_known(screen, tmp_path):
    run = small_run(screen, tmp_path / "run", dose=True, step_1={"epochs": 6, "batch_size": 16})
    assert run.reads_dose and run.facts.doses_um == (1.0, 10.0)
    molecules = [standardize(text) for text in SMILES[:5]]
    unknown, low, high = (run.embed_molecules(molecules, dose).shared for dose in (None, 1.0, 10.0))
    assert not np.allclose(low, high, atol=1e-3) and not np.allclose(unknown, low, atol=1e-3)
    assert np.allclose(np.linalg.norm(low, axis=1), 1, atol=1e-5)
    far, further = (run.embed_molecules(molecules, dose).shared for dose in (1e4, 1e6))
    assert np.array_equal(far, further)  # beyond the training doses the input stands still
    with pytest.raises(RunError, match="must be positive"):
        run.embed_molecules(molecules, 0.0)


def test_a_model_that_reads_no_doses_is_not_moved_by_one(screen, tmp_path):
    run = small_run(screen, tmp_path / "run")
    molecules = [standardize(text) for text in SMILES[:3]]
    assert np.array_equal(run.embed_molecules(molecules, 3.0).shared, run.embed_molecules(molecules).shared)
    assert not run.reads_dose and run.asked_dose(3.0) is None


def test_dose_is_learnt_where_it_decides_the_phenotype(tmp_path):
    """At the high dose every phenotype is its opposite: the model that is told the dose finds the right one."""
    table = wells()
    features = [name for name in table if name.startswith("Cells_")]
    table.loc[table.dose == 10, features] *= -1
    screen = small_screen(tmp_path, table)
    options = {"step_1": {"epochs": 60, "batch_size": 16, "keep": "last", "learning_rate": 5e-3}, "hidden": 64,
               "step_2": {"epochs": 0}, "shared_dim": 16, "split": {"fractions": (1.0, 0.0, 0.0)}}
    run = small_run(screen, tmp_path / "run", dose=True, **options)
    phenotypes = run.phenotypes(screen)
    treated = screen.wells.dropna(subset=["molecule_id"])
    vectors = run.embed_wells(phenotypes, phenotypes.rows[treated.index]).shared
    smiles = screen.molecules.set_index("molecule_id").Metadata_SMILES.loc[treated.molecule_id]
    molecules = [standardize(text) for text in smiles]
    own = {dose: (run.embed_molecules(molecules, dose).shared * vectors).sum(1) for dose in (1.0, 10.0)}
    at = treated.Metadata_Dose_um.to_numpy()
    right, wrong = np.where(at == 1, own[1.0], own[10.0]), np.where(at == 1, own[10.0], own[1.0])
    assert right.mean() > 0.5 and (right > wrong).mean() > 0.9


@pytest.mark.parametrize(("setting", "message"), [
    (["dose=true"], "two doses at least; those of screen amides have 0"),
    (["profile.sphere=true"], "has 0 negative controls"),
])
def test_a_screen_that_does_not_tell_what_is_asked_for_is_refused(tmp_path, setting, message):
    with pytest.raises(RunError, match=message):
        prepare(amides(tmp_path), with_overrides(TrainConfig(), ["molecule_encoder=kernel", *setting]))


def test_activity_without_replicates_and_without_a_column_is_not_known(screen):
    with pytest.raises(RunError, match="inactive_weight: which molecules .* are active is not known"):
        prepare(screen, settings(inactive_weight=0.5, train_where="Metadata_Dose_um == 1"))
    assert prepare(screen, settings(inactive_weight=0.5)).note.startswith("activity: ")  # two doses as replicates


def test_plates_are_numbered_and_without_them_negatives_cannot_be_reweighted(screen, tmp_path):
    facts = prepare(screen, settings(plate_negatives=1.0)).pairs.facts
    assert set(facts.plate) == {0, 1} and facts.plate_negatives == 1.0
    bare = small_screen(tmp_path, wells().assign(plate="001", well=[f"A{i:02d}" for i in range(1, 65)]))
    bare.wells.drop(columns="Metadata_Plate", inplace=True)  # noqa: PD002
    with pytest.raises(RunError, match="plate_negatives needs a plate or batch column"):
        prepare(bare, settings(plate_negatives=1.0))


def test_molecules_that_look_inactive_in_training_wells_weigh_less(tmp_path):
    """Induction of run 2, which is not trained on, says the opposite and is not looked at."""
    from tests.evaluation.profile_screen import amides_table

    table = amides_table()
    table.loc[table.run == 2, "Induction"] = 90.0
    screen = amides(tmp_path, table)
    config = with_overrides(TrainConfig(), ["molecule_encoder=kernel", "inactive_weight=0.25",
                                            "train_where=Metadata_Run == \"1\""])
    material = prepare(screen, config)
    induction = pd.to_numeric(screen.wells.Induction.iloc[material.pairs.rows]).to_numpy()
    assert np.array_equal(material.pairs.facts.weight, np.where(induction < 5, 0.25, 1).astype(np.float32))
    assert 0 < (induction < 5).sum() < len(induction) and "look inactive and weigh 0.25" in material.note


def test_every_option_of_profiles_trains_and_is_read_again(screen, tmp_path):
    lines = []
    config = settings(profile={"transform": "signed_log", "scaling": "robust", "max_correlation": 0.9, "sphere": True,
                               "mixing": 0.8, "components": 40}, plate_negatives=1.0)
    train(screen, config, tmp_path / "run", report=lines.append)
    run = Run.open(tmp_path / "run")
    vectors = run.embed_wells(run.phenotypes(screen), np.arange(4)).shared
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert run.facts.n_profile_components <= 12 and run.config.profile.sphere


def test_a_kept_network_needs_one_to_keep():
    with pytest.raises(ConfigError, match="start names none"):
        with_overrides(TrainConfig(), ["gine.freeze=true"])
