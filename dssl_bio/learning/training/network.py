"""Any network, trained on a loss of its own by steps and minutes, with the running mean of its weights."""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dssl_bio.artefact import write_json, written_whole
from dssl_bio.learning.optimizer_state import restore, state_of, weights_of
from dssl_bio.learning.training.trainer import Progress, trainer_of


@dataclass(frozen=True)
class Optimisation:
    """How a network with a loss of its own is trained: AdamW, a cosine over the steps, the running mean of weights.

    Attributes:
        steps: minibatches in all.
        learning_rate: highest, after a warm-up of a twentieth of the steps.
        weight_decay: of AdamW.
        averaging: of the weights that are kept, per step; 0 keeps the last ones.
        minutes: after which training ends at the next state that is written; None lets it end by its steps.
        steps_per_epoch: after which state is written and a line reported.
    """

    steps: int
    learning_rate: float
    weight_decay: float
    averaging: float = 0.99
    minutes: float | None = None
    steps_per_epoch: int = 100


class NetworkModule(L.LightningModule):
    """Any network and the function that gives the loss of a minibatch."""

    def __init__(self, network: nn.Module, loss: Callable[[nn.Module, Any], Tensor], options: Optimisation,
                 first_step: int):
        super().__init__()
        self.network, self.loss, self.options, self.first_step = network, loss, options, first_step

    def training_step(self, batch: Any, _: int) -> Tensor:
        """Loss of a minibatch."""
        loss = self.loss(self.network, batch)
        self.log("loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine, step by step."""
        options, first = self.options, self.first_step
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=options.learning_rate,
                                      weight_decay=options.weight_decay)

        def factor(step: int) -> float:
            done = (step + first) / options.steps
            return min(1.0, done * 20 + 0.05) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

        schedule = {"scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factor), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}


class NetworkKeeper(L.Callback):
    """Running mean of the weights, and the state from which a killed training goes on."""

    def __init__(self, folder: Path, options: Optimisation, report: Callable[[str], None], progress: Progress | None):
        self.folder, self.options, self.report, self.progress = folder, options, report, progress
        self.mean: dict[str, Tensor] = {}
        self.before_s, self.started = 0.0, time.monotonic()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Puts a stopped training back where it was."""
        module: NetworkModule = pl_module  # type: ignore[assignment]
        if not module.first_step:
            self.mean = weights_of(module.network)
            return
        self.before_s = json.loads((self.folder / "state.json").read_text())["seconds"]
        module.network.load_state_dict(load_file(self.folder / "weights.safetensors"))
        self.mean = load_file(self.folder / "mean.safetensors")
        restore(trainer.optimizers[0], load_file(self.folder / "optimizer.safetensors"))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        """The mean of weights moves; early on faster, so that it forgets where it began."""
        module: NetworkModule = pl_module  # type: ignore[assignment]
        done = module.first_step + trainer.global_step
        keep = min(self.options.averaging, (1 + done) / (10 + done)) if self.options.averaging else 0.0
        for name, value in module.network.state_dict().items():
            if value.is_floating_point():
                self.mean[name].lerp_(value.detach().to(self.mean[name]), 1 - keep)
        if self.progress is not None:
            self.progress(done, self.options.steps)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """State, a line, and the end when time is up."""
        module: NetworkModule = pl_module  # type: ignore[assignment]
        done = module.first_step + trainer.global_step
        seconds = self.before_s + time.monotonic() - self.started
        self.report(f"{self.folder.name} step {done}/{self.options.steps} "
                    f"loss {float(trainer.callback_metrics['loss']):.4f} {seconds:.0f} s")
        with written_whole(self.folder) as temporary:
            temporary.mkdir()
            save_file(weights_of(module.network), temporary / "weights.safetensors")
            save_file(self.mean, temporary / "mean.safetensors")
            save_file(state_of(trainer.optimizers[0]), temporary / "optimizer.safetensors")
            write_json(temporary / "state.json", {"step": done, "seconds": seconds})
        if self.options.minutes is not None and seconds > 60 * self.options.minutes:
            trainer.should_stop = True


def train_network(network: nn.Module, loss: Callable[[nn.Module, Any], Tensor],
                  batches: Callable[[int], Iterator[Any]], options: Optimisation, folder: Path,
                  report: Callable[[str], None], progress: Progress | None = None, bf16: bool = False) -> int:
    """Trains a network in place and leaves it with the running mean of its weights, in evaluation mode.

    Args:
        network: trained in place.
        loss: of the network on a minibatch.
        batches: the minibatches of an epoch by its number, which decides every draw.
        options: steps, rates, time.
        folder: of the state; what a stopped training left in it is continued.
        report: receives a line an epoch.
        progress: called with (done, all) steps.
        bf16: computes in bfloat16 where autocast allows.

    Returns:
        steps done: fewer than asked for when time was up.
    """
    path = folder / "state.json"
    done = int(json.loads(path.read_text())["step"]) if path.is_file() else 0
    module = NetworkModule(network, loss, options, done)
    keeper = NetworkKeeper(folder, options, report, progress)
    if done < options.steps:
        loader = _Epochs(batches, done // options.steps_per_epoch, options.steps_per_epoch)
        n_epochs = math.ceil((options.steps - done) / options.steps_per_epoch)
        trainer = trainer_of(n_epochs, folder, 0, keeper, bf16, False)
        trainer.fit(module, loader)
        done += trainer.global_step
        network.load_state_dict(keeper.mean)
    else:
        network.load_state_dict(load_file(folder / "mean.safetensors"))
    network.eval()
    return done


class _Epochs:
    """One epoch of minibatches after another, from a number on."""

    def __init__(self, batches: Callable[[int], Iterator[Any]], first: int, length: int):
        self.batches, self.epoch, self.length = batches, first, length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        yield from self.batches(epoch)
