"""DisentangledSSL: a shared representation of two modalities, then a specific one of each (arXiv 2410.23996)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from dssl_bio.config import Config
from dssl_bio.learning.distributions import MAX_KAPPA, MIN_KAPPA, mean_resultant_length, sample_vmf, vmf_kl
from dssl_bio.learning.losses.dependence import authors_orthogonality, cross_covariance, scaled_orthogonality
from dssl_bio.learning.losses.hsic import hsic
from dssl_bio.learning.losses.infonce import infonce

Units = Literal["nats", "authors"]
"""`nats`: the divergence with its kappa factor, a penalty that is independent of the minibatch size, unit
vectors in step 2. `authors`: exactly the released loss, for reproduction."""

Penalty = Literal["cross_covariance", "hsic", "orthogonality"]
PENALTIES = {"cross_covariance": cross_covariance, "hsic": hsic, "orthogonality": scaled_orthogonality}


class SharedObjective(Config):
    """Step 1: L = InfoNCE + beta * divergence, the Lagrangian of I(Z1; X2) - beta I(Z1; X1 | X2).

    In `nats`, beta is the paper's; the authors' code drops the factor kappa * A_d(kappa), so that
    their beta is `authors_beta()` (about 952 times ours at 100 dimensions and kappa 1000).
    """

    beta: float = Field(1e-4, ge=0)
    kappa: float = Field(1000.0, ge=MIN_KAPPA, le=MAX_KAPPA)
    temperature: float = Field(0.07, gt=0)
    posterior: Literal["vmf", "none"] = "vmf"
    units: Units = "nats"

    def authors_beta(self, dim: int) -> float:
        """The value of the authors' beta that weighs the divergence as this beta does in nats."""
        return self.beta * self.kappa * mean_resultant_length(dim, self.kappa)


class SpecificObjective(Config):
    """Step 2: L = sum over modalities of InfoNCE on [specific; other's shared] + lambda * dependence on the own shared.

    In `nats` the dependence is `cross_covariance` or `hsic`, which also sees dependence without correlation (both 0
    for independent, 1 for identical codes, at any minibatch size), or `orthogonality`, the authors' penalty over
    sqrt(N), for comparison; in `authors` it is always `authors_orthogonality`, whose floor grows as sqrt(N).
    """

    lambda_: float = Field(1.0, ge=0, alias="lambda")
    temperature: float = Field(0.07, gt=0)
    penalty: Penalty = "cross_covariance"
    units: Units = "nats"

    model_config = {"populate_by_name": True, "extra": "forbid", "frozen": True}


@dataclass(frozen=True)
class LossParts:
    """A loss and its named, weighted terms: total is their sum."""

    total: Tensor
    terms: Mapping[str, Tensor]

    @classmethod
    def of(cls, **terms: Tensor) -> "LossParts":
        """Loss parts whose total is the sum of the terms."""
        return cls(torch.stack(list(terms.values())).sum(), terms)


@dataclass(frozen=True)
class PairWeights:
    """What a minibatch's pairs count for in step 1; see `infonce`.

    Attributes:
        rows: (N,) weight of each pair.
        negatives: (N, N) weight of each row as another's negative.
    """

    rows: Tensor | None = None
    negatives: Tensor | None = None

    def to(self, device: torch.device) -> "PairWeights":
        """The same on another device."""
        return PairWeights(*(None if one is None else one.to(device) for one in (self.rows, self.negatives)))


def shared_loss(raw_1: Tensor, raw_2: Tensor, objective: SharedObjective, groups: Tensor | None = None,
                generator: torch.Generator | None = None, kappas: tuple[Tensor, Tensor] | None = None,
                weights: PairWeights | None = None) -> LossParts:
    """Step 1 from the outputs e of the two shared encoders: L = NCE(z1, z2) + beta * D(mu1, mu2).

    mu = e / |e|; z ~ vMF(mu, kappa), reparameterised; NCE is the symmetric InfoNCE at the temperature, and ln N - NCE
    bounds I(Z1; X2) from below; D bounds I(Z1; X1 | X2) from above: in `nats` the mean KL of the two posteriors,
    kappa A_d(kappa) (1 - mu1 . mu2); in `authors` the mean of -mu1 . mu2.

    Args:
        raw_1: (N, D) outputs for the first modality, of any length; their directions are the means.
        raw_2: (N, D) outputs for the second; row i is paired with raw_1[i].
        objective: beta, kappa, temperature, units.
        groups: (N,) equal for rows of the same perturbation, which are never each other's negatives.
        generator: source of the posterior's randomness.
        kappas: learned concentrations of the two posteriors, each () or (N,), in place of the objective's fixed one.
        weights: of pairs and negatives in the contrast; the divergence is the mean of all.

    Raises:
        ValueError: shapes differ, fewer than two rows, or learned kappas together with the authors' units.
    """
    if raw_1.shape != raw_2.shape:
        raise ValueError(f"shared encoders differ in shape: {tuple(raw_1.shape)} and {tuple(raw_2.shape)}")
    n = len(raw_1)
    means = F.normalize(torch.cat([raw_1, raw_2]).float(), dim=1)
    codes = means
    if objective.posterior == "vmf":  # both modalities in one call: the sampler's cost is in its number of rounds
        codes = sample_vmf(means, objective.kappa if kappas is None else _each_row(kappas, n), generator)
    weights = weights or PairWeights()
    contrast = infonce(codes[:n], codes[n:], objective.temperature, groups, weights.rows, weights.negatives)
    divergence = _divergence(means[:n], means[n:], objective, kappas)
    return LossParts.of(infonce=contrast, divergence=objective.beta * divergence)


def _each_row(kappas: tuple[Tensor, Tensor], n: int) -> Tensor:
    return torch.cat([kappa.expand(n) for kappa in kappas])


def _divergence(mean_1: Tensor, mean_2: Tensor, objective: SharedObjective,
                kappas: tuple[Tensor, Tensor] | None) -> Tensor:
    """Mean divergence of the two posteriors of a pair; with learned kappas, the mean of both directions."""
    if objective.units == "authors":
        if kappas is not None:
            raise ValueError("the authors' loss has no kappa in its divergence: learned kappas need units 'nats'")
        return -(mean_1 * mean_2).sum(1).mean()
    if kappas is None:
        return vmf_kl(mean_1, mean_2, objective.kappa).mean()
    forward, backward = vmf_kl(mean_1, mean_2, *kappas), vmf_kl(mean_2, mean_1, *kappas[::-1])
    return (forward + backward).mean() / 2


@dataclass(frozen=True)
class View:
    """One augmented view of one modality in step 2: its specific code (N, E) and its frozen shared code (N, D)."""

    specific: Tensor
    shared: Tensor


def specific_loss(first: tuple[View, View], second: tuple[View, View], objective: SpecificObjective,
                  groups: tuple[Tensor | None, Tensor | None] = (None, None)) -> LossParts:
    """Step 2 from two views of each modality.

    With specific codes s and shared ones c, ' for the second view and o for the other modality,

        L = sum_m NCE([s_m ; c_o], [s_m' ; c_o']) + lambda * sum_m 1/2 (P(s_m, c_m) + P(s_m', c_m')),

    the surrogate of I(Z_s, X_o; X_m) - lambda I(Z_s; Z_c); joined codes have unit length and P is the penalty.

    The contrast is on [specific ; *other* modality's shared] and the penalty on (specific, *own* shared):
    together, specific and the other's shared must tell the input, and specific must not repeat its own shared.

    Args:
        first: two views of the first modality; row i of all views is the same pair.
        second: two views of the second modality.
        objective: lambda, temperature, units.
        groups: for each modality (N,) equal for rows that hold the same input (a molecule measured twice).
    """
    contrast = torch.zeros((), device=first[0].specific.device)
    penalty = contrast
    for own, other, same in ((first, second, groups[0]), (second, first, groups[1])):
        joint = [_joined(mine.specific, theirs.shared, objective.units)
                 for mine, theirs in zip(own, other, strict=True)]
        contrast = contrast + infonce(joint[0], joint[1], objective.temperature, same)
        for view in own:
            penalty = penalty + _dependence(view, objective) / 2
    return LossParts.of(infonce=contrast, dependence=objective.lambda_ * penalty)


def _joined(specific: Tensor, shared: Tensor, units: Units) -> Tensor:
    """Unit vectors of [specific ; shared].

    The authors join the raw outputs, where the weight of the shared part depends on its norm; in nats
    both parts weigh the same.
    """
    if units == "nats":
        specific, shared = F.normalize(specific, dim=1), F.normalize(shared, dim=1)
    return F.normalize(torch.cat([specific, shared], dim=1), dim=1)


def _dependence(view: View, objective: SpecificObjective) -> Tensor:
    if objective.units == "authors":
        return authors_orthogonality(view.shared, view.specific)
    return PENALTIES[objective.penalty](F.normalize(view.shared, dim=1), F.normalize(view.specific, dim=1))


class DisentangledModel(nn.Module):
    """Two shared encoders and two specific ones, for any two modalities.

    A shared encoder maps inputs to (N, D); a specific encoder maps inputs and the own shared code, as
    condition, to (N, E). Step 1 trains the former, step 2 the latter with the former frozen.
    """

    def __init__(self, shared: tuple[nn.Module, nn.Module], specific: tuple[nn.Module, nn.Module],
                 shared_objective: SharedObjective, specific_objective: SpecificObjective):
        super().__init__()
        self.shared_encoders = nn.ModuleList(shared)
        self.specific_encoders = nn.ModuleList(specific)
        self.shared_objective = shared_objective
        self.specific_objective = specific_objective

    def shared(self, modality: int, inputs: Any) -> Tensor:
        """(N, D) unit vectors: mean directions of the posterior."""
        return F.normalize(self.shared_encoders[modality](inputs).float(), dim=1)

    def addable(self, modality: int, inputs: Any) -> Tensor:
        """(N, D) shared codes as those of a well's inputs are added up: of unit length, or of their weight's.

        An encoder that attends gives each input a weight (see `encoders.attention`); all others count alike.
        """
        code = self.shared_encoders[modality](inputs).float()
        return code if self.attends(modality) else F.normalize(code, dim=1)

    def attends(self, modality: int) -> bool:
        """Whether a modality's shared encoder weighs its inputs."""
        return bool(getattr(self.shared_encoders[modality], "attends", False))

    def specific(self, modality: int, inputs: Any) -> Tensor:
        """(N, E) unit vectors of the specific representation."""
        return self.view(modality, inputs, unit=True).specific

    def step_1(self, input_1: Any, input_2: Any, groups: Tensor | None = None,
               generator: torch.Generator | None = None, kappas: tuple[Tensor, Tensor] | None = None,
               weights: PairWeights | None = None) -> LossParts:
        """Loss of the shared encoders on a minibatch of pairs."""
        raw_1, raw_2 = (encoder(x) for encoder, x in zip(self.shared_encoders, (input_1, input_2), strict=True))
        return shared_loss(raw_1, raw_2, self.shared_objective, groups, generator, kappas, weights)

    def step_2(self, views_1: tuple[Any, Any], views_2: tuple[Any, Any],
               groups: tuple[Tensor | None, Tensor | None] = (None, None)) -> LossParts:
        """Loss of the specific encoders on two views of each modality; the shared encoders get no gradient."""
        unit = self.specific_objective.units == "nats"
        first = (self.view(0, views_1[0], unit), self.view(0, views_1[1], unit))
        second = (self.view(1, views_2[0], unit), self.view(1, views_2[1], unit))
        return specific_loss(first, second, self.specific_objective, groups)

    def freeze_shared(self) -> None:
        """Shared encoders keep their weights from now on and stay in evaluation mode (no dropout in the condition)."""
        self.shared_encoders.requires_grad_(False)
        self.shared_encoders.eval()

    def train(self, mode: bool = True) -> "DisentangledModel":
        """Training mode, for what is not frozen."""
        super().train(mode)
        if not any(p.requires_grad for p in self.shared_encoders.parameters()):
            self.shared_encoders.eval()
        return self

    def view(self, modality: int, inputs: Any, unit: bool = True) -> View:
        """Specific and frozen shared code of the inputs: unit vectors, or raw as the authors use them."""
        with torch.no_grad():
            shared = self.shared_encoders[modality](inputs).float()
            if unit:
                shared = F.normalize(shared, dim=1)
        specific = self.specific_encoders[modality](inputs, shared).float()
        return View(F.normalize(specific, dim=1) if unit else specific, shared)
