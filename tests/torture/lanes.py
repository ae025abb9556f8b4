"""Processes for cases: each act in one of its own, forked from one that has everything loaded and runs nothing."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import sys
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import configure_mappers

from infra.sandbox.host import Host, sandbox_host
from models.errors import ConsignError
from tests.torture.miniature import CODE, ROWS, Cluster, Ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POSTGRES: Final = "TORTURE_POSTGRES"
"""Names the URL of a PostgreSQL database from which others may be made; without it the store is SQLite."""
LIMIT_SECONDS: Final = 120.0
"""No act of a case takes so long: what does hangs, and is a failure."""
KILLED: Final = -int(signal.SIGKILL)


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal), what it answered, and what error came out of it."""

    code: int
    answer: Any = None
    error: str = ""
    retryable: bool = True

    @property
    def well(self) -> bool:
        """It came to its end without an error."""
        return self.code == 0 and not self.error


@dataclass
class Child:
    """A process that was forked to do one thing."""

    pid: int
    _pipe: int

    def wait(self, limit: float = LIMIT_SECONDS) -> Ended:
        """How it ended. One that hangs is killed, and its code is that of a SIGALRM."""
        told, until = b"", time.monotonic() + limit
        while (left := until - time.monotonic()) > 0:
            if select.select([self._pipe], [], [], left)[0]:
                block = os.read(self._pipe, 1 << 16)
                if not block:
                    break
                told += block
        hung = left <= 0
        if hung:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._pipe)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if hung:
            return Ended(-int(signal.SIGALRM), error="hangs")
        return Ended(code, **json.loads(told)) if told else Ended(code, error="" if code == KILLED else "said nothing")

    def wait_stopped(self) -> bool:
        """True where it has stopped itself; False where it has ended."""
        told = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return told is not None and told.si_code == os.CLD_STOPPED

    def go_on(self) -> None:
        """It goes on where it stopped."""
        os.kill(self.pid, signal.SIGCONT)


def forked(act: Callable[[], Any]) -> Child:
    """A process that does this and answers with what it returns, or with the error that came out."""
    read, write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(write)
        return Child(pid, read)
    code = 1
    try:
        os.close(read)
        said: dict[str, Any] = {}
        try:
            said["answer"] = act()
        except ConsignError as error:
            said.update(error=type(error).__name__, retryable=error.retryable)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told, and this process ends
            said.update(error=f"{type(error).__name__}: {error}", retryable=False)
            traceback.print_exc()
        with os.fdopen(write, "w") as pipe:
            json.dump(said, pipe)
        code = 0
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def done(act: Callable[[], Any]) -> Ended:
    """How a process of its own ended that did this."""
    return forked(act).wait()


@contextmanager
def laid(base: Path, rows: int = ROWS) -> Iterator[tuple[Ground, Host]]:
    """A built world below `base` with its server running."""
    configure_mappers()  # once here, and not in every process that is forked
    admin = os.environ.get(POSTGRES)
    cluster = Cluster(admin, f"torture_{secrets.token_hex(4)}") if admin else None
    ground = Ground(base / "home", base / "kept", rows, cluster=cluster)
    with sandbox_host(ground.home / "agencies", [CODE]) as host:
        built = done(lambda: ground.build(host))
        if not built.well:
            message = f"the world cannot be built: {built.error}"
            raise RuntimeError(message)
        yield ground, host
