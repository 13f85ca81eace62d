"""The replicate ceiling: how well a molecule's own repeated measurement finds its phenotype in the same gallery."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.evaluation.division import Division, means
from dssl_bio.evaluation.heldout import Retrieval, ranks_table
from dssl_bio.learning.representation import unit_rows
from dssl_bio.vocabulary import MOLECULE_ID, PLATE, ROW_KEY

Floats = NDArray[np.floating]

OTHER_RUN = ("the mean of the held-out molecule's wells that are not in the gallery (another run) asks for its "
             "entries in the gallery")
LEFT_OUT = ("each replicate well of a held-out entry asks, and its own entry is then the consensus of the other "
            "replicates; all other entries keep all their wells")


def replicate_ceiling(division: Division, wells: Floats, entries: Floats,
                      name: str = "replicates") -> tuple[pd.DataFrame, str]:
    """Ranks of replicates' own entries.

    Args:
        division: who is held out, and the gallery.
        wells: (R, D) a vector of each well of `division.rows`; only those of held-out molecules are read.
        entries: (N, D) a vector of each entry.
        name: the method's name in the table.

    Returns:
        A table like that of `ranks_table` (empty where there are no replicates), and how it was made, in words.
    """
    held_out = division.molecules["held_out"].to_numpy()
    outside = (division.owner >= 0) & (division.membership < 0) & held_out[division.owner]
    if not outside.any():
        return _left_out(division, wells, unit_rows(entries), name), LEFT_OUT
    asked = np.unique(division.owner[outside])
    means_outside = means(wells, np.where(outside, division.owner, -1), len(division.molecules))[asked]
    table = division.molecules.iloc[asked].drop(columns=PLATE, errors="ignore")
    table = table.assign(query=table[MOLECULE_ID])
    scores = unit_rows(means_outside) @ unit_rows(entries).T
    return ranks_table(Retrieval(name, division.fold, table, division.entries, scores)), OTHER_RUN


def _left_out(division: Division, wells: Floats, entries: Floats, name: str) -> pd.DataFrame:
    number = division.membership
    size = np.bincount(number[number >= 0], minlength=len(entries))
    asked = np.flatnonzero((number >= 0) & (size[number] >= 2) & division.entries["held_out"].to_numpy()[number])
    if not len(asked):
        return pd.DataFrame()
    own, vectors = number[asked], wells[asked]
    total = np.zeros((len(entries), wells.shape[1]))
    np.add.at(total, own, vectors)  # of held-out entries, all wells are asked
    others = unit_rows((total[own] - vectors) / (size[own] - 1)[:, None])
    scores = unit_rows(vectors) @ entries.T
    scores[np.arange(len(asked)), own] = np.einsum("nd,nd->n", unit_rows(vectors), others)
    queries = division.entries.iloc[own].reset_index(drop=True)
    queries["query"] = division.screen.wells[ROW_KEY].iloc[division.rows[asked]].to_numpy()
    return ranks_table(Retrieval(name, division.fold, queries, division.entries, scores))
