"""Standardisation of many texts in worker processes, with a time limit that even a hung RDKit call obeys."""

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, NamedTuple

import dssl_bio
from dssl_bio.chem.features import MoleculeFeatures, from_json
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import MoleculeError
from dssl_bio.processes import interruption_left_to_parent

TIME_LIMIT_S = 10.0
START_LIMIT_S = 120.0
TEXTS_PER_WORKER = 1_000
BATCH = 32
# Questions of at most this many bytes wait in the pipe (which holds 64 KB), so that neither side can block the other.
MAX_WAITING_BYTES = 30_000

Outcome = Molecule | MoleculeError


class Question(NamedTuple):
    """A text, and whether it is a SMILES or a record of an SDF file."""

    text: str
    form: Literal["smiles", "mol"] = "smiles"


class Featurized(NamedTuple):
    """A molecule with what the encoders read of it."""

    molecule: Molecule
    features: MoleculeFeatures


class Standardizer:
    """Worker processes that stay alive between calls; use it in a `with` statement.

    RDKit cannot be interrupted inside a process, so texts go to processes of their own; one that does not answer in
    time is killed, its text refused, and another takes its place.
    """

    def __init__(self, n_workers: int | None = None, time_limit_s: float = TIME_LIMIT_S):
        """Starts the processes without waiting for them.

        Args:
            n_workers: processes; one per core when absent.
            time_limit_s: seconds that one text may take.
        """
        self.n_workers = n_workers or os.cpu_count() or 1
        self._time_limit_s, self._stop = time_limit_s, threading.Event()
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._threads = ThreadPoolExecutor(self.n_workers)
        self._starting = [self._threads.submit(self._start_one) for _ in range(self.n_workers)]

    def __enter__(self) -> "Standardizer":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().end()

    def standardized(self, questions: Iterable[Question]) -> Iterator[Outcome]:
        """The molecule, or the error, of each question; in order, while few are held at once."""
        return self._answers(questions, None)

    def featurized(self, questions: Iterable[Question],
                   needs: frozenset[str]) -> Iterator[Featurized | MoleculeError]:
        """The molecule with features, or the error, of each question; in order, while few are held at once.

        Args:
            questions: of any number.
            needs: what the encoder reads, see `molecule_features`.
        """
        return self._answers(questions, sorted(needs))

    def _answers(self, questions: Iterable[Question], needs: list[str] | None) -> Iterator[Any]:
        stream, waiting = iter(questions), deque[Future[list[Any]]]()
        while True:
            while len(waiting) < 8 * self.n_workers and (batch := list(islice(stream, BATCH))):
                waiting.append(self._threads.submit(self._ask, batch, needs))
            if not waiting:
                return
            yield from waiting.popleft().result()

    def _start_one(self) -> None:
        self._idle.put(_Worker(self._time_limit_s, self._stop))

    def _ask(self, questions: Sequence[Question], needs: list[str] | None) -> list[Any]:
        for start in self._starting:
            if start.done():
                start.result()  # raises where a process did not start
        worker = self._idle.get()
        try:
            return worker.ask(questions, needs)
        finally:
            self._idle.put(worker)


def standardize_many(texts: Iterable[str], *, time_limit_s: float = TIME_LIMIT_S, n_workers: int | None = None,
                     progress: Callable[[int, int], None] = lambda done, total: None) -> dict[str, Outcome]:
    """Each distinct text with its molecule, or with the error that says why it is none.

    Args:
        texts: SMILES; repeated ones are standardised once.
        time_limit_s: seconds that one text may take.
        n_workers: processes; one per thousand texts by default, not more than there are cores.
        progress: called with (done, total).
    """
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    count = min(len(distinct), n_workers or min(os.cpu_count() or 1, 1 + len(distinct) // TEXTS_PER_WORKER))
    outcomes: dict[str, Outcome] = {}
    with Standardizer(count, time_limit_s) as pool:
        for text, outcome in zip(distinct, pool.standardized(map(Question, distinct)), strict=True):
            outcomes[text] = outcome
            progress(len(outcomes), len(distinct))
    return outcomes


class _Worker:
    """A process that answers lines of JSON, in order."""

    def __init__(self, time_limit_s: float, stop: threading.Event):
        self.time_limit_s, self.stop = time_limit_s, stop
        self._start()

    def ask(self, questions: Sequence[Question], needs: list[str] | None) -> list[Any]:
        """The worker's answers; an error where it gave none in time. Empty when nobody waits any more."""
        lines = [(json.dumps([form, text, needs]) + "\n").encode() for text, form in questions]
        answers: list[Any] = []
        asked, waiting_bytes, since = 0, 0, time.monotonic()
        while len(answers) < len(questions) and not self.stop.is_set():
            done = len(answers)
            try:
                while asked < len(lines) and (asked == done or waiting_bytes + len(lines[asked]) < MAX_WAITING_BYTES):
                    self._write(lines[asked])
                    waiting_bytes += len(lines[asked])
                    asked += 1
                line = self._read(since + self.time_limit_s - time.monotonic())
            except BrokenPipeError:
                line = b""
            if line:
                answers.append(_answer(json.loads(line)))
                waiting_bytes -= len(lines[done])
            else:
                crashed = time.monotonic() - since < self.time_limit_s
                what = "made RDKit crash" if crashed else f"took longer than {self.time_limit_s:g} s"
                answers.append(MoleculeError(f"{what}: {questions[done].text[:80]!r}"))
                self.end()
                if not self.stop.is_set():
                    self._start()
                asked, waiting_bytes = done + 1, 0
            since = time.monotonic()
        return answers

    def end(self) -> None:
        """Kills the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def _start(self) -> None:
        # The worker imports the same library as we do, installed or not.
        home = str(Path(dssl_bio.__file__).resolve().parents[1])
        path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
        with interruption_left_to_parent():
            self._process = subprocess.Popen([sys.executable, "-m", "dssl_bio.chem.standardize_worker"],
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             env={**os.environ, "PYTHONPATH": path})
        self._rest = b""
        if not self._read(START_LIMIT_S) and not self.stop.is_set():
            raise MoleculeError("the process that standardises molecules did not start")

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _read(self, limit_s: float) -> bytes:
        """One line, or nothing when the process ended, the time is over, or nobody waits any more."""
        assert self._process.stdout is not None
        number, deadline = self._process.stdout.fileno(), time.monotonic() + limit_s
        while b"\n" not in self._rest:
            if not select.select([number], [], [], 0.1)[0]:
                if self.stop.is_set() or time.monotonic() > deadline:
                    return b""
                continue
            piece = os.read(number, 65_536)
            if not piece:
                return b""
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def _answer(value: dict[str, Any]) -> Any:
    if "error" in value:
        return MoleculeError(value["error"])
    molecule = Molecule(value["smiles"], value["inchikey"], tuple(value["changes"]))
    return molecule if value["features"] is None else Featurized(molecule, from_json(value["features"]))
