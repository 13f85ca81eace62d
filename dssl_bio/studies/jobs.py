"""A study as many small jobs: each result is one JSON, so that a study that was stopped goes on where it was."""

import json
import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dssl_bio import __version__
from dssl_bio.artefact import write_json
from dssl_bio.errors import DsslBioError
from dssl_bio.processes import script_not_run_again

JOBS = "jobs"

Report = Callable[[int, int, str], None]
"""Told (jobs done, jobs in all, a line about the last one)."""


def silent(done: int, total: int, line: str) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class Job:
    """One piece of a study.

    Attributes:
        key: names its result file.
        function: of a module, called with the settings and the study's folder; returns what JSON can hold.
        settings: everything the result depends on; another value makes the job run again.
        after: key of a job whose files this one reads.
    """

    key: str
    function: Callable[[dict[str, Any], Path], dict[str, Any]]
    settings: dict[str, Any]
    after: str | None = None

    def path(self, folder: Path) -> Path:
        """Its result file in a study's folder."""
        return folder / JOBS / f"{self.key}.json"


def device() -> str:
    """Where a job computes: on the worker's GPU where the machine has any, otherwise on the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def run_jobs(jobs: Sequence[Job], folder: Path, workers: int = 1, report: Report = silent) -> dict[str, dict[str, Any]]:
    """Results of all jobs by their key; those already in the folder with the same settings are not run again.

    Raises:
        DsslBioError: a worker process died.
    """
    done = {job.key: found for job in jobs if (found := read_result(job, folder)) is not None}
    total = len(jobs)
    if done:
        report(len(done), total, f"{len(done)} of {total} jobs were done before")
    waiting = [job for job in jobs if job.key not in done]
    known = {job.key for job in jobs}
    while waiting:
        ready = [job for job in waiting if job.after is None or job.after in done or job.after not in known]
        if not ready:
            raise ValueError(f"jobs wait for each other: {', '.join(job.key for job in waiting)}")
        for job, result in _each(ready, folder, workers):
            done[job.key] = result
            report(len(done), total, f"{job.key} ({result['seconds']:.0f} s)")
        waiting = [job for job in waiting if job.key not in done]
    return {job.key: done[job.key] for job in jobs}


def read_result(job: Job, folder: Path) -> dict[str, Any] | None:
    """The stored result of a job with just these settings, if there is one."""
    try:
        record = json.loads(job.path(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = json.loads(json.dumps(job.settings))
    if not isinstance(record, dict) or record.get("settings") != wanted or record.get("dssl_bio") != __version__:
        return None
    return dict(record["result"])


def _each(jobs: Sequence[Job], folder: Path, workers: int) -> Any:
    if workers <= 1 or len(jobs) == 1:
        for job in jobs:
            yield job, _run(job, folder)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(workers, len(jobs))
    numbers = context.Queue()
    for number in range(workers):
        numbers.put(number)
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(numbers,)) as pool:
        with script_not_run_again():
            futures = {pool.submit(_run, job, folder): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as cause:
            raise DsslBioError("a worker process died (out of memory, or stopped from outside); what it had finished "
                               "is kept: run it again, with fewer --workers if memory is short") from cause
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_worker(numbers: "multiprocessing.Queue[int]") -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interruption ends a worker without a traceback
    torch.set_num_threads(1)
    number, gpus = numbers.get(), torch.cuda.device_count()
    if gpus:  # workers take turns over the GPUs
        torch.cuda.set_device(number % gpus)


def _run(job: Job, folder: Path) -> dict[str, Any]:
    started, used = time.perf_counter(), time.process_time()
    result = job.function(job.settings, folder)
    result["seconds"] = round(time.perf_counter() - started, 2)
    result["processor_seconds"] = round(time.process_time() - used, 2)
    write_json(job.path(folder), {"key": job.key, "dssl_bio": __version__, "torch": torch.__version__,
                                  "device": device(), "settings": job.settings, "result": result})
    return result
