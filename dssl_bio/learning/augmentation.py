"""Augmentation of plain feature vectors, as in the synthetic study of arXiv 2410.23996."""

from collections.abc import Callable

import torch
from torch import Tensor

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def noise_or_drop(x: Tensor, generator: torch.Generator, noise: float = 0.01, dropped: int = 10) -> Tensor:
    """Of each row one of three, with equal chance: Gaussian noise added, `dropped` coordinates set to 0, or itself.

    Args:
        x: (N, D).
        generator: source of randomness, on the device of x.
        noise: standard deviation of the noise.
        dropped: coordinates dropped, without replacement; a tenth of D where D is below 100.
    """
    n, width = x.shape
    choice = torch.randint(3, (n,), generator=generator, device=x.device)
    changed = x.clone()
    noised, thinned = (choice == 0).nonzero()[:, 0], (choice == 1).nonzero()[:, 0]
    changed[noised] += noise * torch.randn(len(noised), width, generator=generator, device=x.device, dtype=x.dtype)
    count = min(dropped, max(1, width // 10))
    keys = torch.rand(len(thinned), width, generator=generator, device=x.device)
    changed[thinned[:, None], keys.topk(count, dim=1, sorted=False).indices] = 0
    return changed


def unchanged(x: Tensor, generator: torch.Generator) -> Tensor:
    """The row itself."""
    return x


AUGMENTATIONS: dict[str, Augmentation] = {"noise_or_drop": noise_or_drop, "unchanged": unchanged}
