"""From a screen and a configuration to a Run folder: split, inputs, both steps, and what is written."""

import json
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dssl_bio.artefact import require_disk, seal, write_json
from dssl_bio.config import checked
from dssl_bio.errors import RunError
from dssl_bio.evaluation.metrics import ranks_of_best
from dssl_bio.learning.choice import AUTO, TRIAL_SHARE, choose, trial_options
from dssl_bio.learning.collapse import Collapse, advice
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.data import PairLoader
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.fitted import fit_ridge_after_step_1, fit_to_training_rows, with_fixed_features
from dssl_bio.learning.material import Material, modality_of, prepare
from dssl_bio.learning.model import build_model
from dssl_bio.learning.partition import GROUP, SPLIT, partition
from dssl_bio.learning.plates import fit_plate_projection
from dssl_bio.learning.precision import bf16_helps
from dssl_bio.learning.residual import fit_residuals
from dssl_bio.learning.run import (
    CONFIG,
    MOLECULE_TABLE,
    SPLIT_TABLE,
    embed_inputs,
    embed_phenotypes,
    write_model,
)
from dssl_bio.learning.start import start_from, start_id
from dssl_bio.learning.training.steps import remove_state, train_step
from dssl_bio.learning.training.trainer import Progress
from dssl_bio.learning.validation import ValidationSet
from dssl_bio.learning.workplace import move_into_place, workplace
from dssl_bio.screens.screen import Screen
from dssl_bio.screens.splits import split_by_group

logger = logging.getLogger(__name__)

STATE_COPIES = 9
"""Of the weights on disk at most: the old and the new state of weights, best weights and two moments, and the model."""
MIN_TRIAL_GROUPS, MIN_TRIAL_MOLECULES = 8, 60


def train(screen: Screen, config: TrainConfig, folder: Path, *, resume: bool = False, resumable: bool = True,
          report: Callable[[str], None] = logger.info, progress: Progress | None = None) -> dict[str, Any]:
    """Trains both steps and writes a Run.

    Until it is complete the run lies in `<folder>.partial`, with the state of the last epoch; `resume` continues there.

    Args:
        screen: training data.
        config: resolved configuration.
        folder: the Run; replaced when it holds a run, refused when it holds anything else.
        resume: continue `<folder>.partial`.
        resumable: keep what `resume` needs, curves and diagnostics; a run that serves one comparison does without.
        report: receives a line of progress now and then.
        progress: called after every minibatch with (done, total) minibatches of the step.

    Returns:
        metrics of training.

    Raises:
        RunError: too few molecules, nothing to resume, another configuration than the one to resume, or something
            else than a run stands where it would be written.
    """
    work = workplace(folder, config, screen.id, resume, report)
    config = _resolved_once(screen, config, work, report)
    material = prepare(screen, config)
    torch.manual_seed(config.seed)
    model = _made(material, report)
    count = (material.split[SPLIT].value_counts() if len(material.split) else {})
    report("molecules: " + ", ".join(f"{count.get(name, 0)} {name}" for name in ("train", "valid", "test"))
           + f"; {len(material.pairs)} training wells")
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    report(require_disk(work, (STATE_COPIES if resumable else 1) * size + 20_000_000))
    material = with_fixed_features(model, material)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16 = material.facts.modality == "images" and bf16_helps(device)
    metrics: dict[str, Any] = {}
    for step, options in ((1, config.step_1), (2, config.step_2)):
        if options.epochs == 0:
            continue
        watched = None if options.keep == "last" else material.validation
        if step == 2 and config.specific_input == "residual":
            fit_residuals(model, material.pairs, options.batch_size, config.seed, config.specific_ridge)
        metrics[f"step_{step}"] = train_step(model, step, material.pairs, watched, options, work, config.seed, report,
                                             bf16, resumable, progress)
        if step == 1:
            finish_step_1(model, material, report)
        if step == 1 and material.validation is not None:
            metrics["step_1"]["validation_mrr"] = material.validation.reciprocal_rank(model)
        if resumable:
            metrics[f"step_{step}"]["information"] = _information(model, material, specific=step == 2)
    write_model(work, model, config, material.facts)
    material.split.to_parquet(work / SPLIT_TABLE)
    screen.molecules.to_parquet(work / MOLECULE_TABLE)
    write_json(work / "metrics.json", metrics)
    remove_state(work)
    started = {"start": start_id(Path(config.start))} if config.start else {}
    seal(work, "run", {"screen": screen.id, "screen_name": screen.name, **started}, simulated=screen.simulated,
         screen_name=screen.name, metrics=metrics)
    move_into_place(work, folder)
    return metrics


def finish_step_1(model: DisentangledModel, material: Material, report: Callable[[str], None]) -> None:
    """What of the shared encoders is fitted in closed form once they are trained: the ridge member, the projection."""
    fit_ridge_after_step_1(model, material.pairs)
    if material.config.plate_projection:
        n = fit_plate_projection(model, material.pairs, material.controls, material.control_plates)
        report(f"{n} directions in which {len(material.controls)} untreated wells tell plates apart leave the shared "
               "code")


def resolve(screen: Screen, config: TrainConfig, report: Callable[[str], None] = logger.info) -> TrainConfig:
    """The configuration with `molecule_encoder = "auto"` replaced by what a trial on training molecules chose.

    Three tenths of the molecules that are not held out, whole groups, are asked; the held-out ones are never looked at.
    """
    modality = modality_of(screen, config)
    if config.molecule_encoder != AUTO:
        return config
    split = partition(screen.wells, screen.molecules, config.split, config.seed)
    kept = split[SPLIT].isin(["train", "valid"]).to_numpy()
    if kept.sum() < MIN_TRIAL_MOLECULES or split.loc[kept, GROUP].nunique() < MIN_TRIAL_GROUPS:
        return choose(config, modality, None, report)[0]
    inner = split.assign(**{SPLIT: ""})
    inner.loc[kept, SPLIT] = split_by_group(split.loc[kept, GROUP].to_numpy(str), (1 - TRIAL_SHARE, TRIAL_SHARE, 0.0),
                                            config.seed)
    return choose(config, modality, lambda candidate: _trial(screen, candidate, inner), report)[0]


def _trial(screen: Screen, config: TrainConfig, split: pd.DataFrame) -> NDArray[np.float64]:
    """Reciprocal ranks of the split's validation molecules after step 1, or a part of it, on its training molecules."""
    material = prepare(screen, config, split)
    options = trial_options(config, material.facts.modality)
    assert material.validation is not None
    torch.manual_seed(config.seed)
    model = _made(material, lambda line: None)
    material = with_fixed_features(model, material)
    with tempfile.TemporaryDirectory(prefix="dssl-bio-") as folder:
        train_step(model, 1, material.pairs, None, options, Path(folder), config.seed, lambda line: None, False,
                   resumable=False)
    finish_step_1(model, material, lambda line: None)
    asked = material.validation
    assert asked is not None
    queries = embed_inputs(model, [asked.molecules]).shared
    gallery = embed_phenotypes(model, asked.phenotypes, asked.rows, asked.membership).shared
    return 1 / ranks_of_best(queries @ gallery.T, np.arange(len(queries))[:, None] == asked.owner[None, :])


def _resolved_once(screen: Screen, config: TrainConfig, work: Path, report: Callable[[str], None]) -> TrainConfig:
    """The resolved configuration; a run that goes on keeps what it chose."""
    path = work / CONFIG
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["molecule_encoder"] != AUTO:
        return checked(stored, TrainConfig, str(path), RunError)
    resolved = resolve(screen, config, report)
    write_json(path, resolved.model_dump(mode="json", by_alias=True))
    return resolved


def _made(material: Material, report: Callable[[str], None]) -> DisentangledModel:
    """A model that is fitted where that has a closed form, and starts from another run where one is named."""
    model = build_model(material.config, material.facts)
    fit_to_training_rows(model, material)
    if material.config.start:
        report(start_from(model, Path(material.config.start), material.config.gine.freeze))
    if material.note:
        report(material.note)
    return model


def _information(model: DisentangledModel, material: Material, specific: bool) -> dict[str, Any]:
    """Information on validation pairs, or on training pairs where there are no others; warns of a collapse."""
    held_out, pairs = material.validation, material.pairs
    if held_out is None:
        rows = np.unique(pairs.molecule, return_index=True)[1]
        held_out = ValidationSet(pairs.inputs, pairs.phenotypes, pairs.rows[rows], np.arange(len(rows)),
                                 pairs.molecule[rows])
    found = held_out.information(model, specific)
    longest = max(found["resultant_length_1"], found["resultant_length_2"])
    if longest >= Collapse.NEAR_ONE:
        remedy = "lower shared.beta or the learning rate"
        if material.facts.modality == "images":
            remedy += ("; where beta 0 does not help either, tiles of few cells tell nothing of weak phenotypes: "
                       "`dssl-bio segment SCREEN --features` and modality=cell_features read all cells of a well")
        logger.warning("the shared representation has collapsed: its directions have resultant length %.3f, 1 is one "
                       "direction for everything; %s", longest,
                       advice(_minibatches(material, 1), remedy))
    for number, side in ((1, "molecules'"), (2, "phenotypes'")):
        if (length := found.get(f"specific_resultant_length_{number}", 0.0)) >= Collapse.NEAR_ONE:
            logger.warning("the %s specific representation has collapsed: its directions have resultant length %.3f, "
                           "1 is one direction for everything; %s", side, length,
                           advice(_minibatches(material, 2),
                                  "lower specific.lambda, or choose specific_input = \"residual\"", 2))
    return {"pairs": "training" if material.validation is None else "validation", **found}


def _minibatches(material: Material, step: Literal[1, 2]) -> int:
    """How many a step trains with at most; early stopping may end it before."""
    options = material.config.step_1 if step == 1 else material.config.step_2
    return options.epochs * len(PairLoader(material.pairs, options.batch_size, step, material.config.seed))


