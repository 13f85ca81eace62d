"""Two real views: halves of handwritten digits, and images and texts of Wikipedia articles."""

import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

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
from dssl_bio.learning.augmentation import Augmentation
from dssl_bio.learning.collapse import CollapseWarning
from dssl_bio.learning.methods import METHODS
from dssl_bio.learning.representation import unit_rows
from dssl_bio.learning.two_view_method import EncoderFactory, TwoViewMethod
from dssl_bio.studies.jobs import Job, Report, device, run_jobs, silent
from dssl_bio.studies.result import Cell, Interval, StudyResult, Table, bars

Floats = NDArray[np.floating]
Views = tuple[Floats, Floats, NDArray[np.int64]]

PARTS = ("shared", "specific", "both")
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
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0, 1, 2), min_length=1)
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
        _report(found, name, config, results)
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
    options: dict[str, Any] = {key: settings[key] for key in
                               ("dim", "hidden", "epochs", "learning_rate", "minibatch", "seed")}
    model = trained(settings["method"], options, train, y, n_classes=10)
    codes = [[model.read(m, x[m]) for m in (0, 1)] for x in (train, test)]
    raw = probe(np.hstack(train), y).score(np.hstack(test), u)
    found = {"accuracy": probed(codes, (y, u)), "raw": float(raw),
             "map_cosine": cross_modal_map(codes[1][0][0], codes[1][1][0], u),
             "frequent": float(np.mean(u == np.bincount(y).argmax())),
             "map_chance": float(np.mean([np.mean(u == label) for label in u]))}
    both = [[np.hstack(code) for code in part] for part in codes]
    for name, (fitted, tested) in {"semantic": ([c[0] for c in codes[0]], [c[0] for c in codes[1]]),
                                   "semantic_both": both, "semantic_raw": (train, test)}.items():
        posteriors = [probe(a, y).predict_proba(b) for a, b in zip(fitted, tested, strict=True)]
        found[f"map_{name}"] = cross_modal_map(posteriors[0], posteriors[1], u)
    return found


def trained(name: str, options: dict[str, Any], views: Sequence[Floats], labels: NDArray[np.int64], n_classes: int = 2,
            encoder: EncoderFactory | None = None, augment: Augmentation | None = None) -> TwoViewMethod:
    """A method of METHODS by its name, trained on the device of the job; small critics, where it has any."""
    critics = {"critic_hidden": 64} if name.startswith("factorcl") else {}
    classes = {"n_classes": n_classes} if name == "factorcl_sup" else {}
    method = METHODS[name]
    model = method(method.Options.model_validate({**options, **critics, **classes}), encoder, augment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        return model.fit(views[0], views[1], labels=labels, device=device())


def probed(codes: Sequence[Sequence[tuple[Floats, Floats]]], labels: tuple[NDArray[np.int64], NDArray[np.int64]]
           ) -> dict[str, float]:
    """Test accuracy of linear probes of the shared codes of both views, of the specific ones, and of both.

    Args:
        codes: of training and of test rows: for each view (shared, specific).
        labels: classes of training and of test rows.
    """
    parts = {"shared": [np.hstack([view[0] for view in part]) for part in codes]}
    if codes[0][0][1].shape[1]:
        parts["specific"] = [np.hstack([view[1] for view in part]) for part in codes]
        parts["both"] = [np.hstack(pair) for pair in zip(parts["shared"], parts["specific"], strict=True)]
    return {name: float(probe(train, labels[0]).score(test, labels[1])) for name, (train, test) in parts.items()}


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


def _report(found: StudyResult, name: str, config: TwoViewsConfig, results: dict[str, dict[str, Any]]) -> None:
    probes: list[list[Cell]] = []
    retrieval: list[list[Cell]] = []
    drawn: dict[str, dict[str, Interval]] = {}
    runs: list[dict[str, Any]] = []
    known = SEMANTIC_MATCHING if name == "wikipedia" else (None, None)
    for method in config.methods:
        runs = [results[f"{name}_{method}_seed-{seed}"] for seed in config.seeds]
        drawn[method] = {part: Interval.of([run["accuracy"][part] for run in runs]) for part in PARTS
                         if part in runs[0]["accuracy"]}
        probes.append([method, *(str(drawn[method][part]) if part in drawn[method] else None for part in PARTS)])
        kinds = {kind: [Interval.of([run[f"map_{kind}"][way] for run in runs]) for way in (0, 1)]
                 for kind in ("cosine", "semantic", "semantic_both")}
        retrieval.append([method, *(str(value) for values in kinds.values() for value in values),
                          *(None if to is None else value.mean - to
                            for value, to in zip(kinds["semantic"], known, strict=True))])
    raw, chance, matching = runs[0]["raw"], runs[0]["map_chance"], runs[0]["map_semantic_raw"]
    probes += [["raw features of both views", None, None, raw], ["most frequent class", *(runs[0]["frequent"],) * 3]]
    found.tables.append(Table(
        f"{name}: accuracy of linear probes", ("method", *PARTS), probes,
        "Codes of both views joined. Supervised FactorCL saw the labels. Mean over seeds and 95% interval (Student)."))
    away = [None if to is None else value - to for value, to in zip(matching, known, strict=True)]
    retrieval += [["raw features", None, None, *matching, None, None, *away],
                  ["chance", *(chance,) * 6, *(None if to is None else chance - to for to in known)]]
    if name == "wikipedia":
        retrieval.append(["semantic matching, reference", None, None, *known, None, None, 0.0, 0.0])
    found.tables.append(Table(
        f"{name}: cross-modal mAP by class",
        ("method", "cosine 1 to 2", "2 to 1", "class posteriors of shared 1 to 2", "2 to 1", "of both 1 to 2", "2 to 1",
         "shared less reference 1 to 2", "2 to 1"), retrieval,
        ("View 1 is the image, view 2 the text. " if name == "wikipedia" else "View 1 is the left half. ")
        + "Cosine: nothing is told about classes. Class posteriors: a linear probe of each view's codes, trained with "
          "the labels of the training part, as semantic matching does on raw features."))
    found.plots.append(bars(f"{name}: accuracy of linear probes", drawn, "accuracy",
                            "95% intervals over seeds."))
    best = max(drawn, key=lambda method: max(value.mean for value in drawn[method].values()))
    ours = drawn.get("disentangled")
    if ours is not None:
        found.findings.append(
            f"{name}: DisentangledSSL shared {ours['shared']}, specific {ours['specific']}, both {ours['both']}; the "
            f"highest mean of any code is of {best} ({max(value.mean for value in drawn[best].values()):.3f}); raw "
            f"features {raw:.3f}.")
