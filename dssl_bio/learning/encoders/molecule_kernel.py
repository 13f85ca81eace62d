"""Tanimoto-kernel features: similarities to training molecules, whitened (a Nystroem map)."""

import torch
from torch import Tensor, nn

from dssl_bio.learning.inputs import MoleculeBatch


def min_max_tanimoto(a: Tensor, b: Tensor) -> Tensor:
    """Min-max Tanimoto similarity of count fingerprints: sum min(a, b) / sum max(a, b), (N, M); 0 where both are empty.

    Counts are whole numbers, so min(a, b) is the number of levels t = 1, 2, ... that both reach, and its sum over bits
    a product of matrices of zeros and ones for each level; few bits reach more than the first levels.
    sum max(a, b) = sum a + sum b - sum min(a, b).
    """
    totals = a.sum(1)[:, None] + b.sum(1)[None, :]
    shared = torch.zeros_like(totals)
    if not shared.numel():
        return shared
    highest, level = torch.minimum(a.amax(0), b.amax(0)), 1
    while (reached := highest >= level).any():
        a, b, highest = a[:, reached], b[:, reached], highest[reached]
        shared += (a >= level).to(totals.dtype) @ (b >= level).to(totals.dtype).T
        level += 1
    return shared / (totals - shared).clamp_min(1e-12)


class KernelTrunk(nn.Module):
    """Nystroem features of the min-max Tanimoto kernel on count-Morgan fingerprints (Williams and Seeger, NIPS 2000).

    phi(x) = k(x, landmarks) V diag(1 / sqrt(eigenvalue)), so that phi(x) . phi(y) approximates k(x, y);
    then each coordinate is divided by its eigenvalue's square root once more (`whitening` 1) or not (0).
    Landmarks are training molecules only; they and the projection are buffers, saved with the weights.
    """

    needs = frozenset({"fingerprint"})
    landmarks: Tensor
    projection: Tensor

    def __init__(self, n_landmarks: int, n_components: int, n_bits: int, dropout: float = 0.2):
        super().__init__()
        self.out_features = n_components
        self.register_buffer("landmarks", torch.zeros(n_landmarks, n_bits))
        self.register_buffer("projection", torch.zeros(n_landmarks, n_components))
        self.dropout = nn.Dropout(dropout)

    def fit(self, fingerprints: Tensor, whitening: float = 1.0) -> None:
        """Sets landmarks (n_landmarks, n_bits) and the projection to the leading eigenvectors of their kernel.

        Raises:
            ValueError: the fingerprints do not have the shape that was declared.
        """
        if fingerprints.shape != self.landmarks.shape:
            raise ValueError(f"expected landmarks {tuple(self.landmarks.shape)}, got {tuple(fingerprints.shape)}")
        self.landmarks.copy_(fingerprints)
        kernel = min_max_tanimoto(self.landmarks, self.landmarks).double()
        values, vectors = torch.linalg.eigh(kernel)
        values, vectors = values.flip(0)[: self.out_features], vectors.flip(1)[:, : self.out_features]
        # Directions of vanishing eigenvalue are noise: their scale is capped at that of 1e-4 of the first.
        scale = values.clamp_min(1e-4 * values[0]) ** (-(1 + whitening) / 2)
        unit_variance = len(self.landmarks) ** (whitening / 2)
        self.projection.copy_((vectors * scale * unit_variance).float())

    def forward(self, molecules: MoleculeBatch) -> Tensor:
        """(N, n_components) features of N molecules."""
        if molecules.fingerprint is None:
            raise ValueError("the kernel needs fingerprints, and the minibatch has none")
        similarity = min_max_tanimoto(molecules.fingerprint.float(), self.landmarks)
        return self.dropout(similarity @ self.projection)
