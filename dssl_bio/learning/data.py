"""Pairs of molecule and phenotype, and minibatches of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dssl_bio.learning.disentangled import PairWeights
from dssl_bio.learning.inputs import MoleculeBatch, MoleculeInputs
from dssl_bio.learning.losses.infonce import emphasis_of_alike
from dssl_bio.learning.phenotypes import Phenotypes, ProfilePhenotypes
from dssl_bio.learning.views import molecule_view

DOSE_TOLD = 0.5
"""Share of the minibatches in which a model that reads doses is told them."""


@dataclass(frozen=True)
class PairBatch:
    """N pairs in one or two views; row i of every view is the same well and its molecule.

    Attributes:
        molecules: one view (step 1) or two (step 2).
        phenotypes: as many views, each (N, ...).
        groups: (N,) equal for wells of one molecule, or of one molecule at one dose where doses are told: they are
            never each other's negatives.
        weights: of pairs and negatives; all alike when absent.
    """

    molecules: tuple[MoleculeBatch, ...]
    phenotypes: tuple[Tensor, ...]
    groups: Tensor
    weights: PairWeights | None = None

    def to(self, device: torch.device, **_: object) -> "PairBatch":
        """The same on another device."""
        return PairBatch(tuple(view.to(device) for view in self.molecules),
                         tuple(view.to(device) for view in self.phenotypes), self.groups.to(device),
                         None if self.weights is None else self.weights.to(device))


@dataclass(frozen=True)
class WellFacts:
    """What is known of P wells beside molecule and phenotype; all of it may be absent.

    Attributes:
        dose: (P,) in uM, NaN where it is not known: wells of one molecule at one dose are replicates.
        log_dose: (P,) log10 of it, float32; given only where the dose is an input of the molecule side.
        weight: (P,) float32, how much each counts in step 1.
        plate: (P,) number of each one's plate.
        plate_negatives: extra weight of negatives on the own plate (see `emphasis_of_alike`).
        mixing: concentration of the Dirichlet distribution by which replicates are mixed in step 1; 0 takes wells.
        bag: tiles of each well that step 1 sees at once; 1 for a single one, or for profiles.
    """

    dose: NDArray[np.float64] | None = None
    log_dose: NDArray[np.float32] | None = None
    weight: NDArray[np.float32] | None = None
    plate: NDArray[np.int64] | None = None
    plate_negatives: float = 0.0
    mixing: float = 0.0
    bag: int = 1


@dataclass(frozen=True)
class Pairs:
    """Wells with a molecule and a phenotype.

    Attributes:
        rows: (P,) positions of the wells in the screen.
        molecule: (P,) number of each well's molecule in `inputs`.
        inputs: the featurised molecules.
        phenotypes: where the wells' phenotypes come from.
        facts: what else is known of each well.
    """

    rows: NDArray[np.int64]
    molecule: NDArray[np.int64]
    inputs: MoleculeInputs
    phenotypes: Phenotypes
    facts: WellFacts = field(default_factory=WellFacts)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, chosen: NDArray[np.int64], n_views: int, generator: np.random.Generator) -> PairBatch:
        """A minibatch of some pairs with augmented views (torch's global generator draws the augmentation)."""
        numbers, facts = self.molecule[chosen], self.facts
        groups, log_dose = numbers, None
        # Half of the minibatches say no dose: whoever asks without one is answered by a model that has seen it.
        if facts.log_dose is not None and generator.random() < DOSE_TOLD:
            groups, log_dose = self.perturbation[chosen], torch.from_numpy(facts.log_dose[chosen])
        molecules = self.inputs.batch(numbers.tolist(), log_dose)
        views = []
        for _ in range(n_views):  # each view sees a tile of its own
            views.append(self._view(chosen, n_views, generator))
        return PairBatch(tuple(molecule_view(molecules) for _ in range(n_views)), tuple(views),
                         torch.from_numpy(groups), self._weights(chosen))

    @cached_property
    def perturbation(self) -> NDArray[np.int64]:
        """(P,) equal for wells of one molecule at one dose, where doses are known; of one molecule otherwise."""
        if self.facts.dose is None:
            return self.molecule
        pairs = np.stack([self.molecule.astype(float), np.nan_to_num(self.facts.dose, nan=-1.0)], axis=1)
        return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)

    @cached_property
    def _replicates(self) -> list[NDArray[np.int64]]:
        """Wells of each perturbation."""
        order = np.argsort(self.perturbation, kind="stable")
        return np.split(self.rows[order], np.cumsum(np.bincount(self.perturbation))[:-1])

    def _view(self, chosen: NDArray[np.int64], n_views: int, generator: np.random.Generator) -> Tensor:
        """An augmented view of each pair's phenotype; in step 1 a bag of tiles (N, bag, ...), where that is wished."""
        bag = self.facts.bag if n_views == 1 else 1
        views = [self.phenotypes.view(self._sampled(chosen, n_views, generator)) for _ in range(bag)]
        return views[0] if bag == 1 else torch.stack(views, dim=1)

    def _sampled(self, chosen: NDArray[np.int64], n_views: int, generator: np.random.Generator) -> Tensor:
        """Single wells; in step 1 mixtures of a perturbation's wells, where that is wished."""
        if n_views > 1 or self.facts.mixing == 0:
            return self.phenotypes.sample(self.rows[chosen], generator)
        assert isinstance(self.phenotypes, ProfilePhenotypes)
        members = [self._replicates[number] for number in self.perturbation[chosen]]
        return self.phenotypes.mixture(members, self.facts.mixing, generator)

    def _weights(self, chosen: NDArray[np.int64]) -> PairWeights | None:
        facts = self.facts
        if facts.weight is None and (facts.plate is None or facts.plate_negatives == 0):
            return None
        rows = None if facts.weight is None else torch.from_numpy(facts.weight[chosen])
        negatives = None
        if facts.plate is not None and facts.plate_negatives > 0:
            negatives = emphasis_of_alike(torch.from_numpy(facts.plate[chosen]), facts.plate_negatives)
        return PairWeights(rows, negatives)


class PairLoader:
    """Minibatches of one epoch after another; the epoch's number and the seed decide every draw.

    So a run that was resumed at an epoch continues exactly as if it had not been stopped. For two views (step 2) the
    wells of a molecule come together: there the contrast is given the other modality's shared part, which tells
    molecules apart already, and only wells of one molecule leave the specific part something to tell.
    """

    def __init__(self, pairs: Pairs, batch_size: int, n_views: int, seed: int, first_epoch: int = 0):
        self.pairs, self.n_views, self.seed = pairs, n_views, seed
        self.n_batches = max(1, round(len(pairs) / batch_size))
        self.epoch = first_epoch

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[PairBatch]:
        generator = np.random.default_rng([self.seed, self.n_views, self.epoch])
        torch.manual_seed(int(generator.integers(2**62)))
        self.epoch += 1
        order = generator.permutation(len(self.pairs))
        if self.n_views == 2:
            place = generator.permutation(int(self.pairs.molecule.max()) + 1)
            order = order[np.argsort(place[self.pairs.molecule[order]], kind="stable")]
        for chosen in np.array_split(order, self.n_batches):
            yield self.pairs.batch(chosen, self.n_views, generator)
