"""Encoders of bags of tiles: their mean direction, or gated attention (Ilse et al. 2018, ICML)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dssl_bio.learning.encoders.encoder import Encoder

ATTENTION_WIDTH = 64
LARGEST_SCORE = 3.0
"""No tile counts more than e^6, about 400 times, as much as another: one tile alone never decides for a well."""


class GatedAttention(nn.Module):
    """Score (N,) of tiles from their features (N, width): w . (tanh(V h) * sigmoid(U h)), bounded by LARGEST_SCORE.

    w begins at zero: all tiles count alike, as in the mean, until training finds that some tell more.
    """

    def __init__(self, width: int):
        super().__init__()
        self.content, self.gate = nn.Linear(width, ATTENTION_WIDTH), nn.Linear(width, ATTENTION_WIDTH)
        self.score = nn.Linear(ATTENTION_WIDTH, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Scores of the tiles."""
        raw = self.score(torch.tanh(self.content(features)) * torch.sigmoid(self.gate(features)))[:, 0]
        return LARGEST_SCORE * torch.tanh(raw / LARGEST_SCORE)


class BagEncoder(Encoder):
    """A shared encoder of tiles and of bags of them.

    With attention the length of a tile's code is its weight, exp(score); without, it is 1.
    What a bag of tiles says is the direction of the sum of their codes: sum_i softmax(score)_i z_i with unit codes z_i,
    whose denominator a direction does not see. So tiles can be added up in any order, in pieces, over the sites of a
    well and over the wells of an entry; training and indexing take the same sum, and its direction is the plain mean's
    where scores are equal, or where there is no attention.
    """

    def __init__(self, trunk: nn.Module, out_dim: int, hidden: int = 256, dropout: float = 0.0, members: int = 1, *,
                 attention: bool):
        super().__init__(trunk, out_dim, hidden, 0, dropout, members)
        self.attends = attention
        self.attention = GatedAttention(int(trunk.out_features)) if attention else None  # type: ignore[arg-type]

    def forward(self, inputs: Any, condition: Tensor | None = None) -> Tensor:
        """Codes (N, out_dim) of single tiles (N, C, H, W), or of bags (N, T, C, H, W) of tiles of N wells."""
        if condition is not None:
            raise ValueError("bags are pooled to shared codes, which have no condition")
        bags = inputs.shape[:2] if inputs.ndim == 5 else None
        features = self.trunk(inputs if bags is None else inputs.flatten(0, 1))
        codes = F.normalize(self.head(features).float(), dim=1)
        if self.attention is not None:
            codes = codes * self.attention(features).float().exp()[:, None]
        return codes if bags is None else codes.unflatten(0, bags).sum(1)
