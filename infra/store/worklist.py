"""The worklist of breaks as finance pages through it: tabs, filters, keyset pages, counts and what the cards say.

Every list walks an index in the order that it is shown in, and reads one page: `after` is the cursor that the page
before handed out. Nothing here changes anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from sqlalchemy import BigInteger, and_, case, cast, exists, func, literal, literal_column, or_, select, union_all

from infra.store import keyset
from infra.store.bulk import table_of
from models.errors import UsageError
from models.reconcile.sides import sides
from models.tables import Agency, BankReceipt, Break, InvoiceLine, Match, MatchPart, RemittanceLine, Resolution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Select, Table

AGENCY: Final = table_of(Agency)
BREAK: Final = table_of(Break)
CLAIM: Final = table_of(InvoiceLine)
LINE: Final = table_of(RemittanceLine)
MATCH: Final = table_of(Match)
PART: Final = table_of(MatchPart)
RECEIPT: Final = table_of(BankReceipt)
RESOLUTION: Final = table_of(Resolution)

Tab = Literal["open", "proposed", "to_approve", "matched", "written_off", "settled"]
TABS: Final[tuple[Tab, ...]] = get_args(Tab)
BREAK_TABS: Final[tuple[Tab, ...]] = ("open", "matched", "written_off", "settled")
"""Their rows are breaks; those of `proposed` are suggested matches, those of `to_approve` resolutions."""
Sort = Literal["oldest", "newest", "largest", "smallest"]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
WRITTEN_OFF: Final = "written off"
TIED: Final = (
    "tied by a later match", "tied by a person", "its money came", "its original came", "it has another name now",
    "a reversal took the excess back",
)  # fmt: skip
"""Why a break is closed that ended as it should."""
PAGE_ROWS: Final = 50
FOUND_AT_MOST: Final = 500
"""So many lines or receipts of one reference are looked through."""
WEEKS: Final = 24
UNSETTLED: Final[ColumnElement[bool]] = literal_column("match.status IN ('suggested', 'ambiguous')")
"""Spelt out: only so does SQLite see that its partial index will do."""


@dataclass(frozen=True)
class Wanted:
    """What of the worklist is asked for; empty texts ask for everything."""

    tab: Tab = "open"
    lender: str = ""
    agency: str = ""
    kind: str = ""
    """of breaks the code, of proposed matches the rule, of resolutions their kind"""
    owner: str = ""
    text: str = ""
    """the beginning of a reference, as it is spelt"""
    accounts: tuple[int, ...] = ()
    """the accounts behind a pseudonym that was looked for (infra.reidentification.accounts_named)"""
    sort: Sort = "oldest"

    def __post_init__(self) -> None:
        """Raises UsageError for a tab or an order that there is none of."""
        if self.tab not in TABS:
            raise UsageError(f"there is no tab {self.tab!r}", fix=f"there are {', '.join(TABS)}")
        if self.sort not in SORTS:
            raise UsageError(f"there is no order {self.sort!r}", fix=f"there are {', '.join(SORTS)}")


@dataclass(frozen=True)
class Row:
    """One row of the worklist, whichever tab it is of."""

    key: str
    """what opens it: `break-7`, `match-3`, `resolution-2`"""
    id: int
    kind: str
    reference: str
    lender: str
    agency: str | None
    agency_name: str
    agency_minor: int
    ledger_minor: int
    difference_minor: int
    currency: str
    value_date: date | None
    since: datetime
    owner: str | None
    why: str = ""
    """of a break that is closed; of a resolution its reason"""
    by: str = ""
    others: int = 0
    agreed: int = 0

    def age(self, today: date) -> int:
        """Days since it came onto the worklist."""
        return (today - self.since.date()).days


@dataclass(frozen=True)
class Page:
    """One page, and the cursor of the next one (None: this is the last)."""

    rows: tuple[Row, ...]
    after: str | None


# -- lists -------------------------------------------------------------------------------------------------------------


def page(connection: Connection, wanted: Wanted, after: str | None = None, rows: int = PAGE_ROWS) -> Page:
    """The rows that follow the cursor, at most so many. Raises UsageError for a cursor that was not handed out here."""
    if wanted.tab == "proposed":
        return _matches(connection, wanted, after, rows)
    if wanted.tab == "to_approve":
        return _resolutions(connection, wanted, after, rows)
    return _breaks(connection, wanted, after, rows)


def one(connection: Connection, break_id: int) -> Row:
    """That break as a row of the list. Raises UsageError where there is none."""
    found = connection.execute(_BREAK_ROWS.where(BREAK.c.break_id == break_id)).mappings().one_or_none()
    if found is None:
        raise UsageError(f"no break {break_id}", fix="the worklist and `consign recon breaks` list them")
    return _break_row(keyset.aware(dict(found)))


_REFERENCE: Final = func.coalesce(
    LINE.c.txn_ref, LINE.c.batch_ref, RECEIPT.c.reference, CLAIM.c.txn_ref, CLAIM.c.invoice_no, literal("")
)
_VALUE_DATE: Final = func.coalesce(LINE.c.value_date, RECEIPT.c.value_date).label("value_date")
_BREAK_ROWS: Final = (
    select(
        *(BREAK.c[name] for name in (
            "break_id", "code", "lender", "agency", "amount_minor", "size_minor", "currency", "opened_at", "owner",
            "detail", "line_id", "receipt_id", "invoice_line_id", "closed_because",
        )),
        _REFERENCE.label("reference"), _VALUE_DATE, AGENCY.c.name.label("agency_name"),
    )
    .outerjoin(LINE, LINE.c.line_id == BREAK.c.line_id)
    .outerjoin(RECEIPT, RECEIPT.c.receipt_id == BREAK.c.receipt_id)
    .outerjoin(CLAIM, CLAIM.c.invoice_line_id == BREAK.c.invoice_line_id)
    .outerjoin(AGENCY, AGENCY.c.agency == BREAK.c.agency)
)  # fmt: skip


def _breaks(connection: Connection, wanted: Wanted, after: str | None, rows: int) -> Page:
    statement = _BREAK_ROWS.where(_of_tab(wanted.tab), *_filters(connection, wanted, BREAK))
    order = _order(wanted.sort, BREAK.c.opened_at, BREAK.c.size_minor, BREAK.c.break_id)
    found = keyset.page(connection, statement, order, after, rows)
    return Page(tuple(map(_break_row, found.rows)), found.after)


def _order(sort: Sort, age: ColumnElement[Any], size: ColumnElement[Any], unique: ColumnElement[Any]) -> keyset.Order:
    first = age if sort in {"oldest", "newest"} else size
    return keyset.Order((unique,) if first is unique else (first, unique), falling=sort in {"newest", "largest"})


def _break_row(row: Mapping[str, Any]) -> Row:
    two = sides(
        row["code"], row["amount_minor"], json.loads(row["detail"]),
        of_receipt=row["receipt_id"] is not None and row["line_id"] is None,
    )  # fmt: skip
    return Row(
        key=f"break-{row['break_id']}", id=row["break_id"], kind=row["code"], agency_minor=two.agency_minor,
        ledger_minor=two.ledger_minor, difference_minor=two.difference_minor, since=row["opened_at"],
        owner=row["owner"], why=row["closed_because"] or "", **_common(row),
    )  # fmt: skip


def _common(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: row[name] for name in ("lender", "agency", "currency", "value_date")}
    return told | {"reference": row["reference"] or "", "agency_name": row["agency_name"] or row["agency"] or ""}


def _of_tab(tab: Tab) -> ColumnElement[bool]:
    if tab == "open":
        return and_(BREAK.c.state == "open", ~_waits(), *(~one for one in _suggested()))
    if tab == "written_off":
        return and_(BREAK.c.state == "closed", BREAK.c.closed_because == WRITTEN_OFF)
    if tab == "matched":
        return and_(BREAK.c.state == "closed", BREAK.c.closed_because.in_(TIED))
    return and_(BREAK.c.state == "closed", BREAK.c.closed_because.not_in((*TIED, WRITTEN_OFF)))


def _waits() -> ColumnElement[bool]:
    """Whether a resolution of the break waits for somebody to agree."""
    return exists().where(RESOLUTION.c.break_id == BREAK.c.break_id, RESOLUTION.c.state == "waiting")


def _suggested() -> tuple[ColumnElement[bool], ...]:
    """Whether the rules have suggested a match of the break's line; and of its receipt.

    Apart: PostgreSQL asks an index for each, where of both in one it would read every part of every match.
    """
    return tuple(
        exists().where(PART.c[name] == BREAK.c[name], MATCH.c.match_id == PART.c.match_id, UNSETTLED)
        for name in ("line_id", "receipt_id")
    )


def _matches(connection: Connection, wanted: Wanted, after: str | None, rows: int) -> Page:
    """What the rules have suggested and nobody has answered: the sums of both sides, and one reference."""
    line, receipt = PART.c.line_id.is_not(None), PART.c.receipt_id.is_not(None)

    def of(what: ColumnElement[bool], value: ColumnElement[Any]) -> Any:
        return (
            select(value)
            .select_from(PART.outerjoin(LINE, LINE.c.line_id == PART.c.line_id).outerjoin(
                RECEIPT, RECEIPT.c.receipt_id == PART.c.receipt_id
            ))
            .where(PART.c.match_id == MATCH.c.match_id, what)
            .scalar_subquery()
        )  # fmt: skip

    total = cast(func.coalesce(func.sum(PART.c.amount_minor), 0), BigInteger)
    reference = func.min(func.coalesce(RECEIPT.c.reference, LINE.c.txn_ref, LINE.c.batch_ref))
    statement = (
        select(
            *(MATCH.c[name] for name in (
                "match_id", "status", "rule", "lender", "agency", "currency", "amount_minor", "made_at",
            )),
            of(line, total).label("agency_minor"), of(receipt, total).label("ledger_minor"),
            of(line | receipt, reference).label("reference"),
            of(receipt, func.max(RECEIPT.c.value_date)).label("value_date"), AGENCY.c.name.label("agency_name"),
        )
        .outerjoin(AGENCY, AGENCY.c.agency == MATCH.c.agency)
        .where(UNSETTLED, *_filters(connection, wanted, MATCH))
    )  # fmt: skip
    order = _order(wanted.sort, MATCH.c.match_id, MATCH.c.amount_minor, MATCH.c.match_id)
    found = keyset.page(connection, statement, order, after, rows)
    told = [
        Row(
            key=f"match-{row['match_id']}", id=row["match_id"], kind=row["status"], agency_minor=row["agency_minor"],
            ledger_minor=row["ledger_minor"], difference_minor=row["agency_minor"] - row["ledger_minor"],
            since=row["made_at"], owner=None, why=row["rule"], **_common(row),
        )
        for row in found.rows
    ]  # fmt: skip
    return Page(tuple(told), found.after)


def _resolutions(connection: Connection, wanted: Wanted, after: str | None, rows: int) -> Page:
    """What waits for somebody else to agree."""
    statement = (
        select(
            RESOLUTION, AGENCY.c.name.label("agency_name"), _REFERENCE.label("reference"), _VALUE_DATE, BREAK.c.owner
        )
        .outerjoin(BREAK, BREAK.c.break_id == RESOLUTION.c.break_id)
        .outerjoin(LINE, LINE.c.line_id == BREAK.c.line_id)
        .outerjoin(RECEIPT, RECEIPT.c.receipt_id == BREAK.c.receipt_id)
        .outerjoin(CLAIM, CLAIM.c.invoice_line_id == BREAK.c.invoice_line_id)
        .outerjoin(AGENCY, AGENCY.c.agency == RESOLUTION.c.agency)
        .where(RESOLUTION.c.state == "waiting", *_filters(connection, wanted, RESOLUTION))
    )
    order = _order(wanted.sort, RESOLUTION.c.resolution_id, RESOLUTION.c.amount_minor, RESOLUTION.c.resolution_id)
    found = keyset.page(connection, statement, order, after, rows)
    told = [
        Row(
            key=f"resolution-{row['resolution_id']}", id=row["resolution_id"], kind=row["kind"],
            agency_minor=row["amount_minor"], ledger_minor=0, difference_minor=row["amount_minor"],
            since=row["proposed_at"], owner=row["owner"], why=row["reason"], by=row["proposed_by"],
            others=row["others"], agreed=len(json.loads(row["agreed_by"])), **_common(row),
        )
        for row in found.rows
    ]  # fmt: skip
    return Page(tuple(told), found.after)


# -- filters ---------------------------------------------------------------------------------------------------------


def _filters(connection: Connection, wanted: Wanted, table: Table) -> list[ColumnElement[bool]]:
    kind = {BREAK: BREAK.c.code, MATCH: MATCH.c.status, RESOLUTION: RESOLUTION.c.kind}[table]
    told = [
        column == value
        for column, value in ((table.c.lender, wanted.lender), (table.c.agency, wanted.agency), (kind, wanted.kind))
        if value
    ]
    if wanted.owner and table is not MATCH:
        told.append(BREAK.c.owner == wanted.owner)
    if wanted.owner and table is MATCH:  # nobody owns what a program suggested; somebody may own a break of it
        told.append(MATCH.c.match_id.in_(_matches_of(_parts_of(BREAK.c.owner == wanted.owner))))
    if wanted.text or wanted.accounts:
        lines, receipts = _named(connection, wanted)
        told.append(_about(connection, table, lines, receipts))
    return told


def _parts_of(which: ColumnElement[bool]) -> ColumnElement[bool]:
    lines = select(BREAK.c.line_id).where(which, BREAK.c.state == "open", BREAK.c.line_id.is_not(None))
    receipts = select(BREAK.c.receipt_id).where(which, BREAK.c.state == "open", BREAK.c.receipt_id.is_not(None))
    return or_(PART.c.line_id.in_(lines), PART.c.receipt_id.in_(receipts))


def _matches_of(which: ColumnElement[bool]) -> Select[Any]:
    return select(PART.c.match_id).where(which)


def _about(connection: Connection, table: Table, lines: Sequence[int], receipts: Sequence[int]) -> ColumnElement[bool]:
    """Whether the row is about one of these lines or receipts."""
    if table is not MATCH:  # by their numbers: else the store walks all open breaks by age, asking of each
        numbers = select(BREAK.c.break_id)
        found = union_all(
            numbers.where(BREAK.c.line_id.in_(lines)), numbers.where(BREAK.c.receipt_id.in_(receipts))
        )  # fmt: skip
        return BREAK.c.break_id.in_(connection.execute(found).scalars().all())
    return MATCH.c.match_id.in_(_matches_of(or_(PART.c.line_id.in_(lines), PART.c.receipt_id.in_(receipts))))


def _named(connection: Connection, wanted: Wanted) -> tuple[list[int], list[int]]:
    """The lines and receipts whose reference begins so, or whose account it is; at most FOUND_AT_MOST of each."""
    lines: list[int] = []
    receipts: list[int] = []
    if wanted.accounts:
        own = select(LINE.c.line_id).where(LINE.c.account_id.in_(wanted.accounts)).limit(FOUND_AT_MOST)
        lines += connection.execute(own).scalars()
    if wanted.text:
        for column in (LINE.c.txn_ref, LINE.c.batch_ref):
            lines += _beginning(connection, column, LINE.c.line_id, wanted.text)
        receipts += _beginning(connection, RECEIPT.c.reference, RECEIPT.c.receipt_id, wanted.text)
    return lines, receipts


def _beginning(connection: Connection, column: ColumnElement[Any], key: ColumnElement[Any], text: str) -> list[int]:
    if connection.dialect.name == "sqlite":  # whose LIKE takes no index; a range of texts does
        begins = and_(column >= text, column < text + chr(0x10FFFF))
    else:
        begins = column.startswith(text, autoescape=True)
    return list(connection.execute(select(key).where(begins).limit(FOUND_AT_MOST)).scalars())


# -- what the cards say ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """How the worklist stands."""

    tabs: dict[str, int]
    """how many rows each tab has"""
    net_minor: dict[str, int]
    """by currency, what open breaks are about in sum; the currency with the most breaks first"""
    codes: dict[str, int]
    """open breaks by code, the most frequent first"""
    oldest: datetime | None
    """when the oldest open break was opened"""


def summary(connection: Connection) -> Summary:
    """Counts and sums over the whole worklist: it reads every open break once, so ask for it seldom."""
    waits = BREAK.c.break_id.in_(
        select(RESOLUTION.c.break_id).where(RESOLUTION.c.state == "waiting", RESOLUTION.c.break_id.is_not(None))
    )
    asked = select(PART.c.line_id, PART.c.receipt_id).join(MATCH, MATCH.c.match_id == PART.c.match_id).where(UNSETTLED)
    parts = asked.subquery()
    suggested = or_(
        BREAK.c.line_id.in_(select(parts.c.line_id).where(parts.c.line_id.is_not(None))),
        BREAK.c.receipt_id.in_(select(parts.c.receipt_id).where(parts.c.receipt_id.is_not(None))),
    )
    open_ = case((or_(waits, suggested), 0), else_=1)
    rows = connection.execute(
        select(
            BREAK.c.code, BREAK.c.currency, func.count().label("breaks"), func.sum(open_).label("open"),
            cast(func.sum(BREAK.c.amount_minor), BigInteger).label("minor"),
            func.min(BREAK.c.opened_at).label("oldest"),
        )
        .where(BREAK.c.state == "open")
        .group_by(BREAK.c.code, BREAK.c.currency)
    ).all()  # fmt: skip
    closed = connection.execute(
        select(BREAK.c.closed_because, func.count().label("breaks"))
        .where(BREAK.c.state == "closed")
        .group_by(BREAK.c.closed_because)
    )
    ended = {"matched": 0, "written_off": 0, "settled": 0}
    for row in closed:
        tab = (
            "written_off"
            if row.closed_because == WRITTEN_OFF
            else "matched"
            if row.closed_because in TIED
            else "settled"
        )
        ended[tab] += row.breaks
    count = select(func.count())
    by_currency: dict[str, list[int]] = {}
    by_code: dict[str, int] = {}
    for row in rows:
        total = by_currency.setdefault(row.currency, [0, 0])
        total[0], total[1] = total[0] + row.breaks, total[1] + row.minor
        by_code[row.code] = by_code.get(row.code, 0) + row.breaks
    tabs = {
        "open": sum(int(row.open) for row in rows),
        "proposed": connection.execute(count.select_from(MATCH).where(UNSETTLED)).scalar_one(),
        "to_approve": connection.execute(
            count.select_from(RESOLUTION).where(RESOLUTION.c.state == "waiting")
        ).scalar_one(),
    } | ended  # fmt: skip
    most = sorted(by_currency.items(), key=lambda one: -one[1][0])
    return Summary(
        tabs=tabs, net_minor={currency: minor for currency, (_, minor) in most},
        codes=dict(sorted(by_code.items(), key=lambda one: (-one[1], one[0]))),
        oldest=min((keyset.aware({"at": row.oldest})["at"] for row in rows), default=None),
    )  # fmt: skip


@dataclass(frozen=True)
class Week:
    """What was recovered in the week that begins on that Monday, in minor units."""

    begins: date
    matched_minor: int
    open_minor: int


def weeks(connection: Connection, currency: str, until: date, weeks: int = WEEKS) -> list[Week]:
    """The recoveries of the last weeks by value date, the one with `until` last: what came, and what is awaited."""
    last = until - timedelta(days=until.weekday())
    first = last - timedelta(weeks=weeks - 1)
    is_matched = LINE.c.state == "matched"
    rows = connection.execute(
        select(
            LINE.c.value_date,
            cast(func.sum(case((is_matched, LINE.c.net_minor), else_=LINE.c.cash_minor)), BigInteger).label("matched"),
            cast(func.sum(case((is_matched, 0), else_=LINE.c.net_minor - LINE.c.cash_minor)), BigInteger).label("open"),
        )
        .where(
            LINE.c.state.in_(("matched", "awaiting_cash", "part_matched", "in_break")),
            LINE.c.value_date.between(first, last + timedelta(days=6)),
            LINE.c.currency == currency,
        )
        .group_by(LINE.c.value_date)
    )  # fmt: skip
    sums = {first + timedelta(weeks=number): [0, 0] for number in range(weeks)}
    for row in rows:
        week = sums[row.value_date - timedelta(days=row.value_date.weekday())]
        week[0], week[1] = week[0] + int(row.matched), week[1] + int(row.open)
    return [Week(monday, matched, awaited) for monday, (matched, awaited) in sums.items()]


def agencies(connection: Connection) -> dict[str, str]:
    """The names of all agencies by code, by name: what a filter offers."""
    rows = connection.execute(select(AGENCY.c.agency, AGENCY.c.name).order_by(AGENCY.c.name))
    return {row.agency: row.name for row in rows}


def suggestion(connection: Connection, match_id: int) -> dict[str, Any]:
    """The match with its lines and receipts, each with what is open of it. Raises UsageError where there is none."""
    row = connection.execute(select(MATCH).where(MATCH.c.match_id == match_id)).mappings().one_or_none()
    if row is None:
        raise UsageError(f"no match {match_id}", fix="the worklist lists what is proposed")
    of = select(PART.c.part_id, PART.c.amount_minor).where(PART.c.match_id == match_id).order_by(PART.c.part_id)
    names = (
        "txn_ref",
        "batch_ref",
        "agency",
        "value_date",
        "net_minor",
        "cash_minor",
        "currency",
        "account_id",
        "state",
    )
    lines = of.add_columns(LINE.c.line_id, *(LINE.c[name] for name in names)).join(
        LINE, LINE.c.line_id == PART.c.line_id
    )
    of_receipt = ("reference", "agency", "value_date", "applied_minor", "currency", "state")
    receipts = of.add_columns(
        RECEIPT.c.receipt_id, RECEIPT.c.amount_minor.label("received_minor"), *(RECEIPT.c[name] for name in of_receipt)
    ).join(RECEIPT, RECEIPT.c.receipt_id == PART.c.receipt_id)
    return keyset.aware(dict(row)) | {
        "lines": [dict(line) for line in connection.execute(lines.limit(PARTS_SHOWN)).mappings()],
        "receipts": [dict(receipt) for receipt in connection.execute(receipts.limit(PARTS_SHOWN)).mappings()],
    }


PARTS_SHOWN: Final = 200


# -- recoveries --------------------------------------------------------------------------------------------------------

LINE_STATES: Final = (
    "awaiting_cash", "part_matched", "matched", "in_break", "duplicate", "reversed", "written_off", "rejected",
)  # fmt: skip


def recoveries(
    connection: Connection,
    state: str,
    *,
    lender: str = "",
    agency: str = "",
    text: str = "",
    accounts: tuple[int, ...] = (),
    after: str | None = None,
    rows: int = keyset.ROWS,
) -> keyset.Page:
    """Remittance lines in that state, the newest value date first. Raises UsageError for a state that there is not."""
    if state not in LINE_STATES:
        raise UsageError(f"no line is ever {state!r}", fix=f"there are {', '.join(LINE_STATES)}")
    names = (
        "line_id", "txn_ref", "batch_ref", "lender", "agency", "kind", "gross_minor", "commission_minor", "net_minor",
        "cash_minor", "currency", "value_date", "state", "why",
    )  # fmt: skip
    statement = (
        select(*(LINE.c[name] for name in names), AGENCY.c.name.label("agency_name"))
        .outerjoin(AGENCY, AGENCY.c.agency == LINE.c.agency)
        .where(LINE.c.state == state)
    )
    for column, wanted in ((LINE.c.lender, lender), (LINE.c.agency, agency)):
        if wanted:
            statement = statement.where(column == wanted)
    if text or accounts:
        lines, _ = _named(connection, Wanted(text=text, accounts=accounts))
        statement = statement.where(LINE.c.line_id.in_(lines))
    return keyset.page(
        connection, statement, keyset.Order((LINE.c.value_date, LINE.c.line_id), falling=True), after, rows
    )
