"""A small screen on disk for tests: one plate of wells with profiles and images, and the manifest that describes it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import CHANNELS

SMILES = ["CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "c1ccncc1.Cl"]
FEATURES = [f"Cells_f{i}" for i in range(6)]

PROFILE_MANIFEST = """
name = "small"
[columns]
Metadata_Plate = "plate"
Metadata_Well = "well"
Metadata_SMILES = "smiles"
[controls]
where = 'treatment == "DMSO"'
[dose]
column = "dose"
unit = "nM"
[profiles.cell_painting]
table = "wells.csv"
features = ["Cells_*"]
normalisation = "negcon"
"""

IMAGE_MANIFEST = """
name = "pictures"
[columns]
Metadata_Plate = "plate"
Metadata_Well = "well"
Metadata_Site = "site"
Metadata_SMILES = "smiles"
[controls]
where = 'treatment == "DMSO"'
[images]
table = "sites.csv"
folder = "images"
pixel_size_um = 0.5
channels = { Mito = "mito", DNA = "dna", ER = "er", RNA = "rna", AGP = "agp" }
"""


def wells_table(n_wells: int = 16, seed: int = 0) -> pd.DataFrame:
    """Half of the wells are DMSO; plate 00123 begins with zeros."""
    generator = np.random.default_rng(seed)
    numbers = np.arange(n_wells)
    control = numbers % 2 == 0
    table = pd.DataFrame({
        "plate": "00123",
        "well": [f"{'ABCDEFGH'[i // 12]}{i % 12 + 1}" for i in numbers],
        "treatment": np.where(control, "DMSO", "compound"),
        "smiles": [None if c else SMILES[i // 2 % len(SMILES)] for i, c in zip(numbers, control, strict=True)],
        "dose": np.where(control, np.nan, 5000.0),
    })
    return table.assign(**{name: generator.normal(size=n_wells) for name in FEATURES})


def write_profiles(folder: Path, table: pd.DataFrame, manifest: str = PROFILE_MANIFEST) -> Path:
    table.to_csv(folder / "wells.csv", index=False)
    path = folder / "manifest.toml"
    path.write_text(manifest)
    return path


def write_sites(folder: Path, n_wells: int = 4, n_sites: int = 2, seed: int = 0) -> tuple[Path, pd.DataFrame]:
    """Sites of 24 x 32 pixels; the mean of each channel is 100 times its place in CHANNELS plus ten times the well."""
    generator = np.random.default_rng(seed)
    (folder / "images").mkdir()
    rows = []
    for well in range(n_wells):
        for site in range(1, n_sites + 1):
            row = {"plate": "00123", "well": f"A{well + 1}", "site": site, "smiles": SMILES[well % 4] if well else None,
                   "treatment": "compound" if well else "DMSO"}
            for place, channel in enumerate(CHANNELS):
                name = f"A{well + 1}_s{site}_{channel}.tif"
                pixels = generator.poisson(100 * (place + 1) + 10 * well, (24, 32)).astype(np.uint16)
                tifffile.imwrite(folder / "images" / name, pixels, compression="zlib")
                row[channel.lower()] = name
            rows.append(row)
    table = pd.DataFrame(rows)
    table.to_csv(folder / "sites.csv", index=False)
    (folder / "manifest.toml").write_text(IMAGE_MANIFEST)
    return folder / "manifest.toml", table


def ingested(manifest: Path, **options: object) -> Screen:
    return ingest(read_manifest(manifest), manifest.parent / "screen", **options)  # type: ignore[arg-type]


Edit = Callable[[pd.DataFrame], pd.DataFrame]
