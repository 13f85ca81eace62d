"""`dssl-bio segment`: nuclei and cells of a screen's images, or a small Cellpose that learns to find them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .common import QUIET, SEED, command, progress_bar, reporter

if TYPE_CHECKING:
    from dssl_bio.screens.segment import GivenMasks


@command
def segment(
    screen: Path = typer.Argument(..., help="Screen folder with images, made by `dssl-bio ingest`."),
    engine: str = typer.Option("classical", "--engine", help="classical (no weights) or cellpose."),
    weights: str | None = typer.Option(None, "--weights", help="Cellpose: file or downloaded model; finds nuclei."),
    weights_sha256: str | None = typer.Option(None, "--weights-sha256", help="Checksum of a file of Cellpose's own."),
    cell_weights: str | None = typer.Option(None, "--cell-weights", help="Cellpose: finds cells; without, cells grow "
                                            "from nuclei by watershed."),
    cell_weights_sha256: str | None = typer.Option(None, "--cell-weights-sha256", help="Likewise."),
    name: str | None = typer.Option(None, "--name", help="Name of the layer of masks; the engine's by default."),
    given_masks: Path | None = typer.Option(None, "--given-masks", help="Take masks of files in place of an engine: a "
                                            "manifest with [masks], or a table with FileName_NucleiMask."),
    data_root: Path | None = typer.Option(None, "--data-root", help="What the paths of given masks are relative to."),
    train: Path | None = typer.Option(None, "--train", help="File of weights to write: train a small Cellpose from "
                                      "scratch on the masks of --masks."),
    target: str = typer.Option("nuclei", "--target", help="With --train: nuclei or cells."),
    masks: str = typer.Option("given", "--masks", help="Layer of masks to train on, or to score against."),
    where: str | None = typer.Option(None, "--where", help="Wells to train on, to score or to draw."),
    settings: list[str] | None = typer.Option(None, "--set", help="One setting of engine or training, key=value."),
    plate: list[str] = typer.Option([], "--plate", help="Plate to segment; may be given several times. All by default; "
                                    "plates done before stay in the layer."),
    score: bool = typer.Option(False, "--score", help="Hold the masks against those of --masks: F1 of objects."),
    overlays: Path | None = typer.Option(None, "--overlays", help="Folder for a picture of each site with outlines."),
    features: bool = typer.Option(False, "--features", help="Measure cells too, and add a block of features."),
    workers: int = typer.Option(1, "--workers", min=1, help="Processes that work on plates."),
    scheduler: str | None = typer.Option(None, "--scheduler", help="Dask scheduler, such as tcp://host:8786."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> None:
    """Find nuclei and cells in all sites of a screen, plate by plate; plates that are done are kept.

    Masks become a layer of the screen's images; counts fill Metadata_CellCount where the screen's
    own tables gave none.

    Example: dssl-bio segment screens/mine --workers 4 --overlays pictures

    Training, with masks that were drawn by hand or simulated:

    dssl-bio segment screens/sim --given-masks sim/truth/masks.csv

    dssl-bio segment screens/sim --train nuclei.safetensors

    dssl-bio segment screens/new --engine cellpose --weights nuclei.safetensors
    """
    from dssl_bio.screens.masks import open_layer
    from dssl_bio.screens.screen import Screen

    report = reporter(quiet)
    opened = Screen.open(screen)
    if given_masks is not None:
        from dssl_bio.screens.segment import take_given_masks

        with progress_bar("masks", quiet) as bar:
            layer = take_given_masks(opened, _given(given_masks, data_root), name or masks, workers=workers,
                                     report=report, progress=bar)
        report(f"{len(layer.objects()):,} nuclei in masks {layer.name} of {len(layer.sites):,} sites")
        return
    if train is not None:
        _train(opened, train, target, masks, where, settings or [], seed, quiet)
        return
    from dssl_bio.screens.segment import score_table, scores_against, segment_screen

    chosen = _settings(engine, settings or [], weights=weights, weights_sha256=weights_sha256,
                       cell_weights=cell_weights, cell_weights_sha256=cell_weights_sha256)
    with progress_bar("plates", quiet) as bar:
        layer = segment_screen(opened, chosen, name or engine, plates=plate, workers=workers, scheduler=scheduler,
                               report=report, progress=bar)
    report(f"masks {layer.name} of {len(layer.sites):,} sites in {layer.folder}")
    from dssl_bio.screens.segment_training import sites_where

    if score:
        reference = open_layer(opened, masks)
        sites = sites_where(opened, layer, where)
        for kind in ("nuclei", "cells") if layer.has_cells and reference.has_cells else ("nuclei",):
            print(f"{kind} against {masks}, {len(sites)} sites: "
                  f"{score_table(scores_against(layer, reference, kind, sites))}")
    if overlays is not None:
        from dssl_bio.screens.overlays import write_overlays

        with progress_bar("pictures", quiet) as bar:
            written = write_overlays(opened, layer, overlays, sites_where(opened, layer, where), bar)
        report(f"{len(written):,} pictures in {overlays}")
    if features:
        from dssl_bio.screens.cell_block import add_cell_block

        with progress_bar("plates", quiet) as bar:
            block = add_cell_block(opened, layer, workers=workers, scheduler=scheduler, progress=bar)
        report(f"{block.name}: {block.n_features:,} features of {block.n_wells:,} wells, medians over "
               f"{block.n_cells:,} cells"
               + "".join(f"\n  note: {note}" for note in block.notes))


def _train(opened: Any, out: Path, target: str, masks: str, where: str | None, settings: list[str], seed: int,
           quiet: bool) -> None:
    from dssl_bio.config import with_overrides
    from dssl_bio.errors import ConfigError
    from dssl_bio.imaging.cellpose_engine import CellposeTraining
    from dssl_bio.screens.masks import open_layer
    from dssl_bio.screens.segment_training import train_on_masks

    if target not in ("nuclei", "cells"):
        raise ConfigError(f"--target is nuclei or cells, not {target}")
    plan = with_overrides(CellposeTraining(), [*settings, f"seed={seed}"])
    with progress_bar("training", quiet) as bar:
        network = train_on_masks(opened, open_layer(opened, masks), target, out, plan,  # type: ignore[arg-type]
                                 where=where, progress=bar)
    facts = network.made_from
    reporter(quiet)(f"trained on {facts['objects']:,} {target} of {facts['fields']} sites, {facts['steps']} steps, "
                    f"{facts['cpu_minutes']:.1f} CPU-minutes, loss {facts['loss']:.3f}; weights in {out}")


def _settings(engine: str, changes: list[str], **weights: str | None) -> Any:
    from dssl_bio.config import with_overrides
    from dssl_bio.imaging.segmentation import settings_for

    return with_overrides(settings_for(engine, **weights), changes)  # type: ignore[arg-type]


def _given(path: Path, data_root: Path | None) -> "GivenMasks":
    """Where masks lie, from a manifest's [masks] or from a table."""
    from dssl_bio.errors import ManifestError
    from dssl_bio.screens.manifest import read_manifest
    from dssl_bio.screens.segment import GivenMasks
    from dssl_bio.screens.tables import columns_of

    if path.suffix.lower() != ".toml":
        columns = columns_of(path)
        return GivenMasks(path, data_root or path.parent, cells="FileName_CellsMask" if "FileName_CellsMask" in columns
                          else None)
    file = read_manifest(path, data_root)
    source = file.manifest.masks
    if source is None:
        raise ManifestError(f"{path} has no [masks]")
    folder = file.root / source.folder if source.folder else (file.root / source.table).parent
    return GivenMasks(file.root / source.table, folder, source.nuclei, source.cells, source.min_area_px)
