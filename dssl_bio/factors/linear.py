"""Ridge regression of many targets at once, cross-validated over groups: a whole factor matrix in seconds."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.model_selection import GroupKFold

Floats = NDArray[np.floating]

FOLDS = 5
PENALTIES = tuple(np.logspace(0, 4, 5).tolist())
"""Ridge penalties, in units of the sum of squares of one standardised column of one row."""


def grouped_folds(groups: NDArray[np.str_], n_folds: int = FOLDS) -> NDArray[np.int64]:
    """Number of the fold (N,) that holds each row out; rows of one group stay together."""
    fold = np.zeros(len(groups), dtype=np.int64)
    for number, (_, held_out) in enumerate(GroupKFold(n_folds).split(groups, groups=groups)):
        fold[held_out] = number
    return fold


class GroupedRidge:
    """Cross-validated predictions of any number of targets from one representation.

    For each fold the penalty is chosen for each target by the error on the other folds, each of them left out in turn,
    so a row's prediction never saw the row, nor another of its group, not even by the penalty. Standardisation is of
    the rows that are fitted. Leaving out folds a and b is one factorisation, whichever of the two is predicted.
    """

    def __init__(self, x: Floats, groups: NDArray[np.str_], n_folds: int = FOLDS):
        """Takes a representation (N, D) and the group (N,) of each row.

        Raises:
            ValueError: fewer groups than folds, or one group a row was not given.
        """
        if len(x) != len(groups):
            raise ValueError(f"the representation has {len(x)} rows, groups has {len(groups)}")
        if len(np.unique(groups)) < n_folds:
            raise ValueError(f"{n_folds} folds need as many groups, got {len(np.unique(groups))}")
        self.x, self.fold, self.n_folds = np.asarray(x, dtype=np.float64), grouped_folds(groups, n_folds), n_folds
        self._x32 = self.x.astype(np.float32)
        self._rows = [np.flatnonzero(self.fold == number) for number in range(n_folds)]
        self._sums = np.stack([self.x[rows].sum(0) for rows in self._rows])
        self._squares = np.stack([self.x[rows].T @ self.x[rows] for rows in self._rows])
        pairs = [frozenset(pair) for pair in combinations(range(n_folds), 2)]
        self._solved = {out: self._factorised(out) for out in [*pairs, *(frozenset([k]) for k in range(n_folds))]}

    def chosen(self, y: Floats) -> Floats:
        """Penalties (folds, T) of targets (N, T): for each fold that with the least error on the other folds."""
        y = np.asarray(y, dtype=np.float32)
        sums, products = self._added_up(y)
        errors = np.zeros((self.n_folds, len(PENALTIES), y.shape[1]))
        for a, b in combinations(range(self.n_folds), 2):
            out = frozenset((a, b))
            for fold, other in ((a, b), (b, a)):  # the error on `fold` speaks when `other` is held out
                for number, (guess, mean) in enumerate(self._guesses(out, fold, PENALTIES, sums, products)):
                    errors[other, number] += np.square(y[self._rows[fold]] - guess - mean).sum(0)
        return np.array(PENALTIES)[errors.argmin(1)]

    def predicted(self, y: Floats, penalties: Floats, *, intercept: bool = True) -> NDArray[np.float32]:
        """Predictions (N, T) of targets (N, T), each from a fit that held the row's group out.

        Args:
            y: targets without missing values.
            penalties: (folds, T), such as `chosen` gives.
            intercept: without, the mean of the fitted rows is not added: between folds it falls where the target is
                frequent, which would put ranks over all folds below chance.
        """
        y = np.asarray(y, dtype=np.float32)
        sums, products = self._added_up(y)
        result = np.empty(y.shape, dtype=np.float32)
        for fold in range(self.n_folds):
            guess, mean = next(self._guesses(frozenset([fold]), fold, [penalties[fold]], sums, products))
            result[self._rows[fold]] = guess + mean if intercept else guess
        return result

    def _added_up(self, y: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Of each fold the sums of y, (folds, T), and x^T y, (folds, D, T)."""
        return (np.stack([y[rows].sum(0, dtype=np.float64) for rows in self._rows]),
                np.stack([self._x32[rows].T @ y[rows] for rows in self._rows]))

    def _factorised(self, out: frozenset[int]) -> tuple[NDArray[np.int64], Floats, Floats, Floats, Floats,
                                                        dict[int, NDArray[np.float32]]]:
        """Folds that are fitted, mean and spread of x in them, eigenvalues and eigenvectors of its correlations.

        And the standardised rows of each fold that is left out, on these eigenvectors.
        """
        kept = np.array([number for number in range(self.n_folds) if number not in out])
        n = sum(len(self._rows[number]) for number in kept)
        mean = self._sums[kept].sum(0) / n
        scatter = self._squares[kept].sum(0) - n * np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diag(scatter) / n, 0))
        spread = np.where(spread > 1e-9, spread, np.inf)  # a constant column counts as nothing
        values, vectors = np.linalg.eigh(scatter / np.outer(spread, spread))
        turned = {fold: ((self.x[self._rows[fold]] - mean) / spread @ vectors).astype(np.float32) for fold in out}
        return kept, mean, spread, np.maximum(values, 0), vectors.astype(np.float32), turned

    def _guesses(self, out: frozenset[int], fold: int, penalties: Sequence[float | Floats], sums: Floats,
                 products: Floats) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """For each penalty predictions of one fold's rows without the mean, and the mean (T,) of the fitted rows."""
        kept, mean, spread, values, vectors, turned_rows = self._solved[out]
        n = sum(len(self._rows[number]) for number in kept)
        total = sums[kept].sum(0)
        product = (products[kept].sum(0) - np.outer(mean, total)) / spread[:, None]  # (D, T)
        turned = vectors.T @ product.astype(np.float32)
        for penalty in penalties:
            shrunk = turned / (values[:, None] + np.atleast_1d(penalty)[None, :]).astype(np.float32)
            yield turned_rows[fold] @ shrunk, (total / n).astype(np.float32)


def r_squared(y: Floats, predicted: Floats) -> NDArray[np.float64]:
    """R2 (T,) of each column; what is worse than the mean is negative."""
    residual = np.square(np.asarray(y, float) - predicted).sum(0)
    total = np.square(y - np.mean(y, axis=0, dtype=float)).sum(0)
    return 1 - residual / np.maximum(total, 1e-12)


def auroc(positive: NDArray[np.bool_], score: Floats) -> NDArray[np.float64]:
    """Area under the receiver operating curve (T,) of each column, ties counted half; NaN where one class is absent."""
    n = positive.sum(0)
    rest = len(positive) - n
    ranks = rankdata(score, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ((ranks * positive).sum(0) - n * (n + 1) / 2) / (n * rest)
