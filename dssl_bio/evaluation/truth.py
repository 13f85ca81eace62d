"""How much of each true factor of a simulated screen each representation holds."""

from pathlib import Path

import numpy as np
import pandas as pd

from dssl_bio.errors import DsslBioError
from dssl_bio.evaluation.division import Division
from dssl_bio.factors.probes import probe_all
from dssl_bio.learning.representation import SharedSpecific
from dssl_bio.vocabulary import MOLECULE_ID, PLATE, WELL

SHARED, OF_PHENOTYPE, OF_MOLECULE = "shared", "specific to the phenotype", "specific to the molecule"
REPRESENTATIONS = ("molecule-shared", "molecule-specific", "phenotype-shared", "phenotype-specific")


def probe_truth(folder: Path, division: Division, molecules: SharedSpecific, wells: SharedSpecific) -> pd.DataFrame:
    """Linear probes of every true factor from the four representations, over held-out wells.

    All four see the same wells: a molecule's representation is repeated for each of them, so a factor that differs
    between wells of one molecule can be read from phenotypes only. Wells of one molecule stay in one fold.

    Args:
        folder: the simulator's truth/ folder.
        division: of the simulated screen.
        molecules: representations in the order of `division.molecules`.
        wells: representations in the order of `division.rows`.

    Returns:
        factor, truth (shared, specific to the phenotype or to the molecule), representation, kind, score, n, n_classes.
    """
    factors, kinds, owner, rows = true_factors(folder, division)
    at = {"molecule": molecules.take(owner), "phenotype": wells.take(rows)}
    representations = {f"{which}-{part}": getattr(at[which], part)
                       for which in ("molecule", "phenotype") for part in ("shared", "specific")}
    groups = division.molecules[MOLECULE_ID].to_numpy(str)[owner]
    table = probe_all(representations, factors, groups)
    table.insert(1, "truth", table["factor"].map(kinds))
    return table


def true_factors(folder: Path, division: Division) -> tuple[pd.DataFrame, dict[str, str], np.ndarray, np.ndarray]:
    """Factors of the held-out treated wells, what each is, their molecules, and their places in `division.rows`."""
    try:
        wells, of_molecule = (pd.read_parquet(folder / name) for name in ("wells.parquet", "molecules.parquet"))
    except (OSError, ValueError) as cause:
        raise DsslBioError(f"{folder} is not the truth of a simulated screen: {cause}") from cause
    held_out = division.molecules["held_out"].to_numpy()
    rows = np.flatnonzero((division.owner >= 0) & held_out[division.owner])
    table = division.screen.wells.iloc[division.rows[rows]][[PLATE, WELL]].astype(str).reset_index(drop=True)
    if table.duplicated().any() or wells.duplicated([PLATE, WELL]).any():
        raise DsslBioError(f"plate and well repeat in screen {division.screen.name} or in the truth at {folder}: "
                           "the two cannot be joined")
    joined = table.merge(wells.astype({PLATE: str, WELL: str}), how="left", on=[PLATE, WELL], validate="1:1")
    strength = [name for name in joined if str(name).startswith("Shared_")]
    if joined[strength].isna().all().all():
        raise DsslBioError(f"no well of screen {division.screen.name} is in the truth at {folder}")
    factors = {str(name): joined[name] for name in joined if str(name).startswith(("Shared_", "Specific_"))}
    kinds = {name: SHARED if name.startswith("Shared_") else OF_PHENOTYPE for name in factors}
    ids = division.molecules[MOLECULE_ID].to_numpy()[division.owner[rows]]
    facts = of_molecule.drop_duplicates(MOLECULE_ID).set_index(MOLECULE_ID).reindex(ids).reset_index(drop=True)
    for name in facts:
        if str(name).startswith("Specific_"):
            factors[str(name)] = facts[name].astype(float)
            kinds[str(name)] = OF_MOLECULE
    return pd.DataFrame(factors), kinds, division.owner[rows], rows


def true_activity(folder: Path) -> "pd.Series[bool]":
    """Which simulated molecules have an effect at all, by molecule_id."""
    molecules = pd.read_parquet(folder / "molecules.parquet").drop_duplicates(MOLECULE_ID)
    return molecules.set_index(MOLECULE_ID)["Shared_mechanism"] != "inactive"
