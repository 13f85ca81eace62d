"""From a phenotype to molecules: the library ranked by what a phenotype's cells show."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dssl_bio.errors import BundleError
from dssl_bio.retrieval.index import SCORE_DIGITS
from dssl_bio.retrieval.tables import IN_SCREEN
from dssl_bio.vocabulary import MOLECULE_ID

if TYPE_CHECKING:
    from dssl_bio.retrieval.bundle import Bundle


@dataclass(frozen=True)
class MoleculeHit:
    """A molecule that should give a phenotype.

    Attributes:
        rank: from 1.
        row: of the bundle's molecules.
        score: cosine of the shared representations.
        p: one-sided empirical p under the bundle's null.
        q: Benjamini-Hochberg over the library that was searched.
    """

    rank: int
    row: int
    score: float
    p: float
    q: float


def molecules_of(bundle: "Bundle", phenotype: NDArray[np.floating], top_k: int = 12, *,
                 in_screen_only: bool = False) -> list[MoleculeHit]:
    """The molecules nearest to one phenotype, best first; equal scores in the order of molecule ids.

    The library holds each molecule (first InChIKey block) once, so nothing is counted twice. The null is that of the
    other direction: it holds cosines of unrelated pairs, and a pair has no direction.

    Args:
        bundle: whose library is ranked.
        phenotype: (D,) shared vector of unit length.
        top_k: molecules to give.
        in_screen_only: leave out molecules that only the model's training knows.

    Raises:
        BundleError: the vector has another number of dimensions, is not finite, or there is no molecule.
    """
    library = bundle.molecule_vectors.shared
    if phenotype.shape != library.shape[1:]:
        raise BundleError(f"the library holds {library.shape[1]} dimensions, the phenotype {phenotype.shape}")
    if not np.isfinite(phenotype).all():
        raise BundleError("the phenotype's vector holds NaN or infinity")
    rows = np.flatnonzero(bundle.molecules[IN_SCREEN].to_numpy(bool)) if in_screen_only else np.arange(len(library))
    if not len(rows):
        raise BundleError("this bundle holds no molecule to rank")
    scores = (library[rows] @ phenotype.astype(np.float32)).round(SCORE_DIGITS)
    ids = bundle.molecules[MOLECULE_ID].to_numpy(str)[rows]
    order = np.lexsort((ids, -scores))[:top_k]
    q = bundle.null.q_values(scores[order], scores)
    p = bundle.null.p_values(scores[order])
    return [MoleculeHit(rank, int(rows[place]), float(scores[place]), float(p[rank - 1]), float(q[rank - 1]))
            for rank, place in enumerate(order, start=1)]


def rank_of_molecule(bundle: "Bundle", phenotype: NDArray[np.floating], molecule_id: str) -> int | None:
    """Rank of one molecule among the whole library, ties counted against it; None when it is not there."""
    own = (bundle.molecules[MOLECULE_ID] == molecule_id).to_numpy(bool)
    if not own.any():
        return None
    scores = (bundle.molecule_vectors.shared @ phenotype.astype(np.float32)).round(SCORE_DIGITS)
    return 1 + int((scores[~own] >= scores[own].max()).sum())
