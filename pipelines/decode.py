"""`dssl-bio decode`: trains the decoders of a bundle."""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, progress_bar, reporter


@command
def decode(
    bundle: Path = typer.Argument(..., help="Bundle folder made by `dssl-bio index`; the decoder is put into it."),
    screen: Path = typer.Argument(..., help="Screen folder that was indexed."),
    minutes: float | None = typer.Option(None, "--minutes", min=0.01, help="Ends the training of pictures."),
    settings: list[str] = typer.Option([], "--set", help="A setting, such as image.steps=600."),
    resume: bool = typer.Option(False, "--resume", help="Go on with a training that was stopped."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Train decoders from (shared, specific) back to features and pictures, for `dssl-bio counterfactual`.

    The encoders stay as they are. A bundle of images gets pictures of 64 pixels in about ten minutes on two cores, one
    of profiles takes seconds.

    Example: dssl-bio decode bundles/mine screens/mine --minutes 10
    """
    from dssl_bio.config import with_overrides
    from dssl_bio.learning.decoders.config import DecoderConfig
    from dssl_bio.learning.decoders.fit import add_decoder
    from dssl_bio.retrieval.bundle import Bundle
    from dssl_bio.screens.screen import Screen

    report = reporter(quiet)
    config = with_overrides(DecoderConfig(), [f"seed={seed}", *settings])
    opened = Bundle.open(bundle)
    with progress_bar("decoder", quiet) as progress:
        add_decoder(opened.run, Screen.open(screen, check=True), bundle, config, minutes=minutes, resume=resume,
                    progress=progress, report=report)
    report(f"decoder written into {bundle}")
