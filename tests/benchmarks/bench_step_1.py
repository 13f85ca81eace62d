"""Time and memory of one training step of step 1: ours, and a plain restatement of how the authors' code works.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/bench_step_1.py
Size of the authors' synthetic study (arXiv 2410.23996): 100 numbers a view, minibatch 256, hidden 512, codes of 100,
vMF with kappa 1000. The restatement is written from the published description and works as that code does: one row
after another in augmentation, rejection rounds on the whole minibatch until each row is accepted once, the
contrast on the stacked 2B x 2B similarities with masks, a data loader that collates single rows, plain Adam.
"""

import argparse
import json
import math
import multiprocessing
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dssl_bio.learning.collapse import CollapseWarning
from dssl_bio.learning.two_views import DisentangledOptions, DisentangledSSL

WIDTH, HIDDEN, DIM, MINIBATCH, KAPPA, BETA, TEMPERATURE = 100, 512, 100, 256, 1000.0, 0.1, 0.07


def augmented_row_by_row(x: Tensor) -> Tensor:
    """Each row noised, thinned or kept, decided and done in a Python loop with NumPy's random state."""
    changed = x.clone()
    for row in range(len(x)):
        choice = np.random.choice(3, 1, replace=False)[0]  # noqa: NPY002 - as the released code draws
        if choice == 0:
            changed[row] = changed[row] + torch.randn(x.shape[1]) * 0.01
        elif choice == 1:
            dropped = np.random.choice(x.shape[1], x.shape[1] // 10, replace=False)  # noqa: NPY002
            thinned = changed[row].clone()
            thinned[dropped] = 0.0
            changed[row] = thinned
    return changed


def rejection_sample(mean: Tensor) -> Tensor:
    """Davidson et al. 2018: the whole minibatch is redrawn in every round until each row has been accepted."""
    n, dim = mean.shape
    kappa = torch.full((n, 1), KAPPA)
    root = torch.sqrt(4 * kappa**2 + (dim - 1) ** 2)
    b_true, b_taylor = (-2 * kappa + root) / (dim - 1), (dim - 1) / (4 * kappa)
    blend = torch.clamp(kappa - 10, 0, 1)
    b = b_taylor * blend + b_true * (1 - blend)
    a = (dim - 1 + 2 * kappa + root) / 4
    d = 4 * a * b / (1 + b) - (dim - 1) * math.log(dim - 1)
    w, todo = torch.zeros_like(b), torch.ones_like(b, dtype=torch.bool)
    beta = torch.distributions.Beta(torch.tensor((dim - 1) / 2, dtype=torch.float64),
                                    torch.tensor((dim - 1) / 2, dtype=torch.float64))
    while todo.any():
        epsilon = beta.sample((n, 1)).to(b.dtype)
        u = torch.distributions.Uniform(1e-20, 1 - 1e-20).sample((n, 1))
        candidate = (1 - (1 + b) * epsilon) / (1 - (1 - b) * epsilon)
        t = 2 * a * b / (1 - (1 - b) * epsilon)
        accepted = ((dim - 1) * t.log() - t + d) > torch.log(u)
        take = accepted & todo
        w[take] = candidate[take]
        todo[take] = False
    tangent = torch.distributions.Normal(0.0, 1.0).sample((n, dim)).transpose(0, 1)[1:].transpose(0, 1)
    tangent = tangent / tangent.norm(dim=-1, keepdim=True)
    sample = torch.cat([w, torch.sqrt(torch.clamp(1 - w**2, 1e-10)) * tangent], dim=-1)
    first = torch.zeros(dim)
    first[0] = 1.0
    axis = first - mean
    axis = axis / (axis.norm(dim=-1, keepdim=True) + 1e-5)
    return sample - 2 * (sample * axis).sum(-1, keepdim=True) * axis


def stacked_contrast(one: Tensor, two: Tensor) -> Tensor:
    """Contrast of both views at once on 2B x 2B similarities; blocks within a modality are masked out."""
    n = len(one)
    features = torch.cat([one, two])
    logits = features @ features.T / TEMPERATURE
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    positive = torch.eye(n).repeat(2, 2)
    across = torch.cat([torch.cat([torch.zeros(n, n), torch.ones(n, n)], 1),
                        torch.cat([torch.ones(n, n), torch.zeros(n, n)], 1)])
    log_probability = logits - torch.log((torch.exp(logits) * across).sum(1, keepdim=True))
    mask = positive * across
    return -((mask * log_probability).sum(1) / mask.sum(1)).mean()


class Restated(nn.Module):
    """Two MLPs with one hidden layer, their sampled codes, contrast and minus the mean cosine."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIM)) for _ in range(2))
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.01)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        means = [F.normalize(encoder(x), dim=-1) for encoder, x in zip(self.encoders, (x1, x2), strict=True)]
        codes = [F.normalize(rejection_sample(mean), dim=-1) for mean in means]
        return stacked_contrast(*codes) - BETA * (means[0] * means[1]).sum(-1).mean()


def restated_epoch(x1: Tensor, x2: Tensor) -> list[float]:
    """One epoch; the loss of every step."""
    loader = DataLoader(TensorDataset(x1, x2), shuffle=True, drop_last=True, batch_size=MINIBATCH)
    model = Restated()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    losses = []
    for one, two in loader:
        loss = model(augmented_row_by_row(one), augmented_row_by_row(two))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def our_epoch(x1: Tensor, x2: Tensor) -> None:
    """One epoch of our step 1 in the authors' units."""
    options = DisentangledOptions.authors(BETA, epochs=1, learning_rate=1e-4)
    model = DisentangledSSL(options)
    model.assemble([[WIDTH], [WIDTH]])
    warnings.simplefilter("ignore", CollapseWarning)
    model.fit_step(1, x1.numpy(), x2.numpy())


EPOCHS = {"restated": restated_epoch, "ours": our_epoch}


def views(n: int) -> tuple[Tensor, Tensor]:
    """Two random linear views of common and own coordinates."""
    rng = np.random.default_rng(0)
    latent = [rng.normal(size=(n, 50)) for _ in range(3)]
    one, two = (np.hstack([latent[0], own]) @ rng.uniform(-1, 1, (100, 100)) for own in latent[1:])
    return torch.as_tensor(one, dtype=torch.float32), torch.as_tensor(two, dtype=torch.float32)


def _peak(name: str, n: int, queue: "multiprocessing.Queue[float]") -> None:
    torch.set_num_threads(1)
    data = views(n)
    EPOCHS[name](*(x[: 2 * MINIBATCH] for x in data))  # what is loaded once is not the epoch's
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _memory_mib("VmRSS")
    EPOCHS[name](*data)
    queue.put(_memory_mib("VmHWM") - before)


def _memory_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(field))) / 1024


def peak_memory_mib(name: str, n: int, rounds: int = 5) -> list[float]:
    """What an epoch adds to the resident memory of a fresh process at its peak (Linux); each round a process."""
    context = multiprocessing.get_context("spawn")
    found = []
    for _ in range(rounds):
        queue = context.Queue()
        process = context.Process(target=_peak, args=(name, n, queue))
        process.start()
        found.append(round(float(queue.get()), 1))
        process.join()
    return found


def main() -> None:
    """Interleaves both, and prints the median of each and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=72_000, help="pairs of an epoch; 72,000 in the study")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    x1, x2 = views(arguments.rows)
    n_steps = arguments.rows // MINIBATCH
    for epoch in EPOCHS.values():
        epoch(x1[:512], x2[:512])
    wall: dict[str, list[float]] = {name: [] for name in EPOCHS}
    processor: dict[str, list[float]] = {name: [] for name in EPOCHS}
    for _ in range(arguments.rounds):
        for name, epoch in EPOCHS.items():
            started, used = time.perf_counter(), time.process_time()
            epoch(x1, x2)
            wall[name].append((time.perf_counter() - started) / n_steps * 1e3)
            processor[name].append((time.process_time() - used) / n_steps * 1e3)
    memory = {name: peak_memory_mib(name, arguments.rows, arguments.rounds) for name in EPOCHS}
    ratios = [a / b for a, b in zip(wall["restated"], wall["ours"], strict=True)]
    print(json.dumps({
        "threads": arguments.threads, "steps_of_an_epoch": n_steps, "rounds": arguments.rounds,
        "wall_ms_a_step": {name: round(float(np.median(v)), 2) for name, v in wall.items()},
        "processor_ms_a_step": {name: round(float(np.median(v)), 2) for name, v in processor.items()},
        "times_less_processor": round(float(np.median(processor["restated"]) / np.median(processor["ours"])), 2),
        "times_faster": round(float(np.median(ratios)), 2), "times_faster_of_each_round": np.round(ratios, 2).tolist(),
        "memory_growth_mib": {name: float(np.median(values)) for name, values in memory.items()},
        "memory_growth_mib_of_each_process": memory,
    }, indent=1))


if __name__ == "__main__":
    main()
