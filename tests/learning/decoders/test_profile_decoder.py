import numpy as np
import torch

from dssl_bio.learning.decoders.profile import ProfileDecoder, profile_loss, widening_of


def data(n, seed):
    generator = torch.Generator().manual_seed(seed)
    shared, specific = torch.randn(n, 4, generator=generator), torch.randn(n, 2, generator=generator)
    shared, specific = (torch.nn.functional.normalize(part, dim=1) for part in (shared, specific))
    loud = torch.where(shared[:, :1] > 0, 1.0, 0.1)
    noise = torch.randn(n, 3, generator=generator) * loud
    return shared, specific, 10 + 5 * shared[:, :3] + 3 * specific[:, :1] + noise


def test_mean_and_spread_are_learned():
    torch.manual_seed(0)
    shared, specific, features = data(400, 0)
    decoder = ProfileDecoder(3, 4, 2, hidden=32, dropout=0.0)
    decoder.fit_scale(features)
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-2)
    for _ in range(300):
        loss = profile_loss(decoder, features, shared, specific)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    decoder.eval()
    s, p, y = data(300, 1)
    error = (decoder.decoded(s, p) - y).detach()
    assert error.square().mean() < 0.2 * y.var(0).mean()
    spread = decoder(s, p)[1].exp().detach().mean(1)
    assert spread[s[:, 0] > 0].mean() > 2 * spread[s[:, 0] <= 0].mean()


def test_widened_intervals_hold_the_share_they_say():
    rng = np.random.default_rng(0)
    residuals, spread = torch.from_numpy(rng.standard_t(3, (500, 4))), torch.ones(500, 4)
    factor = widening_of(residuals, spread, 0.9)
    held_out = torch.from_numpy(rng.standard_t(3, (4000, 4)))
    assert torch.allclose((held_out.abs() <= factor).double().mean(0), torch.tensor(0.9).double(), atol=0.04)
    few = torch.tensor([[1.0], [2.0], [3.0]])
    assert widening_of(few, torch.ones(3, 1)).tolist() == [3.0]  # three wells cannot say more than their largest
