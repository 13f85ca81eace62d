"""Random projection: what untrained codes already tell a probe."""

from torch import Tensor, nn

from dssl_bio.learning.disentangled import LossParts
from dssl_bio.learning.two_view_method import TwoViewMethod
from dssl_bio.learning.two_view_training import Minibatch


class RandomProjection(TwoViewMethod):
    """A fixed Gaussian matrix for each modality and code (Johnson and Lindenstrauss 1984): distances are kept."""

    name = "random_projection"
    steps = 0

    def build(self) -> None:
        """Four matrices of variance 1 / dim."""
        dim = self.options.dim
        self.projections = nn.ModuleList()
        for modality in (0, 1, 0, 1):
            layer = nn.Linear(self.width(modality), dim, bias=False)
            nn.init.normal_(layer.weight, std=dim**-0.5)
            self.projections.append(layer.requires_grad_(False))

    def codes(self, modality: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Two projections of the input."""
        flat = inputs.flatten(1)
        return self.projections[modality](flat), self.projections[modality + 2](flat)

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """Nothing is trained."""
        raise NotImplementedError("a random projection is not trained")
