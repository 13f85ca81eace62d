"""`molecule_encoder = "auto"`: which encoder, by validation on the user's own screen, with the figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dssl_bio.config import checked
from dssl_bio.learning.config import StepConfig, TrainConfig

AUTO = "auto"

_HEADS = {"members": 8, "dropout": 0.3, "profile": {"layers": 0}, "step_1": {"keep": "last"}}
_WITH_RIDGE = {**_HEADS, "members": 16, "ridge": 0.3, "shared_dim": 680, "kernel": {"whitening": 0.0},
               "profile": {"layers": 0, "ridge_max_correlation": 0.9, "ridge_whitening": 0.6}}
PROFILE_RECIPES: dict[str, dict[str, Any]] = {
    "kernels": _WITH_RIDGE,
    "kernel": _WITH_RIDGE,
    "hybrid": {**_HEADS, "shared_dim": 320},
}
"""What goes with each encoder on profiles, in the order of preference: the first was best on the screens of a few
hundred molecules that it was developed on, and costs seconds."""
_RESIDUAL = {"members": 8, "dropout": 0.3, "ridge": 0.3, "shared_dim": 72, "specific_input": "residual",
             "specific_ridge": 1.0, "plate_projection": True}
IMAGE_RECIPES: dict[str, dict[str, Any]] = {
    "hybrid": _RESIDUAL,
    "kernel": {**_RESIDUAL, "kernel": {"whitening": 0.0}},
}
"""The same on images. Specific encoders with a trunk of their own collapsed on the simulated screen; of what the shared
code leaves of its trunk they read plate and focus."""
IMAGE_TRIAL_EPOCHS = 0.4
"""Share of step 1 that a trial trains where each candidate trains a CNN anew."""

TRIAL_SHARE = 0.3
"""Of the training molecules, whole groups, that a trial asks and does not train on."""


@dataclass(frozen=True)
class Trial:
    """What one encoder found.

    Attributes:
        encoder: name.
        mrr: of the molecules that the trial asked.
        behind: the preferred encoder's MRR minus this one's, paired.
        error: standard error of that difference.
    """

    encoder: str
    mrr: float
    behind: float
    error: float


def recipes_for(modality: str) -> dict[str, dict[str, Any]]:
    """Candidates for a modality, the preferred one first."""
    return IMAGE_RECIPES if modality == "images" else PROFILE_RECIPES


def trial_options(config: TrainConfig, modality: str) -> StepConfig:
    """Step 1 of a trial: all of it, or on images the part that `IMAGE_TRIAL_EPOCHS` says."""
    share = IMAGE_TRIAL_EPOCHS if modality == "images" else 1.0
    return config.step_1.model_copy(update={"epochs": max(1, round(share * config.step_1.epochs))})


def with_recipe(config: TrainConfig, encoder: str, recipe: dict[str, Any]) -> TrainConfig:
    """The configuration with an encoder and its recipe; what was set to another value than the default stays."""
    values, default = config.model_dump(by_alias=True), TrainConfig().model_dump(by_alias=True)
    for name, value in recipe.items():
        if isinstance(value, dict):
            changed = {key: inner for key, inner in value.items() if values[name][key] == default[name][key]}
            values[name] = {**values[name], **changed}
        elif values[name] == default[name]:
            values[name] = value
    if config.shared_dim == default["shared_dim"]:
        n_parts = values["members"] + (values["ridge"] > 0)
        values["shared_dim"] = n_parts * max(1, values["shared_dim"] // n_parts)
    elif config.members == default["members"]:
        values["members"], values["ridge"] = _fitting(values["shared_dim"], values["members"], values["ridge"])
    return checked({**values, "molecule_encoder": encoder}, TrainConfig, f"molecule_encoder auto, with {encoder}")


def _fitting(dim: int, members: int, ridge: float) -> tuple[int, float]:
    """The most members, up to a number, that share `dim` dimensions with the ridge member; one alone if none do."""
    fitting = [n for n in range(1, members + 1) if dim % (n + (ridge > 0)) == 0]
    return (max(fitting), ridge) if fitting else (1, 0.0)


def choose(config: TrainConfig, modality: str, trial: Callable[[TrainConfig], NDArray[np.floating]] | None,
           report: Callable[[str], None]) -> tuple[TrainConfig, list[Trial]]:
    """Resolves `auto`: the preferred encoder, unless another is better by more than one standard error.

    Args:
        config: any configuration; one that names its encoder is returned as it is.
        modality: of the screen.
        trial: trains under a configuration and returns the reciprocal rank of every molecule that it asks, always
            the same ones in the same order; the preferred encoder is taken without trial when absent.
        report: receives the figures.

    Returns:
        the resolved configuration, and what each candidate found.
    """
    if config.molecule_encoder != AUTO:
        return config, []
    recipes = recipes_for(modality)
    if modality == "images" and config.image.bag_tiles > 1:  # neither ridge member nor projection reads bags
        without = {"ridge": 0.0, "shared_dim": 64, "plate_projection": False}
        recipes = {name: {**recipe, **without} for name, recipe in recipes.items()}
    configs = {name: with_recipe(config, name, recipe) for name, recipe in recipes.items()}
    preferred = next(iter(configs))
    if trial is None or len(configs) == 1:
        report(f"molecule encoder: {preferred} (without trial)")
        return configs[preferred], []
    found = {}
    for name, candidate in configs.items():
        report(f"trying molecule encoder {name}")
        found[name] = np.asarray(trial(candidate), dtype=float)
    trials = [_compared(name, ranks, found[preferred]) for name, ranks in found.items()]
    better = [one for one in trials if -one.behind > one.error]
    chosen = max(better, key=lambda one: one.mrr).encoder if better else preferred
    for one in trials:
        gap = "" if one.encoder == preferred else f", {-one.behind:+.3f} ± {one.error:.3f} against {preferred}"
        report(f"trial of molecule encoder {one.encoder}: validation MRR {one.mrr:.3f}{gap}")
    why = "better by more than a standard error" if better else "none is better by more than a standard error"
    report(f"molecule encoder: {chosen} ({why}; {len(found[preferred])} molecules asked)")
    return configs[chosen], trials


def _compared(name: str, ranks: NDArray[np.float64], preferred: NDArray[np.float64]) -> Trial:
    difference = preferred - ranks
    error = float(difference.std(ddof=1) / np.sqrt(len(difference))) if len(difference) > 1 else np.inf
    return Trial(name, float(ranks.mean()), float(difference.mean()), error)
