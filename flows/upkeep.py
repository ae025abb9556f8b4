"""What `consign up` keeps up: the server, a worker beside it, and the order in which they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flows import serving
from flows.serving import ServerFailed

if TYPE_CHECKING:
    from infra.wiring import Desk

END_SECONDS: Final = 30.0
"""A worker lets its runs end; what does not end by then is killed, and taken up again the next time."""


@dataclass
class Ready:
    """A server and a worker that run; `wait` returns when somebody asks us to stop, or when one of them has ended."""

    page_url: str
    pid: int
    deployments: list[dict[str, Any]]
    _worker: subprocess.Popen[str]
    _asked: threading.Event

    def wait(self) -> None:
        """Return at SIGINT or SIGTERM. Raises ServerFailed if the worker ends by itself."""
        while not self._asked.wait(0.5):
            if self._worker.poll() is not None:
                raise ServerFailed("the worker ended by itself", fix="see home/logs/worker.log, and start it again")


@contextmanager
def up(desk: Desk, port: int) -> Iterator[Ready]:
    """A server and a worker in the block, both ended at its end, whatever ends it. Raises ServerFailed."""
    from infra.store import schema

    schema.ensure(desk.database)
    _ = desk.keyring  # without it no flow could run: better said now
    with asked_to_stop() as asked, serving.server(desk.settings, port) as api_url:
        worker = _started(desk, api_url)
        try:
            ready = Ready(api_url.removesuffix("/api"), os.getpid(), _registered(worker, api_url), worker, asked)
            asked.is_polite = True
            yield ready
        finally:
            _ended(worker)


class Asked(threading.Event):
    """Set when somebody asks us to stop; polite once we are up: before that, stopping interrupts the start."""

    is_polite = False


@contextmanager
def asked_to_stop() -> Iterator[Asked]:
    """SIGINT and SIGTERM ask to stop; asked again while stopping, they interrupt."""
    asked = Asked()

    def ask(_number: int, _frame: object) -> None:
        if asked.is_set() or not asked.is_polite:
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _started(desk: Desk, api_url: str) -> subprocess.Popen[str]:
    log = desk.folder("logs") / "worker.log"
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.working"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=descriptor,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we tell the worker by closing its input
            env={
                **os.environ,
                **serving.environment(desk.settings),
                "PREFECT_API_URL": api_url,
                "CONSIGN_HOME": str(desk.settings.home.resolve()),
            },
        )
    finally:
        os.close(descriptor)


def _registered(worker: subprocess.Popen[str], api_url: str) -> list[dict[str, Any]]:
    """The deployments with their next runs, as soon as the worker has registered them."""
    line = worker.stdout.readline() if worker.stdout else ""
    if not line:
        raise ServerFailed("the worker ended while it was starting", fix="see home/logs/worker.log")
    deployments: list[dict[str, Any]] = json.loads(line)["deployments"]
    return [told | {"next_run": _next_run(api_url, told) if told["schedule"] else None} for told in deployments]


def _next_run(api_url: str, told: dict[str, Any]) -> str | None:
    """When the deployment's next run is due; the server's own scheduler would take a minute to say it."""
    try:
        serving.ask(api_url, f"/deployments/{told['id']}/schedule", {"min_runs": 1})
    except ServerFailed as error:
        raise ServerFailed(
            f"the Prefect server cannot schedule runs: {error}",
            fix="its scheduler fails on sqlalchemy 2.1 (`consign doctor` looks); otherwise see home/prefect/server.log",
        ) from None
    wanted = {
        "deployments": {"id": {"any_": [told["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "NEXT_SCHEDULED_START_TIME_ASC",
        "limit": 1,
    }
    return next(
        (str(run["next_scheduled_start_time"]) for run in serving.ask(api_url, "/flow_runs/filter", wanted)), None
    )


def _ended(worker: subprocess.Popen[str]) -> None:
    if worker.stdin:
        with suppress(BrokenPipeError):
            worker.stdin.close()
    try:
        worker.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    if worker.stdout:
        worker.stdout.close()
