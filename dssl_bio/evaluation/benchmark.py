"""A benchmark: every method on every fold and seed under one protocol, each job kept, so that it can be stopped."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from dssl_bio.artefact import written_whole
from dssl_bio.config import checked
from dssl_bio.errors import DsslBioError, EvaluationError
from dssl_bio.evaluation.catalogue import checked_methods, made, method_class
from dssl_bio.evaluation.division import Division, divide
from dssl_bio.evaluation.folds import FOLD, split_of_fold
from dssl_bio.evaluation.heldout import DIRECTIONS
from dssl_bio.evaluation.learned import DisentangledRun, TrainedMethod, TrainingContext
from dssl_bio.evaluation.methods import Vectors
from dssl_bio.evaluation.truth import true_activity
from dssl_bio.learning.activity import activity_of
from dssl_bio.learning.choice import AUTO
from dssl_bio.learning.config import ImageConfig, TrainConfig
from dssl_bio.learning.phenotypes import modalities, phenotypes_of
from dssl_bio.learning.representation import unit_rows
from dssl_bio.learning.well_profiles import well_profiles
from dssl_bio.screens.entries import EntryMode
from dssl_bio.screens.screen import Screen
from dssl_bio.studies.jobs import Job, Report, run_jobs, silent

logger = logging.getLogger(__name__)

FOLDS_TABLE, VECTORS = "folds.parquet", "vectors"
WELL_PROFILES = ("profiles_of_sound_sites", "well_profiles")
"""Statistics of images without the sites that quality control flagged, and with them."""
OF_ALL_METHODS = ("flagged_sites", "pixel_size_um")
"""Settings of images that decide what baselines see, too."""


@dataclass(frozen=True)
class BenchmarkOptions:
    """What is asked of which methods.

    Attributes:
        methods: names of `catalogue.METHODS` or of entry points.
        seeds: of the methods that have chance in them.
        config: of `train`, for the methods that are trained as runs.
        directions: of `heldout.DIRECTIONS`.
        mode: consensus phenotypes per molecule and dose, or single wells.
        modality: of the screen; auto takes images first.
        train_where: wells that may be learnt from.
        gallery_where: wells that are entries.
        one_in: also ask with that many wrong entries drawn for every query (100 for 1:100); 0 for not.
        truth: the simulator's truth/ folder, which says which molecules are active.
    """

    methods: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    config: TrainConfig = TrainConfig()
    directions: tuple[str, ...] = DIRECTIONS
    mode: EntryMode = "consensus"
    modality: str = "auto"
    train_where: str | None = None
    gallery_where: str | None = None
    one_in: int = 0
    truth: Path | None = None


@dataclass(frozen=True)
class Placed:
    """Vectors of one method for one fold: of one seed, or of the ensemble of all seeds.

    Attributes:
        method: name.
        fold: number.
        seed: number as text, empty for a method without chance, `ensemble`.
        vectors: molecules and entries of the fold's division.
    """

    method: str
    fold: int
    seed: str
    vectors: Vectors


ENSEMBLE = "ensemble"


def run_benchmark(screen: Screen, folds: pd.DataFrame, options: BenchmarkOptions, folder: Path, *, workers: int = 1,
                  report: Report = silent) -> tuple[list[Placed], dict[str, Any]]:
    """Runs every job that is not in the folder yet.

    Args:
        screen: the data.
        folds: molecule_id, fold, group.
        options: methods, seeds, protocol.
        folder: of the benchmark; jobs, vectors and folds are kept there.
        workers: processes; each computes on one thread.
        report: told (jobs done, jobs in all, a line about the last one).

    Returns:
        vectors of all jobs and of the ensembles, in the order of the methods; and facts: seconds by method, metrics
        of training, and why a method could not run.

    Raises:
        EvaluationError: an unknown method, or none of them could run.
    """
    methods = checked_methods(options.methods)
    modality = (modalities(screen) or [""])[0] if options.modality == "auto" else options.modality
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / FOLDS_TABLE) as temporary:
        folds.to_parquet(temporary)
    if modality not in screen.profiles:
        _keep_image_profiles(screen, modality, options.config, folder)
    numbers = [int(fold) for fold in sorted(folds[FOLD].unique())]
    configs, choices = _resolved(screen, folds, options, modality, methods, folder, workers, report)
    jobs = [_job(screen, folds, replace(options, config=configs[fold]), modality, name, fold, seed)
            for fold in numbers for name in methods
            for seed in (options.seeds if method_class(name).seeded else options.seeds[:1])]
    results = run_jobs(jobs, folder, workers, report)
    failed = {name: texts for name in methods if (texts := _failures(jobs, results, name))}
    for job in jobs:
        if "failed" in results[job.key]:
            job.path(folder).unlink()  # asked again next time
    done = [job for job in jobs if job.settings["method"] not in failed]
    if not done:
        raise EvaluationError("no method could run: " + "; ".join(f"{name}: {text}" for name, text in failed.items()))
    placed = [Placed(job.settings["method"], job.settings["fold"], _seed_of(job), read_vectors(folder, job.key))
              for job in sorted(done, key=lambda job: methods.index(job.settings["method"]))]
    seconds = {name: round(sum(results[job.key]["seconds"] for job in done if job.settings["method"] == name), 1)
               for name in methods}
    training = {job.key: results[job.key]["metrics"] for job in done if results[job.key].get("metrics")}
    facts: dict[str, Any] = {"seconds": seconds, "training": training, "left_out": failed, "modality": modality,
                             "encoder_choice": choices}
    if modality not in screen.profiles and screen.images is not None and not options.config.image.flagged_sites:
        facts["flagged_sites_left_out"] = int(screen.images.flagged.sum())
    return [*placed, *ensembles(placed)], facts


def _resolved(screen: Screen, folds: pd.DataFrame, options: BenchmarkOptions, modality: str, methods: Sequence[str],
              folder: Path, workers: int, report: Report) -> tuple[dict[int, TrainConfig], dict[str, list[str]]]:
    """The training configuration of every fold, and how its encoder was chosen: once, for all seeds and methods."""
    numbers = [int(fold) for fold in sorted(folds[FOLD].unique())]
    trained = any(issubclass(method_class(name), TrainedMethod) for name in methods)
    if options.config.molecule_encoder != AUTO or not trained:
        return dict.fromkeys(numbers, options.config), {}
    jobs = []
    for fold in numbers:
        job = _job(screen, folds, options, modality, "dssl", fold, 0)
        jobs.append(Job(f"choice-fold{fold}", choose_encoder, job.settings))
    results = run_jobs(jobs, folder, workers, report)
    configs = {fold: checked(results[f"choice-fold{fold}"]["config"], TrainConfig, "benchmark") for fold in numbers}
    return configs, {f"fold {fold}": results[f"choice-fold{fold}"]["lines"] for fold in numbers}


def choose_encoder(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One job: chooses the encoder of a fold by a trial on its training molecules."""
    division, context = _division_and_context(settings, folder)
    config, lines = DisentangledRun(context).resolved(division)
    keep = {name: value for name, value in context.config.model_dump(mode="json", by_alias=True).items()
            if name in ("split", "seed", "modality", "train_where", "step_2")}
    return {"config": {**config.model_dump(mode="json", by_alias=True), **keep}, "lines": lines}


def division_of(screen: Screen, folds: pd.DataFrame, fold: int, options: BenchmarkOptions, folder: Path) -> Division:
    """The division that holds one fold out."""
    modality = (modalities(screen) or [""])[0] if options.modality == "auto" else options.modality
    if modality in screen.profiles:
        phenotypes = phenotypes_of(screen, modality)
        rows, profiles, sound = phenotypes.rows, well_profiles(phenotypes), None
    else:
        if screen.images is None:
            raise EvaluationError(f"screen {screen.name} has no modality {modality!r}; it has "
                                  f"{', '.join(modalities(screen))}")
        rows = np.unique(screen.images.table["row"].to_numpy()).astype(np.int64)
        counted = options.config.image.flagged_sites | ~screen.images.flagged
        sound = np.isin(rows, screen.images.table["row"].to_numpy()[counted])
        profiles = np.load(_image_profiles(folder, options.config.image), allow_pickle=False)
    activity = true_activity(options.truth) if options.truth else activity_of(screen, rows, profiles)
    return divide(screen, split_of_fold(folds, fold), rows, profiles, fold=f"fold {fold}", mode=options.mode,
                  train_where=options.train_where, gallery_where=options.gallery_where, activity=activity, sound=sound)


def ensembles(placed: Sequence[Placed]) -> list[Placed]:
    """For every method with several seeds and every fold: vectors whose cosine is the mean of the seeds' cosines."""
    found: dict[tuple[str, int], list[Vectors]] = {}
    for one in placed:
        found.setdefault((one.method, one.fold), []).append(one.vectors)
    return [Placed(method, fold, ENSEMBLE, Vectors(_joined([v.molecules for v in several]),
                                                   _joined([v.entries for v in several])))
            for (method, fold), several in found.items() if len(several) > 1]


def read_vectors(folder: Path, key: str) -> Vectors:
    """Vectors of one job."""
    stored = load_file(folder / VECTORS / f"{key}.safetensors")
    return Vectors(stored["molecules"], stored["entries"])


def _job(screen: Screen, folds: pd.DataFrame, options: BenchmarkOptions, modality: str, name: str, fold: int,
         seed: int) -> Job:
    config = options.config.model_dump(mode="json", by_alias=True)
    trained = issubclass(method_class(name), TrainedMethod)
    part = pd.util.hash_pandas_object(folds, index=False).sum()
    settings = {"screen": str(screen.folder), "screen_id": screen.id, "folds": str(part), "method": name,
                "fold": int(fold), "seed": int(seed), "modality": modality, "mode": options.mode,
                "train_where": options.train_where, "gallery_where": options.gallery_where,
                "config": config if trained else None}
    if modality not in screen.profiles:
        settings["image"] = {name: getattr(options.config.image, name) for name in OF_ALL_METHODS}
    return Job(f"{name}-fold{fold}-seed{seed}", place, settings)


def place(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One job: fits one method to one fold, writes its vectors; a method that cannot run says why."""
    division, context = _division_and_context(settings, folder)
    method = made(settings["method"], context)
    try:
        vectors = method.vectors(division, settings["seed"])
    except DsslBioError as cause:
        return {"failed": str(cause)}
    path = folder / VECTORS / f"{settings['method']}-fold{settings['fold']}-seed{settings['seed']}.safetensors"
    with written_whole(path) as temporary:
        save_file({"molecules": np.ascontiguousarray(vectors.molecules, np.float32),
                   "entries": np.ascontiguousarray(vectors.entries, np.float32)}, temporary)
    metrics = getattr(method, "metrics", {})
    return {"metrics": json.loads(json.dumps(metrics))} if metrics else {}


def _division_and_context(settings: dict[str, Any], folder: Path) -> tuple[Division, TrainingContext]:
    screen, folds = _opened(settings["screen"], settings["screen_id"], str(folder), settings["folds"])
    values = settings["config"] or {"image": settings.get("image", {})}
    config = checked(values, TrainConfig, "benchmark")
    options = BenchmarkOptions((), config=config, mode=settings["mode"], modality=settings["modality"],
                               train_where=settings["train_where"], gallery_where=settings["gallery_where"])
    context = TrainingContext(config, settings["modality"], settings["train_where"])
    return division_of(screen, folds, settings["fold"], options, folder), context


@lru_cache(maxsize=1)
def _opened(screen: str, screen_id: str, folder: str, folds: str) -> tuple[Screen, pd.DataFrame]:
    """Screen and folds, once a process."""
    return Screen.open(Path(screen)), pd.read_parquet(Path(folder) / FOLDS_TABLE)


def _image_profiles(folder: Path, image: ImageConfig) -> Path:
    size = f"_{image.pixel_size_um:g}um" if image.pixel_size_um else ""
    return folder / f"{WELL_PROFILES[image.flagged_sites]}{size}.npy"


def _keep_image_profiles(screen: Screen, modality: str, config: TrainConfig, folder: Path) -> None:
    """Statistics of all images, which baselines read: computed once."""
    path = _image_profiles(folder, config.image)
    if path.is_file():
        return
    phenotypes = phenotypes_of(screen, modality, image=config.image, seed=config.seed)
    with written_whole(path) as temporary:
        with temporary.open("wb") as file:
            np.save(file, well_profiles(phenotypes), allow_pickle=False)


def _failures(jobs: Sequence[Job], results: dict[str, dict[str, Any]], method: str) -> str:
    texts = [results[job.key]["failed"] for job in jobs
             if job.settings["method"] == method and "failed" in results[job.key]]
    return texts[0] if texts else ""


def _seed_of(job: Job) -> str:
    return str(job.settings["seed"]) if method_class(job.settings["method"]).seeded else ""


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.hstack([unit_rows(part) for part in parts]) / np.sqrt(len(parts))

