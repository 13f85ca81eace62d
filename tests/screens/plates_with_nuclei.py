"""The plates of discs with a layer of masks whose nuclei lie at known places."""

from pathlib import Path

import numpy as np

from dssl_bio.imaging.segmentation import Masks
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.masks import layer_folder, seal_layer, write_masks
from dssl_bio.screens.screen import Screen
from tests.screens.plates_of_discs import SIDE, write_plates


def squares(site: int) -> np.ndarray:
    """Nuclei of a site: its number decides where one lies, two are fixed; every fifth site has none."""
    labels = np.zeros((SIDE, SIDE), np.int32)
    if site % 5:
        for number, (y, x) in enumerate([(2 + site % 7, 20), (40, 60), (33, 30)], start=1):
            labels[y - 2:y + 3, x - 2:x + 3] = number
    return labels


def screen_with_nuclei(folder: Path) -> Screen:
    """64 sites of 64 pixels on plates P1 and P2, one a well, with masks `classical`."""
    manifest, _ = write_plates(folder)
    screen = ingest(read_manifest(manifest), folder / "screen")
    layer = layer_folder(screen, "classical")
    plates = []
    for name in ("P1", "P2"):
        sites = np.flatnonzero(screen.images.table["Metadata_Plate"] == name).tolist()
        (layer / name).mkdir(parents=True)
        write_masks(layer / name, sites, (Masks(squares(site), None) for site in sites), screen.images.pixel_size_um)
        plates.append({"plate": name, "folder": name, "sites": sites})
    seal_layer(layer, "classical", screen, plates, {"engine": "by hand"})
    return screen
