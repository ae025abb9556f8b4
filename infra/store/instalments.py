"""Instalment plans in the store: what they are judged by, how agreed ones stand, what agencies are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Row, String, and_, case, cast, exists, func, null, or_, select, update

from infra.store import bulk
from infra.store.scores import NO_MONEY
from models.errors import UsageError
from models.instalments.keeping import INSTALMENTS as WITHOUT_DISCOUNT
from models.instalments.keeping import SETTLEMENT
from models.lives import INSTALMENT_PLAN, moved
from models.tables import Account, Activity, InboundFile, Instalment, InstalmentPlan, Placement, RemittanceLine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    from sqlalchemy import Table

ACCOUNTS: Final = bulk.table_of(Account)
ACTIVITIES: Final = bulk.table_of(Activity)
FILES: Final = bulk.table_of(InboundFile)
INSTALMENTS: Final = bulk.table_of(Instalment)
LINES: Final = bulk.table_of(RemittanceLine)
PLACEMENTS: Final = bulk.table_of(Placement)
PLANS: Final = bulk.table_of(InstalmentPlan)

OPEN: Final = ("proposed", "awaiting_second")
RUNNING: Final = "approved"
TOLD: Final = ("approved", "refused", "fulfilled", "broken", "ended")
"""States that the agency is told of."""
LISTED_AT_MOST: Final = 500


# --- reading ----------------------------------------------------------------------------------------------------------


def listed(
    connection: Connection, agency: str | None = None, lender: str | None = None, state: str | None = None
) -> pd.DataFrame:
    """The newest five hundred plans, with their verdict and how they stand."""
    columns = (
        "instalment_plan_id", "agency", "lender", "plan_ref", "placement_id", "currency", "total_minor", "paid_minor",
        "instalments", "first_due_on", "last_due_on", "state", "verdict", "codes", "ability", "willingness",
        "decided_by",
    )  # fmt: skip
    statement = select(*(PLANS.c[name] for name in columns)).order_by(PLANS.c.instalment_plan_id.desc())
    for column, value in ((PLANS.c.agency, agency), (PLANS.c.lender, lender), (PLANS.c.state, state)):
        if value is not None:
            statement = statement.where(column == value)
    return bulk.read(connection, statement.limit(LISTED_AT_MOST))


def one(connection: Connection, plan_id: int) -> Row[Any]:
    """The plan with its placement's `account_id` and `debtor_id`. Raises UsageError where there is none."""
    row = connection.execute(
        select(PLANS, PLACEMENTS.c.account_id, PLACEMENTS.c.debtor_id)
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == PLANS.c.placement_id)
        .where(PLANS.c.instalment_plan_id == plan_id)
    ).one_or_none()
    if row is None:
        raise UsageError(f"there is no instalment plan {plan_id}", fix="`consign instalments list` shows them")
    return row


def lenders_with(connection: Connection, states: Collection[str]) -> list[str]:
    """Lenders that have plans in these states, in order."""
    statement = select(PLANS.c.lender).where(PLANS.c.state.in_(list(states))).distinct()
    return sorted(connection.execute(statement).scalars())


def plans(connection: Connection, lender: str, states: Collection[str], plan_id: int | None = None) -> pd.DataFrame:
    """The lender's plans in these states, or the one of that number, each with its placement and account.

    Columns: those of the table that deciding needs; `account_id`, `debtor_id`, `placement_state`, `account_currency`,
    `owed_minor`, `dpd`, `running` (another plan runs for the account).
    """
    names = (
        "instalment_plan_id", "agency", "lender", "placement_id", "currency", "total_minor", "first_due_on",
        "last_due_on", "state", "proposed_at", "income_band", "balance_minor", "agreed_on", "hold_id", "paid_minor",
        "limits",
    )  # fmt: skip
    other, theirs = PLANS.alias("other"), PLACEMENTS.alias("theirs")
    running = exists().where(
        other.c.placement_id == theirs.c.placement_id,
        theirs.c.account_id == PLACEMENTS.c.account_id,
        other.c.state == RUNNING,
        other.c.instalment_plan_id != PLANS.c.instalment_plan_id,
    )
    statement = (
        select(
            *(PLANS.c[name] for name in names),
            PLACEMENTS.c.account_id, PLACEMENTS.c.debtor_id, PLACEMENTS.c.state.label("placement_state"),
            ACCOUNTS.c.currency.label("account_currency"), ACCOUNTS.c.balance_minor.label("owed_minor"),
            ACCOUNTS.c.dpd, running.label("running"),
        )
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == PLANS.c.placement_id)
        .join(ACCOUNTS, ACCOUNTS.c.account_id == PLACEMENTS.c.account_id)
        .where(PLANS.c.lender == lender, PLANS.c.state.in_(list(states)))
        .order_by(PLANS.c.instalment_plan_id)
    )  # fmt: skip
    if plan_id is not None:
        statement = statement.where(PLANS.c.instalment_plan_id == plan_id)
    found = bulk.read(connection, statement)
    return found.astype({"running": "bool"})


def instalments(connection: Connection, plan_ids: pd.Series) -> pd.DataFrame:
    """`instalment_plan_id`, `number`, `due_on`, `amount_minor` of these plans, in their order."""
    with bulk.staged(connection, INSTALMENTS, plan_ids.drop_duplicates().to_frame("instalment_plan_id")) as stage:
        return bulk.read(
            connection,
            select(
                INSTALMENTS.c.instalment_plan_id, INSTALMENTS.c.number, INSTALMENTS.c.due_on,
                INSTALMENTS.c.amount_minor,
            )
            .join(stage, stage.c.instalment_plan_id == INSTALMENTS.c.instalment_plan_id)
            .order_by(INSTALMENTS.c.instalment_plan_id, INSTALMENTS.c.number),
        )  # fmt: skip


def payments(connection: Connection, lender: str, debtors: pd.Series, since: date) -> pd.DataFrame:
    """What these debtors paid since the day, to agencies and to the lender; what was undone is negative.

    Columns: `debtor_id`, `account_id`, `paid_on`, `gross_minor`.
    """
    with bulk.staged(connection, ACCOUNTS, debtors.drop_duplicates().to_frame("debtor_id")) as stage:
        return bulk.read(
            connection,
            select(ACCOUNTS.c.debtor_id, LINES.c.account_id, LINES.c.value_date.label("paid_on"), LINES.c.gross_minor)
            .join(ACCOUNTS, ACCOUNTS.c.account_id == LINES.c.account_id)
            .join(stage, stage.c.debtor_id == ACCOUNTS.c.debtor_id)
            .where(LINES.c.lender == lender, LINES.c.value_date >= since, LINES.c.state.not_in(NO_MONEY)),
        )


def contacts(connection: Connection, debtors: pd.Series, since: date) -> pd.DataFrame:
    """What agencies reported of these debtors since the day: `debtor_id`, `on`, `outcome`."""
    with bulk.staged(connection, PLACEMENTS, debtors.drop_duplicates().to_frame("debtor_id")) as stage:
        found = bulk.read(
            connection,
            select(PLACEMENTS.c.debtor_id, ACTIVITIES.c.at, ACTIVITIES.c.outcome)
            .join(PLACEMENTS, PLACEMENTS.c.placement_id == ACTIVITIES.c.placement_id)
            .join(stage, stage.c.debtor_id == PLACEMENTS.c.debtor_id)
            .join(FILES, FILES.c.file_id == ACTIVITIES.c.file_id)
            .where(FILES.c.state == "accepted"),
        )
    told = found.assign(on=found["at"].dt.tz_localize(None).dt.normalize().astype("datetime64[us]")).drop(columns="at")
    recent: pd.DataFrame = told[told["on"] >= pd.Timestamp(since)]
    return recent


def earlier(connection: Connection, debtors: pd.Series) -> pd.DataFrame:
    """Plans of these debtors that ended kept or broken: `debtor_id`, `state`."""
    with bulk.staged(connection, PLACEMENTS, debtors.drop_duplicates().to_frame("debtor_id")) as stage:
        return bulk.read(
            connection,
            select(PLACEMENTS.c.debtor_id, PLANS.c.state)
            .join(PLACEMENTS, PLACEMENTS.c.placement_id == PLANS.c.placement_id)
            .join(stage, stage.c.debtor_id == PLACEMENTS.c.debtor_id)
            .where(PLANS.c.state.in_(("fulfilled", "broken"))),
        )


# --- deciding ---------------------------------------------------------------------------------------------------------


def note_verdicts(connection: Connection, found: pd.DataFrame) -> None:
    """The plans (`instalment_plan_id`) have what was judged of them."""
    columns = ["instalment_plan_id", "limits", "verdict", "codes", "ability", "willingness", "balance_minor"]
    bulk.set_columns(connection, PLANS, found[columns], ["instalment_plan_id"])


def move(connection: Connection, plan_id: int, here: str, there: str, **columns: Any) -> None:
    """The plan goes on in its life. Raises IllegalMove, also where somebody else was faster."""
    what = f"instalment plan {plan_id}"
    to = moved(what, here, there, INSTALMENT_PLAN)
    done = connection.execute(
        update(PLANS).where(PLANS.c.instalment_plan_id == plan_id, PLANS.c.state == here).values(state=to, **columns)
    )
    if done.rowcount != 1:
        moved(what, one(connection, plan_id).state, there, INSTALMENT_PLAN)


def note_paid(connection: Connection, found: pd.DataFrame) -> None:
    """The plans have been paid so much: `instalment_plan_id`, `paid_minor`."""
    bulk.set_columns(connection, PLANS, found[["instalment_plan_id", "paid_minor"]], ["instalment_plan_id"])


# --- what contracts see -----------------------------------------------------------------------------------------------


def agreed_as(connection: Connection, lines: Table) -> ColumnElement[str]:
    """What a line (`placement_id`, `value_date`) is paid under: settlement, instalments; null where under no plan.

    A plan covers what is paid from the day after it was agreed until it ended, whatever became of it later: what was
    priced once is priced the same for ever.
    """
    if connection.execute(select(PLANS.c.agreed_on).where(PLANS.c.agreed_on.is_not(None)).limit(1)).first() is None:
        return cast(null(), String).label("agreed")  # a million lines need not be asked one by one
    covers = and_(
        PLANS.c.placement_id == lines.c.placement_id,
        PLANS.c.agreed_on < lines.c.value_date,
        or_(PLANS.c.ended_on.is_(None), lines.c.value_date <= PLANS.c.ended_on),
    )
    word = case((PLANS.c.total_minor < PLANS.c.balance_minor, SETTLEMENT), else_=WITHOUT_DISCOUNT)
    return (
        select(func.min(word)).where(covers).correlate(lines).scalar_subquery().label("agreed")
    )  # fmt: skip


def agreed(connection: Connection, lines: pd.DataFrame) -> pd.Series:
    """The same of lines that are not in the store yet, by `line_id`, in their index."""
    known = lines.loc[lines["placement_id"].notna(), ["line_id", "placement_id", "value_date"]]
    if known.empty:
        return pd.Series(None, index=lines.index, dtype="str")
    with bulk.staged(connection, LINES, known) as stage:
        found = bulk.read(connection, select(stage.c.line_id, agreed_as(connection, stage)))
    return lines["line_id"].map(found.set_index("line_id")["agreed"]).astype("str")


# --- what agencies are told -------------------------------------------------------------------------------------------


def untold(connection: Connection) -> list[tuple[str, str]]:
    """Lender and agency of plans whose outcome the agency has not been told, each pair once, in order."""
    pairs = select(PLANS.c.lender, PLANS.c.agency).where(_untold()).distinct()
    return sorted((str(row.lender), str(row.agency)) for row in connection.execute(pairs))


def put_in(connection: Connection, lender: str, agency: str, transmission_id: int) -> int:
    """The outcomes are told by this transmission; how many."""
    mine = and_(PLANS.c.lender == lender, PLANS.c.agency == agency, _untold())
    told = update(PLANS).where(mine).values(answered_as=PLANS.c.state, answered_id=transmission_id)
    return connection.execute(told).rowcount


def answers(connection: Connection, transmission_id: int, rows: int) -> Iterator[pd.DataFrame]:
    """The outcomes of a transmission as the kind `plan_answer` has them, with `account_id` and `key_generation`."""
    statement = (
        select(
            PLANS.c.plan_ref, PLACEMENTS.c.account_id, PLACEMENTS.c.key_generation,
            PLANS.c.answered_as.label("outcome"),
            case((PLANS.c.answered_as == "refused", PLANS.c.codes), else_="").label("codes"),
            PLANS.c.currency, PLANS.c.total_minor, PLANS.c.paid_minor,
            func.coalesce(PLANS.c.ended_on, PLANS.c.agreed_on, PLANS.c.first_due_on).label("effective_on"),
        )
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == PLANS.c.placement_id)
        .where(PLANS.c.answered_id == transmission_id)
        .order_by(PLANS.c.instalment_plan_id)
    )  # fmt: skip
    yield from bulk.read_chunks(connection, statement, rows)


def _untold() -> ColumnElement[bool]:
    return and_(PLANS.c.state.in_(TOLD), or_(PLANS.c.answered_as.is_(None), PLANS.c.answered_as != PLANS.c.state))
