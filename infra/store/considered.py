"""One line or receipt as a person asks about it: what it is tied to and by which rule, or why it is open."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sqlalchemy import Connection, and_, case, func, or_, select

from infra.store.bulk import read, table_of
from models.errors import UsageError
from models.reconcile.breaks import ABOUT
from models.reconcile.candidates import SUMMED, ranked, several_for_several, sums
from models.reconcile.outcome import REASONS
from models.tables import BankReceipt, Break, Match, MatchPart, MatchRival, RemittanceLine

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Row

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
DAYS_AROUND = 120
"""Farther away in time nothing is offered as a candidate."""
READ_AT_MOST = 2_000
NEAREST = 400
"""So many are read where no sums are looked for: twice what candidates are ranked among."""


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
    if others.empty:
        return []
    single = ranked(own, day, refs, others, limit)
    found: list[dict[str, Any]] = []
    one: Any
    for one in single.itertuples():
        said = {"off_minor": int(one.off_minor), "off_days": int(one.off_days), "likeness": int(one.likeness)}
        found.append({"by": _by(one, refs), "ids": [int(one.id)], "beside": []} | said)
    if not summed:
        return found
    around = others.assign(apart=(others["day"] - day).abs()).sort_values(["apart", "content"]).head(SUMMED)
    amounts, ids = around["amount_minor"].to_numpy(), around["id"].to_numpy()
    days = around["day"].to_numpy()
    for places in sums(own, amounts, limit):
        at = list(places)
        found.append(_summed("sum", ids[at], [], int(days[at].max()) - day))
    beside = _open_ones(connection, kind, row, own, (), READ_AT_MOST)
    beside = beside[beside["id"] != item_id]
    beside = beside.assign(apart=(beside["day"] - day).abs()).sort_values(["apart", "content"])
    for place, places in several_for_several(own, beside["amount_minor"].to_numpy(), amounts, limit):
        at = list(places)
        found.append(_summed("several", ids[at], [int(beside["id"].iloc[place])], int(days[at].max()) - day))
    return found


def _summed(by: str, ids: np.ndarray, beside: list[int], off_days: int) -> dict[str, Any]:
    return {"by": by, "ids": [int(one) for one in ids], "beside": beside, "off_minor": 0, "off_days": off_days,
            "likeness": 0}  # fmt: skip


def _by(one: Any, refs: tuple[str, ...]) -> str:
    named = {text.upper() for text in (one.reference, one.reference_2) if isinstance(text, str)}
    if named & {text.upper() for text in refs}:
        return "reference"
    return "amount" if one.off_minor == 0 else "nearest"


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
) -> pd.DataFrame:
    """Open ones around the item: `id`, `amount_minor`, `day`, `reference`, `reference_2`, `content`.

    at_most: so many of them; those that have one of the references first, then those of the nearest amount.
    """
    if kind == "line":
        amount, key, content = LINE.c.net_minor - LINE.c.cash_minor, LINE.c.line_id, LINE.c.content_id
        texts, table = (LINE.c.txn_ref, LINE.c.batch_ref), LINE
        mine = and_(LINE.c.agency == row.agency, LINE.c.kind != "direct") if row.agency else LINE.c.kind != "direct"
    else:
        amount, key, content = (
            RECEIPT.c.amount_minor - RECEIPT.c.applied_minor,
            RECEIPT.c.receipt_id,
            RECEIPT.c.reference,
        )
        texts, table = (RECEIPT.c.reference, RECEIPT.c.reference), RECEIPT
        mine = or_(RECEIPT.c.agency == row.agency, RECEIPT.c.agency.is_(None))
    first, last = (np.datetime64(row.value_date, "D") + step for step in (-DAYS_AROUND, DAYS_AROUND))
    found = read(
        connection,
        select(
            key.label("id"),
            amount.label("amount_minor"),
            table.c.value_date,
            texts[0].label("reference"),
            texts[1].label("reference_2"),
            content.label("content"),
        )
        .where(
            table.c.lender == row.lender,
            table.c.currency == row.currency,
            table.c.state.in_(OPEN[kind]),
            table.c.value_date.between(first.item(), last.item()),
            mine,
        )
        .order_by(*_named_first(texts, references), func.abs(amount - own), table.c.value_date, key)
        .limit(at_most),
    )
    found["day"] = found["value_date"].to_numpy(dtype="datetime64[D]").astype(np.int64)
    return found.assign(content=found["content"].fillna(""))


def _named_first(texts: tuple[Any, ...], references: tuple[str, ...]) -> list[Any]:
    """What sorts rows that have one of the references before all others; nothing where there is none."""
    named = [func.upper(text) == reference.upper() for text in dict.fromkeys(texts) for reference in references]
    return [case((or_(*named), 0), else_=1)] if named else []


def _paid_already(connection: Connection, receipt: Row[Any]) -> bool:
    """Whether lines that are paid have the receipt's reference."""
    # spelt out, and not folded by the store: so an index answers, of a million lines
    text = str(receipt.reference)
    spelt = {text, text.strip(), text.strip().upper(), text.strip().lower()}
    named = or_(LINE.c.txn_ref.in_(spelt), LINE.c.batch_ref.in_(spelt))
    paid = select(LINE.c.line_id).where(LINE.c.lender == receipt.lender, LINE.c.state == "matched", named).limit(1)
    return connection.execute(paid).first() is not None
