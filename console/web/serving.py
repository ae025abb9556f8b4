"""The console listening: uvicorn in a thread of this process, ended with the block."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvicorn

from console.web.app import create_app
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from infra.wiring import Desk

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10
WORKER_SECONDS: Final = 30.0
"""A job may end; one that does not is killed, and taken up again the next time."""


class ConsoleFailed(ConfigurationError):
    """The console could not listen, or has ended by itself."""


@dataclass
class Running:
    """A console that answers."""

    url: str
    _ended: threading.Event
    """not the thread itself: a join that Ctrl-C interrupts takes the thread for ended (bpo-45274)"""

    def wait(self) -> None:
        """Return at Ctrl-C. Raises ConsoleFailed if the console ends by itself."""
        with suppress(KeyboardInterrupt):
            while not self._ended.wait(0.5):
                pass
            raise ConsoleFailed("the console ended by itself", fix="see home/logs/consign.log, and start it again")


@contextmanager
def worker(desk: Desk) -> Iterator[None]:
    """A process that runs the jobs, in the block; it ends with us, however that happens."""
    with desk.folder("logs").joinpath("jobs.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.jobs"],
            stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "CONSIGN_HOME": str(desk.settings.home.resolve())},
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


@contextmanager
def served(desk: Desk, port: int) -> Iterator[Running]:
    """The console answers in the block. Raises ConsoleFailed where the port is taken."""
    settings = desk.settings
    app = create_app(desk)
    listening = _listening(settings.web_host, port)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=75, proxy_headers=bool(settings.web_url), forwarded_allow_ips=None, lifespan="off",
    )  # fmt: skip
    server = uvicorn.Server(config)
    ended = threading.Event()

    def run() -> None:
        try:
            server.run([listening])
        finally:
            ended.set()

    threading.Thread(target=run, name="console", daemon=True).start()
    try:
        _await(server, ended)
        host, taken = listening.getsockname()[:2]
        yield Running(settings.web_url or f"http://{host}:{taken}", ended)
    finally:
        server.should_exit = True
        if ended.wait(STOP_SECONDS + 5):
            listening.close()


def _listening(host: str, port: int) -> socket.socket:
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


def _await(server: uvicorn.Server, ended: threading.Event) -> None:
    until = time.monotonic() + START_SECONDS
    while not server.started:
        if ended.is_set() or time.monotonic() > until:
            raise ConsoleFailed("the console did not start", fix="see home/logs/consign.log")
        time.sleep(0.02)
