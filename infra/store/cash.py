"""The receipts of bank statements tied to remittance lines by models.reconcile.cash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sqlalchemy import Connection, and_, case, func, or_, select, update

from infra.store.bulk import append, read, reserve, set_columns, staged, table_of
from infra.store.contracts import contracts_of
from infra.store.ledger import post
from infra.store.standing import renew_breaks, settle_breaks
from infra.store.waiting import UNSETTLED, by_transfer, late_days
from models import postings
from models.reconcile import breaks as codes
from models.reconcile.cash import Outcome, Terms, matched
from models.reconcile.outcome import WHY
from models.reconcile.posting import moved
from models.reconcile.references import NONE, coded
from models.tables import AgencyContract, BankReceipt, Break, Match, MatchPart, MatchRival, RemittanceLine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Table

    from models.contract import Agreed

BREAK = table_of(Break)
CONTRACT = table_of(AgencyContract)
LINE = table_of(RemittanceLine)
MATCH = table_of(Match)
PART = table_of(MatchPart)
RECEIPT = table_of(BankReceipt)
RIVAL = table_of(MatchRival)


@dataclass(frozen=True)
class Tied:
    """What one round of matching did."""

    confirmed: int = 0
    suggested: int = 0
    ambiguous: int = 0
    lines: int = 0
    breaks: int = 0
    inputs_sha256: str = ""
    """of the content of every line and receipt that was open when it began (R13)"""


def agencies_of(connection: Connection, lender: str) -> list[str]:
    """The agencies that the lender has, or had, a contract with, in order."""
    return list(
        connection.execute(
            select(CONTRACT.c.agency).where(CONTRACT.c.lender == lender).distinct().order_by(CONTRACT.c.agency)
        ).scalars()
    )


def match_cash(connection: Connection, lender: str, agency: str, now: datetime) -> Tied:
    """The agency's open lines and receipts are tied as far as the rules go; calling it again changes nothing."""
    reserve(connection, "match", 0)  # holds the counter's row until the commit: one matcher at a time
    agreed = contracts_of(connection, lender, agency)
    total = Tied()
    while True:
        # what one round leaves over may be what another rule looks for: until nothing more is found
        found = _round(connection, agreed, now, lender=lender, agency=agency)
        total = _sum(total, found)
        if not found.confirmed:
            return total


def _round(connection: Connection, agreed: Agreed, now: datetime, *, lender: str, agency: str) -> Tied:
    lines, receipts = _open_lines(connection, lender, agency), _open_receipts(connection, lender, agency)
    terms = Terms(tolerance_minor=agreed.contracts[-1].tolerance_minor)
    total = Tied(inputs_sha256=_hashed(lines, receipts, terms))
    for currency in sorted(set(lines["currency"].unique()) | set(receipts["currency"].unique())):
        some = lines[lines["currency"] == currency].reset_index(drop=True)
        money = receipts[receipts["currency"] == currency].reset_index(drop=True)
        outcome = matched(some, money, terms)
        subject = {"lender": lender, "agency": agency, "currency": currency}
        total = _sum(total, _settle(connection, outcome, some, money, agreed, now, **subject))
        _say_why(connection, LINE, outcome.line_why, some)
        _say_why(connection, RECEIPT, outcome.receipt_why, money)
    return total


def _sum(one: Tied, other: Tied) -> Tied:
    counts = {name: getattr(one, name) + getattr(other, name) for name in COUNTED}
    return Tied(**counts, inputs_sha256=one.inputs_sha256 or other.inputs_sha256)


COUNTED = ("confirmed", "suggested", "ambiguous", "lines", "breaks")


def _hashed(lines: pd.DataFrame, receipts: pd.DataFrame, terms: Terms) -> str:
    """SHA-256 over what the rules are given, by content: the same in whatever order it came."""
    digest = hashlib.sha256(repr(terms).encode())
    for frame, names in (
        (lines, ["content_id", "net_minor", "gross_minor", "netted_minor", "tied_minor"]),
        (receipts, ["reference", "value_date", "currency", "amount_minor", "tied_minor"]),
    ):
        rows = np.sort(pd.util.hash_pandas_object(frame[names], index=False).to_numpy())
        digest.update(rows.tobytes())
    return digest.hexdigest()


def _say_why(connection: Connection, table: Table, why: pd.DataFrame, were: pd.DataFrame) -> None:
    """What is still open keeps why; only what is another reason than before is written."""
    key = str(why.columns[0])
    both = why.merge(were[[key, *WHY]], on=key, suffixes=("", "_was"))
    same = np.ones(len(both), dtype=bool)
    for name in WHY:
        now, was = both[name], both[f"{name}_was"]
        same &= ((now == was).fillna(value=False) | (now.isna() & was.isna())).to_numpy(dtype=bool)
    set_columns(connection, table, both.loc[~same, [key, *WHY]], [key])


def assign_receipts(connection: Connection, lender: str, agencies: Sequence[str]) -> int:
    """Receipts of an unknown payer whose reference only one agency's open lines have are that agency's; how many."""
    unknown = read(
        connection,
        select(RECEIPT.c.receipt_id, RECEIPT.c.reference).where(
            RECEIPT.c.lender == lender, RECEIPT.c.agency.is_(None), RECEIPT.c.state == "unapplied"
        ),
    )
    if unknown.empty:
        return 0
    owner = np.full(len(unknown), NONE)
    hits = np.zeros(len(unknown), dtype=np.int64)
    for number, agency in enumerate(agencies):
        refs = read(connection, select(LINE.c.txn_ref, LINE.c.batch_ref).where(_is_open(lender, agency)))
        if refs.empty:
            continue
        hit = coded(refs["txn_ref"], refs["batch_ref"], unknown["reference"]).receipt != NONE
        owner[hit] = number
        hits += hit
    one = hits == 1
    names = np.array(list(agencies), dtype=object)[owner[one]]
    known = unknown.loc[one, ["receipt_id"]].assign(agency=pd.Series(names, index=unknown.index[one], dtype="str"))
    return set_columns(connection, RECEIPT, known, ["receipt_id"])


def lenders(connection: Connection) -> list[str]:
    """Every lender that has, or had, a contract, in order."""
    return list(connection.execute(select(CONTRACT.c.lender).distinct().order_by(CONTRACT.c.lender)).scalars())


def states(connection: Connection, lender: str | None) -> dict[str, dict[str, int]]:
    """How many lines, receipts and open breaks the lender (None: all) has, by state (breaks: by code)."""
    tallies = {"lines": (LINE, LINE.c.state), "receipts": (RECEIPT, RECEIPT.c.state), "breaks": (BREAK, BREAK.c.code)}
    found: dict[str, dict[str, int]] = {}
    for name, (table, by) in tallies.items():
        tally = select(by, func.count()).group_by(by).order_by(by)
        if lender is not None:
            tally = tally.where(table.c.lender == lender)
        if table is BREAK:
            tally = tally.where(BREAK.c.state == "open")
        rows = connection.execute(tally)
        found[name] = {row[0]: row[1] for row in rows}
    return found


def _is_open(lender: str, agency: str) -> ColumnElement[bool]:
    """A line that may still be paid; one in break is paid with its transfer, and stays in break."""
    return and_(
        LINE.c.lender == lender,
        LINE.c.agency == agency,
        LINE.c.kind != "direct",
        or_(
            LINE.c.state.in_(("awaiting_cash", "part_matched")),
            and_(LINE.c.state == "in_break", LINE.c.cash_minor == 0),
        ),
        LINE.c.net_minor != LINE.c.cash_minor,
        ~LINE.c.by_hand,
    )


def _open_lines(connection: Connection, lender: str, agency: str) -> pd.DataFrame:
    names = ["line_id", "content_id", "account_id", "original_line_id", "txn_ref", "batch_ref", "value_date", "agency",
             "currency", "state", "posted_at", *WHY]  # fmt: skip
    fee = func.coalesce(LINE.c.due_commission_minor, 0) + func.coalesce(LINE.c.due_vat_minor, 0)
    # an agency that hands over gross invoices its fee: it may not take it off, and some do
    kept = case((and_(LINE.c.net_minor == LINE.c.gross_minor, LINE.c.cash_minor == 0), fee), else_=0)
    return read(
        connection,
        select(
            *(LINE.c[name] for name in names),
            LINE.c.cash_minor.label("tied_minor"),
            (LINE.c.net_minor - LINE.c.cash_minor).label("net_minor"),
            (LINE.c.gross_minor - LINE.c.cash_minor).label("gross_minor"),
            (LINE.c.net_minor - LINE.c.cash_minor - kept).label("netted_minor"),
        ).where(_is_open(lender, agency)),
    )


def _open_receipts(connection: Connection, lender: str, agency: str) -> pd.DataFrame:
    names = ["receipt_id", "reference", "value_date", "agency", "currency", *WHY]
    return read(
        connection,
        select(
            *(RECEIPT.c[name] for name in names),
            RECEIPT.c.applied_minor.label("tied_minor"),
            (RECEIPT.c.amount_minor - RECEIPT.c.applied_minor).label("amount_minor"),
        ).where(
            RECEIPT.c.lender == lender,
            RECEIPT.c.agency == agency,
            RECEIPT.c.state.in_(("unapplied", "part_matched")),
            ~RECEIPT.c.by_hand,
        ),
    )


def _settle(
    connection: Connection,
    outcome: Outcome,
    lines: pd.DataFrame,
    receipts: pd.DataFrame,
    agreed: Agreed,
    now: datetime,
    **subject: str,
) -> Tied:
    """The outcome is in the store: matches, states, breaks, postings."""
    matches, parts, rivals = _new(connection, outcome)
    if matches.empty:
        return Tied()
    first = reserve(connection, "match", len(matches))
    number = pd.Series(np.arange(first, first + len(matches)), index=matches["match"])
    append(connection, MATCH, matches.drop(columns="match").assign(match_id=number.to_numpy(), made_at=now, **subject))
    for table, name, rows in ((PART, "part", parts), (RIVAL, "rival", rivals)):
        at = reserve(connection, f"match_{name}", len(rows))
        keyed = rows.assign(match_id=rows["match"].map(number)).drop(columns="match")
        keyed[f"{name}_id"] = np.arange(at, at + len(rows))
        append(connection, table, keyed)

    changed = outcome.lines.merge(
        lines[["line_id", "tied_minor", "state", "posted_at"]], on="line_id", suffixes=("", "_was")
    )
    changed["cash_minor"] = changed["tied_minor"] + changed["paid_minor"]
    changed["state"] = changed["state"].mask(changed["state_was"] == "in_break", "in_break")
    set_columns(connection, LINE, _without_why(changed[["line_id", "cash_minor", "state"]]), ["line_id"])
    moved = outcome.receipts.merge(receipts[["receipt_id", "tied_minor"]], on="receipt_id")
    moved["applied_minor"] = moved["tied_minor"] + moved["used_minor"]
    set_columns(connection, RECEIPT, _without_why(moved[["receipt_id", "applied_minor", "state"]]), ["receipt_id"])
    _resolve(connection, changed[["line_id"]], moved[["receipt_id"]], first, now)

    late = _late(outcome, lines, agreed, subject["lender"])
    opened = renew_breaks(connection, subject["lender"], codes.together([outcome.breaks, late]), now)
    booked = changed.loc[changed["posted_at"].notna(), "line_id"]
    _post_cash(connection, outcome, booked, first, now, **subject)
    statuses = matches["status"].value_counts()
    return Tied(
        confirmed=int(statuses.get("confirmed", 0)),
        suggested=int(statuses.get("suggested", 0)),
        ambiguous=int(statuses.get("ambiguous", 0)),
        lines=len(changed),
        breaks=len(opened),
    )


def _without_why(rows: pd.DataFrame) -> pd.DataFrame:
    """What is tied has no reason to be open; where some of it still is, the reason is written after."""
    nothing = {name: pd.array([pd.NA] * len(rows), dtype="str" if name == "why" else "Int64") for name in WHY}
    return rows.assign(**nothing)


def _new(connection: Connection, outcome: Outcome) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Matches, parts and rivals without the suggestions and ambiguities that a person has before them already."""
    matches, parts, rivals = outcome.matches, outcome.parts, outcome.rivals
    open_ones = matches.loc[matches["status"] != "confirmed", "match"]
    if open_ones.empty:
        return matches, parts, rivals
    asked = parts[parts["match"].isin(open_ones) & parts["receipt_id"].notna()]
    with staged(connection, PART, asked[["receipt_id"]].drop_duplicates()) as stage:
        known = read(
            connection,
            select(PART.c.receipt_id)
            .join(stage, stage.c.receipt_id == PART.c.receipt_id)
            .join(MATCH, MATCH.c.match_id == PART.c.match_id)
            .where(MATCH.c.status.in_(UNSETTLED)),
        )
    old = asked.loc[asked["receipt_id"].isin(known["receipt_id"]), "match"]
    new, of, beside = (~frame["match"].isin(old) for frame in (matches, parts, rivals))
    return matches[new], parts[of], rivals[beside]


def _resolve(connection: Connection, lines: pd.DataFrame, receipts: pd.DataFrame, first: int, now: datetime) -> None:
    """What was suggested, doubted or missed about rows that are tied now is settled."""
    with staged(connection, PART, lines) as line, staged(connection, PART, receipts) as receipt:
        of_line, of_receipt = select(line.c.line_id), select(receipt.c.receipt_id)
        about = select(PART.c.match_id).where(or_(PART.c.line_id.in_(of_line), PART.c.receipt_id.in_(of_receipt)))
        connection.execute(
            update(MATCH)
            .where(MATCH.c.status.in_(UNSETTLED), MATCH.c.match_id.in_(about), MATCH.c.match_id < first)
            .values(status="undone")
        )
    settle_breaks(connection, lines, receipts, now)


def _late(outcome: Outcome, lines: pd.DataFrame, agreed: Agreed, lender: str) -> pd.DataFrame:
    """Transfers, and lines that name none, whose money came later than agreed."""
    day = outcome.paid_on
    confirmed = outcome.matches.loc[outcome.matches["status"] == "confirmed", "match"]
    parts = outcome.parts[outcome.parts["line_id"].notna() & outcome.parts["match"].isin(confirmed)]
    parts = parts[day[parts["match"]] > 0].astype({"line_id": "int64"})
    names = ["value_date", "account_id", "agency", "currency", "content_id", "batch_ref"]
    about = lines.set_index("line_id")[names]
    parts = parts.join(about, on="line_id")
    took = day[parts["match"]] - parts["value_date"].to_numpy(dtype="datetime64[D]").astype(np.int64)
    late = (late_days(agreed, parts["value_date"]) < took).fillna(value=False).to_numpy(dtype=bool)
    return by_transfer(parts[late], "late_remittance", lender)


def _post_cash(
    connection: Connection,
    outcome: Outcome,
    booked: pd.Series,
    first: int,
    now: datetime,
    **subject: str,
) -> None:
    """Money that is tied leaves `unapplied` for the agency's clearing; what the tolerance forgives is written off.

    Lines that are not in the books take nothing out of `unapplied`.
    """
    events = moved(outcome, booked)
    key = "cash:" + ":".join((subject["lender"], subject["agency"], subject["currency"], str(first))) + ":"
    events = events.assign(
        entry_key=(key + events["value_date"].dt.strftime("%Y-%m-%d")).astype("str"),
        event=_same("cash", events),
        account_id=pd.array([pd.NA] * len(events), dtype="Int64"),
        **{name: _same(value, events) for name, value in subject.items()},
    )
    amounts = (events[name] for name in ("paid_minor", "short_minor", "over_minor"))
    post(connection, postings.cash(events, *amounts), now)


def _same(text: str, frame: pd.DataFrame) -> pd.Series:
    return pd.Series(text, index=frame.index, dtype="str")
