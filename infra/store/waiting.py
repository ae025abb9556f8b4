"""What is still open after matching: money that should be here, money that nobody explains; each a break, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from sqlalchemy import Connection, and_, exists, or_, select

from infra.store.bulk import read, set_columns, table_of
from infra.store.contracts import contracts_of
from infra.store.standing import CAME, EXPLAINED, close_gone, renew_breaks
from models.reconcile import breaks as codes
from models.reconcile.references import NONE, coded
from models.tables import BankReceipt, Break, Match, MatchPart, RemittanceLine

if TYPE_CHECKING:
    from datetime import date, datetime

    from sqlalchemy import ColumnElement

    from models.contract import Agreed

BREAK = table_of(Break)
LINE = table_of(RemittanceLine)
MATCH = table_of(Match)
PART = table_of(MatchPart)
RECEIPT = table_of(BankReceipt)

UNSETTLED = ("suggested", "ambiguous")
UNEXPLAINED = ("no_line", "wrong_currency", "wrong_agency")


def before_a_person(joined: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a suggestion or an ambiguity about the row waits for somebody, with a break of its own."""
    weak = MATCH.c.rule == "subset"
    return exists().where(joined, PART.c.match_id == MATCH.c.match_id, MATCH.c.status.in_(UNSETTLED), ~weak)


def late_days(agreed: Agreed, days: pd.Series) -> pd.Series:
    """The contract's `late_days` on each day (Int64, null: none agreed)."""
    terms = pd.array([contract.late_days for contract in agreed.contracts], dtype="Int64")
    return pd.Series(terms[agreed.on(days)], index=days.index)


def by_transfer(lines: pd.DataFrame, code: str, lender: str) -> pd.DataFrame:
    """One break per transfer, or per line that names none; `lines` says how many of them each is about.

    lines: `line_id`, `content_id`, `batch_ref`, `value_date`, `agency`, `account_id`, `currency`, `amount_minor`.
    """
    if lines.empty:
        return codes.none()
    alone = lines[lines["batch_ref"].isna()]
    rest = lines[lines["batch_ref"].notna()].sort_values(["value_date", "content_id"])
    key = "transfer:" + lender + ":" + rest["agency"] + ":" + rest["currency"] + ":"
    rest = rest.assign(key=key + rest["batch_ref"].str.strip().str.upper())
    heads = rest.drop_duplicates("key").set_index("key")
    groups = rest.groupby("key", sort=False)["amount_minor"]
    heads = heads.assign(
        amount_minor=groups.sum(), lines=groups.size(), account_id=pd.array([pd.NA] * len(heads), dtype="Int64")
    ).reset_index()
    ones = pd.Series(1, index=alone.index)
    return codes.together([
        codes.found(alone, code, "line_id", lines=ones),
        codes.found(heads, code, "line_id", key=heads["key"], lines=heads["lines"]),
    ])  # fmt: skip


def note_overdue(connection: Connection, lender: str, agency: str, as_of: date, now: datetime) -> int:
    """Lines whose money should be here by `as_of` are breaks, one per transfer; how many new ones.

    Not those that a suggestion or an ambiguity has put before a person already. Closed when none of them waits.
    """
    agreed = contracts_of(connection, lender, agency)
    names = ["line_id", "content_id", "batch_ref", "agency", "account_id", "currency", "value_date"]
    asked = before_a_person(PART.c.line_id == LINE.c.line_id)
    waiting = read(
        connection,
        select(*(LINE.c[name] for name in names), LINE.c.net_minor.label("amount_minor"), asked.label("asked")).where(
            LINE.c.lender == lender,
            LINE.c.agency == agency,
            LINE.c.state == "awaiting_cash",
            LINE.c.kind != "direct",
        ),
    )
    still = by_transfer(waiting, "no_receipt", lender)["break_key"]
    mine = and_(BREAK.c.code == "no_receipt", BREAK.c.lender == lender, BREAK.c.agency == agency)
    close_gone(connection, mine, still, CAME, now)
    late = late_days(agreed, waiting["value_date"])
    due = waiting["value_date"] + pd.to_timedelta(late, unit="D")
    overdue = (due < pd.Timestamp(as_of)).to_numpy() & late.notna().to_numpy()
    found = by_transfer(waiting[overdue & ~waiting["asked"].to_numpy(dtype=bool)], "no_receipt", lender)
    return len(renew_breaks(connection, lender, found, now))


def note_unexplained(connection: Connection, lender: str, as_of: date, now: datetime) -> int:
    """Receipts up to `as_of` that no line explains are breaks; how many new ones.

    Where lines of another agency, or in another currency, have its reference, that is what the break says.
    """
    names = ["receipt_id", "agency", "currency", "amount_minor", "reference", "why"]
    left = read(
        connection,
        select(*(RECEIPT.c[name] for name in names))
        .where(RECEIPT.c.lender == lender, RECEIPT.c.state == "unapplied", RECEIPT.c.booked_on <= as_of)
        .where(~before_a_person(PART.c.receipt_id == RECEIPT.c.receipt_id)),
    )
    nobody = left.loc[left["agency"].isna() & left["why"].isna(), ["receipt_id"]]
    set_columns(
        connection, RECEIPT, nobody.assign(why=pd.Series("agency_unknown", nobody.index, dtype="str")), ["receipt_id"]
    )
    left["code"] = _named(connection, lender, left)
    found = codes.together([
        codes.found(left[left["code"] == code], code, "receipt_id") for code in UNEXPLAINED
    ])  # fmt: skip
    new = renew_breaks(connection, lender, found, now)
    # what had another name before, for its lines were not here yet, has this one now
    mine = and_(BREAK.c.code.in_(UNEXPLAINED), BREAK.c.lender == lender, BREAK.c.receipt_id.is_not(None))
    seen = select(RECEIPT.c.receipt_id).where(RECEIPT.c.state == "unapplied", RECEIPT.c.booked_on <= as_of)
    renamed = and_(mine, BREAK.c.receipt_id.in_(seen))
    close_gone(connection, renamed, found["break_key"], EXPLAINED, now)
    return len(new)


def _named(connection: Connection, lender: str, left: pd.DataFrame) -> pd.Series:
    """Per receipt the code of what is wrong with it, by whose open lines have its reference."""
    code = pd.Series("no_line", index=left.index, dtype="str")
    named = left[left["reference"].notna()]
    if named.empty:
        return code
    waiting = read(
        connection,
        select(*(LINE.c[name] for name in ("txn_ref", "batch_ref", "agency", "currency"))).where(
            LINE.c.lender == lender,
            or_(LINE.c.state == "awaiting_cash", LINE.c.state == "part_matched"),
            LINE.c.kind != "direct",
        ),
    )
    if waiting.empty:
        return code
    refs = coded(waiting["txn_ref"], waiting["batch_ref"], named["reference"])
    theirs = pd.concat([
        waiting[["agency", "currency"]].assign(code=of) for of in (refs.transaction, refs.batch)
    ]).drop_duplicates()  # fmt: skip
    asked = named[["agency", "currency"]].assign(code=refs.receipt, row=named.index)
    pairs = asked[asked["code"] != NONE].merge(theirs, on="code", suffixes=("", "_said"))
    own = (pairs["agency"] == pairs["agency_said"]).to_numpy()
    same = (pairs["currency"] == pairs["currency_said"]).to_numpy()
    known = pairs["agency"].notna().to_numpy()
    # the last that holds is said: lines of its own agency and currency say nothing against it
    for which, says in (
        (known & ~own & same, "wrong_agency"),
        ((own | ~known) & ~same, "wrong_currency"),
        ((own | ~known) & same, "no_line"),
    ):
        code.loc[pairs.loc[which, "row"]] = says
    return code
