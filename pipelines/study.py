"""`dssl-bio study`: controlled experiments with the method and what it is compared with."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from .common import PARTIAL, QUIET, command, progress_bar, reporter

app = typer.Typer(no_args_is_help=True, help="Controlled experiments.")

OUT = typer.Option(..., "--out", help="Folder of the study; a study that was stopped goes on there.")
SEEDS = typer.Option("0,1,2", "--seeds", help="Seeds, separated by commas.")
SEED = typer.Option(None, "--seed", min=0, help="One seed, in place of --seeds.")
WORKERS = typer.Option(1, "--workers", min=1, help="Processes; each computes on one thread, or on one of the GPUs.")


@app.command()
@command
def synthetic(
    out: Path = OUT,
    full: bool = typer.Option(False, "--full", help="The paper's size: hours instead of minutes."),
    noisy: bool = typer.Option(False, "--noisy", help="With and without observation noise: the two regimes."),
    betas: str | None = typer.Option(None, "--betas", help="The authors' beta, separated by commas."),
    lambdas: str | None = typer.Option(None, "--lambdas", help="Lambda, separated by commas."),
    parts: str = typer.Option("beta,lambda,penalty,methods", "--parts", help="Which parts to run."),
    seeds: str = SEEDS, seed: int | None = SEED, workers: int = WORKERS, quiet: bool = QUIET,
) -> int:
    """The authors' synthetic study: figures 4a and 4b, every baseline, acceptance tests T1 and T7 to T14.

    Exit status 2 when an acceptance test is outside its range.

    Example: dssl-bio study synthetic --out studies/synthetic --workers 2
    """
    from dssl_bio.studies.synthetic import NOISE, SyntheticConfig, synthetic_study

    given: dict[str, Any] = {"seeds": _seeds(seeds, seed), "parts": tuple(parts.split(","))}
    given |= {name: _floats(text, f"--{name}") for name, text in (("betas", betas), ("lambdas", lambdas)) if text}
    if noisy:
        given["noises"] = (0.0, NOISE)
    config = _made(lambda: SyntheticConfig.full(**given) if full else SyntheticConfig(**given))
    return _shown(lambda report: synthetic_study(config, out, workers, report), out, quiet)


@app.command()
@command
def gaussian(out: Path = OUT, seed: int = typer.Option(0, "--seed", min=0, help="Seed of everything random."),
             workers: int = WORKERS, quiet: bool = QUIET) -> int:
    """Gaussian views: the trained bottleneck against its closed form, and what step 1 optimises in its place.

    Exit status 2 when a trained code is further than 0.02 from its optimum.

    Example: dssl-bio study gaussian --out studies/gaussian
    """
    from dssl_bio.studies.gaussian import GaussianConfig, gaussian_study

    config = _made(lambda: GaussianConfig(seed=seed))
    return _shown(lambda report: gaussian_study(config, out, workers, report), out, quiet)


@app.command("two-views")
@command
def two_views(out: Path = OUT, seeds: str = SEEDS, seed: int | None = SEED, workers: int = WORKERS,
              quiet: bool = QUIET) -> int:
    """Real pairs: halves of digits; images and texts of Wikipedia where DSSL_BIO_DATA holds them.

    Example: dssl-bio study two-views --out studies/two-views --workers 2
    """
    from dssl_bio.studies.two_views import TwoViewsConfig, two_views_study, wikipedia_file

    config = _made(lambda: TwoViewsConfig(seeds=_seeds(seeds, seed), wikipedia=wikipedia_file()))
    return _shown(lambda report: two_views_study(config, out, workers, report), out, quiet)


@app.command()
@command
def multibench(data: Path = typer.Option(..., "--data", help="Folder of MultiBench's pickled features."),
               out: Path = OUT, seeds: str = SEEDS, seed: int | None = SEED, workers: int = WORKERS,
               quiet: bool = QUIET) -> int:
    """MIMIC, MOSEI, MOSI, UR-FUNNY and MUSTARD as MultiBench publishes them: every method, linear probes.

    Example: dssl-bio study multibench --data multibench --out studies/multibench
    """
    from dssl_bio.studies.multibench import MultibenchConfig, multibench_study

    config = _made(lambda: MultibenchConfig(seeds=_seeds(seeds, seed)))
    return _shown(lambda report: multibench_study(config, data, out, workers, report), out, quiet)


def _shown(study: Callable[[Callable[[int, int, str], None]], Any], out: Path, quiet: bool) -> int:
    """Runs a study with its progress, writes it, prints its tables."""
    from dssl_bio.studies.result import as_text, write_study

    say = reporter(quiet)
    with progress_bar("jobs", quiet) as advance:

        def report(done: int, total: int, line: str) -> None:
            advance(done, total)
            say(f"{done}/{total} {line}")

        result = study(report)
    write_study(result, out)
    say(as_text(result))
    say(f"written to {out / 'study.json'} and {out / 'study.html'}")
    return 0 if result.passed else PARTIAL


def _made(make: Callable[[], Any]) -> Any:
    from pydantic import ValidationError

    from dssl_bio.errors import ConfigError

    try:
        return make()
    except ValidationError as cause:
        problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in cause.errors()]
        raise ConfigError("; ".join(problems)) from cause


def _seeds(text: str, one: int | None) -> tuple[int, ...]:
    from dssl_bio.errors import ConfigError

    values = (one,) if one is not None else _floats(text, "--seeds")
    if any(value != int(value) or value < 0 for value in values):
        raise ConfigError(f"--seeds expects whole numbers from 0, separated by commas, got {text!r}")
    return tuple(dict.fromkeys(int(value) for value in values))


def _floats(text: str, option: str) -> tuple[float, ...]:
    from dssl_bio.errors import ConfigError

    try:
        values = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as cause:
        raise ConfigError(f"{option} expects numbers separated by commas, got {text!r}") from cause
    if not values or not all(math.isfinite(value) for value in values):
        raise ConfigError(f"{option} expects finite numbers, at least one, got {text!r}")
    return values
