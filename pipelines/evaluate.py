"""`dssl-bio evaluate`: how well does a run find what it has never seen?"""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, progress_bar, reporter


@command
def evaluate(
    run: Path = typer.Argument(..., help="Run folder made by `dssl-bio train`."),
    screen: Path = typer.Argument(..., help="Screen folder with the phenotypes."),
    out: Path = typer.Option(..., "--out", help="Folder to write: evaluation.json, ranks.parquet, evaluation.html."),
    entries: str = typer.Option("consensus", "--entries", help="consensus (one per molecule and dose) or wells."),
    gallery_where: str | None = typer.Option(
        None, "--gallery-where", help="""Wells that are entries, such as 'Metadata_Run == "2"'."""),
    truth: Path | None = typer.Option(None, "--truth", help="Simulated screens: the simulator's truth/ folder."),
    draws: int = typer.Option(10_000, "--draws", min=100, help="Draws of the bootstrap over molecules."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Evaluate a run on its held-out molecules, beside chance, simple baselines and the replicate ceiling.

    Example: dssl-bio evaluate runs/mine screens/mine --out evaluations/mine
    """
    from dssl_bio.errors import ConfigError
    from dssl_bio.evaluation.protocols import evaluate_run
    from dssl_bio.evaluation.report import PAGE, summary_lines, write_evaluation
    from dssl_bio.learning.run import Run
    from dssl_bio.screens.screen import Screen

    if entries not in ("consensus", "wells"):
        raise ConfigError(f"--entries is consensus or wells, got {entries!r}")
    report = reporter(quiet)
    model, data = Run.open(run), Screen.open(screen, check=True)
    with progress_bar("embedding entries", quiet) as progress:
        found = evaluate_run(model, data, mode=entries, gallery_where=gallery_where, truth=truth,  # type: ignore[arg-type]
                             progress=progress, report=report)
    options = {"entries": entries, "gallery_where": gallery_where, "truth": truth is not None}
    record = write_evaluation(found, model, data, out, options, seed, draws)
    for line in [*summary_lines(record), f"evaluation written to {out}; open {out / PAGE}"]:
        report(line)
