"""Molecules that resemble a molecule: by what cells show too, by what only the molecule knows, and by structure."""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.standardize import Molecule
from dssl_bio.learning.representation import SharedSpecific
from dssl_bio.vocabulary import INCHIKEY, MOLECULE_ID, SMILES

if TYPE_CHECKING:
    from dssl_bio.retrieval.bundle import Bundle

Space = Literal["shared", "specific"]
SHARED_COSINE, SPECIFIC_COSINE, TANIMOTO = "shared_cosine", "specific_cosine", "tanimoto"


def cosines_with_library(bundle: "Bundle", query: SharedSpecific, exclude: str | None = None) -> pd.DataFrame:
    """The bundle's molecules with their cosines to one query in both molecule spaces.

    Args:
        bundle: whose library is compared.
        query: representations of one molecule.
        exclude: molecule id (first InChIKey block) of the query itself.

    Returns:
        The library's rows with shared_cosine and specific_cosine, in the library's order.
    """
    table = bundle.molecules.assign(**{
        SHARED_COSINE: bundle.molecule_vectors.shared @ query.shared[0],
        SPECIFIC_COSINE: bundle.molecule_vectors.specific @ query.specific[0],
    })
    return table if exclude is None else table[table[MOLECULE_ID] != exclude]


def nearest(table: pd.DataFrame, space: Space, molecule: Molecule, n: int = 6) -> pd.DataFrame:
    """The first n of `cosines_with_library` by one space, equal ones in the order of their ids, with Tanimoto.

    Tanimoto is that of count-Morgan fingerprints (radius 2): the structural likeness a chemist would see.
    """
    column = SHARED_COSINE if space == "shared" else SPECIFIC_COSINE
    rounded = table[column].to_numpy().round(6)
    place = max(0, len(rounded) - n)
    enough = np.partition(rounded, place)[place] if len(rounded) else 0.0
    first = table[rounded >= enough].assign(_rounded=rounded[rounded >= enough])  # few are left to be sorted by id
    first = first.sort_values(["_rounded", MOLECULE_ID], ascending=[False, True]).head(n).drop(columns="_rounded")
    own = count_morgan(molecule).astype(float)
    others = [_fingerprint(smiles, key) for smiles, key in zip(first[SMILES], first[INCHIKEY], strict=True)]
    tanimoto = [float(np.minimum(own, other).sum() / np.maximum(own, other).sum()) for other in others]
    return first.assign(**{TANIMOTO: tanimoto}).reset_index(drop=True)


@lru_cache(maxsize=2_000)
def _fingerprint(smiles: str, inchikey: str) -> NDArray[np.float32]:
    """Of a molecule of a library: the same few are the neighbours of many."""
    return count_morgan(Molecule(smiles, inchikey)).astype(np.float32)
