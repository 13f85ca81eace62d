"""Profiles of held-out molecules, predicted from structure and across plates or runs, without any simulated truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import EvaluationError
from dssl_bio.evaluation.counterfactual_errors import Resampled, explained, interval, mean_of
from dssl_bio.evaluation.counterfactual_methods import (
    CLIP_DECODER,
    NEIGHBOURS,
    OURS,
    SHIFT,
    Learned,
    Pairs,
    anticipated,
    standardised,
)
from dssl_bio.evaluation.metrics import ranks_of_best
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.learning.representation import unit_rows
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.vocabulary import DOSE_UM, INCHIKEY, MOLECULE_ID, PLATE, RUN, SMILES

Floats = NDArray[np.floating]

FACTUAL, CROSS = "decoded from the well itself", "decoded from the molecule's wells elsewhere"
CONTEXT = "mean of the plate or run"


@dataclass(frozen=True)
class HeldOut:
    """Predictions for wells of held-out molecules, standardised features (P, F).

    Attributes:
        pairs: the wells with their own molecules.
        truth: as measured.
        context: what the plate or run looks like without them: 0 of the explained variance.
        predicted: by method.
    """

    pairs: Pairs
    truth: Floats
    context: Floats
    predicted: dict[str, Floats]

    def values_of(self, method: str) -> Floats:
        """(P, F) of one method; the context is one too."""
        return self.context if method == CONTEXT else self.predicted[method]


def held_out_wells(bundle: Bundle, decoder: Decoder, learned: Learned,
                   clip: tuple[Decoder, Run] | None) -> HeldOut:
    """Predicts every well of a held-out molecule.

    Where training was kept to a part of the wells (a first run, say) and held-out molecules were measured in another,
    the wells of that other part are asked: prediction across runs.

    Raises:
        EvaluationError: no held-out well.
    """
    material = decoder.material
    wells = material.wells
    held_out = wells[MOLECULE_ID].isin(set(bundle.run.molecules_of("test"))).to_numpy()
    place = _place(wells)
    trained_in = set(place[material.rows("train")])
    elsewhere = held_out & ~np.isin(place, list(trained_in))
    rows = np.flatnonzero(elsewhere if elsewhere.any() else held_out)
    if len(rows) < 2:
        raise EvaluationError("no well of a held-out molecule in this screen")
    pairs = _pairs(bundle, decoder, rows)
    specific, left, context = _contexts(decoder, rows, place, held_out)
    own = material.codes
    predicted = {OURS: anticipated(decoder, bundle.run, pairs, specific)[0] + left,
                 FACTUAL: decoder.features(own.shared[rows], decoder.specific(rows))[0]}
    cross = _cross(decoder, rows, place, specific, left)
    if cross is not None:
        predicted[CROSS] = cross
    predicted[NEIGHBOURS] = context + learned.neighbours(pairs, shifts=True)
    predicted[SHIFT] = context + learned.predicted_shift(pairs, decoder.profile.spread.numpy())
    if clip is not None:
        of_clip, left_by_clip, _ = _contexts(clip[0], rows, place, held_out)
        predicted[CLIP_DECODER] = anticipated(*clip, pairs, of_clip)[0] + left_by_clip
    return HeldOut(pairs, standardised(decoder, material.features[rows]), standardised(decoder, context),
                   {name: standardised(decoder, values) for name, values in predicted.items()})


def summary(folds: Sequence[HeldOut], seed: int) -> pd.DataFrame:
    """R2 and rank of the true profile: method, r2, mrr, top_10 with intervals, and how much higher ours is.

    R2 is the share of the variance about the plate's or run's mean that is explained, all features together. Ranks:
    held-out treatments of the fold by the cosine of predicted and measured deviation from that mean, ties against.
    """
    draws = Resampled.of(np.concatenate([found.pairs.ids for found in folds]), seed)
    reference = np.concatenate([np.square(found.truth - found.context) for found in folds])
    ranked = [_ranks(found) for found in folds]
    shared = [name for name in ranked[0][0] if all(name in ranks for ranks, _ in ranked)]
    scores = {name: np.concatenate([ranks[name] for ranks, _ in ranked]) for name in shared}
    r2 = {name: explained(np.concatenate([np.square(found.values_of(name) - found.truth) for found in folds]),
                          reference, draws) for name in shared}
    mrr = {name: mean_of(1 / ranks, draws) for name, ranks in scores.items()}
    rows = []
    for name in shared:
        one = {"method": name, "gallery": round(np.mean([size for _, size in ranked])), "wells": len(reference)}
        for measure, values in (("r2", r2[name]), ("mrr", mrr[name]), ("r2_gain", r2[OURS] - r2[name]),
                                ("mrr_gain", mrr[OURS] - mrr[name])):
            one.update({measure: interval(values)["value"], f"{measure}_low": interval(values)["low"],
                        f"{measure}_high": interval(values)["high"]})
        one["top_10"] = float((scores[name] <= 10).mean())
        rows.append(one)
    return pd.DataFrame(rows)


def _ranks(found: HeldOut) -> tuple[dict[str, NDArray[np.int64]], int]:
    """Rank of each well's own treatment by every method, and how many treatments there are."""
    entries, inverse = np.unique(_treatments(found.pairs), return_inverse=True)
    sums = np.zeros((len(entries), found.truth.shape[1]))
    np.add.at(sums, inverse, found.truth - found.context)
    gallery = unit_rows(sums)
    owner = np.array([entry.split("@")[0] for entry in entries])
    right = found.pairs.ids[:, None] == owner[None, :]
    ranks = {name: ranks_of_best((unit_rows(found.values_of(name) - found.context) @ gallery.T).round(6), right)
             for name in [*found.predicted, CONTEXT]}
    return ranks, len(entries)


def _pairs(bundle: Bundle, decoder: Decoder, rows: NDArray[np.int64]) -> Pairs:
    wells = decoder.material.wells
    ids = wells[MOLECULE_ID].iloc[rows].to_numpy(str)
    names = np.unique(ids)
    table = bundle.molecules.drop_duplicates(MOLECULE_ID).set_index(MOLECULE_ID).loc[names]
    molecules = table.reset_index()[[MOLECULE_ID, SMILES, INCHIKEY]]
    dose = wells[DOSE_UM].to_numpy(float)[rows] if DOSE_UM in wells else np.full(len(rows), np.nan)
    return Pairs(rows, np.searchsorted(names, ids), molecules, dose)


def _place(wells: pd.DataFrame) -> NDArray[np.str_]:
    """Plate of each well, else its run."""
    column = next((name for name in (PLATE, RUN) if name in wells and wells[name].notna().all()), None)
    return wells[column].astype(str).to_numpy(str) if column else np.full(len(wells), "")


def _contexts(decoder: Decoder, rows: NDArray[np.int64], place: NDArray[np.str_], held_out: NDArray[np.bool_],
              ) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Specific part, what the decoder leaves unexplained, and mean features of the other wells of each one's place."""
    material = decoder.material
    specific = np.zeros((len(rows), decoder.facts.specific_dim), np.float32)
    left, context = np.zeros((2, len(rows), material.features.shape[1]))
    for name in np.unique(place[rows]):
        own, around = place[rows] == name, np.flatnonzero((place == name) & ~held_out)
        specific[own] = unit_rows(decoder.specific(around).mean(0, keepdims=True)) if specific.shape[1] else 0
        left[own] = decoder.unexplained(around).mean(0)
        context[own] = np.asarray(material.features[around], float).mean(0)
    return specific, left, context


def _cross(decoder: Decoder, rows: NDArray[np.int64], place: NDArray[np.str_], specific: NDArray[np.float32],
           left: Floats) -> Floats | None:
    """Features decoded with the shared part of the same molecule and dose on other plates or in other runs."""
    material = decoder.material
    treatment = _treatment_names(material.wells)
    shared = np.zeros((len(rows), material.codes.shared.shape[1]))
    for number, row in enumerate(rows):
        same = np.flatnonzero((treatment == treatment[row]) & (place != place[row]))
        if not len(same):
            return None
        shared[number] = material.codes.shared[same].mean(0)
    return decoder.features(unit_rows(shared), specific)[0] + left


def _treatment_names(wells: pd.DataFrame) -> NDArray[np.str_]:
    dose = wells[DOSE_UM].astype(str) if DOSE_UM in wells else ""
    return (wells[MOLECULE_ID].astype(str) + "@" + dose).to_numpy(str)


def _treatments(pairs: Pairs) -> NDArray[np.str_]:
    return np.array([f"{name}@{dose}" for name, dose in zip(pairs.ids, pairs.dose_um, strict=True)])
