"""What a resolution is about, from the ids that a person gave: lines, receipts, matches and breaks as they stand.

`prepare_…` refuses what cannot be meant, and keeps what it found, for infra/store/carrying.py to compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import Connection, select

from infra.store import bulk
from models.errors import UsageError
from models.reconcile.breaks import BLOCKING, DUPLICATE
from models.reconcile.resolutions import shared_out
from models.tables import BankReceipt, Break, JournalEntry, JournalLine, Match, MatchPart, RemittanceLine, Resolution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Row, Table

BREAK, LINE, MATCH, PART = (bulk.table_of(row) for row in (Break, RemittanceLine, Match, MatchPart))
RECEIPT, RESOLUTION = bulk.table_of(BankReceipt), bulk.table_of(Resolution)
ENTRY, LEG = bulk.table_of(JournalEntry), bulk.table_of(JournalLine)

OPEN_LINE: Final = ("awaiting_cash", "part_matched")
OPEN_RECEIPT: Final = ("unapplied", "part_matched")
SETTLED_BY_MATCH: Final = ("no_receipt", "no_line", "ambiguous", "amount_diff")
COUNTABLE: Final = frozenset({"before_placement", "after_recall"}) | DUPLICATE
"""What a person may let into the books; of the others nobody knows whose debt, or in which currency, it would be."""
SETTLEABLE: Final = frozenset(
    {"fee_netted", "commission_diff", "vat_diff", "overpayment", "late_remittance", "direct_payment_claim"}
)
"""Differences that stand beside lines that count: they can be accepted as they are."""
BY_HAND: Final = "by_hand"
TIED: Final = "tied by a person"
UNTIED: Final = "untied by a person"


@dataclass(frozen=True)
class Prepared:
    """What a resolution is about. `body`: what is stored, ids and amounts, with `was`: what it found."""

    lender: str
    agency: str | None
    currency: str
    amount_minor: int
    body: dict[str, Any]
    break_id: int | None = None


# -- what it is about --------------------------------------------------------------------------------------------------


def prepare_match(
    connection: Connection, lines: Sequence[int], receipts: Sequence[int], amounts: Mapping[int, int]
) -> Prepared:
    """Lines and receipts to be tied; UsageError where one of them is not open, or not of one lender and currency."""
    ours, theirs = lines_of(connection, lines), receipts_of(connection, receipts)
    _refuse(ours[~(ours["state"].isin(OPEN_LINE) & ours["posted_at"].notna())], "line_id", "line", "wait for money")
    _refuse(theirs[~theirs["state"].isin(OPEN_RECEIPT)], "receipt_id", "receipt", "have anything open")
    both = pd.concat([ours[["lender", "currency"]], theirs[["lender", "currency"]]])
    if len(both.drop_duplicates()) != 1:
        raise UsageError(
            "a match has one lender and one currency", fix="name lines and receipts of one lender, in one currency"
        )
    of_lines, of_receipts = shared_out(ours, theirs, amounts)
    agencies = set(ours["agency"])
    body = {
        "lines": of_lines.to_numpy().tolist(), "receipts": of_receipts.to_numpy().tolist(),
        "was": found_as(ours, theirs),
    }  # fmt: skip
    return Prepared(
        str(ours["lender"].iloc[0]), agencies.pop() if len(agencies) == 1 else None, str(ours["currency"].iloc[0]),
        abs(int(of_lines["amount_minor"].sum())), body,
    )  # fmt: skip


def prepare_unmatch(connection: Connection, match_id: int) -> Prepared:
    """A match to be taken apart; UsageError where it is none that holds money."""
    match = row_of(connection, MATCH, MATCH.c.match_id, match_id, "match")
    if match.status != "confirmed":
        raise UsageError(
            f"match {match_id} is {match.status}: it ties nothing", fix="`consign recon show` says what ties"
        )
    parts = parts_of(connection, match_id)
    ours, theirs = (sorted(parts[name].dropna().astype("int64").unique()) for name in ("line_id", "receipt_id"))
    if not ours or not theirs:
        fix = "a reversal and its original stay together; a line that is wrong is undone by the agency's next file"
        raise UsageError(f"match {match_id} ties no line to a receipt", fix=fix)
    lines, receipts = lines_of(connection, ours), receipts_of(connection, theirs)
    _refuse(
        lines[lines["state"] == "written_off"],
        "line_id",
        "line",
        "stand still: its rest was written off; undo that first",
    )
    body = {"match": match_id, "was": found_as(lines, receipts) | {"match": match.status}}
    return Prepared(match.lender, match.agency, match.currency, abs(match.amount_minor), body)


def prepare_write_off(connection: Connection, line: int | None, receipt: int | None) -> Prepared:
    """What is still open of one line or one receipt, to be given up."""
    if (line is None) == (receipt is None):
        raise UsageError("a write-off is of one line or of one receipt", fix="give --line or --receipt")
    ours = lines_of(connection, [line] if line is not None else [])
    theirs = receipts_of(connection, [receipt] if receipt is not None else [])
    _refuse(
        ours[~(ours["state"].isin(OPEN_LINE) & ours["posted_at"].notna())],
        "line_id",
        "line",
        "have a rest in the books",
    )
    _refuse(theirs[~theirs["state"].isin(OPEN_RECEIPT)], "receipt_id", "receipt", "have a rest")
    row = (ours if line is not None else theirs).iloc[0]
    amount = int(row["open_minor"])
    body = {"line": line, "receipt": receipt, "amount_minor": amount, "was": found_as(ours, theirs)}
    return Prepared(str(row["lender"]), _text(row["agency"]), str(row["currency"]), abs(amount), body)


def prepare_line(connection: Connection, kind: str, line: int) -> Prepared:
    """A line that a break keeps out, to be counted or rejected."""
    ours = lines_of(connection, [line])
    row = ours.iloc[0]
    out = connection.execute(
        select(BREAK).where(BREAK.c.line_id == line, BREAK.c.state == "open", BREAK.c.code.in_(BLOCKING | DUPLICATE))
    ).first()
    if row["state"] not in {"in_break", "duplicate"} or out is None:
        raise UsageError(
            f"line {line} is {row['state']}: no break keeps it out", fix="`consign recon breaks` lists breaks"
        )
    if kind == "count" and out.code not in COUNTABLE:
        raise UsageError(
            f"line {line} cannot count: {out.code}",
            fix="reject it, and let the agency send it right; or wait for what is missing",
        )
    if kind == "reject" and row["cash_minor"]:
        raise UsageError(
            f"line {line} has money tied to it", fix="unmatch that first: `consign recon show` names the match"
        )
    body = {"line": line, "code": out.code, "was": found_as(ours, receipts_of(connection, []))}
    return Prepared(
        str(row["lender"]), str(row["agency"]), str(row["currency"]), abs(int(row["gross_minor"])), body, out.break_id
    )


def prepare_not_ours(connection: Connection, receipt: int) -> Prepared:
    """A receipt that has nothing to do with any agency."""
    theirs = receipts_of(connection, [receipt])
    _refuse(theirs[theirs["state"] != "unapplied"], "receipt_id", "receipt", "wait for a line")
    row = theirs.iloc[0]
    body = {"receipt": receipt, "was": found_as(lines_of(connection, []), theirs)}
    return Prepared(str(row["lender"]), _text(row["agency"]), str(row["currency"]), abs(int(row["amount_minor"])), body)


def prepare_settle(connection: Connection, break_id: int) -> Prepared:
    """A difference to be accepted as it stands."""
    row = row_of(connection, BREAK, BREAK.c.break_id, break_id, "break")
    if row.state != "open":
        raise UsageError(f"break {break_id} is closed: {row.closed_because}")
    if row.code not in SETTLEABLE:
        fix = "match or write off what is open" if row.code not in BLOCKING | DUPLICATE else "count or reject the line"
        raise UsageError(f"break {break_id} ({row.code}) is no difference that can stand", fix=fix)
    body = {"break": break_id, "was": {"break": row.state, "amount_minor": row.amount_minor}}
    return Prepared(row.lender, row.agency, row.currency, abs(row.amount_minor), body, break_id)


def prepare_refund(connection: Connection, receipt: int, break_id: int) -> Prepared:
    """A transfer out of our account that gave back to a debtor what an overpayment left over, to the last cent."""
    theirs = receipts_of(connection, [receipt])
    row, over = theirs.iloc[0], row_of(connection, BREAK, BREAK.c.break_id, break_id, "break")
    if over.code != "overpayment" or over.state != "open" or over.account_id is None:
        raise UsageError(f"break {break_id} is no open overpayment", fix="`consign recon breaks --code overpayment`")
    if row["state"] not in {"unapplied", "not_ours"} or (row["lender"], row["currency"]) != (
        over.lender,
        over.currency,
    ):
        fix = "name a transfer out of the same lender's account, in the same currency, that is for nothing else"
        raise UsageError(f"receipt {receipt} is {row['state']}, of {row['lender']} in {row['currency']}", fix=fix)
    if -int(row["amount_minor"]) != over.amount_minor:
        fix = "a refund gives back exactly what is over; wait until the two are the same"
        raise UsageError(f"{-int(row['amount_minor'])} minor units went out, {over.amount_minor} are over", fix=fix)
    was = found_as(lines_of(connection, []), theirs) | {"break": over.state, "amount_minor": over.amount_minor}
    body = {"receipt": receipt, "break": break_id, "account_id": over.account_id, "was": was}
    return Prepared(over.lender, over.agency, over.currency, over.amount_minor, body, break_id)


def prepare_undo(connection: Connection, resolution_id: int) -> Prepared:
    """A resolution that was carried out, to be taken back."""
    row = one(connection, resolution_id)
    if row.state != "done":
        raise UsageError(f"resolution {resolution_id} is {row.state}: there is nothing to undo")
    if row.kind in {"unmatch", "undo"}:
        raise UsageError(f"resolution {resolution_id} took something back itself", fix="do again what it took back")
    body = {"resolution": resolution_id, "was": {"state": row.state}}
    return Prepared(row.lender, row.agency, row.currency, row.amount_minor, body, row.break_id)


# -- rows --------------------------------------------------------------------------------------------------------------


def one(connection: Connection, resolution_id: int) -> Row[Any]:
    """The resolution's row. Raises UsageError where there is none."""
    return row_of(connection, RESOLUTION, RESOLUTION.c.resolution_id, resolution_id, "resolution")


def row_of(connection: Connection, table: Table, key: ColumnElement[int], wanted: int, what: str) -> Row[Any]:
    """The row of that key. Raises UsageError where there is none."""
    row = connection.execute(select(table).where(key == wanted)).one_or_none()
    if row is None:
        raise UsageError(
            f"there is no {what} {wanted}", fix="`consign recon breaks` and `consign recon show` name them"
        )
    return row


def lines_of(connection: Connection, ids: Iterable[int]) -> pd.DataFrame:
    """The lines, with what is still open of each; all of them or UsageError."""
    return _rows(connection, LINE, "line_id", ids, LINE.c.net_minor - LINE.c.cash_minor, "line")


def receipts_of(connection: Connection, ids: Iterable[int]) -> pd.DataFrame:
    """The receipts, with what is still open of each; all of them or UsageError."""
    return _rows(connection, RECEIPT, "receipt_id", ids, RECEIPT.c.amount_minor - RECEIPT.c.applied_minor, "receipt")


def _rows(
    connection: Connection, table: Table, key: str, ids: Iterable[int], rest: ColumnElement[int], what: str
) -> pd.DataFrame:
    wanted = sorted({int(id_) for id_ in ids})
    with bulk.staged(connection, table, pd.DataFrame({key: np.array(wanted, dtype=np.int64)})) as stage:
        found = bulk.read(
            connection,
            select(table, rest.label("open_minor")).join(stage, stage.c[key] == table.c[key]).order_by(table.c[key]),
        )
    if missing := sorted(set(wanted) - set(found[key])):
        raise UsageError(f"there is no {what} {missing[0]}", fix="`consign recon show BREAK` names lines and receipts")
    return found


def parts_of(connection: Connection, match_id: int) -> pd.DataFrame:
    """The parts of a match, in order."""
    return bulk.read(connection, select(PART).where(PART.c.match_id == match_id).order_by(PART.c.part_id))


def _refuse(wrong: pd.DataFrame, key: str, what: str, cannot: str) -> None:
    if len(wrong):
        row = wrong.iloc[0]
        raise UsageError(
            f"{what} {row[key]} is {row['state']}, and does not {cannot}", fix="`consign recon show` says why"
        )


def found_as(lines: pd.DataFrame, receipts: pd.DataFrame) -> dict[str, Any]:
    """What a later look is compared with: states and open amounts."""
    return {
        "lines": lines[["line_id", "state", "open_minor"]].to_numpy(dtype=object).tolist(),
        "receipts": receipts[["receipt_id", "state", "open_minor"]].to_numpy(dtype=object).tolist(),
    }


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)
