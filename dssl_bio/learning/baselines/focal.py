"""FOCAL: shared and private contrast with geometric orthogonality."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from dssl_bio.learning.baselines.conditional import ConditionalPair
from dssl_bio.learning.disentangled import LossParts, View
from dssl_bio.learning.losses.infonce import infonce
from dssl_bio.learning.two_view_method import MethodOptions
from dssl_bio.learning.two_view_training import Minibatch


class FOCALOptions(MethodOptions):
    """a weighs the private contrast, lambda the orthogonality.

    `orthogonality` is `hinged` as published, max(0, cos), or `cosine` as arXiv 2410.23996 re-implements
    it, which rewards opposite codes.
    """

    a: float = Field(1.0, ge=0)
    lambda_: float = Field(1.0, ge=0, alias="lambda")
    orthogonality: Literal["hinged", "cosine"] = "hinged"

    model_config = {"populate_by_name": True, "extra": "forbid", "frozen": True}


class FOCAL(ConditionalPair):
    """Liu et al. 2023 (NeurIPS, arXiv 2310.20071), without its temporal term: pairs here have no sequence."""

    Options: ClassVar[type[MethodOptions]] = FOCALOptions
    name = "focal"

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """Shared and private contrast and orthogonality, weighted."""
        return focal_loss(*self.encoded(batch), self.options)


def focal_loss(first: tuple[View, View], second: tuple[View, View], options: FOCALOptions) -> LossParts:
    """Sum over views of NCE(c1, c2), a times the private NCE(s_i, s_i'), lambda times six mean cosines."""

    def contrast(x: Tensor, y: Tensor) -> Tensor:
        return infonce(F.normalize(x, dim=1), F.normalize(y, dim=1), options.temperature)

    shared = sum((contrast(one.shared, two.shared) for one, two in zip(first, second, strict=True)), torch.tensor(0.0))
    private = sum((contrast(own[0].specific, own[1].specific) for own in (first, second)), torch.tensor(0.0))
    pairs = [(view.specific, view.shared) for view in (*first, *second)]
    pairs += [(one.specific, two.specific) for one, two in zip(first, second, strict=True)]
    cosines = torch.stack([F.cosine_similarity(x, y, dim=1) for x, y in pairs])
    if options.orthogonality == "hinged":
        cosines = cosines.clamp_min(0)
    return LossParts.of(shared=shared, private=options.a * private,
                        orthogonality=options.lambda_ * cosines.mean(1).sum())
