"""The layout of a screen, and what plates and wells do to pictures whatever the molecule is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.microscope import Exposure
from dssl_bio.screens.simulate.molecules import SimulatedMolecule
from dssl_bio.screens.simulate.morphology import hill
from dssl_bio.screens.simulate.render import NO_EFFECT, Effect, SiteState
from dssl_bio.vocabulary import CHANNELS

ROWS, COLUMNS = 16, 24
N_WELLS = ROWS * COLUMNS
BACKGROUND = 260.0
WELL_STAIN_SD = 0.04
DENSITY_SD = 0.18
EDGE_DENSITY = 0.8

_LAYOUT, _BATCH, _PLATE, _WELL = 2, 3, 4, 5


@dataclass(frozen=True)
class Plate:
    """A plate and what it does to all of its wells.

    Attributes:
        number: from 0.
        batch: experimental run, from 0.
        stain: (5,) log brightness of each stain, batch and plate together.
        stain_slope: (5, 2) change of it from the first row to the last, and from the first column to the last.
        background: (5,) counts.
        illumination: (5, 3) as in `Exposure`.
        log_density: of seeding, relative.
        focus_um: blur.
    """

    number: int
    batch: int
    stain: NDArray[np.float64]
    stain_slope: NDArray[np.float64]
    background: NDArray[np.float64]
    illumination: NDArray[np.float64]
    log_density: float
    focus_um: float

    @property
    def name(self) -> str:
        """Such as SIM-00001."""
        return f"SIM-{self.number + 1:05d}"


@dataclass(frozen=True)
class Well:
    """One well: where it is, what was put into it, and how it was seeded, stained and recorded."""

    plate: Plate
    number: int
    molecule: SimulatedMolecule | None
    dose_um: float
    replicate: int
    cells_per_mm2: float
    exposure: Exposure

    @property
    def row(self) -> int:
        """From 0."""
        return self.number // COLUMNS

    @property
    def column(self) -> int:
        """From 0."""
        return self.number % COLUMNS

    @property
    def name(self) -> str:
        """Such as A01."""
        return f"{'ABCDEFGHIJKLMNOP'[self.row]}{self.column + 1:02d}"

    def effect(self) -> Effect:
        """What its molecule does at its dose; nothing for DMSO and for inactive molecules."""
        return NO_EFFECT if self.molecule is None else effect_of(self.molecule, self.dose_um)

    def site(self, config: SimulationConfig, number: int) -> SiteState:
        """State of one of its sites; the molecule has no part in it."""
        seed = (config.seed, _WELL, self.plate.number, self.number, number)
        return SiteState(seed, config.site_px, config.pixel_size_um, self.cells_per_mm2, self.exposure)


def is_edge(number: int) -> bool:
    """Whether a well lies on the plate's border."""
    row, column = divmod(number, COLUMNS)
    return row in (0, ROWS - 1) or column in (0, COLUMNS - 1)


def effect_of(molecule: SimulatedMolecule, dose_um: float) -> Effect:
    """The core decides mechanism and potency, the dose how much of the effect is seen; decorations have no part."""
    core = molecule.core
    return Effect(core.mechanism, hill(dose_um, core.ec50_um)) if core.active else NO_EFFECT


def draw_wells(config: SimulationConfig, molecules: list[SimulatedMolecule]) -> list[Well]:
    """All wells, plate by plate.

    Each replicate has plates of its own, on which molecule and dose are scattered anew together with DMSO, so that
    no molecule keeps a position. Wells that remain are empty and not imaged.
    """
    treatments = [(molecule, dose) for molecule in molecules for dose in config.doses_um]
    most = N_WELLS - max(1, round(N_WELLS * config.fraction_dmso))
    n_plates = -(-len(treatments) // most)
    rng = np.random.default_rng([config.seed, _LAYOUT])
    wells: list[Well] = []
    for replicate in range(config.n_replicates):
        order = rng.permutation(len(treatments))
        for i, share in enumerate(np.array_split(order, n_plates)):
            plate = draw_plate(config, replicate * n_plates + i, replicate % config.n_batches)
            share_of_dmso = config.fraction_dmso / (1 - config.fraction_dmso)
            n_dmso = min(N_WELLS - len(share), max(2, round(len(share) * share_of_dmso)))
            contents = [treatments[t] for t in share] + [(None, float("nan"))] * n_dmso
            places = np.sort(rng.choice(N_WELLS, len(contents), replace=False))
            for place, content in zip(places, rng.permutation(len(contents)), strict=True):
                molecule, dose_um = contents[content]
                wells.append(_draw_well(config, plate, int(place), molecule, dose_um, replicate))
    return wells


def draw_plate(config: SimulationConfig, number: int, batch: int) -> Plate:
    """A plate of a batch; the batch's part is the same on all of its plates."""
    of_batch = np.random.default_rng([config.seed, _BATCH, batch])
    rng = np.random.default_rng([config.seed, _PLATE, number])
    n, sd = len(CHANNELS), config.batch_effect
    return Plate(
        number, batch,
        stain=of_batch.normal(0, sd, n) + rng.normal(0, sd / 2, n),
        stain_slope=rng.normal(0, 0.4 * sd, (n, 2)),
        background=BACKGROUND * np.exp(of_batch.normal(0, sd, n) + rng.normal(0, sd, n)),
        illumination=np.column_stack([of_batch.normal(0, 0.05, (n, 2)) + rng.normal(0, 0.02, (n, 2)),
                                      np.abs(of_batch.normal(0.08, 0.03, n))]),
        log_density=float(of_batch.normal(0, 0.08) + rng.normal(0, 0.08)),
        focus_um=float(rng.uniform(0.8, 1.05)),
    )


def _draw_well(config: SimulationConfig, plate: Plate, number: int, molecule: SimulatedMolecule | None,
               dose_um: float, replicate: int) -> Well:
    rng = np.random.default_rng([config.seed, _WELL, plate.number, number])
    position = np.array([number // COLUMNS / (ROWS - 1), number % COLUMNS / (COLUMNS - 1)]) - 0.5
    stain = plate.stain + plate.stain_slope @ position + rng.normal(0, WELL_STAIN_SD, len(CHANNELS))
    exposure = Exposure(
        stain=tuple(np.exp(stain).tolist()), background=tuple(plate.background.tolist()),
        illumination=tuple((x, y, fall) for x, y, fall in plate.illumination.tolist()),
        focus_um=float(plate.focus_um * np.exp(abs(rng.normal(0, 0.1)))))
    density = config.cells_per_mm2 * np.exp(plate.log_density + rng.normal(0, DENSITY_SD))
    if is_edge(number):
        density *= EDGE_DENSITY
    return Well(plate, number, molecule, dose_um, replicate, float(density), exposure)
