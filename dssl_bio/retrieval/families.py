"""Feature profiles in words: which families of features changed, compared with the screen's other entries."""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.vocabulary import CHANNELS

COMPARTMENTS = ("Cells", "Cytoplasm", "Nuclei", "Image")
SYNONYMS = {
    "hoechst": "DNA", "dapi": "DNA", "dna": "DNA", "er": "ER", "rna": "RNA", "syto": "RNA", "agp": "AGP",
    "phgolgi": "AGP", "golgi": "AGP", "ph": "AGP", "actin": "AGP", "mito": "Mito", "mitochondria": "Mito",
}
"""What laboratories call the five channels in their feature names."""

TYPICAL_ENTRIES = 2_000


@dataclass(frozen=True)
class Family:
    """Features of one compartment, one kind of measurement and one channel.

    Attributes:
        compartment: Cells, Cytoplasm, Nuclei or Image.
        kind: AreaShape, Intensity, Texture, Granularity, RadialDistribution, Correlation, Neighbors ...
        channel: one of the five; two joined by "-" for correlations; empty for shape.
    """

    compartment: str
    kind: str
    channel: str

    @property
    def name(self) -> str:
        """In words, such as `Nuclei, Texture, DNA`."""
        return ", ".join(filter(None, (self.compartment, self.kind, self.channel)))


@lru_cache(maxsize=65_536)
def family_of(feature: str) -> Family | None:
    """The family of a CellProfiler feature name; None for a name of another making (a gene, say)."""
    parts = re.sub(r"(?i)ph_golgi", "PhGolgi", feature).split("_")
    places = [i for i, part in enumerate(parts) if part in COMPARTMENTS]
    if not places or places[0] + 1 >= len(parts):
        return None
    compartment, kind, *rest = parts[places[0]:]
    found = [SYNONYMS[part.lower()] for part in rest if part.lower() in SYNONYMS]
    channels = sorted(set(found), key=CHANNELS.index)
    return Family(compartment, kind, "-".join(channels))


def changed_families(profile: NDArray[np.floating], features: list[str], typical: NDArray[np.floating],
                     n: int = 10) -> pd.DataFrame:
    """The most changed families of one profile.

    A family's change is the root of the mean square of its features' values, so that rises and falls do not cancel;
    `share_up` says how many of them rose. Features without a family each stand alone.

    Args:
        profile: (F,) normalised values.
        features: F names.
        typical: (M, F) profiles of other entries, against which a change is large or usual.
        n: families to give.

    Returns:
        family, channel, change, typical (median over the others), percentile (share of the others that change less),
        share_up, n_features; largest percentile first, then largest ratio to the typical change.
    """
    families = [family_of(feature) for feature in features]
    names = [family.name if family else feature for family, feature in zip(families, features, strict=True)]
    codes, unique = pd.factorize(np.array(names, dtype=object))
    channel = {name: family.channel if family else "" for name, family in zip(names, families, strict=True)}
    own = _root_mean_square(profile[None], codes, len(unique))[0]
    others = _root_mean_square(typical, codes, len(unique))
    counts = np.bincount(codes, minlength=len(unique))
    up = np.bincount(codes, weights=profile > 0, minlength=len(unique)) / counts
    table = pd.DataFrame({
        "family": unique, "channel": [channel[name] for name in unique], "change": own,
        "typical": np.median(others, axis=0), "percentile": 100 * (others < own).mean(0),
        "share_up": up, "n_features": counts,
    })
    ratio = table["change"] / np.maximum(table["typical"], 1e-6)
    order = table.assign(_ratio=ratio).sort_values(["percentile", "_ratio", "family"], ascending=[False, False, True])
    return order.head(n).drop(columns="_ratio").reset_index(drop=True)


def typical_entries(profiles: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """At most 2,000 of a bundle's profiles, the same at every call."""
    if len(profiles) <= TYPICAL_ENTRIES:
        return np.asarray(profiles)
    rows = np.sort(np.random.default_rng(seed).choice(len(profiles), TYPICAL_ENTRIES, replace=False))
    return np.asarray(profiles[rows])


def _root_mean_square(values: NDArray[np.floating], codes: NDArray[np.integer], n: int) -> NDArray[np.float64]:
    """(M, F) values -> (M, n) over the features of each code."""
    membership = np.zeros((len(codes), n))
    membership[np.arange(len(codes)), codes] = 1
    return np.sqrt((np.asarray(values, dtype=float) ** 2) @ (membership / membership.sum(0)))
