"""The training loop of methods on two views: a plain one, seeded, the same for every method."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dssl_bio.errors import RunError
from dssl_bio.learning.collapse import CollapseWarning, collapse
from dssl_bio.learning.information import diagnostics

if TYPE_CHECKING:
    from dssl_bio.learning.two_view_method import TwoViewMethod

MAX_DIAGNOSTIC_ROWS = 2000


@dataclass(frozen=True)
class Minibatch:
    """Pairs as a training step sees them.

    Attributes:
        views: of each modality, one or more augmented versions (B, ...); row i of all is the same pair.
        labels: (B,) classes, of supervised methods.
        generator: source of randomness.
    """

    views: tuple[list[Tensor], list[Tensor]]
    labels: Tensor | None
    generator: torch.Generator


def train_step(method: "TwoViewMethod", step: int, x1: Tensor, x2: Tensor, labels: Tensor | None,
               progress: Callable[[int, int], None] | None = None) -> list[dict[str, Any]]:
    """Trains one step and returns its history: a record an epoch (mean of each loss term), the last with diagnostics.

    Adam without weight decay; the rate falls along a cosine from epoch to epoch; the last, smaller minibatch is left
    out, as the authors do. The same seed gives the same losses bit for bit on a CPU.

    Warns:
        CollapseWarning: the shared representation has collapsed.

    Raises:
        RunError: the loss is no longer finite.
    """
    options = method.options
    generator = torch.Generator(x1.device).manual_seed(options.seed + 1000 * step)
    optimizer = torch.optim.Adam(method.trained(step), lr=options.learning_rate, fused=True)
    epochs, warned = options.epochs_of(step), False
    history: list[dict[str, Any]] = []
    method.train()
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * (1 + math.cos(math.pi * epoch / epochs)) / 2
        terms = _epoch(method, step, (x1, x2), labels, optimizer, generator)
        history.append({"step": step, "epoch": epoch, **terms})
        if step == 1 and "infonce" in terms and not warned:
            warned = _warn_if_collapsed(method, (x1, x2), terms["infonce"], epoch)
        if progress is not None:
            progress(epoch + 1, epochs)
    method.zero_grad()
    if history:
        method.eval()
        history[-1]["diagnostics"] = _diagnostics(method, x1, x2, specific=step == method.steps)
    return history


def _epoch(method: "TwoViewMethod", step: int, x: tuple[Tensor, Tensor], labels: Tensor | None,
           optimizer: torch.optim.Optimizer, generator: torch.Generator) -> dict[str, float]:
    size = method.options.minibatch
    order = torch.randperm(len(x[0]), generator=generator, device=x[0].device)
    sums: dict[str, Tensor] = {}
    n = len(order) // size
    for rows in order[: n * size].split(size):
        views = tuple(_views(method, step, modality[rows], generator) for modality in x)
        parts = method.loss(step, Minibatch(views, None if labels is None else labels[rows], generator))  # type: ignore[arg-type]
        optimizer.zero_grad()
        parts.total.backward()
        optimizer.step()
        for name, value in {**parts.terms, "total": parts.total}.items():
            sums[name] = sums.get(name, 0) + value.detach()
    means = {name: float(value) / n for name, value in sums.items()}
    if not math.isfinite(means["total"]):
        raise RunError(f"the loss of {method.name} became {means['total']} in step {step}; expected a finite number: "
                       "lower the learning rate, or scale the views")
    return means


def _views(method: "TwoViewMethod", step: int, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Augmented views of the raw rows; chained, as the authors do, the second is made from the first."""
    views = [method.augment(rows, generator)]
    for _ in range(method.n_views(step) - 1):
        views.append(method.augment(views[-1] if method.options.chained_views else rows, generator))
    return views


def _warn_if_collapsed(method: "TwoViewMethod", x: tuple[Tensor, Tensor], infonce: float, epoch: int) -> bool:
    # The first epoch starts from untrained networks, whose contrast is at chance too.
    if epoch == 0:
        return False
    method.eval()  # looking must not move the running statistics of an encoder, nor see its dropout
    with torch.no_grad():
        found = [collapse(infonce, method.codes(modality, rows[: method.options.minibatch])[0])
                 for modality, rows in enumerate(x)]
    method.train()
    worst = max(found, key=lambda signs: signs.resultant_length)
    if worst.happened:
        warnings.warn(f"{method.name}, epoch {epoch + 1}: {worst.message}", CollapseWarning, stacklevel=4)
    return worst.happened


def _diagnostics(method: "TwoViewMethod", x1: Tensor, x2: Tensor, specific: bool) -> dict[str, float]:
    """Of the first rows of the training views; without the specific codes while they are not trained yet."""
    first, second = (_codes(method, modality, x[:MAX_DIAGNOSTIC_ROWS], specific) for modality, x in enumerate((x1, x2)))
    return diagnostics(first, second, method.options.temperature)


@torch.no_grad()
def _codes(method: "TwoViewMethod", modality: int, x: Tensor, specific: bool) -> tuple[Tensor, Tensor]:
    """Codes by minibatches, each written into its place: all rows at once would need more than training does."""
    filled: list[Tensor] = []
    for start in range(0, len(x), method.options.minibatch):
        rows = slice(start, start + method.options.minibatch)
        found = method.codes(modality, x[rows])
        if not filled:
            filled = [code.new_empty(len(x), code.shape[1] if kept else 0)
                      for code, kept in zip(found, (True, specific), strict=True)]
        for whole, part in zip(filled, found, strict=True):
            whole[rows] = part[:, : whole.shape[1]]
    return filled[0], filled[1]
