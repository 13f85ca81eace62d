"""How worker processes start: they do not hear Ctrl-C, and they do not run the caller's script again."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def interruption_left_to_parent() -> Iterator[None]:
    """Processes that are started inside do not see Ctrl-C, from their first instruction on.

    A terminal sends it to the whole group, and a process that is still loading would answer with a traceback. They
    inherit the mask of the thread that starts them; that thread gets its Ctrl-C when the block ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def script_not_run_again() -> Iterator[None]:
    """Processes that are spawned inside do not execute the caller's main script.

    By default a spawned process first runs the file of `__main__`. Below Streamlit that is a page, which cannot run
    outside a session, and in a script without the usual guard it starts the work anew. Ours need only what they import.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
