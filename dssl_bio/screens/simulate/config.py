"""What a simulated screen is made of."""

from typing import Annotated

from pydantic import Field, model_validator

from dssl_bio.config import Config
from dssl_bio.screens.simulate.mechanisms import MECHANISMS

Positive = Annotated[int, Field(ge=1)]


class SimulationConfig(Config):
    """Size and noise of a simulated screen; the defaults are the demo's.

    Attributes:
        seed: of everything random. The same configuration and seed give the same files, on any number of processes.
        n_molecules: molecules, without DMSO.
        fraction_active: share of them that carries a pharmacophore; at most half, as in screening libraries.
        fraction_annotated: share of the active ones whose mechanism the table of sites tells.
        doses_um: each molecule is given at each of these.
        n_replicates: wells per molecule and dose, each on another plate.
        n_batches: experimental runs; replicate r is made in run r modulo this.
        sites_per_well: fields of view.
        site_px: side of a site in pixels.
        pixel_size_um: side of a pixel.
        fraction_dmso: share of a plate's wells that hold DMSO.
        cells_per_mm2: mean seeding density.
        n_counterfactuals: wells of which the truth also holds a picture under another molecule.
        batch_effect: standard deviation of log staining between batches; between plates it is half of that.
    """

    seed: int = Field(0, ge=0)
    n_molecules: Positive = 600
    fraction_active: float = Field(0.45, gt=0, le=0.5)
    fraction_annotated: float = Field(0.9, gt=0, le=1)
    doses_um: tuple[Annotated[float, Field(gt=0)], ...] = Field((2.0, 10.0), min_length=1)
    n_replicates: Positive = 2
    n_batches: Positive = 2
    sites_per_well: Positive = 1
    site_px: int = Field(128, ge=32, le=2048)
    pixel_size_um: float = Field(1.3, gt=0.3, le=5)
    fraction_dmso: float = Field(0.1, gt=0, le=0.5)
    cells_per_mm2: float = Field(480.0, gt=50, le=1500)
    batch_effect: float = Field(0.15, ge=0, le=1)
    n_counterfactuals: int = Field(48, ge=0, le=100_000)

    @model_validator(mode="after")
    def _consistent(self) -> "SimulationConfig":
        if self.n_active < len(MECHANISMS):
            raise ValueError(f"{self.n_molecules} molecules of which {self.fraction_active:g} are active: "
                             f"at least {len(MECHANISMS)} active ones are needed, one for each mechanism")
        if len(set(self.doses_um)) < len(self.doses_um):
            raise ValueError("doses_um: a dose is given twice")
        return self

    @property
    def n_active(self) -> int:
        """Molecules that carry a pharmacophore."""
        return int(self.n_molecules * self.fraction_active)

    @property
    def n_inactive(self) -> int:
        """Molecules that carry none."""
        return self.n_molecules - self.n_active
