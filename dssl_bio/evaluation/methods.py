"""What a method is: a way to place molecules and phenotypes in one space, learnt from the training part alone."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dssl_bio.chem.standardize import Molecule
from dssl_bio.evaluation.division import Division, query_entries, query_molecules
from dssl_bio.evaluation.heldout import DIRECTIONS, TO_PHENOTYPE, Retrieval
from dssl_bio.learning.representation import unit_rows

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Vectors:
    """Molecules (M, D) and entries (N, D) in one space, in the order of the division; compared by cosine."""

    molecules: Floats
    entries: Floats


class Method(ABC):
    """A retrieval method; the benchmark calls `vectors` once for each fold and seed.

    Attributes:
        name: what the tables call it.
        seeded: whether the seed changes anything; a method without chance is run once.
    """

    name: ClassVar[str]
    seeded: ClassVar[bool] = False

    @abstractmethod
    def vectors(self, division: Division, seed: int) -> Vectors:
        """Places all molecules and entries of a division; nothing may be learnt from what is held out."""


@dataclass(frozen=True)
class TrainingProfiles:
    """What a method on profiles learns from: K training molecules.

    Attributes:
        molecules: K molecules.
        profiles: (K, F) mean profile of each over its training wells.
        gallery: (K, F) mean profile of each as the gallery measures it; another run or batch where the gallery is one.
        groups: (K,) group of each; keep groups together in inner folds.
    """

    molecules: list[Molecule]
    profiles: Floats
    gallery: Floats
    groups: NDArray[Any]


class ProfileMethod(Method):
    """A method on profiles: the class for a method of one's own.

    It is given the training molecules once, and then places molecules and measured profiles, held-out ones among
    them, in one space; nearness is the cosine. Register the class as a Python entry point of the group
    `dssl_bio.methods`, and `dssl-bio benchmark --methods NAME` finds it:

        [project.entry-points."dssl_bio.methods"]
        my_method = "my_package.my_module:MyMethod"

    It never sees a held-out profile before it is asked to place it.
    """

    @abstractmethod
    def fit(self, training: TrainingProfiles, seed: int) -> None:
        """Learns from training molecules."""

    @abstractmethod
    def place_molecules(self, molecules: Sequence[Molecule]) -> Floats:
        """(N, D) of any molecules."""

    @abstractmethod
    def place_profiles(self, profiles: Floats) -> Floats:
        """(N, D) of measured profiles (N, F); each row for itself."""

    def vectors(self, division: Division, seed: int) -> Vectors:
        """Fits, then places everything."""
        known = division.known
        groups = division.molecules["group"].to_numpy()[known]
        molecules = division.standardised
        self.fit(TrainingProfiles([molecules[i] for i in known], division.known_profiles,
                                  division.known_gallery_profiles, groups), seed)
        return Vectors(self.place_molecules(molecules), self.place_profiles(division.entry_profiles))


def retrievals(method: str, vectors: Vectors, division: Division,
               directions: Sequence[str] = DIRECTIONS) -> list[Retrieval]:
    """Questions and scores of a method in each direction."""
    molecules, entries = unit_rows(vectors.molecules), unit_rows(vectors.entries)
    found = []
    has_entry = division.molecules["molecule_id"].isin(division.entries["molecule_id"]).to_numpy()
    for direction in directions:
        if direction == TO_PHENOTYPE:
            asked, queries, gallery = division.molecules["held_out"].to_numpy(), query_molecules(division), entries
            table, scores = division.entries, molecules[asked] @ gallery.T
        else:
            asked, queries = division.entries["held_out"].to_numpy(), query_entries(division)
            table, scores = division.molecules[has_entry], entries[asked] @ molecules[has_entry].T
        found.append(Retrieval(method, division.fold, queries, table, scores.round(6), direction))
    return found
