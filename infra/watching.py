"""What is late or stuck in the exchange, worked out by the clocks of the contracts: columns in, a few subjects out.

Each look finds everything that is so at the moment. What is new is opened as an exception, what is no longer so is
resolved: an exception here is never more than one look behind the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, func, literal_column, or_, select

from infra import clocks, exceptions, subjects
from infra.exceptions import Subject
from infra.store import bulk, exchange
from models.calendar import Span, due_at, ends_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Select

    from infra.clocks import Clock
    from infra.wiring import Desk

SENT, FILES, HELD = exchange.TRANSMISSIONS, exchange.FILES, exchange.PLACEMENTS
RECALLS, ERASURES = exchange.RECALLS, exchange.ERASURES

ENDED: Final[Mapping[str, str]] = {
    "late_acknowledgement": "acknowledged",
    "unconfirmed_recall": "confirmed, or due later now",
    "overdue_erasure": "certified",
    "silent_agency": "the agency has reported, or holds nothing any more",
    "presumed_long": "it has turned out that the file arrived",
    "transmission_stuck": "the file is with the agency",
    "subject_request_overdue": "it was answered",
    "calendar_unknown": "the year is known",
}
"""Every code that is watched, and why an exception of it ends by itself."""


@dataclass(frozen=True)
class Changed:
    """What one look did for one code."""

    code: str
    now: int
    """what is so at the moment"""
    opened: int
    resolved: int


def look(desk: Desk) -> dict[str, list[Subject]]:
    """By code: everything that is late, stuck or unknown at this moment. Nothing is changed."""
    with desk.database.read() as connection:
        here = _Look(connection, desk, desk.now())
        return {code: list(_LOOKS[code](here)) for code in ENDED}


def watch(desk: Desk) -> list[Changed]:
    """Exceptions are open for what is so now and for nothing else; safe to run again."""
    changed = []
    for code, found in look(desk).items():
        with desk.database.write() as connection:
            did = exceptions.watched(connection, desk, code, found, ENDED[code])
        changed.append(Changed(code, len(found), did.opened, did.resolved))
    _unjudged(desk)
    return changed


@dataclass
class _Look:
    """One look: the store, and the moment."""

    connection: Connection
    desk: Desk
    now: datetime

    def read(self, statement: Select[Any]) -> pd.DataFrame:
        return bulk.read(self.connection, statement)

    def with_files(self, counted: Select[Any]) -> pd.DataFrame:
        """The rows (transmission_id, …) with agency, lender, name and delivered_at of their file of ours."""
        rows = self.read(counted).dropna(subset="transmission_id").astype({"transmission_id": "int64"})
        files = self.read(
            select(SENT.c.transmission_id, SENT.c.agency, SENT.c.lender, SENT.c.name, SENT.c.delivered_at).where(
                SENT.c.kind.in_(("placement", "recall", "erasure_request"))
            )
        )
        return rows.merge(files, on="transmission_id")

    @cached_property
    def out(self) -> pd.DataFrame:
        """What agencies hold, by the file that placed it and by state: how many placements; delivered files alone."""
        rows = self.with_files(
            select(_of_file(HELD), HELD.c.state, func.count().label("placements"))
            .where(HELD.c.state.in_(("placed", "acknowledged")))
            .group_by(_of_file(HELD), HELD.c.state)
        )
        return rows[rows["delivered_at"].notna()]

    def late(self, rows: pd.DataFrame, which: Callable[[Clock], Span]) -> pd.DataFrame:
        """The rows (agency, lender, since) whose time is over by the clock in force today, with their `due`."""
        agreed = self.clocks(rows)
        due = [
            due_at(part["since"], which(agreed[pair]), agreed[pair].calendar, agreed[pair].zone)
            for pair, part in _pairs(rows)
        ]
        return self._over(rows, due)

    def past(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows (agency, lender, due_on) whose last day is over where the agency is, with their `due`."""
        agreed = self.clocks(rows)
        due = [ends_at(part["due_on"], agreed[pair].zone) for pair, part in _pairs(rows)]
        return self._over(rows, due)

    def clocks(self, rows: pd.DataFrame) -> Mapping[tuple[str, str], Clock]:
        pairs = rows[["agency", "lender"]].drop_duplicates().itertuples(index=False, name=None)
        return clocks.clocks(self.connection, self.desk, pairs, self.desk.today())

    def _over(self, rows: pd.DataFrame, due: list[pd.Series]) -> pd.DataFrame:
        if not due:
            return rows.assign(due=pd.Series(dtype="datetime64[us, UTC]"))
        dated = rows.assign(due=pd.concat(due))
        return dated[dated["due"] < self.now]


def _late_acknowledgement(at: _Look) -> Iterator[Subject]:
    """Placements that were delivered and not answered in time; how many accounts of them wait."""
    rows = at.out[at.out["state"] == "placed"].rename(columns={"delivered_at": "since"})
    yield from _by_file(at.late(rows, lambda agreed: agreed.acknowledge_within), "placement")


def _unconfirmed_recall(at: _Look) -> Iterator[Subject]:
    yield from _by_file(_outstanding(at, RECALLS, RECALLS.c.confirmed_on.is_(None)), "recall")


def _overdue_erasure(at: _Look) -> Iterator[Subject]:
    yield from _by_file(_outstanding(at, ERASURES, ERASURES.c.verified_at.is_(None)), "erasure_request")


def _outstanding(at: _Look, table: Any, unanswered: Any) -> pd.DataFrame:
    """What was asked for and not answered by its last day, one row per file and day."""
    rows = at.with_files(
        select(_of_file(table), table.c.due_on, func.count().label("placements"))
        .where(unanswered)
        .group_by(_of_file(table), table.c.due_on)
    )
    late = at.past(rows)
    return late.groupby(["agency", "lender", "name"], as_index=False).agg({"placements": "sum", "due": "min"})


def _by_file(late: pd.DataFrame, kind: str) -> Iterator[Subject]:
    for row in _rows(late):
        yield Subject(
            f"transmission:{row['name']}", str(row["agency"]), str(row["lender"]), kind,
            {"placements": int(row["placements"]), "due_at": row["due"].isoformat()},
        )  # fmt: skip


def _silent_agency(at: _Look) -> Iterator[Subject]:
    """Agencies that hold accounts of a lender and have not reported their work for longer than agreed.

    It is counted from the last report, or from the first delivery of what they hold, whichever is later.
    """
    held = (
        at.out.groupby(["agency", "lender"], as_index=False)
        .agg({"placements": "sum", "delivered_at": "min"})
        .rename(columns={"delivered_at": "first"})
    )
    heard = at.read(
        select(FILES.c.agency, FILES.c.lender, func.max(FILES.c.received_at).label("last"))
        .where(FILES.c.kind == "activity", FILES.c.state == "accepted")
        .group_by(FILES.c.agency, FILES.c.lender)
    )
    both = held.merge(heard, on=["agency", "lender"], how="left")
    rows = both.assign(since=both[["first", "last"]].max(axis=1))
    for row in _rows(at.late(rows, lambda agreed: agreed.report_activity_every)):
        yield Subject(
            f"activity:{row['lender']}.{row['agency']}", str(row["agency"]), str(row["lender"]), "activity",
            {"placements": int(row["placements"]), "since": row["since"].isoformat()},
        )  # fmt: skip


def _presumed_long(at: _Look) -> Iterator[Subject]:
    rows = at.read(
        select(SENT.c.agency, SENT.c.lender, SENT.c.kind, SENT.c.name, SENT.c.delivered_at.label("since")).where(
            SENT.c.state == "presumed"
        )
    )
    within = Span.parse(at.desk.settings.presumed_within)
    for row in _rows(at.late(rows, lambda _: within)):
        yield Subject(
            f"transmission:{row['name']}", str(row["agency"]), str(row["lender"]), str(row["kind"]),
            {"since": row["since"].isoformat()},
        )  # fmt: skip


def _transmission_stuck(at: _Look) -> Iterator[Subject]:
    """What has been sealed, or was to be sealed by the end of the day it was prepared on, and is not delivered."""
    rows = at.read(
        select(
            SENT.c.agency, SENT.c.lender, SENT.c.kind, SENT.c.name, SENT.c.state, SENT.c.attempts, SENT.c.last_error,
            SENT.c.prepared_on, SENT.c.sealed_at,
        ).where(SENT.c.state.in_(("prepared", "sealed")))
    )  # fmt: skip
    if rows.empty:
        return
    agreed = at.clocks(rows)
    ends: pd.Series = pd.concat([ends_at(part["prepared_on"], agreed[pair].zone) for pair, part in _pairs(rows)])
    within = Span.parse(at.desk.settings.stuck_after)
    waiting = rows.assign(since=rows["sealed_at"].fillna(ends))
    for row in _rows(at.late(waiting, lambda _: within)):
        yield Subject(
            f"transmission:{row['name']}", str(row["agency"]), str(row["lender"]), str(row["kind"]),
            {"state": str(row["state"]), "attempts": int(row["attempts"]), "reason": _code(row["last_error"])},
        )  # fmt: skip


def _subject_request_overdue(at: _Look) -> Iterator[Subject]:
    yield from subjects.late(at.connection, at.desk)


def _calendar_unknown(at: _Look) -> Iterator[Subject]:
    for name, year in clocks.unknown_years(at.connection, at.desk):
        yield Subject(f"calendar:{name}:{year}", detail={"code": name, "period": str(year)})


def _unjudged(desk: Desk) -> None:
    """Files that were fetched long ago and are neither accepted nor refused: a run was killed, and none came since."""
    with desk.database.read() as connection:
        zone_free = Span.parse(desk.settings.stuck_after)
        rows = bulk.read(
            connection,
            select(FILES.c.agency, FILES.c.lender, FILES.c.file_id, FILES.c.received_at.label("since")).where(
                or_(FILES.c.state == "claimed", FILES.c.state == "opened")
            ),
        )
        late = _Look(connection, desk, desk.now()).late(rows.fillna({"lender": ""}), lambda _: zone_free)
    for row in _rows(late):
        with desk.database.write() as connection:
            exceptions.open_exception(
                connection, desk, "file_unjudged", agency=str(row["agency"]), lender=str(row["lender"]) or None,
                subject=f"file:{row['file_id']}", detail={"file_id": int(row["file_id"]), "reason": "not_taken_up"},
            )  # fmt: skip


def _of_file(table: Any) -> Any:
    """The file that a row belongs to, so written that the table is read from end to end.

    Grouped by the bare column, SQLite follows the column's index from row to row: forty times as long for a million.
    """
    return (table.c.transmission_id + literal_column("0")).label("transmission_id")


def _pairs(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """The rows of each agency and lender."""
    for (agency, lender), part in rows.groupby(["agency", "lender"], sort=False):
        yield (str(agency), str(lender)), part


def _rows(late: pd.DataFrame) -> list[dict[Any, Any]]:
    """What is late, one by one: it is about files of ours and agencies, never about accounts, and so few."""
    return late.to_dict("records")


def _code(text: object) -> str | None:
    return text if isinstance(text, str) else None


_LOOKS: Final[Mapping[str, Callable[[_Look], Iterator[Subject]]]] = {
    "late_acknowledgement": _late_acknowledgement,
    "unconfirmed_recall": _unconfirmed_recall,
    "overdue_erasure": _overdue_erasure,
    "silent_agency": _silent_agency,
    "presumed_long": _presumed_long,
    "transmission_stuck": _transmission_stuck,
    "subject_request_overdue": _subject_request_overdue,
    "calendar_unknown": _calendar_unknown,
}
