"""Resolutions carried out: what they do to lines, receipts, matches, breaks and the books, and how it is taken back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import and_, insert, or_, select, update

from infra.store import bulk, ledger, recon
from infra.store.resolutions import (
    BREAK,
    LINE,
    MATCH,
    PART,
    RECEIPT,
    RESOLUTION,
    SETTLED_BY_MATCH,
    found_as,
    lines_of,
    one,
    parts_of,
    receipts_of,
    row_of,
)
from models import postings
from models.errors import RefusedByPolicy
from models.tables import JournalEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row

ENTRY = bulk.table_of(JournalEntry)
BY_HAND: Final = "by_hand"
TIED: Final = "tied by a person"


class Stale(RefusedByPolicy):
    """Something moved between the proposal and the last agreement."""


@dataclass
class Done:
    """What was changed: the match made, and what `undo` needs."""

    match_id: int | None = None
    before: dict[str, Any] = field(default_factory=dict)


def carry_out(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:
    """The resolution is done, and what it did said. Raises Stale where something has moved since it was proposed."""
    _unmoved(connection, row, body)
    act = {
        "match": _match, "unmatch": _unmatch, "write_off": _write_off, "count": _count, "reject": _reject,
        "not_ours": _not_ours, "settle": _settle, "refund": _refund, "undo": _undo,
    }[row.kind]  # fmt: skip
    return act(connection, row, body, by, now)


def _match(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:
    match_id = bulk.reserve(connection, "match", 1)
    head = {
        "match_id": match_id, "rule": BY_HAND, "rule_version": 1, "status": "confirmed", "lender": row.lender,
        "agency": row.agency, "currency": row.currency, "amount_minor": row.amount_minor, "candidates": 1,
        "made_at": now, "made_by": by,
    }  # fmt: skip
    connection.execute(insert(MATCH).values(**head))
    amounts = {name: dict(body[f"{name}s"]) for name in ("line", "receipt")}
    first = bulk.reserve(connection, "match_part", len(amounts["line"]) + len(amounts["receipt"]))
    told = [(f"{name}_id", id_, amount) for name, of in amounts.items() for id_, amount in of.items()]
    connection.execute(
        insert(PART),
        [
            {
                "part_id": first + place,
                "match_id": match_id,
                "line_id": None,
                "receipt_id": None,
                "amount_minor": amount,
            }
            | {name: id_}
            for place, (name, id_, amount) in enumerate(told)
        ],
    )
    lines, receipts = lines_of(connection, amounts["line"]), receipts_of(connection, amounts["receipt"])
    paid = lines["line_id"].map(amounts["line"]).astype("int64")
    _move_lines(connection, lines, paid)
    _move_receipts(connection, receipts, receipts["receipt_id"].map(amounts["receipt"]).astype("int64"))
    _drop_suggestions(connection, amounts["line"], amounts["receipt"])
    which = and_(BREAK.c.code.in_(SETTLED_BY_MATCH), _about(amounts["line"], amounts["receipt"]))
    closed = _close(connection, which, TIED, now)
    nothing = np.zeros(len(lines), dtype=np.int64)
    ledger.post(
        connection,
        postings.cash(_events(lines, "cash", row, receipts["value_date"].max()), paid, nothing, nothing),
        now,
    )
    return Done(match_id, {"breaks": closed})


def _unmatch(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:
    return _untie(connection, row, int(body["match"]), by, now)


def _untie(connection: Connection, row: Row[Any], match_id: int, by: str, now: datetime) -> Done:  # noqa: ARG001
    """The match ties nothing any more, and the rules leave its lines and receipts to people."""
    parts = parts_of(connection, match_id)
    of_line = parts.dropna(subset="line_id").groupby("line_id")["amount_minor"].sum()
    of_receipt = parts.dropna(subset="receipt_id").groupby("receipt_id")["amount_minor"].sum()
    lines, receipts = lines_of(connection, of_line.index), receipts_of(connection, of_receipt.index)
    paid = -lines["line_id"].map(of_line).astype("int64")
    used = -receipts["receipt_id"].map(of_receipt).astype("int64")
    # what the contract's tolerance gave up closed the row with a rest: that comes back with the match
    short = -lines["open_minor"].where(lines["state"] == "matched", 0)
    over = -receipts["open_minor"].where(receipts["state"] == "matched", 0)
    connection.execute(update(MATCH).where(MATCH.c.match_id == match_id).values(status="undone"))
    _move_lines(connection, lines, paid, by_hand=True)
    _move_receipts(connection, receipts, used, by_hand=True)
    counting = lines["posted_at"].notna()
    day = receipts["value_date"].max()
    journal = [
        postings.cash(
            _events(lines[counting], "cash", row, day), paid[counting], short[counting],
            np.zeros(int(counting.sum()), dtype=np.int64),
        )
    ]  # fmt: skip
    if over.any():
        nothing = np.zeros(len(receipts), dtype=np.int64)
        events = _events(receipts.assign(agency=receipts["agency"].fillna("")), "cash_over", row, day)
        journal.append(postings.cash(events, nothing, nothing, over))
    ledger.post(connection, pd.concat(journal, ignore_index=True), now)
    again = and_(
        BREAK.c.code.in_(SETTLED_BY_MATCH), BREAK.c.state == "closed", _about(lines["line_id"], receipts["receipt_id"])
    )
    _reopen(connection, again)
    return Done()


def _write_off(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:  # noqa: ARG001
    amount = int(body["amount_minor"])
    if body["line"] is not None:
        items = lines_of(connection, [body["line"]])
        connection.execute(update(LINE).where(LINE.c.line_id == body["line"]).values(state="written_off"))
        journal = postings.write_off(_events(items, "write_off", row, now.date()), np.array([amount]), np.array([0]))
    else:
        items = receipts_of(connection, [body["receipt"]])
        connection.execute(update(RECEIPT).where(RECEIPT.c.receipt_id == body["receipt"]).values(state="matched"))
        journal = postings.write_off(_events(items, "write_off", row, now.date()), np.array([0]), np.array([amount]))
    ledger.post(connection, journal, now)
    about = _about(*([body[name]] if body[name] is not None else [] for name in ("line", "receipt")))
    closed = _close(
        connection, and_(BREAK.c.code.in_((*SETTLED_BY_MATCH, "late_remittance")), about), "written off", now
    )
    return Done(before={"state": items["state"].iloc[0], "breaks": closed})


def _count(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:  # noqa: ARG001
    line = lines_of(connection, [body["line"]])
    recon.count_by_hand(connection, int(body["line"]), f"resolution:{row.resolution_id}", now)
    closed = _close(connection, BREAK.c.break_id == row.break_id, "a person let the line count", now)
    return Done(before={"state": line["state"].iloc[0], "breaks": closed})


def _reject(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:  # noqa: ARG001
    line = lines_of(connection, [body["line"]])
    connection.execute(update(LINE).where(LINE.c.line_id == body["line"]).values(state="rejected"))
    closed = _close(connection, BREAK.c.line_id == body["line"], "a person rejected the line", now)
    return Done(before={"state": line["state"].iloc[0], "breaks": closed})


def _not_ours(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:  # noqa: ARG001
    connection.execute(update(RECEIPT).where(RECEIPT.c.receipt_id == body["receipt"]).values(state="not_ours"))
    _drop_suggestions(connection, [], [body["receipt"]])
    return Done(before={"breaks": _close(connection, BREAK.c.receipt_id == body["receipt"], "not of any agency", now)})


def _settle(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:  # noqa: ARG001
    because = f"accepted as it stands: {row.reason}"
    return Done(before={"breaks": _close(connection, BREAK.c.break_id == body["break"], because, now)})


def _refund(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:  # noqa: ARG001
    receipt = receipts_of(connection, [body["receipt"]])
    connection.execute(update(RECEIPT).where(RECEIPT.c.receipt_id == body["receipt"]).values(state="matched"))
    events = _events(receipt.assign(agency=row.agency), "refund_paid", row, receipt["value_date"].iloc[0])
    events["account_id"] = pd.array([body["account_id"]], dtype="Int64")
    ledger.post(connection, postings.refund_paid(events, np.array([row.amount_minor])), now)
    closed = _close(connection, BREAK.c.break_id == body["break"], "paid back to the debtor", now)
    return Done(before={"state": receipt["state"].iloc[0], "breaks": closed})


def _undo(connection: Connection, row: Row[Any], body: Mapping[str, Any], by: str, now: datetime) -> Done:
    """What the other resolution did is taken back: states as before, the books by a mirror of its postings."""
    other = one(connection, int(body["resolution"]))
    told, before = json.loads(other.body), json.loads(other.before)
    done = Done()
    if other.kind == "match":
        done = _untie(connection, row, int(other.match_id), by, now)
    elif other.kind == "count":
        _take_out(connection, other, row, int(told["line"]), before["state"], now)
    else:
        _as_before(connection, other, told, before)
        _mirror(connection, ENTRY.c.entry_key.like(f"%:resolution:{other.resolution_id}:%"), now)
    _reopen(connection, BREAK.c.break_id.in_(before.get("breaks", [])))
    connection.execute(
        update(RESOLUTION)
        .where(RESOLUTION.c.resolution_id == other.resolution_id)
        .values(state="undone", undone_by=row.resolution_id)
    )
    return done


def _as_before(connection: Connection, other: Row[Any], told: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """The line or receipt is as the other resolution found it. Raises Stale where more was done with it since."""
    after = {"write_off": {"line": "written_off", "receipt": "matched"}, "reject": {"line": "rejected"},
             "not_ours": {"receipt": "not_ours"}, "refund": {"receipt": "matched"}}.get(other.kind, {})  # fmt: skip
    for name, table, key in (("line", LINE, LINE.c.line_id), ("receipt", RECEIPT, RECEIPT.c.receipt_id)):
        if name not in after or told.get(name) is None:
            continue
        same = and_(key == told[name], table.c.state == after[name])
        moving = update(table).where(same).values(state=before.get("state", "unapplied"))
        if not connection.execute(moving).rowcount:
            raise _moved_on(f"{name} {told[name]}", other)


def _take_out(connection: Connection, other: Row[Any], row: Row[Any], line_id: int, state: str, now: datetime) -> None:
    """A line that was let in is out of the books again; money tied to it stays tied, and goes back to `unapplied`."""
    line = lines_of(connection, [line_id])
    found = line.iloc[0]
    given_up = found["state"] == "written_off" or (found["state"] == "matched" and found["open_minor"])
    if given_up or found["state"] == "reversed" or pd.notna(found["statement_id"]):
        raise _moved_on(f"line {line_id}", other)
    out = {"state": state, "posted_at": None, "due_commission_minor": None, "due_vat_minor": None, "rate": None}
    connection.execute(update(LINE).where(LINE.c.line_id == line_id).values(**out))
    of_count = ENTRY.c.entry_key.like(f"%:resolution:{other.resolution_id}:%")
    _mirror(connection, and_(of_count, ENTRY.c.event != "cash"), now)
    nothing = np.zeros(1, dtype=np.int64)
    events = _events(line, "cash", row, found["value_date"])
    ledger.post(connection, postings.cash(events, -line["cash_minor"], nothing, nothing), now)


def _moved_on(what: str, other: Row[Any]) -> Stale:
    return Stale(f"{what} has moved on since resolution {other.resolution_id}", fix="undo what came after it first")


def _mirror(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    """Those entries stand in the books once more, with the signs turned."""
    keys = connection.execute(select(ENTRY.c.entry_key).where(which).order_by(ENTRY.c.entry_id)).scalars()
    ledger.reverse(connection, list(keys), now)


# -- rows --------------------------------------------------------------------------------------------------------------


def _unmoved(connection: Connection, row: Row[Any], body: Mapping[str, Any]) -> None:
    """Raises Stale unless all is as it was when the resolution was proposed."""
    was = body["was"]
    now = found_as(*(
        read(connection, [id_ for id_, *_ in was.get(name, [])])
        for name, read in (("lines", lines_of), ("receipts", receipts_of))
    ))  # fmt: skip
    moved = [
        f"{name[:-1]} {old[0]}"
        for name in now
        for old, new in zip(was.get(name, []), now[name], strict=True)
        if old != new
    ]
    if "match" in body and row_of(connection, MATCH, MATCH.c.match_id, body["match"], "match").status != was["match"]:
        moved.append(f"match {body['match']}")
    if "break" in body:
        now_ = row_of(connection, BREAK, BREAK.c.break_id, body["break"], "break")
        if (now_.state, now_.amount_minor) != (was["break"], was["amount_minor"]):
            moved.append(f"break {body['break']}")
    if "resolution" in body and one(connection, body["resolution"]).state != was["state"]:
        moved.append(f"resolution {body['resolution']}")
    if moved:
        raise Stale(
            f"{moved[0]} has moved since resolution {row.resolution_id} was proposed",
            fix="look again, and propose anew",
        )


def _move_lines(connection: Connection, lines: pd.DataFrame, paid: pd.Series, *, by_hand: bool = False) -> None:
    """So much more (less) money is tied to the lines; lines that are not in the books stay in break."""
    cash = lines["cash_minor"] + paid
    state = np.select([cash == lines["net_minor"], cash == 0], ["matched", "awaiting_cash"], "part_matched")
    states = pd.Series(state, index=lines.index, dtype="str").where(lines["posted_at"].notna(), lines["state"])
    moved = lines[["line_id"]].assign(cash_minor=cash, state=states)
    bulk.set_columns(connection, LINE, moved.assign(by_hand=True) if by_hand else moved, ["line_id"])


def _move_receipts(connection: Connection, receipts: pd.DataFrame, used: pd.Series, *, by_hand: bool = False) -> None:
    applied = receipts["applied_minor"] + used
    state = np.select([applied == receipts["amount_minor"], applied == 0], ["matched", "unapplied"], "part_matched")
    moved = receipts[["receipt_id"]].assign(
        applied_minor=applied, state=pd.Series(state, index=receipts.index, dtype="str")
    )
    bulk.set_columns(connection, RECEIPT, moved.assign(by_hand=True) if by_hand else moved, ["receipt_id"])


def _about(lines: Iterable[int], receipts: Iterable[int]) -> ColumnElement[bool]:
    return or_(BREAK.c.line_id.in_([*map(int, lines)]), BREAK.c.receipt_id.in_([*map(int, receipts)]))


def _drop_suggestions(connection: Connection, lines: Iterable[int], receipts: Iterable[int]) -> None:
    """What the rules suggested about these rows is answered."""
    of = or_(PART.c.line_id.in_([*map(int, lines)]), PART.c.receipt_id.in_([*map(int, receipts)]))
    about = MATCH.c.match_id.in_(select(PART.c.match_id).where(of))
    connection.execute(
        update(MATCH).where(about, MATCH.c.status.in_(("suggested", "ambiguous"))).values(status="undone")
    )


def _close(connection: Connection, which: ColumnElement[bool], because: str, now: datetime) -> list[int]:
    """The open breaks that `which` holds for are closed; their numbers."""
    ids = [*connection.execute(select(BREAK.c.break_id).where(which, BREAK.c.state == "open")).scalars()]
    recon.close_breaks(connection, BREAK.c.break_id.in_(ids), because, now)
    return ids


def _reopen(connection: Connection, which: ColumnElement[bool]) -> None:
    opened = {"state": "open", "closed_at": None, "closed_because": None}
    connection.execute(update(BREAK).where(which, BREAK.c.state == "closed").values(**opened))


def _events(rows: pd.DataFrame, event: str, row: Row[Any], day: Any) -> pd.DataFrame:
    """The rows with the keys of one entry per agency, of this resolution."""
    agency = rows["agency"].astype("str").fillna("")
    return pd.DataFrame(
        {
            "entry_key": f"{event}:resolution:{row.resolution_id}:" + agency,
            "event": pd.Series(event, index=rows.index, dtype="str"),
            "lender": rows["lender"],
            "agency": agency.where(agency != ""),
            "value_date": pd.Series(pd.Timestamp(day), index=rows.index).astype("datetime64[us]"),
            "currency": rows["currency"],
            "account_id": pd.array([pd.NA] * len(rows), dtype="Int64"),
        }
    )
