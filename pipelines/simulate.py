"""`dssl-bio simulate`: a Cell Painting screen whose shared and specific factors are known."""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, progress_bar, reporter


@command
def simulate(
    out: Path = typer.Option(..., "--out", help="Folder to write; an earlier simulation there is replaced."),
    molecules: int | None = typer.Option(None, "--molecules", help="Molecules; the demo's 600 by default."),
    settings: list[str] = typer.Option([], "--set", help="key=value of the simulation, such as n_replicates=3."),
    workers: int | None = typer.Option(None, "--workers", min=1, help="Processes; all cores by default."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Simulate a Cell Painting screen: images, a table of sites and a manifest that `ingest` reads, and the truth.

    Mechanism and potency are decided by a pharmacophore and shared by molecule and cells; decorations belong to the
    molecule alone; plate, position, staining and seeding to the cells alone. The truth lies in truth/ and nothing
    but evaluation opens it. Equal seed and settings give equal files, on any number of processes.

    Example: dssl-bio simulate --out sim && dssl-bio ingest sim/manifest.toml --out screens/sim
    """
    from dssl_bio.config import with_overrides
    from dssl_bio.screens.simulate.config import SimulationConfig
    from dssl_bio.screens.simulate.simulation import simulate_screen

    given = [f"seed={seed}", *([] if molecules is None else [f"n_molecules={molecules}"]), *settings]
    config = with_overrides(SimulationConfig(), given)
    report = reporter(quiet)
    with progress_bar("wells", quiet) as progress:
        manifest = simulate_screen(out, config, n_workers=workers, progress=progress, report=report)
    report(f"simulated screen written; next: dssl-bio ingest {manifest} --out SCREEN")
