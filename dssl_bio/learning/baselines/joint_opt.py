"""Joint optimisation of shared and specific codes, in one stage."""

from typing import ClassVar

import torch
from pydantic import Field
from torch.nn import functional as F

from dssl_bio.learning.baselines.conditional import ConditionalPair
from dssl_bio.learning.disentangled import LossParts, SpecificObjective, Units, View, specific_loss
from dssl_bio.learning.distributions import MAX_KAPPA, MIN_KAPPA, sample_vmf
from dssl_bio.learning.losses.infonce import infonce
from dssl_bio.learning.two_view_method import MethodOptions
from dssl_bio.learning.two_view_training import Minibatch


class JointOptOptions(MethodOptions):
    """a weighs the specific against the shared contrast, lambda the dependence."""

    a: float = Field(1.0, ge=0)
    lambda_: float = Field(1.0, ge=0, alias="lambda")
    kappa: float = Field(1000.0, ge=MIN_KAPPA, le=MAX_KAPPA)
    units: Units = "authors"

    model_config = {"populate_by_name": True, "extra": "forbid", "frozen": True}


class JointOpt(ConditionalPair):
    """Shared and exclusive codes at once (after Sanchez, Serrurier and Ortner 2020, ECCV), as arXiv 2410.23996 does.

    L = 2 L_shared / (1 + a) + a L_specific / (1 + a) + lambda * dependence, where L_shared is the mean InfoNCE
    of sampled shared codes over two views and the other terms are those of step 2 with nothing detached.
    """

    Options: ClassVar[type[MethodOptions]] = JointOptOptions
    name = "joint_opt"

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """The three weighted terms."""
        options: JointOptOptions = self.options
        first, second = self.encoded(batch)
        return joint_loss(first, second, options, batch.generator)


def joint_loss(first: tuple[View, View], second: tuple[View, View], options: JointOptOptions,
               generator: torch.Generator | None = None) -> LossParts:
    """JointOpt's loss from two views of each modality."""
    shared = torch.zeros((), device=first[0].shared.device)
    for one, two in zip(first, second, strict=True):
        codes = sample_vmf(F.normalize(torch.cat([one.shared, two.shared]), dim=1), options.kappa, generator)
        n = len(one.shared)
        shared = shared + infonce(codes[:n], codes[n:], options.temperature) / 2
    objective = SpecificObjective(lambda_=options.lambda_, temperature=options.temperature, units=options.units)
    specific = specific_loss(first, second, objective).terms
    share = 1 / (1 + options.a)
    return LossParts.of(shared=2 * share * shared, specific=options.a * share * specific["infonce"],
                        dependence=specific["dependence"])
