"""Molecules that were kept aside while training: they choose when to stop, and say what was learned."""

from dataclasses import dataclass

import numpy as np

from dssl_bio.evaluation.metrics import ranks_of_best
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.information import pair_diagnostics
from dssl_bio.learning.inputs import MoleculeInputs
from dssl_bio.learning.phenotypes import Phenotypes
from dssl_bio.learning.run import embed_inputs, embed_phenotypes


@dataclass(frozen=True)
class ValidationSet:
    """Molecules that choose when to stop, and the entries among which each must find its own.

    Attributes:
        molecules: M featurised molecules.
        phenotypes: of the screen.
        rows: wells of the entries.
        membership: entry of each well.
        owner: (G,) number of each entry's molecule.
    """

    molecules: MoleculeInputs
    phenotypes: Phenotypes
    rows: np.ndarray
    membership: np.ndarray
    owner: np.ndarray

    def reciprocal_rank(self, model: DisentangledModel) -> float:
        """MRR of the molecules' own entries by the shared representation."""
        queries = embed_inputs(model, [self.molecules], specific=False).shared
        gallery = embed_phenotypes(model, self.phenotypes, self.rows, self.membership, specific=False).shared
        right = np.arange(len(queries))[:, None] == self.owner[None, :]
        return float(np.mean(1 / ranks_of_best(queries @ gallery.T, right)))

    def information(self, model: DisentangledModel, specific: bool) -> dict[str, float]:
        """Bounds and estimates, in nats, of what the codes share and of what the specific ones repeat of the shared."""
        molecules = embed_inputs(model, [self.molecules], specific=specific)
        phenotypes = embed_phenotypes(model, self.phenotypes, self.rows, self.membership, specific=specific)
        return pair_diagnostics(molecules, phenotypes, self.owner, model.shared_objective.temperature, specific)
