"""Bootstrap over molecules for many numbers at once; the same draws for every method, so differences are paired."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

N_DRAWS = 10_000
LEVEL = 0.95
_CHUNK = 500


class Bootstrap:
    """Resamples whole groups (molecules) with replacement."""

    def __init__(self, groups: NDArray[np.str_], n_draws: int = N_DRAWS, seed: int = 0):
        """Prepares the resampling of values whose rows belong to groups (Q,)."""
        names, self._inverse = np.unique(groups, return_inverse=True)
        self._n_groups, self._n_draws, self._seed = len(names), n_draws, seed
        self._sizes = np.bincount(self._inverse)

    def mean_interval(self, values: Floats) -> Floats:
        """Percentile interval (K, 2) of the mean of each column of values (Q, K)."""
        sums = np.stack([np.bincount(self._inverse, column) for column in values.T], axis=1)  # (G, K)
        draws = [chunk @ sums / (chunk @ self._sizes)[:, None] for chunk in self._chunks()]
        return _interval(np.concatenate(draws))

    def median_interval(self, values: Floats) -> Floats:
        """Percentile interval (2,) of the median of values (Q,)."""
        order = np.argsort(values, kind="stable")
        owner, ascending = self._inverse[order], values[order]
        draws = []
        for chunk in self._chunks():
            heaped = np.cumsum(chunk[:, owner], axis=1)
            draws.append(ascending[np.argmax(heaped >= heaped[:, -1:] / 2, axis=1)])
        return _interval(np.concatenate(draws)[:, None])[0]

    def _chunks(self) -> list[NDArray[np.float32]]:
        return [_counts(self._n_groups, min(_CHUNK, self._n_draws - start), self._seed, start)
                for start in range(0, self._n_draws, _CHUNK)]


@lru_cache(maxsize=100)
def _counts(n_groups: int, n_draws: int, seed: int, start: int) -> NDArray[np.float32]:
    """How often each group is drawn (n_draws, n_groups)."""
    generator = np.random.default_rng([seed, start])
    drawn = generator.integers(0, n_groups, (n_draws, n_groups))
    flat = drawn + n_groups * np.arange(n_draws)[:, None]
    return np.bincount(flat.ravel(), minlength=n_draws * n_groups).reshape(n_draws, n_groups).astype(np.float32)


def _interval(draws: Floats) -> Floats:
    tail = (1 - LEVEL) / 2
    return np.quantile(draws, [tail, 1 - tail], axis=0).T
