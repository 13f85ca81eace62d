"""Five-channel tiles: a small residual CNN."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two 3x3 convolutions with group normalisation around a residual path; halves height and width."""

    def __init__(self, width_in: int, width_out: int):
        super().__init__()
        self.first = nn.Conv2d(width_in, width_out, 3, stride=2, padding=1, bias=False)
        self.second = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.GroupNorm(8, width_out) for _ in range(2))
        self.skip = nn.Conv2d(width_in, width_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width_in, H, W) to (N, width_out, H/2, W/2)."""
        h = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(h)) + self.skip(F.avg_pool2d(x, 2, ceil_mode=True)))


class CnnTrunk(nn.Module):
    """Residual blocks over a tile, then mean and standard deviation over places, standardised.

    The standard deviation keeps what a mean over many cells washes out. Inside, GroupNorm: a site's features do not
    depend on its minibatch. What leaves is standardised by the statistics of training minibatches, because wells
    differ by a small part of what all wells have in common, and a head cannot see that part otherwise; in evaluation
    mode, which frozen encoders stay in, those statistics are constants.
    """

    def __init__(self, channels: int = 5, width: int = 32, blocks: int = 3):
        super().__init__()
        widths = [width * 2 ** min(i + 1, 2) for i in range(blocks)]
        # A stem of stride 4: the full resolution would cost two thirds of the time.
        self.stem = nn.Conv2d(channels, width, 7, stride=4, padding=3)
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in zip([width, *widths], widths, strict=False)))
        self.out_features = 2 * widths[-1] + 2 * channels
        self.standardised = nn.BatchNorm1d(self.out_features, affine=False)

    def forward(self, tiles: Tensor) -> Tensor:
        """(N, out_features) features of tiles (N, C, H, W), scaled to about [0, 1]."""
        h = self.blocks(self.stem(tiles.contiguous(memory_format=torch.channels_last) - 0.25)).flatten(2)
        raw = tiles.flatten(2)  # brightness and contrast by channel, which normalised feature maps lose
        parts = [h.mean(2), h.float().var(2).clamp_min(1e-6).sqrt(), raw.mean(2), raw.std(2)]
        return self.standardised(torch.cat([part.float() for part in parts], dim=1))
