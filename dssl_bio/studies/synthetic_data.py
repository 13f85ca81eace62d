"""The synthetic pairs of arXiv 2410.23996: shared and specific latents are known, and so are labels of each."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

LATENT, WIDTH, LABEL_HIDDEN = 50, 100, 100
LATENT_VARIANCE, LABEL_NOISE = 0.5, 0.1
LABELS = ("Y_s1", "Y_c", "Y_s2")
TRAIN_SHARE = 0.8


@dataclass(frozen=True)
class SyntheticPairs:
    """N pairs of views with what they were made of.

    Attributes:
        x1: (N, 100) first view, from the latents specific_1 and shared.
        x2: (N, 100) second view, from specific_2 and shared.
        labels: (N, 3) 0 or 1: of specific_1, of shared, of specific_2; each half ones.
        shared: (N, 50).
        specific_1: (N, 50).
        specific_2: (N, 50).
        train: rows of the training split, in its order.
        test: rows of the test split.
    """

    x1: NDArray[np.float32]
    x2: NDArray[np.float32]
    labels: NDArray[np.int64]
    shared: NDArray[np.float64]
    specific_1: NDArray[np.float64]
    specific_2: NDArray[np.float64]
    train: NDArray[np.int64]
    test: NDArray[np.int64]


@lru_cache(maxsize=2)
def synthetic_pairs(n: int, noise: float = 0.0, seed: int = 0) -> SyntheticPairs:
    """The released generator, with its order of draws, so that one seed gives the authors' very numbers.

    Latents are N(0, 0.5) in 50 dimensions each; x1 = [specific_1, shared] T1 and x2 = [specific_2, shared] T2 with
    entries of T uniform in (-1, 1). T is invertible, so the shared latent is a function of each view and the
    minimum necessary information is attainable. With `noise` each view sees its own noisy copy of
    the shared latent instead, and it is not.

    Args:
        n: pairs.
        noise: standard deviation of what is added to the shared latent, independently for each view.
        seed: of NumPy's state; networks that make the labels have their own seeds 0, 1, 2.
    """
    random = np.random.RandomState(seed)  # the legacy state, as the released generator's
    scale = np.sqrt(LATENT_VARIANCE)
    shared, specific_1, specific_2 = (scale * random.standard_normal((n, LATENT)) for _ in range(3))
    seen_1, seen_2 = shared, shared
    if noise > 0:
        apart = np.random.default_rng(seed + 1)
        seen_1, seen_2 = (shared + noise * apart.normal(size=shared.shape) for _ in range(2))
    x1 = np.hstack([specific_1, seen_1]) @ random.uniform(-1.0, 1.0, (2 * LATENT, WIDTH))
    x2 = np.hstack([specific_2, seen_2]) @ random.uniform(-1.0, 1.0, (2 * LATENT, WIDTH))
    labels = [_labels(latent, number, random) for number, latent in enumerate((specific_1, shared, specific_2))]
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0)).numpy()
    n_train = int(TRAIN_SHARE * n)
    return SyntheticPairs(x1.astype(np.float32), x2.astype(np.float32), np.stack(labels, axis=1),
                          shared, specific_1, specific_2, order[:n_train], order[n_train:])


def _labels(latent: NDArray[np.float64], seed: int, random: np.random.RandomState) -> NDArray[np.int64]:
    """1 above the median of a random network's noisy output."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(LATENT, LABEL_HIDDEN), nn.ReLU(), nn.Linear(LABEL_HIDDEN, 1))
        for layer in network:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
    with torch.no_grad():
        score = network(torch.as_tensor(latent, dtype=torch.float32)).numpy().astype(np.float64)
    score = (score + random.normal(0, LABEL_NOISE, score.shape))[:, 0]
    return (score >= np.median(score)).astype(np.int64)
