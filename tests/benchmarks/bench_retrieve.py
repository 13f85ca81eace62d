"""Speed of retrieval: molecules per second of a batch, and milliseconds of one query in a warm process.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/bench_retrieve.py
The bundle has the default model (graph network and Tanimoto kernel, 128 shared dimensions), trained for one epoch on
simulated molecules with random profiles, and 100,000 entries with random vectors: speed depends on neither. The
batch is the whole command, `dssl-bio retrieve --input molecules.csv --out hits.csv`, start of Python and of the
workers included; a second figure leaves the start out. A warm query goes from a SMILES that was not asked
before to ten hits with p and q: standardisation in the worker, embedding, search.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from dssl_bio.artefact import seal
from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.fit import train
from dssl_bio.learning.representation import unit_rows
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.batch import retrieve
from dssl_bio.retrieval.build import build_bundle
from dssl_bio.retrieval.bundle import VECTORS, Bundle
from dssl_bio.retrieval.queries import queries_of
from dssl_bio.retrieval.search import Searcher
from dssl_bio.retrieval.tables import ENTRIES
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.molecules import draw_molecules
from dssl_bio.vocabulary import DOSE_UM, MOLECULE_ID

N_TRAINED, N_FEATURES = 600, 100
MANIFEST = """
name = "benchmark"
key = ["compound"]
[columns]
Metadata_Compound = "compound"
Metadata_SMILES = "smiles"
[dose]
column = "dose"
unit = "uM"
[profiles.profiles]
table = "wells.csv"
features = ["f*"]
normalisation = "none"
"""


def small_bundle(folder: Path) -> None:
    """A bundle of N_TRAINED entries with the default model."""
    generator = np.random.default_rng(0)
    smiles = [molecule.smiles for molecule in draw_molecules(SimulationConfig(n_molecules=N_TRAINED))]
    table = pd.DataFrame(generator.normal(size=(N_TRAINED, N_FEATURES)), columns=[f"f{i}" for i in range(N_FEATURES)])
    table.assign(smiles=smiles, compound=[f"C{i}" for i in range(N_TRAINED)], dose=1.0).to_csv(
        folder / "wells.csv", index=False)
    (folder / "manifest.toml").write_text(MANIFEST)
    screen = ingest(read_manifest(folder / "manifest.toml"), folder / "screen")
    step = {"epochs": 1}
    train(screen, TrainConfig.model_validate({"step_1": step, "step_2": step}), folder / "run")
    build_bundle(Run.open(folder / "run"), screen, folder / "bundle")


def enlarge(bundle: Path, n_entries: int) -> None:
    """Gives a bundle that many entries: two doses of each molecule, random unit vectors."""
    record = json.loads((bundle / "bundle.json").read_text())
    old = pd.read_parquet(bundle / ENTRIES)
    numbers = np.arange(n_entries)
    ids = np.array([f"{number // 2:014d}" for number in numbers])
    entries = old.iloc[numbers % len(old)].reset_index(drop=True).assign(**{
        MOLECULE_ID: ids, DOSE_UM: np.where(numbers % 2, 10.0, 1.0),
        "entry_key": [f"{name}@{10 if number % 2 else 1}uM" for number, name in zip(numbers, ids, strict=True)]})
    entries.to_parquet(bundle / ENTRIES)
    arrays = load_file(bundle / VECTORS)
    generator = np.random.default_rng(1)
    for part in ("shared", "specific"):
        name = f"entries.{part}"
        arrays[name] = unit_rows(generator.normal(size=(n_entries, arrays[name].shape[1])).astype(np.float32))
    save_file(arrays, bundle / VECTORS)
    own = ("kind", "schema_version", "made_by", "made_from", "files")
    seal(bundle, "bundle", record["made_from"], **{k: v for k, v in record.items() if k not in own}
         | {"n_entries": n_entries})


def questions(n: int) -> list[str]:
    """Different SMILES of molecules as a screening library holds them."""
    found: dict[str, None] = {}
    for seed in range(7, 7 + n):
        found |= {molecule.smiles: None for molecule in draw_molecules(SimulationConfig(n_molecules=2_000, seed=seed))}
        if len(found) >= n:
            break
    return list(found)[:n]


def batch_of_the_command(folder: Path, smiles: list[str]) -> float:
    """Seconds of the whole command."""
    pd.DataFrame({"smiles": smiles}).to_csv(folder / "molecules.csv", index=False)
    words = [sys.executable, "-c", "from pipelines.main import main; main()", "retrieve", str(folder / "bundle"),
             "--input", str(folder / "molecules.csv"), "--out", str(folder / "hits.csv"), "--quiet"]
    start = time.perf_counter()
    subprocess.run(words, check=True, cwd=Path(__file__).resolve().parents[2])
    return time.perf_counter() - start


def batch_of_a_warm_process(searcher: Searcher, pool: Standardizer, smiles: list[str]) -> float:
    """Seconds from SMILES to rows."""
    start = time.perf_counter()
    assert sum(len(rows) for rows in retrieve(searcher, queries_of(smiles), pool)) == 10 * len(smiles)
    return time.perf_counter() - start


def warm_queries(searcher: Searcher, pool: Standardizer, smiles: list[str]) -> list[float]:
    """Milliseconds of each query, one after another."""
    times = []
    for text in smiles:
        start = time.perf_counter()
        (rows,) = retrieve(searcher, queries_of([text]), pool)
        times.append(1000 * (time.perf_counter() - start))
        assert len(rows) == 10
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--molecules", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="Folder to keep the bundle in, and to take it from.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        if not (folder / "bundle").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            small_bundle(folder)
            enlarge(folder / "bundle", options.entries)
            shutil.rmtree(folder / "screen")
        asked = questions(options.molecules)
        whole = batch_of_the_command(folder, asked)
        searcher = Searcher(Bundle.open(folder / "bundle"))
        with Standardizer(os.cpu_count()) as pool:
            warm_queries(searcher, pool, asked[:20])
            single = warm_queries(searcher, pool, asked[-options.queries:])
            warm = batch_of_a_warm_process(searcher, pool, asked)
    print(json.dumps({
        "entries": len(searcher.gallery), "molecules": len(asked), "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "batch command: molecules per s": round(len(asked) / whole, 1),
        "batch in a warm process: molecules per s": round(len(asked) / warm, 1),
        "one warm query: median ms": round(statistics.median(single), 1),
        "one warm query: 95th percentile ms": round(float(np.percentile(single, 95)), 1),
    }, indent=1))


if __name__ == "__main__":
    main()
