"""What every method on two views shares: fit, transform, save and load on any two arrays and any two encoders."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dssl_bio.artefact import checksum, write_json, written_whole
from dssl_bio.config import Config, checked
from dssl_bio.errors import RunError
from dssl_bio.learning.augmentation import AUGMENTATIONS, Augmentation
from dssl_bio.learning.disentangled import LossParts
from dssl_bio.learning.encoders.encoder import mlp
from dssl_bio.learning.representation import SharedSpecific, unit_rows
from dssl_bio.learning.two_view_training import Minibatch, train_step

SCHEMA_VERSION = 1
RECORD, WEIGHTS = "two_views.json", "weights.safetensors"
CHECKED_ROWS = 1024

EncoderFactory = Callable[[int, int, int], nn.Module]
"""(modality, output dimensions, condition dimensions) -> a network called with inputs, and with a condition if any."""


class MethodOptions(Config):
    """Budget and networks, the same for every method; the defaults are those of the authors' synthetic study."""

    dim: int = Field(100, ge=2, description="dimensions of each code")
    hidden: int = Field(512, ge=1)
    layers: int = Field(2, ge=2, description="linear layers of an encoder")
    init: Literal["torch", "small_normal"] = "torch"
    epochs: int = Field(50, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    minibatch: int = Field(256, ge=2)
    augmentation: Literal["noise_or_drop", "unchanged"] = "noise_or_drop"
    chained_views: bool = Field(False, description="a second view augments the first one, as the authors do")
    temperature: float = Field(0.07, gt=0)
    seed: int = 0

    def epochs_of(self, step: int) -> int:
        """Epochs of a training step (from 1)."""
        return self.epochs


class ConditionedMLP(nn.Module):
    """Linear layers with ReLU between them on [inputs ; condition]."""

    def __init__(self, width: int, out_dim: int, condition_dim: int, options: MethodOptions):
        super().__init__()
        self.layers = mlp(width + condition_dim, *[options.hidden] * (options.layers - 1), out_dim)
        if options.init == "small_normal":
            for layer in self.layers:
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, std=0.01)

    def forward(self, inputs: Tensor, condition: Tensor | None = None) -> Tensor:
        """(N, out_dim)."""
        flat = inputs.flatten(1)
        return self.layers(flat if condition is None else torch.cat([flat, condition], dim=1))


class TwoViewMethod(nn.Module, ABC):
    """A method that learns from pairs of two views; subclasses say which networks and which loss.

    Args:
        options: of the class `Options` of the method; its defaults when absent.
        encoder: makes a modality's network; the authors' MLP on flattened arrays when absent.
        augment: in place of the augmentation the options name, where inputs are not feature vectors.
    """

    Options: ClassVar[type[MethodOptions]] = MethodOptions
    name: ClassVar[str]
    steps: ClassVar[int] = 1
    views: ClassVar[int] = 1

    def __init__(self, options: MethodOptions | None = None, encoder: EncoderFactory | None = None,
                 augment: Augmentation | None = None):
        super().__init__()
        self.options: Any = options or self.Options()
        self.augment = augment or AUGMENTATIONS[self.options.augmentation]
        self.encoder_factory = encoder
        self.shapes: list[list[int]] = []
        self.history: list[dict[str, Any]] = []

    # What a method is ------------------------------------------------------------------------------------------------

    @abstractmethod
    def build(self) -> None:
        """Makes the networks; `self.shapes` is known and the random state is seeded."""

    @abstractmethod
    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """Loss of a minibatch in a training step (from 1)."""

    @abstractmethod
    def codes(self, modality: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Shared (N, D) and specific (N, E) codes as the encoders give them; E is 0 for a method without."""

    def trained(self, step: int) -> list[nn.Parameter]:
        """Parameters that a training step changes."""
        return list(self.parameters())

    def n_views(self, step: int) -> int:
        """Augmented views of each modality that a training step needs."""
        return self.views

    def network(self, modality: int, out_dim: int | None = None, condition_dim: int = 0) -> nn.Module:
        """A new encoder of a modality."""
        out_dim = out_dim or self.options.dim
        if self.encoder_factory is not None:
            return self.encoder_factory(modality, out_dim, condition_dim)
        return ConditionedMLP(self.width(modality), out_dim, condition_dim, self.options)

    def width(self, modality: int) -> int:
        """Numbers in one input of a modality."""
        return int(np.prod(self.shapes[modality]))

    # What one does with it ---------------------------------------------------------------------------------------

    def fit(self, x1: ArrayLike, x2: ArrayLike, labels: ArrayLike | None = None, *, device: str = "cpu",
            progress: Callable[[int, int], None] | None = None) -> Self:
        """Trains on pairs: row i of x1 and row i of x2 belong together.

        Args:
            x1: (N, ...) numbers of the first modality.
            x2: (N, ...) numbers of the second.
            labels: (N,) classes from 0, for supervised methods only.
            device: where to compute.
            progress: told (epochs done, epochs in all).

        Raises:
            ValueError: rows do not match, fewer than a minibatch, a value that is not finite, a constant view.
        """
        self.prepare(x1, x2)
        for step in range(1, self.steps + 1):
            self.fit_step(step, x1, x2, labels, device=device, progress=progress)
        return self

    def prepare(self, x1: ArrayLike, x2: ArrayLike) -> None:
        """Checks two views and makes new, seeded networks for them."""
        first, second = _checked_view(x1, "x1"), _checked_view(x2, "x2")
        if len(first) != len(second):
            raise ValueError(f"row i of both views must be one pair: x1 has {len(first)} rows, x2 has {len(second)}")
        if len(first) < self.options.minibatch:
            raise ValueError(f"a minibatch holds {self.options.minibatch} pairs and the views only {len(first)}: "
                             "give more pairs or set a smaller minibatch")
        self.assemble([list(first.shape[1:]), list(second.shape[1:])])

    def assemble(self, shapes: list[list[int]]) -> None:
        """Makes new, seeded networks for inputs of two shapes."""
        self.shapes, self.history = shapes, []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.options.seed)
            self.build()

    def fit_step(self, step: int, x1: ArrayLike, x2: ArrayLike, labels: ArrayLike | None = None, *,
                 device: str = "cpu", progress: Callable[[int, int], None] | None = None) -> None:
        """One training step of a prepared method; the steps before it must be done."""
        tensors = [torch.as_tensor(_checked_view(x, name), device=device) for x, name in ((x1, "x1"), (x2, "x2"))]
        classes = None if labels is None else torch.as_tensor(np.asarray(labels), device=device).long()
        if classes is not None and len(classes) != len(tensors[0]):
            raise ValueError(f"expected one label a pair, got {len(classes)} for {len(tensors[0])} pairs")
        self.to(device)
        self.history += train_step(self, step, tensors[0], tensors[1], classes, progress)
        self.to("cpu")

    def transform(self, x1: ArrayLike, x2: ArrayLike) -> tuple[SharedSpecific, SharedSpecific]:
        """Representations of both views; rows match the inputs, which need not be pairs."""
        return self.embed(0, x1), self.embed(1, x2)

    def embed(self, modality: int, x: ArrayLike) -> SharedSpecific:
        """Representation of inputs of one modality (0 or 1): unit rows."""
        shared, specific = self.read(modality, x)
        return SharedSpecific(unit_rows(shared), unit_rows(specific))

    def read(self, modality: int, x: ArrayLike, rows: int = 4096) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Shared and specific codes as the encoders give them, not scaled: what the authors' probes read.

        Raises:
            ValueError: not fitted, another shape than the one fitted, or a value that is not finite.
        """
        if not self.shapes:
            raise ValueError(f"{type(self).__name__} is not fitted: call fit or load first")
        values = _checked_view(x, f"x{modality + 1}", varied=False)
        if list(values.shape[1:]) != self.shapes[modality]:
            raise ValueError(f"expected inputs of shape (N, {', '.join(map(str, self.shapes[modality]))}) for modality "
                             f"{modality}, got {values.shape}")
        self.eval()
        with torch.no_grad():
            parts = [self.codes(modality, part) for part in torch.as_tensor(values).split(rows)]
        return torch.cat([p[0] for p in parts]).numpy(), torch.cat([p[1] for p in parts]).numpy()

    def save(self, folder: Path | str) -> None:
        """Writes weights (safetensors) and options, shapes, history (JSON) as one folder, whole or not at all."""
        if not self.shapes:
            raise ValueError(f"{type(self).__name__} is not fitted: there is nothing to save")
        folder = Path(folder)
        if folder.exists() and not (folder / RECORD).is_file():
            raise RunError(f"{folder} exists and is not a saved two-view model; choose another place")
        with written_whole(folder) as temporary:
            temporary.mkdir()
            save_file({key: value.contiguous() for key, value in self.state_dict().items()}, temporary / WEIGHTS)
            write_json(temporary / RECORD, {
                "schema_version": SCHEMA_VERSION, "method": self.name,
                "options": self.options.model_dump(by_alias=True),
                "shapes": self.shapes, "own_encoder": self.encoder_factory is not None, "history": self.history,
                "files": {WEIGHTS: checksum(temporary / WEIGHTS)}})

    @classmethod
    def load(cls, folder: Path | str, encoder: EncoderFactory | None = None) -> Self:
        """A saved method; encoders of one's own are given again, since only their weights are stored.

        Raises:
            RunError: no such folder, of another method or version, damaged, or its encoders are missing.
        """
        folder = Path(folder)
        record = _read_record(folder, cls.name)
        if record["own_encoder"] and encoder is None:
            raise RunError(f"{folder} was trained with encoders of its own: pass the same `encoder` to load")
        method = cls(checked(record["options"], cls.Options, str(folder / RECORD), RunError), encoder)
        method.assemble(record["shapes"])
        try:
            method.load_state_dict(load_file(folder / WEIGHTS))
        except RuntimeError as cause:
            raise RunError(f"{folder}: the weights do not fit these encoders: {cause}") from cause
        method.history = record["history"]
        return method


def _read_record(folder: Path, name: str) -> dict[str, Any]:
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise RunError(f"expected a folder written by save(), but {path} cannot be read") from cause
    except ValueError as cause:
        raise RunError(f"{path} is damaged: {cause}") from cause
    if record.get("schema_version") != SCHEMA_VERSION:
        found = record.get("schema_version")
        raise RunError(f"{folder} has schema version {found}, this program reads {SCHEMA_VERSION}")
    if record["method"] != name:
        raise RunError(f"{folder} holds the method {record['method']!r}, expected {name!r}")
    if not (folder / WEIGHTS).is_file() or checksum(folder / WEIGHTS) != record["files"][WEIGHTS]:
        raise RunError(f"{folder}: {WEIGHTS} is missing or was changed after it was written")
    return record


def _checked_view(x: ArrayLike, name: str, varied: bool = True) -> NDArray[np.float32]:
    values = np.asarray(x, dtype=np.float32)
    if values.ndim < 2:
        raise ValueError(f"expected {name} as (rows, numbers of a row ...), got shape {values.shape}")
    bad, first_bad, constant = 0, -1, varied and len(values) > 1
    # In blocks: a mask of the whole view would cost a quarter of its memory.
    for start in range(0, len(values), CHECKED_ROWS):
        block = values[start : start + CHECKED_ROWS]
        finite = np.isfinite(block.reshape(len(block), -1)).all(1)
        if not finite.all():
            first_bad = start + int(np.argmin(finite)) if bad == 0 else first_bad
            bad += int((~finite).sum())
        constant = constant and bool((block == values[:1]).all())
    if bad:
        raise ValueError(f"{name} must be finite: {bad} rows hold NaN or infinity, the first is row {first_bad}")
    if constant:
        raise ValueError(f"{name} is constant: every row is the same, so there is nothing to learn from it")
    return values
