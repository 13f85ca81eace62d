"""What every command shares: options, progress, and how an error or an interruption reaches the user."""

import functools
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

OK, USER_ERROR, PARTIAL, INTERRUPTED = 0, 1, 2, 130

QUIET = typer.Option(False, "--quiet", "-q", help="Print nothing but errors.")
SEED = typer.Option(0, "--seed", min=0, help="Seed of everything random.")


def command(function: Callable[..., int | None]) -> Callable[..., None]:
    """A command whose errors are one line and whose return value is the exit status.

    Exit status: 0 ok, 1 an error the user can mend, 2 done with refused rows, 130 interrupted.
    """

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> None:
        from dssl_bio.errors import DsslBioError

        try:
            status = function(*args, **kwargs) or OK
        except DsslBioError as error:
            _say(f"error: {error}")
            status = USER_ERROR
        except KeyboardInterrupt:
            status = _interrupted()
        except SystemExit as stop:
            # Lightning answers Ctrl-C itself and leaves with status 1
            if not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            status = _interrupted()
        except OSError as error:
            _say(f"error: {_reason(error)}")
            status = USER_ERROR
        except MemoryError:
            _say("error: out of memory")
            status = USER_ERROR
        except Exception as error:
            from safetensors import SafetensorError  # its way to say that the disk is full; not an OSError

            if not isinstance(error, SafetensorError):
                raise
            _say(f"error: {error}")
            status = USER_ERROR
        raise typer.Exit(status)

    return guarded


def _interrupted() -> int:
    _say("interrupted; what was complete before this command is unchanged")
    return INTERRUPTED


def _reason(error: OSError) -> str:
    """What the system said, and of which file; the first of them where a whole folder could not be copied."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list) and error.args[0]:
        return str(error.args[0][0][-1])
    return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")


def reporter(quiet: bool) -> Callable[[str], None]:
    """Prints a line of progress, or nothing."""
    return (lambda _: None) if quiet else (lambda line: print(line, flush=True))


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on the terminal; gives the function that moves it to (done, total)."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Lines on a terminal pass above the bar; those that go to a file still go there.
    with Progress(*columns, console=Console(stderr=True), transient=True,
                  redirect_stdout=sys.stdout.isatty()) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
