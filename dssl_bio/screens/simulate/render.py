"""One site: a well's own state and the effect of a molecule on it, kept strictly apart.

`render(site, effect)` is a pure function. Everything random comes from the site's seed and is drawn before the
effect is looked at, so rendering the same site with another effect shows the same cells under another molecule.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dssl_bio.screens.simulate.cells import seed_cells
from dssl_bio.screens.simulate.mechanisms import INACTIVE, MECHANISMS
from dssl_bio.screens.simulate.microscope import Exposure, record
from dssl_bio.screens.simulate.morphology import UNTREATED, Morphology
from dssl_bio.screens.simulate.stains import fluorescence
from dssl_bio.screens.simulate.textures import Textures


@dataclass(frozen=True)
class SiteState:
    """What belongs to plate, well and site: the phenotype-specific truth.

    Attributes:
        seed: names this site among all of the screen.
        size_px: side.
        pixel_size_um: of a pixel.
        cells_per_mm2: seeding density.
        exposure: staining and recording.
    """

    seed: tuple[int, ...]
    size_px: int
    pixel_size_um: float
    cells_per_mm2: float
    exposure: Exposure


@dataclass(frozen=True)
class Effect:
    """What a molecule at a dose does: the shared truth.

    Attributes:
        mechanism: a key of `MECHANISMS`, or "inactive".
        strength: share of the full effect, in [0, 1].
    """

    mechanism: str = INACTIVE
    strength: float = 0.0

    @property
    def morphology(self) -> Morphology:
        """Of cells at a saturating dose."""
        return UNTREATED if self.mechanism == INACTIVE else MECHANISMS[self.mechanism].effect

    @property
    def cell_loss(self) -> float:
        """Expected share of the seeded cells that the mechanism kills at this strength."""
        return self.morphology.cell_loss * self.strength


NO_EFFECT = Effect()


@dataclass(frozen=True)
class RenderedSite:
    """A picture and what is known of it.

    Attributes:
        pixels: counts (5, H, W) in CHANNELS order.
        n_cells: cells with their centre in the field.
        cells: (H, W) number of each pixel's cell, from 1; 0 is background.
        nuclei: likewise, in the nuclei of that cell.
    """

    pixels: NDArray[np.uint16]
    n_cells: int
    cells: NDArray[np.uint16]
    nuclei: NDArray[np.uint16]


def render(site: SiteState, effect: Effect) -> RenderedSite:
    """The picture of a site under an effect."""
    for_cells, for_textures, for_noise = (np.random.default_rng([*site.seed, part]) for part in range(3))
    cells = seed_cells(site.size_px * site.pixel_size_um, site.cells_per_mm2, for_cells)
    textures = Textures(site.size_px, site.pixel_size_um, for_textures)
    seen = fluorescence(cells, effect.morphology, effect.strength, textures)
    pixels = record(seen.light, site.exposure, site.pixel_size_um, for_noise)
    return RenderedSite(pixels, seen.n_cells, seen.cells, seen.nuclei)
