"""`dssl-bio`: the list of commands, and how an error reaches the user."""

import typer

from dssl_bio import __version__

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


def main() -> None:
    """Entry point of the command line."""
    app()
