"""The two steps of DisentangledSSL on a screen, and the state that lets a killed run continue."""

import json
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dssl_bio.artefact import write_json, written_whole
from dssl_bio.learning.collapse import advice
from dssl_bio.learning.config import StepConfig
from dssl_bio.learning.data import PairBatch, PairLoader, Pairs
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.optimizer_state import restore, state_of, weights_of
from dssl_bio.learning.training.trainer import Progress, trainer_of
from dssl_bio.learning.validation import ValidationSet

logger = logging.getLogger(__name__)


class StepModule(L.LightningModule):
    """One step of DisentangledSSL over a screen's pairs."""

    def __init__(self, model: DisentangledModel, step: int, config: StepConfig, validation: ValidationSet | None,
                 first_epoch: int = 0):
        super().__init__()
        self.model, self.step, self.config = model, step, config
        self.validation, self.first_epoch = validation, first_epoch
        if step == 2:
            model.freeze_shared()

    def training_step(self, batch: PairBatch, _: int) -> Tensor:
        """Loss of a minibatch; its terms are logged by epoch."""
        if self.step == 1:
            parts = self.model.step_1(batch.molecules[0], batch.phenotypes[0], batch.groups,
                                      weights=batch.weights)
        else:
            molecules, phenotypes = batch.molecules, batch.phenotypes
            # A well's specific part tells it from the other wells of its molecule, so those are negatives there.
            same = (batch.groups, None)
            parts = self.model.step_2((molecules[0], molecules[1]), (phenotypes[0], phenotypes[1]), same)
        size = len(batch.groups)
        for name, value in {**parts.terms, "total": parts.total}.items():
            self.log(f"step_{self.step}/{name}", value.detach(), on_step=False, on_epoch=True, batch_size=size)
        self.log(f"step_{self.step}/log_minibatch", math.log(size), on_step=False, on_epoch=True, batch_size=size)
        return parts.total

    def configure_optimizers(self) -> Any:
        """AdamW; the rate falls to zero along a cosine over the configured epochs, after one epoch of warm-up."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=self.config.learning_rate, weight_decay=self.config.weight_decay)
        n, first = self.config.epochs, self.first_epoch

        def factor(epoch: int) -> float:
            return 0.5 * (1 + math.cos(math.pi * (epoch + first) / n)) if epoch + first else 0.5

        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factor)}


class Keeper(L.Callback):
    """After every epoch: validation, the best weights, and the state from which a killed run continues."""

    def __init__(self, folder: Path, report: Callable[[str], None], resumable: bool = True,
                 progress: Progress | None = None):
        self.folder, self.report, self.resumable, self.progress = folder, report, resumable, progress
        self.best, self.best_epoch = -math.inf, -1
        self.best_weights: dict[str, Tensor] = {}
        self.curves: list[dict[str, float]] = []

    def restore(self, module: StepModule) -> dict[str, Tensor]:
        """Weights and best weights of a stopped step; the optimiser's state is returned for `on_fit_start`."""
        state = json.loads((self.folder / "state.json").read_text())
        module.model.load_state_dict(load_file(self.folder / "weights.safetensors"))
        self.best, self.best_epoch, self.curves = state["best"], state["best_epoch"], state["curves"]
        self.best_weights = load_file(self.folder / "best.safetensors")
        return load_file(self.folder / "optimizer.safetensors")

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Puts the optimiser back where it was."""
        if (self.folder / "state.json").is_file() and pl_module.first_epoch:
            restore(trainer.optimizers[0], self.restore(pl_module))  # type: ignore[arg-type]

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any,
                           batch_idx: int) -> None:
        """Tells how many minibatches of the step are done, those before an interruption among them."""
        if self.progress is not None:
            module: StepModule = pl_module  # type: ignore[assignment]
            n = int(trainer.num_training_batches)
            self.progress((module.first_epoch + trainer.current_epoch) * n + batch_idx + 1, module.config.epochs * n)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Validates, keeps, reports, and stops when nothing has improved for `patience` epochs."""
        module: StepModule = pl_module  # type: ignore[assignment]
        epoch = module.first_epoch + trainer.current_epoch
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        score = float(epoch)  # without validation the last epoch is the best
        loss = metrics[f"step_{module.step}/total"]
        line = f"step {module.step} epoch {epoch + 1}/{module.config.epochs} loss {loss:.3f}"
        if module.step == 1 and module.validation is not None:
            score = module.validation.reciprocal_rank(module.model)
            module.model.train()
            module.log("step_1/validation_mrr", score)
            metrics["step_1/validation_mrr"] = score
            line += f" validation MRR {score:.3f}"
        if score > self.best:
            self.best, self.best_epoch = score, epoch
            self.best_weights = weights_of(module.model)
        _warn_of_collapse(module.step, metrics, (epoch + 1) * int(trainer.num_training_batches))
        self.report(line)
        self.curves.append({"epoch": epoch, **metrics})
        if self.resumable:
            self._save(trainer, module, epoch)
        if epoch - self.best_epoch >= module.config.patience:
            trainer.should_stop = True

    def _save(self, trainer: L.Trainer, module: StepModule, epoch: int) -> None:
        """Everything `--resume` needs, as one folder that is replaced whole."""
        with written_whole(self.folder) as temporary:
            temporary.mkdir()
            save_file(weights_of(module.model), temporary / "weights.safetensors")
            save_file(self.best_weights, temporary / "best.safetensors")
            save_file(state_of(trainer.optimizers[0]), temporary / "optimizer.safetensors")
            write_json(temporary / "state.json", {"step": module.step, "epoch": epoch, "best": self.best,
                                                  "best_epoch": self.best_epoch, "curves": self.curves})
        curves = self.folder.parent / "curves" / f"step_{module.step}" / "metrics.csv"
        curves.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(curves) as temporary:
            pd.DataFrame(self.curves).to_csv(temporary, index=False)


def train_step(model: DisentangledModel, step: int, pairs: Pairs, validation: ValidationSet | None, config: StepConfig,
               folder: Path, seed: int, report: Callable[[str], None], bf16: bool,
               resumable: bool = True, progress: Progress | None = None) -> dict[str, float]:
    """Trains one step in place and leaves the model with its best weights.

    Args:
        model: trained in place.
        step: 1 (shared) or 2 (specific).
        pairs: training pairs.
        validation: for step 1: what early stopping looks at.
        config: epochs, rates, patience.
        folder: for curves and resume state; `step_<n>_state` in it from a stopped run is continued.
        seed: of minibatches and augmentation.
        report: receives one line an epoch.
        bf16: computes in bfloat16 where autocast allows.
        resumable: writes curves and, after every epoch, the state that a killed run continues from.
        progress: called after every minibatch with (done, total) of the step; early stopping leaves it short of total.

    Returns:
        best epoch and best validation MRR (step 1).
    """
    state_folder = folder / f"step_{step}_state"
    state_file = state_folder / "state.json"
    first_epoch = json.loads(state_file.read_text())["epoch"] + 1 if state_file.is_file() else 0
    module = StepModule(model, step, config, validation, first_epoch)
    keeper = Keeper(state_folder, report, resumable, progress)
    stopped_early = False
    if first_epoch:
        keeper.restore(module)
        stopped_early = first_epoch - 1 - keeper.best_epoch >= config.patience
    if first_epoch < config.epochs and not stopped_early:
        loader = PairLoader(pairs, config.batch_size, step, seed, first_epoch)
        trainer_of(config.epochs - first_epoch, folder, step, keeper, bf16, resumable).fit(module, loader)
    model.load_state_dict(keeper.best_weights)
    model.eval()
    result: dict[str, float] = {"best_epoch": keeper.best_epoch + 1}
    return result if step == 2 or validation is None else {**result, "validation_mrr": keeper.best}


def remove_state(folder: Path) -> None:
    """Deletes the resume state of finished steps."""
    for step in (1, 2):
        shutil.rmtree(folder / f"step_{step}_state", ignore_errors=True)


def _warn_of_collapse(step: int, metrics: dict[str, float], minibatches: int) -> None:
    """InfoNCE at ln N says that the pairs cannot be told apart: probes of the raw outputs would not see it.

    Above ln N the codes differ and do not agree yet, which is how the first epochs of a good run look.
    """
    if step == 1 and abs(metrics["step_1/infonce"] - metrics["step_1/log_minibatch"]) < 0.01:
        logger.warning("step 1 has collapsed or not started: InfoNCE %.3f is ln(minibatch) = %.3f; %s",
                       metrics["step_1/infonce"], metrics["step_1/log_minibatch"],
                       advice(minibatches, "lower shared.beta"))
