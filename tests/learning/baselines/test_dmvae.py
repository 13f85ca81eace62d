import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from dssl_bio.learning.baselines.dmvae import DMVAE, DMVAEOptions, Gaussian, product_of_experts
from dssl_bio.learning.two_view_training import Minibatch


def gaussian(seed, n=6, dim=3):
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = (torch.randn(n, dim, generator=generator, dtype=torch.float64) for _ in range(2))
    return Gaussian(mean, log_variance)


def test_divergence_is_that_of_torch():
    g = gaussian(0)
    normal = Normal(g.mean, (g.log_variance / 2).exp())
    expected = kl_divergence(normal, Normal(torch.zeros_like(g.mean), 1.0)).sum(1).mean()
    assert float(g.divergence()) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("prior_expert", [True, False])
def test_product_of_experts_has_the_moments_of_the_densities_multiplied_on_a_grid(prior_expert):
    one, two = gaussian(0, 1, 1), gaussian(1, 1, 1)
    grid = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    log_density = sum(Normal(g.mean[0, 0], (g.log_variance[0, 0] / 2).exp()).log_prob(grid) for g in (one, two))
    if prior_expert:
        log_density = log_density + Normal(0.0, 1.0).log_prob(grid)
    weight = log_density.softmax(0)
    mean = float((weight * grid).sum())
    variance = float((weight * (grid - mean).square()).sum())
    found = product_of_experts(one, two, prior_expert)
    assert float(found.mean) == pytest.approx(mean, abs=1e-6)
    assert float(found.log_variance.exp()) == pytest.approx(variance, rel=1e-6)


def test_draws_have_the_mean_and_variance_they_should():
    g = Gaussian(torch.full((20_000, 1), 2.0), torch.full((20_000, 1), -1.0))
    z = g.sample(torch.Generator().manual_seed(0))
    assert float(z.mean()) == pytest.approx(2, abs=0.02)
    assert float(z.var().log()) == pytest.approx(-1, abs=0.04)


@pytest.mark.parametrize("swapped", [False, True])
def test_loss_is_reconstruction_swapped_reconstruction_and_divergences_written_out(swapped):
    model = DMVAE(DMVAEOptions(a=0.01, dim=3, hidden=8, minibatch=8, swapped_divergence=swapped, prior_expert=False))
    model.assemble([[5], [4]])
    x = [torch.randn(8, 5), torch.randn(8, 4)]
    with torch.no_grad():
        parts = model.loss(1, Minibatch(([x[0]], [x[1]]), None, torch.Generator().manual_seed(9)))

    generator = torch.Generator().manual_seed(9)
    heads = [model.encoders[m](x[m]).chunk(4, dim=1) for m in (0, 1)]  # mean and log variance, shared then private
    private = [h[2] + (h[3] / 2).exp() * torch.randn(8, 3, generator=generator) for h in heads]
    variance = 1 / sum((-h[1]).exp() for h in heads)
    mean = variance * sum(h[0] / h[1].exp() for h in heads)
    product = mean + variance.sqrt() * torch.randn(8, 3, generator=generator)
    shared = [h[0] + (h[1] / 2).exp() * torch.randn(8, 3, generator=generator) for h in heads]

    def kl(mu, log_variance):
        return float(((mu**2 + log_variance.exp() - 1 - log_variance) / 2).sum() / 8)

    @torch.no_grad()
    def error(m, code):
        return float(F.mse_loss(model.decoders[m](torch.cat([private[m], code], 1)), x[m]))

    assert float(parts.terms["reconstruction"]) == pytest.approx(error(0, product) + error(1, product), rel=1e-5)
    assert float(parts.terms["cross_reconstruction"]) == pytest.approx(error(0, shared[1]) + error(1, shared[0]),
                                                                       rel=1e-5)
    divergence = sum(kl(h[2], h[3]) for h in heads) + 2 * kl(mean, variance.log())
    divergence += sum(kl(heads[m][0], heads[1 - m if swapped else m][1]) for m in (0, 1))
    assert float(parts.terms["divergence"]) == pytest.approx(0.01 * divergence, rel=1e-5)
