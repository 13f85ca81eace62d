"""Pairs of molecule and phenotype, and minibatches of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dssl_bio.learning.inputs import MoleculeBatch, MoleculeInputs
from dssl_bio.learning.phenotypes import Phenotypes
from dssl_bio.learning.views import molecule_view


@dataclass(frozen=True)
class PairBatch:
    """N pairs in one or two views; row i of every view is the same well and its molecule.

    Attributes:
        molecules: one view (step 1) or two (step 2).
        phenotypes: as many views, each (N, ...).
        groups: (N,) equal for wells of one molecule, which are never each other's negatives.
    """

    molecules: tuple[MoleculeBatch, ...]
    phenotypes: tuple[Tensor, ...]
    groups: Tensor

    def to(self, device: torch.device, **_: object) -> "PairBatch":
        """The same on another device."""
        return PairBatch(tuple(view.to(device) for view in self.molecules),
                         tuple(view.to(device) for view in self.phenotypes), self.groups.to(device))


@dataclass(frozen=True)
class Pairs:
    """Wells with a molecule and a phenotype.

    Attributes:
        rows: (P,) positions of the wells in the screen.
        molecule: (P,) number of each well's molecule in `inputs`.
        inputs: the featurised molecules.
        phenotypes: where the wells' phenotypes come from.
    """

    rows: NDArray[np.int64]
    molecule: NDArray[np.int64]
    inputs: MoleculeInputs
    phenotypes: Phenotypes

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, chosen: NDArray[np.int64], n_views: int, generator: np.random.Generator) -> PairBatch:
        """A minibatch of some pairs with augmented views (torch's global generator draws the augmentation)."""
        numbers = self.molecule[chosen]
        molecules = self.inputs.batch(numbers.tolist())
        views = []
        for _ in range(n_views):  # each view sees a tile of its own
            views.append(self.phenotypes.view(self.phenotypes.sample(self.rows[chosen], generator)))
        return PairBatch(tuple(molecule_view(molecules) for _ in range(n_views)), tuple(views),
                         torch.from_numpy(numbers))


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
