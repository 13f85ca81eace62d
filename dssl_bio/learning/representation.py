"""What a model says about its inputs: a shared and a modality-specific vector each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SharedSpecific:
    """Representations of N inputs of one modality; rows match the inputs.

    Attributes:
        shared: (N, D) float32, rows of unit length: comparable across modalities by cosine.
        specific: (N, E) float32, rows of unit length: comparable within the modality only.
    """

    shared: NDArray[np.float32]
    specific: NDArray[np.float32]

    def __post_init__(self) -> None:
        if len(self.shared) != len(self.specific):
            raise ValueError(f"shared has {len(self.shared)} rows, specific {len(self.specific)}")

    def __len__(self) -> int:
        return len(self.shared)

    def take(self, rows: NDArray[np.integer]) -> "SharedSpecific":
        """The representations of some of the inputs."""
        return SharedSpecific(self.shared[rows], self.specific[rows])


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows (N, D) scaled to unit length; a row of zeros stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0).astype(np.float32)
