"""A simulated screen on disk: pictures, tables, manifest and, apart from them, the truth."""

import multiprocessing
import os
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from dssl_bio import __version__
from dssl_bio.artefact import require_disk, write_json, written_whole
from dssl_bio.errors import DsslBioError
from dssl_bio.imaging.write import write_plane
from dssl_bio.processes import interruption_left_to_parent, script_not_run_again
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.counterfactuals import draw_counterfactuals, write_counterfactuals
from dssl_bio.screens.simulate.mechanisms import MECHANISMS
from dssl_bio.screens.simulate.molecules import draw_molecules, truth_of_molecules
from dssl_bio.screens.simulate.plates import Well, draw_wells
from dssl_bio.screens.simulate.render import render
from dssl_bio.screens.simulate.tables import (
    MANIFEST,
    file_name,
    mask_name,
    table_of_masks,
    table_of_sites,
    truth_of_wells,
)
from dssl_bio.vocabulary import CHANNELS

RECORD = "simulation.json"
SCHEMA_VERSION = 1
WELLS_PER_TASK = 8
TRUTH = "truth"


def simulate_screen(out: Path, config: SimulationConfig | None = None, *, n_workers: int | None = None,
                    progress: Callable[[int, int], None] | None = None,
                    report: Callable[[str], None] = lambda line: None) -> Path:
    """Simulates a screen into a folder that `ingest` reads like anybody's, and gives its manifest.

    The folder appears whole or not at all. Its content depends on the configuration alone, not on `n_workers`.

    Args:
        out: the folder; one that an earlier simulation wrote is replaced.
        config: size, noise and seed; the demo's by default.
        n_workers: processes, as many as there are cores by default.
        progress: called with (wells done, wells).
        report: takes a line about the disk that will be needed.

    Raises:
        DsslBioError: the folder holds something else, the disk is too small, or no such screen can be made.
    """
    config = config or SimulationConfig()
    if out.exists() and not (out / RECORD).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise DsslBioError(f"{out} exists and is not a simulated screen that may be replaced; choose another place")
    molecules = draw_molecules(config)
    wells = draw_wells(config, molecules)
    report(require_disk(out, disk_needed(config, len(wells))))
    with written_whole(out) as folder:
        for plate in {well.plate.name for well in wells}:
            (folder / "images" / plate).mkdir(parents=True)
            (folder / TRUTH / "masks" / plate).mkdir(parents=True)
        n_cells = list(_pictures(config, wells, folder, n_workers or os.cpu_count() or 1, progress))
        table_of_sites(config, wells).to_csv(folder / "sites.csv", index=False)
        table_of_masks(config, wells).to_csv(folder / TRUTH / "masks.csv", index=False)
        truth_of_wells(wells, n_cells).to_parquet(folder / TRUTH / "wells.parquet", index=False)
        truth_of_molecules(molecules).to_parquet(folder / TRUTH / "molecules.parquet", index=False)
        if config.n_counterfactuals:
            pairs = draw_counterfactuals(config, molecules, wells, config.n_counterfactuals)
            write_counterfactuals(folder / "truth", config, pairs)
        (folder / "manifest.toml").write_text(_manifest(config), encoding="utf-8")
        write_json(folder / RECORD, {
            "schema_version": SCHEMA_VERSION, "simulated": True, "seed": config.seed, "config": config.model_dump(),
            "dssl_bio": __version__, "python": platform.python_version(),
            "counts": {"molecules": len(molecules), "wells": len(wells), "sites": len(wells) * config.sites_per_well},
        })
    return out / "manifest.toml"


def disk_needed(config: SimulationConfig, n_wells: int) -> int:
    """Upper estimate in bytes: noise hardly compresses, masks shrink to a tenth, and a file takes whole blocks."""
    per_plane, per_mask = config.site_px**2 * 2 + 4096, config.site_px**2 // 5 + 4096
    of_sites = n_wells * config.sites_per_well * (len(CHANNELS) * per_plane + 2 * per_mask)
    return of_sites + config.n_counterfactuals * len(CHANNELS) * per_plane


def _pictures(config: SimulationConfig, wells: list[Well], folder: Path, n_workers: int,
              progress: Callable[[int, int], None] | None) -> Iterator[int]:
    """Writes all sites; gives the cells counted in each well, in order."""
    tasks = [wells[start:start + WELLS_PER_TASK] for start in range(0, len(wells), WELLS_PER_TASK)]
    work, done = partial(_write_wells, config, folder), 0
    for counts in _in_processes(work, tasks, min(n_workers, len(tasks))):
        yield from counts
        done += len(counts)
        if progress is not None:
            progress(done, len(wells))


def _in_processes(work: Callable[[list[Well]], list[int]], tasks: list[list[Well]],
                  n_workers: int) -> Iterator[list[int]]:
    if n_workers == 1:
        yield from map(work, tasks)
        return
    # spawned, not forked: the caller may hold threads (torch, a browser session) that a fork would break
    pool = ProcessPoolExecutor(n_workers, multiprocessing.get_context("spawn"))
    try:
        with interruption_left_to_parent(), script_not_run_again():
            counts = pool.map(work, tasks)
        yield from counts
    except BrokenProcessPool as cause:
        raise DsslBioError(f"one of {n_workers} processes was killed, most often for lack of memory; "
                           "try again with fewer") from cause
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _write_wells(config: SimulationConfig, folder: Path, wells: list[Well]) -> list[int]:
    return [sum(_write_site(config, folder, well, site) for site in range(config.sites_per_well)) for well in wells]


def _write_site(config: SimulationConfig, folder: Path, well: Well, site: int) -> int:
    rendered = render(well.site(config, site), well.effect())
    for channel, plane in zip(CHANNELS, rendered.pixels, strict=True):
        write_plane(folder / "images" / file_name(well, site, channel), plane, config.pixel_size_um)
    for target, mask in (("nuclei", rendered.nuclei), ("cells", rendered.cells)):
        write_plane(folder / TRUTH / mask_name(well, site, target), mask, config.pixel_size_um)
    return rendered.n_cells


def _manifest(config: SimulationConfig) -> str:
    return MANIFEST.format(
        n_molecules=config.n_molecules, n_mechanisms=len(MECHANISMS), version=__version__, seed=config.seed,
        pixel_size_um=config.pixel_size_um, channels="\n".join(f'{c} = "FileName_{c}"' for c in CHANNELS))
