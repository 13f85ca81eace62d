"""What cells look like, as numbers that mechanisms change: the language between biology and the renderer."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHARES = frozenset({
    "cell_loss", "roundness", "protrusions", "irregular_nucleus", "multinucleated", "mitotic", "pyknotic",
    "actin_puncta", "golgi_dispersion", "mito_fragmentation", "vacuoles", "aggregates",
})
"""Fields between 0 and 1; all others are factors relative to an untreated cell."""


@dataclass(frozen=True)
class Morphology:
    """How treated cells differ from untreated ones, which are `Morphology()`.

    Attributes:
        cell_loss: share of the seeded cells that is gone.
        cell_area: area of the cell body.
        elongation: length over width.
        roundness: 0 spread, 1 rounded up and thick.
        protrusions: 0 smooth outline, 1 star-like arms left by a collapsed body.
        nucleus_area: area of the nucleus.
        nucleus_elongation: its length over width.
        irregular_nucleus: 0 elliptic, 1 deeply lobed.
        multinucleated: share of the cells with several nuclei in place of one.
        mitotic: share of the cells that are round, with condensed chromosomes.
        pyknotic: share of the cells that are dying: shrunken, with a small bright nucleus.
        dna: brightness of DNA.
        chromatin_contrast: of the texture in the nucleus.
        nucleolus_area: area of nucleoli.
        nucleolus_rna: brightness of RNA in nucleoli.
        rna: brightness of cytoplasmic RNA.
        er: brightness of the endoplasmic reticulum.
        er_compactness: how much it gathers around the nucleus.
        er_granularity: contrast of its texture.
        actin_fibres: brightness of stress fibres.
        actin_cortex: brightness of the cell's rim.
        actin_puncta: actin in bright foci instead of fibres.
        golgi: brightness of the Golgi apparatus.
        golgi_dispersion: 0 one cap beside the nucleus, 1 fragments all over the cell.
        mito: brightness of mitochondria (the dye follows their membrane potential).
        mito_fragmentation: 0 a network of filaments, 1 dots.
        mito_compactness: how much they gather around the nucleus.
        vacuoles: dark holes in the cytoplasm with AGP-bright rims.
        aggregates: a bright perinuclear inclusion in RNA and AGP.
    """

    cell_loss: float = 0.0
    cell_area: float = 1.0
    elongation: float = 1.0
    roundness: float = 0.0
    protrusions: float = 0.0
    nucleus_area: float = 1.0
    nucleus_elongation: float = 1.0
    irregular_nucleus: float = 0.0
    multinucleated: float = 0.02
    mitotic: float = 0.03
    pyknotic: float = 0.01
    dna: float = 1.0
    chromatin_contrast: float = 1.0
    nucleolus_area: float = 1.0
    nucleolus_rna: float = 1.0
    rna: float = 1.0
    er: float = 1.0
    er_compactness: float = 1.0
    er_granularity: float = 1.0
    actin_fibres: float = 1.0
    actin_cortex: float = 1.0
    actin_puncta: float = 0.0
    golgi: float = 1.0
    golgi_dispersion: float = 0.0
    mito: float = 1.0
    mito_fragmentation: float = 0.1
    mito_compactness: float = 1.0
    vacuoles: float = 0.0
    aggregates: float = 0.0


UNTREATED = Morphology()


def response(full: Morphology, strength: Floats) -> dict[str, Floats]:
    """Every field of the morphology for cells (N,) that respond by `strength` (N,), from 0 untreated to 1 full.

    Shares move linearly, factors in proportion (linearly in their logarithm), so half of a doubling and half of
    a halving are undone by each other. At strength 0 the result is exactly the untreated morphology.
    """
    values: dict[str, Floats] = {}
    for field in fields(Morphology):
        start, end = np.float32(getattr(UNTREATED, field.name)), np.float32(getattr(full, field.name))
        if field.name in SHARES:
            values[field.name] = start + (end - start) * strength
        else:
            values[field.name] = start * (end / start) ** strength
    return values


def hill(dose_um: float, ec50_um: float, slope: float = 1.5) -> float:
    """Share of the full effect at a dose, in [0, 1) (Hill 1910)."""
    return float(1.0 / (1.0 + (ec50_um / dose_um) ** slope))
