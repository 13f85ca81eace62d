"""`dssl-bio correct`: a screen's profiles without differences of plates, and what that does to the biology."""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, reporter


@command
def correct(
    screen: Path = typer.Argument(..., help="Screen folder made by `dssl-bio ingest`; a block is added to it."),
    by: str = typer.Option("Metadata_Plate", "--by", help="Column of the wells whose values are the batches."),
    modality: str | None = typer.Option(None, "--modality", help="Feature block; the screen's first by default."),
    name: str = typer.Option("harmony", "--name", help="Of the new block: train --set modality=NAME reads it."),
    components: int = typer.Option(80, "--components", min=2, help="Principal components that are kept, at most."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Correct profiles for plates or batches by Harmony, and show plate and biology before and after.

    A correction may remove phenotypes with plates: look at the table before you train on the new block.

    Example: dssl-bio correct screens/mine --by Metadata_Plate

    Then: dssl-bio train screens/mine --set modality=harmony --out runs/mine
    """
    from dssl_bio.errors import ScreenError
    from dssl_bio.evaluation.batch_effects import block_effects, effects_in_words
    from dssl_bio.screens.harmony import add_harmony_block
    from dssl_bio.screens.screen import Screen

    report = reporter(quiet)
    opened = Screen.open(screen)
    if not opened.profiles:
        raise ScreenError(f"screen {opened.name} has no features to correct; `dssl-bio segment --features` makes some")
    chosen = modality or next(iter(opened.profiles))
    block = add_harmony_block(opened, chosen, by, name, n_components=components, seed=seed)
    report(f"features {block.name}: {block.n_features} of {block.n_wells:,} wells in {block.n_batches:,} "
           f"batches" + (f"; {block.n_left_out:,} wells without {by} left out" if block.n_left_out else ""))
    for line in effects_in_words(block_effects(Screen.open(screen), (chosen, name), by)):
        report(line)
