"""Weights of small Cellpose networks trained here: tensors in safetensors, facts and checksum in a JSON beside."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dssl_bio.artefact import checksum, write_json, written_whole
from dssl_bio.errors import ConfigError

Target = Literal["nuclei", "cells"]

SCHEMA_VERSION = 1
SUFFIX = ".json"


@dataclass(frozen=True)
class SmallCellpose:
    """A Cellpose network trained from scratch.

    Attributes:
        target: what it finds.
        widths: feature maps of the levels; the last one is 256, which Cellpose's evaluation expects.
        diameter_um: median diameter of the objects it was trained on.
        pixel_size_um: of the pictures it was trained on.
        made_from: facts of the training: objects, fields, steps, loss, processor time.
        tensors: of the network, by name.
    """

    target: Target
    widths: tuple[int, ...]
    diameter_um: float
    pixel_size_um: float
    made_from: dict[str, Any]
    tensors: dict[str, Tensor]


def save_weights(path: Path, network: SmallCellpose) -> None:
    """Writes tensors and, beside them, `<name>.json` with the facts and the SHA-256 of the tensors' file.

    The JSON comes last: without it the tensors are refused, so that a write that was cut off is never used.
    """
    with written_whole(path) as temporary:
        save_file({name: value.contiguous() for name, value in network.tensors.items()}, temporary)
    facts = {name: value for name, value in asdict(network).items() if name != "tensors"}
    write_json(path.with_name(path.name + SUFFIX), {"schema_version": SCHEMA_VERSION, "kind": "small_cellpose",
                                                    "sha256": checksum(path), **facts})


def is_ours(path: Path) -> bool:
    """Whether a file of weights has the JSON of a training of ours beside it."""
    return path.with_name(path.name + SUFFIX).is_file()


def load_weights(path: Path) -> SmallCellpose:
    """Weights that `save_weights` wrote, after their checksum was compared.

    Raises:
        ConfigError: a file is missing, damaged, or is not the one whose checksum was written.
    """
    beside = path.with_name(path.name + SUFFIX)
    if not path.is_file():
        raise ConfigError(f"no such file of weights: {path}")
    if not beside.is_file():
        raise ConfigError(f"{path} has no {beside.name} beside it and so no checksum to hold it against; train it with "
                          "`dssl-bio segment SCREEN --train WEIGHTS`, or give --weights-sha256 for Cellpose's own")
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
        if facts["kind"] != "small_cellpose" or facts["schema_version"] != SCHEMA_VERSION:
            raise ConfigError(f"{beside}: expected schema version {SCHEMA_VERSION} of a small Cellpose; train it again")
        if checksum(path) != facts["sha256"]:
            raise ConfigError(f"{path} was changed or damaged after it was trained (checksum differs)")
        return SmallCellpose(facts["target"], tuple(map(int, facts["widths"])), float(facts["diameter_um"]),
                             float(facts["pixel_size_um"]), dict(facts["made_from"]), load_file(path))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as cause:
        raise ConfigError(f"{beside} or {path.name} is damaged: {cause}") from cause


def state_of(module: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of a module's tensors on the processor."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
