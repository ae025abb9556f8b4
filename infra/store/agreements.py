"""What people page through of instalment plans: by how they stand, one with its payments, those of one agency."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, and_, cast, func, not_, select

from infra.store import keyset
from infra.store.instalments import INSTALMENTS, LINES, OPEN, PLANS, RUNNING
from infra.store.keyset import Order
from infra.store.scores import NO_MONEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from infra.store.keyset import Page

STATES: Final[dict[str, tuple[str, ...]]] = {
    "asked": OPEN,
    "agreed": (RUNNING,),
    "kept": (RUNNING,),
    "late": (RUNNING,),
    "broken": ("broken",),
    "finished": ("fulfilled", "ended"),
    "refused": ("refused",),
}
"""By tab, the states that it shows: an approved plan is agreed until its first day, then kept or late."""
COLUMNS: Final = (
    "instalment_plan_id", "agency", "lender", "plan_ref", "placement_id", "currency", "total_minor", "paid_minor",
    "instalments", "first_due_on", "last_due_on", "state", "proposed_at", "income_band", "limits", "verdict", "codes",
    "ability", "willingness", "balance_minor", "first_by", "decided_by", "decided_at", "agreed_on", "ended_on",
    "answered_as", "answered_id",
)  # fmt: skip
OF_AGENCY: Final = (
    "instalment_plan_id", "lender", "plan_ref", "currency", "total_minor", "paid_minor", "instalments", "first_due_on",
    "last_due_on", "state", "proposed_at", "agreed_on", "ended_on", "answered_as", "codes",
)  # fmt: skip
"""What an agency is shown of its own: no grade, no limit, no person."""
PAYMENTS_AT_MOST: Final = 500


@dataclass(frozen=True)
class Wanted:
    """Which plans: of a tab, a lender, an agency; empty means any."""

    tab: str = "asked"
    lender: str = ""
    agency: str = ""


def due_minor(today: date) -> ColumnElement[int]:
    """What of a plan was due before the day."""
    return (
        select(cast(func.coalesce(func.sum(INSTALMENTS.c.amount_minor), 0), BigInteger))
        .where(INSTALMENTS.c.instalment_plan_id == PLANS.c.instalment_plan_id, INSTALMENTS.c.due_on < today)
        .correlate(PLANS)
        .scalar_subquery()
    )


def listed(connection: Connection, wanted: Wanted, today: date, after: str | None = None) -> Page:
    """The plans of the tab, the newest first, with `due_minor`: what was due before today."""
    whole = select(*(PLANS.c[name] for name in COLUMNS), due_minor(today).label("due_minor"))
    return keyset.page_of(connection, whole, list(_plans(wanted, today)), _NEWEST, after)


def counted(connection: Connection, wanted: Wanted, today: date) -> dict[str, int]:
    """How many each tab has under the rest of the filter; no more than `keyset.COUNTED_TO` + 1."""
    return {tab: keyset.counted(connection, _plans(replace(wanted, tab=tab), today)) for tab in STATES}


_NEWEST: Final = Order((PLANS.c.instalment_plan_id,), falling=True)


def _plans(wanted: Wanted, today: date) -> Iterator[Select[Any]]:
    statement = select(*_NEWEST.columns)
    for name in ("lender", "agency"):
        if value := getattr(wanted, name):
            statement = statement.where(PLANS.c[name] == value)
    statement = statement.where(*_of_tab(wanted.tab, today))
    for state in STATES[wanted.tab]:
        yield statement.where(PLANS.c.state == state)


def _of_tab(tab: str, today: date) -> list[ColumnElement[bool]]:
    begun = PLANS.c.first_due_on < today
    late = and_(begun, due_minor(today) > PLANS.c.paid_minor)
    return {"agreed": [not_(begun)], "kept": [begun, not_(late)], "late": [late]}.get(tab, [])


def day_in(at: datetime, zone: str) -> date:
    """The calendar day of the instant in that time zone."""
    return at.astimezone(ZoneInfo(zone)).date()


def paid_towards(connection: Connection, account_id: int, since: date) -> list[dict[str, Any]]:
    """What was paid on the account since the day, to the agency and to the lender; what was undone is negative."""
    found = connection.execute(
        select(LINES.c.line_id, LINES.c.value_date, LINES.c.kind, LINES.c.gross_minor, LINES.c.currency, LINES.c.state)
        .where(LINES.c.account_id == account_id, LINES.c.value_date >= since, LINES.c.state.not_in(NO_MONEY))
        .order_by(LINES.c.value_date, LINES.c.line_id)
        .limit(PAYMENTS_AT_MOST)
    )
    return [dict(row) for row in found.mappings()]


def of_agency(connection: Connection, agency: str, state: str = "", after: str | None = None) -> Page:
    """The plans that the agency proposed, the newest first, with what it was answered."""
    statement = select(*(PLANS.c[name] for name in OF_AGENCY)).where(PLANS.c.agency == agency)
    statement = statement.where(*([PLANS.c.state == state] if state else []))
    return keyset.page(connection, statement, _NEWEST, after)


def schedules(connection: Connection, plan_ids: list[int]) -> dict[int, list[Any]]:
    """By plan its instalments in their order: `number`, `due_on`, `amount_minor`."""
    found: dict[int, list[Any]] = {number: [] for number in plan_ids}
    rows = connection.execute(
        select(INSTALMENTS).where(INSTALMENTS.c.instalment_plan_id.in_(plan_ids)).order_by(
            INSTALMENTS.c.instalment_plan_id, INSTALMENTS.c.number
        )
    )  # fmt: skip
    for row in rows:
        found[row.instalment_plan_id].append(row)
    return found
