"""A whole benchmark: folds, jobs, ranks, summary, report."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dssl_bio.errors import EvaluationError
from dssl_bio.evaluation.baselines import Standardised
from dssl_bio.evaluation.benchmark import BenchmarkOptions, Placed, division_of, run_benchmark
from dssl_bio.evaluation.benchmark_ranks import rank_tables
from dssl_bio.evaluation.benchmark_report import OUR_METHOD, prepare_folder, write_benchmark
from dssl_bio.evaluation.benchmark_summary import benchmark_results, flat
from dssl_bio.evaluation.catalogue import KERNEL_RIDGE
from dssl_bio.evaluation.folds import FOLD, make_folds, read_folds
from dssl_bio.evaluation.heldout import WHOLE
from dssl_bio.evaluation.intervals import N_DRAWS
from dssl_bio.evaluation.maps import entry_maps
from dssl_bio.learning.representation import unit_rows
from dssl_bio.screens.screen import Screen
from dssl_bio.studies.jobs import Report, silent

REFERENCES = (KERNEL_RIDGE, "clip")


def benchmark_screen(screen: Screen, options: BenchmarkOptions, folder: Path, *, folds: str = "5",
                     group_by: str = "random", workers: int = 1, n_draws: int = N_DRAWS, seed: int = 0,
                     report: Report = silent) -> dict[str, Any]:
    """Runs and writes a benchmark.

    Args:
        screen: the data.
        options: methods, seeds and protocol.
        folder: to write; jobs that are there with the same settings are not run again.
        folds: how many, or the path of a table with the columns molecule and fold.
        group_by: what stays in one fold, where folds are made here.
        workers: processes.
        n_draws: of the bootstrap.
        seed: of the folds and the bootstrap.
        report: told (jobs done, jobs in all, a line about the last one).

    Returns:
        the record that is written as benchmark.json.

    Raises:
        EvaluationError: folds that do not fit, an unknown method, or a folder that holds something else.
    """
    prepare_folder(folder)
    table, by = _folds(screen, folds, group_by, seed, options)
    placed, facts = run_benchmark(screen, table, options, folder, workers=workers, report=report)
    ranks, mechanisms, words = rank_tables(screen, table, placed, options, folder)
    run = {one.method for one in placed}
    references = tuple(name for name in REFERENCES if name in run) or (placed[0].method,)
    results = benchmark_results(ranks, mechanisms, references, n_draws=n_draws, seed=seed)
    whole = ranks.loc[ranks["setting"] == WHOLE, "n_entries"]
    gallery = str(whole.min()) if whole.nunique() == 1 else f"{whole.min()} to {whole.max()}"
    results["facts"] = {**facts, **words, "molecules": len(table), "n_folds": int(table[FOLD].nunique()),
                        "folds_by": by, "gallery": gallery, "methods": list(dict.fromkeys(p.method for p in placed)),
                        "seeds": ", ".join(map(str, options.seeds))}
    config = {"methods": ",".join(options.methods), "seeds": list(options.seeds), "folds": folds, "group_by": by,
              "train_where": options.train_where, "gallery_where": options.gallery_where, "entries": options.mode,
              "modality": facts["modality"], "one_in": options.one_in, "bootstrap_draws": n_draws, "seed": seed,
              "training": options.config.model_dump(mode="json", by_alias=True)}
    return write_benchmark(folder, screen, ranks, mechanisms, results, flat(results),
                           _maps(screen, table, placed, options, folder), config)


def _folds(screen: Screen, folds: str, group_by: str, seed: int,
           options: BenchmarkOptions) -> tuple[pd.DataFrame, str]:
    if folds.isdigit():
        return make_folds(screen, group_by, int(folds), seed, train_where=options.train_where,
                          gallery_where=options.gallery_where), group_by
    path = Path(folds)
    if not path.is_file():
        raise EvaluationError(f"--folds {folds}: neither a number nor a file")
    table, key = read_folds(path, screen)
    return table, f"file {path.name} (matched by {key})"


def _maps(screen: Screen, folds: pd.DataFrame, placed: list[Placed], options: BenchmarkOptions,
          folder: Path) -> tuple[dict[str, Any], str]:
    fold = int(folds[FOLD].min())
    division = division_of(screen, folds, fold, options, folder)
    own = [one for one in placed if one.method == OUR_METHOD and one.fold == fold]
    if own:
        vectors = unit_rows(own[0].vectors.entries)
    else:
        scale = Standardised(division.known_profiles, division.known_gallery_profiles)
        vectors = unit_rows(scale.gallery(np.asarray(division.entry_profiles)))
    return entry_maps(vectors, division.entries)
