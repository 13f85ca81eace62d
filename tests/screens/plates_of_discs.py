"""Plates of bright discs for tests: small, with cells and a known tilt of the light."""

from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from dssl_bio.vocabulary import CHANNELS
from tests.screens.small_screen import IMAGE_MANIFEST, SMILES

MANIFEST = IMAGE_MANIFEST.replace('"pictures"', '"discs"').replace("pixel_size_um = 0.5", "pixel_size_um = 1.0")
SIDE = 64
BRIGHTNESS = {"DNA": 3000, "ER": 800, "RNA": 1500, "AGP": 5000, "Mito": 400}
TILT = 0.25


def light():
    """Falls from left to right."""
    field = 1 + TILT * np.linspace(-1, 1, SIDE)[None, :] * np.ones((SIDE, 1))
    return field / field.mean()


def site(generator, n_cells=10, tilted=True):
    """One site by channel; every channel shows the cells in its own brightness and size."""
    y, x = np.mgrid[:SIDE, :SIDE]
    places = generator.uniform(-3, SIDE + 3, (n_cells, 2))
    found = {}
    for number, channel in enumerate(CHANNELS):
        plane = np.zeros((SIDE, SIDE))
        for top, left in places:
            plane += np.exp(-(((y - top) ** 2 + (x - left) ** 2) / (2 * (2 + 0.8 * number) ** 2)) ** 2)
        plane = BRIGHTNESS[channel] * generator.normal(1, 0.03) * np.minimum(plane, 1.3)
        seen = 300 + (plane + 20) * (light() if tilted else 1)
        found[channel] = np.clip(seen + generator.normal(0, 8, seen.shape), 0, 65_535).astype(np.uint16)
    return found


def write_plates(folder: Path, n_plates: int = 2, n_wells: int = 32, seed: int = 0) -> tuple[Path, pd.DataFrame]:
    """Sites of plates P1, P2 ..., wells A1 to ...; every fourth well is DMSO."""
    generator = np.random.default_rng(seed)
    rows = []
    for plate in range(1, n_plates + 1):
        (folder / "images" / f"P{plate}").mkdir(parents=True)
        for number in range(n_wells):
            well = f"{'ABCDEFGH'[number // 8]}{number % 8 + 1}"
            control = number % 4 == 0
            row = {"plate": f"P{plate}", "well": well, "site": 1, "smiles": None if control else SMILES[number % 4],
                   "treatment": "DMSO" if control else "compound"}
            for channel, plane in site(generator).items():
                row[channel.lower()] = f"P{plate}/{well}_{channel}.tif"
                tifffile.imwrite(folder / "images" / row[channel.lower()], plane, compression="zlib")
            rows.append(row)
    table = pd.DataFrame(rows)
    table.to_csv(folder / "sites.csv", index=False)
    (folder / "manifest.toml").write_text(MANIFEST)
    return folder / "manifest.toml", table
