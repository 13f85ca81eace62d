"""Crops around nuclei as a folder of their own, for training loops of one's own: a memory map and a table.

Our training cuts its tiles out of a screen's sites as it asks for them and needs no such folder. One is worth its room
where another program reads the crops, or where the sites are compressed or of another pixel size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.artefact import new_folder, read_record, require_disk, seal
from dssl_bio.errors import ScreenError
from dssl_bio.imaging.crops import crop_of
from dssl_bio.imaging.intensity import Clipping, scaled
from dssl_bio.screens.masks import MaskLayer
from dssl_bio.screens.nuclei import Nuclei, nuclei_of
from dssl_bio.screens.screen import FLAGGED, INTENSITY, Images, Screen
from dssl_bio.screens.site_store import Pixels, SiteStore, SiteWriter
from dssl_bio.vocabulary import MOLECULE_ID, PERT_TYPE, PLATE, ROW_KEY, SITE, WELL

CROPS = "crops.parquet"
AT_ONCE = 64
MOST_PX = 1024


@dataclass(frozen=True)
class CropPlan:
    """Which crops are made.

    Attributes:
        size_um: side of a crop.
        pixel_size_um: of the crops; the screen's when absent.
        per_well: at most, chosen by the seed; 0 for all.
        flagged: whether sites that quality control marked give crops.
        seed: of the choice.
    """

    size_um: float = 60.0
    pixel_size_um: float | None = None
    per_well: int = 64
    flagged: bool = False
    seed: int = 0


class CropStore:
    """Crops (N, C, size, size) and their table. Processes that are handed one map the same file and copy nothing.

    Attributes:
        folder: where it lies.
        record: its crops.json.
        table: one row a crop: row_key, plate, well, molecule_id and control type of its well, site, object, y_um and
            x_um of the nucleus.
        channels: names of the C channels.
        pixel_size_um: of the crops.
    """

    def __init__(self, folder: Path):
        """Opens a folder that `write_crops` made.

        Raises:
            ScreenError: it is none, or is damaged.
        """
        self.folder, self.record = folder, read_record(folder, "crops")
        self.table = pd.read_parquet(folder / CROPS)
        self.channels = tuple(self.record["channels"])
        self.pixel_size_um = float(self.record["pixel_size_um"])
        self._crops = SiteStore.open([folder])
        if len(self._crops) != len(self.table):
            raise ScreenError(f"{folder} has {len(self.table)} rows and {len(self._crops)} crops; make it again")
        self._images = Images(self._crops, self.table, self.pixel_size_um, self.channels,
                              pd.read_parquet(folder / INTENSITY), Clipping(**self.record["clipping"]))

    def __reduce__(self) -> tuple[Any, ...]:
        return CropStore, (self.folder,)  # a memory map would be sent as the pixels themselves

    def __len__(self) -> int:
        return len(self.table)

    def raw(self, numbers: NDArray[np.integer]) -> Pixels:
        """Crops (n, C, size, size) as counts, corrected for illumination."""
        return self._crops[numbers]

    def __getitem__(self, numbers: NDArray[np.integer]) -> NDArray[np.float32]:
        """Crops (n, C, size, size) on the scale that encoders read: their plate's limits at 0 and 1."""
        return scaled(self.raw(numbers), self._images.limits(numbers), self._images.clipping.ceiling)


def write_crops(screen: Screen, layer: MaskLayer, folder: Path, plan: CropPlan,
                report: Callable[[str], None] = lambda line: None,
                progress: Callable[[int, int], None] | None = None) -> CropStore:
    """Writes the crops of a screen, well by well.

    Raises:
        ScreenError: no images, no nuclei, sites without masks, or crops of no or of too many pixels.
    """
    images = screen.images
    if images is None:
        raise ScreenError(f"screen {screen.name} has no images")
    pixel_size = plan.pixel_size_um or images.pixel_size_um
    size = round(plan.size_um / pixel_size)
    if not 1 < size <= MOST_PX:
        raise ScreenError(f"crops of {plan.size_um:g} um are {size} pixels of {pixel_size:g} um; 2 to {MOST_PX} pixels "
                          "are possible")
    nuclei, left_out = _nuclei(images, layer, plan)
    rows = sorted(nuclei.of_well)
    if not rows:
        raise ScreenError(f"masks {layer.name} have no nucleus in a site that counts")
    chosen = np.concatenate([nuclei.of_well[row] for row in rows])
    report(f"{nuclei.source}, {size} x {size} px of {pixel_size:g} um"
           + (f"; {left_out} sites are flagged by quality control and left out" if left_out else ""))
    report(require_disk(folder, 2 * len(chosen) * len(images.channels) * size**2 + 10_000_000))
    with new_folder(folder, "crops") as work:
        with SiteWriter(work, len(chosen), (len(images.channels), size, size), "memory_map") as writer:
            for start in range(0, len(chosen), AT_ONCE):
                for crop in _cut(images, nuclei, chosen[start:start + AT_ONCE], size, pixel_size):
                    writer.append(crop)
                if progress is not None:
                    progress(min(start + AT_ONCE, len(chosen)), len(chosen))
            known = writer.finish()
        _table(screen, images, nuclei, chosen).to_parquet(work / CROPS)
        images.intensity.to_parquet(work / INTENSITY)
        seal(work, "crops", {"screen": screen.id, "masks": layer.name}, known=known, screen_name=screen.name,
             simulated=screen.simulated, channels=list(images.channels), pixel_size_um=pixel_size, size_px=size,
             per_well=plan.per_well, flagged_sites=plan.flagged, seed=plan.seed, n_crops=len(chosen),
             wells_without_nuclei=images.table["row"].nunique() - len(rows),
             clipping={"low_percentile": images.clipping.low_percentile,
                       "high_percentile": images.clipping.high_percentile, "ceiling": images.clipping.ceiling})
    return CropStore(folder)


def _nuclei(images: Images, layer: MaskLayer, plan: CropPlan) -> tuple[Nuclei, int]:
    """The nuclei that are cut around, and how many sites quality control leaves out."""
    owner = images.table["row"].to_numpy(np.int64)
    counts = np.ones(len(owner), dtype=bool) if plan.flagged or FLAGGED not in images.table else ~images.flagged
    if missing := len(np.setdiff1d(np.flatnonzero(counts), layer.sites)):
        raise ScreenError(f"masks {layer.name} have none of {missing:,} of {int(counts.sum()):,} sites; segment the "
                          "other plates too")
    order = np.argsort(owner, kind="stable")
    rows, starts = np.unique(owner[order], return_index=True)
    sites = {int(row): own[counts[own]] for row, own in zip(rows, np.split(order, starts[1:]), strict=True)}
    return nuclei_of(images, layer, sites, sites.__getitem__, plan.per_well, plan.seed), int((~counts).sum())


def _cut(images: Images, nuclei: Nuclei, numbers: NDArray[np.int64], size: int, pixel_size_um: float) -> Pixels:
    zoom = images.pixel_size_um / pixel_size_um
    windows, done = nuclei.windows(images.sites, numbers, size, zoom)
    if done:
        return windows
    found = np.stack([crop_of(window.astype(np.float32), zoom, size) for window in windows])
    return np.clip(np.rint(found), 0, np.iinfo(np.uint16).max).astype(np.uint16)


def _table(screen: Screen, images: Images, nuclei: Nuclei, chosen: NDArray[np.int64]) -> pd.DataFrame:
    sites = nuclei.site[chosen]
    columns = [name for name in (ROW_KEY, WELL, MOLECULE_ID, PERT_TYPE) if name in screen.wells]
    table = screen.wells.iloc[nuclei.row[chosen]][columns].reset_index(drop=True)
    y, x = nuclei.centre[chosen].T * images.pixel_size_um
    own = {name: images.table[name].to_numpy()[sites] for name in (PLATE, SITE) if name in images.table}
    return table.assign(**own, site=sites, object=nuclei.object[chosen], y_um=y, x_um=x)
