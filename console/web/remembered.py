"""Figures that take long to count, kept for a while: a page shows them with the time at which they were true.

How long depends on what they cost: what took a millisecond is counted anew at once, what took a second a minute later.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import datetime

    from infra.wiring import Desk

T = TypeVar("T")

WORTH: Final = 60.0
"""Seconds that a figure is kept for each second that it took."""
AT_MOST: Final = 1_000
"""Figures kept at a time; then the oldest go."""


@dataclass(frozen=True)
class Figure(Generic[T]):
    """What was counted, and when."""

    value: T
    at: datetime
    good_until: float
    """by the process's own clock"""


class Remembered:
    """Figures by what they are of; each is counted by one thread at a time, and others get the one before."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Figure[object]] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        self._mutex = threading.Lock()

    def find(self, desk: Desk, key: Hashable) -> Figure[Any] | None:
        """The figure, if it was ever counted, however old."""
        return self._kept.get((str(desk.database.url), key))

    def count(self, desk: Desk, key: Hashable, make: Callable[[], T]) -> Figure[T]:
        """The figure, counted now unless it is still good or somebody else is counting it."""
        whole = (str(desk.database.url), key)
        known = self.find(desk, key)
        if known is not None and time.monotonic() < known.good_until:
            return cast("Figure[T]", known)
        with self._mutex:
            lock = self._locks.setdefault(whole, threading.Lock())
        if not lock.acquire(blocking=known is None):
            assert known is not None  # noqa: S101 - who has nothing waits
            return cast("Figure[T]", known)
        try:
            other = self._kept.get(whole)
            if other is not known and other is not None:  # somebody counted while we waited
                return cast("Figure[T]", other)
            began = time.monotonic()
            value = make()
            ended = time.monotonic()
            made = Figure(value, desk.now(), ended + WORTH * (ended - began))
            with self._mutex:
                self._kept.pop(whole, None)
                self._kept[whole] = cast("Figure[object]", made)
                while len(self._kept) > AT_MOST:
                    oldest = next(iter(self._kept))
                    del self._kept[oldest]
                    self._locks.pop(oldest, None)
            return made
        finally:
            lock.release()


FIGURES: Final = Remembered()
"""Those of this process."""
