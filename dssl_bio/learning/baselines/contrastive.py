"""Methods that learn one shared code by contrast: CLIP, SigLIP and CLOOB."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dssl_bio.learning.disentangled import LossParts
from dssl_bio.learning.losses.cloob import cloob
from dssl_bio.learning.losses.infonce import infonce
from dssl_bio.learning.losses.siglip import siglip
from dssl_bio.learning.two_view_method import MethodOptions, TwoViewMethod
from dssl_bio.learning.two_view_training import Minibatch


class SharedOnly(TwoViewMethod):
    """One encoder a modality, and no specific code."""

    def build(self) -> None:
        """The two encoders."""
        self.encoders = nn.ModuleList([self.network(0), self.network(1)])

    def codes(self, modality: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's output and an empty specific code."""
        shared = self.encoders[modality](inputs)
        return shared, shared[:, :0]

    def raw(self, batch: Minibatch) -> tuple[Tensor, Tensor]:
        """Outputs of both encoders for a minibatch, of any length."""
        first, second = batch.views
        return self.encoders[0](first[0]), self.encoders[1](second[0])

    def directions(self, batch: Minibatch) -> tuple[Tensor, Tensor]:
        """Unit outputs of both encoders for a minibatch."""
        first, second = self.raw(batch)
        return F.normalize(first, dim=1), F.normalize(second, dim=1)


class CLIP(SharedOnly):
    """Symmetric InfoNCE between the modalities (Radford et al. 2021, arXiv 2103.00020); SimCLR across views."""

    name = "clip"

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """InfoNCE of the two codes."""
        return LossParts.of(infonce=infonce(*self.directions(batch), self.options.temperature))


class SigLIP(SharedOnly):
    """Pairwise sigmoid loss with learned scale and bias (Zhai et al. 2023, arXiv 2303.15343)."""

    name = "siglip"

    def build(self) -> None:
        """The encoders, log scale ln 10 and bias -10 as published."""
        super().build()
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-10.0))

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """Sigmoid loss of all pairs."""
        return LossParts.of(siglip=siglip(*self.directions(batch), self.log_scale.exp(), self.bias))


class CLOOBOptions(MethodOptions):
    """CLOOB's constants, as published."""

    inverse_temperature: float = 30.0
    hopfield_scale: float = 8.0


class CLOOB(SharedOnly):
    """InfoLOOB on Hopfield-retrieved codes (Fuerst et al. 2022, arXiv 2110.11316)."""

    Options: ClassVar[type[MethodOptions]] = CLOOBOptions
    name = "cloob"

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """CLOOB's loss."""
        options: CLOOBOptions = self.options
        return LossParts.of(cloob=cloob(*self.directions(batch), options.inverse_temperature, options.hopfield_scale))
