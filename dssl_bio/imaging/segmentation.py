"""Engines that find nuclei and cells in sites, behind one door: classical (no weights) and Cellpose."""

from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import relabel_sequential

from dssl_bio.config import Config
from dssl_bio.errors import ConfigError
from dssl_bio.imaging.classical import ClassicalSettings, find_cells, find_nuclei
from dssl_bio.imaging.intensity import scaled
from dssl_bio.imaging.labels import Labels
from dssl_bio.vocabulary import CHANNELS

EngineName = Literal["classical", "cellpose"]
ENGINES: tuple[EngineName, ...] = ("classical", "cellpose")

NUCLEI_CHANNEL = CHANNELS[0]
CELL_CHANNELS = (("ER", "RNA", "AGP"), ("Mito",))
"""What fills a cell, best first: the mean of the first group of which a screen has any."""

Site = NDArray[np.uint16]
Limits = NDArray[np.float32]


class Masks(NamedTuple):
    """Objects of one site; cell k, where there is one, is that of nucleus k.

    Attributes:
        nuclei: (H, W) numbered from 1.
        cells: (H, W), or None where no channel fills cells.
    """

    nuclei: Labels
    cells: Labels | None


class EngineSettings(Config):
    """Which engine, and what it needs; what decides the masks of a site.

    Attributes:
        engine: classical or cellpose.
        weights: Cellpose: file or model name that finds nuclei.
        weights_sha256: of a file of Cellpose's own.
        cell_weights: Cellpose: file or model name that finds cells; without, cells grow from nuclei by watershed.
        cell_weights_sha256: likewise.
        nucleus_um: diameter of nuclei, for weights of Cellpose's own.
        cell_um: diameter of cells, likewise.
        classical: lengths and levels of the classical engine.
    """

    engine: EngineName = "classical"
    weights: str | None = None
    weights_sha256: str | None = None
    cell_weights: str | None = None
    cell_weights_sha256: str | None = None
    nucleus_um: float | None = None
    cell_um: float | None = None
    classical: ClassicalSettings = ClassicalSettings()


class Engine(Protocol):
    """Finds the objects of a site."""

    def find(self, site: Site, limits: Limits) -> Masks:
        """Masks of a raw site (C, H, W), given its plate's intensity limits (C, 2)."""


class ClassicalEngine:
    """Thresholds and watersheds; see `imaging.classical`."""

    def __init__(self, channels: tuple[str, ...], pixel_size_um: float, settings: ClassicalSettings):
        """Prepares for sites of these channels and pixel size."""
        self.channels, self.pixel_size_um, self.settings = channels, pixel_size_um, settings

    def find(self, site: Site, limits: Limits) -> Masks:
        """Nuclei by threshold and watershed, cells grown from them."""
        nuclei = find_nuclei(site[self.channels.index(NUCLEI_CHANNEL)], self.pixel_size_um, self.settings)
        return Masks(nuclei, self.cells_of(nuclei, site, limits))

    def cells_of(self, nuclei: Labels, site: Site, limits: Limits) -> Labels | None:
        """Cells grown from nuclei that are given."""
        ground = cytoplasm(site, limits, self.channels)
        return None if ground is None else find_cells(nuclei, ground, self.pixel_size_um, self.settings)


class CellposeEngine:
    """Cellpose for nuclei; for cells too where weights are given, else the classical watershed from its nuclei."""

    def __init__(self, channels: tuple[str, ...], pixel_size_um: float, settings: EngineSettings):
        """Loads the weights.

        Raises:
            ConfigError: none are given, Cellpose is not installed, or weights are refused.
        """
        from dssl_bio.imaging.cellpose_engine import CellposeFinder

        if settings.weights is None:
            raise ConfigError("the engine cellpose needs --weights: a file that `dssl-bio segment SCREEN --train` "
                              "made, or a model that Cellpose has downloaded; the engine classical needs none")
        self.nuclei = CellposeFinder(settings.weights, settings.weights_sha256, settings.nucleus_um)
        self.cells = None
        if settings.cell_weights is not None:
            self.cells = CellposeFinder(settings.cell_weights, settings.cell_weights_sha256, settings.cell_um)
        self.channels, self.pixel_size_um = channels, pixel_size_um
        self._classical = ClassicalEngine(channels, pixel_size_um, settings.classical)

    def find(self, site: Site, limits: Limits) -> Masks:
        """Nuclei and cells."""
        nuclei = self.nuclei.find(network_input(site, limits, self.channels, "nuclei"), self.pixel_size_um)
        if self.cells is None or cytoplasm(site, limits, self.channels) is None:
            return Masks(nuclei, self._classical.cells_of(nuclei, site, limits))
        cells = self.cells.find(network_input(site, limits, self.channels, "cells"), self.pixel_size_um)
        return Masks(nuclei, paired(nuclei, cells))


def engine_of(settings: EngineSettings, channels: tuple[str, ...], pixel_size_um: float) -> Engine:
    """The engine that settings name, for sites of these channels and pixel size.

    Raises:
        ConfigError: the sites have no channel that shows nuclei, or the engine cannot be had.
    """
    if NUCLEI_CHANNEL not in channels:
        raise ConfigError(f"segmentation starts from nuclei and needs the channel {NUCLEI_CHANNEL}; this screen has "
                          f"{', '.join(channels)}")
    if settings.engine == "classical":
        return ClassicalEngine(channels, pixel_size_um, settings.classical)
    return CellposeEngine(channels, pixel_size_um, settings)


def cytoplasm(site: Site, limits: Limits, channels: tuple[str, ...]) -> NDArray[np.float32] | None:
    """What fills cells (H, W): the mean of the channels of CELL_CHANNELS, each on its plate's scale; None without."""
    for group in CELL_CHANNELS:
        places = [channels.index(name) for name in group if name in channels]
        if places:
            return scaled(site[None, places], limits[None, places])[0].mean(axis=0)
    return None


def network_input(site: Site, limits: Limits, channels: tuple[str, ...],
                  target: Literal["nuclei", "cells"]) -> NDArray[np.float32]:
    """What Cellpose reads (2, H, W), the same in training and use: roots of intensities on the plate's scale.

    The root brings dim and bright nuclei closer together. The plate's limits keep an empty field empty, where
    percentiles of the field itself would stretch its noise.
    """
    dna = channels.index(NUCLEI_CHANNEL)
    nuclei = scaled(site[None, [dna]], limits[None, [dna]])[0, 0]
    ground = cytoplasm(site, limits, channels) if target == "cells" else None
    planes = [nuclei, np.zeros_like(nuclei)] if ground is None else [ground, nuclei]
    return np.sqrt(np.stack(planes)).astype(np.float32)


def paired(nuclei: Labels, cells: Labels) -> Labels:
    """Cells with the numbers of their nuclei: each takes the one that fills most of it; those without one are dropped.

    A cell of several nuclei takes the number of the largest, and its other nuclei have no cell.
    """
    cells = relabel_sequential(cells)[0]
    shared = np.zeros((int(cells.max()) + 1, int(nuclei.max()) + 1), dtype=np.int64)
    np.add.at(shared, (cells.ravel(), nuclei.ravel()), 1)
    shared[:, 0] = 0
    chosen = np.where(shared.max(axis=1) > 0, shared.argmax(axis=1), 0)
    chosen[0] = 0
    # a nucleus that two cells share goes with the one that holds more of it
    for number in np.unique(chosen[chosen > 0]):
        rivals = np.flatnonzero(chosen == number)
        chosen[rivals[rivals != rivals[shared[rivals, number].argmax()]]] = 0
    return chosen[cells].astype(np.int32)


def settings_for(engine: EngineName, weights: Path | str | None = None, **more: str | float | None) -> EngineSettings:
    """Settings from what a command is told; weights given to the classical engine are refused.

    Raises:
        ConfigError: the engine is unknown, or weights are given to one that reads none.
    """
    if engine not in ENGINES:
        raise ConfigError(f"no engine {engine!r}; there are {', '.join(ENGINES)}")
    if engine == "classical" and (weights is not None or any(value is not None for value in more.values())):
        raise ConfigError("the engine classical reads no weights; say --engine cellpose")
    return EngineSettings(engine=engine, weights=None if weights is None else str(weights), **more)
