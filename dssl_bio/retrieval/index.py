"""Exact nearest phenotypes by inner product: the only door to FAISS. No FAISS file is ever read or written."""

import faiss
import numpy as np
from numpy.typing import NDArray

from dssl_bio.errors import BundleError

# Below this many query numbers FAISS leaves BLAS aside and small batches run several times slower than they could.
faiss.cvar.distance_compute_blas_threshold = 4096

TIE_MARGIN = 32
SCORE_DIGITS = 6  # see significance.GRID


class PhenotypeIndex:
    """Unit vectors of entries, searched by cosine; on a GPU where there is one."""

    def __init__(self, vectors: NDArray[np.float32], model_id: str):
        """Builds the index.

        Args:
            vectors: (N, D) unit rows, in the order of the entries' keys.
            model_id: id of the run that made them; a query of another model is refused.

        Raises:
            BundleError: a vector is not finite, or there is none.
        """
        if len(vectors) == 0:
            raise BundleError("an index needs at least one entry")
        if not np.isfinite(vectors).all():
            raise BundleError("an entry's vector holds NaN or infinity")
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self.model_id = model_id
        self._flat: faiss.Index = faiss.IndexFlatIP(vectors.shape[1])
        if hasattr(faiss, "get_num_gpus") and faiss.get_num_gpus() > 0:
            self._flat = faiss.index_cpu_to_all_gpus(self._flat)
        self._flat.add(self.vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: NDArray[np.float32], k: int,
               model_id: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and numbers (Q, k) of the nearest entries, best first; equal scores in the order of the entries.

        Scores are compared after rounding to 6 digits: beyond, they depend on the order of summation.

        Raises:
            BundleError: the queries come from another model, or have another number of dimensions.
        """
        if model_id != self.model_id:
            raise BundleError(f"these vectors were made by model {self.model_id}, the query by model {model_id}")
        if queries.shape[1] != self.vectors.shape[1]:
            raise BundleError(f"the index holds {self.vectors.shape[1]} dimensions, the query {queries.shape[1]}")
        k = min(k, len(self))
        wide = min(k + TIE_MARGIN, len(self))
        scores, numbers = self._flat.search(np.ascontiguousarray(queries, dtype=np.float32), wide)
        scores = scores.round(SCORE_DIGITS)
        order = np.lexsort((numbers, -scores), axis=1)[:, :k]
        best, best_numbers = np.take_along_axis(scores, order, 1), np.take_along_axis(numbers, order, 1)
        if wide < len(self):
            for row in np.flatnonzero(scores[:, -1] == scores[:, k - 1]):  # more ties than the margin may hold
                whole = (self.vectors @ queries[row]).round(SCORE_DIGITS)
                best_numbers[row] = np.argsort(-whole, kind="stable")[:k]
                best[row] = whole[best_numbers[row]]
        return best, best_numbers
