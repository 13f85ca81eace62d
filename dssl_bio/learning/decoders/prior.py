"""From a molecule's shared vector to the shared vector of the phenotype it should give.

Molecules and phenotypes have one shared space, yet their vectors do not fill the same part of it. InfoNCE at its
optimum estimates the ratio p(phenotype | molecule) / p(phenotype), up to a factor, as exp(cosine / temperature) (van
den Oord et al. 2018, arXiv 1807.03748). Weighted so, the treatments that the model was trained on are a sample of the
phenotypes to expect of the molecule; their mean direction is its expected phenotype. At the doses nearest to one
asked for, it is the expected phenotype at that dose.
"""

import numpy as np
from numpy.typing import NDArray

from dssl_bio.learning.representation import unit_rows

Floats = NDArray[np.float32]

OWN_TEMPERATURE = 0.02
"""Of the weights with which a measured shared part is read as a mixture of learned ones: little but the nearest."""

TEMPERATURES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.12, 0.14, 0.17, 0.2, 0.25, 0.3, 0.5, 1.0)
"""Among which held-out molecules choose: higher is more cautious, nearer to the mean phenotype."""


def weights(molecules: Floats, treatments: Floats, temperature: float) -> NDArray[np.float64]:
    """(M, T) weights of treatments for molecules, each row summing to 1.

    Args:
        molecules: (M, D) unit vectors.
        treatments: (T, D) unit vectors.
        temperature: of the exponential.
    """
    scores = np.asarray(molecules, np.float64) @ np.asarray(treatments, np.float64).T / temperature
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def expected(molecules: Floats, treatments: Floats, temperature: float) -> Floats:
    """(M, D) unit vectors: the mean directions of the phenotypes to expect of molecules."""
    return unit_rows(weights(molecules, treatments, temperature) @ treatments)


def kept_share(source: Floats, target: Floats) -> Floats:
    """(N, 1) how much of what a decoder leaves unexplained of a well is kept under another treatment.

    The cosine of the two shared parts (N, D), nothing below 0: all of it where nothing changes, and less the further
    the treatment leads away, because a part of it belongs to how this treatment acts on these cells.
    """
    return np.clip((unit_rows(source) * unit_rows(target)).sum(1, keepdims=True), 0, 1)


def at_dose(doses_um: NDArray[np.floating], molecule: NDArray[np.str_], dose_um: float | None) -> NDArray[np.int64]:
    """The treatments at each molecule's dose nearest to one, by ratio; all of them without a dose.

    Args:
        doses_um: (T,) of the treatments, nan where it is not known.
        molecule: (T,) id of each one's molecule.
        dose_um: asked for.
    """
    if dose_um is None or np.isnan(dose_um) or np.isnan(doses_um).all():
        return np.arange(len(doses_um))
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(np.log(doses_um / dose_um))
    distance = np.where(np.isnan(distance), 0.0, distance)
    kept = []
    for rows in _groups(molecule):
        kept.append(rows[distance[rows] <= distance[rows].min() + 1e-9])
    return np.sort(np.concatenate(kept))


def _groups(names: NDArray[np.str_]) -> list[NDArray[np.int64]]:
    _, inverse = np.unique(names, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1)


def between(first: Floats, second: Floats, share: float) -> Floats:
    """Unit vectors on the great circle from one (N, D) to another: `share` 0 is the first, 1 the second.

    Beyond 1 the circle is followed further. Where the two are opposite or equal there is nothing between them.
    """
    first, second = unit_rows(first).astype(np.float64), unit_rows(second).astype(np.float64)
    cosine = np.clip((first * second).sum(1, keepdims=True), -1, 1)
    angle, sine = np.arccos(cosine), np.sqrt(np.maximum(0, 1 - cosine**2))
    safe = np.maximum(sine, 1e-9)
    on_circle = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / safe
    return unit_rows(np.where(sine > 1e-6, on_circle, first))
