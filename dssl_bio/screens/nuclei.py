"""Nuclei to cut crops around: those of a layer of masks, by well, at most so many of each, chosen with a seed."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dssl_bio.imaging.crops import SAME_ZOOM, corners_at
from dssl_bio.screens.masks import MaskLayer
from dssl_bio.screens.screen import Images
from dssl_bio.screens.site_store import Pixels, SiteArray, window_of

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

    def windows(self, sites: SiteArray, numbers: Numbers, size: int, zoom: float) -> tuple[Pixels, bool]:
        """What of stored sites crops about some nuclei are made of; nothing else is read.

        Args:
            sites: array (S, C, H, W).
            numbers: (n,) of the nuclei, at least one.
            size: of the crops, in pixels of which there are `zoom` times as many along a side as stored.
            zoom: stored pixel size over that of the crops.

        Returns:
            Windows (n, C, h, w), and whether they are the crops already; if not, `crop_of` makes them so.
        """
        resampled = abs(zoom - 1) >= SAME_ZOOM
        wanted = math.ceil(size / zoom) if resampled else size
        corners = corners_at(self.centre[numbers], wanted, (sites.shape[2], sites.shape[3]))
        found = np.stack([window_of(sites, int(site), int(y), int(x), wanted)
                          for site, (y, x) in zip(self.site[numbers], corners, strict=True)])
        return found, not resampled and min(found.shape[2:]) == size


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
        found = np.concatenate([np.zeros(0, np.int64), *map(np.arange, starts, ends)])
        if most and len(found) > most:
            generator = np.random.default_rng([seed, int(row)])
            found = np.sort(generator.choice(found, most, replace=False))
        if len(found):
            of_well[int(row)] = found
    made_by = layer.facts.get("engine") or layer.facts.get("made_by") or "given"
    n = sum(map(len, of_well.values()))
    return Nuclei(site, number, centre, of_well, f"{n:,} nuclei of masks {layer.name} ({made_by})")
