"""The Lightning trainer that all trainings use."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger

Progress = Callable[[int, int | None], None]
"""Takes what is done and how much there is to do."""


def trainer_of(epochs: int, folder: Path, step: int, keeper: L.Callback, bf16: bool, curves: bool) -> L.Trainer:
    """A trainer without checkpoints and bars of its own.

    Args:
        epochs: at most.
        folder: of the curves.
        step: names the curves.
        keeper: keeps weights and state, and reports.
        bf16: computes in bfloat16 where autocast allows.
        curves: writes them for TensorBoard.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    loggers = [TensorBoardLogger(folder, name="tensorboard", version=f"step_{step}")] if curves else []
    return L.Trainer(max_epochs=epochs, accelerator="auto", devices=1, precision="bf16-mixed" if bf16 else "32-true",
                     logger=loggers, callbacks=[keeper], enable_checkpointing=False, enable_model_summary=False,
                     enable_progress_bar=False, gradient_clip_val=1.0, log_every_n_steps=10)
