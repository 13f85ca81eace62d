"""What the five stains show of treated cells, as fluorescence without optics or noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dssl_bio.screens.simulate.cells import NUCLEOLI, VACUOLES, Cells
from dssl_bio.screens.simulate.morphology import Morphology, response
from dssl_bio.screens.simulate.shapes import Shapes, Values, draw_shapes
from dssl_bio.screens.simulate.textures import Textures
from dssl_bio.vocabulary import CHANNELS

Floats = NDArray[np.float32]
PixelState = dict[str, Floats]

SHARPNESS_UM = 0.8


@dataclass(frozen=True)
class Stained:
    """What is seen of treated cells.

    Attributes:
        light: fluorescence (5, H, W) in CHANNELS order, about 1 where a stain is bright.
        n_cells: cells with their centre in the field.
        cells: (H, W) number of the cell that a pixel lies in, from 1; 0 outside of all outlines.
        nuclei: likewise, where it lies in a nucleus of that cell.
    """

    light: Floats
    n_cells: int
    cells: NDArray[np.uint16]
    nuclei: NDArray[np.uint16]


def fluorescence(cells: Cells, full: Morphology, strength: float, textures: Textures) -> Stained:
    """Cells under an effect, without optics or noise.

    Args:
        cells: as seeded, from the well's own seed.
        full: the mechanism's morphology at a saturating dose.
        strength: share of it, 0 for untreated.
        textures: cuts for this site.
    """
    size = textures.size_px
    state = response(full, np.clip(np.float32(strength) * cells.response, 0, 1))
    keep = cells.loss_chance >= state["cell_loss"]
    cells, state = cells.chosen(keep), {name: values[keep] for name, values in state.items()}
    if not len(cells):
        empty = np.zeros((size, size), np.uint16)
        return Stained(np.zeros((len(CHANNELS), size, size), np.float32), 0, empty, empty)
    dying = cells.death_chance < state["pyknotic"]
    mitotic = (cells.mitosis_chance < state["mitotic"]) & ~dying
    multinucleated = (cells.nuclei_chance < state["multinucleated"]) & ~dying & ~mitotic
    _divide_or_die(state, mitotic, dying)
    shapes = draw_shapes(cells, state, mitotic, multinucleated, size, textures.pixel_size_um)
    field_um = size * textures.pixel_size_um
    seen = ((cells.centre_um >= 0) & (cells.centre_um < field_um)).all(axis=1)
    inside = np.where(shapes.depth > 0, shapes.cell + 1, 0).astype(np.uint16)
    nuclei = np.where(shapes.nucleus_depth > 0, inside, 0).astype(np.uint16)
    return Stained(_stain(cells, state, shapes, textures), int(seen.sum()), inside, nuclei)


def _divide_or_die(state: Values, mitotic: NDArray[np.bool_], dying: NDArray[np.bool_]) -> None:
    """Cells in division round up around condensed chromosomes; dying ones shrink to bright balls. In place."""
    for marked, changes in (
        (mitotic, {"roundness": 0.9, "cell_area": 0.75, "dna": 2.1, "chromatin_contrast": 0.2, "nucleolus_rna": 0.0,
                   "actin_fibres": 0.1, "irregular_nucleus": 0.0, "golgi_dispersion": 0.8, "protrusions": 0.0}),
        (dying, {"roundness": 1.0, "cell_area": 0.3, "dna": 2.6, "nucleus_area": 0.35, "chromatin_contrast": 0.1,
                 "nucleolus_rna": 0.3, "actin_fibres": 0.0, "rna": 1.3, "er": 1.3, "protrusions": 0.0}),
    ):
        for name, value in changes.items():
            state[name] = np.where(marked, np.float32(value), state[name])


def _stain(cells: Cells, state: Values, shapes: Shapes, textures: Textures) -> Floats:
    at = {name: values[shapes.cell] for name, values in state.items()}  # every field as (H, W)
    body = _edge(shapes.depth, 1.6) * (0.45 + 0.55 * _ramp(shapes.gap, 2.5))
    nucleus = _edge(shapes.nucleus_depth) * body
    # a rounded cell is as much cytoplasm on less ground
    thickness = body * (0.3 + 0.7 * np.sqrt(shapes.height)) * (1 + 1.3 * at["roundness"])
    away = np.clip(-shapes.nucleus_depth, 0, None)  # um from the nucleus
    holes, rims = _vacuoles(cells, at, shapes)
    cytoplasm = thickness * (1 - 0.75 * nucleus) * (1 - 0.8 * holes)
    nucleoli = _nucleoli(cells, at, shapes) * nucleus
    cap = _cap(cells, shapes)
    inclusion = _inclusion(cells, at, shapes) * body
    stained = np.stack([
        _dna(cells, at, shapes, nucleus, nucleoli, textures),
        _er(at, shapes, cytoplasm, away, textures),
        _rna(at, cytoplasm, away, nucleus, nucleoli, inclusion, textures),
        _agp(at, shapes, body, cytoplasm, away, nucleus, cap, rims, inclusion, textures),
        _mito(at, cytoplasm, away, nucleus, textures),
    ])
    return stained * np.moveaxis(cells.brightness[shapes.cell], 2, 0)


def _dna(cells: Cells, at: PixelState, shapes: Shapes, nucleus: Floats, nucleoli: Floats,
         textures: Textures) -> Floats:
    dome = 0.8 + 0.2 * _ramp(shapes.nucleus_depth, 3.0)
    grain = 1 + 0.16 * at["chromatin_contrast"] * textures["chromatin"]
    amount = (0.8 + 0.2 * cells.content)[shapes.cell] * at["dna"]
    return amount * nucleus * dome * np.clip(grain, 0.1, None) * (1 - 0.3 * nucleoli)


def _er(at: PixelState, shapes: Shapes, cytoplasm: Floats, away: Floats, textures: Textures) -> Floats:
    gathered = 0.22 + 0.95 * np.sqrt(at["er_compactness"]) * np.exp(-away * at["er_compactness"] / 9.0)
    grain = np.clip(1 + 0.2 * at["er_granularity"] * textures["er"], 0.05, None)
    rim = np.exp(-((shapes.nucleus_depth / 1.2) ** 2))
    return at["er"] * cytoplasm * (gathered * grain + 0.25 * rim)


def _rna(at: PixelState, cytoplasm: Floats, away: Floats, nucleus: Floats, nucleoli: Floats, inclusion: Floats,
         textures: Textures) -> Floats:
    spread = (0.25 + 0.6 * np.exp(-away / 12.0)) * (1 + 0.1 * textures["er"])
    return (at["rna"] * (cytoplasm * spread + 0.28 * nucleus) + 0.7 * at["nucleolus_rna"] * nucleoli
            + 1.3 * inclusion)


def _agp(at: PixelState, shapes: Shapes, body: Floats, cytoplasm: Floats, away: Floats, nucleus: Floats, cap: Floats,
         rims: Floats, inclusion: Floats, textures: Textures) -> Floats:
    phase = shapes.across * (2 * np.pi / 4.6) + 1.2 * textures["warp"]
    fibres = np.clip(np.cos(phase), 0, None) ** 3 * np.clip(0.6 + 0.6 * textures["bands"], 0, 1)
    cortex = np.exp(-((np.minimum(shapes.depth, shapes.gap) / 1.5) ** 2)) * body
    spots = _ramp(textures["dots"] - 1.25, 0.6)
    stacks = _ramp(textures["golgi"] + 0.6, 1.0)
    dispersed = at["golgi_dispersion"]
    golgi = (1 - 0.85 * dispersed) * cap * stacks + 0.55 * dispersed * spots * np.exp(-away / 9.0)
    puncta = at["actin_puncta"] * _ramp(textures["golgi"] - 1.2, 0.5)
    return (0.22 * cytoplasm + 0.1 * nucleus + 0.4 * at["actin_fibres"] * fibres * body * (1 - 0.5 * nucleus)
            + 0.32 * at["actin_cortex"] * cortex + 1.0 * at["golgi"] * golgi * (1 - nucleus) * body
            + 1.2 * puncta * body + 0.85 * rims * body * (1 - nucleus) + 0.7 * inclusion)


def _mito(at: PixelState, cytoplasm: Floats, away: Floats, nucleus: Floats, textures: Textures) -> Floats:
    network = np.exp(-((textures["mito"] / 0.33) ** 2)) * np.clip(0.75 + 0.35 * textures["warp"], 0.1, 1.3)
    dots = 1.3 * _ramp(textures["dots"] - 0.9, 0.7)
    broken = at["mito_fragmentation"]
    gathered = 0.12 + 1.1 * np.sqrt(at["mito_compactness"]) * np.exp(-away * at["mito_compactness"] / 11.0)
    return at["mito"] * cytoplasm * (1 - 0.7 * nucleus) * gathered * (
        0.18 + (1 - broken) * network + broken * dots)


def _nucleoli(cells: Cells, at: PixelState, shapes: Shapes) -> Floats:
    total = np.zeros_like(shapes.dx)
    for k in range(NUCLEOLI):
        x, y, size = (cells.nucleoli[:, k, i][shapes.cell] for i in range(3))
        wide = size * size * at["nucleolus_area"]
        total = np.maximum(total, np.exp(-(((shapes.nucleus_x - x) ** 2 + (shapes.nucleus_y - y) ** 2) / wide) ** 2))
    return total


def _cap(cells: Cells, shapes: Shapes) -> Floats:
    """The Golgi's place: a crescent along one side of the nucleus."""
    angle = cells.golgi_angle[shapes.cell]
    r = np.sqrt(shapes.dx**2 + shapes.dy**2) + np.float32(1e-3)
    towards = (shapes.dx * np.cos(angle) + shapes.dy * np.sin(angle)) / r
    return _ramp(towards - 0.45, 0.4) * np.exp(-(((shapes.nucleus_depth + 2.2) / 2.6) ** 2))


def _inclusion(cells: Cells, at: PixelState, shapes: Shapes) -> Floats:
    """An aggresome beside the nucleus, at the microtubule centre, where the Golgi is too."""
    if not at["aggregates"].any():
        return np.zeros_like(shapes.dx)
    angle = cells.golgi_angle[shapes.cell]
    out = 1.05 * cells.nucleus_um[shapes.cell] * np.sqrt(at["nucleus_area"])
    away2 = (shapes.dx - out * np.cos(angle)) ** 2 + (shapes.dy - out * np.sin(angle)) ** 2
    return at["aggregates"] * np.exp(-((away2 / 3.6**2) ** 1.5))


def _vacuoles(cells: Cells, at: PixelState, shapes: Shapes) -> tuple[Floats, Floats]:
    """Holes (0 to 1) and their rims."""
    holes, rims = np.zeros_like(shapes.dx), np.zeros_like(shapes.dx)
    if not (at["vacuoles"] > 0.02).any():
        return holes, rims
    nucleus, body = cells.nucleus_um, cells.radius_um
    for k in range(VACUOLES):
        angle, place, size = cells.vacuoles[:, k].T
        distance = nucleus * 1.15 + place * np.clip(0.75 * body - nucleus * 1.15, 2.0, None)
        x, y = (distance * np.cos(angle))[shapes.cell], (distance * np.sin(angle))[shapes.cell]
        radius = 3.6 * size[shapes.cell] * np.sqrt(at["vacuoles"]) + np.float32(1e-3)
        inside = radius - np.sqrt((shapes.dx - x) ** 2 + (shapes.dy - y) ** 2)
        visible = _ramp(radius, 1.0)
        holes = np.maximum(holes, visible * _edge(inside))
        rims = np.maximum(rims, visible * np.exp(-((inside / 0.9) ** 2)))
    return holes, rims


def _edge(depth: Floats, width_um: float = SHARPNESS_UM) -> Floats:
    """0 outside, 1 inside, soft between."""
    return _ramp(depth + width_um / 2, width_um)


def _ramp(value: Floats, width: float) -> Floats:
    """Smooth step from 0 at 0 to 1 at `width`."""
    t = np.clip(value / np.float32(width), 0, 1)
    return t * t * (3 - 2 * t)
