import numpy as np
import pytest
import torch

from dssl_bio.chem.standardize import standardize
from dssl_bio.learning.data import PairLoader, Pairs
from dssl_bio.learning.inputs import MoleculeInputs

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
