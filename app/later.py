"""Work that a page or a request does not wait for: it begins when first asked for, and is there sooner or later."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

WAIT_S = 3.0
"""So long a page waits for what is usually there at once."""


class Later(Generic[T]):
    """A value that a thread makes once."""

    def __init__(self, make: Callable[[], T]):
        self._done = threading.Event()
        self._value: list[T] = []
        self._error: Exception | None = None
        threading.Thread(target=self._run, args=(make,), name="later", daemon=True).start()

    def value(self, wait_s: float = WAIT_S) -> T | None:
        """The value, None while it is not there yet.

        Raises:
            Exception: what making it raised.
        """
        if not self._done.wait(wait_s):
            return None
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _run(self, make: Callable[[], T]) -> None:
        try:
            self._value.append(make())
        except Exception as error:  # noqa: BLE001 - raised again for everybody who asks
            self._error = error
        finally:
            self._done.set()
