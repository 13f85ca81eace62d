"""Runs commands in forks of a process that has loaded everything, so that a test pays for loading once.

Each fork leads a process group of its own, as a command on a terminal does: Ctrl-C reaches its workers too.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Forks:
    """The loaded process; use it in a `with` statement."""

    def __enter__(self) -> "Forks":
        self._process = subprocess.Popen([sys.executable, "-m", "tests.pipelines.forked"], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, cwd=ROOT,
                                         env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert self._answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def run(self, words: list, log: Path, interrupt_after_s: float | None = None) -> tuple[int, float]:
        """Exit status and seconds of a command; SIGINT goes to its group after a while. What it prints is in `log`."""
        print(json.dumps([[str(word) for word in words], str(log)]), file=self._process.stdin, flush=True)
        group, start = self._answer(), time.monotonic()
        if interrupt_after_s is not None:
            time.sleep(interrupt_after_s)
            try:
                os.killpg(group, signal.SIGINT)
            except ProcessLookupError:
                pass
        return self._answer(), time.monotonic() - start

    def _answer(self) -> object:
        return json.loads(self._process.stdout.readline())


def main() -> None:
    import faiss  # noqa: F401
    import lightning  # noqa: F401
    import torch_geometric  # noqa: F401
    from typer.testing import CliRunner

    import dssl_bio.evaluation.protocols
    import dssl_bio.evaluation.report
    import dssl_bio.learning.fit
    import dssl_bio.retrieval.batch
    import dssl_bio.retrieval.build
    import dssl_bio.retrieval.output
    import dssl_bio.screens.ingest
    import dssl_bio.screens.simulate.simulation  # noqa: F401
    from pipelines.main import app
    from pipelines.main import main as command_line

    CliRunner().invoke(app, ["index", "--help"])  # loads the last of them
    gc.collect()
    gc.freeze()  # so that a fork does not copy what it never changes
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        words, log = json.loads(line)
        child = os.fork()
        if child == 0:
            os.setsid()
            # Behind a shell Ctrl-C is ignored, and that is inherited; a command on a terminal hears it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            sys.argv = ["dssl-bio", *words]
            status = 99
            try:
                command_line()
            except SystemExit as end:
                status = int(end.code or 0)
            sys.stdout.flush()
            os._exit(status)  # without taking apart the libraries, which takes longer than the command
        print(json.dumps(child), flush=True)
        print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])), flush=True)


if __name__ == "__main__":
    main()
