"""GNN and kernel side by side, either of them sometimes silenced while training."""

import torch
from torch import Tensor, nn

from dssl_bio.learning.encoders.molecule_gnn import GineTrunk
from dssl_bio.learning.encoders.molecule_kernel import KernelTrunk
from dssl_bio.learning.inputs import MoleculeBatch


class HybridTrunk(nn.Module):
    """Features of both trunks, joined; in training one branch of a molecule is zeroed with probability `silence`.

    So neither branch can rely on the other, and the stronger one cannot starve the weaker.
    """

    needs = GineTrunk.needs | KernelTrunk.needs

    def __init__(self, gnn: GineTrunk, kernel: KernelTrunk, silence: float = 0.3):
        super().__init__()
        self.gnn, self.kernel, self.silence = gnn, kernel, silence
        self.out_features = gnn.out_features + kernel.out_features

    def forward(self, molecules: MoleculeBatch) -> Tensor:
        """(N, out_features) features of N molecules."""
        branches = [self.gnn(molecules), self.kernel(molecules)]
        if self.training and self.silence > 0:
            draw = torch.rand(len(branches[0]), 1, device=branches[0].device)
            kept = (draw >= self.silence / 2, draw < 1 - self.silence / 2)  # never both silent
            branches = [branch * keep for branch, keep in zip(branches, kept, strict=True)]
        return torch.cat(branches, dim=1)
