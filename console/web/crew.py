"""The console in several processes: one of them takes connections in, the others answer.

Python runs one thread of a process at a time, so that a second processor is of use to a second process alone. Whoever
starts the crew accepts every connection and hands it to the process that has the fewest: processes that accept from one
socket take whatever comes first, and three quarters of a morning's browsers may end up at one of them.

Nothing that a request decides by is kept in a process: sessions, failures to sign in, figures and jobs are rows of the
store. What each process counts of its requests lies in a file of its own that /metrics adds up (console.web.metrics).
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from console.web import serving
from console.web.metrics import SHARED
from infra.journaling import journal, open_journal
from infra.store import schema
from infra.wiring import desk

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from infra.wiring import Desk

PROGRAM: Final = (sys.executable, "-m", "console.web.crew")
READY, CLOSED, CONNECTION = b"r", b"c", b"n"
"""What goes over a channel: a process answers, one of its connections has ended; and, to it, one more connection."""
LOOK_EVERY: Final = 0.5
"""Seconds between two looks at whether everybody lives."""
TRIES: Final = 5
"""So often in a row a process may end before it has answered once; then something is wrong with the installation."""


@dataclass
class Member:
    """A process that answers, and the channel to it."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    is_ready: bool = False
    connections: int = 0

    def hear(self) -> None:
        """Take in what the process has said since."""
        with suppress(OSError):  # nothing more was said, or nobody is there to say it
            while said := self.channel.recv(1):
                self.is_ready = self.is_ready or said == READY
                self.connections -= said == CLOSED

    def give(self, connection: socket.socket) -> bool:
        """Hand the connection over; false where the process does not take it."""
        try:
            socket.send_fds(self.channel, [CONNECTION], [connection.fileno()])
        except OSError:  # a full channel, or nobody at its other end
            return False
        self.connections += 1
        return True

    def end(self) -> None:
        """The process finishes what it is at, and has ended."""
        self.channel.close()
        try:
            self.process.wait(serving.STOP_SECONDS + 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Crew:
    """Processes that answer, and the socket that they are given connections of."""

    desk: Desk
    listening: socket.socket
    count: int
    metrics: str
    """where the processes keep what they count"""
    program: Sequence[str] = PROGRAM
    members: list[Member] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    _fruitless: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether every process answers."""
        return len(self.members) == self.count and all(member.is_ready for member in self.members)

    def run(self) -> None:
        """Hand connections out, and start again whatever ends, until it is over."""
        try:
            self.members = [self._started() for _ in range(self.count)]
            self.listening.settimeout(LOOK_EVERY)
            while not self.over.is_set() and self._fruitless < TRIES:
                with suppress(TimeoutError):
                    connection, _ = self.listening.accept()
                    with connection:
                        self._hand_out(connection)
                self._look_after()
        finally:
            self.ended.set()
            self.listening.close()
            for member in self.members:
                member.channel.close()  # all of them at once, then each is waited for
            for member in self.members:
                member.end()

    def _hand_out(self, connection: socket.socket) -> None:
        """Whoever has the fewest gets it; where nobody takes it, the browser finds the connection closed."""
        while not self.over.is_set() and self._fruitless < TRIES:
            for member in self.members:
                member.hear()
            ready = sorted((one for one in self.members if one.is_ready), key=lambda one: one.connections)
            if any(member.give(connection) for member in ready):
                return
            self._look_after()
            time.sleep(0.05)

    def _look_after(self) -> None:
        """Whoever has ended is started again."""
        for place, member in enumerate(self.members):
            member.hear()
            if (status := member.process.poll()) is None:
                continue
            member.channel.close()
            self._fruitless = 0 if member.is_ready else self._fruitless + 1
            journal("web").error("a process of the console ended and is started again", status=status)
            self.members[place] = self._started()

    def _started(self) -> Member:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            process = subprocess.Popen(
                [*self.program, str(theirs.fileno())],
                stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
                env={**serving.environment_of(self.desk), SHARED: self.metrics},
            )  # fmt: skip
        return Member(process, ours)


def console(desk: Desk, port: int) -> AbstractContextManager[serving.Running]:
    """The console answers in the block, by as many processes as the setting `web_processes` says."""
    open_journal(desk.settings.home)
    schema.ensure(desk.database)
    desk.database.look_at_tables()
    count = desk.settings.web_processes
    return serving.served(desk, port) if count == 1 else served_by_crew(desk, port, count)


@contextmanager
def served_by_crew(desk: Desk, port: int, count: int, program: Sequence[str] = PROGRAM) -> Iterator[serving.Running]:
    """The console answers in the block, in so many processes. Raises ConsoleFailed where the port is taken."""
    listening = serving.listening_at(desk.settings.web_host, port)
    with tempfile.TemporaryDirectory(prefix="consign-metrics-") as folder:
        crew = Crew(desk, listening, count, folder, program)
        thread = threading.Thread(target=crew.run, name="crew", daemon=True)
        thread.start()
        try:
            serving.await_that(lambda: crew.is_ready, crew.ended.is_set)
            yield serving.Running(serving.url_of(desk, listening), crew.ended)
        finally:
            crew.over.set()
            thread.join(serving.STOP_SECONDS + 10)


# --- in a process of the crew -----------------------------------------------------------------------------------------


class _Answering(uvicorn.Server):
    """A server that is handed its connections."""

    def __init__(self, app: ASGIApp, desk: Desk, channel: socket.socket) -> None:
        super().__init__(serving.configured(app, desk, http=_telling(channel)))
        self.channel = channel

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen to the channel, and say so."""
        await super().startup(sockets=sockets)
        self.channel.setblocking(False)
        asyncio.get_running_loop().add_reader(self.channel, self._hear)
        with suppress(OSError):  # nobody waits for us any more: the channel says so
            self.channel.send(READY)

    def _hear(self) -> None:
        """One more connection; or the channel has ended, and so do we."""
        try:
            said, given, _flags, _address = socket.recv_fds(self.channel, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            said, given = b"", []
        if not said:
            asyncio.get_running_loop().remove_reader(self.channel)
            self.should_exit = True
        for descriptor in given:
            connection = socket.socket(fileno=descriptor)
            connection.setblocking(False)
            task = asyncio.ensure_future(self._take(connection))
            self.server_state.tasks.add(task)
            task.add_done_callback(self.server_state.tasks.discard)

    async def _take(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(
            lambda: cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            ),
            connection,
        )


def _telling(channel: socket.socket) -> type[asyncio.Protocol]:
    """The protocol of uvicorn's choice, which says over the channel that a connection has ended."""

    class Telling(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # whichever uvicorn has chosen
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            with suppress(OSError):  # nobody is left who counts
                channel.send(CLOSED)

    return Telling


def answer(desk: Desk, channel: socket.socket, make: Callable[[Desk], Any] = serving.application) -> None:
    """Answer what comes over the channel, until its other end is closed."""
    sys.setswitchinterval(serving.SWITCH_SECONDS)
    _Answering(make(desk), desk, channel).run([])


def main() -> int:
    """A process of the crew; its channel is the descriptor that it is given."""
    at = desk()
    open_journal(at.settings.home)
    answer(at, socket.socket(fileno=int(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
