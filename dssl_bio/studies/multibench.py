"""MultiBench's tasks from its published files: sequence encoders, every method, linear probes."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from dssl_bio.config import Config
from dssl_bio.errors import ConfigError
from dssl_bio.learning.augmentation import noise_or_drop
from dssl_bio.learning.encoders.encoder import mlp
from dssl_bio.learning.methods import METHODS
from dssl_bio.studies.jobs import Job, Report, run_jobs, silent
from dssl_bio.studies.multibench_data import FILES, Part, read_task
from dssl_bio.studies.result import Cell, Interval, StudyResult, Table, bars
from dssl_bio.studies.two_views import PARTS, probed, trained

TASKS = ("mimic", "mosei", "mosi", "ur-funny", "mustard")
PUBLISHED = {
    "SimCLR": (0.6667, 0.7103, 0.4621, 0.5009, 0.5348), "Cross+Self": (0.6520, 0.7104, 0.4692, 0.5652, 0.5391),
    "Cross+Self+Fact": (0.6549, 0.7107, 0.5237, 0.5991, 0.5391),
    "FactorCL-SSL": (0.6734, 0.7488, 0.5291, 0.6050, 0.5580), "SupCon": (0.6737, 0.7271, 0.4723, 0.5098, 0.5275),
    "FactorCL-SUP": (0.7679, 0.7734, 0.7069, 0.6352, 0.6986), "CoMM": (0.664, None, 0.675, 0.631, 0.639)}
"""Accuracy by task: Liang et al. 2023 (FactorCL), table 2; the CoMM row from its authors' repository."""

COUNTERPART = {"clip": "SimCLR", "factorcl": "FactorCL-SSL", "factorcl_sup": "FactorCL-SUP"}
"""Published row that a method of ours is to be held against."""


class MultibenchConfig(Config):
    """Budget of every method."""

    dim: int = Field(40, ge=2)
    hidden: int = Field(64, ge=4, multiple_of=4)
    epochs: int = Field(30, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    minibatch: int = Field(160, ge=2)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0, 1, 2), min_length=1)
    methods: tuple[str, ...] = tuple(METHODS)


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


class StaticEncoder(nn.Module):
    """One vector from facts without time: one hidden layer."""

    def __init__(self, width: int, hidden: int, out_dim: int, condition_dim: int):
        super().__init__()
        self.layers = mlp(width + condition_dim, hidden, out_dim)

    def forward(self, inputs: Tensor, condition: Tensor | None = None) -> Tensor:
        """(N, width) -> (N, out_dim)."""
        return self.layers(inputs if condition is None else torch.cat([inputs, condition], dim=1))


def task_view(x: Tensor, generator: torch.Generator) -> Tensor:
    """Of each sequence one of three: noise 0.1 on its steps, a fifth of its steps set to zero, or itself.

    Facts without time: noise 0.1, a tenth of them (one at least) set to zero, or as they are.
    """
    if x.ndim == 2:
        return noise_or_drop(x, generator, noise=0.1)
    n, length, _ = x.shape
    choice = torch.randint(3, (n, 1, 1), generator=generator, device=x.device)
    real = ~(x == 0).all(2, keepdim=True)
    noise = 0.1 * torch.randn(x.shape, generator=generator, device=x.device)
    dropped = torch.rand(n, length, 1, generator=generator, device=x.device) < 0.2
    return torch.where(choice == 0, x + noise * real, torch.where((choice == 1) & dropped, torch.zeros_like(x), x))


def multibench_study(config: MultibenchConfig, data: Path, folder: Path, workers: int = 1,
                     report: Report = silent) -> StudyResult:
    """Every method on every task whose file lies in the data folder.

    Raises:
        ConfigError: no file of MultiBench's is there.
    """
    tasks = {task: data / name for task in TASKS for name in FILES[task][::-1] if (data / name).is_file()}
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
        _report(found, task, config, results)
    missing = [task for task in TASKS if task not in tasks]
    found.findings.append(f"Run on: {', '.join(file.name for file in tasks.values())}.")
    if missing:
        found.findings.append(f"Not run, no file: {', '.join(missing)}.")
    return found


@lru_cache(maxsize=1)
def _task(file: Path, size: int) -> tuple[Part, Part]:
    """The task of the job before, if this is another on the same file."""
    return read_task(file)


def train_and_probe(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Trains one method on one task and probes its codes."""
    train, test = _task(Path(settings["file"]), settings["bytes"])
    options = {key: settings[key] for key in ("dim", "hidden", "epochs", "learning_rate", "minibatch", "seed")}

    def encoder(modality: int, out_dim: int, condition_dim: int) -> nn.Module:
        kind = SequenceEncoder if train[modality].ndim == 3 else StaticEncoder
        return kind(train[modality].shape[-1], settings["hidden"], out_dim, condition_dim)

    model = trained(settings["method"], options, train[:2], train[2], encoder=encoder, augment=task_view)
    codes = [[model.read(m, part[m]) for m in (0, 1)] for part in (train, test)]
    return {"accuracy": probed(codes, (train[2], test[2])),
            "frequent": float(np.mean(test[2] == np.bincount(train[2]).argmax())),
            "rows": [len(train[2]), len(test[2])]}


def _report(found: StudyResult, task: str, config: MultibenchConfig, results: dict[str, dict[str, Any]]) -> None:
    rows: list[list[Cell]] = []
    drawn: dict[str, dict[str, Interval]] = {}
    place, one = TASKS.index(task), results[f"{task}_{config.methods[0]}_seed-{config.seeds[0]}"]
    for method in config.methods:
        runs = [results[f"{task}_{method}_seed-{seed}"]["accuracy"] for seed in config.seeds]
        drawn[method] = {part: Interval.of([run[part] for run in runs]) for part in PARTS if part in runs[0]}
        whole = drawn[method].get("both", drawn[method]["shared"]).mean
        published = PUBLISHED[COUNTERPART[method]][place] if method in COUNTERPART else None
        rows.append([method, *(str(drawn[method][part]) if part in drawn[method] else None for part in PARTS),
                     published, None if published is None else whole - published])
    rows.append(["most frequent class", *(one["frequent"],) * 3, None, None])
    rows += [[f"{name}, published", None, None, None, values[place], None] for name, values in PUBLISHED.items()]
    found.tables.append(Table(
        f"{task}: accuracy of linear probes", ("method", *PARTS, "published", "difference"), rows,
        f"{one['rows'][0]} training and {one['rows'][1]} test rows. Published: FactorCL, table 2, and CoMM; SimCLR "
        "stands beside clip, FactorCL beside both of ours. DisentangledSSL's own figures on these tasks are not "
        "available as numbers."))
    found.plots.append(bars(f"{task}: accuracy of linear probes", drawn, "accuracy", "95% intervals over seeds."))
