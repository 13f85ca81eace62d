"""Montages of a screen's wells, each with controls of its own plate beside it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.artefact import written_whole
from dssl_bio.errors import ScreenError
from dssl_bio.imaging.compose import png
from dssl_bio.imaging.intensity import scaled
from dssl_bio.imaging.montage import Panel, crops_at, montage
from dssl_bio.screens.masks import MaskLayer, layers_of, open_layer
from dssl_bio.screens.screen import Screen
from dssl_bio.screens.segment import images_of
from dssl_bio.vocabulary import CELL_COUNT, COMPOUND, DOSE_UM, PERT_TYPE, PLATE, ROW_KEY, WELL, well_name

MAX_WELLS = 48


@dataclass(frozen=True)
class MontagePlan:
    """What is shown.

    Attributes:
        crops: cells cut out of each well, where the screen has masks; 0 for none.
        crop_um: side of such a crop.
        controls: whether a negative control of the same plate stands beside each plate's wells.
        width_px: of a picture on the page.
    """

    crops: int = 9
    crop_um: float = 50.0
    controls: bool = True
    width_px: int = 300


def write_montage(screen: Screen, wells: list[str], out: Path, plan: MontagePlan | None = None,
                  masks: str | None = None, seed: int = 0) -> int:
    """Writes a PNG with a row for each well and, after those of a plate, a row for a control of that plate.

    Args:
        screen: with images.
        wells: row keys (plate:well), or wells of any plate, such as C07.
        out: the PNG.
        plan: what is shown.
        masks: layer whose nuclei the crops are centred on; the only one, or classical, by default.
        seed: of the choice of cells and of the control.

    Returns:
        The number of rows.

    Raises:
        ScreenError: a well is not in the screen or has no site, more than MAX_WELLS are asked for, or no such masks.
    """
    plan, images = plan or MontagePlan(), images_of(screen)
    generator = np.random.default_rng(seed)
    layer = _layer(screen, masks) if plan.crops else None
    named = rows_named(screen, wells)
    rows = _with_controls(screen, named, generator) if plan.controls else named
    panels = [_panel(screen, row, plan, layer, generator) for row in rows]
    page = montage(panels, images.channels, images.pixel_size_um, width_px=plan.width_px)
    with written_whole(out) as temporary:
        temporary.write_bytes(png(page))
    return len(panels)


def rows_named(screen: Screen, wells: list[str]) -> list[int]:
    """Positions in `wells` of what was named, in that order; a well without its plate is that well of every plate.

    Raises:
        ScreenError: nothing of the name has a site, or too much was named.
    """
    imaged = set(images_of(screen).table["row"].tolist())
    found: list[int] = []
    for name in wells:
        match = np.flatnonzero((screen.wells[ROW_KEY] == name).to_numpy())
        if not len(match) and WELL in screen.wells:
            match = np.flatnonzero((screen.wells[WELL] == _spelt(name)).to_numpy())
        with_sites = [int(row) for row in match if int(row) in imaged]
        if not with_sites:
            some = ", ".join(screen.wells[ROW_KEY].iloc[sorted(imaged)[:3]])
            raise ScreenError(f"no well {name!r} with a site in screen {screen.name}; it has wells such as {some}")
        found += [row for row in with_sites if row not in found]
    if not found or len(found) > MAX_WELLS:
        raise ScreenError(f"{len(found)} wells are named; a montage shows 1 to {MAX_WELLS}; name them with their "
                          "plate, such as PLATE:C07")
    return found


def _spelt(name: str) -> str:
    try:
        return well_name(name)
    except ValueError:
        return name


def _with_controls(screen: Screen, rows: list[int], generator: np.random.Generator) -> list[int]:
    """The rows by plate, each plate followed by a control of its own that is not among them."""
    imaged = images_of(screen).table["row"].unique()
    plates = screen.wells[PLATE] if PLATE in screen.wells else pd.Series("all", index=screen.wells.index)
    control = (screen.wells[PERT_TYPE] == "negcon").to_numpy()
    result: list[int] = []
    for plate in dict.fromkeys(plates.iloc[rows]):
        here = [row for row in rows if plates.iloc[row] == plate]
        free = [int(row) for row in imaged if control[row] and plates.iloc[row] == plate and int(row) not in here]
        result += [*here, *([int(generator.choice(free))] if free else [])]
    return result


def _panel(screen: Screen, row: int, plan: MontagePlan, layer: MaskLayer | None,
           generator: np.random.Generator) -> Panel:
    images = images_of(screen)
    sites = np.flatnonzero(images.table["row"].to_numpy() == row)
    site = int(sites[0])
    number = np.array([site])
    light = scaled(images.read(number), images.limits(number))[0]
    picture = (np.clip(light, 0, 1) * 255).round().astype(np.uint8)
    size = max(8, round(plan.crop_um / images.pixel_size_um))
    crops: NDArray[np.uint8] = np.zeros((0, len(picture), size, size), np.uint8)
    if layer is not None:
        objects = layer.objects()
        here = objects[(objects["site"] == site) & ~objects["touches_border"]]
        chosen = here.iloc[generator.permutation(len(here))[:plan.crops]]
        centres = [(y, x) for y, x in (chosen[["y_um", "x_um"]] / images.pixel_size_um).to_numpy()]
        crops = crops_at(picture, centres, size).astype(np.uint8)
    return Panel(_title(screen, row), picture, crops)


def _title(screen: Screen, row: int) -> tuple[str, ...]:
    well = screen.wells.iloc[row]
    lines = [str(well[ROW_KEY])]
    if well.get(PERT_TYPE) == "negcon":
        lines.append("negative control")
    if pd.notna(well.get(COMPOUND)):
        dose = well.get(DOSE_UM)
        lines.append(f"{well[COMPOUND]}" + (f", {dose:g} uM" if pd.notna(dose) else ""))
    if pd.notna(well.get(CELL_COUNT)):
        lines.append(f"{well[CELL_COUNT]:g} cells")
    return tuple(lines)


def _layer(screen: Screen, name: str | None) -> MaskLayer | None:
    """The masks that were asked for; else the classical ones, or whichever there are; None without any."""
    if name is not None:
        return open_layer(screen, name)
    known = layers_of(screen)
    return open_layer(screen, "classical" if "classical" in known else known[0]) if known else None
