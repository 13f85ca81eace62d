import pytest
import torch
from torch import nn

from dssl_bio.learning.decoders.flow import Velocity, as_pixels, centred, flow_loss, followed


class Known(nn.Module):
    """A velocity that is known: x itself where the shared part counts, a constant where it does not."""

    def forward(self, x, time, shared, specific, known):
        return torch.where(known[:, None, None, None] > 0, x, torch.full_like(x, 2.0))


def small_velocity(seed=0):
    torch.manual_seed(seed)
    velocity = Velocity(2, 6, 3, width=8).eval()
    for parameter in velocity.parameters():  # untrained, the last layer gives nothing
        nn.init.normal_(parameter, std=0.1)
    return velocity


def codes(n):
    generator = torch.Generator().manual_seed(1)
    return (nn.functional.normalize(torch.randn(n, width, generator=generator), dim=1) for width in (6, 3))


def test_the_equation_is_followed_as_its_solution_says():
    x = torch.rand(2, 2, 8, 8)
    found = followed(Known(), x, torch.zeros(2, 6), torch.zeros(2, 3), start=0.0, stop=1.0, steps=50)
    assert torch.allclose(found, x * torch.e, rtol=1e-3)


def test_guidance_exaggerates_what_the_shared_part_adds():
    x = torch.zeros(1, 2, 8, 8)
    found = followed(Known(), x, torch.zeros(1, 6), torch.zeros(1, 3), start=0.0, stop=0.001, steps=1, guidance=3.0)
    assert torch.allclose(found, torch.full_like(x, 0.001 * (2 + 3 * (0 - 2))), atol=1e-5)


def test_there_and_back_is_the_picture_again():
    velocity, x = small_velocity(), centred(torch.rand(2, 2, 16, 16))
    shared, specific = codes(2)
    noise = followed(velocity, x, shared, specific, start=1.0, stop=0.0, steps=20)
    again = followed(velocity, noise, shared, specific, start=0.0, stop=1.0, steps=20)
    assert (noise - x).abs().max() > 0.1
    assert torch.allclose(again, x, atol=1e-2)


def test_a_rows_velocity_does_not_depend_on_the_others():
    velocity, x = small_velocity(), torch.randn(3, 2, 16, 16)
    shared, specific = codes(3)
    time, known = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([1.0, 0.0, 1.0])
    whole = velocity(x, time, shared, specific, known)
    for row in range(3):
        one = slice(row, row + 1)
        alone = velocity(x[one], time[one], shared[one], specific[one], known[one])
        assert torch.allclose(alone, whole[one], atol=1e-5)


def test_without_the_shared_part_the_velocity_knows_nothing_of_it():
    velocity, x = small_velocity(), torch.randn(1, 2, 16, 16).expand(2, -1, -1, -1)
    shared, specific = codes(2)
    time, unknown = torch.full((2,), 0.5), torch.zeros(2)
    first, second = velocity(x, time, shared, specific[:1].expand(2, -1), unknown)
    assert torch.allclose(first, second, atol=1e-6)
    first, second = velocity(x, time, shared, specific[:1].expand(2, -1), unknown + 1)
    assert not torch.allclose(first, second, atol=1e-3)


def test_the_loss_falls_when_one_picture_is_learned():
    torch.manual_seed(0)
    velocity, pixels = Velocity(2, 6, 3, width=8), torch.rand(1, 2, 16, 16).expand(16, -1, -1, -1)
    shared, specific = (part.expand(16, -1) for part in codes(1))
    optimizer, losses = torch.optim.Adam(velocity.parameters(), 1e-2), []
    for _ in range(60):
        loss = flow_loss(velocity, pixels, shared, specific, 0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_pixels_go_to_the_networks_scale_and_back():
    pixels = torch.linspace(0, 1.5, 7)
    assert as_pixels(centred(pixels)).tolist() == pytest.approx(pixels.tolist(), abs=1e-6)
