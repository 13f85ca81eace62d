"""`dssl-bio images`: pictures of a screen's wells for people to look at, and crops for programs."""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, progress_bar, reporter

app = typer.Typer(no_args_is_help=True, help="Pictures of a screen's wells, and crops around nuclei.")


@app.callback()
def images() -> None:
    """Pictures of a screen's wells."""


@app.command()
@command
def montage(
    screen: Path = typer.Argument(..., help="Screen folder with images."),
    wells: list[str] = typer.Option(..., "--wells", help="A well: PLATE:WELL, or C07 on every plate. May be repeated; "
                                    "commas separate several."),
    out: Path = typer.Option(..., "--out", help="PNG to write."),
    masks: str | None = typer.Option(None, "--masks", help="Layer of masks whose nuclei the cut-out cells are "
                                     "centred on."),
    crops: int = typer.Option(9, "--crops", min=0, max=100, help="Cells cut out of each well; 0 for none."),
    crop_um: float = typer.Option(50.0, "--crop-um", min=1, help="Side of a cut-out cell in micrometres."),
    controls: bool = typer.Option(True, "--controls/--no-controls", help="A control of the same plate beside."),
    width: int = typer.Option(300, "--width", min=32, max=2000, help="Pixels across a picture on the page."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Lay wells out on a page: composite, each channel in its colour, single cells, scale bar, controls beside.

    Every channel is scaled by its plate's limits, the same for treated wells and controls.

    Example: dssl-bio images montage screens/mine --wells P1:C07,P1:D09 --out wells.png
    """
    from dssl_bio.errors import ConfigError
    from dssl_bio.screens.montage import MontagePlan, write_montage
    from dssl_bio.screens.screen import Screen

    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out is a PNG file, not {out.name}")
    names = [name.strip() for given in wells for name in given.split(",") if name.strip()]
    n_rows = write_montage(Screen.open(screen), names, out, MontagePlan(crops, crop_um, controls, width), masks, seed)
    reporter(quiet)(f"{n_rows} wells in {out}")


@app.command()
@command
def crops(
    screen: Path = typer.Argument(..., help="Screen folder with images and masks."),
    out: Path = typer.Option(..., "--out", help="Folder to write."),
    masks: str = typer.Option("classical", "--masks", help="Layer of masks whose nuclei are cut around."),
    size_um: float = typer.Option(60.0, "--size-um", min=1, help="Side of a crop in micrometres."),
    pixel_size_um: float | None = typer.Option(None, "--pixel-size-um", min=0.01, help="Of the crops; the screen's by "
                                               "default."),
    per_well: int = typer.Option(64, "--per-well", min=0, help="Crops of a well at most, chosen by the "
                                  "seed; 0 for all."),
    flagged: bool = typer.Option(False, "--flagged/--no-flagged", help="Crops of flagged sites, too."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Store crops around nuclei as a memory map with a table, for programs of one's own.

    `dssl-bio train --set image.tiles=nuclei` needs no such folder: it cuts its tiles out of the screen.

    Example: dssl-bio images crops screens/mine --out crops/mine --size-um 50 --pixel-size-um 0.6
    """
    from dssl_bio.screens.crop_store import CropPlan, write_crops
    from dssl_bio.screens.masks import open_layer
    from dssl_bio.screens.screen import Screen

    report = reporter(quiet)
    opened = Screen.open(screen)
    plan = CropPlan(size_um, pixel_size_um, per_well, flagged, seed)
    with progress_bar("cutting crops", quiet) as progress:
        store = write_crops(opened, open_layer(opened, masks), out, plan, report, progress)
    without = store.record["wells_without_nuclei"]
    report(f"{len(store):,} crops in {out}" + (f"; {without:,} wells have no nucleus and none" if without else ""))
