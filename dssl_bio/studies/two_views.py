"""Two real views: halves of handwritten digits, and images and texts of Wikipedia articles."""

import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dssl_bio.config import Config
from dssl_bio.errors import ConfigError
from dssl_bio.learning.collapse import CollapseWarning
from dssl_bio.learning.methods import METHODS
from dssl_bio.learning.representation import unit_rows
from dssl_bio.studies.jobs import Job, Report, run_jobs, silent
from dssl_bio.studies.result import Cell, Interval, StudyResult, Table

Floats = NDArray[np.floating]
Views = tuple[Floats, Floats, NDArray[np.int64]]

WIKIPEDIA = Path("wikipedia") / "features.npz"
SEMANTIC_MATCHING = (0.275, 0.242)
"""Published mAP, image to text and text to image, of class posteriors learned with labels."""


class TwoViewsConfig(Config):
    """Budget of every method on both data sets; codes are small since the data sets are."""

    dim: int = Field(16, ge=2)
    hidden: int = Field(128, ge=1)
    epochs: int = Field(40, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    minibatch: int = Field(128, ge=2)
    seeds: tuple[int, ...] = (0, 1, 2)
    methods: tuple[str, ...] = tuple(METHODS)
    wikipedia: Path | None = None


@lru_cache(maxsize=1)
def digits() -> tuple[Views, Views]:
    """Left and right halves (N, 32) of scikit-learn's digits in training and test parts (80:20), with the digit."""
    data = load_digits()
    images = data.images / 16.0
    left, right = images[:, :, :4].reshape(-1, 32), images[:, :, 4:].reshape(-1, 32)
    train, test = train_test_split(np.arange(len(left)), test_size=0.2, random_state=0, stratify=data.target)
    return tuple((left[rows], right[rows], data.target[rows]) for rows in (train, test))  # type: ignore[return-value]


@lru_cache(maxsize=1)
def wikipedia(file: Path) -> tuple[Views, Views]:
    """Image words (N, 128) and text topics (N, 10), published training and test parts, with the class from 0.

    Raises:
        ConfigError: no such file, or an array is missing.
    """
    try:
        with np.load(file, allow_pickle=False) as data:
            parts = [(data[f"I_{part}"], data[f"T_{part}"], data[f"y_{part}"].astype(int) - 1) for part in ("tr", "te")]
    except (OSError, KeyError, ValueError) as cause:
        raise ConfigError(f"{file}: expected arrays I_tr, I_te, T_tr, T_te, y_tr, y_te: {cause}") from cause
    return parts[0], parts[1]


def two_views_study(config: TwoViewsConfig, folder: Path, workers: int = 1, report: Report = silent) -> StudyResult:
    """Probes of every method's codes on both data sets, and cross-modal retrieval by class."""
    data = ["digits", *(["wikipedia"] if config.wikipedia else [])]
    settings = {key: value for key, value in config.model_dump(mode="json").items() if key not in ("seeds", "methods")}
    jobs = [Job(f"{name}_{method}_seed-{seed}", train_and_probe,
                {**settings, "data": name, "method": method, "seed": seed})
            for name in data for method in config.methods for seed in config.seeds]
    results = run_jobs(jobs, folder, workers, report)
    seconds = sum(result["seconds"] for result in results.values())
    found = StudyResult("two-views", config.model_dump(mode="json"), seconds=seconds)
    for name in data:
        found.tables += _tables(name, config, results)
    if not config.wikipedia:
        found.findings.append("Wikipedia was not run: set DSSL_BIO_DATA to a folder that holds wikipedia/features.npz.")
    return found


def wikipedia_file() -> Path | None:
    """The Wikipedia features below DSSL_BIO_DATA, if they are there."""
    root = os.environ.get("DSSL_BIO_DATA")
    file = Path(root) / WIKIPEDIA if root else None
    return file if file is not None and file.is_file() else None


def train_and_probe(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Trains one method on standardised views and reads its codes."""
    (x1, x2, y), (t1, t2, u) = digits() if settings["data"] == "digits" else wikipedia(Path(settings["wikipedia"]))
    scalers = [StandardScaler().fit(x) for x in (x1, x2)]
    train = [scaler.transform(x).astype(np.float32) for scaler, x in zip(scalers, (x1, x2), strict=True)]
    test = [scaler.transform(x).astype(np.float32) for scaler, x in zip(scalers, (t1, t2), strict=True)]
    method = METHODS[settings["method"]]
    options: dict[str, Any] = {key: settings[key] for key in
                               ("dim", "hidden", "epochs", "learning_rate", "minibatch", "seed")}
    if settings["method"].startswith("factorcl"):
        options["critic_hidden"] = 64
    if settings["method"] == "factorcl_sup":
        options["n_classes"] = 10
    model = method(method.Options.model_validate(options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model.fit(train[0], train[1], labels=y)
    codes = [[model.read(m, x[m]) for m in (0, 1)] for x in (train, test)]
    parts = {"shared": [np.hstack([c[0][0], c[1][0]]) for c in codes]}
    if codes[0][0][1].shape[1]:
        parts["specific"] = [np.hstack([c[0][1], c[1][1]]) for c in codes]
        parts["both"] = [np.hstack(pair) for pair in zip(parts["shared"], parts["specific"], strict=True)]
    accuracy = {name: probe(part[0], y).score(part[1], u) for name, part in parts.items()}
    raw = probe(np.hstack(train), y).score(np.hstack(test), u)
    of_raw = [probe(train[m], y).predict_proba(test[m]) for m in (0, 1)]
    posteriors = [probe(codes[0][m][0], y).predict_proba(codes[1][m][0]) for m in (0, 1)]
    cosine = [unit_rows(codes[1][m][0]) for m in (0, 1)]
    return {"accuracy": {name: float(value) for name, value in accuracy.items()}, "raw": float(raw),
            "map_cosine": cross_modal_map(cosine[0], cosine[1], u),
            "map_semantic": cross_modal_map(posteriors[0], posteriors[1], u),
            "map_semantic_raw": cross_modal_map(of_raw[0], of_raw[1], u),
            "map_chance": float(np.mean([np.mean(u == label) for label in u]))}


def probe(code: Floats, y: NDArray[np.int64]) -> Any:
    """A linear probe of standardised codes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(code, y)


def cross_modal_map(first: Floats, second: Floats, classes: NDArray[np.int64]) -> list[float]:
    """Mean average precision of finding the same class in the other modality by cosine, first to second and back."""
    scores = unit_rows(first).astype(np.float64) @ unit_rows(second).astype(np.float64).T
    same = classes[:, None] == classes[None, :]
    return [mean_average_precision(scores, same), mean_average_precision(scores.T, same.T)]


def mean_average_precision(scores: Floats, right: NDArray[np.bool_]) -> float:
    """Mean over queries (Q, G) of the precision at each right answer; of equal scores the wrong ones come first."""
    order = np.lexsort((right, -scores), axis=1)
    hits = np.take_along_axis(right, order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return float(((precision * hits).sum(1) / hits.sum(1)).mean())


def _tables(name: str, config: TwoViewsConfig, results: dict[str, dict[str, Any]]) -> list[Table]:
    probes: list[list[Cell]] = []
    retrieval: list[list[Cell]] = []
    runs: list[dict[str, Any]] = []
    for method in config.methods:
        runs = [results[f"{name}_{method}_seed-{seed}"] for seed in config.seeds]
        probes.append([method, *(str(Interval.of([run["accuracy"][part] for run in runs]))
                                 if part in runs[0]["accuracy"] else None for part in ("shared", "specific", "both"))])
        retrieval.append([method, *(str(Interval.of([run[kind][way] for run in runs]))
                                    for kind in ("map_cosine", "map_semantic") for way in (0, 1))])
    raw, chance = runs[0]["raw"], runs[0]["map_chance"]
    found = [Table(f"{name}: accuracy of linear probes", ("method", "shared", "specific", "both"), probes,
                   f"Codes of both views joined; raw features of both views: {raw:.3f}. Supervised FactorCL saw the "
                   "labels. Mean over seeds and 95% interval (Student).")]
    known = (f" Published semantic matching {SEMANTIC_MATCHING[0]} and {SEMANTIC_MATCHING[1]}."
             if name == "wikipedia" else "")
    matching = runs[0]["map_semantic_raw"]
    found.append(Table(f"{name}: cross-modal mAP by class",
                       ("method", "cosine 1 to 2", "2 to 1", "class posteriors 1 to 2", "2 to 1"), retrieval,
                       f"Chance {chance:.3f}; semantic matching on raw features here {matching[0]:.3f} and "
                       f"{matching[1]:.3f}.{known}"))
    return found
