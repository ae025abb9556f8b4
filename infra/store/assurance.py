"""What compliance lists: erasures, complaints, breaches, requests, events; a page costs the same at any size."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, case, func, select

from infra.store.conduct import BREACHES
from infra.store.exchange import ERASURES, PLACEMENTS, TRANSMISSIONS
from infra.store.gates import COMPLAINTS
from infra.store.keyset import Order, counted, listed, page
from infra.store.subjects import REQUESTS
from infra.store.trail import EVENTS
from models.subject import OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement

    from infra.store.keyset import Page

MOST: Final = 10_000
"""A count that is this large may be larger."""
LOOKED_BACK: Final = 200_000
"""So many events are looked through, the newest first, where somebody asks for a person's or a kind of them."""
NEVER: Final = date(9999, 12, 31)
"""Stands for a day that is not set, where rows are in the order of days."""


# -- erasures ----------------------------------------------------------------------------------------------------------


def _erasure_states(today: date) -> Mapping[str, tuple[ColumnElement[bool], ...]]:
    """By state: what is true of the erasures in it."""
    late = func.date(ERASURES.c.erased_at) > func.date(ERASURES.c.due_on)
    verified, waits = ERASURES.c.verified_at.is_not(None), ERASURES.c.verified_at.is_(None)
    in_time = ERASURES.c.due_on >= today
    return {
        "overdue": (waits, ERASURES.c.finding.is_(None), ERASURES.c.due_on < today),
        "unsatisfied": (waits, ERASURES.c.finding.is_not(None)),
        "requested": (waits, ERASURES.c.finding.is_(None), in_time),
        "certified_late": (verified, late),
        "certified": (verified, ~late),
    }


def erasure_counts(connection: Connection, today: date, agency: str = "") -> dict[str, int]:
    """How many erasures are in each state; MOST where there may be more."""
    return {
        state: min(MOST, counted(connection, [select(ERASURES).where(*where, *_are(ERASURES, agency=agency))], MOST))
        for state, where in _erasure_states(today).items()
    }


def erasures(connection: Connection, today: date, state: str, *, agency: str = "", after: str | None = None) -> Page:
    """Erasures in that state, those due first in front.

    Columns: erasure_id, placement_id, agency, lender, requested_on, due_on, erased_at, method, certified_by,
    verified_at, finding, asked_at (when the request was delivered).
    """
    statement = (
        select(
            ERASURES.c.erasure_id, ERASURES.c.placement_id, ERASURES.c.agency, PLACEMENTS.c.lender,
            ERASURES.c.requested_on, ERASURES.c.due_on, ERASURES.c.erased_at, ERASURES.c.method,
            ERASURES.c.certified_by, ERASURES.c.verified_at, ERASURES.c.finding,
            TRANSMISSIONS.c.delivered_at.label("asked_at"),
        )
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == ERASURES.c.placement_id)
        .outerjoin(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == ERASURES.c.transmission_id)
        .where(*_erasure_states(today)[state], *_are(ERASURES, agency=agency))
    )  # fmt: skip
    return page(connection, statement, Order((ERASURES.c.due_on, ERASURES.c.erasure_id)), after)


# -- complaints, breaches ----------------------------------------------------------------------------------------------


def complaints(
    connection: Connection, *, closed: bool = False, owner: str = "", agency: str = "",
    overdue_on: date | None = None, after: str | None = None,
) -> Page:  # fmt: skip
    """Complaints that are not closed (or those that are), those due first in front. Columns: all, `due` beside."""
    due = func.coalesce(COMPLAINTS.c.due_on, NEVER, type_=COMPLAINTS.c.due_on.type).label("due")
    is_closed = COMPLAINTS.c.state == "closed"
    statement = select(COMPLAINTS, due).where(
        is_closed if closed else ~is_closed, *_are(COMPLAINTS, agency=agency, owner=owner)
    )
    if overdue_on is not None:
        statement = statement.where(COMPLAINTS.c.due_on < overdue_on)
    return page(connection, statement, Order((due, COMPLAINTS.c.complaint_id)), after)


def breaches(
    connection: Connection, state: str, *, agency: str = "", rule: str = "", severity: str = "",
    after: str | None = None,
) -> Page:  # fmt: skip
    """Breaches in that state, the newest first. Columns: all."""
    statement = select(BREACHES).where(
        BREACHES.c.state == state, *_are(BREACHES, agency=agency, rule_id=rule, severity=severity)
    )
    return page(connection, statement, Order((BREACHES.c.at, BREACHES.c.breach_id), falling=True), after)


def by_clause(connection: Connection) -> list[dict[str, Any]]:
    """Per rule: clause, severity, how many breaches are open and upheld, of how many agencies; most upheld first."""
    sums = [func.sum(case((BREACHES.c.state == state, 1), else_=0)).label(state) for state in ("open", "upheld")]
    return listed(
        connection,
        select(
            BREACHES.c.rule_id, BREACHES.c.clause, BREACHES.c.severity, *sums,
            func.count(BREACHES.c.agency.distinct()).label("agencies"),
        )
        .where(BREACHES.c.state.in_(("open", "upheld")))
        .group_by(BREACHES.c.rule_id, BREACHES.c.clause, BREACHES.c.severity)
        .order_by(sums[1].desc(), sums[0].desc(), BREACHES.c.rule_id),
    )  # fmt: skip


# -- debtors' requests -------------------------------------------------------------------------------------------------


def requests(
    connection: Connection, *, ended: bool = False, lender: str = "", kind: str = "",
    after: str | None = None,
) -> Page:  # fmt: skip
    """Debtors' requests under way, those due first in front; or those that have ended. Columns: all."""
    is_open = REQUESTS.c.state.in_(OPEN)
    statement = select(REQUESTS).where(~is_open if ended else is_open, *_are(REQUESTS, lender=lender, kind=kind))
    return page(connection, statement, Order((REQUESTS.c.due_on, REQUESTS.c.request_id)), after)


# -- events ------------------------------------------------------------------------------------------------------------


def events(
    connection: Connection, *, subject: str = "", actor: str = "", action: str = "",
    after: str | None = None,
) -> Page:  # fmt: skip
    """Events, the newest first: of a subject (`plan:7`), a person, a kind (`plan.` or `plan.approved`).

    Where any of these is asked for, the newest LOOKED_BACK events are looked through.
    """
    statement = select(EVENTS).where(*_are(EVENTS, subject=subject, actor=actor))
    if action:
        statement = statement.where(EVENTS.c.action.startswith(action, autoescape=True))
    if subject or actor or action:
        newest = connection.execute(select(func.max(EVENTS.c.seq))).scalar() or 0
        statement = statement.where(EVENTS.c.seq > newest - LOOKED_BACK)
    return page(connection, statement, Order((EVENTS.c.seq,), falling=True), after)


# -- how it is asked ---------------------------------------------------------------------------------------------------


def _are(table: Any, **wanted: str) -> list[ColumnElement[bool]]:
    """Columns that are as wanted; an empty word wants nothing."""
    return [table.c[name] == value for name, value in wanted.items() if value]
