"""`dssl-bio benchmark`: which method finds most on molecules that none of them has seen?"""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, progress_bar, reporter


@command
def benchmark(
    screen: Path = typer.Argument(..., help="Screen folder made by `dssl-bio ingest`."),
    out: Path = typer.Option(..., "--out", help="Folder to write; a benchmark that was stopped there goes on."),
    methods: str = typer.Option("dssl,clip,kernel-ridge,nearest-neighbour,order-only,mean-profile", "--methods",
                                help="Names, separated by commas; an unknown one is answered with all that exist."),
    folds: str = typer.Option("5", "--folds", help="How many folds, or a table with columns molecule and fold."),
    group_by: str = typer.Option("random", "--group-by",
                                 help="What stays in one fold: random (the molecule), scaffold, cluster, plate, or a "
                                      "column of the wells."),
    train_where: str | None = typer.Option(None, "--train-where", help="Wells that may be learnt from."),
    gallery_where: str | None = typer.Option(None, "--gallery-where", help="Wells that are entries."),
    directions: str = typer.Option("both", "--directions", help="both, to-phenotype or to-molecule."),
    seeds: str = typer.Option("0,1,2", "--seeds", help="Seeds of what is random in a method, separated by commas."),
    entries: str = typer.Option("consensus", "--entries", help="consensus (one per molecule and dose) or wells."),
    modality: str = typer.Option("auto", "--modality", help="images or a profile modality; auto takes images first."),
    one_in: int = typer.Option(0, "--one-in", min=0, help="Ask also among N drawn wrong entries: 100 is 1:100."),
    truth: Path | None = typer.Option(None, "--truth", help="Simulated screens: the simulator's truth/ folder."),
    config: Path | None = typer.Option(None, "--config", help="TOML file of training settings for dssl and clip."),
    settings: list[str] | None = typer.Option(None, "--set", help="One training setting, key=value; may be repeated."),
    workers: int = typer.Option(1, "--workers", min=1, help="Processes; each computes on one thread."),
    draws: int = typer.Option(10_000, "--draws", min=100, help="Draws of the bootstrap over molecules."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Compare methods by cross-validated retrieval of molecules that they have not seen.

    Example: dssl-bio benchmark screens/mine --methods dssl,clip,kernel-ridge --group-by scaffold --out benchmarks/mine
    """
    from dssl_bio.config import read_toml, with_overrides
    from dssl_bio.errors import ConfigError
    from dssl_bio.evaluation.benchmark import BenchmarkOptions
    from dssl_bio.evaluation.benchmark_command import benchmark_screen
    from dssl_bio.evaluation.benchmark_report import PAGE, summary_lines
    from dssl_bio.evaluation.heldout import DIRECTIONS, TO_MOLECULE, TO_PHENOTYPE
    from dssl_bio.learning.config import TrainConfig
    from dssl_bio.screens.screen import Screen

    asked = {"both": DIRECTIONS, "to-phenotype": (TO_PHENOTYPE,), "to-molecule": (TO_MOLECULE,)}
    if directions not in asked:
        raise ConfigError(f"--directions is {', '.join(asked)}; got {directions!r}")
    if entries not in ("consensus", "wells"):
        raise ConfigError(f"--entries is consensus or wells, got {entries!r}")
    try:
        numbers = tuple(int(text) for text in seeds.split(","))
    except ValueError:
        numbers = (-1,)
    if min(numbers) < 0:
        raise ConfigError(f"--seeds expects whole numbers from 0, separated by commas, got {seeds!r}")
    training = with_overrides(read_toml(config, TrainConfig) if config else TrainConfig(), settings or [])
    options = BenchmarkOptions(tuple(name.strip() for name in methods.split(",") if name.strip()), numbers, training,
                               asked[directions], entries, modality, train_where,  # type: ignore[arg-type]
                               gallery_where, one_in, truth)
    say = reporter(quiet)
    with progress_bar("jobs", quiet) as advance:

        def report(done: int, total: int, line: str) -> None:
            advance(done, total)
            say(f"{done}/{total} {line}")

        record = benchmark_screen(Screen.open(screen, check=True), options, out, folds=folds, group_by=group_by,
                                  workers=workers, n_draws=draws, seed=seed, report=report)
    for line in [*summary_lines(record), f"benchmark written to {out}; open {out / PAGE}"]:
        say(line)
