"""Placements come into being, are told of, called back and erased: each verb's preparation in one transaction."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, and_, case, exists, func, insert, literal, or_, select, update

from infra.store import bulk, exchange
from infra.store.exchange import AT_AGENCY, ERASURES, MEMBERS, PLACEMENTS, RECALLS, Work
from models.tables import Account, Hold, Plan, PlanLine

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNTS = bulk.table_of(Account)
HOLDS = bulk.table_of(Hold)
LINES = bulk.table_of(PlanLine)
PLANS = bulk.table_of(Plan)

OUT = ("placed", "acknowledged")
"""With the agency, and not yet called back."""


def place_plan(
    connection: Connection,
    plan: Any,
    placed_on: date,
    generation_of: Callable[[str], str],
    suffix_of: Callable[[str], str],
) -> list[int]:
    """The plan's lines are placements, one transmission per agency. Returns the transmissions, new or known.

    generation_of: the agency's current pseudonym key; suffix_of: the ending of files sealed for the agency.
    """
    groups = connection.execute(
        select(LINES.c.agency, func.count())
        .where(LINES.c.plan_id == plan.plan_id)
        .group_by(LINES.c.agency)
        .order_by(LINES.c.agency)
    ).all()
    transmissions = []
    for agency, accounts in groups:
        work = Work(
            f"plan:{plan.plan_id}:{agency}",
            plan.lender,
            agency,
            "placement",
            placed_on,
            suffix_of(agency),
            {"plan_id": plan.plan_id},
        )
        transmission_id, new = exchange.prepare(connection, work)
        transmissions.append(transmission_id)
        if not new:
            continue
        first = bulk.reserve(connection, "placement", accounts)
        columns: dict[str, Any] = {
            "placement_id": literal(first - 1) + func.row_number().over(order_by=LINES.c.account_id),
            "plan_id": LINES.c.plan_id,
            "lender": literal(plan.lender),
            "agency": LINES.c.agency,
            "account_id": LINES.c.account_id,
            "debtor_id": LINES.c.debtor_id,
            "round": LINES.c.round,
            "stage": literal(plan.stage),
            "segment": LINES.c.segment,
            "currency": ACCOUNTS.c.currency,
            "balance_minor": LINES.c.balance_minor,
            "dpd": LINES.c.dpd,
            "bucket": LINES.c.bucket,
            "placed_on": literal(placed_on),
            "due_back_on": literal(placed_on + timedelta(days=plan.term_days)),
            "state": literal("planned"),
            "key_generation": literal(generation_of(agency)),
            "transmission_id": literal(transmission_id),
        }
        connection.execute(
            insert(PLACEMENTS).from_select(
                list(columns),
                select(*columns.values())
                .join(ACCOUNTS, ACCOUNTS.c.account_id == LINES.c.account_id)
                .where(LINES.c.plan_id == plan.plan_id, LINES.c.agency == agency),
            )
        )
        exchange.members_from_placements(connection, transmission_id, PLACEMENTS.c.transmission_id == transmission_id)
    connection.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.account_id.in_(select(LINES.c.account_id).where(LINES.c.plan_id == plan.plan_id)))
        .values(rounds=ACCOUNTS.c.rounds + 1)
    )
    return transmissions


def plan_agencies(connection: Connection, plan_id: int) -> list[str]:
    """Codes of the agencies that the plan places with, in order."""
    # sorted here: with ORDER BY, SQLite sorts every line before it looks for different ones
    found = connection.execute(select(LINES.c.agency).where(LINES.c.plan_id == plan_id).distinct())
    return sorted(found.scalars())


# -- recall ------------------------------------------------------------------------------------------------------------


def due_for_recall(connection: Connection, lender: str | None, today: date) -> pd.DataFrame:
    """Placements that must come back today, and why: a hold before payment before term.

    Columns: placement_id, lender, agency, reason.
    """
    held = (
        select(HOLDS.c.debtor_id, HOLDS.c.account_id, func.min(HOLDS.c.reason).label("reason"))
        .where(
            HOLDS.c.lifted_at.is_(None), HOLDS.c.since <= today, or_(HOLDS.c.until.is_(None), HOLDS.c.until >= today)
        )
        .group_by(HOLDS.c.debtor_id, HOLDS.c.account_id)
        .subquery()
    )
    on_hold = (
        select(func.min(held.c.reason))
        .where(
            held.c.debtor_id == PLACEMENTS.c.debtor_id,
            or_(held.c.account_id.is_(None), held.c.account_id == PLACEMENTS.c.account_id),
        )
        .correlate(PLACEMENTS)
        .scalar_subquery()
    )
    paid = or_(ACCOUNTS.c.balance_minor <= 0, ACCOUNTS.c.status.in_(("paid", "closed")))
    reason = case(
        (on_hold.is_not(None), on_hold),
        (paid, literal("paid")),
        (PLACEMENTS.c.due_back_on <= today, literal("term")),
        else_=None,
    )
    chosen = (
        select(PLACEMENTS.c.placement_id, PLACEMENTS.c.lender, PLACEMENTS.c.agency, reason.label("reason"))
        .join(ACCOUNTS, ACCOUNTS.c.account_id == PLACEMENTS.c.account_id)
        .where(PLACEMENTS.c.state.in_(OUT), reason.is_not(None))
    )
    if lender is not None:
        chosen = chosen.where(PLACEMENTS.c.lender == lender)
    return bulk.read(connection, chosen.order_by(PLACEMENTS.c.placement_id))


def recall(
    connection: Connection, due: pd.DataFrame, today: date, days: int, by: str, suffix_of: Callable[[str], str]
) -> list[int]:
    """The placements are recalled, one file per lender and agency. Returns the new transmissions.

    due: placement_id, lender, agency, reason; placements that are no longer out are left alone.
    """
    exchange.take_turn(connection)
    transmissions = []
    for (lender, agency), part in due.groupby(["lender", "agency"]):
        with bulk.staged(connection, RECALLS, part[["placement_id", "reason"]]) as stage:
            moved_ids = bulk.read(
                connection,
                select(PLACEMENTS.c.placement_id, stage.c.reason)
                .join(stage, stage.c.placement_id == PLACEMENTS.c.placement_id)
                .where(PLACEMENTS.c.state.in_(OUT))
                .order_by(PLACEMENTS.c.placement_id),
            )
        if moved_ids.empty:
            continue
        first = bulk.reserve(connection, "recall", len(moved_ids))
        work = Work(
            f"recall:{first}",
            str(lender),
            str(agency),
            "recall",
            today,
            suffix_of(str(agency)),
            {"first_recall_id": first},
        )
        transmission_id, _ = exchange.prepare(connection, work)
        bulk.append(
            connection,
            RECALLS,
            moved_ids.assign(
                recall_id=range(first, first + len(moved_ids)),
                agency=str(agency),
                requested_on=pd.Timestamp(today),
                due_on=pd.Timestamp(today + timedelta(days=days)),
                requested_by=by,
                transmission_id=transmission_id,
            ),
        )
        bulk.set_columns(connection, PLACEMENTS, moved_ids[["placement_id"]].assign(state="recalled"), ["placement_id"])
        exchange.members_from_placements(
            connection,
            transmission_id,
            PLACEMENTS.c.placement_id.in_(
                select(RECALLS.c.placement_id).where(RECALLS.c.transmission_id == transmission_id)
            ),
        )
        transmissions.append(transmission_id)
    return transmissions


def overdue_recalls(connection: Connection, today: date) -> pd.DataFrame:
    """Recalls that the agency should have confirmed by now: agency, reason, placements, oldest due_on."""
    return bulk.read(
        connection,
        select(
            RECALLS.c.agency,
            RECALLS.c.reason,
            func.count().label("placements"),
            func.min(RECALLS.c.due_on).label("oldest_due_on"),
        )
        .where(RECALLS.c.confirmed_on.is_(None), RECALLS.c.due_on < today)
        .group_by(RECALLS.c.agency, RECALLS.c.reason)
        .order_by(RECALLS.c.agency, RECALLS.c.reason),
    )


# -- update ------------------------------------------------------------------------------------------------------------


def tell_balances(
    connection: Connection, lender: str | None, today: date, suffix_of: Callable[[str], str]
) -> list[int]:
    """Agencies are to be told every balance that differs from what they were last told. Returns the transmissions."""
    exchange.take_turn(connection)
    changed = and_(
        PLACEMENTS.c.account_id == ACCOUNTS.c.account_id,
        PLACEMENTS.c.state.in_(OUT),
        PLACEMENTS.c.told_minor != ACCOUNTS.c.balance_minor,
    )
    chosen = select(
        PLACEMENTS.c.placement_id, PLACEMENTS.c.account_id, PLACEMENTS.c.lender, PLACEMENTS.c.agency,
        ACCOUNTS.c.balance_minor.label("told_minor"),
    ).where(changed)  # fmt: skip
    if lender is not None:
        chosen = chosen.where(PLACEMENTS.c.lender == lender)
    rows = bulk.read(connection, chosen.order_by(PLACEMENTS.c.placement_id))
    transmissions = []
    for (of, agency), part in rows.groupby(["lender", "agency"]):
        number = bulk.reserve(connection, "update", 1)
        work = Work(
            f"update:{number}", str(of), str(agency), "update", today, suffix_of(str(agency)), {"reason": "balance"}
        )
        transmission_id, _ = exchange.prepare(connection, work)
        bulk.append(
            connection,
            MEMBERS,
            part[["placement_id", "account_id", "told_minor"]].assign(transmission_id=transmission_id),
        )
        bulk.set_columns(connection, PLACEMENTS, part[["placement_id", "told_minor"]], ["placement_id"])
        transmissions.append(transmission_id)
    return transmissions


# -- erase -------------------------------------------------------------------------------------------------------------


def request_erasures(
    connection: Connection, lender: str | None, today: date, days: int, suffix_of: Callable[[str], str]
) -> list[int]:
    """Every placement that has ended and was disclosed is to be erased at its agency. Returns the transmissions."""
    exchange.take_turn(connection)
    chosen = (
        select(PLACEMENTS.c.placement_id, PLACEMENTS.c.account_id, PLACEMENTS.c.lender, PLACEMENTS.c.agency)
        .outerjoin(ERASURES, ERASURES.c.placement_id == PLACEMENTS.c.placement_id)
        .where(PLACEMENTS.c.state == "closed", ERASURES.c.erasure_id.is_(None), PLACEMENTS.c.told_minor.is_not(None))
    )
    if lender is not None:
        chosen = chosen.where(PLACEMENTS.c.lender == lender)
    # the agency may hold the account again under a newer placement: then its data is not to be erased yet
    again = PLACEMENTS.alias()
    out_again = exists().where(
        again.c.account_id == PLACEMENTS.c.account_id,
        again.c.agency == PLACEMENTS.c.agency,
        again.c.state.in_(("planned", *AT_AGENCY)),
    )
    rows = bulk.read(connection, chosen.where(~out_again).order_by(PLACEMENTS.c.placement_id))
    transmissions = []
    for (of, agency), part in rows.groupby(["lender", "agency"]):
        first = bulk.reserve(connection, "erasure", len(part))
        work = Work(
            f"erasure:{first}",
            str(of),
            str(agency),
            "erasure_request",
            today,
            suffix_of(str(agency)),
            {"first_erasure_id": first},
        )
        transmission_id, _ = exchange.prepare(connection, work)
        bulk.append(
            connection,
            ERASURES,
            part[["placement_id"]].assign(
                erasure_id=range(first, first + len(part)),
                agency=str(agency),
                requested_on=pd.Timestamp(today),
                due_on=pd.Timestamp(today + timedelta(days=days)),
                transmission_id=transmission_id,
            ),
        )
        unique = part.drop_duplicates("account_id", keep="last")
        bulk.append(connection, MEMBERS, unique[["placement_id", "account_id"]].assign(transmission_id=transmission_id))
        transmissions.append(transmission_id)
    return transmissions


def overdue_erasures(connection: Connection, today: date) -> pd.DataFrame:
    """Erasures whose certificate should be here by now: agency, placements, oldest due_on."""
    return bulk.read(
        connection,
        select(ERASURES.c.agency, func.count().label("placements"), func.min(ERASURES.c.due_on).label("oldest_due_on"))
        .where(ERASURES.c.verified_at.is_(None), ERASURES.c.due_on < today)
        .group_by(ERASURES.c.agency)
        .order_by(ERASURES.c.agency),
    )
