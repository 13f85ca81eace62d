"""Five-channel tiles: a small residual CNN."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALES = 3


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


def tile_statistics(tiles: Tensor) -> Tensor:
    """Classical statistics of a tile: brightness, contrast and edges by channel and scale, correlations of channels.

    Args:
        tiles: (N, C, H, W), non-negative.

    Returns:
        (N, C + 2 C SCALES + C (C - 1) / 2): means; for each scale, halved each time, log standard deviation and log
        root mean square of the differences of neighbours; correlations of pairs of channels.
    """
    parts = [tiles.mean((2, 3))]
    at_scale = tiles
    for _ in range(SCALES):
        edges = [at_scale.diff(dim=axis).square().mean((2, 3)) for axis in (2, 3)]
        parts += [at_scale.var((2, 3)).clamp_min(1e-8).log() / 2, (edges[0] + edges[1]).clamp_min(1e-8).log() / 2]
        at_scale = F.avg_pool2d(at_scale, 2)
    centred = (tiles - parts[0][:, :, None, None]).flatten(2)
    unit = centred / centred.norm(dim=2, keepdim=True).clamp_min(1e-6)
    first, second = torch.triu_indices(tiles.shape[1], tiles.shape[1], 1)
    parts.append((unit @ unit.transpose(1, 2))[:, first, second])
    return torch.cat(parts, dim=1)


class CnnTrunk(nn.Module):
    """Residual blocks over a tile, then mean and standard deviation over places, beside the tile's own statistics.

    The standard deviation keeps what a mean over many cells washes out; `tile_statistics` give a network that has seen
    a few thousand tiles the brightness and texture that its normalised feature maps lose. Inside, GroupNorm: a site's
    features do not depend on its minibatch. What leaves is standardised by the statistics of training minibatches,
    because wells differ by a small part of what all wells have in common, and a head cannot see that part otherwise;
    in evaluation mode, which frozen encoders stay in, those statistics are constants.
    """

    def __init__(self, channels: int = 5, width: int = 32, blocks: int = 3):
        super().__init__()
        widths = [width * 2 ** min(i + 1, 2) for i in range(blocks)]
        # A stem of stride 4: the full resolution would cost two thirds of the time.
        self.stem = nn.Conv2d(channels, width, 7, stride=4, padding=3)
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in zip([width, *widths], widths, strict=False)))
        self.out_features = 2 * widths[-1] + channels + 2 * channels * SCALES + channels * (channels - 1) // 2
        self.standardised = nn.BatchNorm1d(self.out_features, affine=False)

    def forward(self, tiles: Tensor) -> Tensor:
        """(N, out_features) features of tiles (N, C, H, W), scaled to about [0, 1]."""
        h = self.blocks(self.stem(tiles.contiguous(memory_format=torch.channels_last) - 0.25)).flatten(2)
        parts = [h.mean(2), h.float().var(2).clamp_min(1e-6).sqrt(), tile_statistics(tiles.float())]
        return self.standardised(torch.cat([part.float() for part in parts], dim=1))
