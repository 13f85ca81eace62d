"""Ways to say what a well would show under a molecule that no method has learned from: ours, and what it must beat."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.standardize import Molecule
from dssl_bio.learning.baselines.kernel_ridge import similarity
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.learning.decoders.material import CONTROL, USE, Material
from dssl_bio.learning.decoders.prior import at_dose
from dssl_bio.learning.run import Run
from dssl_bio.vocabulary import DOSE_UM, INCHIKEY, MOLECULE_ID, PERT_TYPE, PLATE, RUN, SMILES

Floats = NDArray[np.floating]

OURS, OURS_PICTURES, OURS_ALONE = "ours", "ours, pictures", "ours, without the well's own residual"
FLOW = "pictures of the flow alone"
UNCHANGED, NEIGHBOURS, SHIFT = "the well unchanged", "mean phenotype of neighbours", "control mean and predicted shift"
CLIP_DECODER, CLIP_RESIDUAL = "decoder on CLIP embeddings", "decoder on CLIP embeddings, with the well's residual"
BASELINES = (UNCHANGED, NEIGHBOURS, SHIFT, CLIP_DECODER)
N_NEIGHBOURS, INNER_FOLDS = 5, 4
RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class Pairs:
    """Wells and the molecules that they are imagined to have got, one row each.

    Attributes:
        rows: (P,) of the decoder's wells.
        molecule: (P,) places in `molecules`.
        molecules: table of molecule_id, Metadata_SMILES, Metadata_InChIKey.
        dose_um: (P,) nan where no dose is known.
    """

    rows: NDArray[np.int64]
    molecule: NDArray[np.int64]
    molecules: pd.DataFrame
    dose_um: Floats

    @property
    def ids(self) -> NDArray[np.str_]:
        """(P,) molecule ids: what is resampled."""
        return self.molecules[MOLECULE_ID].to_numpy(str)[self.molecule]

    @cached_property
    def standardised(self) -> list[Molecule]:
        """The molecules."""
        return [Molecule(*pair) for pair in zip(self.molecules[SMILES], self.molecules[INCHIKEY], strict=True)]

    @cached_property
    def prints(self) -> Floats:
        """(M, bits) count fingerprints of the molecules."""
        return np.array([count_morgan(molecule) for molecule in self.standardised], dtype=np.float32)


def reference(material: Material) -> Floats:
    """(W, F) what each well's plate (or run) looks like untreated: the mean of its other negative controls.

    Without controls, the mean of its other wells that decoders learned from; where a plate has none, of all of them.
    """
    wells, features = material.wells, np.asarray(material.features, dtype=np.float64)
    control = (wells[PERT_TYPE] == CONTROL).to_numpy()
    known = control if control.any() else (wells[USE] == "train").to_numpy()
    column = next((name for name in (PLATE, RUN) if name in wells and wells[name].notna().all()), None)
    plate = wells[column].astype(str).to_numpy() if column else np.full(len(wells), "")
    result = np.empty_like(features)
    for name in np.unique(plate):
        own, source = np.flatnonzero(plate == name), np.flatnonzero((plate == name) & known)
        if len(source) < 2:
            source = np.flatnonzero(known)
        total = features[source].sum(0)
        inside = np.isin(own, source)
        result[own] = (total - np.where(inside[:, None], features[own], 0)) / (len(source) - inside)[:, None]
    return result


class Learned:
    """What baselines learn: fingerprints and mean phenotypes of the treatments that the decoder learned from."""

    def __init__(self, decoder: Decoder, library: pd.DataFrame, untreated: Floats):
        """Gathers them.

        Args:
            decoder: whose training wells are used.
            library: the bundle's molecules.
            untreated: from `reference`.
        """
        material, table = decoder.material, decoder.library
        structures = library.drop_duplicates(MOLECULE_ID).set_index(MOLECULE_ID)
        self.ids = table[MOLECULE_ID].to_numpy(str)
        self.doses = table[DOSE_UM].to_numpy(float) if DOSE_UM in table else np.full(len(table), np.nan)
        names, self._owner = np.unique(self.ids, return_inverse=True)
        found = structures.loc[names]
        self.prints = np.array([count_morgan(Molecule(*pair)) for pair in zip(found[SMILES], found[INCHIKEY],
                                                                             strict=True)], dtype=np.float32)
        rows, number = material.rows("train"), material.treatment
        means, shifts = [], []
        for treatment in table["treatment"]:
            own = rows[number[rows] == treatment]
            values = np.asarray(material.features[own], dtype=np.float64)
            means.append(values.mean(0))
            shifts.append((values - untreated[own]).mean(0))
        self.means, self.shifts = np.array(means), np.array(shifts)

    def at(self, dose_um: float) -> NDArray[np.int64]:
        """Treatments at each molecule's dose nearest to one."""
        return at_dose(self.doses, self.ids, None if np.isnan(dose_um) else dose_um)

    def neighbours(self, pairs: Pairs, *, shifts: bool = False) -> Floats:
        """(P, F) mean phenotype of the five structures most alike, at the dose asked for; or their mean shift."""
        near = similarity(pairs.prints, self.prints)
        values = self.shifts if shifts else self.means
        result = np.empty((len(pairs.rows), values.shape[1]))
        for dose, chosen in _by_dose(pairs):
            rows = self.at(dose)
            scores = near[pairs.molecule[chosen]][:, self._owner[rows]]
            best = np.argsort(-scores, axis=1, kind="stable")[:, :N_NEIGHBOURS]
            result[chosen] = values[rows][best].mean(1)
        return result

    def predicted_shift(self, pairs: Pairs, spread: Floats) -> Floats:
        """(P, F) shift from untreated by kernel ridge on fingerprints, tuned by squared error on inner folds."""
        result = np.empty((len(pairs.rows), self.shifts.shape[1]))
        for dose, chosen in _by_dose(pairs):
            rows = self.at(dose)
            prints, target = self.prints[self._owner[rows]], self.shifts[rows] / spread
            kernel = similarity(prints, prints)
            ridge = _best_ridge(kernel, target, self.ids[rows])
            mean = target.mean(0)
            solved = np.linalg.solve(kernel + ridge * np.eye(len(kernel)), target - mean)
            result[chosen] = (similarity(pairs.prints[pairs.molecule[chosen]], prints) @ solved + mean) * spread
        return result


def _best_ridge(kernel: Floats, target: Floats, groups: NDArray[np.str_]) -> float:
    errors = np.zeros(len(RIDGES))
    for train, test in GroupKFold(INNER_FOLDS).split(target, groups=groups):
        mean = target[train].mean(0)
        for number, ridge in enumerate(RIDGES):
            solved = np.linalg.solve(kernel[np.ix_(train, train)] + ridge * np.eye(len(train)), target[train] - mean)
            errors[number] += np.square(kernel[np.ix_(test, train)] @ solved + mean - target[test]).sum()
    return RIDGES[int(errors.argmin())]


def anticipated(decoder: Decoder, run: Run, pairs: Pairs, specific: Floats | None = None) -> tuple[Floats, Floats]:
    """Features (P, F) decoded from molecules and the wells' specific parts, and half of their 90 % intervals.

    Args:
        decoder: of a bundle.
        run: the bundle's.
        pairs: what is asked.
        specific: (P, E) in place of the wells' own.
    """
    vectors = run.embed_molecules(pairs.standardised, specific=False).shared[pairs.molecule]
    own = decoder.specific(pairs.rows) if specific is None else specific
    n_features = len(decoder.facts.features)
    mean, half = np.empty((len(pairs.rows), n_features)), np.empty((len(pairs.rows), n_features))
    for dose, chosen in _by_dose(pairs):
        mean[chosen], half[chosen] = decoder.anticipated(vectors[chosen], own[chosen],
                                                         None if np.isnan(dose) else float(dose))
    return mean, half


def expected_codes(decoder: Decoder, run: Run, pairs: Pairs) -> NDArray[np.float32]:
    """(P, D) shared parts to expect of the pairs' molecules."""
    vectors = run.embed_molecules(pairs.standardised, specific=False).shared[pairs.molecule]
    result = np.empty_like(vectors)
    for dose, chosen in _by_dose(pairs):
        result[chosen] = decoder.expected(vectors[chosen], None if np.isnan(dose) else float(dose))
    return result


def standardised(decoder: Decoder, features: Floats) -> Floats:
    """Features (N, F) in standard deviations of training wells, clipped as the decoder does."""
    with torch.inference_mode():
        return decoder.profile.standardised(torch.from_numpy(np.array(features, np.float32))).numpy()


def _by_dose(pairs: Pairs) -> list[tuple[float, NDArray[np.int64]]]:
    found = [(float(dose), np.flatnonzero(pairs.dose_um == dose)) for dose in np.unique(pairs.dose_um[
        ~np.isnan(pairs.dose_um)])]
    unknown = np.flatnonzero(np.isnan(pairs.dose_um))
    return [*found, *([(float("nan"), unknown)] if len(unknown) else [])]
