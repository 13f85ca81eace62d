"""The simple things a model has to beat: chemistry without learning, order, plates, cell counts, and nothing at all."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from dssl_bio.chem.fingerprints import count_morgan, descriptors
from dssl_bio.chem.kernel_blocks import kernel_blocks
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import DsslBioError
from dssl_bio.evaluation.division import Division, means
from dssl_bio.evaluation.methods import Method, ProfileMethod, TrainingProfiles, Vectors
from dssl_bio.learning.baselines.kernel_ridge import KernelRidge, similarity
from dssl_bio.learning.encoders.molecule_kernels import KernelsTrunk
from dssl_bio.vocabulary import CELL_COUNT, COMPOUND, MOLECULE_ID, PLATE

Floats = NDArray[np.floating]

CLIP = 8.0
ORDER_NEIGHBOURS = 5
CELL_COUNT_COLUMNS = (CELL_COUNT, "Rel_Cell_Count")
MAX_COMPONENTS = 40


class Standardised:
    """Profiles standardised by training molecules and clipped; the gallery by the same molecules in the gallery."""

    def __init__(self, profiles: Floats, gallery: Floats):
        self._training, self._gallery = StandardScaler().fit(profiles), StandardScaler().fit(gallery)

    def training(self, profiles: Floats) -> Floats:
        """(N, F) profiles of training wells."""
        return np.clip(self._training.transform(profiles), -CLIP, CLIP)

    def gallery(self, profiles: Floats) -> Floats:
        """(N, F) profiles of entries."""
        return np.clip(self._gallery.transform(profiles), -CLIP, CLIP)


class TunedKernelRidge(ProfileMethod):
    """Kernel ridge on count-Morgan Tanimoto, tuned inside the training molecules."""

    name = "kernel_ridge"

    def fit(self, training: TrainingProfiles, seed: int) -> None:
        """Tunes transform, components, whitening and ridge by inner folds over groups."""
        self._model = KernelRidge(fingerprints(training.molecules), training.profiles, training.groups,
                                  training.gallery)

    def place_molecules(self, molecules: Sequence[Molecule]) -> Floats:
        """Predicted principal components."""
        return self._model.predict(fingerprints(molecules))

    def place_profiles(self, profiles: Floats) -> Floats:
        """Measured principal components."""
        return self._model.project(profiles)


class SeveralKernelRidge(ProfileMethod):
    """Kernel ridge on the mean of four kernels: the same chemistry as our preferred encoder, without learning.

    Count Morgan, pharmacophoric Morgan, atom pairs and descriptors; tuned as `TunedKernelRidge` is.
    """

    name = "several_kernel_ridge"

    def fit(self, training: TrainingProfiles, seed: int) -> None:
        """Fits the kernels' features, then tunes by inner folds over groups."""
        blocks = _blocks(training.molecules)
        self._kernels = KernelsTrunk(len(blocks), len(blocks), 0.0).eval()
        self._kernels.fit(blocks)
        features = self._features(blocks)
        self._scale = float(np.square(features).sum(1).mean())
        self._model = KernelRidge(features, training.profiles, training.groups, training.gallery,
                                  lambda a, b: a @ b.T / self._scale)

    def place_molecules(self, molecules: Sequence[Molecule]) -> Floats:
        """Predicted principal components."""
        return self._model.predict(self._features(_blocks(molecules)))

    def place_profiles(self, profiles: Floats) -> Floats:
        """Measured principal components."""
        return self._model.project(profiles)

    def _features(self, blocks: torch.Tensor) -> Floats:
        with torch.no_grad():
            return self._kernels.features(blocks).double().numpy()


class NearestNeighbour(ProfileMethod):
    """The profile of the training molecule with the most similar fingerprint."""

    name = "nearest_neighbour"

    def fit(self, training: TrainingProfiles, seed: int) -> None:
        """Keeps fingerprints and standardised profiles."""
        self._scale = Standardised(training.profiles, training.gallery)
        self._fingerprints = fingerprints(training.molecules)
        self._profiles = self._scale.training(training.profiles)

    def place_molecules(self, molecules: Sequence[Molecule]) -> Floats:
        """Profiles of the nearest; the mean of those that are equally near."""
        near = similarity(fingerprints(molecules), self._fingerprints)
        nearest = near >= near.max(1, keepdims=True) - 1e-6
        return nearest @ self._profiles / nearest.sum(1, keepdims=True)

    def place_profiles(self, profiles: Floats) -> Floats:
        """Standardised profiles."""
        return self._scale.gallery(profiles)


class Descriptors(ProfileMethod):
    """Ridge regression from a dozen physico-chemical descriptors: what size and lipophilicity alone explain."""

    name = "descriptors"

    def fit(self, training: TrainingProfiles, seed: int) -> None:
        """Fits ridge to half-whitened principal components; the ridge by leave-one-out over training molecules."""
        self._scale = Standardised(training.profiles, training.gallery)
        standardised = self._scale.training(training.profiles)
        n_components = min(MAX_COMPONENTS, len(standardised) - 1, standardised.shape[1])
        self._pca = PCA(n_components, random_state=0).fit(standardised)
        self._divisor = np.maximum(self._pca.explained_variance_, 1e-9) ** 0.25
        self._values = StandardScaler().fit(_descriptors(training.molecules))
        values = np.clip(self._values.transform(_descriptors(training.molecules)), -CLIP, CLIP)
        self._ridge = RidgeCV(np.logspace(-1, 4, 11)).fit(values, self._pca.transform(standardised) / self._divisor)

    def place_molecules(self, molecules: Sequence[Molecule]) -> Floats:
        """Predicted components."""
        return self._ridge.predict(np.clip(self._values.transform(_descriptors(molecules)), -CLIP, CLIP))

    def place_profiles(self, profiles: Floats) -> Floats:
        """Measured components."""
        return self._pca.transform(self._scale.gallery(profiles)) / self._divisor


class MeanProfile(ProfileMethod):
    """The mean training profile for every molecule: how far typical phenotypes alone go. Scaled, not centred."""

    name = "mean_profile"

    def fit(self, training: TrainingProfiles, seed: int) -> None:
        """Mean and spread of the training profiles."""
        self._spread = StandardScaler(with_mean=False).fit(training.profiles)
        self._mean = self._spread.transform(training.profiles).mean(0)

    def place_molecules(self, molecules: Sequence[Molecule]) -> Floats:
        """The same profile for all."""
        return np.tile(self._mean, (len(molecules), 1))

    def place_profiles(self, profiles: Floats) -> Floats:
        """Scaled profiles."""
        return self._spread.transform(profiles)


class OrderOnly(Method):
    """Mean profile of the five training molecules nearest in the order of the library: no chemistry at all.

    The order is that of the compounds' names, numbers in them read as numbers; without names, that of the wells.
    """

    name = "order_only"

    def vectors(self, division: Division, seed: int) -> Vectors:
        """Neighbours in the order; a training molecule is not its own neighbour."""
        scale = Standardised(division.known_profiles, division.known_gallery_profiles)
        profiles = scale.training(division.known_profiles)
        place = library_order(division)
        distance = np.abs(place[:, None] - place[division.known][None, :]).astype(float)
        distance[division.known, np.arange(len(division.known))] = np.inf
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :ORDER_NEIGHBOURS]
        return Vectors(profiles[nearest].mean(1), scale.gallery(division.entry_profiles))


class PlateOnly(Method):
    """Mean profile of the training wells on the plates where the asked molecule was measured: the batch trap."""

    name = "plate_only"

    def vectors(self, division: Division, seed: int) -> Vectors:
        """Plate means; a molecule whose plates hold no training well gets the mean of all."""
        if PLATE not in division.entries:
            raise DsslBioError(f"plate_only needs a plate column; screen {division.screen.name} has none")
        scale = Standardised(division.known_profiles, division.known_gallery_profiles)
        plate = division.screen.wells[PLATE].astype(str).to_numpy()[division.rows]
        names, number = np.unique(plate, return_inverse=True)
        number = np.where(division.training, number, -1)
        of_plate = means(scale.training(division.profiles), number, len(names))
        where = pd.Series(np.arange(len(names)), index=names)
        placed = np.zeros((len(division.molecules), of_plate.shape[1]))
        for i, text in enumerate(division.molecules[PLATE]):
            own = of_plate[[where[name] for name in str(text).split(";") if name in where]]
            own = own[~np.isnan(own).any(1)]
            placed[i] = own.mean(0) if len(own) else 0
        return Vectors(placed, scale.gallery(division.entry_profiles))


class CellCountOnly(Method):
    """Phenotypes reduced to their cell count, and the count predicted from the molecule by kernel ridge."""

    name = "cell_count"

    def vectors(self, division: Division, seed: int) -> Vectors:
        """Counts as angles of a quarter circle, so that the cosine falls with their difference."""
        wells = division.screen.wells
        column = next((name for name in CELL_COUNT_COLUMNS if name in wells), None)
        if column is None:
            raise DsslBioError(f"cell_count needs a column of cell counts ({' or '.join(CELL_COUNT_COLUMNS)}); "
                               f"screen {division.screen.name} has neither")
        counts = pd.to_numeric(wells[column], errors="coerce").to_numpy(float)[division.rows]
        log = np.log1p(np.where(np.isnan(counts), np.nanmedian(counts[division.training]), counts))[:, None]
        known = means(log, np.where(division.training, division.owner, -1), len(division.molecules))[division.known]
        measured = means(log, division.membership, len(division.entries))
        center, spread = known.mean(), max(float(known.std()), 1e-9)
        prints = fingerprints(division.standardised)
        kernel = similarity(prints, prints[division.known])
        inside = kernel[division.known]
        predicted = kernel @ np.linalg.solve(inside + np.eye(len(inside)), (known - center) / spread)
        return Vectors(_angles(predicted), _angles((measured - center) / spread))


class RandomVectors(Method):
    """Directions drawn at random: what chance looks like when it is measured rather than computed."""

    name, seeded = "random", True

    def vectors(self, division: Division, seed: int) -> Vectors:
        """32 dimensions."""
        generator = np.random.default_rng(seed)
        return Vectors(generator.normal(size=(len(division.molecules), 32)),
                       generator.normal(size=(len(division.entries), 32)))


def fingerprints(molecules: Sequence[Molecule]) -> NDArray[np.float32]:
    """Count-Morgan fingerprints (N, bits)."""
    return np.array([count_morgan(molecule) for molecule in molecules], dtype=np.float32)


def _blocks(molecules: Sequence[Molecule]) -> torch.Tensor:
    return torch.from_numpy(np.array([kernel_blocks(molecule) for molecule in molecules]))


def nearest_training_similarity(division: Division) -> "pd.Series[float]":
    """Tanimoto similarity of every molecule to the nearest other molecule that was learnt from, by molecule_id."""
    prints = fingerprints(division.standardised)
    near = similarity(prints, prints[division.known])
    near[division.known, np.arange(len(division.known))] = -np.inf
    return pd.Series(near.max(1), index=division.molecules[MOLECULE_ID])


def library_order(division: Division) -> NDArray[np.int64]:
    """Place of every molecule in the library: by compound name, or by first well."""
    first = pd.Series(division.rows).groupby(division.owner).min()
    places = np.array([first.get(i, len(division.screen.wells) + i) for i in range(len(division.molecules))])
    if COMPOUND in division.molecules and division.molecules[COMPOUND].notna().all():
        keys = [_natural(str(name)) for name in division.molecules[COMPOUND]]
        order = sorted(range(len(keys)), key=lambda i: (keys[i], places[i]))
    else:
        order = np.argsort(places, kind="stable").tolist()
    result = np.empty(len(order), dtype=np.int64)
    result[order] = np.arange(len(order))
    return result


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts "c9" before "c10"."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text))


def _descriptors(molecules: Sequence[Molecule]) -> Floats:
    return np.array([descriptors(molecule) for molecule in molecules])


def _angles(values: Floats) -> Floats:
    angle = np.pi / 4 * (1 + np.tanh(values[:, 0] / 3))  # (N,) monotone in the value
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
