"""DMVAE: a multimodal variational autoencoder with private and shared latents."""

from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from dssl_bio.learning.disentangled import LossParts
from dssl_bio.learning.encoders.encoder import mlp
from dssl_bio.learning.two_view_method import MethodOptions, TwoViewMethod
from dssl_bio.learning.two_view_training import Minibatch


class DMVAEOptions(MethodOptions):
    """a weighs the divergences against the mean squared reconstruction error.

    The error is a mean over the coordinates and the divergence a sum, hence small values of a. With
    `swapped_divergence` the second divergence pairs the mean of one modality with the variance of the other, as
    the re-implementation in arXiv 2410.23996 does; `prior_expert` adds the prior to the product of experts, as
    published.
    """

    a: float = Field(1e-5, ge=0)
    prior_expert: bool = True
    swapped_divergence: bool = False


class Gaussian(NamedTuple):
    """Diagonal Gaussians, (N, D) each."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """One reparameterised draw a row."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + (self.log_variance / 2).exp() * noise

    def divergence(self) -> Tensor:
        """KL to the standard normal, summed over dimensions, mean over rows, in nats."""
        kl = (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance) / 2
        return kl.sum(1).mean()


def product_of_experts(one: Gaussian, two: Gaussian, prior_expert: bool = True) -> Gaussian:
    """The normalised product of two Gaussians, and of the standard normal if asked for."""
    precision = [(-g.log_variance).exp() for g in (one, two)]
    total = precision[0] + precision[1] + float(prior_expert)
    mean = (precision[0] * one.mean + precision[1] * two.mean) / total
    return Gaussian(mean, -total.log())


class DMVAE(TwoViewMethod):
    """Lee and Pavlovic 2021 (CVPR workshops, arXiv 2012.13024): private latents, a shared one by product of experts.

    Reconstructions from the product and from each modality's own and the other's shared latent.
    """

    Options: ClassVar[type[MethodOptions]] = DMVAEOptions
    name = "dmvae"

    def build(self) -> None:
        """An encoder of four heads and a decoder for each modality."""
        options = self.options
        self.encoders = nn.ModuleList([self.network(m, out_dim=4 * options.dim) for m in (0, 1)])
        hidden = [options.hidden] * (options.layers - 1)
        self.decoders = nn.ModuleList([mlp(2 * options.dim, *hidden, self.width(m)) for m in (0, 1)])

    def posterior(self, modality: int, inputs: Tensor) -> tuple[Gaussian, Gaussian]:
        """Shared and private posterior of one modality alone."""
        mean_c, log_c, mean_s, log_s = self.encoders[modality](inputs).chunk(4, dim=1)
        return Gaussian(mean_c, log_c.clamp(-15, 15)), Gaussian(mean_s, log_s.clamp(-15, 15))

    def codes(self, modality: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior means."""
        shared, private = self.posterior(modality, inputs)
        return shared.mean, private.mean

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """Reconstruction from the product, cross-reconstruction, and the divergences."""
        options: DMVAEOptions = self.options
        x = [views[0] for views in batch.views]
        shared, private = zip(*(self.posterior(m, x[m]) for m in (0, 1)), strict=True)
        product = product_of_experts(shared[0], shared[1], options.prior_expert)
        z_private = [p.sample(batch.generator) for p in private]
        z_product = product.sample(batch.generator)
        z_shared = [c.sample(batch.generator) for c in shared]
        own = self._error(x, z_private, [z_product, z_product])
        crossed = self._error(x, z_private, z_shared[::-1])
        divergence = private[0].divergence() + private[1].divergence() + 2 * product.divergence()
        variances = [c.log_variance for c in shared]
        if options.swapped_divergence:
            variances = variances[::-1]
        for gaussian, log_variance in zip(shared, variances, strict=True):
            divergence = divergence + Gaussian(gaussian.mean, log_variance).divergence()
        return LossParts.of(reconstruction=own, cross_reconstruction=crossed, divergence=options.a * divergence)

    def _error(self, x: list[Tensor], private: list[Tensor], shared: list[Tensor]) -> Tensor:
        errors = [F.mse_loss(decoder(torch.cat([s, c], dim=1)), inputs.flatten(1))
                  for decoder, inputs, s, c in zip(self.decoders, x, private, shared, strict=True)]
        return errors[0] + errors[1]
