"""Kernel ridge from fingerprints to profiles: the simplest predictor, and hard to beat on small screens."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from dssl_bio.evaluation.metrics import ranks_of_best
from dssl_bio.learning.encoders.molecule_kernel import min_max_tanimoto
from dssl_bio.learning.representation import unit_rows

Floats = NDArray[np.floating]

CLIP = 8.0
COMPONENTS, WHITENINGS, RIDGES = (15, 40, 80), (0.0, 0.5, 1.0), (0.3, 1.0, 3.0)
INNER_FOLDS = 4


@dataclass(frozen=True)
class Setting:
    """Principal components kept, whitening exponent (0 none, 1 full), ridge."""

    components: int
    whitening: float
    ridge: float


SETTINGS = tuple(Setting(*values) for values in product(COMPONENTS, WHITENINGS, RIDGES))


class KernelRidge:
    """Min-max Tanimoto kernel on count-Morgan fingerprints, ridge onto the leading principal components of the profile.

    Hyper-parameters are chosen by inner folds over the groups of training molecules (MRR of the molecule's own
    profile). Scaler and components are fitted on training molecules only.
    """

    def __init__(self, fingerprints: Floats, profiles: Floats, groups: NDArray[Any], gallery: Floats | None = None,
                 kernel_of: Callable[[Floats, Floats], Floats] | None = None):
        """Tunes and fits.

        Args:
            fingerprints: (M, bits) counts of training molecules.
            profiles: (M, F) mean normalised profile of each.
            groups: (M,) group of each molecule, kept together in inner folds (scaffold, block).
            gallery: (M, F) profiles of the same molecules as the gallery measures them (another run or batch): they
                standardise the gallery, and choose the hyper-parameters; `profiles` when absent.
            kernel_of: similarity (N, M) of two sets of `fingerprints`; min-max Tanimoto when absent.
        """
        self.fingerprints, self._kernel_of = fingerprints, kernel_of or similarity
        gallery = profiles if gallery is None else gallery
        kernel = self._kernel_of(fingerprints, fingerprints)
        n_folds = min(INNER_FOLDS, len(np.unique(groups)))
        self.setting = SETTINGS[len(SETTINGS) // 2]
        if n_folds >= 2:
            folds = GroupKFold(n_folds).split(profiles, groups=groups)
            found = [_inner_reciprocal_ranks(kernel, profiles, gallery, *fold) for fold in folds]
            mrr = [np.mean(np.concatenate(each)) for each in zip(*found, strict=True)]
            self.setting = SETTINGS[int(np.argmax(mrr))]
        self._scale = _Scale(profiles, gallery, self.setting.components)
        target = self._scale.whitened(self._scale.training(profiles), self.setting.whitening)
        self._weights = _solved(kernel, target, self.setting.ridge)

    def predict(self, fingerprints: Floats) -> NDArray[np.float32]:
        """Predicted directions (N, components) of molecules; comparable by cosine with `project`."""
        return unit_rows(self._kernel_of(fingerprints, self.fingerprints) @ self._weights)

    def project(self, profiles: Floats) -> NDArray[np.float32]:
        """Directions (N, components) of measured profiles (N, F)."""
        return unit_rows(self._scale.whitened(self._scale.gallery(profiles), self.setting.whitening))


def similarity(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Min-max Tanimoto similarity (N, M) of count fingerprints."""
    pair = (torch.from_numpy(np.asarray(x, dtype=np.float32)) for x in (a, b))
    return min_max_tanimoto(*pair).double().numpy()


def _inner_reciprocal_ranks(kernel: Floats, profiles: Floats, gallery: Floats, train: NDArray[np.int64],
                            test: NDArray[np.int64]) -> list[Floats]:
    """1 / rank of the inner test molecules' own profiles under every setting, in the order of SETTINGS."""
    found, right = [], np.eye(len(test), dtype=bool)
    scales = {n: _Scale(profiles[train], gallery[train], n) for n in COMPONENTS}
    fitted = {n: (scale.training(profiles[train]), scale.gallery(gallery[test])) for n, scale in scales.items()}
    for setting in SETTINGS:
        scale, (target, measured) = scales[setting.components], fitted[setting.components]
        weights = _solved(kernel[np.ix_(train, train)], scale.whitened(target, setting.whitening), setting.ridge)
        predicted = unit_rows(kernel[np.ix_(test, train)] @ weights)
        found.append(1 / ranks_of_best(predicted @ unit_rows(scale.whitened(measured, setting.whitening)).T, right))
    return found


class _Scale:
    """Standardise and clip, project on principal components, whiten partly; the gallery is standardised by itself."""

    def __init__(self, profiles: Floats, gallery: Floats, n_components: int):
        self._training, self._gallery = StandardScaler().fit(profiles), StandardScaler().fit(gallery)
        n_components = min(n_components, len(profiles) - 1, profiles.shape[1])
        self._pca = PCA(n_components, random_state=0).fit(_clipped(self._training.transform(profiles)))

    def training(self, profiles: Floats) -> NDArray[np.float64]:
        """Components (N, components) of training profiles."""
        return self._pca.transform(_clipped(self._training.transform(profiles)))

    def gallery(self, profiles: Floats) -> NDArray[np.float64]:
        """Components (N, components) of profiles of the gallery."""
        return self._pca.transform(_clipped(self._gallery.transform(profiles)))

    def whitened(self, components: Floats, exponent: float) -> NDArray[np.float64]:
        """Components divided by their standard deviation to a power: 0 leaves them, 1 makes them equal."""
        return components / np.maximum(self._pca.explained_variance_, 1e-9) ** (exponent / 2)


def _clipped(standardised: Floats) -> NDArray[np.float64]:
    return np.clip(standardised, -CLIP, CLIP)


def _solved(kernel: Floats, target: Floats, ridge: float) -> NDArray[np.float64]:
    return np.linalg.solve(kernel + ridge * np.eye(len(kernel)), target)
