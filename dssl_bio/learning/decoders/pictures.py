"""A well's own cells under another treatment: the flow followed back and forth, then brought to what is predicted."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dssl_bio.imaging.intensity import CEILING
from dssl_bio.imaging.retouch import with_statistics
from dssl_bio.learning.decoders.flow import Velocity, as_pixels, centred, followed

Floats = NDArray[np.float32]

CHUNK = 32


def edited(velocity: Velocity, parts: Sequence[Floats], guidance: float, n_steps: int) -> Floats:
    """Pictures (N, C, px, px) under other codes.

    The noise that stands for a well's cells is found backwards under what the well got; forwards from there under
    the same, what the equation's finite steps lose is measured and given back.

    Args:
        velocity: in evaluation mode.
        parts: pictures (N, C, px, px), their own shared (N, D) and specific (N, E) codes, and the wanted ones.
        guidance: see ImageDecoderConfig.
        n_steps: of the midpoint rule, each way.
    """
    drawn = []
    for start in range(0, len(parts[0]), CHUNK):
        rows = [torch.from_numpy(np.array(part[start:start + CHUNK])) for part in parts]
        drawn.append(_edited(velocity, rows, guidance, n_steps))
    return np.concatenate(drawn)


def _edited(velocity: Velocity, parts: Sequence[Tensor], guidance: float, n_steps: int) -> Floats:
    pictures, source, own, shared, given = parts
    x = centred(pictures)
    one_well = len(x) > 1 and bool((x == x[:1]).all() and (source == source[:1]).all())
    n = 1 if one_well else len(x)  # a series over one well takes it apart once
    noise = followed(velocity, x[:n], source[:n], own[:n], start=1.0, stop=0.0, steps=n_steps)
    again = followed(velocity, noise, source[:n], own[:n], start=0.0, stop=1.0, steps=n_steps)
    noise = noise.expand_as(x)
    changed = followed(velocity, noise, shared, given, start=0.0, stop=1.0, steps=n_steps, guidance=guidance)
    return as_pixels(changed + x - again).numpy()


def shown(pictures: Floats, features: Floats, spread: Floats) -> Floats:
    """Pictures (N, C, px, px) that show predicted statistics (N, F), near to those that are given.

    A flow of few steps renders shapes and places; how bright, how sharp and how alike channels are it gets less surely
    than the decoder to features.

    Args:
        pictures: scaled pixels.
        features: in the order of `imaging.statistics.site_statistics`.
        spread: (F,) of the training wells.
    """
    return np.stack([with_statistics(picture, wanted, spread, CEILING) for picture, wanted in
                     zip(pictures, features, strict=True)])
