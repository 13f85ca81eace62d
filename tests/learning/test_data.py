import numpy as np
import pytest
import torch

from dssl_bio.chem.standardize import standardize
from dssl_bio.learning.data import PairLoader, Pairs, WellFacts
from dssl_bio.learning.inputs import MoleculeInputs
from dssl_bio.learning.phenotypes import ProfilePhenotypes
from dssl_bio.screens.screen import Profiles

SMILES = ["CCO", "CCN", "c1ccccc1O", "CC(=O)O", "CCCCl", "CCS", "CCF", "CCBr", "CNC", "COC", "CC#N", "C1CCCCC1"]
WELLS = 4


class Numbers:
    """A phenotype is the number of its well."""

    def sample(self, rows, generator):
        return torch.from_numpy(rows[:, None].astype(np.float32))

    def view(self, inputs):
        return inputs


@pytest.fixture(scope="module")
def pairs():
    inputs = MoleculeInputs.of([standardize(smiles) for smiles in SMILES], frozenset({"fingerprint"}))
    molecule = np.tile(np.arange(len(SMILES)), WELLS)
    return Pairs(100 + np.arange(len(molecule)), molecule, inputs, Numbers())


@pytest.mark.parametrize("n_views", [1, 2])
def test_an_epoch_shows_every_well_once_beside_its_own_molecule(pairs, n_views):
    batches = list(PairLoader(pairs, 16, n_views, seed=0))
    assert len(batches) == 3
    wells = torch.cat([batch.phenotypes[0][:, 0] for batch in batches]).long().numpy()
    assert sorted(wells) == sorted(pairs.rows)
    groups = torch.cat([batch.groups for batch in batches]).numpy()
    assert (groups == (wells - 100) % len(SMILES)).all()
    for batch in batches:
        assert len(batch.molecules) == len(batch.phenotypes) == n_views


def test_step_2_sees_the_wells_of_a_molecule_together_and_step_1_does_not(pairs):
    together = [len(np.unique(batch.groups)) for batch in PairLoader(pairs, 16, 2, seed=0)]
    assert together == [4, 4, 4]
    apart = [len(np.unique(batch.groups)) for batch in PairLoader(pairs, 16, 1, seed=0)]
    assert min(apart) > 6


def test_epochs_differ_and_a_loader_that_begins_later_goes_on_alike(pairs):
    loader = PairLoader(pairs, 16, 2, seed=0)
    epochs = [torch.cat([batch.groups for batch in loader]) for _ in range(3)]
    assert not torch.equal(epochs[0], epochs[1])
    later = PairLoader(pairs, 16, 2, seed=0, first_epoch=2)
    assert torch.equal(torch.cat([batch.groups for batch in later]), epochs[2])
    other = PairLoader(pairs, 16, 2, seed=1)
    assert not torch.equal(torch.cat([batch.groups for batch in other]), epochs[0])


def profile_pairs(inputs, facts):
    """The profile of well 100 + i is the i-th unit vector, so that a mixture shows its weights."""
    molecule = np.tile(np.arange(len(SMILES)), WELLS)
    n = len(molecule)
    phenotypes = ProfilePhenotypes(Profiles(np.eye(n, dtype=np.float32), [f"f{i}" for i in range(n)],
                                            100 + np.arange(n)))
    phenotypes.spread = torch.zeros(n)
    phenotypes.view = lambda profiles: profiles
    return Pairs(100 + np.arange(n), molecule, inputs, phenotypes, facts)


def test_replicates_are_mixed_by_a_dirichlet_distribution_within_a_molecule_and_a_dose(pairs):
    dose = np.repeat([1.0, 10.0], len(pairs) // 2)  # of the four wells of a molecule, two at each dose
    mixed = profile_pairs(pairs.inputs, WellFacts(dose=dose, mixing=0.8))
    draws = np.concatenate([batch.phenotypes[0].numpy()[batch.groups.numpy() == 3]
                            for epoch in range(300) for batch in PairLoader(mixed, 16, 1, seed=0, first_epoch=epoch)])
    wells = 3 + len(SMILES) * np.arange(4)
    assert np.allclose(draws.sum(1), 1) and np.allclose(draws[:, wells].sum(1), 1)
    low = draws[:, wells[0]] + draws[:, wells[1]]
    assert np.isclose(low, 0, atol=1e-6).mean() == pytest.approx(0.5) and set(low.round(3)) == {0.0, 1.0}
    weights = draws[low > 0.5][:, wells[0]]
    assert weights.mean() == pytest.approx(0.5, abs=0.03)
    assert weights.var() == pytest.approx(0.25 / (2 * 0.8 + 1), rel=0.1)  # of a symmetric Dirichlet of two


def test_step_2_takes_single_wells(pairs):
    mixed = profile_pairs(pairs.inputs, WellFacts(mixing=0.8))
    for batch in PairLoader(mixed, 16, 2, seed=0):
        assert all((view.max(1).values == 1).all() for view in batch.phenotypes)


def test_in_half_of_the_minibatches_no_dose_is_told_and_a_molecule_is_one_group(pairs):
    dose = np.where(np.arange(len(pairs)) % 5 == 0, np.nan, np.repeat([1.0, 10.0], len(pairs) // 2))
    told = Pairs(pairs.rows, pairs.molecule, pairs.inputs, Numbers(),
                 WellFacts(dose=dose, log_dose=np.log10(dose).astype(np.float32)))
    kinds = []
    for epoch in range(40):
        for batch in PairLoader(told, 16, 1, seed=0, first_epoch=epoch):
            wells = batch.phenotypes[0][:, 0].long().numpy() - 100
            log_dose, groups = batch.molecules[0].log_dose, batch.groups.numpy()
            kinds.append(log_dose is not None)
            if log_dose is None:
                assert (groups == wells % len(SMILES)).all()
            else:
                assert np.array_equal(log_dose.numpy(), np.log10(dose[wells]).astype(np.float32), equal_nan=True)
                keys = [(well % len(SMILES), str(dose[well])) for well in wells]
                assert all((groups[i] == groups[j]) == (keys[i] == keys[j])
                           for i in range(len(keys)) for j in range(len(keys)))
    assert 0.35 < np.mean(kinds) < 0.65


def test_weights_follow_their_wells(pairs):
    n = len(pairs)
    facts = WellFacts(weight=np.arange(n, dtype=np.float32), plate=np.arange(n) % 3, plate_negatives=2.0)
    for batch in PairLoader(Pairs(pairs.rows, pairs.molecule, pairs.inputs, Numbers(), facts), 16, 1, seed=0):
        wells = batch.phenotypes[0][:, 0].long() - 100
        assert torch.equal(batch.weights.rows, wells.float())
        alike = (wells % 3)[:, None] == (wells % 3)[None, :]
        off = ~torch.eye(len(wells), dtype=torch.bool)
        assert batch.weights.negatives[alike & off].min() > batch.weights.negatives[~alike].max()
    assert next(iter(PairLoader(pairs, 16, 1, seed=0))).weights is None
