"""`dssl-bio counterfactual`: this well under that molecule, and how good such predictions are."""

from pathlib import Path

import typer

from .common import QUIET, SEED, command, progress_bar, reporter


@command
def counterfactual(
    bundle: Path = typer.Argument(..., help="Bundle folder with a decoder (see `dssl-bio decode`)."),
    well: str | None = typer.Option(None, "--well", help='A well: its row key, or "PLATE WELL".'),
    smiles: str | None = typer.Option(None, "--smiles", help="The molecule: SMILES, or a name of this screen."),
    remove_treatment: bool = typer.Option(False, "--remove-treatment", help="The well as if it had got DMSO."),
    dose_um: float | None = typer.Option(None, "--dose-um", help="What is expected at the screen's nearest doses."),
    series: bool = typer.Option(False, "--series", help="Every dose of the screen, or strengths where it has none."),
    strength: float = typer.Option(1.0, "--strength", min=0, max=2, help="0 untreated, 1 the molecule: no dose."),
    evaluate: Path | None = typer.Option(None, "--evaluate", help="Screen to evaluate on, in place of one answer."),
    truth: Path | None = typer.Option(None, "--truth", help="With --evaluate: truth/ of a simulation."),
    clip: list[Path] = typer.Option([], "--clip", help="With --evaluate: bundle of a CLIP run, to compare with."),
    fold: list[Path] = typer.Option([], "--fold", help="With --evaluate: bundle of another fold; may be repeated."),
    out: Path = typer.Option(..., "--out", help="Folder to write."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Show a well under a molecule it never got, or without its treatment; or measure how good that is.

    The well keeps its specific part (plate, seeding density); the shared part comes from the molecule. Written are a
    page, pictures, and tables of every feature with intervals.

    Example: dssl-bio counterfactual bundles/mine --well "P1 A03" --smiles "CC(=O)Oc1ccccc1C(=O)O" --out aspirin
    """
    from dssl_bio.errors import QueryError

    if evaluate is None and (truth is not None or clip or fold):
        raise QueryError("--truth, --clip and --fold belong to --evaluate SCREEN")
    if evaluate is not None:
        if well or smiles or remove_treatment:
            raise QueryError("--evaluate takes no well and no molecule")
        _evaluate(bundle, evaluate, truth, clip, fold, out, seed, quiet)
        return
    if not well or bool(smiles) == remove_treatment:
        raise QueryError("give a well with --well and either a molecule with --smiles or --remove-treatment")
    _answer(bundle, well, smiles, dose_um, series, strength, out, quiet)


def _answer(bundle: Path, well: str, smiles: str | None, dose_um: float | None, series: bool, strength: float,
            out: Path, quiet: bool) -> None:
    import shlex
    import sys

    from dssl_bio.chem.standardize_many import Standardizer
    from dssl_bio.learning.decoders.decoder import Decoder
    from dssl_bio.retrieval.bundle import Bundle
    from dssl_bio.retrieval.counterfactual import under_molecule, without_treatment
    from dssl_bio.retrieval.counterfactual_report import write_counterfactual
    from dssl_bio.retrieval.lookup import identify
    from dssl_bio.retrieval.named_wells import find_well

    report = reporter(quiet)
    opened = Bundle.open(bundle)
    decoder = Decoder.open(bundle, opened.run.id)
    row = find_well(decoder.material.wells, well)
    molecule = None
    if smiles is None:
        found = without_treatment(opened, decoder, row)
    else:
        with Standardizer(1) as pool:
            identified = identify(opened, smiles, pool)
        molecule = identified.molecule
        vector = opened.run.embed_molecules([molecule], specific=False).shared
        found = under_molecule(opened, decoder, row, molecule, vector, dose_um=dose_um, series=series,
                               strength=strength, name=identified.compound)
    write_counterfactual(out, opened, decoder, found, molecule, "dssl-bio " + shlex.join(sys.argv[1:]))
    for warning in found.warnings:
        report(f"warning: {warning}")
    changes = found.changes(decoder.facts.features, decoder.profile.spread.numpy())
    report(f"{int(changes['sure'].sum())} of {len(changes)} features leave their 90 % interval; most changed: "
           + ", ".join(f"{name} {change:+.1f} SD" for name, change in
                       zip(changes["feature"][:3], changes["change_in_sd"][:3], strict=True)))
    report(f"written to {out}: counterfactual.html, changes.csv, versions.csv"
           + (" and pictures" if found.picture is not None else ""))


def _evaluate(bundle: Path, screen: Path, truth: Path | None, clip: list[Path], fold: list[Path], out: Path, seed: int,
              quiet: bool) -> None:
    from dssl_bio.evaluation.counterfactual import evaluate_counterfactuals
    from dssl_bio.screens.screen import Screen

    report = reporter(quiet)
    with progress_bar("pairs", quiet) as progress:
        for line in evaluate_counterfactuals(bundle, Screen.open(screen, check=True), out, truth=truth, clip=clip,
                                             folds=fold, seed=seed, progress=progress, report=report):
            report(line)
