"""Counterfactual pictures by statistics that they were not brought to: octaves of texture and skewness.

A picture that is brought to predicted statistics shows those; whether its cells look more like the truth is seen in
others, which neither the decoder to features nor the retouching knows.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.evaluation import counterfactual_methods as methods
from dssl_bio.evaluation.counterfactual_errors import compared
from dssl_bio.imaging.statistics import texture_statistics
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.learning.decoders.material import as_floats

Floats = NDArray[np.floating]

BLOCK, CLIP = 256, 8.0


def texture_errors(decoder: Decoder, library: pd.DataFrame, pairs: methods.Pairs, drawn: dict[str, Floats],
                   truth: Floats, changed: NDArray[np.bool_], seed: int) -> pd.DataFrame:
    """Errors of pictures and of baselines in texture statistics, where the truth differs from the well.

    Args:
        decoder: to pictures.
        library: the bundle's molecules.
        pairs: P wells and molecules.
        drawn: pictures (P, C, px, px) by method, ours first: what is compared with the others.
        truth: (P, C, px, px).
        changed: (P,) which pairs count.
        seed: of the bootstrap.

    Returns:
        see `counterfactual_errors.compared`.
    """
    pictures, material = decoder.material.pictures, decoder.material
    assert pictures is not None
    channels = decoder.facts.channels
    own = np.concatenate([texture_statistics(as_floats(pictures[i:i + BLOCK]), channels)[0]
                          for i in range(0, len(pictures), BLOCK)])
    train = own[material.rows("train")].astype(float)
    mean, spread = train.mean(0), np.maximum(train.std(0), 1e-9)
    of_textures = replace(decoder, material=replace(material, features=own))
    untreated = methods.reference(of_textures.material)
    learned = methods.Learned(of_textures, library, untreated)
    found = {name: texture_statistics(np.asarray(values, np.float32), channels)[0] for name, values in drawn.items()}
    found[methods.UNCHANGED] = own[pairs.rows]
    found[methods.NEIGHBOURS] = learned.neighbours(pairs)
    found[methods.SHIFT] = untreated[pairs.rows] + learned.predicted_shift(pairs, spread)
    target = texture_statistics(np.asarray(truth, np.float32), channels)[0]
    standard = {name: np.clip((values - mean) / spread, -CLIP, CLIP) for name, values in {**found, "": target}.items()}
    squares = {name: np.square(standard[name] - standard[""])[changed] for name in found}
    return compared(squares, next(iter(drawn)), pairs.ids[changed], seed)
