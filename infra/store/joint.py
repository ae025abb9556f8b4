"""Consolidated collection as pages show it: who is one person, joint payments and how each was split; by keyset.

A person is named by the lowest number of their debtors: what links them stays in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import and_, func, select

from infra.store import bulk, keyset
from infra.store.consolidation import (
    ACCOUNTS,
    BASES,
    FILES,
    LINKED,
    PAYMENTS,
    REMITTED,
    SHARES,
    counting,
    whereabouts,
)
from infra.store.keyset import Order, Page
from infra.store.whereabouts import PLACEMENTS
from models.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection, Select

DEBTORS_AT_ONCE: Final = 500
"""Linked debtors that one question looks at."""
QUESTIONS: Final = 4
"""That a page asks; where they find too few, the list goes on behind them."""


# -- who is one person -------------------------------------------------------------------------------------------------


def persons(
    connection: Connection, circle: str, today: date, after: str | None = None, *, divided: bool = False
) -> Page:
    """The circle's linked persons: `debtor_id` (their lowest), `members`, `agencies`, `divided`.

    members: `debtor_id`, `lender`, `accounts` that are open, `agencies` that have some. divided: only persons with
    several agencies. A page may hold few, or none, and still go on.
    """
    found: list[dict[str, Any]] = []
    last = keyset.behind(after)
    for _ in range(QUESTIONS):
        upto = _last_of_next(connection, circle, last)
        if upto is None:
            return Page(found, None)
        lowest = list(connection.execute(_lowest(circle, today, last, upto)).scalars())
        if not divided:
            lowest = lowest[: keyset.ROWS + 1 - len(found)]  # one more tells that the list goes on
        told = _with_members(connection, circle, lowest, today)
        found += [one for one in told if one["divided"] or not divided]
        if len(found) > keyset.ROWS:
            return Page(found[: keyset.ROWS], str(found[keyset.ROWS - 1]["debtor_id"]))
        last = upto
    return Page(found, None if _last_of_next(connection, circle, last) is None else str(last))


def _last_of_next(connection: Connection, circle: str, last: int) -> int | None:
    """The last of the next debtors of the circle that one question looks at; None where there is none."""
    some = (
        select(LINKED.c.debtor_id)
        .where(LINKED.c.circle == circle, LINKED.c.debtor_id > last)
        .order_by(LINKED.c.debtor_id)
        .limit(DEBTORS_AT_ONCE)
        .subquery()
    )
    found = connection.execute(select(func.max(some.c.debtor_id))).scalar_one()
    return None if found is None else int(found)


def _lowest(circle: str, today: date, last: int, upto: int) -> Select[Any]:
    """Each person's lowest debtor, of those in the span who are linked with another lender's today."""
    people = counting(today).subquery()
    other = LINKED.alias("lower")
    lower = select(other.c.debtor_id).where(
        other.c.circle == LINKED.c.circle,
        other.c.link == LINKED.c.link,
        other.c.debtor_id + 0 < LINKED.c.debtor_id,  # found by the link: by number there would be all before it
    )
    linked = select(people.c.debtor_id).where(
        people.c.circle == LINKED.c.circle, people.c.debtor_id == LINKED.c.debtor_id
    )
    return (
        select(LINKED.c.debtor_id)
        .where(
            LINKED.c.circle == circle, LINKED.c.debtor_id > last, LINKED.c.debtor_id <= upto,
            ~lower.correlate(LINKED).exists(), linked.correlate(LINKED).exists(),
        )
        .order_by(LINKED.c.debtor_id)
    )  # fmt: skip


def _with_members(connection: Connection, circle: str, lowest: list[int], today: date) -> list[dict[str, Any]]:
    if not lowest:
        return []
    mine = LINKED.c.circle == circle
    # in two steps: a join would look at everybody who is linked
    links = {
        str(link): int(debtor_id)
        for debtor_id, link in connection.execute(
            select(LINKED.c.debtor_id, LINKED.c.link).where(mine, LINKED.c.debtor_id.in_(lowest))
        )
    }
    members = bulk.read(connection, counting(today).where(mine, LINKED.c.link.in_(list(links))))
    members = members.assign(person=members["link"].map(links)).sort_values(["person", "lender", "debtor_id"])
    owed = bulk.read(
        connection,
        select(ACCOUNTS.c.debtor_id, func.count().label("accounts"))
        .where(ACCOUNTS.c.debtor_id.in_(members["debtor_id"].tolist()), ACCOUNTS.c.status == "open")
        .group_by(ACCOUNTS.c.debtor_id),
    ).set_index("debtor_id")["accounts"]
    there = whereabouts(connection, members["debtor_id"]).groupby("debtor_id")["agency"].agg(sorted)
    told: dict[int, list[dict[str, Any]]] = {number: [] for number in lowest}
    for person, debtor_id, lender in zip(members["person"], members["debtor_id"], members["lender"], strict=True):
        told[int(person)].append({
            "debtor_id": int(debtor_id), "lender": str(lender), "accounts": int(owed.get(debtor_id, 0)),
            "agencies": list(there.get(debtor_id, [])),
        })  # fmt: skip
    return [_person(number, told[number]) for number in lowest]


def _person(number: int, members: list[dict[str, Any]]) -> dict[str, Any]:
    agencies = sorted({agency for one in members for agency in one["agencies"]})
    several = len(agencies) > 1 and len({one["lender"] for one in members if one["agencies"]}) > 1
    return {"debtor_id": number, "members": members, "agencies": agencies, "divided": several}


def bases(connection: Connection, after: str | None = None) -> Page:
    """Every basis, the newest first."""
    return keyset.page(connection, select(BASES), Order((BASES.c.basis_id,), falling=True), after)


# -- joint payments ----------------------------------------------------------------------------------------------------


def payments(connection: Connection, agency: str = "", after: str | None = None) -> Page:
    """Joint payments, the newest first, with how many shares and lenders each was split over."""
    shares, lenders = (
        select(counted).where(SHARES.c.payment_id == PAYMENTS.c.payment_id).scalar_subquery()
        for counted in (func.count(), func.count(SHARES.c.lender.distinct()))
    )
    statement = select(PAYMENTS, shares.label("shares"), lenders.label("lenders"))
    if agency:
        statement = statement.where(PAYMENTS.c.agency == agency)
    return keyset.page(connection, statement, Order((PAYMENTS.c.payment_id,), falling=True), after)


def payment(connection: Connection, payment_id: int) -> dict[str, Any]:
    """One joint payment. Raises UsageError."""
    row = connection.execute(select(PAYMENTS).where(PAYMENTS.c.payment_id == payment_id)).mappings().one_or_none()
    if row is None:
        raise UsageError(f"there is no joint payment {payment_id}", fix="the list of joint payments has their numbers")
    return keyset.aware(dict(row))


def split_of(connection: Connection, payment: dict[str, Any]) -> list[dict[str, Any]]:
    """The payment's shares in the order in which it was split, with when each account fell due and its lender's rank.

    Columns of `JointShare`; `due_on`, `balance_minor` of the account as it is known now, `rank`.
    """
    statement = (
        select(
            SHARES, ACCOUNTS.c.due_on, ACCOUNTS.c.as_of, ACCOUNTS.c.dpd, ACCOUNTS.c.balance_minor,
            BASES.c.split_rank.label("rank"),
        )
        .join(ACCOUNTS, ACCOUNTS.c.account_id == SHARES.c.account_id)
        .outerjoin(
            BASES,
            and_(BASES.c.circle == payment["circle"], BASES.c.lender == SHARES.c.lender, BASES.c.state == "in_force"),
        )
        .where(SHARES.c.payment_id == payment["payment_id"])
    )  # fmt: skip
    rows = [dict(row) for row in connection.execute(statement).mappings()]
    for row in rows:
        row["due_on"] = row["due_on"] or row["as_of"] - pd.Timedelta(days=row["dpd"])
    by_rank = payment["split_order"] == "lender_order"
    return sorted(rows, key=lambda row: ((row["rank"] or 0) if by_rank else 0, row["due_on"], row["account_id"]))


def taken_in_with(connection: Connection, payment: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The payments of the list that the payment came in, and their shares with each placement's `key_generation`."""
    at = select(PAYMENTS.c.recorded_at).where(PAYMENTS.c.payment_id == payment["payment_id"]).scalar_subquery()
    mine = select(PAYMENTS.c.payment_id).where(PAYMENTS.c.agency == payment["agency"], PAYMENTS.c.recorded_at == at)
    given = bulk.read(connection, select(PAYMENTS).where(PAYMENTS.c.payment_id.in_(mine)))
    shares = (
        select(SHARES, PLACEMENTS.c.key_generation)
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == SHARES.c.placement_id)
        .where(SHARES.c.payment_id.in_(mine))
    )
    return given, bulk.read(connection, shares)


def shares(connection: Connection, lender: str = "", agency: str = "", after: str | None = None) -> Page:
    """Shares, the newest first, with `remitted_minor` and `state`: waiting | remitted | differs.

    Without the payment: nothing tells which shares were one.
    """
    columns = [column for column in SHARES.c if column.name != "payment_id"]
    statement = select(*columns)
    for column, wanted in ((SHARES.c.lender, lender), (SHARES.c.agency, agency)):
        if wanted:
            statement = statement.where(column == wanted)
    page = keyset.page(connection, statement, Order((SHARES.c.paid_on, SHARES.c.share_ref), falling=True), after)
    told = _remitted(connection, [row["share_ref"] for row in page.rows])
    for row in page.rows:
        came = told.get((row["share_ref"], row["lender"], row["agency"]))
        row["remitted_minor"] = came
        row["state"] = "waiting" if came is None else "remitted" if came == row["amount_minor"] else "differs"
    return page


def _remitted(connection: Connection, refs: list[str]) -> dict[tuple[str, str, str], int]:
    """What came under each reference in files that count."""
    found = connection.execute(
        select(REMITTED.c.txn_ref, REMITTED.c.lender, REMITTED.c.agency, func.sum(REMITTED.c.gross_minor))
        .join(FILES, FILES.c.file_id == REMITTED.c.file_id)
        .where(
            REMITTED.c.txn_ref.in_(refs),
            FILES.c.state == "accepted",
            REMITTED.c.state.not_in(("rejected", "duplicate")),
        )
        .group_by(REMITTED.c.txn_ref, REMITTED.c.lender, REMITTED.c.agency)
    )
    return {(str(ref), str(lender), str(agency)): int(minor) for ref, lender, agency, minor in found}
