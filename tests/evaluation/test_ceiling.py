import numpy as np
import pytest

from dssl_bio.evaluation.ceiling import LEFT_OUT, OTHER_RUN, replicate_ceiling
from dssl_bio.evaluation.division import means
from dssl_bio.evaluation.heldout import WHOLE
from tests.evaluation.profile_screen import amides_division


def unit(x):
    return x / np.linalg.norm(x)


def test_another_run_asks_for_the_gallery_s_entries(division):
    table, how = replicate_ceiling(division, division.profiles, division.entry_profiles)
    assert how == OTHER_RUN
    whole = table[table.setting == WHOLE].set_index("query")["rank"]
    assert len(whole) == 20
    held_out = division.entries.held_out.to_numpy()
    ids = division.entries.molecule_id.to_numpy()
    for molecule in whole.index[:5]:
        number = int(np.flatnonzero(division.molecules.molecule_id == molecule)[0])
        query = division.profiles[(division.owner == number) & (division.membership < 0)].mean(0)
        scores = np.array([unit(query) @ unit(entry) for entry in division.entry_profiles])
        own = scores[(ids == molecule) & held_out].max()
        assert whole[molecule] == 1 + (scores[held_out & (ids != molecule)] >= own).sum()


def test_within_one_run_each_replicate_asks_and_is_left_out_of_its_own_entry(amides_screen):
    division = amides_division(amides_screen, gallery_where=None, train_where=None)
    table, how = replicate_ceiling(division, division.profiles, division.entry_profiles)
    assert how == LEFT_OUT
    whole = table[table.setting == WHOLE].set_index("query")["rank"]
    assert len(whole) == 40  # 20 molecules, two wells each
    held_out = np.flatnonzero(division.entries.held_out)
    for well in np.flatnonzero(np.isin(division.membership, held_out))[:6]:
        entries = division.entry_profiles.copy()
        own = division.membership[well]
        partners = np.flatnonzero((division.membership == own) & (np.arange(len(division.rows)) != well))
        entries[own] = division.profiles[partners].mean(0)
        scores = np.array([unit(division.profiles[well]) @ unit(entries[entry]) for entry in held_out])
        place = int(np.flatnonzero(held_out == own)[0])
        key = amides_screen.wells.row_key.iloc[division.rows[well]]
        assert whole[key] == 1 + (np.delete(scores, place) >= scores[place]).sum()


def test_a_replicate_does_not_meet_itself(amides_screen):
    """Pure noise finds its own entry at chance; were it part of it, it would find it at once."""
    division = amides_division(amides_screen, gallery_where=None, train_where=None)
    noise = np.random.default_rng(0).normal(size=(len(division.rows), 20))
    table, _ = replicate_ceiling(division, noise, means(noise, division.membership, len(division.entries)))
    whole = table[table.setting == WHOLE]
    assert np.mean(whole["rank"] == 1) < 0.25
    assert np.median(whole["rank"]) == pytest.approx(10.5, abs=4)


def test_without_replicates_there_is_no_ceiling(amides_screen):
    division = amides_division(amides_screen, gallery_where=None, train_where=None, mode="wells")
    table, _ = replicate_ceiling(division, division.profiles, division.entry_profiles)
    assert len(table) == 0
