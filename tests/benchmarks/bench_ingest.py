"""Ingestion beside bare decoding, its peak memory, what a stored site costs in each format, and the training loader.

    python tests/benchmarks/bench_ingest.py --sites DATA/cpjump1_sites [--n-sites 48] [--plates 3]

The files are five-channel LZW sites; those of the folder are linked as often as needed. Rates are per second of
processor time, which other work on the machine disturbs little, and per second of the clock; the machine's load is
printed. Peak memory is that of a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile

from dssl_bio.screens.site_store import SiteStore, SiteWriter, window_of
from dssl_bio.vocabulary import CHANNELS

TILE_PX, BATCH = 96, 128
MANIFEST = """
name = "bench"
[columns]
Metadata_Plate = "plate"
Metadata_Well = "well"
Metadata_Site = "site"
[controls]
where = 'treatment == "DMSO"'
[images]
table = "sites.csv"
folder = "images"
pixel_size_um = 0.598
"""


def main() -> None:
    """Prints everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sites", type=Path, required=True, help="folder with load_data.csv of CPJUMP1 sites")
    parser.add_argument("--n-sites", type=int, default=48, help="sites of a plate")
    parser.add_argument("--plates", type=int, default=3, help="plates of the larger screen, for peak memory")
    parser.add_argument("--part", choices=["rate", "memory", "formats", "loader", "scale"], action="append",
                        help="scale, a plate of 384 wells of four sites (18 GB), only when it is named")
    parser.add_argument("--ingest-only", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ingest_only:
        _ingest_and_tell(options.ingest_only)
        return
    parts = options.part or ["rate", "memory", "formats", "loader"]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as place:
        work = Path(place)
        small = linked_plates(options.sites, work / "small", 1, options.n_sites)
        if "rate" in parts or "memory" in parts:
            one = measured_ingest(small)
            if "rate" in parts:
                show_rate(work / "small", one)
            if "memory" in parts:
                more = measured_ingest(linked_plates(options.sites, work / "large", options.plates, options.n_sites))
                print(f"peak memory: {one['peak_mb']:.0f} MB with 1 plate, {more['peak_mb']:.0f} MB with "
                      f"{options.plates} plates of {options.n_sites} sites ({one['base_mb']:.0f} MB before the first "
                      "site)")
        if "scale" in parts:
            one = measured_ingest(linked_plates(options.sites, work / "scale", 1, 384 * 4, sites_a_well=4))
            print(f"384 wells of four sites: {one['clock_s']:.0f} s by the clock, {one['processor_s']:.0f} s of "
                  f"processor time, peak memory {one['peak_mb']:.0f} MB")
        sites = real_sites(options.sites)
        if "formats" in parts:
            show_formats(sites, work)
        if "loader" in parts:
            show_loader(sites, work)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def linked_plates(source: Path, folder: Path, n_plates: int, n_sites: int, sites_a_well: int = 1) -> Path:
    """A screen whose sites are soft links to the real files; every third well is DMSO, or every twelfth of several."""
    every = 3 if sites_a_well == 1 else 12
    (folder / "images").mkdir(parents=True)
    real = pd.read_csv(source / "load_data.csv")
    rows = []
    for plate in range(n_plates):
        for number in range(n_sites):
            site = real.iloc[number % len(real)]
            well = number // sites_a_well
            row = {"plate": f"P{plate + 1}", "well": f"{'ABCDEFGHIJKLMNOP'[well // 24]}{well % 24 + 1}",
                   "site": str(number % sites_a_well + 1), "treatment": "compound" if well % every else "DMSO"}
            for channel in CHANNELS:
                row[channel] = f"P{plate + 1}_{number}_{channel}.tiff"
                (folder / "images" / row[channel]).symlink_to((source / site[f"FileName_Orig{channel}"]).resolve())
            rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "sites.csv", index=False)
    names = ", ".join(f'{channel} = "{channel}"' for channel in CHANNELS)
    (folder / "manifest.toml").write_text(MANIFEST + f"channels = {{ {names} }}\n")
    return folder / "manifest.toml"


def measured_ingest(manifest: Path) -> dict[str, float]:
    """Ingests in a process of its own: seconds of processor and clock, peak and starting memory."""
    done = subprocess.run([sys.executable, __file__, "--sites", ".", "--ingest-only", str(manifest)],
                          capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _ingest_and_tell(manifest: Path) -> None:
    import resource

    from dssl_bio.screens.ingest import ingest
    from dssl_bio.screens.manifest import read_manifest

    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    clock, processor = time.perf_counter(), time.process_time()
    screen = ingest(read_manifest(manifest), manifest.parent / "screen")
    print(json.dumps({
        "clock_s": time.perf_counter() - clock, "processor_s": time.process_time() - processor, "base_mb": base,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "sites": len(screen.images.table)}))


def show_rate(folder: Path, ingested: dict[str, float]) -> None:
    """The rate of ingestion beside that of tifffile over the same files, one after the other and in as many threads."""
    from concurrent.futures import ThreadPoolExecutor

    paths = sorted((folder / "images").iterdir())
    for path in paths[:5]:
        tifffile.imread(path)
    clock, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for _ in pool.map(lambda path: tifffile.imread(path, maxworkers=1).shape, paths):
            pass
    bare = {"clock_s": time.perf_counter() - clock, "processor_s": time.process_time() - processor}
    n = ingested["sites"]
    for kind, word in (("processor_s", "processor"), ("clock_s", "clock")):
        print(f"{word}: tifffile decodes {n / bare[kind]:.1f} sites/s, ingest {n / ingested[kind]:.1f} sites/s: "
              f"{100 * bare[kind] / ingested[kind]:.0f} %")


def real_sites(source: Path) -> "np.ndarray[Any, np.dtype[np.uint16]]":
    """The sites of the folder (S, 5, H, W)."""
    table = pd.read_csv(source / "load_data.csv")
    return np.stack([[tifffile.imread(source / row[f"FileName_Orig{channel}"]) for channel in CHANNELS]
                     for _, row in table.iterrows()])


def show_formats(sites: "np.ndarray[Any, np.dtype[np.uint16]]", work: Path) -> None:
    """What both stores cost: writing, size, reading a site, reading a random tile."""
    print(f"store          write ms/site   size   read ms/site   {TILE_PX} px tile ms")
    for kind in ("memory_map", "zarr"):
        folder = work / kind
        folder.mkdir()
        with SiteWriter(folder, len(sites), sites.shape[1:], kind) as writer:  # type: ignore[arg-type]
            write = timed(lambda writer=writer: [writer.append(site) for site in sites]) / len(sites)
            writer.finish()
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        store = SiteStore.open([folder])
        read = timed(lambda store=store: [store[i].sum() for i in range(len(sites))]) / len(sites)
        tile = timed(lambda store=store: random_tiles(store, 200)) / 200
        print(f"{kind:13s} {1e3 * write:12.1f} {size / sites.nbytes:9.2f} {1e3 * read:12.1f} {1e3 * tile:15.3f}")


def random_tiles(store: Any, n: int) -> None:
    """Reads n tiles anywhere."""
    generator = np.random.default_rng(0)
    for _ in range(n):
        top, left = (int(generator.integers(0, length - TILE_PX)) for length in store.shape[2:])
        window_of(store, int(generator.integers(len(store))), top, left, TILE_PX).copy()


def show_loader(sites: "np.ndarray[Any, np.dtype[np.uint16]]", work: Path) -> None:
    """How fast the CNN trains on one minibatch held in memory, and on minibatches from the store."""
    import torch

    from dssl_bio.learning.encoders.phenotype_cnn import CnnTrunk
    from dssl_bio.learning.phenotypes import ImagePhenotypes
    from dssl_bio.learning.precision import bf16_helps
    from dssl_bio.screens.screen import Images

    folder = work / "loader"
    folder.mkdir()
    with SiteWriter(folder, 8 * len(sites), sites.shape[1:], "memory_map") as writer:
        for _ in range(8):
            for site in sites:
                writer.append(site)
        writer.finish()
    n = 8 * len(sites)
    limits = pd.DataFrame([{"Metadata_Plate": "P", "channel": c, "low": 100.0, "high": 5000.0} for c in CHANNELS])
    table = pd.DataFrame({"row": np.arange(n), "Metadata_Site": "1", "Metadata_Plate": "P"})
    phenotypes = ImagePhenotypes(Images(SiteStore.open([folder]), table, 0.598, CHANNELS, limits), TILE_PX, 0.598)
    network = CnnTrunk(5, 32, 3)
    optimiser = torch.optim.AdamW(network.parameters())
    fast = bf16_helps(torch.device("cpu"))
    generator = np.random.default_rng(0)

    def step(batch: torch.Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            loss = network(batch).float().square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def batch() -> torch.Tensor:
        return phenotypes.view(phenotypes.sample(generator.integers(0, n, BATCH), generator))

    held = batch()
    step(held)
    alone = timed(lambda: [step(held) for _ in range(6)]) / 6
    loading = timed(lambda: [phenotypes.sample(generator.integers(0, n, BATCH), generator) for _ in range(20)]) / 20
    augmenting = timed(lambda: [phenotypes.view(held) for _ in range(20)]) / 20
    together = timed(lambda: [step(phenotypes.sample(generator.integers(0, n, BATCH), generator))
                              for _ in range(6)]) / 6
    print(f"loader: {BATCH / loading:,.0f} tiles/cpu-s (augmentation {BATCH / augmenting:,.0f}); CNN alone "
          f"{BATCH / alone:,.0f} images/cpu-s, fed by the loader {BATCH / together:,.0f}: "
          f"{100 * alone / together:.0f} %")


def timed(work: Callable[[], Any]) -> float:
    """Seconds of processor time."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
