"""Intervention: what changes in a decoded well when one part of its code is exchanged, and what must not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dssl_bio.evaluation.counterfactual_methods import standardised
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.learning.decoders.material import CONTROL, USE, picture_features
from dssl_bio.vocabulary import MOA, PERT_TYPE, PLATE, RUN, WELL, well_position

Floats = NDArray[np.floating]

MECHANISM, DENSITY = "mechanism", "seeding density"
MIN_PER_CLASS, N_WELLS = 5, 120
ALLOWED = 0.2
"""A reading must move by at most a fifth of what exchanging the whole well moves it."""
READABLE = 0.05


def factors_of(decoder: Decoder, truth: Path | None) -> pd.DataFrame:
    """What can be read from wells: mechanism, plate, row, column; with truth also seeding density, batch and focus."""
    wells = decoder.material.wells
    control = (wells[PERT_TYPE] == CONTROL).to_numpy()
    columns: dict[str, object] = {}
    if truth is not None:
        known = pd.read_parquet(truth / "wells.parquet").astype({PLATE: str, WELL: str}).set_index([PLATE, WELL])
        found = known.reindex(pd.MultiIndex.from_frame(wells[[PLATE, WELL]].astype(str)))
        strong = (found["Shared_strength"].to_numpy(float) > 0.5) | (found["Shared_strength"].to_numpy(float) < 0.05)
        columns[MECHANISM] = found["Shared_mechanism"].where(pd.Series(strong, index=found.index)).to_numpy(object)
        columns[DENSITY] = np.log(found["Specific_cells_per_mm2"].to_numpy(float))
        columns["focus"] = found["Specific_focus_um"].to_numpy(float)
        columns["batch"] = found["Specific_batch"].to_numpy(object)
    elif MOA in wells:
        columns[MECHANISM] = np.where(control, "no treatment", wells[MOA].to_numpy(object))
    if PLATE in wells:
        columns["plate"] = wells[PLATE].to_numpy(object)
    if RUN in wells:
        columns["run"] = wells[RUN].astype(str).to_numpy(object)
    if WELL in wells and wells[WELL].notna().all():
        try:
            places = np.array([well_position(str(name)) for name in wells[WELL]], dtype=float)
            columns["row"], columns["column"] = places[:, 0], places[:, 1]
        except ValueError:
            pass
    return pd.DataFrame(columns, index=wells.index)


def intervention(decoder: Decoder, factors: pd.DataFrame, seed: int, pictures: bool,
                 truth: tuple[NDArray[np.int64], Floats] | None = None) -> pd.DataFrame:
    """Readings of probes before and after each part is exchanged with another well's.

    Probes are linear, from features to each factor, and learn from the measured wells that decoders learned from. They
    are then asked about decoded wells: `move` of a number is the root mean square of the change of its reading, in
    standard deviations of the factor; of a category the share of wells whose reading changes.

    Args:
        decoder: of a bundle.
        factors: from `factors_of`.
        seed: of the wells and their partners.
        pictures: decode pictures and read their features; else decode features.
        truth: wells (P,) and the standardised features (P, F) of the same cells under another molecule, as they truly
            are: nothing but the shared part changed, so what a reading moves there is the probe's own error.

    Returns:
        factor, kind, reads (R2 or balanced accuracy on measured wells that the probe has not seen), chance, and the
        moves when the well, its shared part, or its specific part is exchanged, and when the shared part truly changes
        (`truth`); `toward` says of a category how often
        the reading becomes the partner's own when the part is exchanged.
    """
    material = decoder.material
    train = material.rows("train")
    others = np.flatnonzero(material.wells[USE].to_numpy(object) == "")
    rng = np.random.default_rng(seed)
    others = others if len(others) >= 20 else train
    asked = rng.permutation(others)[:N_WELLS]
    partner = rng.permutation(asked)
    kept = (asked != partner) & (material.treatment[asked] != material.treatment[partner])
    asked, partner = asked[kept], partner[kept]
    decoded = _decoded(decoder, asked, partner, pictures)
    measured = standardised(decoder, material.features)
    rows = []
    for name in factors:
        values = factors[name]
        known = values.notna().to_numpy()
        numeric = pd.api.types.is_numeric_dtype(values)
        probe = _fitted(measured[train[known[train]]], values.iloc[train[known[train]]], numeric)
        told = others[known[others]]
        if probe is None or len(told) < 20:
            continue
        actual, read = values.iloc[told], probe.predict(measured[told])
        own, swapped = probe.predict(measured[asked]), probe.predict(measured[partner])
        base = probe.predict(decoded["neither"])
        scale = float(np.std(actual.to_numpy(float))) if numeric else 1.0
        row = {"factor": name, "kind": "number" if numeric else "category",
               "reads": _score(actual, read, numeric), "chance": 0.0 if numeric else 1 / values.iloc[train].nunique(),
               "well": _move(own, swapped, scale, numeric),
               "shared": _move(base, probe.predict(decoded["shared"]), scale, numeric),
               "specific": _move(base, probe.predict(decoded["specific"]), scale, numeric)}
        if truth is not None:
            row["truth"] = _move(probe.predict(measured[truth[0]]), probe.predict(truth[1]), scale, numeric)
        if not numeric:
            moved = own != swapped
            for part in ("shared", "specific"):
                row[f"toward_{part}"] = float((probe.predict(decoded[part]) == swapped)[moved].mean())
        rows.append(row)
    return pd.DataFrame(rows)


def verdicts(table: pd.DataFrame) -> dict[str, dict[str, float | str]]:
    """Whether each factor stayed when the part that is not its own was exchanged.

    Returns:
        by factor: move, allowed (a fifth of what exchanging the well moves), and a verdict: `stays`; `moves no more
        than in the truth`, where the probe cannot tell the factor from the other part; `does not stay`; `not readable`,
        where the probe reads the factor from no measured well and nothing can be said.
    """
    found: dict[str, dict[str, float | str]] = {}
    for row in table.to_dict("records"):
        move = row["specific"] if row["factor"] == MECHANISM else row["shared"]
        allowed, in_truth = ALLOWED * row["well"], row.get("truth", 0.0)
        if row["reads"] < row["chance"] + READABLE:
            verdict = "not readable"
        elif move <= allowed:
            verdict = "stays"
        else:
            as_true = row["factor"] != MECHANISM and move <= in_truth
            verdict = "moves no more than in the truth" if as_true else "does not stay"
        found[row["factor"]] = {"move": move, "allowed": allowed, "verdict": verdict}
    return found


def _decoded(decoder: Decoder, rows: NDArray[np.int64], partner: NDArray[np.int64],
             pictures: bool) -> dict[str, Floats]:
    """Standardised features of wells with neither part, the shared or the specific one taken from the partner."""
    shared, specific = decoder.source_code(rows), decoder.specific(rows)
    parts = {"neither": (shared, specific), "shared": (decoder.source_code(partner), specific),
             "specific": (shared, decoder.specific(partner))}
    found = {name: decoder.under(s, p) + decoder.unexplained(rows, s) for name, (s, p) in parts.items()}
    if pictures and decoder.velocity is not None:
        for name, (s, p) in parts.items():
            drawn = decoder.pictures(rows, s, specific=p, features=found[name])
            found[name] = picture_features(drawn, decoder.facts.channels)[0]
    return {name: standardised(decoder, values) for name, values in found.items()}


def _fitted(features: Floats, values: "pd.Series[object]", numeric: bool) -> Any:
    if numeric:
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 8))).fit(features, values.to_numpy(float))
    counts = values.astype(str).value_counts()
    kept = values.astype(str).isin(counts.index[counts >= MIN_PER_CLASS]).to_numpy()
    if values[kept].nunique() < 2:
        return None
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=300))
    return model.fit(features[kept], values[kept].astype(str).to_numpy())


def _score(truth: "pd.Series[object]", read: NDArray[np.generic], numeric: bool) -> float:
    if numeric:
        return float(r2_score(truth.to_numpy(float), read))
    return float(balanced_accuracy_score(truth.astype(str).to_numpy(), read))


def _move(before: NDArray[np.generic], after: NDArray[np.generic], scale: float, numeric: bool) -> float:
    if not numeric:
        return float((before != after).mean())
    return float(np.sqrt(np.square(np.asarray(after, float) - np.asarray(before, float)).mean())) / max(scale, 1e-9)
