import numpy as np
import pandas as pd
import pytest

from dssl_bio.chem.clusters import butina_clusters
from dssl_bio.chem.scaffolds import murcko_scaffold
from dssl_bio.chem.standardize import Molecule, standardize
from dssl_bio.errors import EvaluationError
from dssl_bio.evaluation.folds import balanced, make_folds, read_folds, split_of_fold
from tests.evaluation.profile_screen import amides, amides_table


def test_folds_are_balanced_and_keep_groups_whole():
    groups = np.repeat([f"g{i}" for i in range(20)], np.arange(1, 21))
    fold = balanced(groups, 4, seed=0)
    assert all(len(set(fold[groups == name])) == 1 for name in set(groups))
    sizes = np.bincount(fold)
    assert sizes.max() - sizes.min() <= 5


@pytest.mark.parametrize("by", ["random", "scaffold", "cluster", "series"])
def test_whole_groups_stay_in_one_fold(by, amides_screen):
    folds = make_folds(amides_screen, by, 5, seed=1)
    assert len(folds) == 80 and set(folds.fold) == set(range(5))
    assert (folds.groupby("group").fold.nunique() == 1).all()
    if by == "scaffold":
        table = amides_screen.molecules.set_index("molecule_id").loc[folds.molecule_id]
        own = [murcko_scaffold(Molecule(s, k)) for s, k in
               zip(table.Metadata_SMILES, table.Metadata_InChIKey, strict=True)]
        assert (pd.Series(folds.fold.to_numpy()).groupby(own).nunique() == 1).all()


def test_plates_that_share_a_molecule_are_one_group(amides_screen):
    """Both runs of a molecule lie on plates P10/P20 or P11/P21: two groups, which cannot fill three folds."""
    assert make_folds(amides_screen, "plate", 2).group.nunique() == 2
    with pytest.raises(EvaluationError, match="2 groups by plate, which cannot fill 3 folds"):
        make_folds(amides_screen, "plate", 3)


def test_an_unknown_column_is_answered_with_those_there_are(amides_screen):
    with pytest.raises(EvaluationError, match="--group-by colour: neither one of random, scaffold.*series"):
        make_folds(amides_screen, "colour", 5)


def test_a_column_that_differs_within_a_molecule_cannot_make_folds(amides_screen):
    with pytest.raises(EvaluationError, match="would stand on two sides"):
        make_folds(amides_screen, "Metadata_Run", 2)


def test_folds_come_from_a_file_by_whatever_names_the_molecules(tmp_path, amides_screen):
    names = [f"C{i + 1}" for i in range(60)]
    pd.DataFrame({"molecule": names, "fold": np.arange(60) % 3 + 7, "block": np.arange(60) // 2}).to_parquet(
        tmp_path / "folds.parquet")
    folds, key = read_folds(tmp_path / "folds.parquet", amides_screen)
    assert key in ("compound", "Metadata_Compound") and len(folds) == 60 and set(folds.fold) == {0, 1, 2}
    split = split_of_fold(folds, 1)
    assert (split.split == "test").sum() == 20 and set(split.molecule_id) == set(folds.molecule_id)


@pytest.mark.parametrize(("table", "message"), [
    ({"molecule": ["x"], "part": [0]}, "lacks the column fold"),
    ({"molecule": ["x", "y"], "fold": [0, 1]}, "no molecule of .* is in screen amides"),
    ({"molecule": ["C1", "C2"], "fold": [0, 0]}, "has one fold"),
    ({"molecule": ["C1", "C1"], "fold": [0, 1]}, "into 2 folds"),
])
def test_a_folds_file_that_does_not_fit_is_refused(table, message, tmp_path, amides_screen):
    pd.DataFrame(table).to_csv(tmp_path / "folds.csv", index=False)
    with pytest.raises(EvaluationError, match=message):
        read_folds(tmp_path / "folds.csv", amides_screen)


def test_clusters_join_analogues_and_part_strangers():
    molecules = [standardize(s) for s in ("CCCCCCCC(=O)O", "CCCCCCCCC(=O)O", "c1ccc2ncccc2c1", "Cc1ccc2ncccc2c1")]
    numbers = butina_clusters(molecules)
    assert numbers[0] == numbers[1] and numbers[2] == numbers[3] and numbers[0] != numbers[2]


def test_molecules_that_no_filter_lets_through_fill_no_fold(tmp_path):
    """Every third molecule was measured in run 2 alone, where nothing is learnt and nothing is searched."""
    table = amides_table()
    number = table.compound.str[1:].astype(int)
    screen = amides(tmp_path, table[(number % 3 != 0) | (table.run == 2)])
    folds = make_folds(screen, "random", 4, train_where='Metadata_Run == "1"', gallery_where='Metadata_Run == "1"')
    wells = screen.wells[screen.wells.Metadata_Run == "1"]
    assert set(folds.molecule_id) == set(wells.molecule_id) and len(folds) == 54
    assert np.ptp(folds.groupby("fold").size()) <= 1
    assert len(make_folds(screen, "random", 4, train_where='Metadata_Run == "1"')) == 80  # all are entries
    with pytest.raises(EvaluationError, match="no well with a molecule is left"):
        make_folds(screen, "random", 4, train_where='Metadata_Run == "7"', gallery_where='Metadata_Run == "7"')
    by_plate = make_folds(screen, "plate", 2, train_where='Metadata_Run == "1"', gallery_where='Metadata_Run == "1"')
    assert set(by_plate.molecule_id) == set(wells.molecule_id)
