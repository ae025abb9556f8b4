"""What the console counts: requests by route and status, and what the store holds by state. Codes and counts alone.

Where several processes answer (console.web.crew) each keeps its counts in a file in one folder, and whichever is asked
adds them up, those of a process that has ended too.
"""

from __future__ import annotations

import os
import time
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from infra.journaling import journal
from infra.store import tallies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from infra.wiring import Desk

KEPT_S: Final = 15.0
"""How long counts of the store are good: a scrape does not count a million rows each time."""
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
UNKNOWN: Final = "none"
SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client finds the folder of several processes, when it is imported."""


class Metrics:
    """The counters of one console."""

    def __init__(self, desk: Desk) -> None:
        self.registry = CollectorRegistry()
        own: CollectorRegistry | None = self.registry
        if SHARED in os.environ:
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]  # the library has no types here
            own = None  # the files are read, our own among them
        self.requests = Counter("consign_requests", "Requests answered", ["method", "route", "status"], registry=own)
        self.seconds = Histogram("consign_request_seconds", "Server time", ["route"], buckets=SECONDS, registry=own)
        self.registry.register(_Tallies(desk))

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self.registry)


class _Tallies(Collector):
    """Rows by state, counted when somebody asks and the last count is old."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._lock = Lock()
        self._counted_at = -KEPT_S
        self._counts: dict[str, dict[str, int]] = {}

    def describe(self) -> list[Any]:
        """Nothing is counted when it is registered."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge per kind of row, by state."""
        with self._lock:
            if time.monotonic() - self._counted_at > KEPT_S:
                with self.desk.database.read() as connection:
                    self._counts = tallies.by_state(connection)
                self._counted_at = time.monotonic()
            counts = self._counts
        for kind, states in counts.items():
            gauge = GaugeMetricFamily(f"consign_{kind}", f"{kind} by state", labels=["state"])
            for state, count in states.items():
                gauge.add_metric([state], count)
            yield gauge


class Watch:
    """Counts and logs every request: by the route's pattern, never by the path, which may hold a reference."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self.journal = journal("web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            took = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", UNKNOWN)
            method = scope["method"] if scope["method"] in {"GET", "HEAD", "POST"} else "other"
            self.metrics.requests.labels(method, route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(took)
            if not scope["path"].startswith(("/static/", "/healthz")):
                actor = scope.get("state", {}).get("actor", "")
                self.journal.info(
                    "answered", method=method, route=route, status=status, seconds=round(took, 4), actor=actor
                )
