"""Collapse of the shared representation: all inputs on one direction, which probe accuracy does not see."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

ENOUGH_MINIBATCHES = 200
"""Of fewer it cannot be said whether a code collapsed or was not learned yet."""


class CollapseWarning(UserWarning):
    """The shared representation says (almost) nothing about the pairs."""


@dataclass(frozen=True)
class Collapse:
    """Signs of collapse in one minibatch or epoch.

    Attributes:
        infonce: in nats; ln N when the contrast tells no pair from another.
        log_minibatch: ln N.
        resultant_length: of all directions together: 1 when they are all the same, near 0 when spread out.
    """

    infonce: float
    log_minibatch: float
    resultant_length: float

    NEAR_LOG_N = 0.05
    NEAR_ONE = 0.99

    @property
    def happened(self) -> bool:
        """Whether the contrast is at chance, or all directions point one way."""
        return (self.infonce >= self.log_minibatch - self.NEAR_LOG_N) or self.resultant_length >= self.NEAR_ONE

    @property
    def message(self) -> str:
        """What was seen, and what to do about it."""
        return (f"the shared representation has collapsed: InfoNCE is {self.infonce:.3f} nats, knowing nothing gives "
                f"ln N = {self.log_minibatch:.3f}; the directions of all inputs have resultant length "
                f"{self.resultant_length:.3f} (1 = one direction). Lower beta or the learning rate; linear probes "
                "may still read information out of such a code, retrieval cannot")


def advice(minibatches: int, remedy: str, step: int = 1) -> str:
    """What to do about a code that tells nothing: train on, where there was little training, before the remedy."""
    if minibatches >= ENOUGH_MINIBATCHES:
        return remedy
    number = f"{minibatches} minibatch{'es' if minibatches != 1 else ''}"
    return (f"after {number} it may only not have been learned yet: raise step_{step}.epochs, or lower "
            f"step_{step}.batch_size where there are few wells, to some hundreds of minibatches; "
            f"if that does not help, {remedy}")


def collapse(infonce: float, directions: Tensor) -> Collapse:
    """Signs of collapse from the mean InfoNCE of minibatches of N rows and the directions of one such minibatch.

    Args:
        infonce: in nats, at minibatch size N.
        directions: (N, D) shared representations of one modality, of any length.
    """
    return Collapse(infonce, math.log(len(directions)), resultant_length(directions))


def resultant_length(directions: Tensor) -> float:
    """Length of the mean of unit vectors (N, D), in [0, 1]; N random directions give about 1 / sqrt(N)."""
    return float(F.normalize(directions.detach().float(), dim=1).mean(0).norm())
