"""Pictures of a screen's sites with their masks, for people who judge a segmentation."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dssl_bio.artefact import written_whole
from dssl_bio.imaging.compose import composite, png, with_scale_bar
from dssl_bio.imaging.intensity import scaled
from dssl_bio.imaging.overlay import overlay
from dssl_bio.screens.masks import MaskLayer
from dssl_bio.screens.screen import Screen
from dssl_bio.screens.segment import images_of
from dssl_bio.vocabulary import PLATE, SITE, WELL

Progress = Callable[[int, int], None]


def write_overlays(screen: Screen, layer: MaskLayer, folder: Path, sites: list[int],
                   progress: Progress = lambda done, total: None) -> list[Path]:
    """One PNG a site, named by plate, well and site: composite, nuclei in white, cells in cyan, scale bar."""
    images = images_of(screen)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for done, site in enumerate(sites, start=1):
        number = np.array([site])
        light = scaled(images.read(number), images.limits(number))[0]
        # the root shows dim nuclei beside bright ones, which is what a judge looks for
        rgb = composite((np.sqrt(np.clip(light, 0, 1)) * 255).astype(np.uint8), images.channels)
        drawn = with_scale_bar(overlay(rgb, *layer.read(site)), images.pixel_size_um)
        path = folder / f"{site_name(screen, site)}.png"
        with written_whole(path) as temporary:
            temporary.write_bytes(png(drawn))
        written.append(path)
        progress(done, len(sites))
    return written


def site_name(screen: Screen, site: int) -> str:
    """Plate, well and site as a file name."""
    row = images_of(screen).table.iloc[site]
    well = screen.wells[WELL].iloc[int(row["row"])] if WELL in screen.wells else int(row["row"])
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{row[PLATE]}_{well}_s{row[SITE]}")
