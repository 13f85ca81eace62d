"""`dssl-bio train`: from a screen to a run."""

from pathlib import Path

import typer

from .common import QUIET, command, progress_bar, reporter


@command
def train(
    screen: Path = typer.Argument(..., help="Screen folder made by `dssl-bio ingest`."),
    out: Path = typer.Option(..., "--out", help="Run folder to write."),
    config: Path | None = typer.Option(None, "--config", help="TOML file of settings."),
    settings: list[str] | None = typer.Option(None, "--set", help="One setting, key=value; may be repeated."),
    start: Path | None = typer.Option(None, "--start", help="Run whose networks training starts from, such as one of "
                                                            "`dssl-bio pretrain`; short for --set start=RUN."),
    resume: bool = typer.Option(False, "--resume", help="Continue a run that was stopped."),
    seed: int | None = typer.Option(None, "--seed", help="Seed of everything random; short for --set seed=N."),
    quiet: bool = QUIET,
) -> None:
    """Train the shared representations (step 1), then the modality-specific ones (step 2).

    Example: dssl-bio train screens/mine --out runs/mine --set split.method=scaffold --set step_1.epochs=60
    """
    from dssl_bio.config import read_toml, with_overrides
    from dssl_bio.learning.config import TrainConfig
    from dssl_bio.learning.fit import train as train_run
    from dssl_bio.screens.screen import Screen

    resolved = read_toml(config, TrainConfig) if config else TrainConfig()
    resolved = with_overrides(resolved, [*(settings or []), *([f"seed={seed}"] if seed is not None else []),
                                         *([f"start={str(start)!r}"] if start is not None else [])])
    report = reporter(quiet)
    with progress_bar("training", quiet) as progress:
        metrics = train_run(Screen.open(screen, check=True), resolved, out, resume=resume, report=report,
                            progress=progress)
    validation = metrics.get("step_1", {}).get("validation_mrr")
    report(f"run written to {out}" + (f"; validation MRR {validation:.3f}" if validation is not None else ""))
