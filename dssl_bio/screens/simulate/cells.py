"""The cells of one field of view before anything happens to them: where they lie and how they differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MARGIN_UM = 26.0
"""Cells are seeded this far outside the field too, so that its border cuts through some."""
SPACING_UM = 17.0
HARMONICS = 4
NUCLEI = 5
NUCLEOLI = 4
VACUOLES = 10


@dataclass(frozen=True)
class Cells:
    """Traits of N seeded cells, drawn once from the well's own seed and never touched by a molecule.

    All `*_chance` are uniform in [0, 1): a cell has a trait when its chance is below the share that has it, so a
    stronger effect adds cells to those that had the trait under a weaker one.

    Attributes:
        centre_um: (N, 2) x, y; the field's corner is (0, 0).
        radius_um: (N,) of the body.
        aspect: (N,) length over width.
        angle: (N,) of the long axis.
        wave: (N, HARMONICS, 2) cosine and sine amplitudes of the outline's waves 2, 3, ...
        nucleus_um: (N,) radius of the nucleus.
        nucleus_aspect: (N,).
        nucleus_angle: (N,).
        nucleus_wave: (N, HARMONICS, 2).
        content: (N,) DNA content: 1 in G1, 2 in G2.
        brightness: (N, 5) staining of this cell in each channel.
        response: (N,) factor on the strength of an effect: no two cells respond alike.
        loss_chance: (N,).
        nuclei_chance: (N,).
        mitosis_chance: (N,).
        death_chance: (N,).
        nuclei: (N, NUCLEI, 3) angle, distance and size of the nuclei of a multinucleated cell, relative.
        n_nuclei: (N,) how many it would have.
        nucleoli: (N, NUCLEOLI, 3) x, y and size, relative to the nucleus.
        vacuoles: (N, VACUOLES, 3) angle, distance and size, relative.
        golgi_angle: (N,) where the Golgi lies.
    """

    centre_um: Floats
    radius_um: Floats
    aspect: Floats
    angle: Floats
    wave: Floats
    nucleus_um: Floats
    nucleus_aspect: Floats
    nucleus_angle: Floats
    nucleus_wave: Floats
    content: Floats
    brightness: Floats
    response: Floats
    loss_chance: Floats
    nuclei_chance: Floats
    mitosis_chance: Floats
    death_chance: Floats
    nuclei: Floats
    n_nuclei: Floats
    nucleoli: Floats
    vacuoles: Floats
    golgi_angle: Floats

    def __len__(self) -> int:
        return len(self.radius_um)

    def chosen(self, keep: NDArray[np.bool_]) -> "Cells":
        """The cells marked in `keep` (N,)."""
        return Cells(**{name: values[keep] for name, values in vars(self).items()})


def seed_cells(field_um: float, cells_per_mm2: float, rng: np.random.Generator) -> Cells:
    """Cells of a square field of view and its surroundings.

    Args:
        field_um: side of the field.
        cells_per_mm2: expected density.
        rng: the well's own.
    """
    side = field_um + 2 * MARGIN_UM
    n = max(1, int(rng.poisson(cells_per_mm2 * side**2 * 1e-6)))
    content = np.where(rng.random(n) < 0.55, rng.normal(1.0, 0.04, n), rng.uniform(1.1, 2.0, n))
    turn = 2 * np.pi

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        return rng.uniform(low, high, (n, *shape))

    decay = (0.16 / np.arange(1, HARMONICS + 1) ** 0.6)[:, None]
    values = {
        "centre_um": _scatter(n, side, rng) - MARGIN_UM,
        "radius_um": 20.0 * np.exp(rng.normal(0, 0.13, n)) * content**0.2,
        "aspect": np.exp(np.abs(rng.normal(0.25, 0.25, n))),
        "angle": uniform(high=turn),
        "wave": rng.normal(0, 1, (n, HARMONICS, 2)) * decay,
        "nucleus_um": 8.2 * np.exp(rng.normal(0, 0.06, n)) * content ** (1 / 3),
        "nucleus_aspect": np.exp(np.abs(rng.normal(0.28, 0.12, n))),
        "nucleus_angle": rng.normal(0, 0.4, n),
        "nucleus_wave": rng.normal(0, 1, (n, HARMONICS, 2)) * decay,
        "content": content,
        "brightness": np.exp(rng.normal(0, 0.13, (n, 1)) + rng.normal(0, 0.08, (n, 5))),
        "response": np.exp(rng.normal(0, 0.2, n)),
        "loss_chance": uniform(), "nuclei_chance": uniform(),
        "mitosis_chance": uniform(), "death_chance": uniform(),
        "nuclei": np.stack([np.arange(NUCLEI) * turn / NUCLEI + uniform(NUCLEI, high=1.0),
                            uniform(NUCLEI, low=0.7, high=1.05), uniform(NUCLEI, low=0.35, high=0.72)], axis=2),
        "n_nuclei": rng.choice([2, 3, 4, 5], n, p=[0.25, 0.3, 0.25, 0.2]),
        "nucleoli": np.stack([rng.normal(0, 0.33, (n, NUCLEOLI)), rng.normal(0, 0.33, (n, NUCLEOLI)),
                              uniform(NUCLEOLI, low=0.12, high=0.24)], axis=2),
        "vacuoles": np.stack([uniform(VACUOLES, high=turn), uniform(VACUOLES), uniform(VACUOLES, low=0.5)], axis=2),
        "golgi_angle": uniform(high=turn),
    }
    return Cells(**{name: np.asarray(value, np.float32) for name, value in values.items()})


def _scatter(n: int, side: float, rng: np.random.Generator, candidates: int = 12) -> NDArray[np.float64]:
    """Places (n, 2) in a square, kept apart: each cell takes the first of its candidates that is not too near."""
    places = rng.uniform(0, side, (n, candidates, 2))
    taken = np.empty((n, 2))
    for i, offers in enumerate(places):
        nearest = np.full(candidates, np.inf)
        if i:
            nearest = np.linalg.norm(offers[:, None] - taken[None, :i], axis=2).min(axis=1)
        apart = nearest >= SPACING_UM
        taken[i] = offers[apart.argmax() if apart.any() else nearest.argmax()]
    return taken
