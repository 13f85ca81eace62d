"""Which molecules do anything at all: where the screen says so, or by replicates that stand out from the controls."""

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
    """Replicate mean average precision against controls (Kalinin et al. 2025), with p against controls and BH q.

    Each well asks for the other wells of its molecule among them and the controls, by cosine after centring and
    scaling on the controls. Ties count against the molecule. The null is as many controls, drawn 1,000 times and
    taken for replicates: random orders would call them active too often, since cosines among wells depend.

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
    with_controls = vectors @ vectors[control].T  # (R, C)
    generator, nulls, rows = np.random.default_rng(seed), {}, {}
    for name, places in repeated.groupby(repeated).groups.items():
        places = np.asarray(places)
        found = []
        for place in places:
            others = places[places != place]
            right = vectors[others] @ vectors[place]
            found.append(average_precision(right, with_controls[place]))
        n = len(places)
        if n not in nulls:
            nulls[n] = _null(min(n, int(control.sum()) - 2), vectors[control], generator)
        value = float(np.mean(found))
        rows[name] = {"map": value, "p": (1 + int((nulls[n] >= value).sum())) / (1 + NULL_DRAWS), "n_replicates": n}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table["q"] = false_discovery_control(table["p"].to_numpy())
    return table[["map", "p", "q", "n_replicates"]]


def average_precision(right: NDArray[np.floating], wrong: NDArray[np.floating]) -> float:
    """Average precision of right scores among wrong ones; a tie counts against."""
    ordered = np.sort(right)[::-1]
    ahead = np.array([(wrong >= score).sum() for score in ordered])
    hits = np.arange(1, len(ordered) + 1)
    return float(np.mean(hits / (hits + ahead)))


def _null(n: int, controls: NDArray[np.floating], generator: np.random.Generator) -> NDArray[np.float64]:
    """Mean average precision of n controls taken as replicates among the other controls, NULL_DRAWS times."""
    cosines = controls @ controls.T
    found = np.empty(NULL_DRAWS)
    for draw in range(NULL_DRAWS):
        order = generator.permutation(len(controls))
        chosen, rest = order[:n], order[n:]
        found[draw] = np.mean([average_precision(cosines[one, chosen[chosen != one]], cosines[one, rest])
                               for one in chosen])
    return found
