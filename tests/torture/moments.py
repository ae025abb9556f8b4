"""The moments at which a process may die, found by running it: nobody has to remember to list them.

A moment is the begin, the eve or the morrow of a transaction's commit, the opening of a file for writing, a rename or a
removal, the begin and the end of every act on a drop, and every request sent to a server and every answer had from it.
Each is named by what happens and by the place in the product where it happens. This process is made to count them, to
die at one of them (SIGKILL), or to stop there (SIGSTOP) until somebody lets it go on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event

from connectors.drops import channel
from connectors.drops.acts import Acts
from connectors.drops.folder import FolderDrop
from connectors.drops.sftp import SftpDrop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from infra.wiring import Desk

ROOMS: Final = ("flows", "infra", "connectors", "keys", "models")
PASSED_OVER: Final = ("infra/store/", "infra/wiring", "infra/workers.py:_renew", "connectors/drops/channel")
"""Code that many places share: a moment is named by who uses it."""
WORKING: Final = ("MainThread", "ThreadPoolExecutor")
WRITES: Final = os.O_WRONLY | os.O_RDWR
ACTS: Final = sorted(Acts.__abstractmethods__ - {"close", "probe"})
TALKS: Final = ("_ask", "_answer")
"""What the wire's protocol is spoken with, where the channel has them."""


@dataclass
class Moments:
    """Counts moments; at number `at` the process dies or stops. Names are kept where `names` is given."""

    at: int = 0
    signal: signal.Signals = signal.SIGKILL
    names: list[str] | None = None
    passed: int = 0
    watching: bool = False

    def passing(self, what: str) -> None:
        """A moment has come. Other threads (a lease being renewed) have none: when they come is chance."""
        if not self.watching or not threading.current_thread().name.startswith(WORKING):
            return
        self.passed += 1
        if self.names is not None:
            self.names.append(f"{what} @ {place()}")
        if self.passed == self.at:
            os.kill(os.getpid(), self.signal)

    def watch(self, desk: Desk) -> None:
        """From now on, in this process, for good."""
        self._watch_store(desk)
        sys.addaudithook(self._heard)
        for kind in (SftpDrop, FolderDrop):
            for act in ACTS:
                setattr(kind, act, self._around(act, getattr(kind, act)))
        for talk in TALKS:
            if spoken := getattr(channel.Sftp, talk, None):
                setattr(channel.Sftp, talk, self._around(talk, spoken))
        self.watching = True

    def _watch_store(self, desk: Desk) -> None:
        engine = desk.database.engine
        event.listen(engine, "begin", lambda *_: self.passing("begin"))
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            self.passing("before commit")
            commit(connection)
            self.passing("after commit")

        engine.dialect.do_commit = do_commit  # type: ignore[assignment, method-assign]  # here alone both sides are seen

    def _heard(self, name: str, given: tuple[Any, ...]) -> None:
        if name == "open":
            path, mode, flags = given
            if isinstance(path, str) and "/proc/" not in path and (flags or 0) & WRITES:
                self.passing("file opened" if mode is None or "w" in str(mode) else "file opened anew")
        elif name == "os.rename":
            self.passing("file renamed")
        elif name == "os.remove":
            self.passing("file removed")

    def _around(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        if name == "_read":

            @wraps(act)
            def reading(*given: Any) -> Iterator[Any]:
                self.passing(f"before {name}")
                for block in act(*given):
                    self.passing(f"within {name}")
                    yield block
                self.passing(f"after {name}")

            return reading

        @wraps(act)
        def around(*given: Any) -> Any:
            self.passing(f"before {name}")
            answer = act(*given)
            self.passing(f"after {name}")
            return answer

        return around


def place() -> str:
    """`infra/outbox.py:deliver`: the innermost of the product's own functions at work, shared code passed over."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        for room in ROOMS:
            if (at := name.rfind(f"/{room}/")) >= 0:
                told = f"{name[at + 1 :]}:{frame.f_code.co_qualname}"
                if not told.startswith(PASSED_OVER):
                    return told
        frame = frame.f_back
    return "elsewhere"
