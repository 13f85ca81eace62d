"""Splits by molecule: no molecule, and no stereoisomer of one, stands on both sides."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dssl_bio.errors import ScreenError

SplitName = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")


def split_by_group(groups: NDArray[np.str_], fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
                   seed: int = 0) -> NDArray[np.str_]:
    """Train, valid or test for each molecule, whole groups together.

    Groups (a scaffold, a block of identifiers, or the molecule itself) are shuffled, and each goes to the
    split that is furthest below its share, so that a few large groups cannot starve a split.

    Args:
        groups: (M,) group of each molecule.
        fractions: shares of train, valid and test; they sum to 1.

    Returns:
        (M,) split of each molecule.

    Raises:
        ScreenError: fewer groups than splits with a share.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions must be non-negative and sum to 1, got {fractions}")
    names, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    wanted = np.array(fractions) * len(groups)
    if len(names) < np.count_nonzero(wanted):
        raise ScreenError(f"{len(names)} groups of molecules cannot fill {np.count_nonzero(wanted)} splits")
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]  # large first, so that small ones can balance
    filled = np.zeros(3)
    chosen = np.empty(len(names), dtype=int)
    for group in order:
        open_share = np.where(wanted > 0, (wanted - filled) / np.maximum(wanted, 1e-9), -np.inf)
        chosen[group] = int(np.argmax(open_share))
        filled[chosen[group]] += sizes[group]
    return np.array(SPLITS)[chosen[inverse]]
