"""How far to trust an answer for a molecule: its distance to the training molecules, and what was found that far away.

The expected recall is learned from held-out folds of a benchmark: molecules that a model of the same kind had not seen
are put into bins by their similarity to the nearest training molecule, and each bin says how often the right entry was
among the first ten.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta

from dssl_bio.artefact import verify
from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import BundleError

EXPECTED_RECALL = "expected_recall.json"
METHOD, SETTING, DIRECTION = "dssl", "held-out library", "molecule → phenotype"
MOST_BINS, MIN_IN_BIN = 6, 30
LEVEL = 0.95
K = 10


@dataclass(frozen=True)
class Bin:
    """Held-out molecules of one range of similarity to the nearest training molecule.

    Attributes:
        start: smallest similarity.
        stop: largest similarity.
        n_molecules: how many there were.
        recall: share of them with the right entry among the first ten, the mean over seeds.
        low: of its 95 % interval.
        high: of its 95 % interval.
    """

    start: float
    stop: float
    n_molecules: int
    recall: float
    low: float
    high: float


@dataclass(frozen=True)
class ExpectedRecall:
    """Top-10 recall by similarity to the training molecules.

    Attributes:
        bins: by ascending similarity.
        gallery: median number of entries that were searched.
        chance: top-10 recall of a random order in those galleries.
        source: what it was learned from, in words.
    """

    bins: tuple[Bin, ...]
    gallery: float
    chance: float
    source: str

    def at(self, similarity: float) -> Bin:
        """The bin of a similarity; the first or the last one for what lies outside."""
        return next((one for one in self.bins if similarity <= one.stop), self.bins[-1])

    def within(self, similarity: float) -> bool:
        """False for a molecule further away than any that the benchmark asked."""
        return similarity >= self.bins[0].start

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "bins": [asdict(one) for one in self.bins], "k": K, "level": LEVEL}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ExpectedRecall":
        """The reverse of `as_json`."""
        return cls(tuple(Bin(**one) for one in values["bins"]), values["gallery"], values["chance"], values["source"])


def learned(similarity: NDArray[np.floating], hits: NDArray[np.floating], gallery: float, chance: float,
            source: str) -> ExpectedRecall:
    """Bins of equal numbers of molecules.

    Args:
        similarity: (M,) of each held-out molecule to its nearest training molecule.
        hits: (M,) whether its entry was among the first ten, as the mean over seeds.
        gallery: number of entries searched.
        chance: of a random order.
        source: what it was learned from.

    Raises:
        BundleError: fewer molecules than one bin needs.
    """
    n_bins = min(MOST_BINS, len(similarity) // MIN_IN_BIN)
    if n_bins < 1:
        raise BundleError(f"{len(similarity)} held-out molecules in the benchmark; at least {MIN_IN_BIN} are needed to "
                          "say what recall to expect")
    edges = np.quantile(similarity, np.linspace(0, 1, n_bins + 1)[1:-1])
    number = np.searchsorted(edges, similarity, side="left")
    bins = []
    for place in np.unique(number):
        inside = number == place
        low, high = jeffreys(float(hits[inside].sum()), int(inside.sum()))
        bins.append(Bin(float(similarity[inside].min()), float(similarity[inside].max()), int(inside.sum()),
                        float(hits[inside].mean()), low, high))
    return ExpectedRecall(tuple(bins), gallery, chance, source)


def jeffreys(hits: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of a share (Brown, Cai and DasGupta 2001); it reaches 0 or 1 when nothing or everything was a hit."""
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits + 0.5, n - hits + 0.5))
    high = 1.0 if hits == n else float(beta.ppf(1 - tail, hits + 0.5, n - hits + 0.5))
    return low, high


def from_benchmark(folder: Path, method: str = METHOD) -> ExpectedRecall:
    """What a benchmark folder says about a method.

    Raises:
        EvaluationError: not a complete benchmark folder.
        BundleError: the method is not in it, or too few molecules were asked.
    """
    record = verify(folder, "benchmark")
    ranks = pd.read_parquet(folder / "ranks.parquet")
    asked = ranks[(ranks["method"] == method) & (ranks["setting"] == SETTING) & (ranks["direction"] == DIRECTION)
                  & (ranks["seed"] != "ensemble")]
    if not len(asked):
        raise BundleError(f"benchmark {folder} holds no result of {method}; it has "
                          f"{', '.join(map(str, ranks['method'].unique()))}")
    asked = asked.assign(hit=(asked["rank"] <= K).astype(float),
                         chance=np.minimum(1, K * asked["n_right"] / asked["n_entries"]))
    one = asked.groupby(["molecule_id", "fold"], sort=True).agg(
        tanimoto=("tanimoto", "first"), hit=("hit", "mean"), chance=("chance", "mean"))
    source = (f"benchmark on {record['made_from']['screen_name']}: {record['config']['group_by']} folds, "
              f"{len(one)} held-out molecules, {len(record['config']['seeds'])} seeds")
    return learned(one["tanimoto"].to_numpy(float), one["hit"].to_numpy(), float(asked["n_entries"].median()),
                   float(one["chance"].mean()), source)


def read_expected(folder: Path) -> ExpectedRecall | None:
    """What a bundle knows; None when it was indexed without a benchmark."""
    path = folder / EXPECTED_RECALL
    return ExpectedRecall.from_json(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def similarities(molecule: Molecule, others: Sequence[Molecule]) -> NDArray[np.float64]:
    """Count-Morgan min-max Tanimoto (M,) of a molecule to M others."""
    own = count_morgan(molecule).astype(float)
    rest = np.array([count_morgan(other) for other in others], dtype=float).reshape(len(others), len(own))
    return np.minimum(own, rest).sum(1) / np.maximum(np.maximum(own, rest).sum(1), 1e-12)


def statement(similarity: float, expected: ExpectedRecall | None) -> str:
    """What may be expected for a molecule, in words."""
    if expected is None:
        return ("How often the right phenotype is found for molecules this far from the training molecules is not "
                "known: the bundle was indexed without a benchmark.")
    one = expected.at(similarity)
    words = (f"Of {one.n_molecules} held-out molecules with a nearest training molecule at Tanimoto {one.start:.2f} to "
             f"{one.stop:.2f}, {100 * one.recall:.0f} % [{100 * one.low:.0f}, {100 * one.high:.0f}] had their own "
             f"phenotype among the first ten of {expected.gallery:.0f} (chance {100 * expected.chance:.0f} %).")
    if not expected.within(similarity):
        words += " This molecule is further away than any of them: expect less."
    return words
