"""Jointly Gaussian views, where the conditional entropy bottleneck has a closed form.

Unit Gaussians X1, X2 of correlation rho and Z = w X1 + sigma noise; what matters is a = corr(Z, X1)^2. With
I(Z;X1) = -ln(1 - a) / 2 and I(Z;X2) = -ln(1 - rho^2 a) / 2 the optimum of I(Z;X2) - beta I(Z;X1|X2) is
a* = max(0, 1 - beta (1 - rho^2) / rho^2), and the code collapses at beta_c = rho^2 / (1 - rho^2).

Step 1 as it is trained bounds I(Z;X1|X2) by the divergence of the two encoders from each other (the backward encoder
q(z|x2) is the other modality's own encoder) and contrasts two sampled codes. In this model that surrogate is
-ln(1 - rho^2 a^2) / 2 - beta (1 - rho) a / (1 - a), which has another optimum and collapses earlier.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from scipy.optimize import brentq, minimize_scalar
from torch import Tensor

from dssl_bio.config import Config
from dssl_bio.studies.jobs import Job, Report, run_jobs, silent
from dssl_bio.studies.result import Check, Plot, StudyResult, Table

TOLERANCE = 0.02
RATES = (0.03, 0.0003)
HALF = "half-critical"


class GaussianConfig(Config):
    """Correlations and betas, the latter as shares of the beta at which the objective collapses."""

    correlations: tuple[float, ...] = (0.5, 0.8, 0.95)
    shares: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    steps: int = Field(3000, ge=10)
    minibatch: int = Field(4096, ge=2)
    seed: int = 0


def critical_beta(rho: float) -> float:
    """beta_c: from here on the exact optimum knows nothing."""
    return rho**2 / (1 - rho**2)


def exact_optimum(rho: float, beta: float) -> float:
    """a* of the exact bottleneck."""
    return max(0.0, 1 - beta / critical_beta(rho))


def exact_objective(a: float, rho: float, beta: float) -> float:
    """I(Z;X2) - beta I(Z;X1|X2) in nats; I(Z;X1|X2) = I(Z;X1) - I(Z;X2)."""
    own, other = -math.log(1 - a) / 2, -math.log(1 - rho**2 * a) / 2
    return other - beta * (own - other)


def surrogate_objective(a: float, rho: float, beta: float) -> float:
    """What step 1 maximises in this model, with both codes sampled and each encoder the other's backward encoder."""
    return -math.log(1 - rho**2 * a**2) / 2 - beta * (1 - rho) * a / (1 - a)


def surrogate_optimum(rho: float, beta: float) -> float:
    """The surrogate's global maximum over a in [0, 1), numerically."""
    grid = np.linspace(0, 0.9999, 4000)
    start = int(np.argmax([surrogate_objective(a, rho, beta) for a in grid]))
    if start == 0:
        return 0.0
    bounds = grid[start - 1], grid[min(start + 1, len(grid) - 1)]
    found = minimize_scalar(lambda a: -surrogate_objective(a, rho, beta), bounds=bounds, method="bounded",
                            options={"xatol": 1e-8})
    return float(found.x)


def surrogate_critical_beta(rho: float) -> float:
    """The beta from which the surrogate's global maximum is the collapsed code: the best of it is 0 there."""

    def best(beta: float) -> float:
        return max(surrogate_objective(a, rho, beta) for a in np.linspace(0.001, 0.9999, 4000))

    return float(brentq(best, 1e-4 * critical_beta(rho), 10 * critical_beta(rho), xtol=1e-6))


def gaussian_study(config: GaussianConfig, folder: Path, workers: int = 1, report: Report = silent) -> StudyResult:
    """Trains both objectives by gradient on sampled minibatches and compares with their optima."""
    jobs = []
    for rho in config.correlations:
        for kind in ("free", "surrogate"):
            for share in (*config.shares, 1.3):
                jobs.append(_job(config, rho, kind, share * _critical(rho, kind), _key(rho, kind, share)))
            jobs.append(_job(config, rho, kind, critical_beta(rho) / 2, _key(rho, kind, HALF)))
    return _summary(config, run_jobs(jobs, folder, workers, report))


def _critical(rho: float, kind: str) -> float:
    return critical_beta(rho) if kind == "free" else surrogate_critical_beta(rho)


def _key(rho: float, kind: str, share: float | str) -> str:
    return f"{kind}_rho-{rho:g}_share-{share if isinstance(share, str) else f'{share:g}'}"


def _job(config: GaussianConfig, rho: float, kind: str, beta: float, key: str) -> Job:
    settings = {"rho": rho, "kind": kind, "beta": beta, "steps": config.steps, "minibatch": config.minibatch,
                "seed": config.seed}
    return Job(key, train, settings)


def train(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Trains encoder, backward encoder and decoder by Adam on sampled codes; a averaged over the last fifth.

    I(Z;X2) and I(Z1;Z2) are bounded from below by a Gaussian decoder (Barber and Agakov 2003), which is exact here,
    and I(Z;X1|X2) from above by E KL(p(z|x1) || q(z|x2)) with q free, or tied to the other encoder.
    """
    generator = torch.Generator().manual_seed(settings["seed"])
    rho, steps, n = settings["rho"], settings["steps"], settings["minibatch"]
    # weight (of the encoder, whose noise is 1: its logarithm would take for ever to reach a collapse), slope and
    # log deviation of q, slope and log deviation of the decoder
    values = torch.tensor([2.0, 1.0, 0.5, 0.3, 0.0], requires_grad=True)
    optimizer = torch.optim.Adam([values], lr=RATES[0])
    squares: list[float] = []
    for step in range(steps):
        rate = RATES[0] * (RATES[1] / RATES[0]) ** (step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        x1 = torch.randn(n, generator=generator)
        x2 = rho * x1 + math.sqrt(1 - rho**2) * torch.randn(n, generator=generator)
        noise = torch.randn(2, n, generator=generator)
        loss = _loss(values, x1, x2, noise, settings["kind"], settings["beta"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= steps * 4 // 5:
            square = float(values[0].detach()) ** 2
            squares.append(square / (1 + square))
    return {"a": float(np.mean(squares))}


def _loss(values: Tensor, x1: Tensor, x2: Tensor, noise: Tensor, kind: str, beta: float) -> Tensor:
    weight, slope = values[0], values[1]
    z1 = weight * x1 + noise[0]
    if kind == "free":
        told, of, deviation_q, mean_q = x2, x2.square().mean().log() / 2, values[2], slope * x2
    else:
        told = weight * x2 + noise[1]
        # Entropy of the second code, whose distribution moves with the encoder: exact, unit Gaussian views.
        of, deviation_q, mean_q = (weight.square() + 1).log() / 2, torch.zeros(()), weight * x2
    deviation = values[4]
    likelihood = -((told - values[3] * z1).square() / (2 * (2 * deviation).exp())).mean() - deviation
    information = likelihood + of + 0.5
    divergence = (deviation_q + (1 + (weight * x1 - mean_q).square()) / (2 * (2 * deviation_q).exp()) - 0.5).mean()
    return -(information - beta * divergence)


def _summary(config: GaussianConfig, results: dict[str, dict[str, Any]]) -> StudyResult:
    found = StudyResult("gaussian", config.model_dump(), seconds=sum(r["seconds"] for r in results.values()))
    for kind, title in (("free", "Free backward encoder q(z|x2) against a*"),
                        ("surrogate", "The surrogate of step 1 against its own optimum")):
        rows: list[list[Any]] = []
        for rho in config.correlations:
            critical = _critical(rho, kind)
            worst, after = 0.0, results[_key(rho, kind, 1.3)]["a"]
            for share in config.shares:
                beta = share * critical
                optimum = exact_optimum(rho, beta) if kind == "free" else surrogate_optimum(rho, beta)
                a = results[_key(rho, kind, share)]["a"]
                worst = max(worst, abs(a - optimum))
                rows.append([f"{rho:g}", beta, a, optimum, a - optimum, exact_optimum(rho, beta)])
            rows.append([f"{rho:g}", 1.3 * critical, after, 0.0, after, exact_optimum(rho, 1.3 * critical)])
            expected = f"|a - optimum| < {TOLERANCE} at {len(config.shares)} betas"
            found.checks.append(Check(f"{kind}, rho {rho:g}", expected, f"{worst:.4f}", worst < TOLERANCE))
            if kind == "free":
                found.checks.append(Check(f"collapse, rho {rho:g}", f"a < {TOLERANCE} above beta_c = {critical:.3f}",
                                          f"{after:.4f}", after < TOLERANCE))
        found.tables.append(Table(title, ("rho", "beta (nats)", "a trained", "a optimum", "difference", "a* exact"),
                                  rows, "a = corr(Z, X1)^2. The last row of each rho lies above the collapse; the "
                                        "surrogate keeps a local maximum there, so training may not leave it."))
    rows = []
    for rho in config.correlations:
        beta = critical_beta(rho) / 2
        a = {kind: results[_key(rho, kind, HALF)]["a"] for kind in ("free", "surrogate")}
        rows.append([f"{rho:g}", beta, exact_optimum(rho, beta), a["free"], a["free"] - exact_optimum(rho, beta),
                     surrogate_optimum(rho, beta), a["surrogate"], a["surrogate"] - surrogate_optimum(rho, beta)])
        away = max(abs(rows[-1][4]), abs(rows[-1][7]))
        found.checks.append(Check(f"half of beta_c, rho {rho:g}", f"free 0.5, surrogate collapsed, each +-{TOLERANCE}",
                                  f"{a['free']:.3f}, {a['surrogate']:.3f}", away < TOLERANCE))
    found.tables.append(Table(
        "Both at half of beta_c, where the exact bottleneck keeps a* = 0.5",
        ("rho", "beta (nats)", "a* exact", "free trained", "difference", "surrogate optimum", "surrogate trained",
         "difference"), rows, "The objective of step 1 knows nothing any more where the theory's still knows half."))
    found.tables.append(Table(
        "Where the shared code collapses", ("rho", "beta_c exact", "beta surrogate", "a* exact there"),
        [[f"{rho:g}", critical_beta(rho), surrogate_critical_beta(rho),
          exact_optimum(rho, surrogate_critical_beta(rho))] for rho in config.correlations],
        "In nats per pair of coordinates."))
    found.plots += _plots(config, results)
    found.findings.append(
        "Choosing beta: tying the backward encoder makes step 1 collapse at a smaller beta than the theory's beta_c, "
        "by a jump and not gradually; stay well below the surrogate's value in the table, and watch InfoNCE and the "
        "resultant length rather than a probe.")
    return found


def _plots(config: GaussianConfig, results: dict[str, dict[str, Any]]) -> list[Plot]:
    against_beta, frontier = [], []
    for rho in config.correlations:
        shares = np.linspace(0.01, 1.3, 60)
        for kind in ("free", "surrogate"):
            critical = _critical(rho, kind)
            optimum = exact_optimum if kind == "free" else surrogate_optimum
            betas = shares * critical
            against_beta.append({"type": "scatter", "mode": "lines", "name": f"{kind} optimum, rho {rho:g}",
                                 "x": betas.tolist(), "y": [optimum(rho, float(beta)) for beta in betas]})
            against_beta.append({"type": "scatter", "mode": "markers", "name": f"{kind} trained, rho {rho:g}",
                                 "x": [share * critical for share in config.shares],
                                 "y": [results[_key(rho, kind, share)]["a"] for share in config.shares]})
        a = np.linspace(0, 0.99, 100)
        frontier.append({"type": "scatter", "mode": "lines", "name": f"frontier, rho {rho:g}",
                         "x": (-np.log(1 - a) / 2).tolist(), "y": (-np.log(1 - rho**2 * a) / 2).tolist()})
        trained = np.array([results[_key(rho, "free", share)]["a"] for share in config.shares])
        frontier.append({"type": "scatter", "mode": "markers", "name": f"trained, rho {rho:g}",
                         "x": (-np.log(1 - trained) / 2).tolist(), "y": (-np.log(1 - rho**2 * trained) / 2).tolist()})
    return [Plot("Squared correlation of code and view against beta", against_beta, "beta (nats)", "a", log_x=True),
            Plot("Information plane", frontier, "I(Z;X1), nats", "I(Z;X2), nats",
                 "beta moves the code along the frontier; at beta_c it reaches the origin.")]
