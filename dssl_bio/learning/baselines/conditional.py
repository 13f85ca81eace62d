"""Networks that one-stage disentangling baselines share: shared encoders, and specific ones conditioned on them."""

import torch
from torch import Tensor, nn

from dssl_bio.learning.disentangled import View
from dssl_bio.learning.two_view_method import TwoViewMethod
from dssl_bio.learning.two_view_training import Minibatch


class ConditionalPair(TwoViewMethod):
    """c_i = E_i(x_i) and s_i = F_i([x_i ; c_i]), trained together: nothing is detached."""

    views = 2

    def build(self) -> None:
        """Two shared and two specific encoders."""
        dim = self.options.dim
        self.shared_encoders = nn.ModuleList([self.network(0), self.network(1)])
        self.specific_encoders = nn.ModuleList([self.network(m, condition_dim=dim) for m in (0, 1)])

    def codes(self, modality: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Raw outputs of both encoders."""
        shared = self.shared_encoders[modality](inputs)
        return shared, self.specific_encoders[modality](inputs, shared)

    def encoded(self, batch: Minibatch) -> tuple[tuple[View, View], tuple[View, View]]:
        """Both views of both modalities."""
        found: list[tuple[View, View]] = []
        for modality, views in enumerate(batch.views):
            shared, specific = self.codes(modality, torch.cat(views))
            n = len(views[0])
            found.append((View(specific[:n], shared[:n]), View(specific[n:], shared[n:])))
        return found[0], found[1]
