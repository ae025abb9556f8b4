"""Watch: open exceptions for what is late or stuck by the contracts' clocks, resolve what no longer is, tell people."""

from __future__ import annotations

from dataclasses import dataclass

from flows.engine import Schedule, verb
from infra import exceptions, notices, watching
from infra.journaling import journal
from infra.wiring import desk
from models.errors import ConsignError


@dataclass(frozen=True)
class CodeReport:
    """One code: how many exceptions of it are unresolved, how many of them past their time."""

    code: str
    unresolved: int
    overdue: int


@dataclass(frozen=True)
class WatchReport:
    """What one look did, and how it stands."""

    opened: int
    resolved: int
    unresolved: int
    overdue: int
    notices: int
    """channels that took the notice of what is new"""
    notice_failed: bool
    codes: tuple[CodeReport, ...]


@verb(schedule=Schedule("*/30 * * * *"))
def watch() -> WatchReport:
    """Look at every clock, open and resolve exceptions, and tell people of new ones; safe to run again."""
    at = desk()
    changed = watching.watch(at)
    with at.database.read() as connection:
        counts = exceptions.counts(connection, at.now())
    codes = counts.groupby("code", as_index=False)[["unresolved", "overdue"]].sum()
    told = tuple(
        CodeReport(str(row["code"]), int(row["unresolved"]), int(row["overdue"])) for row in codes.to_dict("records")
    )
    log = journal("watch")
    for one in told:
        log.warning("exceptions are unresolved", code=one.code, count=one.unresolved)
    took, failed = 0, False
    try:
        took = notices.tell(at)
    except ConsignError as error:  # the exceptions stand whether people could be told or not
        failed = True
        log.warning("a notice was not taken", error=type(error).__name__)
    return WatchReport(
        opened=sum(one.opened for one in changed),
        resolved=sum(one.resolved for one in changed),
        unresolved=sum(one.unresolved for one in told),
        overdue=sum(one.overdue for one in told),
        notices=took,
        notice_failed=failed,
        codes=told,
    )
