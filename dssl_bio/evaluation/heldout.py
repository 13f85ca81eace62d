"""Retrieval on held-out molecules under the README's protocol: what is asked, of which gallery, with which answers."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.evaluation.metrics import ranks_of_best
from dssl_bio.vocabulary import BATCH, MOLECULE_ID, PLATE

Floats = NDArray[np.floating]

WHOLE, WITHIN_PLATE, LIBRARY = "held-out library", "within plate", "training and held-out library"
WITHIN_BATCH = "within batch"
SETTINGS = (WHOLE, WITHIN_PLATE, WITHIN_BATCH, LIBRARY)
PLACES = ((PLATE, WITHIN_PLATE), (BATCH, WITHIN_BATCH))
MIN_ON_PLATE = 10

TO_PHENOTYPE, TO_MOLECULE = "molecule → phenotype", "phenotype → molecule"
DIRECTIONS = (TO_PHENOTYPE, TO_MOLECULE)


@dataclass(frozen=True)
class Retrieval:
    """Scores of one method for one fold in one direction.

    Attributes:
        method: its name.
        fold: name of the fold or run.
        queries: what is asked, one a row: molecule_id; mechanism where annotated, query (its key; the molecule's id
            when absent), active (missing when not known), plate (";"-joined; when present, a query is asked on its
            own plates only), batch likewise, and anything else that begins with "query_" is kept.
        entries: the gallery: molecule_id, mechanism, plate, batch (";"-joined), held_out. Phenotypes for a molecule's
            question, molecules for a phenotype's.
        scores: (Q, N) larger is nearer.
        direction: what is asked for what.
    """

    method: str
    fold: str
    queries: pd.DataFrame
    entries: pd.DataFrame
    scores: Floats = field(repr=False)
    direction: str = TO_PHENOTYPE


def ranks_table(retrieval: Retrieval) -> pd.DataFrame:
    """Rank of the best right entry of every query in every setting.

    Right is any entry of the same molecule. Within plate (and within batch, where there are several), each plate of
    the query's own entries with at least 10 held-out entries asks once.

    Returns:
        method, fold, direction, setting, query, molecule_id, annotated, active, plate (or batch), rank, n_entries,
        n_right, and
        the queries' own "query_" columns.
    """
    parts = [part for part in _galleries(retrieval) if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return table.assign(method=retrieval.method, fold=retrieval.fold, direction=retrieval.direction)


def mechanism_table(retrieval: Retrieval, k: int = 10) -> pd.DataFrame:
    """How often the nearest held-out entries of other molecules share the query's annotated mechanism.

    All held-out entries of other molecules are in the gallery, those without annotation as wrong answers; a query
    without any right answer is not asked, nor one that is known to be inactive. Ties count against the model: right
    answers come last among equals.

    Returns:
        method, fold, direction, query, molecule_id, mechanism, precision (among k), prevalence (share of right
        answers in that gallery, which is what a random order reaches), prevalence_annotated (their share among the
        annotated entries, never smaller), average_precision, chance_average_precision (expected under a random
        order, exact).
    """
    entries = retrieval.entries[retrieval.entries["held_out"]]
    scores = retrieval.scores[:, retrieval.entries["held_out"].to_numpy()]
    rows = []
    for number, query in enumerate(retrieval.queries.itertuples(index=False)):
        mechanism = getattr(query, "mechanism", None)
        active = getattr(query, "active", None)
        if mechanism is None or pd.isna(mechanism) or (active is not None and not pd.isna(active) and not active):
            continue
        others = (entries[MOLECULE_ID] != query.molecule_id).to_numpy()
        right = (entries["mechanism"] == mechanism).to_numpy()[others]
        annotated = entries["mechanism"].notna().to_numpy()[others]
        if not right.any():
            continue
        order = np.lexsort((right, -scores[number, others]))
        hit = right[order]
        places = np.flatnonzero(hit) + 1
        rows.append({"query": getattr(query, "query", query.molecule_id), MOLECULE_ID: query.molecule_id,
                     "mechanism": mechanism, "precision": hit[:k].mean(), "prevalence": right.mean(),
                     "prevalence_annotated": right.sum() / annotated.sum(),
                     "average_precision": np.mean(np.arange(1, len(places) + 1) / places),
                     "chance_average_precision": chance_average_precision(len(hit), len(places))})
    return pd.DataFrame(rows).assign(method=retrieval.method, fold=retrieval.fold, direction=retrieval.direction)


def chance_average_precision(n_entries: int, n_right: int) -> float:
    """Expected average precision of a random order (Bestgen 2015): exact for any pool."""
    harmonic = float(np.sum(1 / np.arange(1, n_entries + 1)))
    if n_entries == 1:
        return 1.0
    return (harmonic + (n_right - 1) / (n_entries - 1) * (n_entries - harmonic)) / n_entries


def _galleries(retrieval: Retrieval) -> Iterator[pd.DataFrame]:
    entries, scores = retrieval.entries, retrieval.scores
    ids = retrieval.queries[MOLECULE_ID].to_numpy(object)
    owner = entries[MOLECULE_ID].to_numpy(object)
    held_out = entries["held_out"].to_numpy(bool)
    right = ids[:, None] == owner[None, :]  # (Q, N)
    yield _ranked(retrieval, WHOLE, scores, right, np.broadcast_to(held_out, right.shape))
    yield _ranked(retrieval, LIBRARY, scores, right, np.ones_like(right))
    for column, setting in PLACES:
        if column in entries:
            yield from _within(retrieval, column, setting, right)


def _within(retrieval: Retrieval, column: str, setting: str, right: NDArray[np.bool_]) -> Iterator[pd.DataFrame]:
    """Ranks among the held-out entries of one plate or batch after the other; one batch of all says nothing new."""
    entries, scores = retrieval.entries, retrieval.scores
    held_out = entries["held_out"].to_numpy(bool)
    places = [set(str(text).split(";")) - {"", "nan", "None"} for text in entries[column]]
    names = sorted(set().union(*places))
    for name in names if column == PLATE or len(names) > 1 else ():
        here = held_out & np.array([name in where for where in places])
        if here.sum() < MIN_ON_PLATE:
            continue
        asked = right
        if column in retrieval.queries:
            own = np.array([name in str(text).split(";") for text in retrieval.queries[column]])
            asked = right & own[:, None]
        table = _ranked(retrieval, setting, scores, asked, np.broadcast_to(here, right.shape))
        yield table.assign(plate=name)


def _ranked(retrieval: Retrieval, setting: str, scores: Floats, right: NDArray[np.bool_],
            gallery: NDArray[np.bool_]) -> pd.DataFrame:
    """Ranks of the queries that have a right answer in their gallery."""
    right = right & gallery
    asked = right.any(1)
    if not asked.any():
        return pd.DataFrame()
    limited = np.where(gallery, scores, -np.inf)[asked]
    queries = retrieval.queries[asked]
    unknown = pd.Series(None, index=queries.index, dtype=object)
    kept = {name: queries[name].to_numpy() for name in queries if str(name).startswith("query_")}
    return pd.DataFrame({
        "setting": setting, "query": queries.get("query", queries[MOLECULE_ID]).to_numpy(),
        MOLECULE_ID: queries[MOLECULE_ID].to_numpy(),
        "annotated": queries.get("mechanism", unknown).notna().to_numpy(),
        "active": pd.array(queries.get("active", unknown), dtype="boolean"), "plate": "",
        "rank": ranks_of_best(limited, right[asked]), "n_entries": gallery[asked].sum(1),
        "n_right": right[asked].sum(1), **kept,
    })
