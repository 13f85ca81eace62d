"""How well masks agree with a reference: F1 of objects at a threshold of overlap."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]

THRESHOLDS = (0.5, 0.7, 0.9)


@dataclass(frozen=True)
class ObjectScores:
    """Counts of objects at one threshold of intersection over union.

    Attributes:
        matched: reference objects that a found object covers so well.
        missed: reference objects without one.
        spurious: found objects without a reference object.
    """

    matched: int
    missed: int
    spurious: int

    @property
    def f1(self) -> float:
        """Share of objects, of both sides, that are matched; 1 where there is nothing to find and nothing was."""
        total = 2 * self.matched + self.missed + self.spurious
        return 2 * self.matched / total if total else 1.0

    def __add__(self, other: "ObjectScores") -> "ObjectScores":
        """Counts of two fields together."""
        return ObjectScores(self.matched + other.matched, self.missed + other.missed, self.spurious + other.spurious)


def overlaps(found: Labels, reference: Labels) -> NDArray[np.float64]:
    """Intersection over union (F, R) of each found object with each reference object, in the order of their labels.

    Args:
        found: (H, W) labels, 0 is background.
        reference: likewise.

    Raises:
        ValueError: the two differ in shape.
    """
    if found.shape != reference.shape:
        raise ValueError(f"masks of {found.shape} and {reference.shape} cannot be compared")
    names_f, f = np.unique(found, return_inverse=True)
    names_r, r = np.unique(reference, return_inverse=True)
    together = np.zeros((len(names_f), len(names_r)))
    np.add.at(together, (f.ravel(), r.ravel()), 1)
    union = together.sum(1, keepdims=True) + together.sum(0, keepdims=True) - together
    return (together / union)[np.ix_(names_f != 0, names_r != 0)]


def scores_at(found: Labels, reference: Labels,
              thresholds: Iterable[float] = THRESHOLDS) -> dict[float, ObjectScores]:
    """Matches at each threshold: pairs whose intersection over union is larger than it.

    Above a half an object overlaps at most one other so well, so a match needs no assignment (Caicedo et al. 2019,
    Cytometry A 95, 952-965, who score BBBC039 so).

    Raises:
        ValueError: a threshold below 0.5, where matches are not unique, or masks of two shapes.
    """
    iou = overlaps(found, reference)
    result = {}
    for threshold in thresholds:
        if threshold < 0.5:
            raise ValueError(f"IoU threshold {threshold}: below 0.5 an object may match several")
        matched = int((iou > threshold).sum())
        result[threshold] = ObjectScores(matched, iou.shape[1] - matched, iou.shape[0] - matched)
    return result


def pooled(fields: Iterable[dict[float, ObjectScores]]) -> dict[float, ObjectScores]:
    """Counts over many fields, each object counting once."""
    total: dict[float, ObjectScores] = {}
    for field in fields:
        for threshold, scores in field.items():
            total[threshold] = total.get(threshold, ObjectScores(0, 0, 0)) + scores
    return total
