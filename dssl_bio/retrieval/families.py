"""Feature profiles in words: which families of features changed, compared with the screen's other entries."""

import re
from collections.abc import Sequence
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


@dataclass(frozen=True)
class Usual:
    """How much each family of features usually changes in a screen.

    Attributes:
        names: of the K families; a feature without a family stands alone under its own name.
        channels: of the K families.
        codes: (F,) number of each feature's family.
        changes: (M, K) of M entries.
    """

    names: tuple[str, ...]
    channels: tuple[str, ...]
    codes: NDArray[np.int64]
    changes: NDArray[np.float64]

    @classmethod
    def of(cls, features: Sequence[str], typical: NDArray[np.floating]) -> "Usual":
        """From F names and (M, F) profiles of a screen's entries."""
        families = [family_of(feature) for feature in features]
        names = [family.name if family else feature for family, feature in zip(families, features, strict=True)]
        channel = {name: family.channel if family else "" for name, family in zip(names, families, strict=True)}
        codes, unique = pd.factorize(np.array(names, dtype=object))
        return cls(tuple(unique), tuple(channel[name] for name in unique), codes,
                   _root_mean_square(typical, codes, len(unique)))

    def most_changed(self, profile: NDArray[np.floating], n: int = 10) -> pd.DataFrame:
        """See `changed_families`."""
        own = _root_mean_square(profile[None], self.codes, len(self.names))[0]
        counts = np.bincount(self.codes, minlength=len(self.names))
        up = np.bincount(self.codes, weights=profile > 0, minlength=len(self.names)) / counts
        table = pd.DataFrame({
            "family": self.names, "channel": self.channels, "change": own,
            "typical": np.median(self.changes, axis=0), "percentile": 100 * (self.changes < own).mean(0),
            "share_up": up, "n_features": counts,
        })
        ratio = table["change"] / np.maximum(table["typical"], 1e-6)
        order = table.assign(_ratio=ratio).sort_values(["percentile", "_ratio", "family"],
                                                       ascending=[False, False, True])
        return order.head(n).drop(columns="_ratio").reset_index(drop=True)


def changed_families(profile: NDArray[np.floating], features: Sequence[str], typical: NDArray[np.floating],
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
    return Usual.of(features, typical).most_changed(profile, n)


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
