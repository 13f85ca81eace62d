"""Pre-training of the molecule GNN on molecules without phenotypes: it learns to tell fingerprint and descriptors."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from dssl_bio.artefact import new_folder, require_disk, seal, write_json
from dssl_bio.chem.fingerprints import count_morgan, descriptors
from dssl_bio.chem.standardize import Molecule
from dssl_bio.config import Config
from dssl_bio.errors import RunError
from dssl_bio.learning.config import GineConfig
from dssl_bio.learning.encoders.molecule_gnn import GineTrunk
from dssl_bio.learning.inputs import MoleculeBatch, MoleculeInputs
from dssl_bio.learning.phenotypes import CHUNK
from dssl_bio.learning.run import CONFIG, PRETRAINED, WEIGHTS
from dssl_bio.learning.training.network import Optimisation, train_network
from dssl_bio.learning.training.trainer import Progress

logger = logging.getLogger(__name__)

MIN_MOLECULES = 50
MAX_COUNT = 20
"""Larger counts of one bit say how long a chain is, and would decide the loss alone."""

Batch = tuple[MoleculeBatch, Tensor, Tensor]


class PretrainConfig(Config):
    """How the GNN is pre-trained.

    Attributes:
        seed: of everything random.
        epochs: over the molecules.
        batch_size: molecules in a minibatch.
        learning_rate: highest, of AdamW.
        weight_decay: of AdamW.
        min_molecules: fingerprint bits that fewer molecules set are not asked for.
        valid: share of the molecules that are kept aside to say how well it went.
        dropout: between the layers.
        gine: sizes of the GNN; a training that starts from it must have the same.
    """

    seed: int = Field(0, ge=0)
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(128, ge=8)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    min_molecules: int = Field(5, ge=1)
    valid: float = Field(0.1, gt=0, lt=0.5)
    dropout: float = Field(0.1, ge=0, lt=1)
    gine: GineConfig = GineConfig()


class Teller(nn.Module):
    """A GNN and two linear maps: log rates of fingerprint counts (N, B), and standardised descriptors (N, K)."""

    def __init__(self, config: PretrainConfig, mean_counts: Tensor, n_descriptors: int):
        super().__init__()
        self.gnn = GineTrunk(config.gine.hidden, config.gine.layers, config.dropout)
        self.bits = nn.Linear(self.gnn.out_features, len(mean_counts))
        self.descriptors = nn.Linear(self.gnn.out_features, n_descriptors)
        nn.init.zeros_(self.bits.weight)
        with torch.no_grad():  # begins as the best answer that does not look at the molecule
            self.bits.bias.copy_(mean_counts.log())

    def forward(self, molecules: MoleculeBatch) -> tuple[Tensor, Tensor]:
        """Log rates and descriptors of N molecules."""
        features = self.gnn(molecules)
        return self.bits(features), self.descriptors(features)


def pretraining_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Poisson deviance of the counts, summed over bits and scaled to about 1, plus the descriptors' squared error."""
    rates, values = network(batch[0])
    return _deviance(rates, batch[1]).sum(1).mean() / DEVIANCE_UNIT + F.mse_loss(values, batch[2])


DEVIANCE_UNIT = 100.0
"""About the deviance of a drug's fingerprint from the mean of all."""


def pretrain(molecules: Sequence[Molecule], config: PretrainConfig, folder: Path, *, source: str,
             report: Callable[[str], None] = logger.info, progress: Progress | None = None) -> dict[str, Any]:
    """Pre-trains the GNN and writes a run that `train --start` takes.

    Count-Morgan fingerprint (radius 2) and the descriptors of `chem.fingerprints` are told from the graph, as in Hu et
    al. (ICLR 2020, arXiv 1905.12265) properties are; what is kept is the GNN.

    Args:
        molecules: distinct, standardised.
        config: resolved configuration.
        folder: the run; replaced when it holds a run.
        source: where the molecules come from, in words.
        report: receives lines.
        progress: called with (done, all) minibatches.

    Returns:
        counts, and on molecules kept aside: deviance_explained of the fingerprint and r2 of the descriptors.

    Raises:
        RunError: too few molecules.
    """
    if len(molecules) < MIN_MOLECULES:
        raise RunError(f"{len(molecules)} molecules to pre-train on; at least {MIN_MOLECULES} are needed")
    counts = np.minimum(np.array([count_morgan(one) for one in molecules], dtype=np.float32), MAX_COUNT)
    values = np.array([descriptors(one) for one in molecules])
    order = np.random.default_rng(config.seed).permutation(len(molecules))
    n_valid = max(1, round(config.valid * len(molecules)))
    kept, train = order[:n_valid], order[n_valid:]
    asked = np.flatnonzero((counts[train] > 0).sum(0) >= config.min_molecules)
    if not len(asked):
        raise RunError(f"no fingerprint bit is set in {config.min_molecules} of {len(train)} molecules")
    spread = values[train].std(0)
    values = np.clip((values - values[train].mean(0)) / np.where(spread > 1e-9, spread, 1), -8, 8).astype(np.float32)
    inputs = MoleculeInputs.of(molecules, frozenset({"graph"}))
    target = torch.from_numpy(counts[:, asked]), torch.from_numpy(values)
    torch.manual_seed(config.seed)
    network = Teller(config, torch.from_numpy(counts[train][:, asked].mean(0)), values.shape[1])
    report(f"{len(molecules):,} molecules, {len(asked)} fingerprint bits, {values.shape[1]} descriptors; "
           f"{n_valid} molecules kept aside")
    report(require_disk(folder, 4 * sum(tensor.nbytes for tensor in network.state_dict().values())))
    per_epoch = max(1, len(train) // config.batch_size)

    def batches(epoch: int) -> Iterator[Batch]:
        generator = np.random.default_rng([config.seed, epoch])
        torch.manual_seed(int(generator.integers(2**62)))
        for rows in np.array_split(generator.permutation(train), per_epoch):
            yield inputs.batch(rows.tolist()), target[0][rows], target[1][rows]

    options = Optimisation(config.epochs * per_epoch, config.learning_rate, config.weight_decay,
                           steps_per_epoch=per_epoch)
    with tempfile.TemporaryDirectory(prefix="dssl-bio-") as state:
        train_network(network, pretraining_loss, batches, options, Path(state) / "pretraining", report, progress)
    metrics = {"molecules": len(molecules), "bits": len(asked), "valid_molecules": n_valid,
               **told(network, inputs, target, kept, counts[train][:, asked].mean(0))}
    report(f"kept aside: {100 * metrics['deviance_explained']:.0f} % of the fingerprint's deviance and "
           f"{100 * metrics['descriptor_r2']:.0f} % of the descriptors' variance explained")
    with new_folder(folder, "run") as work:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in network.gnn.state_dict().items()},
                  work / WEIGHTS)
        write_json(work / CONFIG, config.model_dump(mode="json", by_alias=True))
        write_json(work / "metrics.json", metrics)
        facts: dict[str, Any] = {PRETRAINED: True, "simulated": False, "screen_name": source, "metrics": metrics}
        seal(work, "run", {"molecules": source}, command="dssl-bio pretrain", **facts)
    return metrics


def told(network: nn.Module, inputs: MoleculeInputs, target: tuple[Tensor, Tensor], rows: NDArray[np.int64],
         mean_counts: NDArray[np.floating]) -> dict[str, float]:
    """How much of some molecules' fingerprint (deviance) and descriptors (variance) a network tells, 1 all, 0 nothing.

    Args:
        network: a Teller.
        inputs: all molecules.
        target: counts (M, B) and standardised descriptors (M, K) of all molecules.
        rows: the molecules that are asked.
        mean_counts: (B,) what the best answer without looking at the molecule is.
    """
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(inputs.batch(rows[i:i + CHUNK].tolist()).to(device)) for i in range(0, len(rows), CHUNK)]
    rates, values = (torch.cat([part[i].cpu() for part in parts]) for i in range(2))
    counts, expected = target[0][rows], target[1][rows]
    without = _deviance(torch.from_numpy(mean_counts).log().expand_as(counts), counts).sum()
    variance = (expected - expected.mean(0)).square().sum()
    return {"deviance_explained": float(1 - _deviance(rates, counts).sum() / without),
            "descriptor_r2": float(1 - (values - expected).square().sum() / variance)}


def _deviance(log_rates: Tensor, counts: Tensor) -> Tensor:
    """Poisson deviance, elementwise: 2 (y ln(y / rate) - y + rate), 0 where they agree."""
    full = F.poisson_nll_loss(log_rates, counts, log_input=True, reduction="none")  # rate - y ln(rate)
    return 2 * (full - counts + torch.xlogy(counts, counts))
