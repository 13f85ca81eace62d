"""`dssl-bio index`: from a run and a screen to a bundle."""

from pathlib import Path

import typer

from .common import QUIET, command, progress_bar, reporter


@command
def index(
    run: Path = typer.Argument(..., help="Run folder made by `dssl-bio train`."),
    screen: Path = typer.Argument(..., help="Screen folder whose phenotypes are indexed."),
    out: Path = typer.Option(..., "--out", help="Bundle folder to write."),
    entries: str = typer.Option("consensus", "--entries", help="consensus (one per molecule and dose) or wells."),
    where: str | None = typer.Option(None, "--where", help='Wells to index, such as "Metadata_Dose_um <= 10".'),
    benchmark: Path | None = typer.Option(
        None, "--benchmark", help="Benchmark folder: keeps its results and what recall to expect."),
    factors: bool = typer.Option(True, "--factors/--no-factors", help="Keep what each representation knows."),
    truth: Path | None = typer.Option(None, "--truth", help="Simulated screens: the simulator's truth/ folder."),
    seed: int | None = typer.Option(
        None, "--seed", min=0, help="Seed of the null's draws, above 100,000 pairs; the run's by default."),
    quiet: bool = QUIET,
) -> None:
    """Index the phenotypes of a screen with a trained model.

    Example: dssl-bio index runs/mine screens/mine --out bundles/mine
    """
    from dssl_bio.errors import ConfigError
    from dssl_bio.factors.index import keep_factors
    from dssl_bio.learning.run import Run
    from dssl_bio.retrieval.build import build_bundle
    from dssl_bio.screens.screen import Screen

    if entries not in ("consensus", "wells"):
        raise ConfigError(f"--entries is consensus or wells, got {entries!r}")
    report = reporter(quiet)
    with progress_bar("embedding entries", quiet) as progress:
        build_bundle(Run.open(run), Screen.open(screen, check=True), out, mode=entries, where=where,  # type: ignore[arg-type]
                     benchmark=benchmark, seed=seed, also=keep_factors(truth, report) if factors else None,
                     progress=progress, report=report)
    report(f"bundle written to {out}")
