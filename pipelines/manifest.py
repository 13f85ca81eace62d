"""`dssl-bio manifest`: draft and check the file that describes a screen."""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, reporter

app = typer.Typer(no_args_is_help=True, help="Draft (init) or check the TOML file that describes a screen.")


@app.command()
@command
def init(
    path: Path = typer.Argument(..., help="A table, a folder with tables and images, an OME-Zarr plate, or a "
                                "folder of them."),
    out: Path = typer.Option(..., "--out", help="Manifest to write; a file that is there is never overwritten."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Draft a manifest from a file or folder, with its guesses commented.

    Nothing here is random: --seed changes nothing and is taken because every command
    takes it.

    Example: dssl-bio manifest init data/my_screen --out my_screen.toml
    """
    from dssl_bio.artefact import written_whole
    from dssl_bio.errors import ManifestError
    from dssl_bio.screens.draft import draft, root_of

    if out.exists():
        raise ManifestError(f"{out} exists; choose another name")
    text = draft(path)
    with written_whole(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    reporter(quiet)(f"{out} written; read its comments, then: dssl-bio manifest check {out} --data-root "
                    f"{root_of(path)}")


@app.command()
@command
def check(
    manifest: Path = typer.Argument(..., help="TOML file that describes the screen."),
    data_root: Path | None = typer.Option(None, "--data-root", help="What the manifest's paths are relative to."),
    molecules: Path | None = typer.Option(None, "--molecules", help="Table that gives structures to the rows."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Check that every table and column that a manifest names is there, without reading the data.

    Nothing here is random: --seed changes nothing and is taken because every command
    takes it.

    Example: dssl-bio manifest check data_manifests/lincs_plate.toml --data-root data
    """
    from dssl_bio.screens.manifest import read_manifest
    from dssl_bio.screens.plan import described, plan_screen

    report = reporter(quiet)
    for line in described(plan_screen(read_manifest(manifest, data_root), molecules)):
        report(line)
    report("every table and column that the manifest names is there")
