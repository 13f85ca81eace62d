"""`dssl-bio ingest`: from a manifest to a screen."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .common import OK, PARTIAL, QUIET, SEED, command, progress_bar, reporter

if TYPE_CHECKING:
    from dssl_bio.screens.screen import Screen


@command
def ingest(
    manifest: Path = typer.Argument(..., help="TOML file that describes the screen."),
    out: Path = typer.Option(..., "--out", help="Screen folder to write."),
    data_root: Path | None = typer.Option(None, "--data-root", help="What the manifest's paths are relative to."),
    molecules: Path | None = typer.Option(None, "--molecules", help="Table that gives structures to the rows."),
    workers: int = typer.Option(1, "--workers", min=1, help="Processes that read plates of images."),
    scheduler: str | None = typer.Option(None, "--scheduler", help="Dask scheduler whose workers read plates of images "
                                         "instead, such as tcp://host:8786 (needs dssl-bio[scale])."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> int:
    """Read tables and images into a screen; every row is kept, or rejected with its reason.

    Images are read plate by plate. When a call is stopped, the plates that were complete lie
    in OUT.partial, and the same call goes on there.

    Nothing here is random: --seed changes nothing and is taken because every command
    takes it.

    Example: dssl-bio ingest data_manifests/dark_matter.toml --data-root data --out screens/dark_matter

    Exit status 2: the screen was written and some rows were rejected (rejected.parquet in it says why).
    """
    from dssl_bio.screens.ingest import ingest as build
    from dssl_bio.screens.manifest import read_manifest

    report = reporter(quiet)
    with progress_bar("reading", quiet) as bar:
        screen = build(read_manifest(manifest, data_root), out, molecules=molecules, workers=workers,
                       scheduler=scheduler, report=report, progress=lambda stage, done, total: bar(done, total))
    if not quiet:
        show(screen)
    return PARTIAL if screen.record["counts"]["rejected"] else OK


def show(screen: "Screen") -> None:
    """Prints what became of the rows, and why some are not there."""
    from rich.console import Console
    from rich.table import Table

    counts, console = screen.record["counts"], Console()
    rows = Table(title=f"{screen.name}{' (simulated)' if screen.simulated else ''}", title_justify="left")
    for column in ("table", "rows", "filtered", "rejected", "used"):
        rows.add_column(column, justify="left" if column == "table" else "right")
    for name, table in counts["tables"].items():
        rows.add_row(name, *(f"{table[key]:,}" for key in ("input_rows", "filtered", "rejected", "used")))
    console.print(rows)
    plates = f"{counts['plates']:,} {'plate' if counts['plates'] == 1 else 'plates'}"
    print(f"{counts['wells']:,} wells on {plates}, {counts['controls']:,} negative controls, "
          f"{counts['molecules']:,} molecules, {counts['wells_without_molecule']:,} treated wells without molecule")
    for title, reasons in (("rejected", counts["rejected_reasons"]), ("without molecule", counts["unjoined_reasons"])):
        for reason, count in reasons.items():
            print(f"  {title}: {count:,} x {reason}")
    quality = counts["quality"]
    if quality:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in quality["flags"].items())
        print(f"{quality['sites']:,} sites, {quality['flagged_sites']:,} flagged{f' ({kinds})' if kinds else ''}"
              + (f", {quality['wells_without_unflagged_site']:,} wells without another; flagged sites are kept and "
                 f"left out of training and entries; see `dssl-bio quality {screen.folder}`" if kinds else ""))
    for note in screen.record["notes"]:
        print(f"  note: {note}")
    files = [name for name, count in (("rejected", counts["rejected"]), ("unjoined", counts["wells_without_molecule"]))
             if count]
    print(f"screen written to {screen.folder}" + (f"; row by row in {' and '.join(f'{f}.parquet' for f in files)}"
                                                  if files else ""))
