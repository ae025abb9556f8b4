"""What of each class of records is older than its time, and its deletion: whole columns of keys, never row by row.

Each class knows its rows by one select of keys that are due: what is counted is what is deleted. Accounts under a legal
hold are left out of every one of them. Tables that only grow are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import (
    Connection,
    Date,
    Row,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from infra.store import bulk
from infra.store.exchange import CORRECTIONS, DISCLOSURES, ERASURES, FILES, MEMBERS, PLACEMENTS, RECALLS, TRANSMISSIONS
from infra.store.portfolios import ACCOUNTS, HOLDS, IDENTITIES, PORTFOLIOS, REJECTS
from infra.store.shredding import AT_AGENCY, LEGAL_HOLDS, in_force
from models.errors import UsageError
from models.tables import (
    AccountStage,
    Activity,
    Breach,
    Complaint,
    Debtor,
    ExceptionComment,
    ExchangeException,
    Instalment,
    InstalmentPlan,
    PlanExclusion,
    PlanLine,
    RecallObjection,
    RecallProposalLine,
    RegisterQuestion,
    Reidentification,
    StageMove,
    SubjectRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    import numpy as np

ACTIVITY, BREACHES, COMPLAINTS = bulk.table_of(Activity), bulk.table_of(Breach), bulk.table_of(Complaint)
EXCEPTIONS, COMMENTS = bulk.table_of(ExchangeException), bulk.table_of(ExceptionComment)
PLANS, INSTALMENTS = bulk.table_of(InstalmentPlan), bulk.table_of(Instalment)
LINES, EXCLUSIONS = bulk.table_of(PlanLine), bulk.table_of(PlanExclusion)
MOVES, STAGES, PROPOSED = bulk.table_of(StageMove), bulk.table_of(AccountStage), bulk.table_of(RecallProposalLine)
OBJECTIONS, DEBTORS = bulk.table_of(RecallObjection), bulk.table_of(Debtor)
REQUESTS: Final = bulk.table_of(SubjectRequest)
ASKED, QUESTIONS = bulk.table_of(Reidentification), bulk.table_of(RegisterQuestion)
OVER: Final = ("paid", "closed")
"""States of an account of which nothing is owed."""


@dataclass(frozen=True)
class Look:
    """What one look at a class asks: whose records, begun before when, on which day."""

    lender: str
    """empty for what belongs to the house"""
    cutoff: date
    today: date

    @property
    def instant(self) -> datetime:
        """The cutoff as an instant."""
        return datetime.combine(self.cutoff, time(), UTC)


@dataclass(frozen=True)
class Found:
    """How many rows, or accounts, are due, and when the oldest of them began."""

    due: int
    oldest: date | None


def _day(at: Any) -> Any:
    """The date of an instant or a date, as both databases give it."""
    return type_coerce(func.date(at), Date)


# -- which accounts ----------------------------------------------------------------------------------------------------


def kept_by_hold(today: date) -> Any:
    """Accounts that a legal hold on a debtor or a portfolio keeps."""
    holds = select(LEGAL_HOLDS.c.subject_id).where(in_force(today))
    return select(ACCOUNTS.c.account_id).where(
        or_(
            ACCOUNTS.c.debtor_id.in_(holds.where(LEGAL_HOLDS.c.scope == "debtor")),
            ACCOUNTS.c.portfolio_id.in_(holds.where(LEGAL_HOLDS.c.scope == "portfolio")),
            ACCOUNTS.c.account_id.in_(
                select(IDENTITIES.c.account_id).where(
                    IDENTITIES.c.portfolio_id.in_(holds.where(LEGAL_HOLDS.c.scope == "portfolio"))
                )
            ),
        )
    )


def classes_held(connection: Connection, lender: str, today: date) -> dict[str, int]:
    """Classes of the lender's that a legal hold keeps as a whole, and by which; `*` for every class."""
    rows = connection.execute(
        select(LEGAL_HOLDS.c.record_class, LEGAL_HOLDS.c.legal_hold_id)
        .where(
            in_force(today), LEGAL_HOLDS.c.scope.in_(("everything", "lender", "class")),
            or_(LEGAL_HOLDS.c.lender.is_(None), LEGAL_HOLDS.c.lender == lender),
        )
        .order_by(LEGAL_HOLDS.c.legal_hold_id)
    )  # fmt: skip
    return {str(of or "*"): int(number) for of, number in rows}


def _ended(look: Look) -> Any:
    """Accounts of the lender's whose every placement has ended before the cutoff: account_id, ended_on."""
    ended_on = func.max(func.coalesce(PLACEMENTS.c.ended_on, PLACEMENTS.c.due_back_on))
    return (
        select(PLACEMENTS.c.account_id, ended_on.label("ended_on"))
        .where(PLACEMENTS.c.lender == look.lender, PLACEMENTS.c.account_id.not_in(kept_by_hold(look.today)))
        .group_by(PLACEMENTS.c.account_id)
        .having(func.max(case((PLACEMENTS.c.state.in_(AT_AGENCY), 1), else_=0)) == 0, ended_on < look.cutoff)
    ).subquery()


def identities(look: Look) -> Any:
    """Accounts whose identity is due: account_id, began.

    Nothing is owed, no agency has the account, no complaint about it and no request of the debtor's is open. The clock
    begins with the last payment, else with the last snapshot that spoke of it, or with the end of the last placement if
    that was later.
    """
    ended_on = func.max(func.coalesce(PLACEMENTS.c.ended_on, PLACEMENTS.c.placed_on))
    last = (
        select(PLACEMENTS.c.account_id, ended_on.label("ended_on"))
        .where(PLACEMENTS.c.lender == look.lender)
        .group_by(PLACEMENTS.c.account_id)
        .subquery()
    )
    paid_on = func.coalesce(ACCOUNTS.c.last_paid_on, ACCOUNTS.c.as_of)
    began = case((last.c.ended_on > paid_on, last.c.ended_on), else_=paid_on)
    open_complaint = (
        select(COMPLAINTS.c.complaint_id)
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == COMPLAINTS.c.placement_id)
        .where(PLACEMENTS.c.account_id == ACCOUNTS.c.account_id, COMPLAINTS.c.state != "closed")
    )
    still_out = exists().where(PLACEMENTS.c.account_id == ACCOUNTS.c.account_id, PLACEMENTS.c.state.in_(AT_AGENCY))
    asking = exists().where(REQUESTS.c.debtor_id == ACCOUNTS.c.debtor_id, REQUESTS.c.ended_at.is_(None))
    return (
        select(ACCOUNTS.c.account_id, _day(began).label("began"))
        .join(IDENTITIES, IDENTITIES.c.account_id == ACCOUNTS.c.account_id)
        .outerjoin(last, last.c.account_id == ACCOUNTS.c.account_id)
        .where(
            ACCOUNTS.c.lender == look.lender, ACCOUNTS.c.status.in_(OVER), began < look.cutoff, ~still_out,
            ~open_complaint.exists(), ~asking, ACCOUNTS.c.account_id.not_in(kept_by_hold(look.today)),
        )
    )  # fmt: skip


def next_identities(connection: Connection, look: Look, rows: int) -> np.ndarray:
    """The first accounts whose identity is due, at most so many."""
    due = identities(look).order_by(ACCOUNTS.c.account_id).limit(rows)
    return bulk.read(connection, due)["account_id"].to_numpy()


# -- what is due, by class ---------------------------------------------------------------------------------------------


def _collection(look: Look) -> Any:
    ended = _ended(look)
    contacts = exists().where(ACTIVITY.c.placement_id == PLACEMENTS.c.placement_id)
    uncertified = exists().where(ERASURES.c.placement_id == PLACEMENTS.c.placement_id, ERASURES.c.verified_at.is_(None))
    return (
        select(PLACEMENTS.c.placement_id, ended.c.ended_on.label("began"))
        .join(ended, ended.c.account_id == PLACEMENTS.c.account_id)
        .where(~contacts, ~uncertified)
    )


def _contact(look: Look) -> Any:
    ended = _ended(look)
    return (
        select(ACTIVITY.c.activity_id, _day(ACTIVITY.c.at).label("began"))
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == ACTIVITY.c.placement_id)
        .join(ended, ended.c.account_id == PLACEMENTS.c.account_id)
        .where(ACTIVITY.c.at < look.instant)
    )


def _complaint(look: Look) -> Any:
    held = select(PLACEMENTS.c.placement_id).where(PLACEMENTS.c.account_id.in_(kept_by_hold(look.today)))
    return select(COMPLAINTS.c.complaint_id, _day(COMPLAINTS.c.closed_at).label("began")).where(
        COMPLAINTS.c.lender == look.lender, COMPLAINTS.c.state == "closed", COMPLAINTS.c.closed_at < look.instant,
        or_(COMPLAINTS.c.placement_id.is_(None), COMPLAINTS.c.placement_id.not_in(held)),
    )  # fmt: skip


def _register(look: Look) -> Any:
    named = (
        select(MEMBERS.c.transmission_id)
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == MEMBERS.c.placement_id)
        .outerjoin(ERASURES, ERASURES.c.placement_id == PLACEMENTS.c.placement_id)
        .where(
            or_(
                PLACEMENTS.c.state.in_(AT_AGENCY),
                and_(ERASURES.c.erasure_id.is_not(None), ERASURES.c.verified_at.is_(None)),
            )
        )
    )
    held = select(MEMBERS.c.transmission_id).where(MEMBERS.c.account_id.in_(kept_by_hold(look.today)))
    told = or_(
        exists().where(DISCLOSURES.c.transmission_id == TRANSMISSIONS.c.transmission_id),
        exists().where(MEMBERS.c.transmission_id == TRANSMISSIONS.c.transmission_id),
    )
    return select(TRANSMISSIONS.c.transmission_id, _day(TRANSMISSIONS.c.delivered_at).label("began")).where(
        TRANSMISSIONS.c.lender == look.lender, TRANSMISSIONS.c.delivered_at < look.instant, told,
        TRANSMISSIONS.c.transmission_id.not_in(named), TRANSMISSIONS.c.transmission_id.not_in(held),
    )  # fmt: skip


def _requests(look: Look) -> Any:
    held = select(ACCOUNTS.c.debtor_id).where(ACCOUNTS.c.account_id.in_(kept_by_hold(look.today)))
    return select(REQUESTS.c.request_id, _day(REQUESTS.c.ended_at).label("began")).where(
        REQUESTS.c.lender == look.lender, REQUESTS.c.ended_at < look.instant, REQUESTS.c.debtor_id.not_in(held)
    )


def _intake(look: Look) -> Any:
    return (
        select(REJECTS.c.reject_id, _day(PORTFOLIOS.c.received_at).label("began"))
        .join(PORTFOLIOS, PORTFOLIOS.c.portfolio_id == REJECTS.c.portfolio_id)
        .where(PORTFOLIOS.c.lender == look.lender, PORTFOLIOS.c.received_at < look.instant)
    )


def _exceptions(look: Look) -> Any:
    return select(EXCEPTIONS.c.exception_id, _day(EXCEPTIONS.c.resolved_at).label("began")).where(
        EXCEPTIONS.c.resolved_at < look.instant, EXCEPTIONS.c.ended_at < look.instant
    )


def _lookups(look: Look) -> Any:
    return select(ASKED.c.reidentification_id, _day(ASKED.c.asked_at).label("began")).where(
        ASKED.c.asked_at < look.instant
    )


def _questions(look: Look) -> Any:
    return select(QUESTIONS.c.question_id, _day(QUESTIONS.c.asked_at).label("began")).where(
        QUESTIONS.c.asked_at < look.instant
    )


DUE: Final[Mapping[str, Callable[[Look], Any]]] = {
    "identity": identities, "collection": _collection, "contact": _contact, "complaint": _complaint,
    "register": _register, "requests": _requests, "intake": _intake, "exceptions": _exceptions, "lookups": _lookups,
    "questions": _questions,
}  # fmt: skip
"""By class: the keys of the rows that are due, and when each began."""


def found(connection: Connection, record_class: str, look: Look) -> Found:
    """How much of the class is due."""
    due = DUE[record_class](look).subquery()
    count, oldest = connection.execute(select(func.count(), func.min(due.c.began))).one()
    return Found(int(count), oldest)


# -- deleting ----------------------------------------------------------------------------------------------------------


def deleted(connection: Connection, record_class: str, look: Look) -> int:
    """What is due of the class is gone, with everything that hangs on it. Returns how many of its rows."""
    due = DUE[record_class](look)
    column = next(iter(due.selected_columns))
    chosen = bulk.read(connection, due.with_only_columns(column))
    with bulk.staged(connection, column.table, chosen) as keys:  # what goes on the way does not change what was meant
        for table, where in _hanging(record_class, select(keys.c[column.name])):
            connection.execute(delete(table).where(where))
    return len(chosen)


def _hanging(record_class: str, keys: Any) -> list[tuple[Any, Any]]:
    """The rows that go, in an order in which nothing hangs in the air."""
    if record_class == "collection":
        plans = select(PLANS.c.instalment_plan_id).where(PLANS.c.placement_id.in_(keys))
        accounts = select(PLACEMENTS.c.account_id).where(PLACEMENTS.c.placement_id.in_(keys))
        debtors = select(PLACEMENTS.c.debtor_id).where(PLACEMENTS.c.placement_id.in_(keys))
        return [
            (INSTALMENTS, INSTALMENTS.c.instalment_plan_id.in_(plans)),
            (PLANS, PLANS.c.placement_id.in_(keys)),
            (OBJECTIONS, OBJECTIONS.c.placement_id.in_(keys)),
            (BREACHES, BREACHES.c.placement_id.in_(keys)),
            (CORRECTIONS, CORRECTIONS.c.placement_id.in_(keys)),
            (RECALLS, RECALLS.c.placement_id.in_(keys)),
            (ERASURES, ERASURES.c.placement_id.in_(keys)),
            (LINES, LINES.c.account_id.in_(accounts)),
            (PROPOSED, PROPOSED.c.placement_id.in_(keys)),
            (MOVES, MOVES.c.account_id.in_(accounts)),
            (STAGES, STAGES.c.account_id.in_(accounts)),
            (EXCLUSIONS, EXCLUSIONS.c.account_id.in_(accounts)),
            (HOLDS, and_(HOLDS.c.debtor_id.in_(debtors), HOLDS.c.lifted_at.is_not(None))),
            (PLACEMENTS, PLACEMENTS.c.placement_id.in_(keys)),
        ]
    if record_class == "register":
        return [
            (DISCLOSURES, DISCLOSURES.c.transmission_id.in_(keys)),
            (MEMBERS, MEMBERS.c.transmission_id.in_(keys)),
        ]
    if record_class == "requests":
        return [(CORRECTIONS, CORRECTIONS.c.request_id.in_(keys)), (REQUESTS, REQUESTS.c.request_id.in_(keys))]
    if record_class == "exceptions":
        return [(COMMENTS, COMMENTS.c.exception_id.in_(keys)), (EXCEPTIONS, EXCEPTIONS.c.exception_id.in_(keys))]
    table = {"contact": ACTIVITY, "complaint": COMPLAINTS, "intake": REJECTS, "lookups": ASKED, "questions": QUESTIONS}[
        record_class
    ]
    return [(table, next(iter(table.primary_key.columns)).in_(keys))]


# -- files -------------------------------------------------------------------------------------------------------------


def sealed_inbound(connection: Connection, before: datetime) -> list[Any]:
    """Files of agencies that were judged before then, and whose sealed bytes are kept."""
    judged = func.coalesce(FILES.c.accepted_at, FILES.c.received_at)
    return list(
        connection.execute(
            select(FILES.c.file_id, FILES.c.stored_path, FILES.c.received_at).where(
                FILES.c.state.in_(("accepted", "refused")), FILES.c.stored_path != "", judged < before
            )
        )
    )


def inbound_let_go(connection: Connection, file_ids: list[int]) -> None:
    """The sealed bytes of these files are kept no more."""
    gone = pd.DataFrame({"file_id": pd.Series(file_ids, dtype="int64")}).assign(stored_path="")
    bulk.set_columns(connection, FILES, gone, ["file_id"])


def sealed_outbound(connection: Connection, before: datetime) -> list[Any]:
    """Sent transmissions from before then whose sealed bytes are still kept, for nobody ever answered."""
    return list(
        connection.execute(
            select(TRANSMISSIONS).where(
                TRANSMISSIONS.c.sealed_path.is_not(None), TRANSMISSIONS.c.state.in_(("delivered", "presumed")),
                TRANSMISSIONS.c.delivered_at < before,
            )
        )
    )  # fmt: skip


def rejects_files_due(connection: Connection, look: Look) -> list[int]:
    """Portfolios of the lender's whose list of refused lines is due."""
    chosen = select(PORTFOLIOS.c.portfolio_id).where(
        PORTFOLIOS.c.lender == look.lender, PORTFOLIOS.c.received_at < look.instant
    )
    return list(connection.execute(chosen).scalars())


# -- legal holds -------------------------------------------------------------------------------------------------------


def add_hold(connection: Connection, **columns: Any) -> int:
    """A legal hold on record; its number."""
    made = insert(LEGAL_HOLDS).values(**columns).returning(LEGAL_HOLDS.c.legal_hold_id)
    return int(connection.execute(made).scalar_one())


def hold(connection: Connection, legal_hold_id: int) -> Row[Any]:
    """The legal hold. Raises UsageError where there is none."""
    found = connection.execute(select(LEGAL_HOLDS).where(LEGAL_HOLDS.c.legal_hold_id == legal_hold_id)).one_or_none()
    if found is None:
        raise UsageError(f"there is no legal hold {legal_hold_id}", fix="`consign retention hold list` shows them")
    return found


def lift_hold(connection: Connection, legal_hold_id: int, by: str, at: datetime) -> bool:
    """True if the hold was in force; false if it had been lifted before."""
    mine = LEGAL_HOLDS.c.legal_hold_id == legal_hold_id
    lifted = update(LEGAL_HOLDS).where(mine, LEGAL_HOLDS.c.lifted_at.is_(None)).values(lifted_at=at, lifted_by=by)
    return bool(connection.execute(lifted).rowcount)


def holds(connection: Connection, today: date, *, all_of_them: bool = False) -> pd.DataFrame:
    """The legal holds in force (or all that ever were), newest first."""
    chosen = select(LEGAL_HOLDS).order_by(LEGAL_HOLDS.c.legal_hold_id.desc())
    return bulk.read(connection, chosen if all_of_them else chosen.where(in_force(today)))
