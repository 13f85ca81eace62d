"""True counterfactuals: the very cells of a well under a molecule that it never got."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.molecules import SimulatedMolecule
from dssl_bio.screens.simulate.plates import Well, effect_of
from dssl_bio.screens.simulate.render import RenderedSite, render
from dssl_bio.vocabulary import CHANNELS, DOSE_UM, INCHIKEY, MOLECULE_ID, PLATE, SMILES, WELL

TABLE, PIXELS = "counterfactuals.parquet", "counterfactuals.npy"
_COUNTERFACTUALS = 6


@dataclass(frozen=True)
class Counterfactual:
    """A well, and what it is imagined to have got instead."""

    well: Well
    molecule: SimulatedMolecule
    dose_um: float

    def rendered(self, config: SimulationConfig) -> RenderedSite:
        """Its first site: cells, staining, focus and noise of the well, and the effect of the other molecule."""
        return render(self.well.site(config, 0), effect_of(self.molecule, self.dose_um))


def draw_counterfactuals(config: SimulationConfig, molecules: Sequence[SimulatedMolecule], wells: Sequence[Well],
                         n: int) -> list[Counterfactual]:
    """Wells (negative controls among them), each with another molecule at a dose of the screen, drawn at random.

    The first of them do not depend on how many there are.
    """
    rng = np.random.default_rng([config.seed, _COUNTERFACTUALS])
    pairs: list[Counterfactual] = []
    while len(pairs) < n:
        well, molecule = wells[int(rng.integers(len(wells)))], molecules[int(rng.integers(len(molecules)))]
        dose_um = config.doses_um[int(rng.integers(len(config.doses_um)))]
        if well.molecule is None or well.molecule.inchikey[:14] != molecule.inchikey[:14]:
            pairs.append(Counterfactual(well, molecule, dose_um))
    return pairs


def write_counterfactuals(folder: Path, config: SimulationConfig, pairs: Sequence[Counterfactual]) -> None:
    """A table of the pairs, and their pictures (P, 5, H, W) as counts in CHANNELS order."""
    shape, rows = (len(pairs), len(CHANNELS), config.site_px, config.site_px), []
    with (folder / PIXELS).open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint16)), "fortran_order": False, "shape": shape})
        for pair in pairs:
            rendered = pair.rendered(config)
            file.write(np.ascontiguousarray(rendered.pixels).data)
            rows.append(_row(pair, rendered.n_cells))
    pd.DataFrame(rows, columns=None if rows else list(COLUMNS)).to_parquet(folder / TABLE, index=False)


COLUMNS = (PLATE, WELL, "own_molecule_id", "own_dose_um", "own_mechanism", "own_strength", MOLECULE_ID, SMILES,
           INCHIKEY, DOSE_UM, "mechanism", "strength", "n_cells")


def _row(pair: Counterfactual, n_cells: int) -> dict[str, object]:
    well, own, effect = pair.well, pair.well.effect(), effect_of(pair.molecule, pair.dose_um)
    values = (well.plate.name, well.name, None if well.molecule is None else well.molecule.inchikey[:14], well.dose_um,
              own.mechanism, own.strength, pair.molecule.inchikey[:14], pair.molecule.smiles, pair.molecule.inchikey,
              pair.dose_um, effect.mechanism, effect.strength, n_cells)
    return dict(zip(COLUMNS, values, strict=True))
