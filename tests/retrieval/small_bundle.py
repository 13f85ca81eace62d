"""A small bundle with what retrieval must get right: two doses, equal scores, names that a spreadsheet would run."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.fit import train
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.build import build_bundle
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.screen import Screen

ACIDS = {"benzoyl": "c1ccccc1", "thienyl": "c1ccsc1", "butyl": "CCCC", "furyl": "c1ccoc1"}
AMINES = ["NC", "NCC", "NCCC", "NC(C)C", "NCCO", "NCC#N", "N1CCOCC1"]
SMILES = [f"O=C({ACIDS[acid]}){amine}" for acid, amine in product(ACIDS, AMINES)]
NAMES = ["=1+1", "+plus", "-minus", "@sum", *(f"C{number}" for number in range(4, len(SMILES)))]
TWINS = (5, 6)
"""Numbers of two molecules whose cells look exactly alike."""
DOSES_UM = (1.0, 10.0)
N_FEATURES = 12

MANIFEST = """
name = "amides"
[columns]
Metadata_Plate = "plate"
Metadata_Well = "well"
Metadata_Compound = "compound"
Metadata_SMILES = "smiles"
Metadata_MoA = "mechanism"
[controls]
where = 'compound == "DMSO"'
[dose]
column = "dose"
unit = "uM"
[profiles.cell_painting]
table = "wells.csv"
features = ["Cells_*"]
normalisation = "none"
"""


def wells() -> pd.DataFrame:
    """A plate for each dose: every molecule once, then four DMSO wells."""
    generator = np.random.default_rng(0)
    of_molecule = generator.normal(size=(len(SMILES), N_FEATURES))
    of_molecule[TWINS[1]] = of_molecule[TWINS[0]]
    rows = []
    for plate, dose in enumerate(DOSES_UM, start=1):
        for number in range(len(SMILES) + 4):
            treated = number < len(SMILES)
            profile = of_molecule[number] * (1 + plate) if treated else generator.normal(size=N_FEATURES)
            rows.append({
                "plate": f"00{plate}", "well": f"{'ABCDEFGH'[number // 12]}{number % 12 + 1:02d}",
                "compound": NAMES[number] if treated else "DMSO", "smiles": SMILES[number] if treated else None,
                "mechanism": list(ACIDS)[number // len(AMINES)] if treated else None, "dose": dose,
                **{f"Cells_f{i}": value for i, value in enumerate(profile)}})
    return pd.DataFrame(rows)


def small_screen(folder: Path, table: pd.DataFrame | None = None) -> Screen:
    """The screen, ingested below a folder."""
    (wells() if table is None else table).to_csv(folder / "wells.csv", index=False)
    (folder / "manifest.toml").write_text(MANIFEST)
    return ingest(read_manifest(folder / "manifest.toml"), folder / "screen")


def small_config(**settings: object) -> TrainConfig:
    """Trains in a second."""
    step = {"epochs": 2, "batch_size": 16}
    return TrainConfig.model_validate({"molecule_encoder": "kernel", "shared_dim": 8, "specific_dim": 4, "hidden": 16,
                                       "step_1": step, "step_2": step, **settings})


def small_run(screen: Screen, folder: Path, **settings: object) -> Run:
    """A run of few epochs."""
    train(screen, small_config(**settings), folder, report=lambda line: None)
    return Run.open(folder)


@pytest.fixture(scope="session")
def small_road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with screen, run, bundle, and bundle_of_wells (an entry for each well)."""
    folder = tmp_path_factory.mktemp("road")
    screen = small_screen(folder)
    run = small_run(screen, folder / "run")
    build_bundle(run, screen, folder / "bundle", report=lambda line: None)
    build_bundle(run, screen, folder / "bundle_of_wells", mode="wells", report=lambda line: None)
    return folder
