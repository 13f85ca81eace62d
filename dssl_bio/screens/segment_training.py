"""Training a small Cellpose on a screen's own masks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dssl_bio.errors import ScreenError
from dssl_bio.imaging.cellpose_engine import CellposeTraining, train_small
from dssl_bio.imaging.cellpose_weights import SmallCellpose, Target, save_weights
from dssl_bio.imaging.labels import Labels
from dssl_bio.imaging.segmentation import network_input
from dssl_bio.screens.expressions import parse
from dssl_bio.screens.masks import MaskLayer
from dssl_bio.screens.screen import Screen
from dssl_bio.screens.segment import images_of

Progress = Callable[[int, int], None]


def sites_where(screen: Screen, layer: MaskLayer, where: str | None) -> list[int]:
    """Numbers of the sites of a layer whose wells satisfy a filter expression; all without one.

    Raises:
        ConfigError: the expression does not parse, or names a column that the wells lack.
        ScreenError: no site is left.
    """
    kept = parse(where).mask(screen.wells) if where else np.ones(len(screen.wells), dtype=bool)
    owner = images_of(screen).table["row"].to_numpy()
    sites = [site for site in layer.sites if kept[owner[site]]]
    if not sites:
        raise ScreenError(f"masks {layer.name} have no site" + (f" where {where}" if where else ""))
    return sites


def train_on_masks(screen: Screen, layer: MaskLayer, target: Target, out: Path, plan: CellposeTraining, *,
                   where: str | None = None, progress: Progress = lambda done, total: None) -> SmallCellpose:
    """Trains a small Cellpose on a layer's masks and writes its weights.

    Args:
        screen: whose images are read.
        layer: whose masks are learned.
        target: nuclei or cells.
        out: file of weights; its facts go to `<name>.json` beside it.
        plan: of the training.
        where: filter expression over the wells, so that others are left for judging.
        progress: called with (steps done, steps).

    Raises:
        ScreenError: the layer has no cells, or no site is left.
        ConfigError: Cellpose 3 is not installed, or there is nothing to learn.
    """
    if target == "cells" and not layer.has_cells:
        raise ScreenError(f"masks {layer.name} hold nuclei and no cells")
    images = images_of(screen)
    pictures: list[NDArray[np.float32]] = []
    masks: list[Labels] = []
    for site in sites_where(screen, layer, where):
        number, found = np.array([site]), layer.read(site)
        labels = found.nuclei if target == "nuclei" or found.cells is None else found.cells
        if labels.any():  # Cellpose learns nothing of a flow from an empty field, and cannot make one
            pictures.append(network_input(images.read(number)[0], images.limits(number)[0], images.channels, target))
            masks.append(labels)
    if not masks:
        raise ScreenError(f"masks {layer.name} hold no {target}" + (f" where {where}" if where else ""))
    network = train_small(pictures, masks, images.pixel_size_um, target, plan, progress)
    network.made_from.update(screen=screen.name, simulated=screen.simulated, masks=layer.name, where=where)
    save_weights(out, network)
    return network
