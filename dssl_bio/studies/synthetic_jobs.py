"""Jobs of the synthetic study: train one method with one setting, and probe what its codes know."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from dssl_bio.learning.collapse import CollapseWarning
from dssl_bio.learning.losses.dependence import authors_orthogonality
from dssl_bio.learning.methods import METHODS
from dssl_bio.learning.two_view_method import TwoViewMethod
from dssl_bio.learning.two_views import DisentangledSSL
from dssl_bio.studies.jobs import device
from dssl_bio.studies.synthetic_data import SyntheticPairs, synthetic_pairs

MODELS = "models"
MAX_ITERATIONS = 200
KERNEL_ROWS, KERNEL_TESTS = 2000, 4000

Floats = NDArray[np.floating]


def train_and_probe(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Trains a method in all its steps, or in step 1 only where settings name a model to keep.

    Settings: method, options, n, noise, keep (folder name of the model under the study, or None).
    """
    pairs = synthetic_pairs(settings["n"], settings["noise"])
    method = METHODS[settings["method"]]
    model = method(method.Options.model_validate(settings["options"]))
    x1, x2 = pairs.x1[pairs.train], pairs.x2[pairs.train]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        if settings.get("keep"):
            model.prepare(x1, x2)
            model.fit_step(1, x1, x2, device=device())
            model.save(folder / MODELS / settings["keep"])
        else:
            model.fit(x1, x2, labels=pairs.labels[pairs.train, 1], device=device())
    return {**readout(model, pairs, specific=not settings.get("keep")), "loss": _last(model)}


def specific_and_probe(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Another step 2 on a step-1 model that a job before kept.

    Settings: model, lambda, penalty, seed, n, noise; learning rate and epochs are the model's.
    """
    pairs = synthetic_pairs(settings["n"], settings["noise"])
    model = DisentangledSSL.load(folder / MODELS / settings["model"])
    model.renew_specific(settings["lambda"], settings["penalty"], settings["seed"])
    model.fit_step(2, pairs.x1[pairs.train], pairs.x2[pairs.train], device=device())
    return {**readout(model, pairs, shared=False), "loss": _last(model)}


def readout(model: TwoViewMethod, pairs: SyntheticPairs, shared: bool = True, specific: bool = True) -> dict[str, Any]:
    """Test accuracy of a logistic regression on the three labels, from the codes as the encoders give them.

    Shared codes of both views are joined, specific ones read apart, as the authors do.

    Returns:
        accuracy: of "shared", "specific_1", "specific_2", three numbers each; r2: see `latent_r2`, of the first
        specific code; orthogonality: see `authors_penalty`; cosine: mean over test pairs of the shared codes' cosine;
        resultant_length: of the first view's shared directions.
    """
    codes = [model.read(modality, x) for modality, x in enumerate((pairs.x1, pairs.x2))]
    wanted: dict[str, Floats] = {}
    if shared:
        wanted["shared"] = np.hstack([codes[0][0], codes[1][0]])
    if specific and codes[0][1].shape[1]:
        wanted |= {"specific_1": codes[0][1], "specific_2": codes[1][1]}
    result: dict[str, Any] = {"accuracy": {name: accuracies(code, pairs) for name, code in wanted.items()}}
    if "specific_1" in wanted:
        result["r2"] = latent_r2(wanted["specific_1"], pairs)
        result["orthogonality"] = authors_penalty(codes, pairs)
    if codes[0][0].shape == codes[1][0].shape:
        unit = [F.normalize(torch.as_tensor(code[0][pairs.test]), dim=1) for code in codes]
        result["cosine"] = float((unit[0] * unit[1]).sum(1).mean())
        result["resultant_length"] = float(unit[0].mean(0).norm())
    return result


def accuracies(code: Floats, pairs: SyntheticPairs) -> list[float]:
    """Test accuracy of linear probes of the three labels."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 200 iterations are the protocol, converged or not
        for label in pairs.labels.T:
            probe = LogisticRegression(max_iter=MAX_ITERATIONS).fit(code[pairs.train], label[pairs.train])
            found.append(float(probe.score(code[pairs.test], label[pairs.test])))
    return found


def latent_r2(code: Floats, pairs: SyntheticPairs) -> dict[str, list[float]]:
    """Share of the variance of the true latents that a code tells on test pairs.

    Returns:
        own (specific_1) and shared, each by ridge regression and by kernel ridge with a Gaussian kernel, which also
        sees what is not linear.
    """
    train, test, width = pairs.train[:KERNEL_ROWS], pairs.test[:KERNEL_TESTS], code.shape[1]
    readers = (Ridge(1.0), KernelRidge(alpha=0.01, kernel="rbf", gamma=0.1 / width))
    found: dict[str, list[float]] = {}
    for name, latent in (("own", pairs.specific_1), ("shared", pairs.shared)):
        found[name] = []
        for reader in readers:
            fitted = make_pipeline(StandardScaler(), reader).fit(code[train], latent[train])
            predicted = fitted.predict(code[test])
            found[name].append(float(r2_score(latent[test], predicted, multioutput="variance_weighted")))
    return found


def authors_penalty(codes: Sequence[tuple[Floats, Floats]], pairs: SyntheticPairs, minibatch: int = 256) -> float:
    """The authors' penalty without its weight, summed over both modalities, in the mean of training minibatches."""
    n = len(pairs.train) // minibatch
    values = []
    for rows in pairs.train[: n * minibatch].reshape(n, minibatch):
        parts = [[torch.as_tensor(code[rows]) for code in pair] for pair in codes]
        values.append(sum(float(authors_orthogonality(shared, specific)) for shared, specific in parts))
    return float(np.mean(values))


def linear_ceilings(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What linear probes read out of the views and of the true latents: no linear code of them can tell more.

    Settings: n, noise.
    """
    pairs = synthetic_pairs(settings["n"], settings["noise"])
    return {"balance": pairs.labels.mean(0).tolist(),
            "accuracy": {name: accuracies(getattr(pairs, name), pairs)
                         for name in ("x1", "x2", "specific_1", "shared", "specific_2")}}


def _last(model: TwoViewMethod) -> dict[str, Any]:
    """Mean loss terms of the last epoch, and the diagnostics."""
    return dict(model.history[-1]) if model.history else {}
