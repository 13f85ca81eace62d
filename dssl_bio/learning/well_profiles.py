"""Profiles of wells for the methods that read numbers: the screen's own, or statistics of its images."""

import numpy as np
from numpy.typing import NDArray

from dssl_bio.imaging.statistics import site_statistics
from dssl_bio.learning.phenotypes import ImagePhenotypes, ProfilePhenotypes

SITES_AT_ONCE = 64


def well_profiles(phenotypes: ProfilePhenotypes | ImagePhenotypes,
                  rows: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """One profile a well (R, F), of some wells or of all in the order of `phenotypes.rows`.

    Images give intensity statistics of their sites, scaled as the encoders see them, averaged over the well.
    """
    rows = phenotypes.rows if rows is None else rows
    if isinstance(phenotypes, ProfilePhenotypes):
        return phenotypes.read(rows).numpy()
    owner = np.repeat(np.arange(len(rows)), [len(phenotypes.sites_of(int(row))) for row in rows])
    numbers = np.concatenate([phenotypes.sites_of(int(row)) for row in rows])
    channels = tuple(phenotypes.images.channels)
    parts = [site_statistics(phenotypes.read(numbers[start:start + SITES_AT_ONCE]), channels)[0]
             for start in range(0, len(numbers), SITES_AT_ONCE)]
    values = np.concatenate(parts)
    sums = np.zeros((len(rows), values.shape[1]))
    np.add.at(sums, owner, values)
    return (sums / np.bincount(owner)[:, None]).astype(np.float32)
