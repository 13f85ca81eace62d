"""Nuclei to cut crops around: those of a layer of masks, by well, at most so many of each, chosen with a seed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dssl_bio.imaging.crops import corners_at
from dssl_bio.screens.masks import MaskLayer
from dssl_bio.screens.screen import Images

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of some wells.

    Attributes:
        site: (N,) number of each one's site.
        object: (N,) number of each one in its site's mask.
        centre: (N, 2) row and column in pixels of the stored site.
        of_well: positions in these arrays, by row of the screen's wells; wells without nuclei are not in it.
        source: the layer in words.
    """

    site: Numbers
    object: Numbers
    centre: NDArray[np.float64]
    of_well: dict[int, Numbers]
    source: str

    def __len__(self) -> int:
        return len(self.site)

    @cached_property
    def row(self) -> Numbers:
        """(N,) row of each one's well, -1 for those that were not chosen."""
        result = np.full(len(self), -1, dtype=np.int64)
        for row, numbers in self.of_well.items():
            result[numbers] = row
        return result

    def corners(self, numbers: Numbers, size: int, shape: tuple[int, int]) -> Numbers:
        """Upper left corners (n, 2) of squares of `size` stored pixels about some nuclei."""
        return corners_at(self.centre[numbers], size, shape)


def nuclei_of(images: Images, layer: MaskLayer, rows: Iterable[int], sites_of: Callable[[int], Numbers], most: int,
              seed: int) -> Nuclei:
    """The nuclei of some wells.

    Args:
        images: of the screen.
        layer: masks of its sites; sites without masks have no nuclei.
        rows: of the wells.
        sites_of: sites of a well that count.
        most: nuclei of a well; 0 for all.
        seed: of the choice. It depends on the well alone, not on which others are asked for.
    """
    objects = layer.objects()
    site, number = objects["site"].to_numpy(np.int64), objects["object"].to_numpy(np.int64)
    order = np.lexsort((number, site))
    site, number = site[order], number[order]
    centre = objects[["y_um", "x_um"]].to_numpy(float)[order] / images.pixel_size_um
    of_well: dict[int, Numbers] = {}
    for row in rows:
        sites = np.sort(sites_of(int(row)))
        starts, ends = np.searchsorted(site, sites, "left"), np.searchsorted(site, sites, "right")
        found = np.concatenate([np.arange(start, end) for start, end in zip(starts, ends, strict=True)])
        if most and len(found) > most:
            generator = np.random.default_rng([seed, int(row)])
            found = np.sort(generator.choice(found, most, replace=False))
        if len(found):
            of_well[int(row)] = found.astype(np.int64)
    made_by = layer.facts.get("engine") or layer.facts.get("made_by") or "given"
    n = sum(map(len, of_well.values()))
    return Nuclei(site, number, centre, of_well, f"{n:,} nuclei of masks {layer.name} ({made_by})")
