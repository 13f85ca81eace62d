"""The classical engine: thresholds and watersheds of scikit-image, without weights (after CellProfiler's pipelines).

Nuclei are found as primary objects and cells grow from them as secondary objects, as image-based profiling does
(Carpenter et al. 2006, Genome Biology 7, R100). All lengths are micrometres.
"""

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import watershed
from skimage.transform import resize

from dssl_bio.config import Config
from dssl_bio.imaging.labels import Labels, renumbered

Plane = NDArray[np.float32]
Positive = Annotated[float, Field(gt=0)]


class ClassicalSettings(Config):
    """Lengths and levels of the classical engine; the defaults are for adherent human cells.

    Attributes:
        smoothing_um: width of the blur before thresholds.
        background_um: side of the blocks whose dark pixels tell the background.
        threshold: share of the way from background to Otsu's threshold at which a pixel may be nucleus.
        noise: pixels must be this many standard deviations of the background above it.
        split_um: depth of the waist at which a clump is split; smaller splits more.
        split_smoothing_um: width of the blur on the distance to the outline.
        split_intensity: weight of intensity against shape in splitting, from 0 to 1.
        core: share of the brightness around at which the outlines are drawn whose waists split clumps.
        outline: share of a nucleus's own brightness at which its outline is drawn.
        hole_um2: smaller holes are nucleoli, larger ones gaps between nuclei.
        smallest_um2: smaller nuclei are debris.
        dimmest: objects dimmer than this share of the field's median nucleus are debris.
        cell_threshold: share of the way from background to Otsu's threshold at which a pixel may be cytoplasm.
        cell_seam_um: so much further from the nucleus weighs as much as being dimmer by a factor of e.
        cell_reach_um: how far a cell may reach from its nucleus.
    """

    smoothing_um: Positive = 0.65
    background_um: Positive = 60.0
    threshold: Positive = 1.3
    noise: Annotated[float, Field(ge=0)] = 6.0
    split_um: Positive = 0.33
    split_smoothing_um: Positive = 0.65
    split_intensity: Annotated[float, Field(ge=0, le=1)] = 0.5
    core: Annotated[float, Field(ge=0, lt=1)] = 0.3
    outline: Annotated[float, Field(gt=0, lt=1)] = 0.46
    hole_um2: Positive = 10.0
    smallest_um2: Positive = 13.0
    dimmest: Annotated[float, Field(ge=0, lt=1)] = 0.15
    cell_threshold: Positive = 0.6
    cell_seam_um: Positive = 20.0
    cell_reach_um: Positive = 45.0


def find_nuclei(dna: NDArray[np.number], pixel_size_um: float, settings: ClassicalSettings | None = None) -> Labels:
    """Nuclei (H, W) of a DNA channel (H, W), numbered from 1; none where the field is empty.

    Otsu's threshold is taken on the logarithm, so that a few bright specks of debris do not lift it over the nuclei,
    and must lie above the noise, so that an empty field stays empty. Clumps are split at the waists of shape and
    intensity. Each outline is then drawn anew at a share of that nucleus's own brightness: one threshold for all
    draws dim nuclei too small and bright ones too large.
    """
    settings = settings or ClassicalSettings()
    smooth = gaussian(dna.astype(np.float32), settings.smoothing_um / pixel_size_um, preserve_range=True)
    above = smooth - background_of(smooth, settings.background_um / pixel_size_um)
    cut = threshold_above_noise(above, settings.threshold, settings.noise)
    inside = _without_small_holes(above > cut, settings.hole_um2 / pixel_size_um**2)
    parts = _split(inside, above, pixel_size_um, settings)
    parts = _outlined(parts, above, settings.outline, settings.dimmest)
    return _without_specks(parts, settings.smallest_um2 / pixel_size_um**2)


def find_cells(nuclei: Labels, cytoplasm: NDArray[np.number], pixel_size_um: float,
               settings: ClassicalSettings | None = None) -> Labels:
    """Cells (H, W) that grow from their nuclei over the stained ground; cell k holds nucleus k.

    Args:
        nuclei: (H, W) labels.
        cytoplasm: (H, W) a channel, or a mean of channels, that fills cells.
        pixel_size_um: side of a pixel.
        settings: lengths and levels.
    """
    settings = settings or ClassicalSettings()
    if not nuclei.any():
        return np.zeros_like(nuclei)
    smooth = gaussian(cytoplasm.astype(np.float32), settings.smoothing_um / pixel_size_um, preserve_range=True)
    above = smooth - background_of(smooth, 2 * settings.background_um / pixel_size_um)
    # not on the logarithm, as for nuclei: haze about the cells would count as ground
    otsu = float(threshold_otsu(above)) if above.max() > above.min() else math.inf
    cut = max(settings.cell_threshold * otsu, 1e-6)
    away = ndimage.distance_transform_edt(nuclei == 0) * pixel_size_um
    ground = (nuclei > 0) | ((above > cut) & (away < settings.cell_reach_um))
    # Bright ground is flooded first and so is what lies near a nucleus: borders run along dim seams between cells.
    height = away / settings.cell_seam_um - np.log(np.maximum(above, cut / 4) / cut)
    cells = watershed(height, nuclei, mask=ground)
    return np.where(nuclei > 0, nuclei, _whole(cells)).astype(np.int32)


def background_of(plane: Plane, block_px: float) -> Plane:
    """Smooth background (H, W): the tenth percentile of square blocks, never far above the darkest of them.

    Blocks full of cells would take cells for background; a block counts at most as one and a half times the level of
    the field's dark pixels.
    """
    height, width = plane.shape
    rows, columns = (max(1, round(length / block_px)) for length in (height, width))
    blocks = np.array([[np.percentile(part, 10) for part in np.array_split(strip, columns, axis=1)]
                       for strip in np.array_split(plane, rows, axis=0)], dtype=np.float32)
    blocks = np.minimum(blocks, 1.5 * np.percentile(plane, 5))
    if blocks.size == 1:
        return np.full_like(plane, blocks[0, 0])
    smooth = gaussian(blocks, 1.0, preserve_range=True)
    return resize(smooth, plane.shape, order=1, preserve_range=True).astype(np.float32)


def threshold_above_noise(above: Plane, share: float, noise: float) -> float:
    """A level above the background: a share of Otsu's on the logarithm, and at least some deviations of the noise.

    The noise is the spread of the dark half of the field about its median.
    """
    dark = above[above <= np.median(above)]
    spread = 1.4826 * float(np.median(np.abs(dark - np.median(dark))))
    spread = max(spread * 2, 1e-6)  # half a distribution has about half its spread
    floor = float(np.median(dark)) + noise * spread
    logs = np.log(np.maximum(above, spread))
    otsu = math.exp(float(threshold_otsu(logs))) if logs.max() > logs.min() else math.inf
    return max(share * otsu, floor)


def _without_small_holes(inside: NDArray[np.bool_], largest_px: float) -> NDArray[np.bool_]:
    """Holes filled that are dark spots of one nucleus, and not the gap that three nuclei leave between them."""
    holes, _ = ndimage.label(~inside)
    areas = np.bincount(holes.ravel())
    return inside | (areas[holes] <= largest_px)


def _split(inside: NDArray[np.bool_], above: Plane, pixel_size_um: float, settings: ClassicalSettings) -> Labels:
    """Parts of the inside, one a nucleus.

    Tops of the distance to the outline, weighted with brightness, become seeds. That outline is drawn at a share of
    the brightness around, or the light that nuclei shed into the gap between them would close it.
    """
    soft = gaussian(above, 2.3 * settings.smoothing_um / pixel_size_um, preserve_range=True)
    brightest = np.maximum(ndimage.maximum_filter(soft, size=max(3, round(20 / pixel_size_um))), 1e-6)
    core = inside & _without_small_holes(above > settings.core * brightest, settings.hole_um2 / pixel_size_um**2)
    depth = gaussian(ndimage.distance_transform_edt(core) * pixel_size_um,
                     settings.split_smoothing_um / pixel_size_um, preserve_range=True)
    weight = settings.split_intensity
    height = depth * (1 - weight + weight * np.clip(soft / brightest, 0, 1))
    # not in whole steps, though those are sorted faster: two tops of equal height would both become seeds
    seeds = label(h_maxima(height, settings.split_um) & core)
    return watershed(-height, seeds, mask=inside)


def _outlined(parts: Labels, above: Plane, share: float, dimmest: float) -> Labels:
    """Each part cut at a share of its own brightness, the upper quartile of its pixels; dim parts are dropped."""
    numbers = np.arange(1, parts.max() + 1)
    if not len(numbers):
        return parts
    bright = ndimage.labeled_comprehension(above, parts, numbers, lambda values: np.percentile(values, 75), float, 0.0)
    levels = np.concatenate([[np.inf], np.where(bright < dimmest * np.median(bright), np.inf, share * bright)])
    return np.where(above > levels[parts], parts, 0)


def _without_specks(parts: Labels, smallest_px: float) -> Labels:
    """The largest connected piece of each part, its holes filled, where it is large enough."""
    whole = _whole(parts)
    areas = np.bincount(whole.ravel())
    areas[0] = 0
    return renumbered(np.where(areas[whole] >= smallest_px, whole, 0))


def _whole(parts: Labels) -> Labels:
    """Each object's largest connected piece, without holes."""
    result = np.zeros(parts.shape, np.int32)
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        if box is None:
            continue
        mine = parts[box] == number
        pieces, n = ndimage.label(mine)
        if n > 1:
            mine = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        filled = ndimage.binary_fill_holes(mine) & ((parts[box] == number) | (parts[box] == 0))
        result[box][filled] = number
    return result
