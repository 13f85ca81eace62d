"""MultiBench's tasks as it publishes them: pickled dictionaries of padded sequences (Liang et al. 2021).

Vision and text of MOSI, MOSEI, UR-FUNNY and MUSTARD; static facts and measurements of MIMIC.
"""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dssl_bio.errors import ConfigError
from dssl_bio.studies.array_pickle import read_arrays

FILES = {"mimic": ("im.pk",), "mosei": ("mosei_senti_data.pkl", "mosei_raw.pkl"),
         "mosi": ("mosi_data.pkl", "mosi_raw.pkl"), "ur-funny": ("humor.pkl",), "mustard": ("sarcasm.pkl",)}
"""Names under which each task's file is published."""

MIMIC_FILE, MIMIC_GROUP, MIMIC_SPLIT_SEED = "im.pk", 7, 10
"""The label is whether a stay has a diagnosis of ICD-9 group 7; stays are shuffled with Python's state of this seed."""

Floats = NDArray[np.float32]
Part = tuple[Floats, Floats, NDArray[np.int64]]
"""First view, second view, class."""


def read_task(file: Path) -> tuple[Part, Part]:
    """Both views (N, steps, features), or (N, features) of what has no steps, and the class of train and test.

    The class is 1 where the label is above zero; for MOSI and MOSEI from zero. Scales are of the training part.

    Raises:
        ConfigError: not in MultiBench's layout.
    """
    data = read_arrays(file)
    if file.name == MIMIC_FILE:
        return _mimic(data, file)
    from_zero = file.name.startswith("mosi") or file.name.startswith("mosei")
    parts: list[Part] = []
    for name in ("train", "test"):
        part = data.get(name) if isinstance(data, dict) else None
        vision, text, labels = _arrays(part, ("vision", "text", "labels"), f"{file}, {name}")
        labels = labels.reshape(len(labels), -1)[:, 0]
        if vision.ndim != 3 or text.ndim != 3 or not len(vision) == len(text) == len(labels):
            raise ConfigError(f"{file}, {name}: expected (N, steps, features) and N labels, got vision {vision.shape}, "
                              f"text {text.shape}, {len(labels)} labels")
        parts.append((vision, text, (labels >= 0 if from_zero else labels > 0).astype(np.int64)))
    scales = [np.maximum(np.abs(parts[0][view]).max((0, 1)), 1e-6) for view in (0, 1)]
    return tuple((v / scales[0], t / scales[1], y) for v, t, y in parts)  # type: ignore[return-value]


def _mimic(data: Any, file: Path) -> tuple[Part, Part]:
    """Static facts (N, 5) and a day of measurements (N, 24, 12); four fifths train, the second tenth is the test.

    MultiBench standardises over all stays; here over the training ones.
    """
    static, series, groups = _arrays(data, ("adm_features_all", "ep_tdata", "y_icd9"), str(file))
    if static.ndim != 2 or series.ndim != 3 or groups.ndim != 2 or not len(static) == len(series) == len(groups):
        raise ConfigError(f"{file}: expected adm_features_all (N, features), ep_tdata (N, steps, features) and y_icd9 "
                          f"(N, groups), got {static.shape}, {series.shape}, {groups.shape}")
    if groups.shape[1] <= MIMIC_GROUP or len(static) < 10:
        raise ConfigError(f"{file}: expected at least 10 stays and {MIMIC_GROUP + 1} groups in y_icd9, got "
                          f"{groups.shape}")
    order = list(range(len(static)))
    Random(MIMIC_SPLIT_SEED).shuffle(order)
    tenth, fifth = len(order) // 10, len(order) // 5
    train, test = np.array(order[fifth:]), np.array(order[tenth:fifth])
    views = []
    for x in (static, series):
        axes = tuple(range(x.ndim - 1))
        spread = x[train].std(axes)
        views.append((x - x[train].mean(axes)) / np.where(spread > 0, spread, 1))
    classes = (groups[:, MIMIC_GROUP] > 0).astype(np.int64)
    return tuple((views[0][rows], views[1][rows], classes[rows]) for rows in (train, test))  # type: ignore[return-value]


def _arrays(part: Any, names: tuple[str, ...], where: str) -> list[Floats]:
    """Arrays of numbers by their names; NaN and infinity are read as 0, as MultiBench does."""
    if not isinstance(part, dict) or not all(isinstance(part.get(name), np.ndarray) for name in names):
        raise ConfigError(f"{where}: expected arrays {', '.join(names[:-1])} and {names[-1]}")
    try:
        return [np.nan_to_num(part[name].astype(np.float32), nan=0, posinf=0, neginf=0) for name in names]
    except (TypeError, ValueError) as cause:
        raise ConfigError(f"{where}: {cause}") from cause
