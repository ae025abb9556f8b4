"""What reconciling reads and writes: remittance and invoice lines, receipts, matches, breaks.

`accept_remittance` and `accept_invoice` run inside the transaction that accepts the file (flows/collect), so that a
file's lines, breaks and postings are all there or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sqlalchemy import BigInteger, Connection, and_, cast, exists, func, select, update

from infra.store import adjustments, instalments
from infra.store.bulk import append, read, reserve, set_columns, staged, table_of
from infra.store.contracts import contracts_of
from infra.store.ledger import post
from infra.store.statements import statement_lines
from models import postings
from models.contract import commission, portion
from models.errors import UsageError
from models.reconcile import breaks as codes
from models.reconcile.identity import content_ids
from models.reconcile.invoices import claimed, differences, is_unentitled, unentitled, unseen
from models.reconcile.links import placed_under, undone
from models.tables import Account, Break, InvoiceLine, Placement, RemittanceLine

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from models.contract import Agreed

__all__ = ["accept_invoice", "accept_remittance", "contracts_of", "open_breaks", "statement_lines"]

TAKEN_BACK = "a reversal took the excess back"
OF_NO_FILE = 0
"""Where a line came in that no agency sent: the bank statement says it."""

ACCOUNT = table_of(Account)
BREAK = table_of(Break)
CLAIM = table_of(InvoiceLine)
LINE = table_of(RemittanceLine)
PLACEMENT = table_of(Placement)


def accept_remittance(
    connection: Connection, *, file_id: int, lender: str, agency: str, frame: pd.DataFrame, now: datetime
) -> None:
    """The lines of an accepted remittance file are in the store: each linked, priced and posted, or with its break.

    frame: `line`, `agency_txn_id`, `account_id` (Int64, null: not one of our pseudonyms), `type`, `currency`,
    `gross_minor`, `commission_minor`, `vat_minor`, `net_minor`, `value_date`, `batch_ref`, `original_txn_id`.
    A file that is in already is left as it is. Raises NoContract, TierGap.
    """
    if frame.empty or connection.execute(select(exists().where(LINE.c.file_id == file_id))).scalar_one():
        return
    agreed = contracts_of(connection, lender, agency)
    lines = _lines(connection, frame, file_id, lender, agency)
    code = _duplicates(connection, lines)
    terms = agreed.on(lines["value_date"])
    placements = _placements_of(connection, lines, lender)

    undoes = ((lines["kind"] == "reversal") | (lines["gross_minor"] < 0)).to_numpy()
    fresh = code.isna().to_numpy()
    _link(lines, code, fresh & ~undoes, placements, agreed.term("tail_days", terms))
    _price(connection, lines, code.isna().to_numpy() & ~undoes, placements, agreed, terms)
    _undo(connection, lines, code, fresh & undoes, agreed, terms)

    counts = code.isna().to_numpy()
    lines["state"] = np.select(
        [code.isin(codes.DUPLICATE), ~counts, (lines["net_minor"] == 0).to_numpy()],
        ["duplicate", "in_break", "matched"],
        "awaiting_cash",
    )
    never = pd.Series(pd.NaT, index=lines.index, dtype="datetime64[us, UTC]")
    lines["posted_at"] = never.mask(counts, pd.Timestamp(now))
    excess = _excess(connection, lines[counts], placements)
    append(connection, LINE, lines)
    stopped = _stopped(lines[~counts], code[~counts])
    open_breaks(connection, lender, codes.together([stopped, *_differences(lines[counts], agreed)]), now)
    _overpayments(connection, lender, excess, now)
    _post_lines(connection, lines[counts], f"file:{file_id}", agreed, excess, now)
    _count_waiting_reversals(connection, lines[counts], file_id, agreed, placements, now)


def _count_waiting_reversals(
    connection: Connection, came: pd.DataFrame, file_id: int, agreed: Agreed, placements: pd.DataFrame, now: datetime
) -> None:
    """Reversals that came in a file before their original count from now on, so that the order of files is the same.

    came: the lines of this file that count, originals perhaps. Money tied to the reversals leaves `unapplied`.
    """
    if came.empty:
        return
    lender = str(came["lender"].iloc[0])
    originals = came[["txn_ref"]].dropna().drop_duplicates().rename(columns={"txn_ref": "original_txn_ref"})
    with staged(connection, LINE, originals) as stage:
        lines = read(
            connection,
            select(LINE)
            .join(stage, stage.c.original_txn_ref == LINE.c.original_txn_ref)
            .join(BREAK, and_(BREAK.c.line_id == LINE.c.line_id, BREAK.c.code == "reversal_without_original"))
            .where(LINE.c.lender == lender, LINE.c.agency == came["agency"].iloc[0], LINE.c.state == "in_break"),
        )
    if lines.empty:
        return
    code = pd.Series(None, index=lines.index, dtype="str")
    lines["rate"] = lines["rate"].astype("object")
    _undo(connection, lines, code, np.ones(len(lines), dtype=bool), agreed, agreed.on(lines["value_date"]))
    lines = lines[code.isna()].reset_index(drop=True)
    if lines.empty:
        return
    with staged(connection, BREAK, lines[["line_id"]]) as stage:
        which = and_(BREAK.c.code == "reversal_without_original", BREAK.c.line_id.in_(select(stage.c.line_id)))
        close_breaks(connection, which, "its original came", now)
    _let_in(connection, lines, agreed, placements, f"waited-for-file:{file_id}", now)


def _let_in(
    connection: Connection, lines: pd.DataFrame, agreed: Agreed, placements: pd.DataFrame, source: str, now: datetime
) -> None:
    """Lines of one agency that were kept out count: they are in the books, and so is the money that came for them.

    lines: linked and priced. source: what their entries are known by.
    """
    excess = _excess(connection, lines, placements)
    paid = (lines["cash_minor"] == lines["net_minor"]).to_numpy()
    lines["state"] = pd.Series("awaiting_cash", index=lines.index, dtype="str").mask(paid, "matched")
    lines["posted_at"] = pd.Timestamp(now)
    changed = ["line_id", "original_line_id", "placement_id", "rate", "due_commission_minor", "due_vat_minor", "state",
               "posted_at"]  # fmt: skip
    set_columns(connection, LINE, lines[changed], ["line_id"])
    lender = str(lines["lender"].iloc[0])
    open_breaks(connection, lender, codes.together(_differences(lines, agreed)), now)
    _overpayments(connection, lender, excess, now)
    _post_lines(connection, lines, source, agreed, excess, now)
    cash = lines["cash_minor"]
    nothing = np.zeros(len(lines), dtype=np.int64)
    post(connection, postings.cash(postings.keyed(lines, "cash", source), cash, nothing, nothing), now)


def count_by_hand(connection: Connection, line_id: int, source: str, now: datetime) -> None:
    """The line counts though a break kept it out: under its account's latest placement with the agency.

    Raises UsageError where there is none in its currency, or a reversal undoes nothing that counts.
    """
    lines = read(connection, select(LINE).where(LINE.c.line_id == line_id))
    lines["rate"] = lines["rate"].astype("object")
    agreed = contracts_of(connection, str(lines["lender"].iloc[0]), str(lines["agency"].iloc[0]))
    terms = agreed.on(lines["value_date"])
    placements = _placements_of(connection, lines, str(lines["lender"].iloc[0]))
    if (lines["gross_minor"] < 0).any():
        code = pd.Series(None, index=lines.index, dtype="str")
        _undo(connection, lines, code, np.ones(1, dtype=bool), agreed, terms)
        fix = "let the agency send the original first"
    else:
        own = (placements["agency"] == lines["agency"].iloc[0]) & (placements["currency"] == lines["currency"].iloc[0])
        latest = placements[own].sort_values(["placed_on", "placement_id"])["placement_id"].tail(1)
        lines["placement_id"] = pd.array(latest if len(latest) else [pd.NA], dtype="Int64")
        fix = "reject the line: its account was never placed with this agency in this currency"
    if lines["placement_id"].isna().any():
        raise UsageError(f"line {line_id} has nothing to count under", fix=fix)
    if lines["gross_minor"].iloc[0] >= 0:
        _price(connection, lines, np.ones(1, dtype=bool), placements, agreed, terms)
    _let_in(connection, lines, agreed, placements, source, now)


def accept_direct(
    connection: Connection, *, lender: str, agency: str, frame: pd.DataFrame, source: str, now: datetime
) -> pd.DataFrame:
    """What debtors paid to the lender itself while their accounts were with the agency counts, as lines of our own.

    frame: as `accept_remittance` takes it, `content_id` beside; `net_minor` is what came. Those of no placement are
    left out. Returns `line_id`, `line`, `account_id`, `placement_id`. Commission is what the contract gives.
    """
    agreed = contracts_of(connection, lender, agency)
    lines = _lines(connection, frame, OF_NO_FILE, lender, agency)
    lines["content_id"] = frame["content_id"].to_numpy()
    terms = agreed.on(lines["value_date"])
    placements = _placements_of(connection, lines, lender)
    code = pd.Series(None, index=lines.index, dtype="str")
    _link(lines, code, np.ones(len(lines), dtype=bool), placements, agreed.term("tail_days", terms))
    fits = code.isna().to_numpy()
    _price(connection, lines, fits, placements, agreed, terms)
    lines = lines[fits].reset_index(drop=True)
    lines["cash_minor"] = lines["net_minor"]
    append(connection, LINE, lines.assign(state="in_break"))
    if len(lines):
        _let_in(connection, lines, agreed, placements, source, now)
    return lines[["line_id", "line", "account_id", "placement_id"]]


def accept_invoice(
    connection: Connection, *, file_id: int, lender: str, agency: str, frame: pd.DataFrame, now: datetime
) -> None:
    """The lines of an accepted invoice file are in the store, each agreed, disputed, or waiting for its remittance.

    frame: `line`, `invoice_no`, `agency_txn_id`, `account_id` (Int64, null: not one of our pseudonyms), `currency`,
    `base_minor`, `commission_minor`, `vat_minor`, `period`. A file that is in already is left as it is.
    """
    if frame.empty or connection.execute(select(exists().where(CLAIM.c.file_id == file_id))).scalar_one():
        return
    frame = frame.reset_index(drop=True)
    first = reserve(connection, "invoice_line", len(frame))
    claims = frame.rename(columns={"agency_txn_id": "txn_ref"}).assign(
        invoice_line_id=np.arange(first, first + len(frame)), file_id=file_id, lender=lender, agency=agency
    )
    claims["vat_minor"] = claims["vat_minor"].fillna(0).astype("int64")
    columns = ["invoice_line_id", "file_id", "line", "lender", "agency", "invoice_no", "txn_ref", "account_id",
               "base_minor", "commission_minor", "vat_minor", "currency", "period"]  # fmt: skip
    append(connection, CLAIM, claims[columns])
    match_invoices(connection, lender, agency, now)


def match_invoices(
    connection: Connection, lender: str, agency: str, now: datetime, *, closing: bool = False
) -> tuple[int, int]:
    """Claims whose remittance line is here are agreed or disputed; how many still wait, and how many new breaks.

    `closing`: those that still wait become breaks, for commission is claimed on nothing.
    """
    names = ["invoice_line_id", "agency", "txn_ref", "account_id", "currency", "base_minor", "commission_minor",
             "vat_minor"]  # fmt: skip
    claims = read(
        connection,
        select(*(CLAIM.c[name] for name in names))
        .where(CLAIM.c.lender == lender, CLAIM.c.agency == agency, CLAIM.c.state == "received")
        .order_by(CLAIM.c.invoice_line_id),
    )
    if claims.empty:
        return 0, 0
    lines = _claimable(connection, lender, agency, claims)
    claims["line_id"] = claimed(claims, lines)
    tied = claims[claims["line_id"].notna()].merge(_final(connection, lender, agency, lines), on="line_id")
    breaks = codes.together([unentitled(tied), differences(tied[~is_unentitled(tied)])])
    agrees = ~tied["invoice_line_id"].isin(breaks["invoice_line_id"])
    settled = tied[["invoice_line_id", "line_id"]].assign(
        state=pd.Series("disputed", index=tied.index, dtype="str").mask(agrees, "agreed")
    )
    set_columns(connection, CLAIM, settled, ["invoice_line_id"])
    waiting = claims[claims["line_id"].isna()]
    if closing:
        # without a transaction of its own it claims on what the debtor paid to us: and we have no such payment
        named = waiting["txn_ref"].notna()
        nothing = differences(waiting[named].assign(due_commission_minor=0, due_vat_minor=0, tolerance_minor=0))
        breaks = codes.together([breaks, nothing, unseen(waiting[~named])])
    opened = open_breaks(connection, lender, breaks, now)
    agreed = settled.loc[settled["state"] == "agreed", ["invoice_line_id"]]
    with staged(connection, CLAIM, agreed) as stage:
        close_breaks(
            connection, BREAK.c.invoice_line_id.in_(select(stage.c.invoice_line_id)), "its remittance came", now
        )
    return len(claims) - len(tied), len(opened)


def _final(connection: Connection, lender: str, agency: str, lines: pd.DataFrame) -> pd.DataFrame:
    """What is due on each line whose commission is final: `line_id`, `due_commission_minor`, `due_vat_minor`.

    Beside it `tolerance_minor`, as its contract lets pass. Where the month as a whole decides (volume, rounding of the
    invoice, limits) a line is final once it is stated, with what was added to it then.
    """
    agreed = contracts_of(connection, lender, agency)
    terms = agreed.on(lines["value_date"])
    names = ["line_id", "kind", "due_commission_minor", "due_vat_minor"]
    due = lines[names].assign(tolerance_minor=agreed.term("invoice_tolerance_minor", terms))
    by_month = agreed.term("is_counted_by_month", terms)
    if not by_month.any():
        return due
    added = adjustments.added_to(connection, lines[["line_id"]]).reindex(due["line_id"], fill_value=0)
    for name in ("commission_minor", "vat_minor"):
        due[f"due_{name}"] += added[name].to_numpy()
    return due[~by_month | lines["statement_id"].notna().to_numpy()]


def _claimable(connection: Connection, lender: str, agency: str, claims: pd.DataFrame) -> pd.DataFrame:
    """Lines of the claims' accounts that count and that nobody has claimed yet."""
    taken = exists().where(CLAIM.c.line_id == LINE.c.line_id)
    names = ["line_id", "txn_ref", "account_id", "currency", "gross_minor", "value_date", "content_id",
             "kind", "due_commission_minor", "due_vat_minor", "statement_id"]  # fmt: skip
    with staged(connection, LINE, claims[["account_id"]].dropna().drop_duplicates()) as stage:
        return read(
            connection,
            select(*(LINE.c[name] for name in names))
            .join(stage, stage.c.account_id == LINE.c.account_id)
            .where(LINE.c.lender == lender, LINE.c.agency == agency, LINE.c.posted_at.is_not(None), ~taken),
        )


def close_breaks(connection: Connection, which: ColumnElement[bool], because: str, now: datetime) -> int:
    """Open breaks that `which` holds for are closed; how many they were."""
    closing = update(BREAK).where(which, BREAK.c.state == "open")
    return connection.execute(closing.values(state="closed", closed_at=now, closed_because=because)).rowcount


def open_breaks(connection: Connection, lender: str, found: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Breaks not known yet are open; returns those rows of `found` (columns models.reconcile.breaks.COLUMNS)."""
    if found.empty:
        return found.assign(break_id=pd.Series(dtype="int64"))
    with staged(connection, BREAK, found[["break_key"]]) as stage:
        known = read(connection, select(BREAK.c.break_key).join(stage, stage.c.break_key == BREAK.c.break_key))
    new = found[~found["break_key"].isin(known["break_key"])].drop_duplicates("break_key")
    first = reserve(connection, "break", len(new))
    new = new.assign(break_id=np.arange(first, first + len(new)))
    append(connection, BREAK, new.assign(lender=lender, opened_at=now, size_minor=new["amount_minor"].abs()))
    return new


def _lines(connection: Connection, frame: pd.DataFrame, file_id: int, lender: str, agency: str) -> pd.DataFrame:
    """The frame as rows of the table, with ids, not yet linked or priced."""
    frame = frame.reset_index(drop=True)
    first = reserve(connection, "remittance_line", len(frame))
    lines = pd.DataFrame(
        {
            "line_id": np.arange(first, first + len(frame)),
            "content_id": content_ids(frame, agency),
            "file_id": file_id,
            "line": frame["line"],
            "lender": pd.Series(lender, index=frame.index, dtype="str"),
            "agency": pd.Series(agency, index=frame.index, dtype="str"),
            "placement_id": pd.array([pd.NA] * len(frame), dtype="Int64"),
            "account_id": frame["account_id"].astype("Int64"),
            "txn_ref": frame["agency_txn_id"].astype("str"),
            "original_txn_ref": frame["original_txn_id"].astype("str"),
            "original_line_id": pd.array([pd.NA] * len(frame), dtype="Int64"),
            "batch_ref": frame["batch_ref"].astype("str"),
            "kind": frame["type"].astype("str"),
            "currency": frame["currency"].astype("str"),
            "value_date": frame["value_date"],
            "due_commission_minor": pd.array([pd.NA] * len(frame), dtype="Int64"),
            "due_vat_minor": pd.array([pd.NA] * len(frame), dtype="Int64"),
            "rate": pd.Series(None, index=frame.index, dtype="object"),
        }
    )
    for name in ("gross_minor", "commission_minor", "vat_minor", "net_minor"):
        lines[name] = frame[name].fillna(0).astype("int64")
    return lines


def _duplicates(connection: Connection, lines: pd.DataFrame) -> pd.Series:
    """Per line the code of its duplication, else null."""
    ids = lines["content_id"]
    code = pd.Series(None, index=lines.index, dtype="str").mask(ids.duplicated(), "duplicate_in_file")
    with staged(connection, LINE, lines[["content_id"]].drop_duplicates()) as stage:
        known = read(
            connection,
            select(LINE.c.content_id)
            .join(stage, stage.c.content_id == LINE.c.content_id)
            .where(LINE.c.lender == lines["lender"].iloc[0])
            .distinct(),
        )
    return code.mask(ids.isin(known["content_id"]), "duplicate_across_files")


def _placements_of(connection: Connection, lines: pd.DataFrame, lender: str) -> pd.DataFrame:
    """Every placement, at any agency, of the lines' accounts, with what prices a line."""
    accounts = lines[["account_id"]].dropna().drop_duplicates()
    with staged(connection, LINE, accounts) as stage:
        return read(
            connection,
            select(
                PLACEMENT.c.placement_id,
                PLACEMENT.c.account_id,
                PLACEMENT.c.agency,
                PLACEMENT.c.currency,
                PLACEMENT.c.balance_minor,
                PLACEMENT.c.dpd,
                PLACEMENT.c.round,
                PLACEMENT.c.stage,
                PLACEMENT.c.placed_on,
                PLACEMENT.c.ended_on,
                ACCOUNT.c.product,
            )
            .join(stage, stage.c.account_id == PLACEMENT.c.account_id)
            .join(ACCOUNT, ACCOUNT.c.account_id == PLACEMENT.c.account_id)
            .where(PLACEMENT.c.lender == lender, PLACEMENT.c.state != "planned"),
        )


def _link(lines: pd.DataFrame, code: pd.Series, which: np.ndarray, placements: pd.DataFrame, tail: np.ndarray) -> None:
    """Recoveries have their placement, or the code that says why not."""
    links = placed_under(lines.loc[which].assign(tail_days=tail[which]), placements)
    lines.loc[which, "placement_id"] = links["placement_id"]
    code.loc[which] = links["code"]


def _price(
    connection: Connection,
    lines: pd.DataFrame,
    which: np.ndarray,
    placements: pd.DataFrame,
    agreed: Agreed,
    terms: np.ndarray,
) -> None:
    """Linked recoveries have the commission that the contract of their value date gives."""
    traits = placements.set_index("placement_id")[["dpd", "round", "product", "balance_minor", "stage"]]
    asked = {"dpd", "round"}.union(*(tier.asks_for for contract in agreed.contracts for tier in contract.tiers))
    by_plan = instalments.agreed(connection, lines.loc[which]) if "agreed" in asked else None
    traits = traits[sorted(asked - {"agreed"})]
    for number, contract in enumerate(agreed.contracts):
        at = lines.index[which & (terms == number)]
        if at.empty:
            continue
        if contract.fees == "per_line":
            lines.loc[at, "due_commission_minor"] = lines.loc[at, "commission_minor"]
            lines.loc[at, "due_vat_minor"] = lines.loc[at, "vat_minor"]
            continue
        under = traits.loc[lines.loc[at, "placement_id"].astype("int64")].set_index(at)
        if by_plan is not None:
            under = under.assign(agreed=by_plan.loc[at])
        due = commission(under.assign(gross_minor=lines.loc[at, "gross_minor"], kind=lines.loc[at, "kind"]), contract)
        lines.loc[at, "due_commission_minor"] = due["commission_minor"]
        lines.loc[at, "due_vat_minor"] = due["vat_minor"]
        lines.loc[at, "rate"] = due["rate"]


def _undo(
    connection: Connection, lines: pd.DataFrame, code: pd.Series, which: np.ndarray, agreed: Agreed, terms: np.ndarray
) -> None:
    """Reversals have their original's placement and rate, and take back its commission in proportion."""
    if not which.any():
        return
    reversals = lines.loc[which]
    links = undone(reversals, _originals(connection, lines, reversals))
    tied = links["original_line_id"].notna()
    why = pd.Series("reversal_without_original", index=reversals.index, dtype="str")
    code.loc[reversals.index] = why.mask(reversals["account_id"].isna(), "unknown_account").mask(tied)
    links = links[tied]
    at = links.index
    lines.loc[at, ["original_line_id", "placement_id", "rate"]] = links[["original_line_id", "placement_id", "rate"]]
    for number, contract in enumerate(agreed.contracts):
        some = at[terms[at] == number]
        for name, column in (("commission", "due_commission_minor"), ("vat", "due_vat_minor")):
            charged, gross, before, after = (
                links.loc[some, part].to_numpy(dtype=np.int64)
                for part in (f"original_{name}_minor", "original_gross_minor", "before_minor", "after_minor")
            )
            # what has been taken back with this line, less what had been before it: the parts sum to the whole
            lines.loc[some, column] = portion(charged, before, gross, contract.rounding) - portion(
                charged, after, gross, contract.rounding
            )


def _originals(connection: Connection, lines: pd.DataFrame, reversals: pd.DataFrame) -> pd.DataFrame:
    """Recoveries that count and that the reversals may undo: in the store, and in this file."""
    wanted = reversals[["original_txn_ref"]].dropna().drop_duplicates().rename(columns={"original_txn_ref": "txn_ref"})
    already = (
        select(LINE.c.original_line_id, cast(func.sum(-LINE.c.gross_minor), BigInteger).label("reversed_minor"))
        .where(LINE.c.original_line_id.is_not(None), LINE.c.posted_at.is_not(None))
        .group_by(LINE.c.original_line_id)
        .subquery()
    )
    columns = ["line_id", "txn_ref", "account_id", "currency", "gross_minor", "placement_id", "due_commission_minor",
               "due_vat_minor", "rate", "value_date"]  # fmt: skip
    with staged(connection, LINE, wanted) as stage:
        stored = read(
            connection,
            select(*(LINE.c[name] for name in columns), already.c.reversed_minor)
            .join(stage, stage.c.txn_ref == LINE.c.txn_ref)
            .outerjoin(already, already.c.original_line_id == LINE.c.line_id)
            .where(
                LINE.c.lender == lines["lender"].iloc[0],
                LINE.c.agency == lines["agency"].iloc[0],
                LINE.c.gross_minor > 0,
                LINE.c.posted_at.is_not(None),
            )
            .order_by(LINE.c.value_date, LINE.c.content_id),
        )
    stored["reversed_minor"] = stored["reversed_minor"].fillna(0).astype("int64")
    here = lines[lines["txn_ref"].isin(wanted["txn_ref"]) & lines["placement_id"].notna() & (lines["gross_minor"] > 0)]
    here = here.sort_values(["value_date", "content_id"])[columns].assign(reversed_minor=0)
    return pd.concat([part for part in (stored, here) if len(part)] or [stored], ignore_index=True)


def _excess(connection: Connection, counting: pd.DataFrame, placements: pd.DataFrame) -> pd.DataFrame:
    """Per counting line what of it is beyond the balance placed (`excess_minor`).

    Also `over_minor`, by how much its placement is over after it. In the order of value date and content, on top of
    what was recovered before.
    """
    touched = counting[["placement_id"]].drop_duplicates()
    with staged(connection, LINE, touched) as stage:
        before = read(
            connection,
            select(LINE.c.placement_id, cast(func.sum(LINE.c.gross_minor), BigInteger).label("before_minor"))
            .join(stage, stage.c.placement_id == LINE.c.placement_id)
            .where(LINE.c.posted_at.is_not(None))
            .group_by(LINE.c.placement_id),
        )
    result = counting[
        ["line_id", "account_id", "placement_id", "agency", "currency", "value_date", "content_id", "gross_minor"]
    ].astype({"placement_id": "int64"})
    result = result.sort_values(["placement_id", "value_date", "content_id"])
    before_minor = (
        result["placement_id"].map(before.set_index("placement_id")["before_minor"]).fillna(0).astype("int64")
    )
    balance = result["placement_id"].map(placements.set_index("placement_id")["balance_minor"])
    upto = before_minor + result.groupby("placement_id", sort=False)["gross_minor"].cumsum()
    over = (upto - balance).clip(lower=0).astype("int64")
    over_before = (upto - result["gross_minor"] - balance).clip(lower=0).astype("int64")
    return result.assign(over_minor=over, excess_minor=over - over_before, balance_minor=balance).sort_index()


def _overpayments(connection: Connection, lender: str, excess: pd.DataFrame, now: datetime) -> None:
    """One break per placement over its balance, at the amount that it is over now; closed when it no longer is."""
    order = excess.sort_values(["placement_id", "value_date", "content_id"])
    last = order.drop_duplicates("placement_id", keep="last")
    crossing = order[order["over_minor"] > 0].drop_duplicates("placement_id")[["placement_id", "line_id"]]
    over = last[last["over_minor"] > 0].drop(columns="line_id").merge(crossing, on="placement_id")
    over = over.assign(amount_minor=over["over_minor"])
    found = codes.found(over, "overpayment", "placement_id", balance_minor=over["balance_minor"])
    opened = open_breaks(connection, lender, found, now)
    grown = found[~found["break_key"].isin(opened["break_key"])]
    sized = grown[["break_key", "amount_minor"]].assign(size_minor=grown["amount_minor"].abs())
    set_columns(connection, BREAK, sized, ["break_key"])
    with staged(connection, BREAK, grown[["break_key"]]) as stage:
        again = and_(BREAK.c.break_key.in_(select(stage.c.break_key)), BREAK.c.closed_because == TAKEN_BACK)
        reopening = update(BREAK).where(again, BREAK.c.state == "closed")
        connection.execute(reopening.values(state="open", closed_at=None, closed_because=None))
    mended = "overpayment:placement:" + last.loc[last["over_minor"] == 0, "placement_id"].astype("str")
    with staged(connection, BREAK, pd.DataFrame({"break_key": mended})) as stage:
        close_breaks(connection, BREAK.c.break_key.in_(select(stage.c.break_key)), TAKEN_BACK, now)


def _stopped(lines: pd.DataFrame, code: pd.Series) -> pd.DataFrame:
    """The breaks of lines that do not count."""
    lines = lines.assign(amount_minor=lines["gross_minor"])
    return codes.together([codes.found(lines[code == each], each, "line_id") for each in sorted(code.unique())])


def _differences(lines: pd.DataFrame, agreed: Agreed) -> list[pd.DataFrame]:
    """The breaks that stand beside lines that count: what the agency kept is not what it may keep."""
    terms = agreed.on(lines["value_date"])
    # of what was paid to the lender itself the agency had nothing to keep back
    retains = (agreed.term("remits", terms) == "net") & (lines["kind"] != "direct").to_numpy()
    # where the month as a whole decides, what was kept is held against the statement (docs/reference/contracts.md)
    by_tier = (agreed.term("fees", terms) == "tiers") & ~agreed.term("is_counted_by_month", terms)
    tolerance = agreed.term("invoice_tolerance_minor", terms)
    kept = np.where(retains, lines["commission_minor"] + lines["vat_minor"], 0)
    expected, net = lines["gross_minor"] - kept, lines["net_minor"]
    found = []
    if (off := expected != net).any():
        netted = lines.assign(amount_minor=expected - net)[off]
        detail = {"expected_minor": expected[off], "found_minor": net[off]}
        found.append(codes.found(netted, "fee_netted", "line_id", **detail))
    for name, code in (("commission_minor", "commission_diff"), ("vat_minor", "vat_diff")):
        due = lines[f"due_{name}"].astype("int64")
        wrong = retains & by_tier & ((lines[name] - due).abs() > tolerance).to_numpy()
        if not wrong.any():
            continue
        differs = lines.assign(amount_minor=lines[name] - due)[wrong]
        detail = {"expected_minor": due[wrong], "found_minor": differs[name]}
        found.append(codes.found(differs, code, "line_id", **detail))
    return found


def _post_lines(
    connection: Connection, posted: pd.DataFrame, source: str, agreed: Agreed, excess: pd.DataFrame, now: datetime
) -> None:
    """Recoveries, commission and what net remitters keep are in the books."""
    if posted.empty:
        return
    gross, over = posted["gross_minor"], excess["excess_minor"]
    fee, vat = (posted[name].astype("int64") for name in ("due_commission_minor", "due_vat_minor"))
    retains = agreed.term("remits", agreed.on(posted["value_date"])) == "net"
    kept = np.where(retains, posted["commission_minor"] + posted["vat_minor"], 0)
    journal = [postings.line_accepted(postings.keyed(posted, "line_accepted", source), gross, over)]
    if (fee != 0).any() or (vat != 0).any():
        journal.append(postings.commission(postings.keyed(posted, "commission", source), fee, vat))
    if kept.any():
        journal.append(postings.net_retention(postings.keyed(posted, "net_retention", source), kept))
    post(connection, pd.concat(journal, ignore_index=True), now)
