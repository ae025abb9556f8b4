"""What a portfolio manager pages through: portfolios, accounts left out, placements, recalls, plans; by keyset.

A list that is open without an agency is asked for agency by agency: one index then answers every filter, and its rows
come in order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, case, func, or_, select

from infra.store import bulk, keyset
from infra.store.keyset import Order
from models.errors import UsageError
from models.tables import (
    Account,
    Agency,
    Debtor,
    Erasure,
    Hold,
    IntakeReject,
    Lender,
    Placement,
    Plan,
    PlanExclusion,
    PlanLine,
    Portfolio,
    Recall,
    RecallObjection,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from sqlalchemy import ColumnElement, Connection, Join, Select

    from infra.store.keyset import Page

ACCOUNTS = bulk.table_of(Account)
AGENCIES = bulk.table_of(Agency)
DEBTORS = bulk.table_of(Debtor)
ERASURES = bulk.table_of(Erasure)
EXCLUSIONS = bulk.table_of(PlanExclusion)
HOLDS = bulk.table_of(Hold)
LENDERS = bulk.table_of(Lender)
LINES = bulk.table_of(PlanLine)
OBJECTIONS = bulk.table_of(RecallObjection)
PLACEMENTS = bulk.table_of(Placement)
PLANS = bulk.table_of(Plan)
PORTFOLIOS = bulk.table_of(Portfolio)
RECALLS = bulk.table_of(Recall)
REJECTS = bulk.table_of(IntakeReject)
SENT = bulk.table_of(Transmission)

PLACEMENT_TABS: Final[Mapping[str, tuple[str, ...]]] = {
    "out": ("placed", "acknowledged"),
    "planned": ("planned",),
    "unacknowledged": ("placed",),
    "recalled": ("recalled",),
    "closed": ("closed",),
}
"""The tabs of the list of placements, by the states that they show."""
RECALL_TABS: Final = ("open", "overdue", "uncertified", "confirmed")
"""Not confirmed yet; not confirmed in time; asked to erase what it was told, and no certificate holds; confirmed."""


@dataclass(frozen=True)
class PlacementFilter:
    """Which placements: empty texts and None mean any."""

    tab: str = "out"
    lender: str = ""
    agency: str = ""
    back_by: date | None = None
    account_id: int | None = None


@dataclass(frozen=True)
class RecallFilter:
    """Which recalls."""

    tab: str = "open"
    lender: str = ""
    agency: str = ""
    reason: str = ""


# -- who there is ------------------------------------------------------------------------------------------------------


def lenders(connection: Connection) -> dict[str, str]:
    """Every lender's name by code."""
    found = connection.execute(select(LENDERS.c.lender, LENDERS.c.name).order_by(LENDERS.c.lender))
    return {row.lender: row.name for row in found}


def agencies(connection: Connection) -> dict[str, str]:
    """Every agency's name by code."""
    found = connection.execute(select(AGENCIES.c.agency, AGENCIES.c.name).order_by(AGENCIES.c.agency))
    return {row.agency: row.name for row in found}


# -- portfolios --------------------------------------------------------------------------------------------------------


def portfolios(connection: Connection, lender: str = "", state: str = "", after: str | None = None) -> Page:
    """The portfolios that came, newest first."""
    statement = select(PORTFOLIOS)
    if lender:
        statement = statement.where(PORTFOLIOS.c.lender == lender)
    if state:
        statement = statement.where(PORTFOLIOS.c.state == state)
    return keyset.page(connection, statement, Order((PORTFOLIOS.c.portfolio_id,), falling=True), after)


def portfolio(connection: Connection, portfolio_id: int) -> dict[str, Any]:
    """One portfolio's row. Raises UsageError."""
    row = connection.execute(select(PORTFOLIOS).where(PORTFOLIOS.c.portfolio_id == portfolio_id)).mappings().first()
    if row is None:
        raise UsageError(f"there is no portfolio {portfolio_id}", fix="look for it among the portfolios")
    return keyset.aware(dict(row))


def rejects(connection: Connection, portfolio_id: int, code: str = "", after: str | None = None) -> Page:
    """The refused and doubted lines of a portfolio in their order: `reject_id`, `line`, `field`, `code`, `fix`."""
    statement = select(REJECTS.c.reject_id, REJECTS.c.line, REJECTS.c.field, REJECTS.c.code, REJECTS.c.fix).where(
        REJECTS.c.portfolio_id == portfolio_id
    )
    if code:
        statement = statement.where(REJECTS.c.code == code)
    return keyset.page(connection, statement, Order((REJECTS.c.reject_id,)), after)


def reject_codes(connection: Connection, portfolio_id: int) -> dict[str, int]:
    """How many lines were refused or doubted by each code, the most frequent first."""
    lines = func.count().label("lines")
    found = connection.execute(
        select(REJECTS.c.code, lines)
        .where(REJECTS.c.portfolio_id == portfolio_id)
        .group_by(REJECTS.c.code)
        .order_by(lines.desc(), REJECTS.c.code)
    )
    return {row.code: row.lines for row in found}


def standing_of(connection: Connection, portfolio_id: int, today: date) -> dict[str, int]:
    """Of the accounts that the portfolio was the last to speak of: all, open, held, out, and free to be placed."""
    mine = ACCOUNTS.c.portfolio_id == portfolio_id
    is_open = ACCOUNTS.c.status == "open"
    held = and_(is_open, _is_held(today))
    out = and_(is_open, _is_out())
    row = connection.execute(
        select(
            func.count().label("accounts"),
            _sum(is_open).label("open"),
            _sum(held).label("held"),
            _sum(out).label("out"),
            _sum(and_(is_open, ~_is_held(today), ~_is_out())).label("free"),
        ).where(mine)
    ).one()
    return {name: int(value or 0) for name, value in row._mapping.items()}  # noqa: SLF001 - SQLAlchemy's public name


def held_back(connection: Connection, portfolio_id: int, today: date) -> dict[str, int]:
    """How many of the portfolio's open accounts are held back, by the hold's reason."""
    accounts = func.count(func.distinct(ACCOUNTS.c.account_id)).label("accounts")
    found = connection.execute(
        select(HOLDS.c.reason, accounts)
        .join(ACCOUNTS, _reaches())
        .where(ACCOUNTS.c.portfolio_id == portfolio_id, ACCOUNTS.c.status == "open", _in_force(today))
        .group_by(HOLDS.c.reason)
        .order_by(accounts.desc(), HOLDS.c.reason)
    )
    return {row.reason: row.accounts for row in found}


def holds(
    connection: Connection, today: date, lender: str = "", reason: str = "", *, ended: bool = False,
    after: str | None = None,
) -> Page:  # fmt: skip
    """The holds in force (or those that ended), newest first, with the debtor's lender."""
    in_force = _in_force(today)
    statement = (
        select(HOLDS, DEBTORS.c.lender)
        .join(DEBTORS, DEBTORS.c.debtor_id == HOLDS.c.debtor_id)
        .where(~in_force if ended else in_force)
    )
    if lender:
        statement = statement.where(DEBTORS.c.lender == lender)
    if reason:
        statement = statement.where(HOLDS.c.reason == reason)
    return keyset.page(connection, statement, Order((HOLDS.c.hold_id,), falling=True), after)


def _in_force(today: date) -> ColumnElement[bool]:
    return and_(
        HOLDS.c.lifted_at.is_(None), HOLDS.c.since <= today, or_(HOLDS.c.until.is_(None), HOLDS.c.until >= today)
    )


def _reaches() -> ColumnElement[bool]:
    return and_(
        HOLDS.c.debtor_id == ACCOUNTS.c.debtor_id,
        or_(HOLDS.c.account_id.is_(None), HOLDS.c.account_id == ACCOUNTS.c.account_id),
    )


def _is_held(today: date) -> ColumnElement[bool]:
    return select(HOLDS.c.hold_id).where(_reaches(), _in_force(today)).correlate(ACCOUNTS).exists()


def _is_out() -> ColumnElement[bool]:
    return (
        select(PLACEMENTS.c.placement_id)
        .where(PLACEMENTS.c.account_id == ACCOUNTS.c.account_id, PLACEMENTS.c.state.in_(AT_AGENCY))
        .correlate(ACCOUNTS)
        .exists()
    )


AT_AGENCY: Final = ("planned", "placed", "acknowledged", "recalled")


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def facets(connection: Connection, lender: str) -> list[dict[str, Any]]:
    """The lender's open accounts by product, bucket and currency. Reads every account: remember what it says."""
    accounts = func.count().label("accounts")
    found = connection.execute(
        select(
            ACCOUNTS.c.product, ACCOUNTS.c.bucket, ACCOUNTS.c.currency, accounts,
            func.sum(ACCOUNTS.c.balance_minor).label("balance_minor"),
        )
        .where(ACCOUNTS.c.lender == lender, ACCOUNTS.c.status == "open")
        .group_by(ACCOUNTS.c.product, ACCOUNTS.c.bucket, ACCOUNTS.c.currency)
        .order_by(ACCOUNTS.c.product, ACCOUNTS.c.bucket)
    )  # fmt: skip
    return [dict(row) | {"balance_minor": int(row["balance_minor"])} for row in found.mappings()]


# -- plans -------------------------------------------------------------------------------------------------------------


def plans(connection: Connection, lender: str = "", state: str = "", after: str | None = None) -> Page:
    """Plans, the newest first, without spec and summary."""
    statement = select(*(column for column in PLANS.c if column.name not in {"spec", "summary"}))
    if lender:
        statement = statement.where(PLANS.c.lender == lender)
    if state:
        statement = statement.where(PLANS.c.state == state)
    return keyset.page(connection, statement, Order((PLANS.c.plan_id,), falling=True), after)


def plan_names(connection: Connection, lender: str, beginning: str) -> set[str]:
    """The names of the lender's plans that begin so."""
    statement = select(PLANS.c.name).where(
        PLANS.c.lender == lender, PLANS.c.name.startswith(beginning, autoescape=True)
    )
    return set(connection.execute(statement).scalars())


def left_out(connection: Connection, plan_id: int, reason: str = "", after: str | None = None) -> Page:
    """The accounts that a plan left out: `account_id`, `reason`, and the account's facts as they are now."""
    statement = (
        select(
            EXCLUSIONS.c.account_id, EXCLUSIONS.c.reason, ACCOUNTS.c.product, ACCOUNTS.c.bucket, ACCOUNTS.c.region,
            ACCOUNTS.c.balance_minor, ACCOUNTS.c.currency, ACCOUNTS.c.dpd,
        )
        .join(ACCOUNTS, ACCOUNTS.c.account_id == EXCLUSIONS.c.account_id)
        .where(EXCLUSIONS.c.plan_id == plan_id)
    )  # fmt: skip
    if reason:
        statement = statement.where(EXCLUSIONS.c.reason == reason)
    return keyset.page(connection, statement, Order((EXCLUSIONS.c.account_id,)), after)


def plan_lines(
    connection: Connection, plan_id: int, agency: str = "", after: str | None = None, rows: int = keyset.ROWS
) -> Page:
    """The plan's lines by account."""
    statement = select(LINES).where(LINES.c.plan_id == plan_id)
    if agency:
        statement = statement.where(LINES.c.agency == agency)
    return keyset.page(connection, statement, Order((LINES.c.account_id,)), after, rows)


def files_of_plan(connection: Connection, plan_id: int) -> list[dict[str, Any]]:
    """The files that a plan became, by agency: number, agency, name, state, rows, and when each station was reached."""
    # from one sign to the next: an index over the keys answers it, where LIKE would read them all
    begins, ends = f"plan:{plan_id}:", f"plan:{plan_id};"
    names = (
        "transmission_id",
        "agency",
        "name",
        "state",
        "rows",
        "sealed_at",
        "delivered_at",
        "acknowledged_at",
        "attempts",
    )
    statement = (
        select(*(SENT.c[name] for name in names))
        .where(SENT.c.work_key >= begins, SENT.c.work_key < ends)
        .order_by(SENT.c.agency)
    )
    return [keyset.aware(dict(row)) for row in connection.execute(statement).mappings()]


# -- placements --------------------------------------------------------------------------------------------------------


def placements(connection: Connection, wanted: PlacementFilter, after: str | None = None) -> Page:
    """Placements by the day they are due back, the soonest first; with the account's balance now."""
    place = PLACEMENTS.c
    order = Order((place.due_back_on, place.placement_id))
    whole = select(
        place.placement_id, place.plan_id, place.lender, place.agency, place.account_id, place.round, place.stage,
        place.segment, place.currency, place.balance_minor, place.told_minor, place.dpd, place.bucket, place.placed_on,
        place.due_back_on, place.state, place.ended_on, place.end_reason,
    )  # fmt: skip
    return keyset.page_of(connection, whole, list(_placements(connection, wanted, order)), order, after)


def placements_counted(connection: Connection, wanted: PlacementFilter) -> dict[str, int]:
    """How many placements each tab has under the rest of the filter; no more than `keyset.COUNTED_TO` + 1."""
    order = Order((PLACEMENTS.c.placement_id,))
    return {
        tab: keyset.counted(connection, _placements(connection, replace(wanted, tab=tab), order))
        for tab in PLACEMENT_TABS
    }


def _placements(connection: Connection, wanted: PlacementFilter, order: Order) -> Iterator[Select[Any]]:
    """The order's columns of those that are wanted, from one part of the index after the other."""
    place, statement = PLACEMENTS.c, select(*order.columns)
    if wanted.back_by is not None:
        statement = statement.where(place.due_back_on <= wanted.back_by)
    states = PLACEMENT_TABS[wanted.tab]
    if wanted.account_id is not None:
        yield statement.where(place.account_id == wanted.account_id, place.state.in_(states))
        return
    whose = [wanted.lender] if wanted.lender else lenders(connection)
    theirs = [wanted.agency] if wanted.agency else agencies(connection)
    for lender in whose:
        for agency in theirs:
            for state in states:
                yield statement.where(place.lender == lender, place.agency == agency, place.state == state)


def some_placements(connection: Connection, placement_ids: list[int]) -> Page:
    """These placements, for a preview of their recall."""
    statement = select(PLACEMENTS).where(PLACEMENTS.c.placement_id.in_(placement_ids))
    return keyset.page(connection, statement, Order((PLACEMENTS.c.placement_id,)), rows=len(placement_ids))


# -- recalls -----------------------------------------------------------------------------------------------------------


def recalls(connection: Connection, wanted: RecallFilter, today: date, after: str | None = None) -> Page:
    """Recalls with confirmation and certificate: the soonest due first, of the confirmed the newest."""
    order = _order_of(wanted.tab)
    return keyset.page_of(connection, _whole_recall(), list(_recalls(connection, wanted, today, order)), order, after)


def recalls_counted(connection: Connection, wanted: RecallFilter, today: date) -> dict[str, int]:
    """How many recalls each tab has under the rest of the filter; no more than `keyset.COUNTED_TO` + 1."""
    return {
        tab: keyset.counted(connection, _recalls(connection, replace(wanted, tab=tab), today, _order_of(tab)))
        for tab in RECALL_TABS
    }


def _joined() -> Join:
    return RECALLS.join(PLACEMENTS, PLACEMENTS.c.placement_id == RECALLS.c.placement_id).outerjoin(
        ERASURES, ERASURES.c.placement_id == RECALLS.c.placement_id
    )


def _whole_recall() -> Select[Any]:
    recall, place = RECALLS.c, PLACEMENTS.c
    return select(
        recall.recall_id, recall.placement_id, recall.agency, recall.reason, recall.requested_on, recall.due_on,
        recall.requested_by, recall.confirmed_on, place.lender, place.account_id, place.segment, place.currency,
        place.balance_minor, place.ended_on, place.end_reason, ERASURES.c.erasure_id,
        ERASURES.c.requested_on.label("erasure_requested_on"), ERASURES.c.due_on.label("erasure_due_on"),
        ERASURES.c.verified_at.label("erasure_verified_at"), ERASURES.c.finding.label("erasure_finding"),
        ERASURES.c.certificate_file_id,
    ).select_from(_joined())  # fmt: skip


def _recalls(connection: Connection, wanted: RecallFilter, today: date, order: Order) -> Iterator[Select[Any]]:
    """The order's columns of those that are wanted, agency by agency."""
    statement = select(*order.columns)
    if wanted.lender or wanted.tab == "uncertified":  # an erasure may be of no recall
        statement = statement.select_from(_joined())
    for column, value in ((PLACEMENTS.c.lender, wanted.lender), (RECALLS.c.reason, wanted.reason)):
        if value:
            statement = statement.where(column == value)
    statement = statement.where(*_of_tab(wanted.tab, today))
    whose = ERASURES.c.agency if wanted.tab == "uncertified" else RECALLS.c.agency
    for agency in [wanted.agency] if wanted.agency else agencies(connection):
        yield statement.where(whose == agency)


def _of_tab(tab: str, today: date) -> list[ColumnElement[bool]]:
    if tab == "uncertified":
        return [ERASURES.c.verified_at.is_(None)]
    if tab == "confirmed":
        return [RECALLS.c.confirmed_on.is_not(None)]
    late = [RECALLS.c.due_on < today] if tab == "overdue" else []
    return [RECALLS.c.confirmed_on.is_(None), *late]


def _order_of(tab: str) -> Order:
    """As the indexes lie."""
    if tab == "uncertified":
        return Order((ERASURES.c.due_on.label("erasure_due_on"), ERASURES.c.erasure_id))
    if tab == "confirmed":
        return Order((RECALLS.c.confirmed_on, RECALLS.c.due_on, RECALLS.c.recall_id), falling=True)
    return Order((RECALLS.c.due_on, RECALLS.c.recall_id))


def objections(connection: Connection, *, decided: bool = False, after: str | None = None) -> Page:
    """Agencies' objections to recalls, oldest first: those that nobody decided on, or the decided ones."""
    objection = OBJECTIONS.c
    statement = (
        select(OBJECTIONS, RECALLS.c.due_on, RECALLS.c.confirmed_on, RECALLS.c.reason.label("recall_reason"))
        .outerjoin(RECALLS, RECALLS.c.placement_id == objection.placement_id)
        .where(objection.state != "open" if decided else objection.state == "open")
    )
    return keyset.page(connection, statement, Order((objection.objection_id,)), after)
