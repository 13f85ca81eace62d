"""`dssl-bio`: the list of commands, and how an error reaches the user."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from dssl_bio import __version__

from . import (
    benchmark,
    correct,
    counterfactual,
    decode,
    demo,
    evaluate,
    factors,
    images,
    index,
    ingest,
    manifest,
    pretrain,
    quality,
    retrieve,
    segment,
    serve,
    simulate,
    study,
    train,
)
from .common import USER_ERROR

UsageError: Any = typer.BadParameter.__base__
"""What the parser raises for words that no command takes; Typer shows only its children."""


class Commands(TyperGroup):
    """Commands whose usage errors leave with status 1, because 2 says that some rows were rejected."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Reads the words before the command."""
        with _usage_as_user_error():
            return super().make_context(*args, **kwargs)

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Finds the command, reads its words and runs it."""
        with _usage_as_user_error():
            return super().invoke(*args, **kwargs)


@contextmanager
def _usage_as_user_error() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        error.exit_code = USER_ERROR
        raise


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, help="Molecule-phenotype retrieval.")


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
app.command()(quality.quality)
app.command()(correct.correct)
app.command()(segment.segment)
app.add_typer(images.app, name="images")
app.command()(pretrain.pretrain)
app.command()(train.train)
app.command()(index.index)
app.command()(decode.decode)
app.command()(retrieve.retrieve)
app.command()(counterfactual.counterfactual)
app.command()(evaluate.evaluate)
app.command()(factors.factors)
app.command()(benchmark.benchmark)
app.command()(serve.serve)
app.add_typer(study.app, name="study")


def main() -> None:
    """Entry point of the command line."""
    try:
        app()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # done: Ctrl-C would only show a traceback now
