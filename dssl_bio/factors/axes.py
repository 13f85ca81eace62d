"""Factor axes: directions in a specific space that a person can name, each with its extremes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import SparsePCA
from sklearn.linear_model import RidgeCV

from dssl_bio.artefact import write_json
from dssl_bio.factors.known import Facts
from dssl_bio.factors.matrix import MIN_PER_CLASS, MIN_ROWS

Floats = NDArray[np.floating]

NAMED, COMPONENTS, EXTREMES = 12, 4, 5
LEAST_ABOVE = 0.1
SAME = 0.9
"""Cosine of two directions above which the second says nothing new."""
GRID = 201
SIDES = ("molecule", "phenotype")


@dataclass(frozen=True)
class Axis:
    """A named direction.

    Attributes:
        side: molecule or phenotype.
        name: the factor; for a category with its class; for a component what its extremes have in common.
        kind: `number`, `class` or `component`.
        score: of the cross-validated probe (R2, AUROC), or the share of variance of a component.
        metric: of the score.
        high: keys of rows at the upper end, the furthest first.
        low: keys of rows at the lower end.
    """

    side: str
    name: str
    kind: str
    score: float
    metric: str
    high: tuple[str, ...]
    low: tuple[str, ...]


@dataclass(frozen=True)
class Axes:
    """Axes of one side's specific space.

    Attributes:
        axes: K of them, named ones first, the most decodable before the others.
        centre: (E,) mean of the training set.
        directions: (K, E) of unit length.
        grid: (K, GRID) positions of the training set's quantiles.
    """

    axes: tuple[Axis, ...]
    centre: NDArray[np.float32]
    directions: NDArray[np.float32]
    grid: NDArray[np.float32]

    def percentiles(self, vectors: Floats) -> NDArray[np.float64]:
        """Where vectors (N, E) lie among the training set on each axis, (N, K) from 0 to 100."""
        places = (vectors - self.centre) @ self.directions.T
        result = np.zeros(places.shape)
        for number, quantiles in enumerate(self.grid):
            below = np.searchsorted(quantiles, places[:, number], side="left")
            up_to = np.searchsorted(quantiles, places[:, number], side="right")
            result[:, number] = 100 * (below + up_to) / (2 * len(quantiles))
        return result


def axes_of(side: str, vectors: Floats, facts: Facts, matrix: pd.DataFrame, keys: Sequence[str],
            training: NDArray[np.bool_], n_named: int = NAMED, n_components: int = COMPONENTS, seed: int = 0) -> Axes:
    """Directions of the most decodable factors, then sparse components of what they leave.

    A direction is that of the ridge regression of the factor; the components are those of sparse PCA on the residual,
    named by the factors that correlate most with them.

    Args:
        side: molecule or phenotype.
        vectors: (N, E) specific representations.
        facts: of the same rows.
        matrix: probes of this side's specific representation (rows of `factor_matrix`).
        keys: (N,) of the rows, for the extremes.
        training: (N,) rows that percentiles refer to.
        n_named: at most so many named axes.
        n_components: at most so many sparse components.
        seed: of the components.
    """
    centre = vectors[training].mean(0)
    x = np.asarray(vectors - centre, dtype=float)
    found: list[tuple[str, str, float, str, Floats]] = []
    decodable = matrix[(matrix["above"] >= LEAST_ABOVE) & (matrix["p"] <= 0.05)].sort_values("above", ascending=False)
    for _, row in decodable.drop_duplicates("factor").iterrows():
        if len(found) == n_named:
            break
        for name, kind, direction in _directions(x, facts.table[row["factor"]], str(row["factor"])):
            if len(found) < n_named and all(abs(float(direction @ other[4])) < SAME for other in found):
                found.append((name, kind, float(row["score"]), str(row["metric"]), direction))
    rest = x
    if found:
        basis = np.linalg.qr(np.stack([one[4] for one in found], axis=1))[0]
        rest = x - x @ basis @ basis.T
    numbers = _numbers(facts)
    for direction, share in _sparse(rest, n_components, seed):
        found.append((_described(x @ direction, numbers), "component", share, "share of variance", direction))
    axes, directions, grids = [], [], []
    for name, kind, score, metric, direction in found:
        place = x @ direction
        order = np.argsort(place, kind="stable")
        axes.append(Axis(side, name, kind, score, metric, tuple(keys[i] for i in order[::-1][:EXTREMES]),
                         tuple(keys[i] for i in order[:EXTREMES])))
        directions.append(direction)
        grids.append(np.quantile(place[training], np.linspace(0, 1, GRID)))
    width = vectors.shape[1]
    return Axes(tuple(axes), centre.astype(np.float32), np.array(directions, np.float32).reshape(-1, width),
                np.array(grids, np.float32).reshape(-1, GRID))


def _directions(x: Floats, values: "pd.Series[object]", name: str) -> list[tuple[str, str, Floats]]:
    """Unit directions along which a number rises, or the two most frequent classes stand out."""
    kept = values.notna().to_numpy()
    if kept.sum() < MIN_ROWS:
        return []
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        targets = [(name, "number", values[kept].to_numpy(float))]
    else:
        text = values[kept].astype(str)
        counts = text.value_counts()
        classes = [str(c) for c in counts.index[counts >= MIN_PER_CLASS]][:1 if len(counts) == 2 else 2]
        targets = [(f"{name}: {c}", "class", (text == c).to_numpy(float)) for c in classes]
    result = []
    for label, kind, y in targets:
        direction = RidgeCV(np.logspace(-3, 3, 7)).fit(x[kept], y - y.mean()).coef_
        length = np.linalg.norm(direction)
        if length > 0:
            result.append((label, kind, direction / length))
    return result


def _sparse(rest: Floats, n: int, seed: int) -> list[tuple[Floats, float]]:
    """Sparse components of a residual with their share of its variance, the largest first."""
    total = float(np.square(rest - rest.mean(0)).sum())
    n = min(n, rest.shape[1], len(rest) - 1)
    if n < 1 or total <= 1e-9 * rest.size:
        return []
    model = SparsePCA(n, alpha=0.5, random_state=seed, max_iter=100).fit(rest / np.sqrt(total / rest.size))
    result = []
    for direction in model.components_:
        length = np.linalg.norm(direction)
        if length > 0:
            unit = direction / length
            place = rest @ unit
            unit = unit if np.abs(place.max()) >= np.abs(place.min()) else -unit
            result.append((unit, float(np.square(place - place.mean()).sum() / total)))
    return sorted(result, key=lambda one: -one[1])


def _numbers(facts: Facts) -> pd.DataFrame:
    """Factors that are numbers, with missing values at their mean."""
    own = {name: facts.table[name] for name in facts.table if pd.api.types.is_numeric_dtype(facts.table[name])
           and not pd.api.types.is_bool_dtype(facts.table[name])}
    filled = pd.DataFrame({name: pd.to_numeric(values).fillna(values.mean()) for name, values in own.items()})
    return filled.loc[:, filled.nunique() > 1]


def _described(place: Floats, numbers: pd.DataFrame) -> str:
    """The two factors that correlate most with a position (Spearman), such as `more rings, less logP`."""
    if numbers.empty or np.ptp(place) == 0:
        return "not named by any known factor"
    correlation = numbers.corrwith(pd.Series(place, index=numbers.index), method="spearman").dropna()
    first = correlation.reindex(correlation.abs().sort_values(ascending=False, kind="stable").index)[:2]
    told = [f"{'more' if value > 0 else 'less'} {name}" for name, value in first.items() if abs(value) >= 0.2]
    return ", ".join(told) or "not named by any known factor"


AXES, DIRECTIONS = "axes.json", "axes.safetensors"


def write_axes(folder: Path, sides: Mapping[str, Axes]) -> None:
    """Names and extremes as JSON, directions and quantiles as safetensors."""
    write_json(folder / AXES, {side: [asdict(axis) for axis in axes.axes] for side, axes in sides.items()})
    arrays = {f"{side}.{part}": np.ascontiguousarray(getattr(axes, part)) for side, axes in sides.items()
              for part in ("centre", "directions", "grid")}
    save_file(arrays, folder / DIRECTIONS)


def read_axes(folder: Path) -> dict[str, Axes]:
    """The reverse of `write_axes`."""
    told = json.loads((folder / AXES).read_text(encoding="utf-8"))
    arrays = load_file(folder / DIRECTIONS)
    return {side: Axes(tuple(_axis(one) for one in axes),
                       *(arrays[f"{side}.{part}"] for part in ("centre", "directions", "grid")))
            for side, axes in told.items()}


def _axis(values: dict[str, Any]) -> Axis:
    return Axis(**{**values, "high": tuple(values["high"]), "low": tuple(values["low"])})
