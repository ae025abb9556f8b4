"""A bound on every wait: paramiko's own time-outs notice neither a silent peer nor a send that blocks in the socket."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Watchdog:
    """Calls `bite` once when, while guarded, nothing moved for the time allowed; `bit` then stays true.

    `bite` runs in the watchdog's own thread and must free whoever waits (it closes the connection).
    """

    def __init__(self, bite: Callable[[], None]) -> None:
        self.bit = False
        self._bite = bite
        self._deadline: float | None = None
        self._limit = 0.0
        self._until = float("inf")
        self._wakes_at = float("inf")
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._watch, name="drop-watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def within(self, limit: float) -> Iterator[None]:
        """What is guarded within it must be over in `limit` seconds, whatever moves."""
        self._until = time.monotonic() + limit
        try:
            yield
        finally:
            self._until = float("inf")

    @contextmanager
    def guard(self, limit: float) -> Iterator[None]:
        """Within it, something must move every `limit` seconds."""
        with self._changed:
            self._limit = limit
            self._deadline = min(time.monotonic() + limit, self._until)
            if self._deadline < self._wakes_at:  # otherwise it looks in time by itself, and waking it costs
                self._changed.notify()
        try:
            yield
        finally:
            self._deadline = None

    def moved(self) -> None:
        """Something moved: the time starts anew. Cheap enough to call for every packet."""
        self._deadline = min(time.monotonic() + self._limit, self._until)

    def stop(self) -> None:
        """Watch no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped:
                deadline = self._deadline
                if deadline is not None and deadline <= time.monotonic():
                    break
                self._wakes_at = deadline if deadline is not None else float("inf")
                self._changed.wait(None if deadline is None else deadline - time.monotonic())
        if not self._stopped:
            self.bit = True
            self._bite()
