"""Figures that take long to count, kept for a while: a page shows them with the time at which they were true.

How long depends on what they cost: what took a millisecond is counted anew at once, what took a second a minute later.
What took long and is a little old is shown as it is, and counted anew behind the page, so that nobody waits for it.

A figure that is given its `kind` is kept in home/figures too, for the other processes that answer and for the next
start: counts and sums, never a debtor's values. One process at a time counts it; a file cannot be held by a bulk load,
as the store can.
"""

from __future__ import annotations

import fcntl
import hashlib
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from pydantic import TypeAdapter

from infra.journaling import journal

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from pathlib import Path

    from infra.wiring import Desk

T = TypeVar("T")

WORTH: Final = 60.0
"""Seconds that a figure is kept for each second that it took."""
WORTH_A_FILE: Final = 0.1
"""Seconds; what takes less each process counts for itself."""
LONG: Final = 0.5
"""Seconds that nobody is kept waiting for, where there was a figure before."""
SHORT: Final = 0.02
"""Nor for so many, where the figure was good as long ago as it was good: a page that is looked at all the time."""
TOO_OLD: Final = 3_600.0
"""Seconds since a figure stopped being good; whoever asks for it then waits for a new one."""
GONE_AFTER: Final = 2 * 24 * 3_600.0
"""Seconds since its file was written: many figures are of one day."""
AT_MOST: Final = 1_000
"""Figures kept at a time; then the oldest go."""


@dataclass(frozen=True)
class Figure(Generic[T]):
    """What was counted, and when."""

    value: T
    at: datetime
    good_until: float
    """by the machine's clock, in seconds"""
    took: float
    """seconds"""

    @property
    def is_good(self) -> bool:
        """Whether nobody needs to count it."""
        return time.time() < self.good_until

    @property
    def will_do(self) -> bool:
        """Whether it may be shown while it is counted anew."""
        if self.took < SHORT:
            return False
        return time.time() < self.good_until + (TOO_OLD if self.took >= LONG else WORTH * self.took)


class Remembered:
    """Figures by what they are of; each is counted by one thread at a time, and others get the one before."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Figure[object]] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        self._mutex = threading.Lock()

    def find(self, desk: Desk, key: Hashable, kind: object = None) -> Figure[Any] | None:
        """The figure, if it was ever counted, however old. kind: as `count` is given it."""
        known = self._kept.get(_whole(desk, key))
        if kind is None or (known is not None and known.is_good):
            return known
        kept = _read(_file(desk, key), kind)
        if kept is not None and (known is None or kept.good_until > known.good_until):
            self._keep(_whole(desk, key), kept)
            return kept
        return known

    def count(self, desk: Desk, key: Hashable, make: Callable[[], T], kind: object = None) -> Figure[T]:
        """The figure, counted now unless it is still good or somebody else is counting it.

        kind: the type of what `make` returns, plain enough for JSON; None: the figure is this process's alone.
        """
        known = cast("Figure[T] | None", self.find(desk, key, kind))
        if known is not None and known.is_good:
            return known
        if known is not None and known.will_do:
            self._count_behind(desk, key, make, kind)
            return known
        with self._mutex:
            lock = self._locks.setdefault(_whole(desk, key), threading.Lock())
        if not lock.acquire(blocking=known is None):
            assert known is not None  # noqa: S101 - who has nothing waits
            return known
        try:
            return self._counted(desk, key, make, kind, known)
        finally:
            lock.release()

    def _count_behind(self, desk: Desk, key: Hashable, make: Callable[[], T], kind: object) -> None:
        """Somebody counts it, once: nobody waits for that."""
        with self._mutex:
            lock = self._locks.setdefault(_whole(desk, key), threading.Lock())
        if not lock.acquire(blocking=False):
            return

        def work() -> None:
            try:
                self._counted(desk, key, make, kind, self.find(desk, key))
            except Exception as error:  # noqa: BLE001 - nobody waits for it; whoever asks next counts and is told
                journal("web").error("a figure could not be counted", exc_info=error)
            finally:
                lock.release()

        threading.Thread(target=work, name="figure", daemon=True).start()

    def _counted(
        self, desk: Desk, key: Hashable, make: Callable[[], T], kind: object, known: Figure[T] | None
    ) -> Figure[T]:
        """The figure, counted unless somebody did while we waited for our turn."""
        with _turn(_file(desk, key) if kind is not None else None, waits=known is None) as ours:
            other = cast("Figure[T] | None", self.find(desk, key, kind))
            if other is not None and (not ours or (other is not known and other.is_good)):
                return other
            began, at = time.monotonic(), desk.now()
            value = make()
            took = time.monotonic() - began
            made = Figure(value, at, time.time() + WORTH * took, took)
            self._keep(_whole(desk, key), cast("Figure[object]", made))
            if kind is not None and took >= WORTH_A_FILE:
                _write(_file(desk, key), made, kind)
            return made

    def _keep(self, whole: Hashable, made: Figure[object]) -> None:
        with self._mutex:
            self._kept.pop(whole, None)
            self._kept[whole] = made
            while len(self._kept) > AT_MOST:
                oldest = next(iter(self._kept))
                del self._kept[oldest]
                self._locks.pop(oldest, None)


FIGURES: Final = Remembered()
"""Those of this process."""


def _whole(desk: Desk, key: Hashable) -> Hashable:
    return (str(desk.database.url), key)


# --- figures that several processes share -----------------------------------------------------------------------------


@cache
def _shape(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(Figure[kind])


def _file(desk: Desk, key: Hashable) -> Path:
    return desk.folder("figures") / f"{hashlib.sha256(repr(_whole(desk, key)).encode()).hexdigest()[:32]}.json"


def _read(path: Path, kind: object) -> Figure[Any] | None:
    """The figure in the file; None where there is none, or another version of us wrote it."""
    with suppress(OSError, ValueError):
        return cast("Figure[Any]", _shape(kind).validate_json(path.read_bytes()))
    return None


def _write(path: Path, made: Figure[Any], kind: object) -> None:
    """The figure is in the file, whole or not at all. A full disk keeps nobody from a page.

    What would not come back as it went is left in this process alone.
    """
    with suppress(OSError, ValueError):
        told = _shape(kind).dump_json(made)
        if _shape(kind).validate_json(told) != made:
            return
        beside = path.with_suffix(".new")
        beside.write_bytes(told)
        beside.replace(path)
        for old in path.parent.iterdir():
            if time.time() - old.stat().st_mtime > GONE_AFTER:
                old.unlink(missing_ok=True)


@contextmanager
def _turn(path: Path | None, *, waits: bool) -> Iterator[bool]:
    """Whether it is ours to count, in the block: one process counts at a time; who waits gets its turn in the end."""
    if path is None:
        yield True
        return
    with path.with_suffix(".turn").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except OSError:
            yield False
            return
        yield True
