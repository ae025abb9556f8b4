"""The console listening: uvicorn in a thread of this process, ended with the block; in several: console.web.crew."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from console.web.app import create_app
from console.web.turns import InTurn
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from infra.wiring import Desk

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10
WORKER_SECONDS: Final = 30.0
"""A job may end; one that does not is killed, and taken up again the next time."""
SWITCH_SECONDS: Final = 0.001
"""How long a thread keeps the interpreter while others wait. Every row that SQLite hands over lets go of it, and waits
so long to have it again while another request's page is written: Python's own 5 ms is more than most pages take."""


class ConsoleFailed(ConfigurationError):
    """The console could not listen, or has ended by itself."""


@dataclass
class Running:
    """A console that answers."""

    url: str
    _ended: threading.Event
    """not the thread itself: a join that Ctrl-C interrupts takes the thread for ended (bpo-45274)"""

    def wait(self, asked: threading.Event) -> None:
        """Return when we are asked to stop. Raises ConsoleFailed if the console ends by itself."""
        while not asked.wait(0.5):
            if self._ended.is_set():
                raise ConsoleFailed("the console ended by itself", fix="see home/logs/consign.log, and start it again")


@contextmanager
def worker(desk: Desk) -> Iterator[None]:
    """A process that runs the jobs, in the block; it ends with us, however that happens."""
    with desk.folder("logs").joinpath("jobs.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.jobs"],
            stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, env=environment_of(desk),
        )  # fmt: skip
    try:
        yield
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(WORKER_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment_of(desk: Desk) -> dict[str, str]:
    """What a process that we start finds its home by."""
    return {**os.environ, "CONSIGN_HOME": str(desk.settings.home.resolve())}


@contextmanager
def served(desk: Desk, port: int) -> Iterator[Running]:
    """The console answers in the block, in this process. Raises ConsoleFailed where the port is taken."""
    settings = desk.settings
    server = uvicorn.Server(configured(application(desk), desk))
    listening = listening_at(settings.web_host, port)
    ended = threading.Event()

    def run() -> None:
        try:
            server.run([listening])
        finally:
            ended.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    threading.Thread(target=run, name="console", daemon=True).start()
    try:
        await_that(lambda: server.started, ended.is_set)
        yield Running(url_of(desk, listening), ended)
    finally:
        sys.setswitchinterval(before)
        server.should_exit = True
        if ended.wait(STOP_SECONDS + 5):
            listening.close()


def application(desk: Desk) -> ASGIApp:
    """The application as people ask it: one page at a time."""
    return InTurn(create_app(desk))


def configured(app: ASGIApp, desk: Desk, **more: Any) -> uvicorn.Config:
    """The application as it is served, whatever process it is in."""
    return uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=75, proxy_headers=bool(desk.settings.web_url), forwarded_allow_ips=None, lifespan="off",
        **more,
    )  # fmt: skip


def listening_at(host: str, port: int) -> socket.socket:
    """A socket that takes connections in. Raises ConsoleFailed where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise ConsoleFailed(
            f"nothing can listen at {host}:{port}: {error.strerror}", fix="set web_port to another one, or 0 for any"
        ) from None
    made.listen(128)
    return made


def url_of(desk: Desk, listening: socket.socket) -> str:
    """How people reach what listens there."""
    host, taken = listening.getsockname()[:2]
    return desk.settings.web_url or f"http://{host}:{taken}"


def await_that(has_begun: Callable[[], bool], has_ended: Callable[[], bool]) -> None:
    """Return once it has begun. Raises ConsoleFailed where it ends before, or takes too long."""
    until = time.monotonic() + START_SECONDS
    while not has_begun():
        if has_ended() or time.monotonic() > until:
            raise ConsoleFailed("the console did not start", fix="see home/logs/consign.log")
        time.sleep(0.02)
