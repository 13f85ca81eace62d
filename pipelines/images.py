"""`dssl-bio images`: pictures of a screen's wells for people to look at."""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, reporter

app = typer.Typer(no_args_is_help=True, help="Pictures of a screen's wells.")


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
