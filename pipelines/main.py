"""`dssl-bio`: the list of commands, and how an error reaches the user."""

import signal

import typer

from dssl_bio import __version__

from . import benchmark, demo, evaluate, index, ingest, manifest, retrieve, serve, simulate, study, train

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Molecule-phenotype retrieval.")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dssl-bio {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Molecule-phenotype retrieval: what will this molecule do to cells, and what have we seen that looks like it?"""


app.command()(demo.demo)
app.command()(simulate.simulate)
app.add_typer(manifest.app, name="manifest")
app.command()(ingest.ingest)
app.command()(train.train)
app.command()(index.index)
app.command()(retrieve.retrieve)
app.command()(evaluate.evaluate)
app.command()(benchmark.benchmark)
app.command()(serve.serve)
app.add_typer(study.app, name="study")


def main() -> None:
    """Entry point of the command line."""
    try:
        app()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # done: Ctrl-C would only show a traceback now
