"""One line or receipt as a person asks about it: what it is tied to and by which rule, or why it is open."""

from __future__ import annotations

import json
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sqlalchemy import and_, bindparam, func, literal_column, or_, select, union_all

from infra.store.bulk import table_of
from infra.store.worklist import agencies
from models.errors import UsageError
from models.reconcile.breaks import ABOUT
from models.reconcile.candidates import SUMMED, Standing, ranked, several_for_several, sums
from models.reconcile.outcome import REASONS
from models.tables import BankReceipt, Break, Match, MatchPart, MatchRival, RemittanceLine

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, CompoundSelect, Connection, Row

BREAK = table_of(Break)
LINE = table_of(RemittanceLine)
MATCH = table_of(Match)
PART = table_of(MatchPart)
RECEIPT = table_of(BankReceipt)
RIVAL = table_of(MatchRival)

Kind = Literal["line", "receipt"]
OPEN: dict[Kind, tuple[str, ...]] = {
    "line": ("awaiting_cash", "part_matched"), "receipt": ("unapplied", "part_matched")
}  # fmt: skip
OWNERS_AT_ONCE = 100
"""Each has three parts of a UNION, of which SQLite takes no more than 500."""
DAYS_AROUND = 120
"""Farther away in time nothing is offered as a candidate."""
READ_AT_MOST = 1_000
"""So many of each sort are read where sums are looked for."""
NEAREST = 60
"""So many of each sort where none are: of those that are equally near the best is chosen by day and likeness."""


def explained(connection: Connection, kind: Kind, item_id: int) -> dict[str, Any]:
    """The line or receipt: its state, the matches it is in with what else was considered, or why it is open.

    Raises UsageError where there is none.
    """
    row = _item(connection, kind, item_id)
    told = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    why = {name: told.pop(name) for name in ("why", "why_minor", "why_days", "why_count")}
    open_minor = _open_minor(kind, row)
    result: dict[str, Any] = told | {"open_minor": open_minor if row.state in OPEN[kind] else 0}
    if row.state in OPEN[kind]:
        code = why["why"]
        if code == "unknown_reference" and _paid_already(connection, row):
            code = "paid_already"
        figures = {
            name.removeprefix("why_"): value for name, value in why.items() if value is not None and name != "why"
        }
        result["why"] = {"code": code or "not_looked_at", "says": REASONS.get(code, NOT_LOOKED_AT)} | figures
    key = PART.c[f"{kind}_id"]
    about = select(PART.c.match_id).where(key == item_id)
    result["matches"] = [_match(connection, one) for one in connection.execute(
        select(MATCH).where(MATCH.c.match_id.in_(about)).order_by(MATCH.c.match_id)
    )]  # fmt: skip
    result["breaks"] = [
        {"break_id": one.break_id, "code": one.code, "state": one.state, "amount_minor": one.amount_minor,
         "says": ABOUT.get(one.code, "")} | json.loads(one.detail)
        for one in connection.execute(
            select(BREAK).where(BREAK.c[f"{kind}_id"] == item_id).order_by(BREAK.c.break_id)
        )
    ]  # fmt: skip
    return result


NOT_LOOKED_AT = "it came after the last `consign recon run`"


def _match(connection: Connection, match: Row[Any]) -> dict[str, Any]:
    parts = connection.execute(
        select(PART.c.line_id, PART.c.receipt_id, PART.c.amount_minor)
        .where(PART.c.match_id == match.match_id)
        .order_by(PART.c.part_id)
        .limit(PARTS_SHOWN)
    )
    rivals = connection.execute(
        select(RIVAL.c.line_id, RIVAL.c.receipt_id, RIVAL.c.off_minor, RIVAL.c.off_days)
        .where(RIVAL.c.match_id == match.match_id)
        .order_by(RIVAL.c.rival_id)
    )
    names = ("match_id", "rule", "rule_version", "status", "amount_minor", "candidates", "made_at", "made_by")
    return {name: getattr(match, name) for name in names} | {
        "parts": [_without_none(part) for part in parts.mappings()],
        "preferred_to": [_without_none(rival) for rival in rivals.mappings()],
    }


PARTS_SHOWN = 50


def _without_none(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def candidates(
    connection: Connection, item: tuple[Kind, int], limit: int = 10, *, summed: bool = True
) -> list[dict[str, Any]]:
    """What may belong to the item, the best first; then sums of two and three, then several against several.

    Each with `ids` (of the other side), `beside` (others of its own side), `off_minor`, `off_days`, and `by`:
    `reference`, `amount`, `nearest`, `sum` or `several`. Open ones of its lender, agency and currency alone.
    summed: whether sums are looked for, which takes longer. Raises UsageError where there is no such item, or nothing
    of it is open.
    """
    kind, item_id = item
    row = _item(connection, kind, item_id)
    if row.state not in OPEN[kind]:
        fix = f"`consign recon explain {kind} {item_id}` says what it is tied to"
        raise UsageError(f"{kind} {item_id} is {row.state}: nothing of it is open", fix=fix)
    own, day = _open_minor(kind, row), _day(row.value_date)
    refs = tuple(text for text in ((row.txn_ref, row.batch_ref) if kind == "line" else (row.reference,)) if text)
    other: Kind = "receipt" if kind == "line" else "line"
    others = _open_ones(connection, other, row, own, refs, READ_AT_MOST if summed else NEAREST)
    found: list[dict[str, Any]] = [
        {
            "by": "reference" if one.is_named else "nearest" if one.off_minor else "amount", "ids": [one.one.id],
            "beside": [], "off_minor": one.off_minor, "off_days": one.off_days, "likeness": one.likeness,
        }
        for one in ranked(own, day, refs, others, limit)
    ]  # fmt: skip
    if not summed or not others:
        return found
    around = _in_time(others, day)[:SUMMED]
    amounts, ids, days = (
        np.array([getattr(one, name) for one in around], dtype=np.int64) for name in ("amount_minor", "id", "day")
    )
    for places in sums(own, amounts, limit):
        at = list(places)
        found.append(_summed("sum", ids[at], [], int(days[at].max()) - day))
    own_side = _open_ones(connection, kind, row, own, (), READ_AT_MOST)
    beside = _in_time([one for one in own_side if one.id != item_id], day)
    besides = np.array([one.amount_minor for one in beside], dtype=np.int64)
    for place, places in several_for_several(own, besides, amounts, limit):
        at = list(places)
        found.append(_summed("several", ids[at], [beside[place].id], int(days[at].max()) - day))
    return found


def _in_time(rows: list[Standing], day: int) -> list[Standing]:
    """The nearest in time first."""
    return sorted(rows, key=lambda one: (abs(one.day - day), one.content))


def _summed(by: str, ids: np.ndarray, beside: list[int], off_days: int) -> dict[str, Any]:
    return {"by": by, "ids": [int(one) for one in ids], "beside": beside, "off_minor": 0, "off_days": off_days,
            "likeness": 0}  # fmt: skip


def _item(connection: Connection, kind: Kind, item_id: int) -> Row[Any]:
    table, key = (LINE, LINE.c.line_id) if kind == "line" else (RECEIPT, RECEIPT.c.receipt_id)
    row = connection.execute(select(table).where(key == item_id)).one_or_none()
    if row is None:
        raise UsageError(f"no {kind} {item_id}", fix="`consign recon breaks` names lines and receipts")
    return row


def _open_minor(kind: Kind, row: Row[Any]) -> int:
    return int(row.net_minor - row.cash_minor if kind == "line" else row.amount_minor - row.applied_minor)


def _day(day: Any) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def _open_ones(
    connection: Connection, kind: Kind, row: Row[Any], own: int, references: tuple[str, ...], at_most: int
) -> list[Standing]:
    """Open ones around the item.

    at_most: so many of each sort: those that have one of the references, those of the nearest amount above and below,
    and of an agency's.
    """
    # a line that belongs to a receipt of nobody's may be anybody's
    owners = [row.agency, None] if kind == "receipt" else [row.agency] if row.agency else list(agencies(connection))
    first, last = (row.value_date + timedelta(days) for days in (-DAYS_AROUND, DAYS_AROUND))
    told = {"lender": row.lender, "currency": row.currency, "first": first, "last": last, "own": own, "most": at_most}
    told |= {"spelt": sorted({way for text in references for way in _spelt(text)})} if references else {}
    found: dict[tuple[Any, ...], None] = {}
    for at in range(0, len(owners), OWNERS_AT_ONCE):
        some = owners[at : at + OWNERS_AT_ONCE]
        whose = {f"agency_{place}": owner for place, owner in enumerate(some)}  # nobody equals none
        asked = _around(kind, len(some), is_named=bool(references))
        found |= dict.fromkeys(map(tuple, connection.execute(asked, told | whose)))
    return [
        Standing(number, minor, day.toordinal() - FIRST_DAY, tuple(text for text in named if text), of or "")
        for number, minor, day, *named, of in found
    ]


@cache
def _around(kind: Kind, owners: int, *, is_named: bool) -> CompoundSelect[Any]:
    """Each part of it is answered by an index; written once, for writing it takes longer than answering."""
    if kind == "line":
        table, key, whole, done, content = LINE, LINE.c.line_id, LINE.c.net_minor, LINE.c.cash_minor, LINE.c.content_id
        texts: tuple[Any, ...] = (LINE.c.txn_ref, LINE.c.batch_ref)
    else:
        table, key, whole, done = RECEIPT, RECEIPT.c.receipt_id, RECEIPT.c.amount_minor, RECEIPT.c.applied_minor
        content, texts = RECEIPT.c.reference, (RECEIPT.c.reference,)
    left, own = whole - done, bindparam("own", type_=whole.type)
    # as an expression no index knows it: else SQLite reads all of the time around, and sorts it
    day = func.coalesce(table.c.value_date, table.c.value_date)
    asked = select(key, left.label("left_minor"), table.c.value_date, *texts, content.label("content")).where(
        table.c.lender == bindparam("lender"),
        table.c.currency == bindparam("currency"),
        day.between(bindparam("first"), bindparam("last")),
        *([LINE.c.kind != "direct"] if kind == "line" else []),
    )
    of = [table.c.agency == bindparam(f"agency_{at}") for at in range(owners - (kind == "receipt"))]
    of += [table.c.agency.is_(None)] if kind == "receipt" else []
    # spelt out: only so does SQLite see that the index of what is open will do
    is_open: ColumnElement[bool] = literal_column(f"{table.name}.state IN {OPEN[kind]}")
    fresh, part = (and_(is_open, table.c.state == state) for state in OPEN[kind])
    by_size = func.abs(left - own)
    parts = [
        asked.where(or_(*of), table.c.state.in_(OPEN[kind]), text.in_(bindparam("spelt", expanding=True)))
        .order_by(by_size, key)
        for text in (texts if is_named else ())
    ]  # fmt: skip
    for owner in of:
        here = asked.where(owner, fresh)  # nothing is tied yet: the whole is open
        parts += [
            here.where(whole >= own).order_by(whole, table.c.value_date, key),
            here.where(whole < own).order_by(whole.desc(), table.c.value_date.desc(), key.desc()),
            asked.where(owner, part).order_by(by_size, key),
        ]
    return union_all(*(select(one.limit(bindparam("most")).subquery()) for one in parts))


FIRST_DAY = date(1970, 1, 1).toordinal()


def _spelt(text: str) -> set[str]:
    """Ways to write a reference; spelt out, and not folded by the store: so an index answers, of a million lines."""
    return {text, text.strip(), text.strip().upper(), text.strip().lower()}


def _paid_already(connection: Connection, receipt: Row[Any]) -> bool:
    """Whether lines that are paid have the receipt's reference."""
    spelt = _spelt(str(receipt.reference))
    named = or_(LINE.c.txn_ref.in_(spelt), LINE.c.batch_ref.in_(spelt))
    paid = select(LINE.c.line_id).where(LINE.c.lender == receipt.lender, LINE.c.state == "matched", named).limit(1)
    return connection.execute(paid).first() is not None
