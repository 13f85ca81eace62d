"""`dssl-bio quality`: what is wrong with a screen's images, plate by plate."""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, progress_bar, reporter


@command
def quality(
    screen: Path = typer.Argument(..., help="Screen folder made by `dssl-bio ingest`."),
    out: Path = typer.Option(..., "--out", help="Folder to write: quality.html, sites.csv, plates.csv, warnings.csv."),
    plate: list[str] = typer.Option([], "--plate", help="Plate to draw; may be given several times. By default the "
                                    "twelve with most flagged sites and the largest position effect."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Show flagged sites, plate maps (cell count, intensity, focus), position effects and illumination of a screen.

    Nothing here is random: --seed changes nothing and is taken because every command
    takes it.

    Example: dssl-bio quality screens/mine --out quality/mine
    """
    from dssl_bio.evaluation.quality_report import PAGE, write_quality
    from dssl_bio.screens.screen import Screen

    report = reporter(quiet)
    with progress_bar("drawing plates", quiet) as progress:
        counts = write_quality(Screen.open(screen), out, plates=plate, progress=progress)
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in counts["flags"].items())
    plates = "plate" if counts["plates"] == 1 else "plates"
    report(f"{counts['sites']:,} sites on {counts['plates']:,} {plates}, {counts['flagged_sites']:,} flagged"
           + (f" ({kinds})" if kinds else "") + f", {counts['warnings']:,} warnings")
    if counts["wells_with_few_cells"] is None:
        report("  cells were not counted: dssl-bio segment counts them")
    else:
        report(f"  {counts['wells_with_few_cells']:,} wells with few cells")
    if counts["plate_effect"]:
        report(f"  plate effect: {counts['plate_effect']} of the variance between wells")
    report(f"report written to {out}; open {out / PAGE}")
