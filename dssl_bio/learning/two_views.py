"""DisentangledSSL on any two views: fit, transform to shared and specific, save, load (arXiv 2410.23996)."""

import math
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from dssl_bio.learning.disentangled import (
    DisentangledModel,
    LossParts,
    Penalty,
    SharedObjective,
    SpecificObjective,
    Units,
)
from dssl_bio.learning.distributions import MAX_KAPPA, MIN_KAPPA
from dssl_bio.learning.two_view_method import MethodOptions, TwoViewMethod
from dssl_bio.learning.two_view_training import Minibatch


class DisentangledOptions(MethodOptions):
    """Settings of both steps; see `SharedObjective` and `SpecificObjective` for what they mean."""

    beta: float = Field(1e-4, ge=0)
    lambda_: float = Field(1.0, ge=0, alias="lambda")
    kappa: float = Field(1000.0, ge=MIN_KAPPA, le=MAX_KAPPA)
    learn_kappa: bool = False
    penalty: Penalty = "cross_covariance"
    units: Units = "nats"
    specific_epochs: int = Field(30, ge=1)

    model_config = {"populate_by_name": True, "extra": "forbid", "frozen": True}

    def epochs_of(self, step: int) -> int:
        """Epochs of a training step (from 1)."""
        return self.epochs if step == 1 else self.specific_epochs

    @classmethod
    def authors(cls, beta: float = 0.1, lambda_: float = 1.0, **others: Any) -> "DisentangledOptions":
        """The released configuration: its loss, its initial weights, its unit of beta and lambda."""
        return cls(beta=beta, lambda_=lambda_, units="authors", init="small_normal", chained_views=True, **others)


class DisentangledSSL(TwoViewMethod):
    """Shared and modality-specific representations of paired data, learned in two steps.

    Works on two arrays (N, ...) with the authors' MLP, or on anything that your own encoders read: `encoder`
    is called as encoder(modality, out_dim, condition_dim) and returns a network that takes (inputs) when
    condition_dim is 0 and (inputs, condition) otherwise.

    Example:
        >>> import numpy as np
        >>> from dssl_bio.learning.two_views import DisentangledOptions, DisentangledSSL
        >>> rng = np.random.default_rng(0)
        >>> common, own_1, own_2 = (rng.normal(size=(512, 4)) for _ in range(3))
        >>> x1, x2 = np.hstack([own_1, common]), np.hstack([common, own_2])
        >>> options = DisentangledOptions(dim=8, minibatch=64, epochs=5, specific_epochs=5, learning_rate=1e-3)
        >>> model = DisentangledSSL(options).fit(x1, x2)
        >>> first, second = model.transform(x1, x2)
        >>> first.shared.shape, second.specific.shape
        ((512, 8), (512, 8))
    """

    Options: ClassVar[type[MethodOptions]] = DisentangledOptions
    name = "disentangled"
    steps = 2

    def build(self) -> None:
        """Two shared encoders, two specific ones conditioned on the own shared code, learned kappas if wished."""
        options: DisentangledOptions = self.options
        step_1 = SharedObjective(beta=options.beta, kappa=options.kappa, temperature=options.temperature,
                                 units=options.units)
        step_2 = SpecificObjective(lambda_=options.lambda_, temperature=options.temperature, penalty=options.penalty,
                                   units=options.units)
        shared = (self.network(0), self.network(1))
        specific = (self.network(0, condition_dim=options.dim), self.network(1, condition_dim=options.dim))
        self.model = DisentangledModel(shared, specific, step_1, step_2)
        if options.learn_kappa:
            self.log_kappas = nn.Parameter(torch.full((2,), math.log(options.kappa)))

    @property
    def kappas(self) -> tuple[Tensor, Tensor] | None:
        """Learned concentrations of the two modalities' posteriors, kept inside the stable range."""
        if not self.options.learn_kappa:
            return None
        one, two = self.log_kappas.double().exp().clamp(1.0, 1e5)
        return one, two

    def n_views(self, step: int) -> int:
        """One view in step 1, two in step 2."""
        return step

    def trained(self, step: int) -> list[nn.Parameter]:
        """The shared encoders (and kappas) in step 1, the specific ones in step 2."""
        if step == 1:
            self.model.shared_encoders.requires_grad_(True)
            own = [self.log_kappas] if self.options.learn_kappa else []
            return [*self.model.shared_encoders.parameters(), *own]
        self.model.freeze_shared()
        return list(self.model.specific_encoders.parameters())

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """Step 1 or step 2 of the method."""
        first, second = batch.views
        if step == 1:
            return self.model.step_1(first[0], second[0], generator=batch.generator, kappas=self.kappas)
        return self.model.step_2((first[0], first[1]), (second[0], second[1]))

    def codes(self, modality: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean of the shared posterior before scaling, and the specific code."""
        with torch.no_grad():
            view = self.model.view(modality, inputs, unit=self.options.units == "nats")
        return view.shared, view.specific

    def renew_specific(self, lambda_: float, penalty: Penalty | None = None, seed: int | None = None) -> None:
        """New specific encoders, for another step 2 on the shared encoders that are there.

        Args:
            lambda_: of the step 2 to come.
            penalty: of the step 2 to come; as before when absent.
            seed: of initial weights, order of pairs and augmentation in step 2; as before when absent.
        """
        changes = {"lambda_": lambda_, "penalty": penalty or self.options.penalty}
        self.model.specific_objective = self.model.specific_objective.model_copy(update=changes)
        self.options = self.options.model_copy(
            update={**changes, "seed": self.options.seed if seed is None else seed})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.options.seed + 1)
            fresh = [self.network(modality, condition_dim=self.options.dim) for modality in (0, 1)]
        self.model.specific_encoders = nn.ModuleList(fresh)
