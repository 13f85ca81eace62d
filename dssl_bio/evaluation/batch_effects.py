"""What a correction of batch effects does: how much the plate decides who is near, and what is left of the biology.

Both are shown, since a correction that removes plates may remove phenotypes with them (MorphoCLIP, arXiv 2608.22690:
subtracting plate means took recall@10 from 0.378 to 0.153 where a plate was a condition).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dssl_bio.evaluation.division import Division
from dssl_bio.evaluation.heldout import chance_average_precision
from dssl_bio.learning.activity import average_precision
from dssl_bio.learning.representation import SharedSpecific, unit_rows
from dssl_bio.learning.transforms import sphering
from dssl_bio.learning.well_facts import negative_controls
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import BATCH, MOA, MOLECULE_ID, PLATE

Floats = NDArray[np.floating]

NEAREST = 10
MIN_WELLS = 20
MIN_CONTROLS = 8
SHRINKAGE = 0.1
MOST_WELLS = 3_000
AS_MEASURED, SPHERED = "profiles as measured", "profiles, sphered on controls"
SHARED, SPECIFIC = "shared representation", "specific representation"
WORDS = {"same_plate": "of the ten nearest wells of other molecules, on the own plate",
         "replicates": "average precision of the molecule's wells on other plates",
         "mechanism": "same mechanism among the ten nearest on other plates"}


def batch_effects(division: Division, wells: SharedSpecific) -> pd.DataFrame:
    """Plate and biology in the wells of held-out molecules: as measured, sphered on controls, and as represented.

    Args:
        division: who is held out; its profiles are standardised by training molecules' wells.
        wells: representations in the order of `division.rows`.

    Returns:
        the table of `plates_and_biology`; empty without plates or batches, or with few wells.
    """
    table = division.screen.wells.iloc[division.rows]
    column = next((name for name in (PLATE, BATCH) if name in table and table[name].nunique() > 1), None)
    held_out = (division.owner >= 0) & division.molecules["held_out"].to_numpy()[division.owner]
    chosen = np.flatnonzero(held_out)
    if column is None or len(chosen) < MIN_WELLS:
        return pd.DataFrame()
    if len(chosen) > MOST_WELLS:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, MOST_WELLS, replace=False))
    scale = division.profiles[division.training]
    spread = scale.std(0)
    profiles = np.clip((division.profiles - scale.mean(0)) / np.where(spread > 1e-6, spread, 1), -8, 8)
    named = {AS_MEASURED: profiles[chosen]}
    controls = np.isin(division.rows, negative_controls(division.screen, division.rows))
    if controls.sum() >= MIN_CONTROLS:
        own = torch.from_numpy(profiles[controls].astype(float))
        named[SPHERED] = (profiles[chosen] - profiles[controls].mean(0)) @ sphering(own, SHRINKAGE).numpy()
    named |= {SHARED: wells.shared[chosen], SPECIFIC: wells.specific[chosen]}
    facts = table.iloc[chosen]
    mechanism = facts[MOA].to_numpy(object) if MOA in facts else None
    return plates_and_biology(named, facts[column].astype(str).to_numpy(), facts[MOLECULE_ID].to_numpy(object),
                              mechanism)


def block_effects(screen: Screen, blocks: Sequence[str], by: str) -> pd.DataFrame:
    """Plate and biology in feature blocks of a screen, over the wells that have a molecule, a batch and all blocks.

    Args:
        screen: the data.
        blocks: names of feature blocks; each is standardised over these wells.
        by: column of the wells: plate or batch.

    Returns:
        the table of `plates_and_biology`; empty with few wells.
    """
    shared = set.intersection(*(set(screen.profiles[name].rows.tolist()) for name in blocks))
    wells = screen.wells
    rows = np.array(sorted(row for row in shared if pd.notna(wells[MOLECULE_ID].iloc[row])
                           and pd.notna(wells[by].iloc[row])), dtype=np.int64)
    if len(rows) < MIN_WELLS:
        return pd.DataFrame()
    if len(rows) > MOST_WELLS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_WELLS, replace=False))
    named = {}
    for name in blocks:
        profiles = screen.profiles[name]
        values = np.asarray(profiles.values, dtype=float)[pd.Index(profiles.rows).get_indexer(rows)]
        spread = values.std(0)
        named[name] = (values - values.mean(0)) / np.where(spread > 1e-9, spread, 1.0)
    facts = wells.iloc[rows]
    return plates_and_biology(named, facts[by].astype(str).to_numpy(), facts[MOLECULE_ID].to_numpy(object),
                              facts[MOA].to_numpy(object) if MOA in facts else None)


def effects_in_words(table: pd.DataFrame) -> list[str]:
    """A line a description: how much nearness follows the plate, and how much the biology, each beside chance."""
    if table.empty:
        return ["too few wells with molecule and batch to tell plate and biology"]
    lines = []
    for row in table.to_dict("records"):
        parts = [f"{words} {row[name]:.3f} (chance {row[f'{name}_chance']:.3f})" for name, words in WORDS.items()
                 if np.isfinite(row[name])]
        lines.append(f"  {row['representation']}: " + "; ".join(parts))
    return lines


def plates_and_biology(named: Mapping[str, Floats], plate: NDArray[np.str_], molecule: NDArray[np.object_],
                       mechanism: NDArray[np.object_] | None = None) -> pd.DataFrame:
    """How much nearness follows the plate, and how much the biology, in several descriptions of the same wells.

    Args:
        named: (N, D) vectors by name; compared by cosine.
        plate: (N,) plate or batch of each well.
        molecule: (N,) its molecule.
        mechanism: (N,) its annotated mechanism, missing where there is none.

    Returns:
        one row a name: same_plate, share of the ten nearest wells of other molecules that lie on the well's own plate,
        and same_plate_chance, what is expected if plates do not matter; replicates, mean average precision of the
        molecule's wells on other plates among the wells of other molecules, and replicates_chance; mechanism,
        precision among the ten nearest wells of other molecules on other plates, and mechanism_chance. NaN where
        nothing can be asked.
    """
    same_plate, own = plate[:, None] == plate[None, :], molecule[:, None] == molecule[None, :]
    rows = []
    for name, vectors in named.items():
        unit = unit_rows(np.asarray(vectors, dtype=float))
        cosines = (unit @ unit.T).round(6)
        rows.append({"representation": name, **_plates(cosines, same_plate, own),
                     **_replicates(cosines, same_plate, own), **_mechanisms(cosines, same_plate, own, mechanism)})
    return pd.DataFrame(rows)


def _plates(cosines: Floats, same_plate: NDArray[np.bool_], own: NDArray[np.bool_]) -> dict[str, float]:
    found = []
    for score, here, mine in zip(cosines, same_plate, own, strict=True):
        others = ~mine
        if others.sum() > NEAREST and here[others].any():
            found.append((here[others][_nearest(score[others])].mean(), here[others].mean()))
    return _means(found, "same_plate")


def _replicates(cosines: Floats, same_plate: NDArray[np.bool_], own: NDArray[np.bool_]) -> dict[str, float]:
    found = []
    for score, here, mine in zip(cosines, same_plate, own, strict=True):
        right, wrong = mine & ~here, ~mine
        if right.any() and wrong.any():
            n, r = int(right.sum() + wrong.sum()), int(right.sum())
            found.append((average_precision(score[right], score[wrong]), chance_average_precision(n, r)))
    return _means(found, "replicates")


def _mechanisms(cosines: Floats, same_plate: NDArray[np.bool_], own: NDArray[np.bool_],
                mechanism: NDArray[np.object_] | None) -> dict[str, float]:
    found = []
    for number in range(len(cosines)) if mechanism is not None else ():
        assert mechanism is not None
        others = ~own[number] & ~same_plate[number]
        right = (mechanism == mechanism[number])[others]
        if pd.notna(mechanism[number]) and right.any() and others.sum() > NEAREST:
            found.append((right[_nearest(cosines[number, others], right)].mean(), right.mean()))
    return _means(found, "mechanism")


def _nearest(scores: Floats, right: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Places of the ten largest; among equals, right answers come last."""
    order = np.argsort(-scores, kind="stable") if right is None else np.lexsort((right, -scores))
    return order[:NEAREST]


def _means(found: list[tuple[float, float]], name: str) -> dict[str, float]:
    value, chance = np.mean(found, axis=0) if found else (np.nan, np.nan)
    return {name: float(value), f"{name}_chance": float(chance)}
