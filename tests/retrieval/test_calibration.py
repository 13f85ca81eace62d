"""Expected recall learned on one simulated screen, held against what is found on others that were never looked at."""

import numpy as np
import pytest
import torch

from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.standardize import Molecule
from dssl_bio.evaluation.metrics import ranks_of_best
from dssl_bio.learning.encoders.molecule_kernel import min_max_tanimoto
from dssl_bio.learning.representation import unit_rows
from dssl_bio.retrieval.applicability import learned
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.molecules import draw_molecules

N_SCREENS, N_MOLECULES, N_FOLDS, DIM = 5, 300, 5, 24


def asked(seed):
    """Similarity to the training molecules, and whether the own phenotype is among ten, of all molecules of a screen.

    Phenotypes are drawn from the simulator's shared truth (mechanism and potency) with noise; every fold is asked of
    what the nearest training molecules look like.
    """
    molecules = draw_molecules(SimulationConfig(seed=seed, n_molecules=N_MOLECULES))
    directions = {name: np.random.default_rng(abs(hash_of(name))).normal(size=DIM)
                  for name in {one.core.mechanism for one in molecules}}
    rng = np.random.default_rng(seed)
    strength = np.array([0.2 if not one.core.active else 1 + 1 / (1 + one.core.ec50_um) for one in molecules])
    profiles = strength[:, None] * np.array([directions[one.core.mechanism] for one in molecules])
    profiles = profiles + 0.7 * rng.normal(size=profiles.shape)
    prints = torch.from_numpy(np.array([count_morgan(Molecule(one.smiles, one.inchikey)) for one in molecules],
                                       dtype=np.float32))
    near = min_max_tanimoto(prints, prints).numpy()
    fold = rng.permutation(N_MOLECULES) % N_FOLDS
    similarity, hit = np.zeros(N_MOLECULES), np.zeros(N_MOLECULES)
    for number in range(N_FOLDS):
        held_out, known = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        weight = near[np.ix_(held_out, known)] ** 6
        scores = unit_rows(weight @ profiles[known]) @ unit_rows(profiles[held_out]).T
        similarity[held_out] = near[np.ix_(held_out, known)].max(1)
        hit[held_out] = ranks_of_best(scores, np.eye(len(held_out), dtype=bool)) <= 10
    return similarity, hit


def hash_of(name):
    """A number for a name that is the same in every process."""
    return sum(ord(letter) * 31**place for place, letter in enumerate(name[:8])) % 2**32


@pytest.fixture(scope="module")
def screens():
    return [asked(seed) for seed in range(100, 100 + N_SCREENS)]


def test_nine_of_ten_stated_intervals_cover_what_is_found_on_other_screens(screens):
    covered, recalls = [], []
    for number, (similarity, hit) in enumerate(screens):
        expected = learned(similarity, hit, N_MOLECULES / N_FOLDS, 10 * N_FOLDS / N_MOLECULES, "simulated")
        others = [np.concatenate(parts) for parts in zip(*(screens[:number] + screens[number + 1:]), strict=True)]
        for one in expected.bins:
            inside = (others[0] >= one.start) & (others[0] <= one.stop)
            covered.append(one.low <= others[1][inside].mean() <= one.high)
            recalls.append(one.recall)
    assert len(covered) == 6 * N_SCREENS
    assert np.mean(covered) >= 0.9
    assert max(recalls) > min(recalls) + 0.2  # there is something to be calibrated about
