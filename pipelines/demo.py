"""`dssl-bio demo`: the whole road on a simulated screen, then the application."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from .common import QUIET, SEED, command, progress_bar, reporter
from .serve import serve_bundles

TRAINING = ("gine.hidden=64", "gine.layers=3", "image.width=16", "step_1.epochs=20", "step_2.epochs=14",
            "step_2.learning_rate=3e-3")
"""Less than the defaults, so that a laptop walks the road in minutes; everything else is as for any screen."""
ASKED = 3
STAGES = 6


@command
def demo(
    out: Path = typer.Option(Path("dssl-bio-demo"), "--out", help="Folder to write; an earlier demo is replaced."),
    no_serve: bool = typer.Option(False, "--no-serve", help="Stop before the application."),
    molecules: int | None = typer.Option(None, "--molecules", help="Molecules to simulate; 600 by default."),
    settings: list[str] = typer.Option([], "--set", help="A setting of the training, key=value; may be repeated."),
    simulation: list[str] = typer.Option(
        [], "--simulation", help="A setting of the simulated screen, key=value, such as site_px=64; may be repeated."),
    port: int | None = typer.Option(None, "--port", min=1, max=65535, help="The first free one from 8501 by default."),
    no_browser: bool = typer.Option(False, "--no-browser", help="Do not open a browser."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> int:
    """Walk the whole road on a simulated screen: simulate, ingest, train, index, evaluate, retrieve, then serve.

    The screen is simulated: its figures say that the road works, nothing about real cells.

    Example: dssl-bio demo --out demo --no-serve
    """
    report = reporter(quiet)
    started = time.monotonic()
    bundle = walk(out, molecules, simulation, settings, seed, quiet)
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    report(f"the road took {minutes} min {seconds} s and at most {_peak_gb():.1f} GB of memory")
    report(f"everything lies in {out}: sim (input and truth), screen, run, bundle, evaluation, hits.csv")
    report(f"look at {out / 'evaluation' / 'evaluation.html'}; serve again with: dssl-bio serve {bundle}")
    return 0 if no_serve else serve_bundles([bundle], port, "127.0.0.1", no_browser, report)


def walk(out: Path, molecules: int | None, simulated: list[str], settings: list[str], seed: int,
         quiet: bool) -> Path:
    """Every stage by the library function that its own command calls; returns the bundle."""
    from dssl_bio.chem.standardize_many import Standardizer
    from dssl_bio.config import with_overrides
    from dssl_bio.evaluation.protocols import evaluate_run
    from dssl_bio.evaluation.report import summary_lines, write_evaluation
    from dssl_bio.factors.index import keep_factors
    from dssl_bio.learning.config import TrainConfig
    from dssl_bio.learning.fit import train
    from dssl_bio.learning.run import Run
    from dssl_bio.retrieval.batch import retrieve
    from dssl_bio.retrieval.build import build_bundle
    from dssl_bio.retrieval.bundle import Bundle
    from dssl_bio.retrieval.output import rows_to
    from dssl_bio.retrieval.queries import queries_of
    from dssl_bio.retrieval.search import Searcher
    from dssl_bio.screens.ingest import ingest
    from dssl_bio.screens.manifest import read_manifest
    from dssl_bio.screens.simulate.config import SimulationConfig
    from dssl_bio.screens.simulate.simulation import simulate_screen

    report = reporter(quiet)
    size = [] if molecules is None else [f"n_molecules={molecules}"]
    simulation = with_overrides(SimulationConfig(), [f"seed={seed}", *size, *simulated])
    training = with_overrides(TrainConfig(), [f"seed={seed}", *TRAINING, *settings])
    out.mkdir(parents=True, exist_ok=True)
    with _stage(1, "simulate a Cell Painting screen", report):
        manifest = simulate_screen(out / "sim", simulation, report=report)
    with _stage(2, "ingest it as anybody's", report):
        screen = ingest(read_manifest(manifest), out / "screen", report=report)
    with (_stage(3, "train the shared, then the specific representations", report),
          progress_bar("training", quiet) as bar):
        train(screen, training, out / "run", report=report, progress=bar)
    run = Run.open(out / "run")
    with _stage(4, "index its phenotypes", report):
        build_bundle(run, screen, out / "bundle", also=keep_factors(out / "sim" / "truth", report), report=report)
    with _stage(5, "evaluate on molecules that were held out", report):
        truth = out / "sim" / "truth"
        found = evaluate_run(run, screen, truth=truth, report=report)
        options = {"entries": "consensus", "gallery_where": None, "truth": True}
        record = write_evaluation(found, run, screen, out / "evaluation", options, seed)
    for line in summary_lines(record):
        report(line)
    with _stage(6, f"retrieve phenotypes for {ASKED} held-out molecules", report):
        held_out = screen.molecules.set_index("molecule_id").loc[run.molecules_of("test")[:ASKED], "Metadata_SMILES"]
        searcher = Searcher(Bundle.open(out / "bundle"))
        with Standardizer(1) as pool, rows_to(out / "hits.csv") as write:
            for rows in retrieve(searcher, queries_of(held_out), pool, 10):
                write(rows)
    return out / "bundle"


@contextmanager
def _stage(number: int, what: str, report: Callable[[str], None]) -> Iterator[None]:
    report(f"[{number}/{STAGES}] {what}")
    started = time.monotonic()
    yield
    report(f"[{number}/{STAGES}] done in {time.monotonic() - started:.0f} s")


def _peak_gb() -> float:
    """Largest resident memory of this process or one of its workers, in GB."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9
