"""Two molecules beside each other: what they share, and what they do not."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.standardize import Molecule
from dssl_bio.learning.representation import SharedSpecific

if TYPE_CHECKING:
    from dssl_bio.retrieval.bundle import Bundle

PAIRS = 5_000


@dataclass(frozen=True)
class Likeness:
    """How alike two molecules are, beside pairs of the library taken at random.

    Attributes:
        shared: cosine of the shared representations: what cells can show of them.
        specific: cosine of the specific ones: what only structures tell.
        tanimoto: of count-Morgan fingerprints (radius 2): what a chemist sees.
        shared_percentile: share of random pairs, in per cent, that are less alike; nan where there are none.
        specific_percentile: the same of the specific ones.
    """

    shared: float
    specific: float
    tanimoto: float
    shared_percentile: float
    specific_percentile: float


def likeness(first: Molecule, second: Molecule, vectors: SharedSpecific, pairs: SharedSpecific) -> Likeness:
    """How alike two molecules are.

    Args:
        first: one.
        second: the other.
        vectors: their representations, two rows.
        pairs: cosines of random pairs, from `random_pairs`.
    """
    shared, specific = (float(part[0] @ part[1]) for part in (vectors.shared, vectors.specific))
    one, other = (count_morgan(molecule).astype(float) for molecule in (first, second))
    tanimoto = float(np.minimum(one, other).sum() / max(np.maximum(one, other).sum(), 1.0))
    return Likeness(shared, specific, tanimoto, _percentile(pairs.shared, shared),
                    _percentile(pairs.specific, specific))


def random_pairs(bundle: "Bundle", seed: int = 0) -> SharedSpecific:
    """Cosines (P, 1) of at most 5,000 random pairs of different library molecules, the same at every call."""
    n = len(bundle.molecules)
    if n < 2:
        return SharedSpecific(np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32))
    generator = np.random.default_rng(seed)
    first = generator.integers(0, n, PAIRS)
    second = (first + generator.integers(1, n, PAIRS)) % n  # never itself
    vectors = bundle.molecule_vectors
    return SharedSpecific(*((part[first] * part[second]).sum(1, keepdims=True)
                            for part in (vectors.shared, vectors.specific)))


def _percentile(values: NDArray[np.floating], value: float) -> float:
    return float(100 * (values < value).mean()) if len(values) else float("nan")
