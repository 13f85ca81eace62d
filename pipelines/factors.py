"""`dssl-bio factors`: what each representation knows, and what one molecule or well is made of."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .common import QUIET, SEED, command, reporter

if TYPE_CHECKING:
    from dssl_bio.retrieval.bundle import Bundle


@command
def factors(
    bundles: list[Path] = typer.Argument(..., help="Bundle folder; several are compared in a trade-off plot."),
    out: Path = typer.Option(..., "--out", help="Folder for tables and factors.html; with --smiles or --well for one "
                                                "page."),
    smiles: str | None = typer.Option(None, "--smiles", help="One molecule: its factors, neighbours and atoms."),
    well: str | None = typer.Option(None, "--well", help="One well (row key, or plate:well) or entry."),
    dose_um: float | None = typer.Option(None, "--dose-um", help="Of the molecule, where the model reads doses."),
    screen: list[Path] = typer.Option([], "--screen", help="Screen of each bundle: computes the factors anew."),
    truth: Path | None = typer.Option(None, "--truth", help="Simulated screens: the simulator's truth/ folder."),
    permutations: int = typer.Option(20, "--permutations", min=0, help="Draws of chance, with --screen."),
    each_feature: bool = typer.Option(False, "--each-feature", help="Every feature by itself, with --screen."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Show what shared and specific representations know of everything that is known: one matrix, one page.

    Example: dssl-bio factors bundles/mine --out factors

    Example: dssl-bio factors bundles/mine --smiles "CC(=O)Oc1ccccc1C(=O)O" --out aspirin
    """
    from dssl_bio.errors import ConfigError
    from dssl_bio.retrieval.bundle import Bundle

    if smiles is not None and well is not None:
        raise ConfigError("--smiles or --well, not both")
    if (smiles is not None or well is not None) and len(bundles) > 1:
        raise ConfigError("one molecule or well is asked of one bundle")
    if truth is not None and not screen:
        raise ConfigError("--truth needs --screen: a bundle's factors are computed anew with it")
    if screen and len(screen) not in (1, len(bundles)):
        raise ConfigError(f"{len(bundles)} bundles need one screen, or one each; got {len(screen)}")
    report = reporter(quiet)
    opened = [Bundle.open(path) for path in bundles]
    if smiles is not None or well is not None:
        _one(opened[0], smiles, well, dose_um, out, report)
        return
    from dssl_bio.evaluation.factor_report import PAGE, summary_lines, write_factor_report
    from dssl_bio.factors.ground import ground_of_bundle
    from dssl_bio.factors.index import factors_of, read_factors
    from dssl_bio.screens.screen import Screen

    names = _names(bundles)
    found = {}
    for number, (name, bundle) in enumerate(zip(names, opened, strict=True)):
        if screen:
            data = Screen.open(screen[number % len(screen)], check=True)
            ground = ground_of_bundle(bundle, bundle.run, data, seed)
            found[name] = factors_of(ground, truth, permutations=permutations, each_feature=each_feature, seed=seed)
        else:
            found[name] = read_factors(bundle.folder)
        for line in summary_lines(name, found[name]):
            report(line)
    atoms = None
    if truth is not None:
        from dssl_bio.factors.atoms import atom_summary, pharmacophore_weights

        atoms = atom_summary(pharmacophore_weights(opened[0], truth), seed)
        for one in atoms[atoms["measure"] == "auroc"].to_dict("records"):
            report(f"atoms of the pharmacophore, {one['part']}: AUROC {one['learned']:.3f}, random weights "
                   f"{one['random']:.3f}, difference {one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]")
    write_factor_report(found, dict(zip(names, opened, strict=True)), out, atoms)
    report(f"factors written to {out}; open {out / PAGE}")


def _one(bundle: "Bundle", smiles: str | None, well: str | None, dose_um: float | None, out: Path,
         report: Callable[[str], None]) -> None:
    """The page of one molecule or well."""
    from dssl_bio.chem.standardize import standardize
    from dssl_bio.evaluation.factor_report import PAGE, write_one
    from dssl_bio.factors.query import Asker

    asker = Asker(bundle)
    one = asker.molecule(standardize(smiles), dose_um) if smiles is not None else asker.well(well or "")
    out.mkdir(parents=True, exist_ok=True)
    write_one(one, bundle, out / PAGE)
    report(f"{one.title}: about {one.share.share:.0%} of what tells it from others is shared (an estimate)")
    for note in one.notes:
        report(note)
    report(f"written to {out / PAGE}")


def _names(paths: list[Path]) -> list[str]:
    """Names of the folders, with a number where two are called alike."""
    names: list[str] = []
    for path in paths:
        name = path.resolve().name if path.resolve().name != "bundle" else path.resolve().parent.name
        names.append(name if name not in names else f"{name} {len(names) + 1}")
    return names
