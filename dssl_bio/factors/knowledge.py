"""What a bundle's representations know: the factor matrix over entries and wells, and retrieval by specific parts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV

from dssl_bio.evaluation.metrics import chance_summary, ranks_of_best, summarize
from dssl_bio.factors.ground import Ground, components, held_out
from dssl_bio.factors.known import (
    Facts,
    facts_of_features,
    facts_of_molecules,
    facts_of_wells,
    joined,
    truth_of_molecules,
    truth_of_wells,
)
from dssl_bio.factors.matrix import (
    MOLECULE_RAW,
    MOLECULE_SHARED,
    MOLECULE_SPECIFIC,
    PHENOTYPE_RAW,
    PHENOTYPE_SHARED,
    PHENOTYPE_SPECIFIC,
    Known,
    factor_matrix,
)
from dssl_bio.learning.representation import unit_rows
from dssl_bio.vocabulary import MOLECULE_ID, PERT_TYPE, ROW_KEY

PERMUTATIONS = 20
ENTRIES, WELLS = "entries", "wells"
MIN_QUERIES = 10


@dataclass(frozen=True)
class Knowledge:
    """What was found.

    Attributes:
        matrix: see `factor_matrix`, and `rows`: whether entries or single wells were asked.
        retrieval: one row a way: way, n_queries, n_entries, top_1, top_10, mrr and what chance gives of each.
        of_entries: factors of the ground's entries.
        of_wells: factors of the ground's wells.
    """

    matrix: pd.DataFrame
    retrieval: pd.DataFrame
    of_entries: Facts
    of_wells: Facts


def knowledge(ground: Ground, truth: Path | None = None, *, permutations: int = PERMUTATIONS,
              each_feature: bool = False, seed: int = 0) -> Knowledge:
    """Probes of everything that is known from all representations.

    What belongs to a molecule is asked over entries, where the phenotype is the mean of its wells; what differs between
    wells is asked over single wells, of treated ones and of controls. All representations of a side see the same rows.

    Args:
        ground: of the bundle.
        truth: the simulator's truth/ folder.
        permutations: draws of chance.
        each_feature: every feature of a wide profile by itself, in place of one component a family.
        seed: of the draws.
    """
    entries, wells = _facts(ground, truth, each_feature)
    tables = []
    for rows, facts, owner, vectors, raw, ids, groups in (
            (ENTRIES, entries, ground.entry_molecule, ground.entry_vectors, ground.entry_features(),
             ground.entries[MOLECULE_ID], ground.entries[MOLECULE_ID].astype(object)),
            (WELLS, wells, ground.well_molecule, ground.well_vectors, ground.features, ground.wells[MOLECULE_ID],
             ground.wells[MOLECULE_ID].astype(object))):
        key = ground.entries["entry_key"] if rows == ENTRIES else ground.wells[ROW_KEY]
        names = groups.where(groups.notna(), key.astype(object)).to_numpy(str)
        known = Known(facts.table, facts.families, facts.belongs, names, held_out(ground, ids))
        representations = {MOLECULE_SHARED: _of_rows(ground.molecule_vectors.shared, owner),
                           MOLECULE_SPECIFIC: _of_rows(ground.molecule_vectors.specific, owner),
                           PHENOTYPE_SHARED: _zeros_as_missing(vectors.shared),
                           PHENOTYPE_SPECIFIC: _zeros_as_missing(vectors.specific),
                           MOLECULE_RAW: _of_rows(ground.fingerprints, owner), PHENOTYPE_RAW: components(raw)}
        found = factor_matrix(representations, known, permutations=permutations, seed=seed)
        own_family = (found["family"] == "feature") & (found["representation"] == PHENOTYPE_RAW)
        tables.append(found[~own_family].assign(rows=rows))
    return Knowledge(pd.concat(tables, ignore_index=True), retrieval_by_part(ground), entries, wells)


def _facts(ground: Ground, truth: Path | None, each_feature: bool) -> tuple[Facts, Facts]:
    """Factors of the entries and of the wells."""
    of_molecules = facts_of_molecules(ground.standardised, ground.molecules)
    parts = [of_molecules]
    if truth is not None:
        parts.append(truth_of_molecules(truth, ground.molecules[MOLECULE_ID].tolist()))
    molecules = joined(parts)
    entries = Facts(pd.DataFrame(index=range(len(ground.entries))))
    for name in molecules.table:
        values = molecules.table[name].astype(object)
        taken = pd.Series([values.iloc[row] if row >= 0 else None for row in ground.entry_molecule])
        numeric = pd.api.types.is_numeric_dtype(molecules.table[name])
        entries.add(str(name), pd.to_numeric(taken) if numeric else taken, molecules.families[str(name)],
                    molecules.belongs[str(name)])
    wells = [facts_of_wells(ground.wells.drop(columns=["row", "place"]))]
    if ground.features.shape[1]:
        wells.append(facts_of_features(ground.features, ground.names, each=each_feature))
    if truth is not None:
        wells.append(truth_of_wells(truth, ground.wells))
    return entries, joined(wells)


def _of_rows(vectors: Any, owner: Any) -> Any:
    """Each row's molecule's vector; NaN for rows without a molecule."""
    result = np.full((len(owner), vectors.shape[1]), np.nan)
    result[owner >= 0] = vectors[owner[owner >= 0]]
    return result


def _zeros_as_missing(vectors: Any) -> Any:
    result = np.array(vectors, dtype=float)
    result[~result.any(1)] = np.nan
    return result


def retrieval_by_part(ground: Ground) -> pd.DataFrame:
    """Molecule to phenotype by each part, over the ground's entries: what specific parts should not be able to do.

    Specific spaces of the two sides have no common axes, so beside their plain cosine a linear map from one to the
    other is fitted on molecules that are not held out: if anything linear were shared, it would find it. Queries are
    held-out molecules, ties count against.
    """
    known = ground.entry_molecule >= 0
    owner, entries = ground.entry_molecule[known], ground.entry_vectors.take(np.flatnonzero(known))
    fresh = held_out(ground, ground.molecules[MOLECULE_ID])
    asked = np.unique(owner[fresh[owner]])
    fitted = ~fresh[owner]
    if len(asked) < MIN_QUERIES or fitted.sum() < MIN_QUERIES:
        return pd.DataFrame()
    gallery = np.flatnonzero(fresh[owner])
    ways = {"shared, cosine": (ground.molecule_vectors.shared, entries.shared),
            "shared, linear map": _mapped(ground.molecule_vectors.shared, entries.shared, owner, fitted)}
    if ground.molecule_vectors.specific.shape[1] == entries.specific.shape[1]:
        ways["specific, cosine"] = (ground.molecule_vectors.specific, entries.specific)
    ways["specific, linear map"] = _mapped(ground.molecule_vectors.specific, entries.specific, owner, fitted)
    rows = []
    for way, (queries, phenotypes) in ways.items():
        right = asked[:, None] == owner[gallery][None, :]
        ranks = ranks_of_best(queries[asked] @ phenotypes[gallery].T, right)
        sizes = np.full(len(asked), len(gallery))
        found, chance = summarize(ranks, sizes), chance_summary(sizes.tolist(), right.sum(1).tolist())
        rows.append({"way": way, "n_queries": len(asked), "n_entries": len(gallery), "top_1": found.top_1,
                     "top_10": found.top_10, "mrr": found.mrr, "chance_top_1": chance.top_1,
                     "chance_top_10": chance.top_10, "chance_mrr": chance.mrr})
    return pd.DataFrame(rows)


def _mapped(molecules: Any, phenotypes: Any, owner: Any, fitted: Any) -> tuple[Any, Any]:
    """Molecules' vectors after a ridge regression onto phenotypes' vectors, and the latter, both centred."""
    model = RidgeCV(np.logspace(-3, 3, 7)).fit(molecules[owner[fitted]], phenotypes[fitted])
    centre = phenotypes[fitted].mean(0)
    return unit_rows(model.predict(molecules) - centre), unit_rows(phenotypes - centre)


def treated(ground: Ground) -> Any:
    """(W,) wells that are no controls."""
    return (ground.wells[PERT_TYPE] != "negcon").to_numpy()
