"""A month's settlement in the store: what it changes of the lines' commission is kept and posted (R9, R11).

It happens once, in the transaction that states the month (flows/statement): models/contract/settling.py says what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sqlalchemy import BigInteger, Connection, and_, cast, exists, func, select

from infra.store import instalments
from infra.store.bulk import append, read, reserve, staged, table_of
from infra.store.contracts import contracts_of
from infra.store.ledger import post
from models import postings
from models.contract import settling
from models.contract.pricing import fee_of
from models.tables import Account, AgencyContract, CommissionAdjustment, Placement, RemittanceLine

if TYPE_CHECKING:
    from datetime import date, datetime

    from sqlalchemy import ColumnElement

    from models.contract import Agreed, Contract

ACCOUNT = table_of(Account)
ADJUSTMENT = table_of(CommissionAdjustment)
CONTRACT = table_of(AgencyContract)
LINE = table_of(RemittanceLine)
PLACEMENT = table_of(Placement)
IDS = ("original_line_id", "placement_id", "account_id")


@dataclass(frozen=True)
class Stated:
    """The statement that is being made."""

    statement_id: int
    lender: str
    agency: str
    currency: str
    until: date


def settle(connection: Connection, stated: Stated, now: datetime) -> int:
    """What the month as a whole changes is in the store and in the books; how many adjustments that were.

    Its lines are on the statement already.
    """
    agreed = contracts_of(connection, stated.lender, stated.agency)
    last = agreed.at(stated.until)
    found = [settling.none()]
    mine = LINE.c.statement_id == stated.statement_id
    lines = priced_lines(connection, mine) if _hangs_on_the_month(connection, stated, agreed) else None
    if lines is not None:
        units, terms = settling.units_of(lines), agreed.on(lines["value_date"])
        for number, contract in enumerate(agreed.contracts):
            of_these = units[units.index.isin(lines.index[terms == number])]
            found.append(settling.counted_together(of_these, contract))
        found.append(settling.taken_back(_reversed_later(connection, lines, stated), last))
        limits = _account_limits(connection, lines, found, agreed)
        found.append(settling.month_limits(settling.with_added(units, found), last, other_minor=_fees(limits, last)))
        found.append(limits)
    found += _case_fees(connection, stated, agreed)
    changed = settling.together(found)
    if lines is not None:
        sums = {name: int(lines[name].sum()) + int(changed[name].sum()) for name in settling.DUE}
        changed = settling.together([changed, settling.invoice_vat(sums[settling.DUE[0]], sums[settling.DUE[1]], last)])
    own_vat = _own_vat(connection, stated, agreed, changed)
    return _keep(connection, stated, changed, own_vat, now)


def added_to(connection: Connection, lines: pd.DataFrame) -> pd.DataFrame:
    """What settlements have added to each of these lines: `commission_minor`, `vat_minor`, by `line_id`."""
    with staged(connection, LINE, lines) as stage:
        found = read(
            connection,
            select(ADJUSTMENT.c.line_id, *_sums(ADJUSTMENT.c.commission_minor, ADJUSTMENT.c.vat_minor))
            .join(stage, stage.c.line_id == ADJUSTMENT.c.line_id)
            .group_by(ADJUSTMENT.c.line_id),
        )
    return found.set_index("line_id")


def owes_case_fees(lender: str, until: date) -> ColumnElement[bool]:
    """Whether a row of `placement` was placed by then and no fee for it is stated yet."""
    charged = exists().where(ADJUSTMENT.c.placement_id == PLACEMENT.c.placement_id, ADJUSTMENT.c.kind == "case_fee")
    return and_(PLACEMENT.c.lender == lender, PLACEMENT.c.state != "planned", PLACEMENT.c.placed_on <= until, ~charged)


def agencies_with_case_fees(connection: Connection, lender: str, until: date) -> list[tuple[str, str]]:
    """Agency and currency of those that have a fee for a case coming, by a contract that gives one."""
    pairs = connection.execute(
        select(CONTRACT.c.agency)
        .where(CONTRACT.c.lender == lender, CONTRACT.c.terms.contains("case_fee_minor"))
        .distinct()
    )
    found = []
    for (agency,) in pairs:
        agreed = contracts_of(connection, lender, agency)
        cases = _cases(connection, lender, agency, None, until)
        due = cases[_gives_fee(cases, agreed)]
        found += [(agency, str(currency)) for currency in sorted(due["currency"].unique())]
    return found


def _hangs_on_the_month(connection: Connection, stated: Stated, agreed: Agreed) -> bool:
    """Whether any line of the statement has to be looked at: else its months are as cheap as they were."""
    if any(contract.is_counted_by_month for contract in agreed.contracts):
        return True
    reversals = select(LINE.c.original_line_id).where(
        LINE.c.statement_id == stated.statement_id, LINE.c.original_line_id.is_not(None)
    )
    adjusted = select(ADJUSTMENT.c.adjustment_id).where(ADJUSTMENT.c.line_id.in_(reversals)).limit(1)
    return connection.execute(adjusted).first() is not None


def priced_lines(connection: Connection, which: ColumnElement[bool]) -> pd.DataFrame:
    """The lines that `which` holds for, in an order of their contents, with what their placements were like."""
    found = read(
        connection,
        select(
            LINE.c.line_id, LINE.c.original_line_id, LINE.c.placement_id, LINE.c.account_id, LINE.c.kind,
            LINE.c.gross_minor, LINE.c.value_date, LINE.c.due_commission_minor.label("commission_minor"),
            LINE.c.due_vat_minor.label("vat_minor"), PLACEMENT.c.dpd, PLACEMENT.c.round, PLACEMENT.c.balance_minor,
            PLACEMENT.c.stage, PLACEMENT.c.placed_on, ACCOUNT.c.product, instalments.agreed_as(connection, LINE),
        )
        .join(PLACEMENT, PLACEMENT.c.placement_id == LINE.c.placement_id)
        .join(ACCOUNT, ACCOUNT.c.account_id == PLACEMENT.c.account_id)
        .where(which)
        .order_by(LINE.c.value_date, LINE.c.content_id, LINE.c.line_id),
    )  # fmt: skip
    return found.astype(dict.fromkeys(settling.DUE, "int64") | dict.fromkeys(IDS, "Int64"))


def _reversed_later(connection: Connection, lines: pd.DataFrame, stated: Stated) -> pd.DataFrame:
    """Reversals of lines that an earlier statement settled, as models.contract.settling.taken_back has them."""
    reversals = lines[lines["original_line_id"].notna() & ~lines["original_line_id"].isin(lines["line_id"])]
    if reversals.empty:
        return reversals
    wanted = reversals[["original_line_id"]].drop_duplicates().rename(columns={"original_line_id": "line_id"})
    added = added_to(connection, wanted)
    reversals = reversals[reversals["original_line_id"].isin(added.index)]
    if reversals.empty:
        return reversals
    with staged(connection, LINE, wanted) as stage:
        other = LINE.alias("undoing")
        history = read(
            connection,
            select(
                LINE.c.line_id.label("original_line_id"), LINE.c.gross_minor.label("original_minor"),
                LINE.c.statement_id.label("settled_on"), other.c.statement_id, other.c.gross_minor,
            )
            .join(stage, stage.c.line_id == LINE.c.line_id)
            .join(other, other.c.original_line_id == LINE.c.line_id)
            .where(other.c.statement_id.is_not(None)),
        )  # fmt: skip
    together = history[history["statement_id"] == history["settled_on"]]
    later = history[
        (history["statement_id"] != history["settled_on"]) & (history["statement_id"] != stated.statement_id)
    ]
    original = history.drop_duplicates("original_line_id").set_index("original_line_id")["original_minor"]
    base = original.add(together.groupby("original_line_id")["gross_minor"].sum(), fill_value=0)
    gone = -later.groupby("original_line_id")["gross_minor"].sum()
    at = reversals["original_line_id"].astype("int64")
    upto = -reversals.groupby("original_line_id")["gross_minor"].cumsum() + at.map(gone).fillna(0)
    return reversals.assign(
        base_minor=at.map(base).astype("int64"),
        after_minor=upto.astype("int64"),
        before_minor=(upto + reversals["gross_minor"]).astype("int64"),
        **{name: at.map(added[name]).astype("int64") for name in settling.DUE},
    )


def _account_limits(
    connection: Connection, lines: pd.DataFrame, found: list[pd.DataFrame], agreed: Agreed
) -> pd.DataFrame:
    """What limits per account change, for this statement's accounts, under the terms of the day of placement."""
    if all(one.account_floor_minor is None and one.account_cap_minor is None for one in agreed.contracts):
        return settling.none()
    touched = lines[["placement_id", "account_id", "placed_on"]].drop_duplicates("placement_id")
    totals = _totals(connection, touched, found)
    parts = []
    terms = agreed.on(totals["placed_on"])
    for number, contract in enumerate(agreed.contracts):
        parts.append(settling.account_limits(totals[terms == number], contract))
    return settling.together(parts)


def _totals(connection: Connection, touched: pd.DataFrame, found: list[pd.DataFrame]) -> pd.DataFrame:
    """Per placement all that was recovered, due and added, on this statement and those before."""
    with staged(connection, LINE, touched[["placement_id"]]) as stage:
        told = read(
            connection,
            select(
                LINE.c.placement_id,
                *_sums(LINE.c.gross_minor, LINE.c.due_commission_minor, LINE.c.due_vat_minor),
            )
            .join(stage, stage.c.placement_id == LINE.c.placement_id)
            .where(LINE.c.statement_id.is_not(None))
            .group_by(LINE.c.placement_id),
        ).set_index("placement_id")
        limited = ADJUSTMENT.c.kind == "account_limit"
        added = read(
            connection,
            select(
                ADJUSTMENT.c.placement_id,
                limited.label("limited"),
                *_sums(ADJUSTMENT.c.commission_minor, ADJUSTMENT.c.vat_minor),
            )
            .join(stage, stage.c.placement_id == ADJUSTMENT.c.placement_id)
            .where(ADJUSTMENT.c.kind != "case_fee")
            .group_by(ADJUSTMENT.c.placement_id, limited),
        )
    now = settling.together(found).dropna(subset="placement_id").groupby("placement_id")[list(settling.DUE)].sum()
    before = added[~added["limited"].astype(bool)].set_index("placement_id")[list(settling.DUE)]
    limits = added[added["limited"].astype(bool)].set_index("placement_id")[list(settling.DUE)]
    at = touched["placement_id"].astype("int64")
    totals = touched.assign(recovered_minor=at.map(told["gross_minor"]).astype("int64"))
    for name in settling.DUE:
        parts = (told[f"due_{name}"], before[name], now[name])
        totals[name] = sum(at.map(part).fillna(0).astype("int64") for part in parts)
        totals[f"limited_{name}"] = at.map(limits[name]).fillna(0).astype("int64")
    return totals


def _cases(connection: Connection, lender: str, agency: str, currency: str | None, until: date) -> pd.DataFrame:
    """Placements that were never charged: `placement_id`, `account_id`, `currency`, `placed_on`."""
    names = ["placement_id", "account_id", "currency", "placed_on"]
    statement = (
        select(*(PLACEMENT.c[name] for name in names))
        .where(PLACEMENT.c.agency == agency, owes_case_fees(lender, until))
        .order_by(PLACEMENT.c.placement_id)
    )
    if currency is not None:
        statement = statement.where(PLACEMENT.c.currency == currency)
    return read(connection, statement)


def _gives_fee(cases: pd.DataFrame, agreed: Agreed) -> np.ndarray:
    """Which of them are under terms with a fee for each case, in that contract's currency."""
    terms = agreed.on(cases["placed_on"])
    fee = np.array([contract.case_fee_minor is not None for contract in agreed.contracts])[terms]
    currency = np.array([contract.currency for contract in agreed.contracts], dtype=object)[terms]
    return np.asarray(fee & (cases["currency"].to_numpy() == currency))


def _case_fees(connection: Connection, stated: Stated, agreed: Agreed) -> list[pd.DataFrame]:
    if all(contract.case_fee_minor is None for contract in agreed.contracts):
        return []
    cases = _cases(connection, stated.lender, stated.agency, stated.currency, stated.until)
    due = cases[_gives_fee(cases, agreed)]
    terms = agreed.on(due["placed_on"])
    return [settling.case_fees(due[terms == number], contract) for number, contract in enumerate(agreed.contracts)]


def _fees(limits: pd.DataFrame, contract: Contract) -> int:
    due, vat = (limits[name].to_numpy(dtype=np.int64) for name in settling.DUE)
    return int(fee_of(due, vat, contract).sum())


def _own_vat(connection: Connection, stated: Stated, agreed: Agreed, changed: pd.DataFrame) -> int:
    """The VAT that we owe ourselves for the month, reverse charge; adjustments count under the month's last terms."""
    if all(contract.vat_treatment != "reverse_charge" for contract in agreed.contracts):
        return 0
    sums = read(
        connection,
        select(LINE.c.value_date, *_sums(LINE.c.due_commission_minor))
        .where(LINE.c.statement_id == stated.statement_id)
        .group_by(LINE.c.value_date),
    )
    terms = agreed.on(sums["value_date"])
    last = agreed.at(stated.until)
    total = 0
    for number, contract in enumerate(agreed.contracts):
        due = int(sums.loc[terms == number, "due_commission_minor"].sum())
        due += int(changed["commission_minor"].sum()) if contract is last else 0
        total += settling.owed_for(due, contract)
    return total


def _keep(connection: Connection, stated: Stated, changed: pd.DataFrame, own_vat: int, now: datetime) -> int:
    """The adjustments are in the store and in the books; how many."""
    rows = changed.assign(own_vat_minor=0)
    if own_vat:
        lone = settling.none().reindex([0]).assign(kind="reverse_charge", commission_minor=0, vat_minor=0)
        rows = pd.concat([rows, lone.assign(own_vat_minor=own_vat)], ignore_index=True)
    if rows.empty:
        return 0
    first = reserve(connection, "commission_adjustment", len(rows))
    ids = ["line_id", "placement_id", "account_id"]
    rows = rows.astype(dict.fromkeys(ids, "Int64") | dict.fromkeys(settling.DUE, "int64") | {"kind": "str"})
    subject = rows["line_id"].fillna(rows["placement_id"]).fillna(0).astype("str")
    rows = rows.assign(
        adjustment_id=np.arange(first, first + len(rows)),
        adjustment_key=(rows["kind"] + f":statement:{stated.statement_id}:" + subject).mask(
            rows["kind"] == "case_fee", "case_fee:placement:" + subject
        ),
        statement_id=stated.statement_id,
        value_date=pd.Series(pd.Timestamp(stated.until), index=rows.index).astype("datetime64[us]"),
        **{
            name: pd.Series(getattr(stated, name), index=rows.index, dtype="str")
            for name in ("lender", "agency", "currency")
        },
    )
    append(connection, ADJUSTMENT, rows)
    events = postings.keyed(rows, "commission_adjustment", f"statement:{stated.statement_id}")
    journal = postings.commission(events, rows["commission_minor"], rows["vat_minor"])
    if own_vat:
        owed = postings.keyed(rows, "reverse_charge", f"statement:{stated.statement_id}")
        journal = pd.concat([journal, postings.reverse_charge(owed, rows["own_vat_minor"])], ignore_index=True)
    post(connection, journal, now)
    return len(rows)


def _sums(*columns: ColumnElement[int]) -> list[ColumnElement[int]]:
    """The sum of each column under its own name, as a whole number on every store."""
    return [cast(func.coalesce(func.sum(column), 0), BigInteger).label(column.key) for column in columns]
