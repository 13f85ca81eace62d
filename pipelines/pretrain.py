"""`dssl-bio pretrain`: the molecule GNN, on molecules that nobody has looked at under a microscope."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .common import OK, PARTIAL, QUIET, command, progress_bar, reporter

if TYPE_CHECKING:
    from dssl_bio.chem.standardize import Molecule


@command
def pretrain(
    molecules: list[Path] = typer.Option(..., "--molecules", help="CSV, TSV, SMI, SDF (also .gz) or Parquet of "
                                                                  "molecules; may be repeated."),
    out: Path = typer.Option(..., "--out", help="Run folder to write."),
    smiles_column: str | None = typer.Option(None, "--smiles-column", help="Their column of SMILES."),
    exclude: list[Path] | None = typer.Option(None, "--exclude", help="Screen whose molecules are left out, so that "
                                                                      "held-out ones stay unseen; may be repeated."),
    config: Path | None = typer.Option(None, "--config", help="TOML file of settings."),
    settings: list[str] | None = typer.Option(None, "--set", help="One setting, key=value; may be repeated."),
    workers: int | None = typer.Option(None, "--workers", min=1, help="Processes that read molecules; all cores."),
    seed: int | None = typer.Option(None, "--seed", help="Seed of everything random; short for --set seed=N."),
    quiet: bool = QUIET,
) -> int:
    """Pre-train the molecule GNN to tell fingerprints and descriptors, as a run that `train --start` takes.

    Example: dssl-bio pretrain --molecules drugs.smi --out runs/drugs

    Then: dssl-bio train screens/mine --start runs/drugs --set molecule_encoder=hybrid --out runs/mine

    Exit status 2: the run was written, and some lines were no molecules.
    """
    from dssl_bio.config import read_toml, with_overrides
    from dssl_bio.learning.pretraining import PretrainConfig
    from dssl_bio.learning.pretraining import pretrain as pretrain_run

    resolved = read_toml(config, PretrainConfig) if config else PretrainConfig()
    resolved = with_overrides(resolved, [*(settings or []), *([f"seed={seed}"] if seed is not None else [])])
    report = reporter(quiet)
    found, n_failed = _read(molecules, smiles_column, workers)
    known = _of_screens(exclude or [])
    kept = [molecule for molecule in found if molecule.id not in known]
    report(f"{len(kept):,} distinct molecules; {n_failed:,} lines are none"
           + (f"; {len(found) - len(kept):,} left out" if exclude else ""))
    with progress_bar("pre-training", quiet) as progress:
        pretrain_run(kept, resolved, out, source=", ".join(path.name for path in molecules), report=report,
                     progress=progress)
    report(f"run written to {out}; start a training from it with `dssl-bio train SCREEN --start {out}`")
    return PARTIAL if n_failed else OK


def _read(paths: list[Path], smiles_column: str | None, workers: int | None) -> "tuple[list[Molecule], int]":
    """Distinct molecules of files, by connectivity, and how many lines are none."""
    from dssl_bio.chem.standardize import Molecule
    from dssl_bio.chem.standardize_many import Question, Standardizer
    from dssl_bio.retrieval.queries import QueryFile

    files = [QueryFile.open(path, smiles_column) for path in paths]
    found: dict[str, Molecule] = {}
    n_failed = 0
    with Standardizer(workers) as pool:
        questions = (query.question or Question("") for file in files for query in file)
        for outcome in pool.standardized(questions):
            if isinstance(outcome, Molecule):
                found.setdefault(outcome.id, outcome)
            else:
                n_failed += 1
    return list(found.values()), n_failed


def _of_screens(folders: list[Path]) -> set[str]:
    from dssl_bio.screens.screen import Screen
    from dssl_bio.vocabulary import MOLECULE_ID

    return {str(name) for folder in folders for name in Screen.open(folder).molecules[MOLECULE_ID]}
