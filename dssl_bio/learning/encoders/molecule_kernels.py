"""Features of several kernels side by side: three Tanimoto kernels and a Gaussian one on descriptors."""

import torch
from torch import Tensor, nn

from dssl_bio.chem.kernel_blocks import BITS, BLOCK_WIDTH, N_COUNT_BLOCKS
from dssl_bio.learning.encoders.molecule_kernel import min_max_tanimoto
from dssl_bio.learning.inputs import MoleculeBatch

N_KERNELS = N_COUNT_BLOCKS + 1


class KernelsTrunk(nn.Module):
    """Nystroem features of the kernels of `chem.kernel_blocks`, each its own leading components, joined.

    Descriptors are standardised on the landmarks and compared by exp(-mean squared difference / 2). Landmarks are
    training molecules only; they, the projections and the standardisation are buffers, saved with the weights.
    """

    needs = frozenset({"kernels"})
    landmarks: Tensor
    projection: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, n_landmarks: int, n_components: int, dropout: float = 0.3):
        super().__init__()
        self.out_features = N_KERNELS * n_components
        self.register_buffer("landmarks", torch.zeros(n_landmarks, BLOCK_WIDTH))
        self.register_buffer("projection", torch.zeros(N_KERNELS, n_landmarks, n_components))
        self.register_buffer("centre", torch.zeros(BLOCK_WIDTH - N_COUNT_BLOCKS * BITS))
        self.register_buffer("spread", torch.ones(BLOCK_WIDTH - N_COUNT_BLOCKS * BITS))
        self.dropout = nn.Dropout(dropout)

    def fit(self, blocks: Tensor, whitening: float = 0.0) -> None:
        """Sets landmarks (n_landmarks, BLOCK_WIDTH), standardisation and the projection on each kernel's components.

        Args:
            blocks: of training molecules.
            whitening: 0 leaves the kernels as they are, 1 makes their components equal. In both cases the joined
                features have a standard deviation of 1 over the landmarks.

        Raises:
            ValueError: the blocks do not have the shape that was declared.
        """
        if blocks.shape != self.landmarks.shape:
            raise ValueError(f"expected landmarks {tuple(self.landmarks.shape)}, got {tuple(blocks.shape)}")
        self.landmarks.copy_(blocks)
        values = blocks[:, N_COUNT_BLOCKS * BITS:]
        spread = values.std(0, correction=0)
        self.centre.copy_(values.mean(0))
        self.spread.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))
        n_components = self.projection.shape[2]
        similarities = self._similarities(blocks)
        for number, kernel in enumerate(similarities):
            eigenvalues, vectors = torch.linalg.eigh(kernel.double())
            eigenvalues, vectors = eigenvalues.flip(0)[:n_components], vectors.flip(1)[:, :n_components]
            scale = eigenvalues.clamp_min(1e-4 * eigenvalues[0]) ** (-(1 + whitening) / 2)
            self.projection[number].copy_((vectors * scale).float())
        self.projection /= _projected(similarities, self.projection).std().clamp_min(1e-6)

    def forward(self, molecules: MoleculeBatch) -> Tensor:
        """(N, out_features) features of N molecules, given as blocks or as what `features` made of them before."""
        blocks = molecules.fingerprint
        if blocks is None or blocks.shape[1] not in (BLOCK_WIDTH, self.out_features):
            raise ValueError("the kernels need the blocks of chem.kernel_blocks, and the minibatch has none")
        return self.dropout(blocks if blocks.shape[1] == self.out_features else self.features(blocks.float()))

    def features(self, blocks: Tensor) -> Tensor:
        """(N, out_features) before dropout; nothing in it is learned, so training computes it once."""
        return _projected(self._similarities(blocks), self.projection)

    def _similarities(self, blocks: Tensor) -> list[Tensor]:
        """(N, n_landmarks) similarities to the landmarks by each kernel."""
        places = [slice(i * BITS, (i + 1) * BITS) for i in range(N_COUNT_BLOCKS)]
        found = [min_max_tanimoto(blocks[:, place], self.landmarks[:, place]) for place in places]
        a, b = ((x[:, N_COUNT_BLOCKS * BITS:] - self.centre) / self.spread for x in (blocks, self.landmarks))
        return [*found, torch.exp(-torch.cdist(a, b).square() / a.shape[1] / 2)]


def _projected(similarities: list[Tensor], projections: Tensor) -> Tensor:
    pairs = zip(similarities, projections, strict=True)
    return torch.cat([similarity @ projection for similarity, projection in pairs], dim=1)
