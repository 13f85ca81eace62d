"""Two tiny bundles, made once: one of profiles, one of images."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from dssl_bio.factors.index import keep_factors
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.fit import train
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.build import build_bundle
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.vocabulary import CHANNELS

N = 16
SMILES = [f"{'C' * (i + 1)}c1ccc({'O' if i % 2 else 'N'})cc1" for i in range(N)]
HEAD = """
name = "{name}"
simulated = {simulated}
[columns]
Metadata_Plate = "plate"
Metadata_Well = "well"
Metadata_SMILES = "smiles"
Metadata_Compound = "compound"
Metadata_MoA = "moa"
[controls]
where = 'compound == "DMSO"'
"""
PROFILES = """
[profiles.cell_painting]
table = "table.csv"
features = ["Cells_*", "Nuclei_*"]
normalisation = "negcon"
"""
IMAGES = """
[images]
table = "table.csv"
pixel_size_um = 1.0
channels = {{ {channels} }}
"""


def _table() -> pd.DataFrame:
    """Plate P1: 16 compounds and 4 DMSO wells; the first compound's name is hostile."""
    names = ["<script>alert(1)</script>![x](http://evil.example/x.png)", *(f"cpd {i}" for i in range(1, N))]
    return pd.DataFrame({
        "plate": "P1", "well": [f"{'AB'[i // 12]}{i % 12 + 1:02d}" for i in range(N + 4)],
        "smiles": [*SMILES, *[None] * 4], "compound": [*names, *["DMSO"] * 4],
        "moa": [*(["tubulin", "HDAC"] * (N // 2)), *[None] * 4]})


def _bundle(folder, text, config):
    (folder / "manifest.toml").write_text(text)
    screen = ingest(read_manifest(folder / "manifest.toml"), folder / "screen")
    train(screen, config, folder / "run", report=lambda line: None)
    build_bundle(Run.open(folder / "run"), screen, folder / "bundle", also=keep_factors(), report=lambda line: None)
    return folder / "bundle"


def _config(**settings):
    step = {"epochs": 1, "batch_size": 8}
    return TrainConfig(molecule_encoder="kernel", shared_dim=8, specific_dim=4, hidden=16, step_1=step, step_2=step,
                       **settings)


@pytest.fixture(scope="session")
def profile_bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profiles")
    generator = np.random.default_rng(0)
    features = [f"{part}_{kind}_{i}" for part in ("Cells", "Nuclei") for kind in ("AreaShape", "Texture_DNA")
                for i in range(3)]
    table = _table().assign(**{name: generator.normal(size=N + 4) for name in features})
    table.to_csv(folder / "table.csv", index=False)
    return _bundle(folder, HEAD.format(name="profiles", simulated="false") + PROFILES, _config())


@pytest.fixture(scope="session")
def image_bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(1)
    table = _table()
    for channel in CHANNELS:
        table[channel] = [f"{well}_{channel}.tif" for well in table["well"]]
        for name in table[channel]:
            tifffile.imwrite(folder / name, generator.poisson(200, (40, 40)).astype(np.uint16))
    table.to_csv(folder / "table.csv", index=False)
    channels = ", ".join(f'{channel} = "{channel}"' for channel in CHANNELS)
    image = {"tile_px": 32, "width": 8, "blocks": 1}
    return _bundle(folder, HEAD.format(name="pictures", simulated="true") + IMAGES.format(channels=channels),
                   _config(image=image))
