"""From a manifest to a Screen folder: every input row ends in `wells` or in `rejected`."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.artefact import checksum, new_folder, require_disk, seal
from dssl_bio.errors import ImageError, ManifestError, ScreenError
from dssl_bio.screens import ingest_images as sites
from dssl_bio.screens import site_tables
from dssl_bio.screens.ingest_images import SitePlan
from dssl_bio.screens.ingest_profiles import RawBlock, read_block, without_lonely, write_block
from dssl_bio.screens.join_molecules import Joined, join_molecules
from dssl_bio.screens.manifest import Manifest, ManifestFile
from dssl_bio.screens.plan import IMAGES, ScreenPlan, plan_screen
from dssl_bio.screens.rows import Rejections, TableRows, assembled, consistent, labelled, read_rows
from dssl_bio.screens.screen import IMAGES as IMAGE_FOLDER
from dssl_bio.screens.screen import MOLECULES, PLATE_FOLDERS, PROFILES, REJECTED, UNJOINED, WELLS, Screen
from dssl_bio.screens.site_tables import SitesDone
from dssl_bio.screens.tables import table_checksum
from dssl_bio.vocabulary import MOLECULE_ID, PERT_TYPE, PLATE, ROW_KEY

Report = Callable[[str], None]
Progress = Callable[[str, int, int], None]

NO_PLATE = "all"
"""Stands for the plate where a screen names none: one scale for all its sites."""


def _silent(_: str) -> None: ...


def _still(stage: str, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class _Sources:
    """What was read of the tables before anything is written."""

    plan: ScreenPlan
    tables: list[TableRows]
    joined: Joined
    notes: list[str]


def ingest(file: ManifestFile, folder: Path, *, molecules: Path | None = None, workers: int = 1,
           scheduler: str | None = None, report: Report = _silent, progress: Progress = _still) -> Screen:
    """Builds a screen folder; a killed or interrupted call leaves the old one, or none.

    Images are read plate by plate. Plates that are complete when a call is stopped lie in `<folder>.partial`, and the
    next call with the same manifest and files goes on there.

    Args:
        file: the manifest.
        folder: the screen; one that is there is replaced when the new one is complete.
        molecules: a table of structures, in place of the manifest's.
        workers: processes that read plates.
        scheduler: address of a Dask scheduler whose workers read plates instead; they must see the same folders.
        report: receives lines of progress.
        progress: called with (stage, done, total).

    Raises:
        ManifestError: the manifest does not fit its files, a key is repeated, controls are not found.
        ScreenError: nothing is left, or too few controls to normalise against.
        ImageError: no site can be read.
        DsslBioError: the disk is too small, or the scheduler cannot be reached.
    """
    rejections = Rejections()
    sources = _read_sources(file, molecules, rejections, progress)
    plan = _plan_sites(file, sources)
    report(require_disk(folder, _disk_needed(sources, plan)))
    with new_folder(folder, "screen") as work:
        blocks = {t.plan.modality: _block(t, file.manifest, work, rejections, progress)
                  for t in sources.tables if t.plan.modality != IMAGES}
        done = None if plan is None else _read_sites(plan, folder, rejections, workers, scheduler, report,
                                                     _stage(progress, "images"))
        wells = _wells_with_phenotype(sources, blocks, done)
        known = _write_modalities(file.manifest, wells, blocks, sources, plan, done, work)
        counts = _write_tables(wells, sources, rejections, done, work)
        notes = [*sources.notes, *(note for block in blocks.values() for note in block.notes), *_notes_of(done)]
        _seal(file, sources, plan, done, counts, notes, known, work)
    if plan is not None:
        shutil.rmtree(sites.partial_folder(folder), ignore_errors=True)
    return Screen.open(folder)


def unjoined(screen: Screen) -> pd.DataFrame:
    """Treated wells of a screen without molecule: row_key, text, reason."""
    return pd.read_parquet(screen.folder / UNJOINED)


def _read_sources(file: ManifestFile, molecules: Path | None, rejections: Rejections, progress: Progress) -> _Sources:
    manifest = file.manifest
    plan = plan_screen(file, molecules)
    tables = [read_rows(manifest, plan, table, rejections) for table in plan.tables]
    tables = consistent(tables, rejections)
    wells, notes = assembled(tables, manifest)
    _check_normalisation(manifest, wells)
    joined = join_molecules(wells, manifest.molecules, plan.molecules, _stage(progress, "molecules"))
    ignored = [f"{t.plan.paths[0].name}: {len(t.plan.ignored)} columns are neither features nor metadata and were left "
               f"out: {', '.join(t.plan.ignored[:8])}{', ...' if len(t.plan.ignored) > 8 else ''} (name them under "
               "`annotations` to keep them)" for t in tables if t.plan.ignored]
    return _Sources(plan, tables, joined, [*notes, *joined.notes, *dict.fromkeys(ignored)])


def _block(table: TableRows, manifest: Manifest, work: Path, rejections: Rejections, progress: Progress) -> RawBlock:
    name = table.plan.modality
    block = read_block(table, work / PROFILES / name, rejections, _stage(progress, name))
    if manifest.profiles[name].normalisation == "plate":
        block = without_lonely(block, table, rejections)
    return block


def _check_normalisation(manifest: Manifest, wells: pd.DataFrame) -> None:
    for name, source in manifest.profiles.items():
        if source.normalisation == "negcon" and not (wells[PERT_TYPE] == "negcon").any():
            raise ManifestError(f"profiles.{name}: normalisation negcon needs negative controls and none are declared; "
                                "add [controls] where = ..., or choose plate, screen or none")
        if source.normalisation in ("negcon", "plate") and (PLATE not in wells or wells[PLATE].isna().any()):
            raise ManifestError(f"profiles.{name}: normalisation {source.normalisation} needs {PLATE} for every row; "
                                "map it under [columns], give a constant, or choose screen or none")


def _plan_sites(file: ManifestFile, sources: _Sources) -> SitePlan | None:
    if file.manifest.images is None:
        return None
    table = next(t for t in sources.tables if t.plan.modality == IMAGES)
    wells = sources.joined.wells
    return sites.plan_sites(table, file.manifest.images, file.root, wells, _plates(wells))


def _read_sites(plan: SitePlan, folder: Path, rejections: Rejections, workers: int, scheduler: str | None,
                report: Report, progress: Callable[[int, int], None]) -> SitesDone:
    """Reads the plates; says what an earlier call had done, and what is left for a later one when this is stopped."""
    place = sites.partial_folder(folder)
    if (before := sites.finished_plates(place)):
        report(f"{before} plates were read by an earlier call; those that are unchanged are kept")
    place = sites.partial_folder(folder)
    try:
        return sites.ingest_sites(plan, place / PLATE_FOLDERS, rejections, workers=workers, scheduler=scheduler,
                                  progress=progress)
    except KeyboardInterrupt:
        if (n := sites.finished_plates(place)):
            report(f"{n} of {len(plan.names)} plates are complete in {place}; the same command goes on there")
        raise
    except ImageError:
        shutil.rmtree(place, ignore_errors=True)  # no site of any plate can be read
        raise


def _notes_of(done: SitesDone | None) -> list[str]:
    """Warnings, the same ones counted together."""
    if done is None or not len(done.warnings):
        return []
    notes = []
    for message, group in done.warnings.groupby("message", sort=False):
        places = [" ".join(filter(None, (f"plate {row.plate}", f"well {row.well}" if row.well else "",
                                         f"site {row.site}" if row.site else ""))) for row in group.itertuples()]
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        notes.append(f"{message}: {', '.join(places[:3])}{more}")
    return notes


def _disk_needed(sources: _Sources, plan: SitePlan | None) -> int:
    """Twice the profiles (raw and normalised lie side by side for a while), and the sites as if nothing compressed."""
    profiles = sum(2 * 4 * len(t.frame) * len(t.plan.features) for t in sources.tables)
    return profiles + (plan.n_bytes if plan else 0) + 1_000 * len(sources.joined.wells) + 1_000_000


def _wells_with_phenotype(sources: _Sources, blocks: dict[str, RawBlock], done: SitesDone | None) -> pd.DataFrame:
    """The wells that have a phenotype left in some modality, with what quality control says of them."""
    seen = [block.keys[block.usable] for block in blocks.values()]
    if done is not None:
        seen.append(done.sites[ROW_KEY].to_numpy(str))
    wells = sources.joined.wells
    wells = wells[wells[ROW_KEY].isin(np.concatenate(seen))].reset_index(drop=True)
    if not len(wells):
        raise ScreenError("no well is left: every row was rejected; the first reasons are "
                          "features that are not finite numbers or images that cannot be read")
    if done is not None:
        wells = site_tables.with_quality(wells, done.sites)
    first = [column for column in (ROW_KEY, MOLECULE_ID) if column in wells]
    return wells[[*first, *(column for column in wells if column not in first)]]


def _plates(wells: pd.DataFrame) -> NDArray[np.str_]:
    return (wells[PLATE].fillna(NO_PLATE) if PLATE in wells else pd.Series(NO_PLATE, index=wells.index)).to_numpy(str)


def _write_modalities(manifest: Manifest, wells: pd.DataFrame, blocks: dict[str, RawBlock], sources: _Sources,
                      plan: SitePlan | None, done: SitesDone | None, work: Path) -> dict[str, str]:
    """Writes profiles and images; gives the checksums of large files that are known already."""
    plates, is_control = _plates(wells), (wells[PERT_TYPE] == "negcon").to_numpy()
    features = {t.plan.modality: t.plan.features for t in sources.tables}
    for name, block in blocks.items():
        if not block.usable.any():
            raise ScreenError(f"profiles.{name}: no row is left; see the reasons by running with fewer features")
        write_block(block, features[name], manifest.profiles[name], wells, plates, is_control, work / PROFILES / name)
    if plan is None or done is None:
        return {}
    return site_tables.write_images(done, plan.source.order, wells, work / IMAGE_FOLDER)


def _write_tables(wells: pd.DataFrame, sources: _Sources, rejections: Rejections, done: SitesDone | None,
                  work: Path) -> dict[str, Any]:
    """Writes the four tables and counts what became of every row."""
    joined = sources.joined
    kept = joined.molecules[joined.molecules[MOLECULE_ID].isin(wells[MOLECULE_ID])].reset_index(drop=True)
    lost = joined.unjoined[joined.unjoined[ROW_KEY].isin(wells[ROW_KEY])].reset_index(drop=True)
    rejected = rejections.table()
    for name, table in ((WELLS, wells), (MOLECULES, kept), (REJECTED, rejected), (UNJOINED, lost)):
        table.to_parquet(work / name)
    tables = {}
    for table in sources.tables:
        refused = int((rejected["modality"] == table.plan.modality).sum())
        tables[table.plan.modality] = {"input_rows": table.n_input, "filtered": table.n_filtered, "rejected": refused,
                                       "used": table.n_input - table.n_filtered - refused}
    types = wells[PERT_TYPE].value_counts()
    return {"tables": tables, "input_rows": sum(t["input_rows"] for t in tables.values()),
            "filtered": sum(t["filtered"] for t in tables.values()), "rejected": len(rejected), "wells": len(wells),
            "molecules": len(kept), "wells_without_molecule": len(lost), "controls": int(types.get("negcon", 0)),
            "plates": int(wells[PLATE].nunique()) if PLATE in wells else 0,
            "rejected_reasons": _reasons(rejected["reason"]), "unjoined_reasons": _reasons(lost["reason"]),
            "quality": site_tables.quality_counts(done.sites) if done else None}


def _reasons(reasons: "pd.Series[str]") -> dict[str, int]:
    """Reasons and how often each occurs; what follows a colon tells one row from another and is left out."""
    short = reasons.map(lambda text: text if "/" not in text.split(": ")[0] else text.split(": ", 1)[-1])
    return {str(k): int(v) for k, v in short.map(lambda text: text.split(": ")[0]).value_counts().items()}


def _seal(file: ManifestFile, sources: _Sources, plan: SitePlan | None, done: SitesDone | None,
          counts: dict[str, Any], notes: list[str], known: dict[str, str], work: Path) -> None:
    manifest = file.manifest
    paths = {path for t in sources.tables for path in t.plan.paths}
    if sources.plan.molecules:
        paths.add(sources.plan.molecules)
    tables = labelled(sorted(paths))
    made_from: dict[str, Any] = {
        "manifest": file.text, "manifest_sha256": checksum(file.path),
        "tables": {label: table_checksum(path) for label, path in tables.items()},
    }
    facts = None
    if plan is not None and done is not None:
        made_from["images"] = done.inputs
        facts = sites.image_facts(plan, done)
    seal(work, "screen", made_from, known=known, name=manifest.name, title=manifest.title, citation=manifest.citation,
         licence=manifest.licence, url=manifest.url, simulated=manifest.simulated, key=sources.plan.key,
         profiles=list(manifest.profiles), images=facts,
         modalities=[*([IMAGES] if facts else []), *manifest.profiles],
         normalisation={name: source.normalisation for name, source in manifest.profiles.items()},
         transform={name: source.transform for name, source in manifest.profiles.items()}, counts=counts, notes=notes)


def _stage(progress: Progress, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(stage, done, total)
