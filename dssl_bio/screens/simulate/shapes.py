"""Geometry of treated cells on the pixel grid: which cell a pixel belongs to, and how far it is from what."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dssl_bio.screens.simulate.cells import HARMONICS, NUCLEI, Cells

Floats = NDArray[np.float32]
Values = dict[str, Floats]

FAR = np.float32(1e3)


@dataclass(frozen=True)
class Shapes:
    """Geometry of one site (H, W); lengths in um.

    Attributes:
        cell: number of the cell that each pixel belongs to, the nearest one also outside of all bodies.
        dx: x from that cell's centre.
        dy: y from it.
        along: along the cell's long axis.
        across: across it.
        depth: from the outline inwards, negative outside.
        gap: to the border with the next cell.
        height: 0 at the outline to 1 at the centre.
        nucleus_depth: from the outline of the nucleus inwards, negative outside.
        nucleus_x: position in the nucleus, relative to its radius.
        nucleus_y: likewise.
    """

    cell: NDArray[np.intp]
    dx: Floats
    dy: Floats
    along: Floats
    across: Floats
    depth: Floats
    gap: Floats
    height: Floats
    nucleus_depth: Floats
    nucleus_x: Floats
    nucleus_y: Floats


def draw_shapes(cells: Cells, state: Values, mitotic: NDArray[np.bool_], multinucleated: NDArray[np.bool_],
                size_px: int, pixel_size_um: float) -> Shapes:
    """Outlines of N >= 1 cells and of their nuclei.

    Args:
        cells: as seeded.
        state: `morphology.response` of each cell.
        mitotic: (N,) cells in division.
        multinucleated: (N,).
        size_px: side of the site.
        pixel_size_um: of a pixel.
    """
    grid = (np.arange(size_px, dtype=np.float32) + 0.5) * np.float32(pixel_size_um)
    radius = cells.radius_um * np.sqrt(state["cell_area"]) * (1 - 0.4 * state["roundness"])
    distance = _body_distance(cells, state, radius, grid)
    cell, first, second = _nearest_two(distance)
    dx = grid[None, :] - cells.centre_um[cell, 0]
    dy = grid[:, None] - cells.centre_um[cell, 1]
    along, across = _turned(dx, dy, cells.angle[cell])
    size = radius[cell]
    nucleus_x, nucleus_y, nucleus_depth = _nuclei(cells, state, mitotic, multinucleated, cell, dx, dy)
    return Shapes(cell, dx, dy, along, across, depth=(1 - first) * size, gap=(second - first) * size,
                  height=np.clip(1 - first, 0, 1), nucleus_depth=nucleus_depth, nucleus_x=nucleus_x,
                  nucleus_y=nucleus_y)


def _body_distance(cells: Cells, state: Values, radius: Floats, grid: Floats) -> Floats:
    """(N, H, W): distance from each cell's centre relative to its outline in that direction."""
    cosine, sine = np.cos(cells.angle), np.sin(cells.angle)
    x = (grid[None, :] - cells.centre_um[:, :1])[:, None, :]  # (N, 1, W)
    y = (grid[None, :] - cells.centre_um[:, 1:])[:, :, None]  # (N, H, 1)
    spread = 1 - state["roundness"]
    stretch = np.sqrt(1 + (cells.aspect * state["elongation"] - 1) * spread)
    u = x * (cosine / stretch)[:, None, None] + y * (sine / stretch)[:, None, None]
    v = y * (cosine * stretch)[:, None, None] - x * (sine * stretch)[:, None, None]
    r = np.sqrt(u * u + v * v) + np.float32(1e-3)
    amplitude = cells.wave * (spread * (1 + 0.6 * state["protrusions"]))[:, None, None]
    outline = _waves(u / r, v / r, amplitude[:, :, :, None, None], extra=(0.45 * state["protrusions"])[:, None, None])
    return r * np.exp(-outline) / radius[:, None, None]


def _waves(c: Floats, s: Floats, amplitude: Floats, extra: Floats | None = None) -> Floats:
    """Sum of waves 2, 3, ... around a centre, from cosine and sine of the direction (no arc tangent needed).

    `extra` is the amplitude of a fifth wave, which makes arms.
    """
    ck, sk = c, s
    total = np.zeros_like(c)
    for k in range(HARMONICS):
        ck, sk = ck * c - sk * s, sk * c + ck * s
        total += amplitude[:, k, 0] * ck + amplitude[:, k, 1] * sk
    if extra is not None and extra.any():
        total += extra * ck * np.sign(amplitude[:, 0, 0] + np.float32(1e-9))
    return total


def _nearest_two(distance: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Number of the nearest cell (H, W), and the distances to it and to the next."""
    cell = distance.argmin(axis=0)
    first = np.take_along_axis(distance, cell[None], 0)[0]
    if len(distance) == 1:
        return cell, first, np.full_like(first, FAR)
    np.put_along_axis(distance, cell[None], FAR, 0)
    return cell, first, distance.min(axis=0)


def _nuclei(cells: Cells, state: Values, mitotic: NDArray[np.bool_], multinucleated: NDArray[np.bool_],
            cell: NDArray[np.intp], dx: Floats, dy: Floats) -> tuple[Floats, Floats, Floats]:
    """Relative position in the nucleus, and depth in the nearest of the cell's nuclei."""
    size = cells.nucleus_um * np.sqrt(state["nucleus_area"]) * np.where(mitotic, np.float32(0.72), 1)
    aspect = np.where(mitotic, 3.2, cells.nucleus_aspect * state["nucleus_elongation"]).astype(np.float32)
    stretch = np.sqrt(aspect)[cell]
    x, y = _turned(dx, dy, (cells.angle + cells.nucleus_angle)[cell])
    x, y = x / (size[cell] * stretch), y * stretch / size[cell]
    r = np.sqrt(x * x + y * y) + np.float32(1e-3)
    lobed = (cells.nucleus_wave * (0.25 + 1.7 * state["irregular_nucleus"])[:, None, None])[cell]  # (H, W, K, 2)
    depth = 1 - r * np.exp(-_waves_2d(x / r, y / r, lobed))
    if multinucleated.any():
        depth = np.where(multinucleated[cell], _depth_of_many(cells, cell, x, y), depth)
    return x, y, depth * size[cell]


def _waves_2d(c: Floats, s: Floats, amplitude: Floats) -> Floats:
    moved = np.moveaxis(amplitude, (2, 3), (0, 1))[None]  # (1, K, 2, H, W)
    return _waves(c[None], s[None], moved)[0]


def _depth_of_many(cells: Cells, cell: NDArray[np.intp], x: Floats, y: Floats) -> Floats:
    """Relative depth in the nearest of several nuclei around the centre."""
    depth = np.full(x.shape, -FAR)
    for k in range(NUCLEI):
        angle, distance, size = cells.nuclei[:, k].T
        size = np.where(k < cells.n_nuclei, size * 1.1, np.float32(1e-3))
        ox, oy = (distance * np.cos(angle))[cell], (distance * np.sin(angle))[cell]
        depth = np.maximum(depth, size[cell] - np.sqrt((x - ox) ** 2 + (y - oy) ** 2))
    return depth


def _turned(dx: Floats, dy: Floats, angle: Floats) -> tuple[Floats, Floats]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return dx * cosine + dy * sine, dy * cosine - dx * sine
