"""How good counterfactuals are: against the simulator's truth, on held-out profiles, and under intervention."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.artefact import new_folder, seal
from dssl_bio.errors import EvaluationError
from dssl_bio.evaluation import counterfactual_methods as methods
from dssl_bio.evaluation.counterfactual_errors import by_feature, by_group, compared
from dssl_bio.evaluation.counterfactual_heldout import held_out_wells, summary
from dssl_bio.evaluation.counterfactual_intervention import factors_of, intervention, verdicts
from dssl_bio.evaluation.counterfactual_page import PAGE, page
from dssl_bio.evaluation.counterfactual_textures import texture_errors
from dssl_bio.evaluation.counterfactual_truth import changes, true_pairs, true_pictures
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.learning.decoders.material import picture_features
from dssl_bio.learning.decoders.pictures import shown
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.screens.screen import Screen

logger = logging.getLogger(__name__)

Floats = NDArray[np.floating]

CHANGED, SAME, ALL = "truth differs from the well", "truth is the well", "all pairs"


def evaluate_counterfactuals(bundle: Path, screen: Screen, folder: Path, *, truth: Path | None = None,
                             clip: Sequence[Path] = (), folds: Sequence[Path] = (), seed: int = 0,
                             progress: Callable[[int, int], None] | None = None,
                             report: Callable[[str], None] = logger.info) -> list[str]:
    """Measures a bundle's decoder and writes an HTML page and tables.

    Args:
        bundle: with a decoder.
        screen: that it was decoded with.
        folder: to write.
        truth: truth/ of the simulation, with true counterfactuals.
        clip: bundles of CLIP runs on the same screen and split, with decoders of their own: one, or one for each fold.
        folds: bundles of the same screen with other held-out molecules, whose wells are pooled with this one's.
        seed: of bootstrap and partners.
        progress: called with (done, all) stages.
        report: receives lines of progress.

    Returns:
        the headlines.

    Raises:
        EvaluationError: truth for a measured screen, another screen than the decoder's, or a CLIP run with another
            split.
    """
    if truth is not None and not screen.simulated:
        raise EvaluationError(f"screen {screen.name} was measured; --truth belongs to a simulated one")
    if clip and len(clip) != 1 + len(folds):
        raise EvaluationError(f"{len(clip)} CLIP bundles for {1 + len(folds)} bundles: give one for each, in order")
    opened, decoder = _opened(bundle, screen)
    other = _clip(clip[0], opened.run) if clip else None
    untreated = methods.reference(decoder.material)
    learned = methods.Learned(decoder, opened.molecules, untreated)
    tables: dict[str, pd.DataFrame] = {}
    facts: dict[str, Any] = {}
    told = progress or (lambda done, total: None)
    true: tuple[NDArray[np.int64], Floats] | None = None
    if truth is not None:
        report("predicted against true counterfactuals")
        true = _against_truth(truth, opened, decoder, learned, untreated, other, screen, seed, tables, facts)
    told(1, 3)
    report("wells of held-out molecules")
    wells = [held_out_wells(opened, decoder, learned, other)]
    for number, fold in enumerate(folds, start=1):
        fold_bundle, fold_decoder = _opened(fold, screen)
        fold_reference = methods.reference(fold_decoder.material)
        wells.append(held_out_wells(fold_bundle, fold_decoder,
                                    methods.Learned(fold_decoder, fold_bundle.molecules, fold_reference),
                                    _clip(clip[number], fold_bundle.run) if clip else None))
    tables["held_out"] = summary(wells, seed)
    told(2, 3)
    report("intervention")
    factors = factors_of(decoder, truth)
    for kind in ("features", *(["pictures"] if decoder.velocity is not None else [])):
        tables[f"intervention_{kind}"] = found = intervention(decoder, factors, seed, kind == "pictures", true)
        facts[f"intervention_{kind}"] = verdicts(found) if len(found) else {}
    told(3, 3)
    with new_folder(folder, "counterfactuals") as work:
        for name, table in tables.items():
            table.to_csv(work / f"{name}.csv", index=False)
        (work / PAGE).write_text(page(opened, decoder, tables, facts), encoding="utf-8")
        seal(work, "counterfactuals", {"run": opened.run.id, "bundle": opened.id, "screen": screen.id},
             facts=facts, seed=seed, results={name: table.to_dict("records") for name, table in tables.items()
                                             if not name.startswith("by_feature")})
    return headlines(tables, facts)


def headlines(tables: dict[str, pd.DataFrame], facts: dict[str, Any]) -> list[str]:
    """What to read first, in lines."""
    lines = []
    for kind in ("pictures", "features"):
        if (table := tables.get(f"errors_{kind}")) is not None:
            for row in table[table["subset"] == CHANGED].to_dict("records"):
                lines.append(f"{kind}, {CHANGED}: {row['method']}: feature error {row['error']:.3f} "
                             f"[{row['error_low']:.3f}, {row['error_high']:.3f}]; ours is {100 * row['lower']:.0f} % "
                             f"[{100 * row['lower_low']:.0f}, {100 * row['lower_high']:.0f}] lower")
    if (table := tables.get("errors_textures")) is not None:
        for row in table.to_dict("records"):
            lines.append(f"pictures, textures that they were not brought to: {row['method']}: error "
                         f"{row['error']:.3f} [{row['error_low']:.3f}, {row['error_high']:.3f}]; ours is "
                         f"{100 * row['lower']:.0f} % [{100 * row['lower_low']:.0f}, {100 * row['lower_high']:.0f}] "
                         "lower")
    for row in tables["held_out"].to_dict("records"):
        lines.append(f"held-out wells: {row['method']}: R2 {row['r2']:.3f} [{row['r2_low']:.3f}, "
                     f"{row['r2_high']:.3f}], MRR {row['mrr']:.3f} [{row['mrr_low']:.3f}, {row['mrr_high']:.3f}] of "
                     f"{row['gallery']}")
    for kind in ("features", "pictures"):
        for factor, one in facts.get(f"intervention_{kind}", {}).items():
            lines.append(f"intervention, {kind}: {factor} moves {one['move']:.3f}, allowed {one['allowed']:.3f}: "
                         f"{one['verdict']}")
    return lines


def _against_truth(truth: Path, opened: Bundle, decoder: Decoder, learned: methods.Learned, untreated: Floats,
                   other: tuple[Decoder, Run] | None, screen: Screen, seed: int, tables: dict[str, pd.DataFrame],
                   facts: dict[str, Any]) -> tuple[NDArray[np.int64], Floats]:
    """Errors of every method on the pairs of held-out molecules, by subset, channel and feature.

    Returns:
        the wells of the pairs whose truth differs, and their true standardised features.
    """
    pairs, table, numbers = true_pairs(truth, opened.run, decoder)
    pictures = true_pictures(truth, numbers, pairs, opened.run, screen, decoder)
    names, channels = decoder.facts.features, opened.run.facts.channels
    target = methods.standardised(decoder, picture_features(pictures, channels)[0])
    mean, half = methods.anticipated(decoder, opened.run, pairs)
    codes = methods.expected_codes(decoder, opened.run, pairs)
    left = decoder.unexplained(pairs.rows, codes)
    predicted = {methods.OURS: mean + left, methods.OURS_ALONE: mean,
                 methods.UNCHANGED: np.asarray(decoder.material.features[pairs.rows]),
                 methods.NEIGHBOURS: learned.neighbours(pairs),
                 methods.SHIFT: untreated[pairs.rows] + learned.predicted_shift(pairs, decoder.profile.spread.numpy())}
    if other is not None:
        of_clip = methods.anticipated(*other, pairs)[0]
        predicted[methods.CLIP_DECODER] = of_clip
        predicted[methods.CLIP_RESIDUAL] = of_clip + other[0].unexplained(
            pairs.rows, methods.expected_codes(*other, pairs))
    squares = {name: np.square(methods.standardised(decoder, values) - target) for name, values in predicted.items()}
    changed = changes(table)
    facts["pairs"] = {"held_out": len(table), "changed": int(changed.sum()), "molecules": len(pairs.molecules)}
    low, high = (methods.standardised(decoder, mean + left + sign * half) for sign in (-1, 1))
    facts["coverage"] = float(((target >= low) & (target <= high))[changed].mean())
    _tables("features", squares, methods.OURS, pairs, changed, names, channels, seed, tables)
    if decoder.velocity is not None:
        flow = decoder.pictures(pairs.rows, codes)
        drawn = shown(flow, mean + left, decoder.profile.spread.numpy())
        own = methods.standardised(decoder, picture_features(drawn, channels)[0])
        alone = methods.standardised(decoder, picture_features(flow, channels)[0])
        of_pictures = {methods.OURS_PICTURES: np.square(own - target), methods.FLOW: np.square(alone - target),
                       **{name: values for name, values in squares.items() if name != methods.OURS}}
        _tables("pictures", of_pictures, methods.OURS_PICTURES, pairs, changed, names, channels, seed, tables)
        tables["errors_textures"] = texture_errors(decoder, opened.molecules, pairs, {
            methods.OURS_PICTURES: drawn, methods.FLOW: flow}, pictures, changed, seed)
        measured = decoder.own_pictures(pairs.rows)
        tables["pixels"] = pd.DataFrame([
            {"channel": channel, "predicted": _pixels(drawn, pictures, i, changed),
             "unchanged": _pixels(measured, pictures, i, changed)} for i, channel in enumerate(channels)])
    return pairs.rows[changed], target[changed]


def _tables(kind: str, squares: dict[str, Floats], ours: str, pairs: methods.Pairs, changed: NDArray[np.bool_],
            names: tuple[str, ...], channels: tuple[str, ...], seed: int, tables: dict[str, pd.DataFrame]) -> None:
    parts = []
    for subset, mask in ((CHANGED, changed), (SAME, ~changed), (ALL, np.ones(len(changed), bool))):
        if mask.sum() >= 2:
            part = compared({name: values[mask] for name, values in squares.items()}, ours, pairs.ids[mask], seed)
            parts.append(part.assign(subset=subset, pairs=int(mask.sum())))
    tables[f"errors_{kind}"] = pd.concat(parts, ignore_index=True)
    kept = {name: values[changed] for name, values in squares.items()}
    tables[f"by_channel_{kind}"] = by_group(kept, names, channels)
    tables[f"by_feature_{kind}"] = by_feature(kept, names)


def _pixels(predicted: Floats, truth: Floats, channel: int, mask: NDArray[np.bool_]) -> float:
    return float(np.sqrt(np.square(predicted[mask, channel] - truth[mask, channel]).mean()))


def _opened(folder: Path, screen: Screen) -> tuple[Bundle, Decoder]:
    bundle = Bundle.open(folder)
    decoder = Decoder.open(folder, bundle.run.id)
    if decoder.record["made_from"]["screen"] != screen.id:
        raise EvaluationError(f"the decoder of {folder} was made with screen "
                              f"{decoder.record['made_from']['screen_name']} "
                              f"({decoder.record['made_from']['screen']}), not with {screen.name} ({screen.id})")
    return bundle, decoder


def _clip(folder: Path, run: Run) -> tuple[Decoder, Run]:
    other = Bundle.open(folder)
    if set(other.run.molecules_of("test")) != set(run.molecules_of("test")):
        raise EvaluationError(f"{folder} was trained on another split: its held-out molecules are others")
    return Decoder.open(folder, other.run.id), other.run
