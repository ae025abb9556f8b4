"""Schedules as people see them: what runs by itself and when, what ran last, and pausing it; told by Prefect's server.

Everything but the runs is known without a server: the schedules stand beside their verbs. Pausing is a word to the
server, which keeps it over restarts; the audit trail says who gave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from flows import serving
from flows.catalogue import entries, entry_named
from infra import audit
from infra.wiring import desk
from models.cron import in_words, next_runs
from models.errors import UsageError

if TYPE_CHECKING:
    from flows.catalogue import Entry

DEPLOYMENT: Final = "consign"
"""What `flows.working` calls each flow's deployment."""
RUNS_SHOWN: Final = 3


@dataclass(frozen=True)
class LastRun:
    """A flow's newest run, as the server has it."""

    run_id: str
    state: str
    """COMPLETED, FAILED, CRASHED, RUNNING …"""
    at: datetime | None
    seconds: float
    url: str


@dataclass(frozen=True)
class Scheduled:
    """One flow that runs by itself."""

    name: str
    help: str
    cron: str
    timezone: str
    words: tuple[str, str]
    next_runs: tuple[datetime, ...]
    """none while it is paused"""
    paused: bool | None
    """None where no server says"""
    last: LastRun | None


@dataclass(frozen=True)
class Board:
    """Every schedule, and whether anybody is there to keep it."""

    page_url: str | None
    """the server's own page; None where no server runs: then nothing runs by itself"""
    registered: bool
    """whether `consign up` has ever registered the flows with this server"""
    schedules: tuple[Scheduled, ...]


def board() -> Board:
    """Every schedule, by name."""
    at = desk()
    api_url = serving.running(at.settings)
    there = _deployments(api_url) if api_url else {}
    last = _last_runs(api_url, there) if api_url and there else {}
    now = at.now()
    told = [_told(entry, there.get(entry.name), last.get(entry.name), now) for entry in _scheduled()]
    page_url = None if api_url is None else _page(api_url)
    return Board(page_url, bool(there), tuple(sorted(told, key=lambda one: one.name)))


def without_a_server() -> Board:
    """Every schedule as it would be kept; nobody is asked."""
    now = desk().now()
    return Board(
        None, False, tuple(sorted((_told(one, None, None, now) for one in _scheduled()), key=lambda one: one.name))
    )


def pause(name: str) -> None:
    """The flow does not run by itself any more, until somebody resumes it. Raises UsageError, ServerFailed."""
    _switch(name, paused=True)


def resume(name: str) -> None:
    """The flow runs by itself again. Raises UsageError, ServerFailed."""
    _switch(name, paused=False)


def _switch(name: str, *, paused: bool) -> None:
    at = desk()
    entry = entry_named(name)
    if entry.schedule is None:
        raise UsageError(f"{name} does not run by itself", fix="`consign up` lists the schedules")
    api_url = serving.running(at.settings)
    if api_url is None:
        raise serving.ServerFailed("no server keeps the schedules now", fix="start it: `consign up`")
    known = _deployments(api_url).get(name)
    if known is None:
        raise serving.ServerFailed(f"the server does not know {name}", fix="start `consign up` once: it registers it")
    serving.ask(api_url, f"/deployments/{known['id']}/{'pause' if paused else 'resume'}_deployment", {})
    with at.database.write() as connection:
        action = "schedule.paused" if paused else "schedule.resumed"
        audit.record(connection, at.actor, action, f"flow:{name}", {}, at.now())


def _scheduled() -> list[Entry]:
    return [entry for entry in entries() if entry.schedule is not None]


def _deployments(api_url: str) -> dict[str, dict[str, Any]]:
    """The flows' deployments by flow."""
    wanted = {"deployments": {"name": {"any_": [DEPLOYMENT]}}, "limit": 200}
    found = serving.ask(api_url, "/deployments/filter", wanted)
    # its entrypoint is flows.deployed.<name>
    return {str(one["entrypoint"]).rsplit(".", 1)[-1]: one for one in found if one.get("entrypoint")}


def _last_runs(api_url: str, there: dict[str, dict[str, Any]]) -> dict[str, LastRun]:
    """The newest run of each flow that has begun."""
    found = {}
    for name, deployment in there.items():
        wanted = {
            "deployments": {"id": {"any_": [deployment["id"]]}},
            "flow_runs": {"start_time": {"is_null_": False}},
            "sort": "START_TIME_DESC",
            "limit": 1,
        }
        for run in serving.ask(api_url, "/flow_runs/filter", wanted):
            started = run.get("start_time")
            found[name] = LastRun(
                run["id"],
                str(run.get("state_type") or ""),
                datetime.fromisoformat(started) if started else None,
                float(run.get("total_run_time") or 0),
                f"{_page(api_url)}/runs/flow-run/{run['id']}",
            )
    return found


def _told(entry: Entry, deployment: dict[str, Any] | None, last: LastRun | None, now: datetime) -> Scheduled:
    when = entry.schedule
    assert when is not None  # noqa: S101 - asked of those that have one
    paused = None if deployment is None else bool(deployment["paused"])
    ahead = () if paused else tuple(next_runs(when.cron, now.astimezone(ZoneInfo(when.timezone)), RUNS_SHOWN))
    return Scheduled(entry.name, entry.help, when.cron, when.timezone, in_words(when.cron), ahead, paused, last)


def _page(api_url: str) -> str:
    return api_url.removesuffix("/api")
