"""Masks: a named layer of a screen's images, plate by plate, with a table of the objects in it.

A layer is the folder `images/masks/NAME`: for each plate `nuclei.zarr` and `cells.zarr` (n, H, W), one compressed chunk
a site, and `objects.parquet`; beside them `layer.json`, written last, which says what made it. A layer that has none is
unfinished and is not seen. The screen's own files are never changed by a layer.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from dssl_bio.artefact import write_json
from dssl_bio.errors import ScreenError
from dssl_bio.imaging.labels import areas_and_centres
from dssl_bio.imaging.segmentation import Masks
from dssl_bio.screens.screen import IMAGES, Screen
from dssl_bio.vocabulary import PLATE

MASKS, LAYER = "masks", "layer.json"
NUCLEI, CELLS, OBJECTS = "nuclei", "cells", "objects.parquet"
SCHEMA_VERSION = 1
SITES_A_SHARD = 16
"""Masks of so many sites share a file: hundreds of plates would make a million small ones."""

OBJECT_COLUMNS = ("site", "object", "y_um", "x_um", "nucleus_area_um2", "cell_area_um2", "touches_border")


@dataclass(frozen=True)
class MaskLayer:
    """Masks of the sites of a screen's plates, of all or of some.

    Attributes:
        folder: of the layer.
        name: of the layer.
        facts: its layer.json.
    """

    folder: Path
    name: str
    facts: dict[str, Any]

    @cached_property
    def _places(self) -> dict[int, tuple[str, int]]:
        return {int(site): (plate["folder"], place) for plate in self.facts["plates"]
                for place, site in enumerate(plate["sites"])}

    @property
    def sites(self) -> list[int]:
        """Numbers of the sites that have masks, ascending."""
        return sorted(self._places)

    @property
    def has_cells(self) -> bool:
        """Whether cells were outlined, not nuclei alone."""
        return bool(self.facts["has_cells"])

    def read(self, site: int) -> Masks:
        """Masks of a site by its number.

        Raises:
            ScreenError: the layer has none for it, or is damaged.
        """
        if site not in self._places:
            raise ScreenError(f"masks {self.name} have none for site {site}")
        plate, place = self._places[site]
        try:
            nuclei = np.asarray(zarr.open_array(self.folder / plate / f"{NUCLEI}.zarr", mode="r")[place])
            cells = None
            if self.has_cells:
                cells = np.asarray(zarr.open_array(self.folder / plate / f"{CELLS}.zarr", mode="r")[place])
        except (OSError, ValueError) as cause:
            raise ScreenError(f"masks {self.name} in {self.folder} are damaged: {cause}") from cause
        return Masks(nuclei.astype(np.int32), None if cells is None else cells.astype(np.int32))

    def objects(self) -> pd.DataFrame:
        """One row a nucleus: site, object (its number there), centre, areas of nucleus and cell, touches_border."""
        tables = [pd.read_parquet(self.folder / plate["folder"] / OBJECTS) for plate in self.facts["plates"]]
        return pd.concat(tables, ignore_index=True) if tables else empty_objects()


def images_id(screen: Screen) -> str:
    """Twelve characters that name a screen's images by their content, whatever features lie beside them."""
    files = {name: value for name, value in screen.record["files"].items() if name.startswith(f"{IMAGES}/")}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]


def layer_folder(screen: Screen, name: str) -> Path:
    """Where a layer lies."""
    return screen.folder / IMAGES / MASKS / name


def layers_of(screen: Screen) -> list[str]:
    """Names of the finished layers of a screen."""
    return sorted(path.parent.name for path in (screen.folder / IMAGES / MASKS).glob(f"*/{LAYER}"))


def open_layer(screen: Screen, name: str) -> MaskLayer:
    """A finished layer.

    Raises:
        ScreenError: there is none of the name (those that are there are listed), or it is damaged or of another
            version.
    """
    folder = layer_folder(screen, name)
    path = folder / LAYER
    if not path.is_file():
        known = ", ".join(layers_of(screen)) or "none"
        raise ScreenError(f"screen {screen.name} has no masks {name!r}; it has {known}; make them with "
                          f"`dssl-bio segment {screen.folder}`")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["schema_version"] != SCHEMA_VERSION:
            raise ScreenError(f"{path} has schema version {facts['schema_version']}, this program reads "
                              f"{SCHEMA_VERSION}; segment again")
        if facts["images"] != images_id(screen):
            raise ScreenError(f"masks {name} were made of other images than {screen.folder} holds; segment again")
        return MaskLayer(folder, name, dict(facts))
    except (ValueError, KeyError, TypeError) as cause:
        raise ScreenError(f"{path} is damaged: {cause}; segment again") from cause


def seal_layer(folder: Path, name: str, screen: Screen, plates: list[dict[str, Any]],
               facts: dict[str, Any]) -> MaskLayer:
    """Writes layer.json, which makes a layer visible, and gives the layer.

    Args:
        folder: of the layer; its plates are complete.
        name: of the layer.
        screen: whose images these are.
        plates: for each plate its name, folder, and the numbers of its sites in order.
        facts: what made it.
    """
    has_cells = all((folder / plate["folder"] / f"{CELLS}.zarr").is_dir() for plate in plates)
    record = {"schema_version": SCHEMA_VERSION, "kind": "masks", "name": name, "images": images_id(screen),
              "has_cells": has_cells, **facts, "plates": plates}
    write_json(folder / LAYER, record)
    return MaskLayer(folder, name, record)


def write_masks(folder: Path, sites: list[int], masks: Iterator[Masks], pixel_size_um: float) -> pd.DataFrame:
    """Writes the masks of a plate's sites, and the table of their objects, which is returned.

    Args:
        folder: of the plate.
        sites: numbers of its sites.
        masks: of each, in order.
        pixel_size_um: of the masks.
    """
    tables: list[pd.DataFrame] = []
    waiting: list[Masks] = []
    arrays: dict[str, Any] = {}
    done = 0

    def flush() -> None:
        nonlocal done
        for target in (NUCLEI, CELLS):
            planes = [getattr(found, target) for found in waiting]
            if not planes or planes[0] is None:
                continue
            if target not in arrays:
                arrays[target] = _new_array(folder / f"{target}.zarr", (len(sites), *planes[0].shape))
            arrays[target][done:done + len(planes)] = np.stack(planes).astype(np.uint16)
        done += len(waiting)
        waiting.clear()

    for site, found in zip(sites, masks, strict=True):
        if int(found.nuclei.max(initial=0)) > np.iinfo(np.uint16).max:
            raise ScreenError(f"site {site} has more than {np.iinfo(np.uint16).max:,} objects")
        tables.append(objects_of(site, found, pixel_size_um))
        waiting.append(found)
        if len(waiting) == SITES_A_SHARD:
            flush()
    flush()
    objects = pd.concat(tables, ignore_index=True) if tables else empty_objects()
    objects.to_parquet(folder / OBJECTS)
    return objects


def objects_of(site: int, masks: Masks, pixel_size_um: float) -> pd.DataFrame:
    """One row a nucleus of a site, in the columns OBJECT_COLUMNS; a nucleus without cell has no cell area."""
    rows = areas_and_centres(masks.nuclei)
    if not len(rows):
        return empty_objects()
    cell_area = np.full(len(rows), np.nan)
    outer = masks.nuclei
    if masks.cells is not None:
        areas = np.bincount(masks.cells.ravel(), minlength=int(rows[:, 0].max()) + 1)[rows[:, 0].astype(int)]
        cell_area = np.where(areas > 0, areas * pixel_size_um**2, np.nan)
        outer = masks.cells
    rim = np.unique(np.concatenate([outer[0], outer[-1], outer[:, 0], outer[:, -1]]))
    return pd.DataFrame({
        "site": site, "object": rows[:, 0].astype(np.int32), "y_um": rows[:, 2] * pixel_size_um,
        "x_um": rows[:, 3] * pixel_size_um, "nucleus_area_um2": rows[:, 1] * pixel_size_um**2,
        "cell_area_um2": cell_area, "touches_border": np.isin(rows[:, 0], rim),
    })


def empty_objects() -> pd.DataFrame:
    """The table of objects of a field that has none."""
    kinds = {"site": np.int64, "object": np.int32, "touches_border": bool}
    return pd.DataFrame({name: np.zeros(0, kinds.get(name, float)) for name in OBJECT_COLUMNS})


def counts_of_wells(screen: Screen, layer: MaskLayer) -> NDArray[np.float64]:
    """Nuclei counted in each well (W,), over all of its sites; NaN where the layer has none of them."""
    counts = np.full(len(screen.wells), np.nan)
    if screen.images is None:
        return counts
    owner = screen.images.table["row"].to_numpy()
    counts[np.unique(owner[layer.sites])] = 0
    np.add.at(counts, owner[layer.objects()["site"].to_numpy(int)], 1)
    return counts


def plates_of(screen: Screen) -> dict[str, list[int]]:
    """Numbers of the sites of each plate, ascending."""
    if screen.images is None:
        raise ScreenError(f"screen {screen.name} has no images")
    groups = screen.images.table.groupby(PLATE, sort=True).indices
    return {str(plate): sorted(map(int, numbers)) for plate, numbers in groups.items()}


def _new_array(path: Path, shape: tuple[int, ...]) -> Any:
    """Labels (n, H, W); runs of equal numbers compress to a few per cent."""
    return zarr.create_array(store=path, shape=shape, dtype="uint16", chunks=(1, *shape[1:]),
                             shards=(min(SITES_A_SHARD, shape[0]), *shape[1:]),
                             compressors=BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"))
