"""The only door to Cellpose (Stringer et al. 2021, Nature Methods 18, 100-106): finding objects, and training anew.

Versions 3 and 4 are taken. A small network of version 3 can be trained from scratch on any pictures with masks, without
a download; version 4 (Cellpose-SAM) cannot. Cellpose keeps its own weights in pickled files; they are opened only when
their SHA-256 is the one that was given, and only as tensors.
"""

import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from dssl_bio.artefact import checksum
from dssl_bio.config import Config
from dssl_bio.errors import ConfigError
from dssl_bio.imaging.cellpose_weights import SmallCellpose, Target, is_ours, load_weights, state_of
from dssl_bio.imaging.labels import Labels, numbered

Picture = NDArray[np.float32]

log = logging.getLogger(__name__)

NETWORK_DIAMETER_PX = 30.0
"""Objects are brought to this size for the network, as Cellpose's own models do."""
STYLE = 256
SMALLEST_UM2 = 10.0
"""Smaller objects are dropped; Cellpose's own 15 pixels would drop micronuclei where pixels are large."""
FLOW_SCALE = 5.0


class CellposeTraining(Config):
    """How a small Cellpose is trained.

    Attributes:
        widths: feature maps of the levels above the last, which has 256.
        steps: minibatches.
        minibatch: crops in one.
        crop_px: side of a crop.
        learning_rate: after the warm-up; falls to zero as a cosine.
        weight_decay: of AdamW.
        scale_range: crops are shrunk or enlarged by up to half of this share.
        gain: crops are made brighter or darker by up to this factor.
        max_cpu_minutes: training ends by then at the latest; the learning rate falls accordingly.
        seed: of everything random.
    """

    widths: Annotated[tuple[int, ...], Field(min_length=2)] = (8, 16, 32, 64)
    steps: Annotated[int, Field(ge=1)] = 1300
    minibatch: Annotated[int, Field(ge=1)] = 8
    crop_px: Annotated[int, Field(ge=32, multiple_of=16)] = 160
    learning_rate: Annotated[float, Field(gt=0)] = 0.005
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    scale_range: Annotated[float, Field(ge=0, le=1)] = 0.4
    gain: Annotated[float, Field(ge=1)] = 1.6
    max_cpu_minutes: Annotated[float, Field(gt=0)] = 38.0
    seed: Annotated[int, Field(ge=0)] = 0


def _still(done: int, total: int) -> None: ...


def cellpose_version() -> int:
    """The main version of the Cellpose that is installed.

    Raises:
        ConfigError: none is, or one that is not known here.
    """
    try:
        main = int(version("cellpose").split(".")[0])
    except PackageNotFoundError as cause:
        raise ConfigError("the engine cellpose needs the package cellpose: pip install 'dssl-bio[cellpose]'; the "
                          "engine classical needs none") from cause
    if main not in (3, 4):
        raise ConfigError(f"cellpose {version('cellpose')} is installed; versions 3 and 4 are known here")
    return main


class CellposeFinder:
    """Finds objects of one kind in pictures of two channels."""

    def __init__(self, weights: Path | str, sha256: str | None = None, diameter_um: float | None = None,
                 gpu: bool | None = None):
        """Loads weights.

        Args:
            weights: a file that a training of ours wrote, a file of Cellpose's own, or the name of a model that
                Cellpose has downloaded.
            sha256: checksum that a file of Cellpose's own must have.
            diameter_um: of the objects, for weights of Cellpose's own.
            gpu: whether to use one; by default when there is one.

        Raises:
            ConfigError: Cellpose is not installed, or the weights are missing, damaged, or of unknown checksum.
        """
        self.version = cellpose_version()
        device = torch.device("cuda" if (torch.cuda.is_available() if gpu is None else gpu) else "cpu")
        path = weights_path(weights)
        if is_ours(path):
            small = load_weights(path)
            self.diameter_um: float | None = small.diameter_um
            self.target: Target | None = small.target
            self._model = _model_of(small, device)
        else:
            require_checksum(path, sha256)
            self.diameter_um, self.target = diameter_um, None
            self._model = _own_model(path, self.version, device)
        self.sha256 = checksum(path)

    def find(self, picture: Picture, pixel_size_um: float) -> Labels:
        """Objects (H, W) of a picture (2, H, W): what to outline, and the nuclei (zeros where those are outlined).

        The picture is mirrored at its border for half a diameter. The crops of training cut objects, whose flow points
        on to a centre outside. What the picture's border cuts looks alike, and Cellpose drops objects whose flow does
        not lead to a centre of their own. With the mirror a cut object has its centre in view.
        """
        diameter = None if self.diameter_um is None else self.diameter_um / pixel_size_um
        smallest = max(4, round(SMALLEST_UM2 / pixel_size_um**2))
        settings: dict[str, Any] = {"channel_axis": 0, "diameter": diameter, "normalize": False, "min_size": smallest}
        if self.version == 3:
            settings["channels"] = [1, 2 if picture[1].any() else 0]
        else:
            picture = np.concatenate([picture, np.zeros_like(picture[:1])])
        height, width = picture.shape[1:]
        margin = min(math.ceil((diameter or NETWORK_DIAMETER_PX) / 2), height - 1, width - 1)
        mirrored = np.pad(picture, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about sparse tensors
            found = self._model.eval(mirrored, **settings)[0]
        return numbered(found[margin:margin + height, margin:margin + width], smallest)


def weights_path(weights: Path | str) -> Path:
    """The file of weights: a path, or the name of a model that Cellpose has downloaded before.

    Raises:
        ConfigError: there is no such file; nothing is downloaded from here.
    """
    given = Path(weights)
    if given.is_file():
        return given
    models = Path(os.environ.get("CELLPOSE_LOCAL_MODELS_PATH", Path.home() / ".cellpose" / "models"))
    if given.name == str(weights) and (models / given.name).is_file():
        return models / given.name
    raise ConfigError(f"no weights {weights}: neither a file nor a model in {models}; Cellpose downloads its own "
                      "models when it is called by itself, `dssl-bio segment SCREEN --train WEIGHTS` makes small ones")


def require_checksum(path: Path, sha256: str | None) -> None:
    """Refuses a pickled file of weights whose checksum was not given or differs.

    Raises:
        ConfigError: so it is; the message holds the checksum that was found.
    """
    found = checksum(path)
    if sha256 is None:
        raise ConfigError(f"{path} is a file of Cellpose's own, which is opened only by its checksum: compare with the "
                          f"publisher's and give --weights-sha256 {found}")
    if found != sha256.lower().removeprefix("sha256:"):
        raise ConfigError(f"{path} is not the expected file: its SHA-256 is {found}")


def train_small(pictures: Sequence[Picture], masks: Sequence[Labels], pixel_size_um: float, target: Target,
                plan: CellposeTraining, progress: Callable[[int, int], None] = _still) -> SmallCellpose:
    """A small Cellpose trained from scratch.

    Crops are turned, mirrored and scaled by Cellpose's own augmentation, and made brighter or darker. The loss is
    Cellpose's: half the squared error of five times the flow, and the cross entropy of being inside an object.

    Args:
        pictures: (2, H, W) each, as `CellposeFinder.find` takes them.
        masks: (H, W) each.
        pixel_size_um: of the pictures.
        target: what the masks outline.
        plan: length and rate.
        progress: called with (steps done, steps).

    Raises:
        ConfigError: Cellpose 3 is not installed, or no mask holds an object.
    """
    if cellpose_version() != 3:
        raise ConfigError("Cellpose 4 cannot be trained from scratch; install cellpose 3 (pip install 'cellpose<4')")
    if not any(labels.any() for labels in masks):
        raise ConfigError(f"none of {len(masks)} masks holds an object to learn from")
    from cellpose import dynamics, transforms

    started = time.process_time()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    areas = np.concatenate([np.bincount(labels.ravel())[1:] for labels in masks])
    diameter_px = float(np.median(np.sqrt(areas[areas > 0])) * 2 / math.sqrt(math.pi))
    flows = [_flow(labels, dynamics.masks_to_flows(labels.astype(int), device=device)) for labels in masks]
    np.random.seed(plan.seed)  # noqa: NPY002 - Cellpose's augmentation draws from numpy's global generator
    generator = np.random.default_rng(plan.seed)
    net = _network(plan.widths, diameter_px, plan.seed).to(device).train()
    if device.type == "cpu":
        net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    losses: list[float] = []
    for step in range(plan.steps):
        used = (time.process_time() - started) / 60 / plan.max_cpu_minutes
        if used >= 1:
            break
        for group in optimizer.param_groups:
            # the clock has a say only where time runs short: equal seeds then train equal networks
            group["lr"] = plan.learning_rate * learning_rate_factor(max(step / plan.steps, used - 0.05))
        chosen = generator.integers(0, len(pictures), plan.minibatch)
        crops, targets = transforms.random_rotate_and_resize(
            [pictures[i] for i in chosen], Y=[flows[i] for i in chosen], scale_range=plan.scale_range,
            rescale=np.full(plan.minibatch, diameter_px / NETWORK_DIAMETER_PX), xy=(plan.crop_px, plan.crop_px))[:2]
        crops *= np.exp(generator.uniform(-1, 1, (plan.minibatch, 1, 1, 1)) * math.log(plan.gain)).astype(np.float32)
        loss = _step(net, torch.from_numpy(crops).to(device), torch.from_numpy(targets).to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        progress(step + 1, plan.steps)
    facts = {"fields": len(masks), "objects": int((areas > 0).sum()), "steps": len(losses), "plan": plan.model_dump(),
             "loss": float(np.mean(losses[-50:])), "cpu_minutes": round((time.process_time() - started) / 60, 2),
             "cellpose": version("cellpose")}
    return SmallCellpose(target, (*plan.widths, STYLE), diameter_px * pixel_size_um, pixel_size_um, facts,
                         state_of(net))


def learning_rate_factor(done: float) -> float:
    """Share of the full rate when a share of the training is done: up over the first 3 %, then down as a cosine."""
    return min(1.0, done / 0.03 + 0.02) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _flow(labels: Labels, flow: Picture) -> Picture:
    """What the network learns (3, H, W): inside an object or not, and the flow towards its centre."""
    return np.concatenate([labels[None] > 0, flow]).astype(np.float32)


def _step(net: nn.Module, crops: Tensor, targets: Tensor) -> Tensor:
    """Loss of a minibatch; targets (N, 3, H, W) are inside-or-not and the two parts of the flow."""
    on_cpu = crops.device.type == "cpu"
    fast = torch.cpu._is_avx512_bf16_supported() if on_cpu else torch.cuda.is_bf16_supported()
    if on_cpu:
        crops = crops.contiguous(memory_format=torch.channels_last)
    with torch.autocast(crops.device.type, torch.bfloat16, enabled=fast):
        seen = net(crops)[0].float()  # (N, 3, H, W): flow down, flow right, logit
    inside = (targets[:, 0] > 0.5).float()
    return F.mse_loss(seen[:, :2], FLOW_SCALE * targets[:, 1:]) / 2 + F.binary_cross_entropy_with_logits(
        seen[:, 2], inside)


def _network(widths: Sequence[int], diameter_px: float, seed: int = 0) -> Any:
    from cellpose.resnet_torch import CPnet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = CPnet([2, *widths, STYLE], 3, 3, mkldnn=False, max_pool=True, diam_mean=NETWORK_DIAMETER_PX)
    net.diam_labels.data.fill_(diameter_px)
    return net


def _model_of(small: SmallCellpose, device: torch.device) -> Any:
    """Cellpose 3 around a network of ours."""
    if cellpose_version() != 3:
        raise ConfigError("small networks are of Cellpose 3; install cellpose 3 (pip install 'cellpose<4')")
    from cellpose.models import CellposeModel

    model = CellposeModel(gpu=device.type == "cuda", device=device, pretrained_model=False, mkldnn=False)
    model.net = _network(small.widths[:-1], 1.0)
    model.net.load_state_dict(small.tensors)
    model.net = model.net.to(device).eval()
    model.diam_mean = NETWORK_DIAMETER_PX
    return model


def _own_model(path: Path, main: int, device: torch.device) -> Any:
    """A model of Cellpose's own; its loader opens the file as tensors only (weights_only)."""
    from cellpose.models import CellposeModel

    settings = {"mkldnn": False} if main == 3 else {}
    return CellposeModel(gpu=device.type == "cuda", device=device, pretrained_model=str(path), **settings)
