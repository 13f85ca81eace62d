"""Pictures from (shared, specific): conditional flow matching with a small U-Net.

A picture is carried to noise and noise to a picture by one ordinary differential equation whose velocity depends on
the condition (Lipman et al. 2023, arXiv 2210.02747; straight paths as in Liu et al. 2023, arXiv 2209.03003). The
equation can be followed both ways: backwards under what a well got, it finds the noise that stands for the well's own
cells; forwards from there under another condition, it shows those cells under another molecule.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dssl_bio.learning.encoders.encoder import mlp

CENTRE, SCALE = 0.35, 0.35
"""Pixels scaled by their plate lie mostly in [0, 1]; centred and scaled they have about the spread of the noise."""
GROUPS = 8


class Residual(nn.Module):
    """Two convolutions beside a skip; the condition scales and shifts what lies between them."""

    def __init__(self, width_in: int, width_out: int, condition: int):
        super().__init__()
        self.norms = nn.ModuleList((nn.GroupNorm(GROUPS, width_in), nn.GroupNorm(GROUPS, width_out)))
        self.first = nn.Conv2d(width_in, width_out, 3, padding=1)
        self.second = nn.Conv2d(width_out, width_out, 3, padding=1)
        self.modulate = nn.Linear(condition, 2 * width_out)
        self.skip = nn.Identity() if width_in == width_out else nn.Conv2d(width_in, width_out, 1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(N, width_in, H, W) and (N, condition) to (N, width_out, H, W)."""
        gain, shift = self.modulate(condition)[:, :, None, None].chunk(2, dim=1)
        h = self.norms[1](self.first(F.silu(self.norms[0](x)))) * (1 + gain) + shift
        return self.skip(x) + self.second(F.silu(h))


class Velocity(nn.Module):
    """The velocity of a picture at time t under (shared, specific): a U-Net over squares of two by two pixels.

    Time runs from 0 (noise) to 1 (picture). Without a shared part (`known` false) the velocity is that of pictures
    under any treatment, which guidance needs (Ho and Salimans 2022, arXiv 2207.12598).
    """

    def __init__(self, channels: int, shared_dim: int, specific_dim: int, width: int = 32):
        super().__init__()
        wide, widest, condition = 2 * width, 4 * width, 4 * width
        self.shared_dim, self.specific_dim = shared_dim, specific_dim
        self.time = mlp(32, condition, condition)
        self.of_shared = nn.Linear(shared_dim, condition)
        self.of_specific = nn.Linear(specific_dim, condition) if specific_dim else None
        self.unknown = nn.Parameter(torch.zeros(condition))
        self.join = mlp(condition, condition, condition)
        self.stem = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.down_1 = Residual(width, width, condition)
        self.to_2 = nn.Conv2d(width, wide, 3, stride=2, padding=1)
        self.down_2 = Residual(wide, wide, condition)
        self.to_3 = nn.Conv2d(wide, widest, 3, stride=2, padding=1)
        self.middle = nn.ModuleList(Residual(widest, widest, condition) for _ in range(2))
        self.from_3 = nn.Conv2d(widest, 4 * wide, 1)
        self.up_2 = Residual(2 * wide, wide, condition)
        self.from_2 = nn.Conv2d(wide, 4 * width, 1)
        self.up_1 = Residual(2 * width, width, condition)
        self.out = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, 4 * channels, 3, padding=1))
        nn.init.zeros_(self.out[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor, time: Tensor, shared: Tensor, specific: Tensor, known: Tensor) -> Tensor:
        """Velocity (N, C, H, W).

        Args:
            x: (N, C, H, W) with H and W divisible by 8.
            time: (N,) in [0, 1].
            shared: (N, shared_dim) unit vectors.
            specific: (N, specific_dim) unit vectors.
            known: (N,) 1 where the shared part counts, 0 where it is left out.
        """
        # Unit vectors of many dimensions have small entries; the network wants entries of about 1.
        of_shared = self.of_shared(shared * math.sqrt(max(1, self.shared_dim)))
        of_shared = torch.where(known[:, None] > 0, of_shared, self.unknown.to(of_shared.dtype))
        condition = self.time(waves(time)) + of_shared
        if self.of_specific is not None:
            condition = condition + self.of_specific(specific * math.sqrt(self.specific_dim))
        c = F.silu(self.join(F.silu(condition)))
        one = self.down_1(self.stem(F.pixel_unshuffle(x, 2)), c)
        two = self.down_2(self.to_2(one), c)
        three = self.to_3(two)
        for block in self.middle:
            three = block(three, c)
        two = self.up_2(torch.cat([F.pixel_shuffle(self.from_3(three), 2), two], dim=1), c)
        one = self.up_1(torch.cat([F.pixel_shuffle(self.from_2(two), 2), one], dim=1), c)
        return F.pixel_shuffle(self.out(one), 2)


def waves(time: Tensor) -> Tensor:
    """(N, 32) sines and cosines of times (N,) in [0, 1]."""
    frequencies = torch.exp(torch.linspace(0, math.log(100.0), 16, device=time.device)) * math.pi / 2
    angles = time[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def flow_loss(velocity: nn.Module, pixels: Tensor, shared: Tensor, specific: Tensor, without: float,
              generator: torch.Generator | None = None) -> Tensor:
    """Mean squared error of the velocity on straight paths from noise to pictures.

    Args:
        velocity: a `Velocity`.
        pixels: (N, C, H, W) scaled pixels.
        shared: (N, D).
        specific: (N, E).
        without: share of rows whose shared part is left out.
        generator: of noise, times and what is left out.
    """
    n = len(pixels)
    target = centred(pixels)
    noise = torch.randn(target.shape, generator=generator).to(target)
    time = torch.sigmoid(torch.randn(n, generator=generator)).to(target)  # more in the middle, where it is hard
    known = (torch.rand(n, generator=generator) >= without).to(target)
    t = time[:, None, None, None]
    predicted = velocity((1 - t) * noise + t * target, time, shared, specific, known)
    return F.mse_loss(predicted.float(), target - noise)


def centred(pixels: Tensor) -> Tensor:
    """Scaled pixels on the network's scale."""
    return (pixels - CENTRE) / SCALE


def as_pixels(x: Tensor) -> Tensor:
    """The reverse of `centred`, within what scaled pixels can be."""
    return (x * SCALE + CENTRE).clamp(0, 1.5)


@torch.no_grad()
def followed(velocity: nn.Module, x: Tensor, shared: Tensor, specific: Tensor, *, start: float, stop: float,
             steps: int, guidance: float = 1.0) -> Tensor:
    """Where the equation carries x from one time to another (midpoint rule).

    Args:
        velocity: a `Velocity` in evaluation mode.
        x: (N, C, H, W) on the network's scale.
        shared: (N, D).
        specific: (N, E).
        start: time of x.
        stop: time of the result; earlier than `start` to go back towards the noise.
        steps: of the midpoint rule.
        guidance: 1 follows the condition; more exaggerates what the shared part adds.
    """
    ones = torch.ones(len(x))

    def speed(at: Tensor, time: float) -> Tensor:
        t = torch.full((len(at),), time)
        known = velocity(at, t, shared, specific, ones)
        if guidance == 1:
            return known
        unknown = velocity(at, t, shared, specific, torch.zeros(len(at)))
        return unknown + guidance * (known - unknown)

    length = (stop - start) / steps
    for number in range(steps):
        time = start + number * length
        x = x + length * speed(x + length / 2 * speed(x, time), time + length / 2)
    return x
