"""Which molecules do anything at all: where the screen says so, or by replicates that stand out from the controls."""

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from dssl_bio.learning.representation import unit_rows
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import MOLECULE_ID, PERT_TYPE

INDUCTION = "Induction"
ACTIVE_FROM_PER_CENT = 5.0
"""Induction is the share of features that a well changes, in per cent; from 5 % the laboratory calls it active."""

MIN_CONTROLS = 8
NULL_DRAWS = 1_000
ROUNDING = 1e-6
"""copairs tells a molecule's precision in double and that of places in single."""
MOST_PAIRS = 2_000_000
"""Of a well and a control at once: a few hundred megabytes."""
ACTIVE_BELOW_Q = 0.05


def known_activity(screen: Screen, rows: NDArray[np.int64] | None = None) -> "pd.Series[bool]":
    """Active or not by molecule_id: the largest Induction of its wells; empty where the screen has no such column.

    Args:
        screen: the data.
        rows: wells that may be looked at; all when absent.
    """
    if INDUCTION not in screen.wells:
        return pd.Series(dtype="boolean")
    wells = screen.wells if rows is None else screen.wells.iloc[rows]
    induction = pd.to_numeric(wells[INDUCTION], errors="coerce")
    largest = induction.groupby(wells[MOLECULE_ID]).max().dropna()
    return largest >= ACTIVE_FROM_PER_CENT


def activity_of(screen: Screen, rows: NDArray[np.int64], profiles: NDArray[np.floating],
                seed: int = 0) -> "pd.Series[bool]":
    """Known activity where the screen has it, by replicates otherwise; empty where there are none or no controls.

    Args:
        screen: the data.
        rows: (R,) wells that may be looked at, the controls among them.
        profiles: (R, F) of these wells.
        seed: of the null.
    """
    known = known_activity(screen, rows)
    if len(known):
        return known
    wells = screen.wells.iloc[rows]
    control = (wells[PERT_TYPE] == "negcon").to_numpy() if PERT_TYPE in wells else np.zeros(len(rows), dtype=bool)
    table = replicate_map(profiles, wells[MOLECULE_ID].to_numpy(object), control, seed)
    return table["q"] < ACTIVE_BELOW_Q if len(table) else pd.Series(dtype="boolean")


def replicate_map(profiles: NDArray[np.floating], molecule: NDArray[np.object_], control: NDArray[np.bool_],
                  seed: int = 0) -> pd.DataFrame:
    """Replicate mean average precision against controls (Kalinin et al. 2025), by copairs, with p and BH q.

    Each well asks for the other wells of its molecule among them and the controls, by cosine after centring and
    scaling on the controls. The null is ours: as many controls, drawn 1,000 times and taken for replicates. That of
    copairs, random orders, would call molecules active too often, since cosines among wells depend.

    Args:
        profiles: (R, F) of wells.
        molecule: (R,) id of each, missing for none.
        control: (R,) negative controls.
        seed: of the null.

    Returns:
        map, p, q, n_replicates by molecule id; empty with fewer than 8 controls or without replicates.
    """
    named = pd.Series(molecule)
    own = named[~control & named.notna().to_numpy()]
    repeated = own[own.groupby(own).transform("size") >= 2] if len(own) else own
    if control.sum() < MIN_CONTROLS or not len(repeated):
        return pd.DataFrame(columns=["map", "p", "q", "n_replicates"])
    centre, spread = profiles[control].mean(0), profiles[control].std(0)
    vectors = unit_rows((profiles - centre) / np.where(spread > 1e-9, spread, 1.0))
    found = _map_of_copairs(vectors[repeated.index], repeated.astype(str).to_numpy(object), vectors[control])
    generator, sizes = np.random.default_rng(seed), repeated.groupby(repeated).size()
    nulls = {n: _null(min(n, int(control.sum()) - 2), vectors[control], generator) for n in sizes.unique()}
    rows = {}
    for name, n in sizes.items():
        as_high = nulls[n] >= found[str(name)] - ROUNDING
        rows[name] = {"map": found[str(name)], "p": (1 + int(as_high.sum())) / (1 + NULL_DRAWS), "n_replicates": n}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table["q"] = false_discovery_control(table["p"].to_numpy())
    return table[["map", "p", "q", "n_replicates"]].astype({"n_replicates": int})


def average_precision(right: NDArray[np.floating], wrong: NDArray[np.floating]) -> float:
    """Average precision, by copairs, of right scores among wrong ones; a tie counts against."""
    from copairs.compute import average_precision as of_places

    ahead = len(wrong) - np.searchsorted(np.sort(wrong), np.sort(right)[::-1], side="left")
    return float(of_places((ahead + np.arange(len(right)))[None])[0])


def _map_of_copairs(wells: NDArray[np.float32], molecule: NDArray[np.object_],
                    controls: NDArray[np.float32]) -> "pd.Series[float]":
    """Mean average precision by molecule; some molecules at a time, since copairs lists every pair of wells."""
    from copairs.map import average_precision as ap_of_pairs

    at_once = max(1, MOST_PAIRS // len(controls))
    order = np.argsort(molecule, kind="stable")
    firsts = np.flatnonzero(np.r_[True, molecule[order][1:] != molecule[order][:-1]])
    cuts = [0, *(int(start) for before, start in zip(firsts[:-1] // at_once, firsts[1:], strict=True)
                 if start // at_once > before), len(order)]
    alone = [f"control {number}" for number in range(len(controls))]
    parts = []
    for start, end in pairwise(cuts):
        some = order[start:end]
        facts = pd.DataFrame({"molecule": [*molecule[some], *alone], "control": False})
        facts.loc[len(some):, "control"] = True
        scored = ap_of_pairs(facts, np.vstack([wells[some], controls]), ["molecule"], [], [], ["control"],
                             distance=_inner, progress_bar=False)
        scored = scored[~scored["control"]]
        parts.append(scored.groupby("molecule")["average_precision"].mean())
    return pd.concat(parts)


def _inner(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.floating]:
    """Cosines of pairs of unit rows; a row of zeros has none with any."""
    return np.einsum("nd,nd->n", first, second)


def _null(n: int, controls: NDArray[np.floating], generator: np.random.Generator) -> NDArray[np.float64]:
    """Mean average precision of n controls taken as replicates among the other controls, NULL_DRAWS times."""
    from copairs.compute import average_precision as of_places

    cosines = controls @ controls.T
    found = np.empty(NULL_DRAWS)
    for draw in range(NULL_DRAWS):
        order = generator.permutation(len(controls))
        chosen, rest = order[:n], order[n:]
        right = cosines[np.ix_(chosen, chosen)][~np.eye(n, dtype=bool)].reshape(n, n - 1)
        right = -np.sort(-right, axis=1)
        ahead = (cosines[chosen][:, None, rest] >= right[:, :, None]).sum(2)
        found[draw] = of_places(ahead + np.arange(n - 1)).mean()
    return found
