"""Placements come into being, are told of, called back and erased: each verb's preparation in one transaction."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, and_, case, exists, func, insert, literal, or_, select, update

from infra.store import bulk, exchange
from infra.store.exchange import AT_AGENCY, DISCLOSURES, ERASURES, MEMBERS, PLACEMENTS, RECALLS, Work
from models.errors import RefusedByPolicy, UsageError
from models.tables import Account, Hold, Instalment, InstalmentPlan, Plan, PlanLine, RecallObjection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

ACCOUNTS = bulk.table_of(Account)
HOLDS = bulk.table_of(Hold)
INSTALMENTS = bulk.table_of(Instalment)
INSTALMENT_PLANS = bulk.table_of(InstalmentPlan)
LINES = bulk.table_of(PlanLine)
OBJECTIONS = bulk.table_of(RecallObjection)
PLANS = bulk.table_of(Plan)

BY_PLAN = "payment_plan"
"""Why an account is on hold while an instalment plan is kept."""
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
            "score_band": ACCOUNTS.c.score_band,
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


def due_for_recall(
    connection: Connection, lender: str | None, today: date, debtors: Collection[int] | None = None
) -> pd.DataFrame:
    """Placements that must come back today, and why: a hold before payment before term; of these debtors or of all.

    Neither its own hold nor the term brings back what an instalment plan is kept for.

    Columns: placement_id, lender, agency, reason.
    """
    # while an instalment plan is kept, its hold keeps the account where the plan was agreed
    runs = (
        exists()
        .where(INSTALMENT_PLANS.c.placement_id == PLACEMENTS.c.placement_id, INSTALMENT_PLANS.c.state == "approved")
        .correlate(PLACEMENTS)
    )
    # of the table itself, which has an index by debtor: of holds grouped before, every one is read for every placement
    on_hold = (
        select(func.min(HOLDS.c.reason))
        .where(
            HOLDS.c.debtor_id == PLACEMENTS.c.debtor_id,
            or_(HOLDS.c.account_id.is_(None), HOLDS.c.account_id == PLACEMENTS.c.account_id),
            HOLDS.c.lifted_at.is_(None),
            HOLDS.c.since <= today,
            or_(HOLDS.c.until.is_(None), HOLDS.c.until >= today),
            or_(HOLDS.c.reason != BY_PLAN, ~runs),
        )
        .correlate(PLACEMENTS)
        .scalar_subquery()
    )
    paid = or_(ACCOUNTS.c.balance_minor <= 0, ACCOUNTS.c.status.in_(("paid", "closed")))
    reason = case(
        (on_hold.is_not(None), on_hold),
        (paid, literal("paid")),
        (and_(PLACEMENTS.c.due_back_on <= today, ~runs), literal("term")),
        else_=None,
    )
    chosen = (
        select(PLACEMENTS.c.placement_id, PLACEMENTS.c.lender, PLACEMENTS.c.agency, reason.label("reason"))
        .join(ACCOUNTS, ACCOUNTS.c.account_id == PLACEMENTS.c.account_id)
        .where(PLACEMENTS.c.state.in_(OUT), reason.is_not(None))
    )
    if lender is not None:
        chosen = chosen.where(PLACEMENTS.c.lender == lender)
    if debtors is not None:
        chosen = chosen.where(PLACEMENTS.c.debtor_id.in_(list(debtors)))
    return bulk.read(connection, chosen.order_by(PLACEMENTS.c.placement_id))


def recall(
    connection: Connection,
    due: pd.DataFrame,
    today: date,
    due_on: Callable[[str, str], date],
    by: str,
    suffix_of: Callable[[str], str],
) -> list[int]:
    """The placements are recalled, one file per lender and agency. Returns the new transmissions.

    due: placement_id, lender, agency, reason; placements that are no longer out are left alone. due_on: of lender and
    agency, the last day on which a confirmation is in time.
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
                due_on=pd.Timestamp(due_on(str(lender), str(agency))),
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


def open_recalls(connection: Connection, agency: str, placement_ids: pd.Series) -> pd.Series:
    """Those of the placements whose recall the agency has not confirmed."""
    wanted = placement_ids.drop_duplicates().to_frame("placement_id")
    with bulk.staged(connection, RECALLS, wanted) as stage:
        return bulk.read(
            connection,
            select(RECALLS.c.placement_id)
            .join(stage, stage.c.placement_id == RECALLS.c.placement_id)
            .where(RECALLS.c.agency == agency, RECALLS.c.confirmed_on.is_(None)),
        )["placement_id"]


def objections(connection: Connection, *, all_of_them: bool = False) -> pd.DataFrame:
    """Objections to recalls that nobody has decided on, oldest first; with `all_of_them` the decided ones too."""
    columns = ("objection_id", "agency", "placement_id", "reason", "keep_until", "state", "decided_by")
    statement = select(
        *(OBJECTIONS.c[name] for name in columns), RECALLS.c.due_on, RECALLS.c.confirmed_on
    ).outerjoin(RECALLS, RECALLS.c.placement_id == OBJECTIONS.c.placement_id)  # fmt: skip
    if not all_of_them:
        statement = statement.where(OBJECTIONS.c.state == "open")
    return bulk.read(connection, statement.order_by(OBJECTIONS.c.objection_id))


def decide_objection(
    connection: Connection,
    objection_id: int,
    keep_until: date | None,
    by: str,
    at: datetime,
    today: date,
    suffix_of: Callable[[str], str],
) -> int:
    """The objection is upheld (the recall is due on `keep_until`) or dismissed (None). Returns the transmission.

    The answer to the agency is the recall itself, sent again with the day that now counts.
    Raises UsageError where there is no such objection, RefusedByPolicy where it is decided or the recall confirmed.
    """
    exchange.take_turn(connection)
    found = connection.execute(
        select(OBJECTIONS, RECALLS.c.confirmed_on, PLACEMENTS.c.lender, PLACEMENTS.c.account_id)
        .join(RECALLS, RECALLS.c.placement_id == OBJECTIONS.c.placement_id)
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == OBJECTIONS.c.placement_id)
        .where(OBJECTIONS.c.objection_id == objection_id)
    ).first()
    if found is None:
        raise UsageError(f"there is no objection {objection_id}", fix="`consign recall objections` shows them")
    if found.state != "open" or found.confirmed_on is not None:
        confirmed = ", its recall confirmed" if found.confirmed_on else ""
        message = f"objection {objection_id} is {found.state}{confirmed}"
        raise RefusedByPolicy(message, fix="nothing is left to decide; `consign recall objections --all` shows it")
    if keep_until is not None and keep_until < today:
        raise UsageError(f"{keep_until} lies behind us", fix="give a day from today on")
    if keep_until is not None:
        connection.execute(
            update(RECALLS).where(RECALLS.c.placement_id == found.placement_id).values(due_on=keep_until)
        )
    work = Work(
        f"objection:{objection_id}", found.lender, found.agency, "recall", today, suffix_of(found.agency),
        {"objection_id": objection_id},
    )  # fmt: skip
    transmission_id, _ = exchange.prepare(connection, work)
    connection.execute(
        insert(MEMBERS).values(
            transmission_id=transmission_id, placement_id=found.placement_id, account_id=found.account_id
        )
    )
    connection.execute(
        update(OBJECTIONS)
        .where(OBJECTIONS.c.objection_id == objection_id)
        .values(
            state="dismissed" if keep_until is None else "upheld",
            decided_by=by,
            decided_at=at,
            transmission_id=transmission_id,
        )
    )
    return transmission_id


# -- what agencies ask for ---------------------------------------------------------------------------------------------


def not_yet_held(connection: Connection, asked: pd.DataFrame) -> pd.DataFrame:
    """Those of the holds asked for that are not in force already (asked: debtor_id, reason, and whatever else)."""
    with bulk.staged(connection, HOLDS, asked[["debtor_id"]].drop_duplicates()) as stage:
        held = bulk.read(
            connection,
            select(HOLDS.c.debtor_id, HOLDS.c.reason)
            .join(stage, stage.c.debtor_id == HOLDS.c.debtor_id)
            .where(HOLDS.c.lifted_at.is_(None), HOLDS.c.account_id.is_(None))
            .distinct(),
        )
    there = pd.MultiIndex.from_frame(asked[["debtor_id", "reason"]]).isin(pd.MultiIndex.from_frame(held))
    return asked[~there]


def known_plans(connection: Connection, agency: str, lender: str, plan_refs: pd.Series) -> pd.Series:
    """Those of the names under which this agency has proposed an instalment plan to this lender before."""
    wanted = plan_refs.drop_duplicates().to_frame("plan_ref")
    with bulk.staged(connection, INSTALMENT_PLANS, wanted) as stage:
        return bulk.read(
            connection,
            select(INSTALMENT_PLANS.c.plan_ref)
            .join(stage, stage.c.plan_ref == INSTALMENT_PLANS.c.plan_ref)
            .where(INSTALMENT_PLANS.c.agency == agency, INSTALMENT_PLANS.c.lender == lender),
        )["plan_ref"]


def instalments_of(connection: Connection, instalment_plan_id: int) -> pd.DataFrame:
    """The instalments of a plan in their order: number, due_on, amount_minor. Raises UsageError if there is none."""
    found = bulk.read(
        connection,
        select(INSTALMENTS.c.number, INSTALMENTS.c.due_on, INSTALMENTS.c.amount_minor)
        .where(INSTALMENTS.c.instalment_plan_id == instalment_plan_id)
        .order_by(INSTALMENTS.c.number),
    )
    if found.empty:
        message = f"there is no instalment plan {instalment_plan_id}"
        raise UsageError(message, fix="`consign instalments list` shows them")
    return found


# -- update ------------------------------------------------------------------------------------------------------------


def tell_balances(
    connection: Connection, lender: str | None, today: date, suffix_of: Callable[[str], str]
) -> list[int]:
    """Agencies are to be told every balance that differs from what they were last told. Returns the transmissions.

    Only agencies that were told it whole: whom the release policy gave a band, or nothing, learns no balance later.
    """
    exchange.take_turn(connection)
    told_whole = exists().where(
        DISCLOSURES.c.transmission_id == PLACEMENTS.c.transmission_id,
        DISCLOSURES.c.field == "balance",
        DISCLOSURES.c.treatment == "release",
    )
    changed = and_(
        PLACEMENTS.c.account_id == ACCOUNTS.c.account_id,
        PLACEMENTS.c.state.in_(OUT),
        PLACEMENTS.c.told_minor != ACCOUNTS.c.balance_minor,
        told_whole,
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
    connection: Connection,
    lender: str | None,
    today: date,
    due_on: Callable[[str, str], date],
    suffix_of: Callable[[str], str],
    debtors: Collection[int] | None = None,
) -> list[int]:
    """Every placement that has ended and was disclosed is to be erased at its agency. Returns the transmissions.

    due_on: of lender and agency, the last day on which a certificate is in time. debtors: these ones' alone.
    """
    exchange.take_turn(connection)
    chosen = (
        select(PLACEMENTS.c.placement_id, PLACEMENTS.c.account_id, PLACEMENTS.c.lender, PLACEMENTS.c.agency)
        .outerjoin(ERASURES, ERASURES.c.placement_id == PLACEMENTS.c.placement_id)
        .where(PLACEMENTS.c.state == "closed", ERASURES.c.erasure_id.is_(None), PLACEMENTS.c.told_minor.is_not(None))
    )
    if lender is not None:
        chosen = chosen.where(PLACEMENTS.c.lender == lender)
    if debtors is not None:
        chosen = chosen.where(PLACEMENTS.c.debtor_id.in_(list(debtors)))
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
                due_on=pd.Timestamp(due_on(str(of), str(agency))),
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
