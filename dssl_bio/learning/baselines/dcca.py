"""Deep canonical correlation analysis."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from dssl_bio.learning.baselines.contrastive import SharedOnly
from dssl_bio.learning.disentangled import LossParts
from dssl_bio.learning.losses.canonical_correlation import canonical_correlation_loss
from dssl_bio.learning.two_view_method import MethodOptions
from dssl_bio.learning.two_view_training import Minibatch


class DCCAOptions(MethodOptions):
    """A minibatch must hold at least four rows a dimension: correlations are estimated from it alone."""

    minibatch: int = Field(512, ge=2)
    ridge: float = Field(1e-3, gt=0)

    @model_validator(mode="after")
    def enough_rows(self) -> Self:
        """Refuses a minibatch in which correlations would be high by chance."""
        if self.minibatch < 4 * self.dim:
            raise ValueError(f"DCCA needs a minibatch of at least 4 rows a dimension, {4 * self.dim} for dim "
                             f"{self.dim}, got {self.minibatch}")
        return self


class DCCA(SharedOnly):
    """Maximises the summed canonical correlations of both codes (Andrew et al. 2013, ICML)."""

    Options: ClassVar[type[MethodOptions]] = DCCAOptions
    name = "dcca"

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """Minus the sum of canonical correlations."""
        return LossParts.of(correlation=canonical_correlation_loss(*self.raw(batch), self.options.ridge))
