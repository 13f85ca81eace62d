"""How far to trust an answer for a molecule: its distance to the training molecules, and what was found that far away.

The expected recall is learned from held-out folds of a benchmark: molecules that a model of the same kind had not seen
are put into bins by their similarity to the nearest training molecule, and each bin says how often the right entry was
among the first ten.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_array, vstack
from scipy.special import betaincinv

from dssl_bio.artefact import verify
from dssl_bio.chem.fingerprints import FINGERPRINT_BITS, count_morgan
from dssl_bio.chem.standardize import Molecule, standardize
from dssl_bio.errors import BundleError, DsslBioError
from dssl_bio.vocabulary import COMPOUND, INCHIKEY, MOLECULE_ID, SMILES

EXPECTED_RECALL = "expected_recall.json"
METHOD, SETTING, DIRECTION = "dssl", "held-out library", "molecule → phenotype"
MOST_BINS, MIN_IN_BIN = 6, 30
LEVEL = 0.95
MOST_COMPARED = 1_000
"""Training molecules that are compared with all others: of 1,000 a share is known within three points."""
PRINTS_AT_ONCE = 4_096
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
    low = 0.0 if hits == 0 else float(betaincinv(hits + 0.5, n - hits + 0.5, tail))
    high = 1.0 if hits == n else float(betaincinv(hits + 0.5, n - hits + 0.5, 1 - tail))
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


@dataclass(frozen=True)
class Applicability:
    """Where a molecule stands among those that the model was trained on.

    Attributes:
        nearest: row of the bundle's molecules that is nearest by structure, other than the molecule itself.
        similarity: Tanimoto to it.
        trained: the molecule itself was trained on: finding it says nothing about unknown ones.
        further: share of training molecules that are further from their own nearest than this one is; small means
            outside of what the model knows.
        words: all of it, and what recall to expect.
    """

    nearest: int
    similarity: float
    trained: bool
    further: float
    words: str


@dataclass(frozen=True)
class Trained:
    """The molecules that a model was trained on, some of them compared with all others: made once, for many questions.

    Attributes:
        places: (T,) rows of the library.
        prints: (T, bits) count-Morgan fingerprints, sparse.
        totals: (T,) sum of each one's counts.
        compared: (R,) which of the T were compared with all others: all of a few, else some at random.
        nearest: (R,) place among the T of each one's nearest other.
        first: (R,) Tanimoto to it.
        second: (R,) Tanimoto to the nearest but one.
    """

    places: NDArray[np.int64]
    prints: csc_array
    totals: NDArray[np.float64]
    compared: NDArray[np.int64]
    nearest: NDArray[np.int64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    @classmethod
    def of(cls, library: pd.DataFrame, most_compared: int = MOST_COMPARED) -> "Trained":
        """From a bundle's molecules; of more than `most_compared` only so many are compared with all others."""
        places = np.flatnonzero(library["split"].isin(["train", "valid"]).to_numpy())
        prints = _prints([Molecule(*values) for values in zip(library[SMILES].iloc[places],
                                                              library[INCHIKEY].iloc[places], strict=True)])
        totals = np.asarray(prints.sum(axis=1), dtype=float).ravel()
        compared = np.arange(len(places))
        if len(places) > most_compared:
            compared = np.sort(np.random.default_rng(0).choice(len(places), most_compared, replace=False))
        nearest, first, second = np.zeros(len(compared), np.int64), np.zeros(len(compared)), np.zeros(len(compared))
        rows = prints.tocsr()
        for number, place in enumerate(compared if len(places) > 1 else []):
            near = _tanimoto(rows[[place]].toarray()[0], prints, totals)
            near[place] = -np.inf
            nearest[number] = near.argmax()
            first[number] = near[nearest[number]]
            near[nearest[number]] = -np.inf
            second[number] = max(near.max(), 0.0)  # of two molecules, neither has another one left
        return cls(places, prints, totals, compared, nearest, first, second)


def applicability(molecule: Molecule, library: pd.DataFrame, expected: ExpectedRecall | None,
                  all_trained: Trained | None = None) -> Applicability:
    """What may be said beforehand about a question.

    Args:
        molecule: what is asked.
        library: a bundle's molecules: Metadata_SMILES, Metadata_InChIKey, molecule_id, split, and names if known.
        expected: of `read_expected`.
        all_trained: of the same library, where several questions are asked.

    Raises:
        BundleError: the library holds no other training molecule.
    """
    known_to_model = all_trained or Trained.of(library)
    trained = library["split"].isin(["train", "valid"]).to_numpy()
    itself = (library[MOLECULE_ID] == molecule.inchikey[:14]).to_numpy()
    others = ~itself[known_to_model.places]
    places = known_to_model.places[others]
    if not len(places):
        raise BundleError("the bundle knows no training molecule to compare with")
    near = _tanimoto(count_morgan(molecule), known_to_model.prints, known_to_model.totals)[others]
    best = int(np.argmax(near))
    # Where the molecule itself is some other's nearest, that one's next nearest counts: it is left out here.
    own = np.where(others[known_to_model.nearest], known_to_model.first, known_to_model.second)
    own = own[others[known_to_model.compared]]
    similarity, further = float(near[best]), float((own < near[best]).mean())
    row = library.iloc[places[best]]
    name = row[COMPOUND] if COMPOUND in library and pd.notna(row[COMPOUND]) else row[SMILES]
    known = bool((trained & itself).any())
    words = f"Nearest training molecule: {name}, Tanimoto {similarity:.2f}; {100 * further:.0f} % of the training " \
            "molecules are further from their own nearest. "
    words += ("The model was trained on this very molecule: that it is found says nothing about unknown ones."
              if known else statement(similarity, expected))
    return Applicability(int(places[best]), similarity, known, further, words)


def trust_lines(queries: Iterable[str], library: pd.DataFrame, expected: ExpectedRecall | None) -> list[str]:
    """One line a question, for those that are structures: `applicability` in words."""
    lines, all_trained = [], Trained.of(library)
    for text in dict.fromkeys(queries):
        try:
            lines.append(f"{text}: {applicability(standardize(text), library, expected, all_trained).words}")
        except DsslBioError:  # an identifier, or a bundle without training molecules: nothing to compare
            continue
    return lines


def _prints(molecules: list[Molecule]) -> csc_array:
    """Count-Morgan fingerprints (T, bits) by columns; made in parts, for a large library's would fill gigabytes."""
    parts = [csc_array(np.array([count_morgan(molecule) for molecule in molecules[start:start + PRINTS_AT_ONCE]],
                                dtype=np.uint16)) for start in range(0, len(molecules), PRINTS_AT_ONCE)]
    return csc_array(vstack(parts)) if parts else csc_array((0, FINGERPRINT_BITS), dtype=np.uint16)


def _tanimoto(counts: NDArray[Any], prints: csc_array, totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Min-max Tanimoto of one fingerprint (bits,) to many, (T,); 0 where both are empty.

    Only the columns of the bits that it has are looked at: sum max(a, b) = sum a + sum b - sum min(a, b).
    """
    bits = np.flatnonzero(counts)
    columns = prints[:, bits]
    smaller = np.minimum(columns.data, np.repeat(counts[bits], np.diff(columns.indptr)))
    shared = np.bincount(columns.indices, weights=smaller, minlength=prints.shape[0])
    return shared / np.maximum(totals + float(counts.sum()) - shared, 1e-12)


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
