"""Pages in turn: when many people ask in one second, a few pages are made at once and the others wait in order.

Pages made all together share one interpreter, so that all of them are ready only when the last one is. In turn, the
first is there as soon as it would be alone, the last no later, and everybody's mean wait is half.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = min(4, max(2, os.cpu_count() or 2))
PATIENCE_S = 5.0
"""A page that waited so long goes ahead: something slow, such as a layout of a large space, holds the others' turns."""


class Turns:
    """Lets through so many at once, the others first come, first served.

    A semaphore of the standard library does not do: one that comes just when a place is given back takes it before
    those who wait.
    """

    def __init__(self, at_once: int = AT_ONCE, patience_s: float = PATIENCE_S):
        self.patience_s = patience_s
        self._free, self._lock = at_once, threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Waits for a turn, and gives it on at the end; False for one whose patience ended first."""
        mine = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                mine.set()
            else:
                self._waiting.append(mine)
        given = mine.wait(self.patience_s)
        if not given:
            with self._lock:
                given = mine.is_set()  # given in the very moment in which the patience ended
                if not given:
                    self._waiting.remove(mine)
        try:
            yield given
        finally:
            if given:
                self._give_on()

    def _give_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
