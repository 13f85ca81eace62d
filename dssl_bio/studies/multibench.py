"""MultiBench's vision-language tasks from its published files: sequence encoders, every method, linear probes."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from dssl_bio.config import Config
from dssl_bio.errors import ConfigError
from dssl_bio.learning.collapse import CollapseWarning
from dssl_bio.learning.methods import METHODS
from dssl_bio.studies.array_pickle import read_arrays
from dssl_bio.studies.jobs import Job, Report, run_jobs, silent
from dssl_bio.studies.result import Cell, Interval, StudyResult, Table
from dssl_bio.studies.two_views import probe

FILES = {"mosi": ("mosi_raw.pkl", "mosi_data.pkl"), "mosei": ("mosei_raw.pkl", "mosei_senti_data.pkl"),
         "ur-funny": ("humor.pkl",), "mustard": ("sarcasm.pkl",)}
PUBLISHED = {"FactorCL-SSL": {"mosei": 0.7488, "mosi": 0.5291, "ur-funny": 0.6050, "mustard": 0.5580},
             "SimCLR": {"mosei": 0.7103, "mosi": 0.4621, "ur-funny": 0.5009, "mustard": 0.5348}}
"""Accuracy in Liang et al. 2023 (FactorCL), table 2."""

Part = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


class MultibenchConfig(Config):
    """Budget of every method."""

    dim: int = Field(40, ge=2)
    hidden: int = Field(64, ge=4)
    epochs: int = Field(30, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    minibatch: int = Field(160, ge=2)
    seeds: tuple[int, ...] = (0, 1, 2)
    methods: tuple[str, ...] = tuple(name for name in METHODS if name not in ("dmvae", "random_projection"))


class SequenceEncoder(nn.Module):
    """One vector a padded sequence: a transformer layer on projected steps, mean over steps that are not all zero."""

    def __init__(self, width: int, hidden: int, out_dim: int, condition_dim: int):
        super().__init__()
        self.project = nn.Linear(width, hidden)
        self.layer = nn.TransformerEncoderLayer(hidden, 4, 2 * hidden, dropout=0.0, batch_first=True)
        self.out = nn.Linear(hidden + condition_dim, out_dim)

    def forward(self, inputs: Tensor, condition: Tensor | None = None) -> Tensor:
        """(N, T, width) -> (N, out_dim)."""
        padded = (inputs == 0).all(2)
        padded = padded & ~padded.all(1, keepdim=True)  # a sequence of nothing but zeros attends to all of them
        steps = self.layer(self.project(inputs), src_key_padding_mask=padded)
        kept = (~padded).float()[:, :, None]
        pooled = (steps * kept).sum(1) / kept.sum(1)
        return self.out(pooled if condition is None else torch.cat([pooled, condition], dim=1))


def sequence_view(x: Tensor, generator: torch.Generator) -> Tensor:
    """Of each sequence one of three: noise 0.1 on its steps, a fifth of its steps set to zero, or itself."""
    n, length, _ = x.shape
    choice = torch.randint(3, (n, 1, 1), generator=generator, device=x.device)
    real = ~(x == 0).all(2, keepdim=True)
    noise = 0.1 * torch.randn(x.shape, generator=generator, device=x.device)
    dropped = torch.rand(n, length, 1, generator=generator, device=x.device) < 0.2
    return torch.where(choice == 0, x + noise * real, torch.where((choice == 1) & dropped, torch.zeros_like(x), x))


def read_task(file: Path) -> tuple[Part, Part]:
    """Vision, text and class (1 where the label is above zero; for MOSI and MOSEI from zero) of train and test.

    Raises:
        ConfigError: not in MultiBench's layout.
    """
    data = read_arrays(file)
    from_zero = file.name.startswith("mosi") or file.name.startswith("mosei")
    parts: list[Part] = []
    for name in ("train", "test"):
        part = data.get(name) if isinstance(data, dict) else None
        if not isinstance(part, dict) or not all(isinstance(part.get(k), np.ndarray) for k in ("vision", "text",
                                                                                               "labels")):
            raise ConfigError(f"{file}: expected arrays vision, text and labels below {name!r}")
        try:
            vision, text = (np.nan_to_num(part[k].astype(np.float32), posinf=0, neginf=0) for k in ("vision", "text"))
            labels = part["labels"].astype(float).reshape(len(part["labels"]), -1)[:, 0]
        except (TypeError, ValueError) as cause:
            raise ConfigError(f"{file}, {name}: {cause}") from cause
        if vision.ndim != 3 or text.ndim != 3 or not len(vision) == len(text) == len(labels):
            raise ConfigError(f"{file}, {name}: expected (N, steps, features) and N labels, got vision {vision.shape}, "
                              f"text {text.shape}, {len(labels)} labels")
        parts.append((vision, text, (labels >= 0 if from_zero else labels > 0).astype(np.int64)))
    scales = [np.maximum(np.abs(parts[0][m]).max((0, 1)), 1e-6) for m in (0, 1)]
    return tuple((v / scales[0], t / scales[1], y) for v, t, y in parts)  # type: ignore[return-value]


def multibench_study(config: MultibenchConfig, data: Path, folder: Path, workers: int = 1,
                     report: Report = silent) -> StudyResult:
    """Every method on every task whose file lies in the data folder.

    Raises:
        ConfigError: no file of MultiBench's is there.
    """
    tasks = {task: data / name for task, names in FILES.items() for name in names if (data / name).is_file()}
    if not tasks:
        raise ConfigError(f"{data} holds none of {', '.join(name for names in FILES.values() for name in names)}")
    budget = {key: value for key, value in config.model_dump().items() if key not in ("seeds", "methods")}
    jobs = [Job(f"{task}_{method}_seed-{seed}", train_and_probe,
                {**budget, "file": str(file), "bytes": file.stat().st_size, "method": method, "seed": seed})
            for task, file in tasks.items() for method in config.methods for seed in config.seeds]
    results = run_jobs(jobs, folder, workers, report)
    found = StudyResult("multibench", {**config.model_dump(), "data": str(data)},
                        seconds=sum(r["seconds"] for r in results.values()))
    for task in tasks:
        rows: list[list[Cell]] = []
        for method in config.methods:
            runs = [results[f"{task}_{method}_seed-{seed}"]["accuracy"] for seed in config.seeds]
            rows.append([method, *(str(Interval.of([run[part] for run in runs])) if part in runs[0] else None
                                   for part in ("shared", "specific", "both"))])
        rows += [[f"{name}, published", None, None, values[task]] for name, values in PUBLISHED.items()]
        found.tables.append(Table(f"{task}: accuracy of linear probes", ("method", "shared", "specific", "both"), rows))
    missing = [task for task in FILES if task not in tasks]
    if missing:
        found.findings.append(f"Not run, no file: {', '.join(missing)}.")
    return found


def train_and_probe(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Trains one method on one task and probes its codes."""
    train, test = read_task(Path(settings["file"]))
    kept = ("dim", "hidden", "epochs", "learning_rate", "minibatch", "seed")
    options: dict[str, Any] = {key: settings[key] for key in kept}
    if settings["method"].startswith("factorcl"):
        options["critic_hidden"] = 64
    method = METHODS[settings["method"]]

    def encoder(modality: int, out_dim: int, condition_dim: int) -> nn.Module:
        return SequenceEncoder(train[modality].shape[2], settings["hidden"], out_dim, condition_dim)

    model = method(method.Options.model_validate(options), encoder, sequence_view)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model.fit(train[0], train[1], labels=train[2])
    codes = [[model.read(m, part[m]) for m in (0, 1)] for part in (train, test)]
    parts = {"shared": [np.hstack([c[0][0], c[1][0]]) for c in codes]}
    if codes[0][0][1].shape[1]:
        parts["specific"] = [np.hstack([c[0][1], c[1][1]]) for c in codes]
        parts["both"] = [np.hstack(pair) for pair in zip(parts["shared"], parts["specific"], strict=True)]
    return {"accuracy": {name: float(probe(a, train[2]).score(b, test[2])) for name, (a, b) in parts.items()}}
