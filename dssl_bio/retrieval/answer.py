"""The answer to one molecule: what it is, how the model describes it, and its hits; pages and programs get the same."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dssl_bio.learning.representation import SharedSpecific
    from dssl_bio.retrieval.lookup import Identified
    from dssl_bio.retrieval.search import Hit, Searcher


@dataclass(frozen=True)
class Answer:
    """A query with everything that is shown of it.

    Attributes:
        identified: the molecule and what is known of it.
        vectors: its representations, one row.
        hits: best entries.
        gallery: rows of the entries that were searched.
        searched: their shared vectors.
    """

    identified: "Identified"
    vectors: "SharedSpecific"
    hits: "list[Hit]"
    gallery: NDArray[np.int64]
    searched: NDArray[np.float32]

    @property
    def own_places(self) -> NDArray[np.int64]:
        """Rows of the searched gallery that are the query's own."""
        return np.flatnonzero(np.isin(self.gallery, self.identified.entries))


def answer(searcher: "Searcher", identified: "Identified", top_k: int) -> Answer:
    """Hits of a molecule that `lookup.identify` made of a text."""
    vectors = searcher.bundle.run.embed_molecules([identified.molecule], searcher.dose_um)
    return Answer(identified, vectors, searcher.hits(vectors.shared, top_k)[0], searcher.gallery, searcher.vectors)
