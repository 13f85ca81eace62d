"""The tables of a simulated screen: what a laboratory would hand over, and the truth that it would not know."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.plates import Well, is_edge
from dssl_bio.vocabulary import (
    BATCH,
    CELL_LINE,
    CHANNELS,
    COMPOUND,
    DOSE_UM,
    MOA,
    MOLECULE_ID,
    PERT_TYPE,
    PLATE,
    REPLICATE,
    SITE,
    SMILES,
    SOURCE,
    WELL,
)

MASK_COLUMNS = {"nuclei": "FileName_NucleiMask", "cells": "FileName_CellsMask"}

MANIFEST = """# A simulated screen, written by `dssl-bio simulate`: no cell and no molecule was ever measured.
name = "sim"
title = "Simulated Cell Painting screen: {n_molecules} molecules, {n_mechanisms} mechanisms"
citation = "simulated by dssl-bio {version}, seed {seed}"
licence = "CC0"
simulated = true

[controls]
where = 'Metadata_pert_type == "negcon"'

[dose]
column = "Metadata_Dose_um"
unit = "uM"

[images]
table = "sites.csv"
folder = "images"
pixel_size_um = {pixel_size_um}

[images.channels]
{channels}
"""


def file_name(well: Well, site: int, channel: str) -> str:
    """Place of a plane below images/."""
    return f"{well.plate.name}/{well.name}_s{site + 1}_{channel}.tif"


def mask_name(well: Well, site: int, target: str) -> str:
    """Place of a true mask below truth/."""
    return f"masks/{well.plate.name}/{well.name}_s{site + 1}_{target}.tif"


def table_of_masks(config: SimulationConfig, wells: Sequence[Well]) -> pd.DataFrame:
    """One row a site: where its true nuclei and cells lie, below truth/."""
    return pd.DataFrame([{PLATE: well.plate.name, WELL: well.name, SITE: site + 1,
                          **{column: mask_name(well, site, target) for target, column in MASK_COLUMNS.items()}}
                         for well in wells for site in range(config.sites_per_well)])


def table_of_sites(config: SimulationConfig, wells: Sequence[Well]) -> pd.DataFrame:
    """One row a site: what the laboratory knows."""
    rows = []
    for well in wells:
        molecule = well.molecule
        known = {
            SOURCE: "simulator", BATCH: f"batch{well.plate.batch + 1}", PLATE: well.plate.name, WELL: well.name,
            CELL_LINE: "U2OS (simulated)", REPLICATE: well.replicate + 1,
            PERT_TYPE: "negcon" if molecule is None else "trt",
            COMPOUND: "DMSO" if molecule is None else molecule.compound,
            SMILES: None if molecule is None else molecule.smiles,
            DOSE_UM: None if molecule is None else well.dose_um,
            MOA: molecule.core.mechanism if molecule is not None and molecule.annotated else None,
        }
        for site in range(config.sites_per_well):
            files = {f"FileName_{channel}": file_name(well, site, channel) for channel in CHANNELS}
            rows.append({**known, SITE: site + 1, **files})
    return pd.DataFrame(rows)


def truth_of_wells(wells: Sequence[Well], n_cells: Sequence[int]) -> pd.DataFrame:
    """One row a well: `Shared_` columns are what molecule and phenotype have in common, `Specific_` the phenotype's.

    Cell loss is the share that the mechanism kills and is shared; seeding density is what was put in and is specific.
    The cells that are seen (`n_cells`) come of both and belong to neither.
    """
    rows = []
    for well, count in zip(wells, n_cells, strict=True):
        molecule, effect, exposure = well.molecule, well.effect(), well.exposure
        rows.append({
            PLATE: well.plate.name, WELL: well.name, PERT_TYPE: "negcon" if molecule is None else "trt",
            MOLECULE_ID: None if molecule is None else molecule.inchikey[:14], DOSE_UM: well.dose_um,
            "Shared_mechanism": effect.mechanism,
            "Shared_log10_ec50_um": float("nan") if molecule is None else float(np.log10(molecule.core.ec50_um)),
            "Shared_strength": effect.strength, "Shared_cell_loss": effect.cell_loss,
            "Specific_batch": f"batch{well.plate.batch + 1}", "Specific_plate": well.plate.name,
            "Specific_row": well.row + 1, "Specific_column": well.column + 1,
            "Specific_edge": float(is_edge(well.number)),
            "Specific_cells_per_mm2": well.cells_per_mm2, "Specific_focus_um": exposure.focus_um,
            **{f"Specific_stain_{c}": value for c, value in zip(CHANNELS, exposure.stain, strict=True)},
            **{f"Specific_background_{c}": value for c, value in zip(CHANNELS, exposure.background, strict=True)},
            **{f"Specific_tilt_{axis}_{c}": light[i] for c, light in zip(CHANNELS, exposure.illumination, strict=True)
               for i, axis in enumerate("xy")},
            "n_cells": count,
        })
    return pd.DataFrame(rows)
