"""Phenotype from phenotype: a molecule is asked by its profile in another modality, in place of its structure.

`dssl@expression` on Cell Painting entries asks: which morphology belongs to this expression profile?
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from dssl_bio.errors import EvaluationError
from dssl_bio.evaluation.baselines import CLIP, MAX_COMPONENTS, Floats
from dssl_bio.evaluation.division import Division, means
from dssl_bio.evaluation.methods import Method, Vectors
from dssl_bio.evaluation.two_view_methods import EPOCHS, MINIBATCH
from dssl_bio.learning.baselines.contrastive import CLIP as ClipMethod
from dssl_bio.learning.baselines.contrastive import CLOOB, SigLIP
from dssl_bio.learning.baselines.dcca import DCCA
from dssl_bio.learning.baselines.dmvae import DMVAE
from dssl_bio.learning.baselines.factorcl import FactorCL
from dssl_bio.learning.baselines.focal import FOCAL
from dssl_bio.learning.baselines.joint_opt import JointOpt
from dssl_bio.learning.two_view_method import TwoViewMethod
from dssl_bio.learning.two_views import DisentangledSSL
from dssl_bio.vocabulary import MOLECULE_ID

DIM = 32


class Reduced:
    """Standardised, clipped principal components, half whitened; fitted to training rows."""

    def __init__(self, training: Floats):
        self._scale = StandardScaler().fit(training)
        n_components = min(MAX_COMPONENTS, len(training) - 1, training.shape[1])
        self._pca = PCA(n_components, random_state=0).fit(self._clipped(training))
        first = max(float(self._pca.explained_variance_[0]), 1e-9)
        self._divisor = (np.maximum(self._pca.explained_variance_, 1e-9) * first) ** 0.25

    def __call__(self, rows: Floats) -> NDArray[np.float32]:
        """(N, components); the first has unit variance."""
        return (self._pca.transform(self._clipped(rows)) / self._divisor).astype(np.float32)

    def _clipped(self, rows: Floats) -> Floats:
        return np.clip(self._scale.transform(rows), -CLIP, CLIP)


class CrossMethod(Method):
    """A method that reads another modality of the division's screen."""

    def __init__(self, modality: str):
        self.modality = modality

    def vectors(self, division: Division, seed: int) -> Vectors:
        """Fits to training molecules that have both modalities, then places all.

        Raises:
            EvaluationError: the screen has no such modality, or too few training molecules have it.
        """
        asked = _of_molecules(division, self.modality)
        known = division.known[~np.isnan(asked[division.known]).any(1)]
        if len(known) < 2:
            raise EvaluationError(f"{len(known)} training molecules have {self.modality}; at least 2 are needed")
        place = {number: i for i, number in enumerate(division.known)}
        target = division.known_profiles[[place[number] for number in known]]
        first, second = Reduced(asked[known]), Reduced(target)
        one, two = self.placed(first(asked[known]), second(target), first(np.nan_to_num(asked)),
                               second(division.entry_profiles), seed)
        one[np.isnan(asked).any(1)] = 0  # a molecule without the modality scores 0 with everything
        return Vectors(one, two)

    def placed(self, known: Floats, target: Floats, asked: Floats, entries: Floats, seed: int) -> tuple[Floats, Floats]:
        """Learns from pairs (K, A) and (K, B); places (M, A) and (N, B) in one space."""
        raise NotImplementedError


class CrossRidge(CrossMethod):
    """Ridge regression from one modality's components to the other's; the ridge by leave-one-out."""

    name = "ridge"

    def placed(self, known: Floats, target: Floats, asked: Floats, entries: Floats, seed: int) -> tuple[Floats, Floats]:
        """Predicted and measured components."""
        return RidgeCV(np.logspace(-1, 4, 11)).fit(known, target).predict(asked), entries


class CrossTwoViews(CrossMethod):
    """A method of the method library on both modalities' components."""

    seeded = True
    method: ClassVar[type[TwoViewMethod]]

    def placed(self, known: Floats, target: Floats, asked: Floats, entries: Floats, seed: int) -> tuple[Floats, Floats]:
        """Shared codes."""
        options: Any = self.method.Options(epochs=EPOCHS, minibatch=min(MINIBATCH, len(known) // 2), seed=seed,
                                           learning_rate=1e-3, dim=DIM)
        fitted = self.method(options).fit(known, target)
        return fitted.embed(0, asked).shared.copy(), fitted.embed(1, entries).shared


def _of_molecules(division: Division, modality: str) -> NDArray[np.float64]:
    """(M, F) mean profile of every molecule of the division; NaN where it has none."""
    screen = division.screen
    if modality not in screen.profiles:
        raise EvaluationError(f"screen {screen.name} has no profiles {modality!r} to ask by; it has "
                              f"{', '.join(screen.profiles) or 'none'}")
    profiles = screen.profiles[modality]
    place = {name: number for number, name in enumerate(division.molecules[MOLECULE_ID])}
    owner = np.array([place.get(name, -1) for name in screen.wells[MOLECULE_ID].iloc[profiles.rows]])
    return means(np.asarray(profiles.values, dtype=float), owner, len(division.molecules))


def _wrapped(name: str, method: type[TwoViewMethod]) -> type[CrossTwoViews]:
    return type(f"{method.__name__}Across", (CrossTwoViews,),
                {"name": name, "method": method, "__doc__": method.__doc__, "__module__": __name__})


CROSS_METHODS: dict[str, type[CrossMethod]] = {
    "ridge": CrossRidge,
    **{name: _wrapped(name, method) for name, method in (
        ("dssl", DisentangledSSL), ("clip", ClipMethod), ("siglip", SigLIP), ("cloob", CLOOB), ("dcca", DCCA),
        ("dmvae", DMVAE), ("factorcl", FactorCL), ("focal", FOCAL), ("joint-opt", JointOpt))}}
