"""Work that is done plate by plate: resumable, in this process, in several, or on a Dask cluster, with the same code.

    done = by_plate(task, jobs, folder, fingerprint=fingerprint, workers=4)

`task(argument, out)` is a module-level function that writes all it makes of one plate into the new folder `out`;
`jobs` is any iterable of `PlateJob(plate, argument)` and may be a generator, so that only a few plates are in memory.
Arguments travel to other processes, so they hold names and settings, not pixels. `fingerprint(argument)` is a text
over everything that decides the result (settings, names, sizes and times of the input files). It is computed where
the task runs.

Each plate becomes `folder / name_on_disk(plate)` in one piece, with a `done.json` that holds its fingerprint. A call
over a folder where some plates lie already with the same fingerprint leaves them alone, so a stopped call is resumed
by calling again. An error of the user's in one plate (`DsslBioError`) is reported and the other plates go on.

On a cluster (`scheduler` is a Dask address such as tcp://host:8786) `folder` must lie on a disk that all workers see.
A worker that dies takes nothing with it: its plates are done again by the others.
"""

import hashlib
import multiprocessing
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from json import JSONDecodeError, loads
from pathlib import Path
from typing import Any

from dssl_bio.artefact import write_json, written_whole
from dssl_bio.errors import DsslBioError
from dssl_bio.processes import interruption_left_to_parent, script_not_run_again

DONE = "done.json"
TRIES = 3
"""A plate whose process was killed so often is given up; most often it needs more memory than there is."""
AHEAD = 2
"""Plates handed out for each process: the one at work and the next."""
CONNECT_S = 30

Task = Callable[[Any, Path], None]
Fingerprint = Callable[[Any], str]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PlateJob:
    """A plate and what the task is told about it."""

    plate: str
    argument: Any


@dataclass(frozen=True)
class PlatesDone:
    """What became of the plates, in the order of the jobs.

    Attributes:
        folders: plate -> its complete folder.
        kept: plates that an earlier call had done.
        failed: plate -> why nothing was written.
    """

    folders: dict[str, Path] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Outcome:
    kept: bool = False
    problem: str = ""


def by_plate(task: Task, jobs: Iterable[PlateJob], folder: Path, *, fingerprint: Fingerprint, n_plates: int = 0,
             workers: int = 1, scheduler: str | None = None, progress: Progress | None = None) -> PlatesDone:
    """Runs a task once for every plate that is not done yet.

    Args:
        task: writes one plate's results into a new folder.
        jobs: plates; their names differ.
        folder: where the plates' folders lie; made when it is not there.
        fingerprint: what decides a plate's results, as a text.
        n_plates: how many jobs there are, for `progress`.
        workers: processes on this machine; 1 works in this process.
        scheduler: address of a Dask scheduler, in place of processes on this machine.
        progress: called with (plates done, n_plates).

    Raises:
        DsslBioError: the cluster cannot be reached, Dask is not installed, or `workers` is not positive.
    """
    if workers < 1:
        raise DsslBioError(f"--workers must be at least 1, got {workers}")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    order: list[str] = []
    outcomes: dict[str, _Outcome] = {}
    call = _Call(task, fingerprint, folder)
    results = _on_cluster(call, _listed(jobs, order), scheduler) if scheduler else (
        _in_processes(call, _listed(jobs, order), workers) if workers > 1 else _here(call, _listed(jobs, order)))
    for plate, outcome in results:
        outcomes[plate] = outcome
        if progress is not None:
            progress(len(outcomes), n_plates)
    _remove_leftovers(folder)
    done = PlatesDone()
    for plate in order:
        if outcomes[plate].problem:
            done.failed[plate] = outcomes[plate].problem
        else:
            done.folders[plate] = folder / name_on_disk(plate)
        if outcomes[plate].kept:
            done.kept.append(plate)
    return done


def name_on_disk(plate: str) -> str:
    """A folder name for any plate: what may stand in a file name is kept, eight characters tell the rest apart."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", plate)[:40].strip("_") or "plate"
    return f"{readable}-{hashlib.sha256(plate.encode()).hexdigest()[:8]}"


def is_done(folder: Path, mark: str) -> bool:
    """Whether a plate's folder is complete and was made under this fingerprint."""
    try:
        return bool(loads((folder / DONE).read_text(encoding="utf-8"))["fingerprint"] == mark)
    except (OSError, JSONDecodeError, KeyError, TypeError):
        return False


@dataclass(frozen=True)
class _Call:
    """One plate's work; travels to the process that does it."""

    task: Task
    fingerprint: Fingerprint
    folder: Path

    def __call__(self, job: PlateJob) -> _Outcome:
        if not self.folder.is_dir():
            return _Outcome(problem=f"{self.folder} is not there on the machine that does the work; "
                                    "a cluster needs a disk that all of its workers see")
        place = self.folder / name_on_disk(job.plate)
        try:
            mark = self.fingerprint(job.argument)
            if is_done(place, mark):
                return _Outcome(kept=True)
            with written_whole(place) as work:
                work.mkdir()
                self.task(job.argument, work)
                write_json(work / DONE, {"plate": job.plate, "fingerprint": mark})
        except DsslBioError as problem:
            return _Outcome(problem=str(problem))
        return _Outcome()


def _listed(jobs: Iterable[PlateJob], order: list[str]) -> Iterator[PlateJob]:
    seen: set[str] = set()
    for job in jobs:
        if job.plate in seen:
            raise ValueError(f"two jobs for plate {job.plate!r}")
        seen.add(job.plate)
        order.append(job.plate)
        yield job


def _here(call: _Call, jobs: Iterator[PlateJob]) -> Iterator[tuple[str, _Outcome]]:
    for job in jobs:
        yield job.plate, call(job)


def _in_processes(call: _Call, jobs: Iterator[PlateJob], workers: int) -> Iterator[tuple[str, _Outcome]]:
    """A pool that a killed process breaks is replaced, and what was under way is done again."""
    again: deque[PlateJob] = deque()
    tries: dict[str, int] = {}
    more = True
    while more or again:
        under_way: dict[Future[_Outcome], PlateJob] = {}
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
        try:
            while True:
                while len(under_way) < AHEAD * workers and (job := again.popleft() if again else next(jobs, None)):
                    tries[job.plate] = tries.get(job.plate, 0) + 1
                    with interruption_left_to_parent(), script_not_run_again():
                        under_way[pool.submit(call, job)] = job
                if not under_way:
                    more = False
                    break
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    outcome = future.result()
                    yield under_way.pop(future).plate, outcome
        except BrokenProcessPool:
            for job in under_way.values():
                if tries[job.plate] < TRIES:
                    again.append(job)
                else:
                    yield job.plate, _Outcome(problem=f"its process was killed {TRIES} times, most often for lack of "
                                                      "memory; try again with fewer --workers")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _on_cluster(call: _Call, jobs: Iterator[PlateJob], address: str) -> Iterator[tuple[str, _Outcome]]:
    """Plates are handed out as workers ask for them; Dask repeats those of a worker that was lost."""
    try:
        import distributed
    except ImportError as cause:
        raise DsslBioError("--scheduler needs Dask: pip install 'dssl-bio[scale]'") from cause
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as cause:
        raise DsslBioError(f"no Dask scheduler answers at {address}: {cause}") from cause
    with client:
        under_way: dict[Any, PlateJob] = {}
        waiting = distributed.as_completed(loop=client.loop)
        while True:
            room = AHEAD * max(1, sum(client.nthreads().values()))
            while len(under_way) < room and (job := next(jobs, None)):
                future = client.submit(call, job, pure=False, retries=TRIES - 1)
                under_way[future] = job
                waiting.add(future)
            if not under_way:
                return
            future = next(waiting)
            job = under_way.pop(future)
            try:
                yield job.plate, future.result()
            except distributed.KilledWorker:
                yield job.plate, _Outcome(problem="the workers that it was given to were lost one after the other, "
                                                  "most often for lack of memory")


def _remove_leftovers(folder: Path) -> None:
    """What killed processes left half done; complete plates never begin with a dot."""
    for path in folder.glob(".*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
