"""A screen of profiles whose molecules decide them: amides of some acids and amines, measured in two runs."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from dssl_bio.evaluation.division import Division, divide
from dssl_bio.screens.screen import Screen
from tests.screens.small_screen import ingested

ACIDS = {"benzoyl": "c1ccccc1", "thienyl": "c1ccsc1", "butyl": "CCCC", "cyclohexyl": "C1CCCCC1", "furyl": "c1ccoc1"}
AMINES = ["NC", "NCC", "NCCC", "NC(C)C", "NC1CC1", "NCCO", "NCCN(C)C", "NCC#N", "N1CCOCC1", "N1CCCC1", "NCc1ccccc1",
          "Nc1ccccc1", "Nc1ccncc1", "NCCF", "NCCOC", "NC1CCC1"]
N_FEATURES = 24

MANIFEST = """
name = "amides"
annotations = ["Induction", "Rel_Cell_Count", "series"]
simulated = {simulated}
key = ["compound", "run"]
[columns]
Metadata_Compound = "compound"
Metadata_SMILES = "smiles"
Metadata_Run = "run"
Metadata_Plate = "plate"
Metadata_MoA = "mechanism"
[profiles.cell_painting]
table = "wells.csv"
features = ["Cells_*"]
normalisation = "none"
"""


def amides_table(seed: int = 0) -> pd.DataFrame:
    """80 molecules in two runs; the acid is the mechanism, the second run has gains and offsets of its own."""
    generator = np.random.default_rng(seed)
    of_acid = {name: 2 * generator.normal(size=N_FEATURES) for name in ACIDS}
    of_amine = {amine: generator.normal(size=N_FEATURES) for amine in AMINES}
    offset = generator.normal(size=N_FEATURES)
    rows = []
    for number, (acid, amine) in enumerate(product(ACIDS, AMINES)):
        for run in (1, 2):
            profile = of_acid[acid] + of_amine[amine] + 0.3 * generator.normal(size=N_FEATURES) + (run == 2) * offset
            rows.append({
                "compound": f"C{number + 1}", "smiles": f"O=C({ACIDS[acid]}){amine}", "run": run,
                "plate": f"P{run}{number % 2}", "mechanism": None if acid == "furyl" else f"{acid} mechanism",
                "Induction": 40.0 if acid != "butyl" else 1.0, "Rel_Cell_Count": 90 + number % 7, "series": amine,
                **{f"Cells_f{i}": value for i, value in enumerate(profile)}})
    return pd.DataFrame(rows)


def amides(folder: Path, table: pd.DataFrame | None = None, simulated: bool = False) -> Screen:
    """The screen, ingested below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (amides_table() if table is None else table).to_csv(folder / "wells.csv", index=False)
    path = folder / "manifest.toml"
    path.write_text(MANIFEST.format(simulated=str(simulated).lower()))
    return ingested(path)


def split_of(screen: Screen, held_out_every: int = 4) -> pd.DataFrame:
    """Every fourth molecule held out; groups are single molecules."""
    ids = screen.molecules["molecule_id"].sort_values().to_numpy(str)
    held_out = np.arange(len(ids)) % held_out_every == 0
    return pd.DataFrame({"molecule_id": ids, "group": ids, "split": np.where(held_out, "test", "train")})


def amides_division(screen: Screen, **options: object) -> Division:
    """Train on run 1, retrieve run 2."""
    profiles = screen.profiles["cell_painting"]
    options = {"train_where": 'Metadata_Run == "1"', "gallery_where": 'Metadata_Run == "2"', **options}
    return divide(screen, split_of(screen), profiles.rows, np.asarray(profiles.values), fold="fold 0", **options)
