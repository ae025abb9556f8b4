"""Plans and their lives: what a plan reads, its lines, who said yes, and whether it is still true.

Every change of state is one conditional UPDATE: two people cannot both be the one who approved.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from infra import audit
from infra.store import bulk, consolidation, gates
from infra.store.whereabouts import AT_AGENCY, PROMISED, failed, out
from models.errors import RefusedByPolicy, UsageError
from models.lives import PLAN, moved
from models.planning.agencies import AgencyFacts
from models.planning.content import LINES as CONTENT
from models.planning.content import content_sha256
from models.planning.exclusions import OPEN
from models.planning.preview import LastPlan
from models.planning.proposal import Inputs
from models.tables import (
    Account,
    Agency,
    AgencyContract,
    Debtor,
    Hold,
    Lender,
    Placement,
    Plan,
    PlanExclusion,
    PlanLine,
    StageMove,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.planning.proposal import Proposal
    from models.planning.spec import PlanSpec
    from models.release import Policy

PLANS = bulk.table_of(Plan)
LINES = bulk.table_of(PlanLine)
EXCLUSIONS = bulk.table_of(PlanExclusion)
ACCOUNTS = bulk.table_of(Account)
DEBTORS = bulk.table_of(Debtor)
HOLDS = bulk.table_of(Hold)
PLACEMENTS = bulk.table_of(Placement)
AGENCIES = bulk.table_of(Agency)
CONTRACTS = bulk.table_of(AgencyContract)
LENDERS = bulk.table_of(Lender)
MOVES = bulk.table_of(StageMove)

OPEN_STATES: Final = ("draft", *PROMISED)
WORKING: Final = ("live", "certified")
SHARD: Final = 100_000
DEFAULT_TIMEZONE: Final = "Asia/Shanghai"


class UnknownPlan(UsageError):
    """There is no plan of that number."""


class NotApproved(RefusedByPolicy):
    """The plan may not be sent: a second person has not approved it, or it has ended."""


class PlanStale(RefusedByPolicy):
    """What the plan was made from has changed since, or it is too old."""

    def __init__(self, plan_id: int, because: str) -> None:
        super().__init__(
            f"plan {plan_id} has expired: {because}", fix="make the plan again, preview it and have it approved"
        )
        self.because = because


class SecondPerson(RefusedByPolicy):
    """Whoever made or submitted a plan cannot be the one who approves it."""


class ContentChanged(RefusedByPolicy):
    """The plan's lines are not those that somebody looked at."""


# --- what a plan reads ------------------------------------------------------------------------------------------------


def inputs(connection: Connection, spec: PlanSpec, today: date) -> Inputs:
    """Everything that a plan of this spec is made from."""
    facts = agencies(connection, spec.lender, today)
    linked = consolidation.barred(
        connection, spec.lender, today, [one.agency for one in facts], lambda other: usable(connection, other, today)
    )
    return Inputs(
        accounts=_read(connection, _accounts(spec)),
        holds=holds(connection, spec.lender, today),
        out=_read(connection, out(spec.lender)),
        barred=pd.concat([bulk.read(connection, _barred(spec.lender)), linked], ignore_index=True),
        agencies=facts,
        last=last_plan(connection, spec.lender, spec.stage),
    )


def _read(connection: Connection, statement: Select[Any]) -> pd.DataFrame:
    """As `bulk.read`, in shards: the driver's own rows take ten times the room of a frame's columns."""
    return pd.concat(bulk.read_chunks(connection, statement, SHARD), ignore_index=True)


def _accounts(spec: PlanSpec) -> Select[Any]:
    account, wanted = ACCOUNTS.c, spec.filter
    conditions = [account.lender == spec.lender]
    for column, values in (
        (account.product, wanted.products),
        (account.bucket, wanted.buckets),
        (account.portfolio_id, wanted.portfolios),
    ):
        if values:
            conditions.append(column.in_(values))
    if wanted.strategy_run is not None:
        conditions.append(
            account.account_id.in_(
                select(MOVES.c.account_id).where(MOVES.c.run_id == wanted.strategy_run, MOVES.c.to_stage == spec.stage)
            )
        )
    if wanted.regions:
        conditions.append(or_(*(account.region.startswith(region, autoescape=True) for region in wanted.regions)))
    if wanted.min_dpd is not None:
        conditions.append(account.dpd >= wanted.min_dpd)
    if wanted.max_dpd is not None:
        conditions.append(account.dpd <= wanted.max_dpd)
    banded = [] if spec.allocator == "shares" else [account.score_band]
    return select(
        account.account_id, account.debtor_id, account.product, account.currency, account.balance_minor, account.dpd,
        account.bucket, account.region, account.status, account.rounds, account.version, account.as_of, *banded,
    ).where(*conditions)  # fmt: skip


def _in_force(today: date) -> ColumnElement[bool]:
    return and_(
        HOLDS.c.lifted_at.is_(None), HOLDS.c.since <= today, or_(HOLDS.c.until.is_(None), HOLDS.c.until >= today)
    )


def _holds(lender: str, today: date) -> Select[Any]:
    return (
        select(HOLDS.c.debtor_id, HOLDS.c.account_id, HOLDS.c.reason)
        .join(DEBTORS, DEBTORS.c.debtor_id == HOLDS.c.debtor_id)
        .where(DEBTORS.c.lender == lender, _in_force(today))
    )


def holds(connection: Connection, lender: str, today: date) -> pd.DataFrame:
    """The lender's holds in force: `debtor_id`, `account_id` (missing: every account of the debtor), `reason`."""
    return bulk.read(connection, _holds(lender, today))


def _barred(lender: str) -> Select[Any]:
    return select(PLACEMENTS.c.debtor_id, PLACEMENTS.c.agency).where(PLACEMENTS.c.lender == lender, failed()).distinct()


def agencies(connection: Connection, lender: str, today: date) -> tuple[AgencyFacts, ...]:
    """Every agency as the lender finds it today: state, mandate, contract in force, capacity and what it holds."""
    newest = (
        select(CONTRACTS.c.agency, func.max(CONTRACTS.c.effective_from).label("since"))
        .where(CONTRACTS.c.lender == lender, CONTRACTS.c.effective_from <= today)
        .group_by(CONTRACTS.c.agency)
        .subquery()
    )
    contract = (
        select(CONTRACTS)
        .join(newest, and_(newest.c.agency == CONTRACTS.c.agency, newest.c.since == CONTRACTS.c.effective_from))
        .where(CONTRACTS.c.lender == lender)
        .subquery()
    )
    rows = connection.execute(
        select(AGENCIES, contract.c.contract_id, contract.c.share, contract.c.capacity_minor)
        .outerjoin(contract, contract.c.agency == AGENCIES.c.agency)
        .order_by(AGENCIES.c.agency)
    ).all()
    holds = _holdings(connection, lender)
    stopped = gates.stopped(connection, lender, today)
    return tuple(
        AgencyFacts(
            agency=row.agency,
            name=row.name,
            state=row.state,
            channels=tuple(channel for word in row.channels.split(",") if (channel := word.strip())),
            contract=row.contract_id is not None,
            share=None if row.share is None else Decimal(str(row.share)),
            term_days=row.term_days,
            capacity_accounts=row.capacity_accounts,
            capacity_minor=row.capacity_minor,
            held_accounts=holds.get(row.agency, (0, 0))[0],
            held_minor=holds.get(row.agency, (0, 0))[1],
            stopped_by=stopped.get(row.agency, ""),
        )
        for row in rows
    )


def usable(connection: Connection, lender: str, today: date) -> list[str]:
    """The agencies that the lender can place with today: at work, under contract, stopped by no gate."""
    facts = agencies(connection, lender, today)
    return [one.agency for one in facts if one.state in WORKING and one.contract and not one.stopped_by]


def _holdings(connection: Connection, lender: str) -> dict[str, tuple[int, int]]:
    """Per agency: accounts of every lender, and this lender's balance, that it has or has been promised."""
    has = (
        select(PLACEMENTS.c.agency, PLACEMENTS.c.lender, func.count(), func.sum(PLACEMENTS.c.balance_minor))
        .where(PLACEMENTS.c.state.in_(AT_AGENCY))
        .group_by(PLACEMENTS.c.agency, PLACEMENTS.c.lender)
    )
    # counted plan by plan, for that is how the lines lie: over all at once SQLite would sort every line first
    promised = (
        select(LINES.c.agency, func.min(PLANS.c.lender), func.count(), func.sum(LINES.c.balance_minor))
        .join(PLANS, PLANS.c.plan_id == LINES.c.plan_id)
        .where(PLANS.c.state.in_(PROMISED))
        .group_by(LINES.c.plan_id, LINES.c.agency)
    )
    counted = [*connection.execute(has).all(), *connection.execute(promised).all()]
    found: dict[str, tuple[int, int]] = {}
    for agency, owner, accounts, balance in counted:
        held, minor = found.get(agency, (0, 0))
        found[agency] = (held + accounts, minor + (int(balance) if owner == lender else 0))
    return found


def last_plan(connection: Connection, lender: str, stage: str) -> LastPlan | None:
    """The lender's newest plan for the stage that was approved or placed; None where there is none."""
    row = connection.execute(
        select(PLANS.c.plan_id, PLANS.c.name)
        .where(PLANS.c.lender == lender, PLANS.c.stage == stage, PLANS.c.state.in_(("approved", "placed")))
        .order_by(PLANS.c.plan_id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    counts = connection.execute(
        select(LINES.c.agency, func.count().label("accounts"))
        .where(LINES.c.plan_id == row.plan_id)
        .group_by(LINES.c.agency)
    ).all()
    return LastPlan(row.plan_id, row.name, {each.agency: each.accounts for each in counts})


def lender_today(connection: Connection, lender: str, now: datetime) -> date:
    """The calendar day where the lender is. Raises UsageError where there is no such lender."""
    zone = connection.execute(select(LENDERS.c.timezone).where(LENDERS.c.lender == lender)).scalar_one_or_none()
    if zone is None:
        raise UsageError(f"there is no lender {lender!r}", fix="import a portfolio of theirs first")
    return now.astimezone(ZoneInfo(zone or DEFAULT_TIMEZONE)).date()


# --- keeping and reading ----------------------------------------------------------------------------------------------


def create(
    connection: Connection, proposal: Proposal, spec: PlanSpec, policy: Policy, actor: str, now: datetime
) -> int:
    """The proposal is a draft. Returns its number."""
    plan_id = bulk.reserve(connection, "plan", 1)
    header: dict[str, Any] = {
        "lender": spec.lender,
        "name": spec.name,
        "stage": spec.stage,
        "purpose": spec.purpose,
        "policy": policy.name,
        "policy_version": policy.version,
        "policy_sha256": policy.sha256,
        "allocator": spec.allocator,
        "seed": spec.seed,
        "currency": proposal.currency,
        "term_days": proposal.term_days,
    }
    content = content_sha256(header, proposal.lines)
    connection.execute(
        insert(PLANS).values(
            **header,
            plan_id=plan_id,
            state="draft",
            spec=spec.json(),
            summary=json.dumps(proposal.summary, ensure_ascii=False),
            inputs_sha256=proposal.inputs_sha256,
            content_sha256=content,
            accounts=len(proposal.lines),
            balance_minor=proposal.summary["balance_minor"],
            as_of=proposal.as_of,
            created_by=actor,
            created_at=now,
            expires_at=now + timedelta(days=spec.expires_after_days),
        )
    )
    bulk.append(connection, LINES, proposal.lines.astype({"segment": "str"}).assign(plan_id=plan_id))
    bulk.append(connection, EXCLUSIONS, proposal.exclusions.assign(plan_id=plan_id))
    details: dict[str, audit.Value] = {
        "lender": spec.lender,
        "accounts": len(proposal.lines),
        "content_sha256": content,
        "seed": spec.seed,
    }
    audit.record(connection, actor, "plan.created", f"plan:{plan_id}", details, now)
    return plan_id


def plan(connection: Connection, plan_id: int) -> Plan:
    """The plan's row. Raises UnknownPlan."""
    row = connection.execute(select(PLANS).where(PLANS.c.plan_id == plan_id)).mappings().one_or_none()
    if row is None:
        raise UnknownPlan(f"there is no plan {plan_id}", fix="`consign plan list` shows them")
    values: dict[str, Any] = {name: _aware(value) for name, value in row.items()}
    return Plan(**values)


def listed(connection: Connection, lender: str | None = None, state: str | None = None) -> pd.DataFrame:
    """Plans, the newest first, without spec and summary."""
    columns = [column for column in PLANS.c if column.name not in {"spec", "summary"}]
    statement = select(*columns).order_by(PLANS.c.plan_id.desc())
    if lender is not None:
        statement = statement.where(PLANS.c.lender == lender)
    if state is not None:
        statement = statement.where(PLANS.c.state == state)
    return bulk.read(connection, statement)


def open_plans(connection: Connection) -> list[int]:
    """Plans that have not ended and are not placed, the oldest first."""
    statement = select(PLANS.c.plan_id).where(PLANS.c.state.in_(OPEN_STATES)).order_by(PLANS.c.plan_id)
    return list(connection.execute(statement).scalars())


def lines(connection: Connection, plan_id: int, agency: str | None = None) -> pd.DataFrame:
    """The plan's lines (of one agency), in rising account id."""
    return _read(connection, _lines(plan_id, agency))


def line_chunks(
    connection: Connection, plan_id: int, agency: str | None = None, rows: int = 100_000
) -> Iterator[pd.DataFrame]:
    """As `lines`, at most so many at a time."""
    return bulk.read_chunks(connection, _lines(plan_id, agency), rows)


def _lines(plan_id: int, agency: str | None) -> Select[Any]:
    statement = select(LINES).where(LINES.c.plan_id == plan_id).order_by(LINES.c.account_id)
    return statement if agency is None else statement.where(LINES.c.agency == agency)


def exclusions(connection: Connection, plan_id: int, reason: str | None = None) -> pd.DataFrame:
    """`account_id`, `reason` of every account that the plan left out."""
    statement = select(EXCLUSIONS.c.account_id, EXCLUSIONS.c.reason).where(EXCLUSIONS.c.plan_id == plan_id)
    if reason is not None:
        statement = statement.where(EXCLUSIONS.c.reason == reason)
    return bulk.read(connection, statement.order_by(EXCLUSIONS.c.account_id))


def line(connection: Connection, plan_id: int, account_id: int) -> Row[Any] | None:
    """The plan's line about the account; None where it has none."""
    statement = select(LINES).where(LINES.c.plan_id == plan_id, LINES.c.account_id == account_id)
    return connection.execute(statement).one_or_none()


def exclusion(connection: Connection, plan_id: int, account_id: int) -> str | None:
    """Why the plan left the account out; None where it did not."""
    statement = select(EXCLUSIONS.c.reason).where(
        EXCLUSIONS.c.plan_id == plan_id, EXCLUSIONS.c.account_id == account_id
    )
    return connection.execute(statement).scalar_one_or_none()


def account_with_index(connection: Connection, lender: str, ref_index: str) -> int | None:
    """The account whose number at the lender has this index; None where there is none."""
    statement = select(ACCOUNTS.c.account_id).where(ACCOUNTS.c.lender == lender, ACCOUNTS.c.ref_index == ref_index)
    return connection.execute(statement).scalar_one_or_none()


def tried_before(connection: Connection, debtor_id: int) -> list[str]:
    """Agencies that had the debtor and did not recover."""
    statement = select(PLACEMENTS.c.agency).where(PLACEMENTS.c.debtor_id == debtor_id, failed()).distinct()
    return sorted(connection.execute(statement).scalars())


# --- its life ---------------------------------------------------------------------------------------------------------


def submit(connection: Connection, plan_id: int, actor: str, now: datetime) -> Plan:
    """The plan waits for a second person. Raises PlanStale, IllegalMove."""
    known = _before(connection, plan_id, "submitted", now)
    _move(connection, known, "submitted", submitted_by=actor, submitted_at=now)
    audit.record(connection, actor, "plan.submitted", f"plan:{plan_id}", {"content_sha256": known.content_sha256}, now)
    return plan(connection, plan_id)


def approve(connection: Connection, plan_id: int, actor: str, now: datetime, content: str = "") -> Plan:
    """The plan may be sent, as its lines stand.

    content: the beginning of the `content_sha256` that the approver looked at, checked where given.
    Raises SecondPerson, ContentChanged, PlanStale, IllegalMove.
    """
    known = _before(connection, plan_id, "approved", now)
    if actor in {known.created_by, known.submitted_by}:
        raise SecondPerson(
            f"plan {plan_id} was made or submitted by {actor}, who cannot approve it",
            fix="another person approves it: at their own login, or with their name in CONSIGN_ACTOR",
        )
    if not known.content_sha256.startswith(content.lower()):
        raise ContentChanged(f"plan {plan_id} is not what was looked at: its content is {known.content_sha256[:16]}")
    _unaltered(connection, known)
    _move(connection, known, "approved", approved_by=actor, approved_at=now)
    audit.record(connection, actor, "plan.approved", f"plan:{plan_id}", {"content_sha256": known.content_sha256}, now)
    return plan(connection, plan_id)


def reject(connection: Connection, plan_id: int, actor: str, now: datetime, because: str) -> Plan:
    """The plan has ended: somebody said no, and why."""
    known = plan(connection, plan_id)
    _move(connection, known, "rejected", ended_because=because)
    audit.record(connection, actor, "plan.rejected", f"plan:{plan_id}", {"content_sha256": known.content_sha256}, now)
    return plan(connection, plan_id)


def expire(connection: Connection, plan_id: int, now: datetime, because: str, actor: str = "consign") -> Plan:
    """The plan has ended: its data changed, or it is too old."""
    known = plan(connection, plan_id)
    _move(connection, known, "expired", ended_because=because)
    audit.record(connection, actor, "plan.expired", f"plan:{plan_id}", {"content_sha256": known.content_sha256}, now)
    return plan(connection, plan_id)


def mark_placed(connection: Connection, plan_id: int, now: datetime) -> None:  # noqa: ARG001 - its event says when
    """The plan's lines are placements; placing records the event."""
    _move(connection, plan(connection, plan_id), "placed")


def approved(connection: Connection, plan_id: int, now: datetime) -> Plan:
    """The plan, which a second person approved, as it was approved, and which still holds.

    Raises UnknownPlan, NotApproved, PlanStale, ContentChanged.
    """
    known = plan(connection, plan_id)
    if known.state != "approved":
        ended = f" ({known.ended_because})" if known.ended_because else ""
        raise NotApproved(f"plan {plan_id} is {known.state}{ended}, not approved", fix=_WHAT_NEXT.get(known.state, ""))
    if (because := stale(connection, plan_id, now)) is not None:
        raise PlanStale(plan_id, because)
    _unaltered(connection, known)
    return known


_WHAT_NEXT: Final = {
    "draft": "`consign plan submit`, then another person's `consign plan approve`",
    "submitted": "another person's `consign plan approve`",
    "expired": "make the plan again",
    "rejected": "make the plan again",
    "placed": "it is out: `consign place` continues an interrupted delivery",
}


def check_fresh(connection: Connection, plan_id: int, now: datetime) -> None:
    """Nothing that the plan was made from has changed. Raises PlanStale."""
    if (because := stale(connection, plan_id, now)) is not None:
        raise PlanStale(plan_id, because)


def stale(connection: Connection, plan_id: int, now: datetime) -> str | None:
    """Why the plan no longer holds; None while it does. Changes nothing."""
    known = plan(connection, plan_id)
    if known.expires_at is not None and now >= known.expires_at:
        return f"it was good until {known.expires_at:%Y-%m-%d %H:%M} UTC"
    told = []
    if changed := _count(connection, plan_id, _changed()):
        told.append(f"{changed:,} accounts changed")
    if held := _count(connection, plan_id, _held(lender_today(connection, known.lender, now))):
        told.append(f"{held:,} accounts were put on hold")
    if out := _count(connection, plan_id, _elsewhere(plan_id)):
        told.append(f"{out:,} accounts were placed by another plan")
    if twice := _count(connection, plan_id, _promised_elsewhere(connection, known)):
        told.append(f"{twice:,} accounts are in another plan that is submitted or approved")
    today = lender_today(connection, known.lender, now)
    if apart := consolidation.apart(connection, plan_id, known.lender, today):
        told.append(f"{apart:,} debtors are consolidated with another agency by now")
    if consolidation.ended_since(connection, known.lender, known.created_at, today):
        told.append("a basis of its consolidated collection has ended")
    told += _agencies_unfit(connection, known, now)
    return "; ".join(told) or None


def _count(connection: Connection, plan_id: int, condition: ColumnElement[bool]) -> int:
    found = connection.execute(
        select(func.count())
        .select_from(LINES)
        .outerjoin(ACCOUNTS, ACCOUNTS.c.account_id == LINES.c.account_id)
        .where(LINES.c.plan_id == plan_id, condition)
    ).scalar_one()
    return int(found)


def _changed() -> ColumnElement[bool]:
    return or_(ACCOUNTS.c.account_id.is_(None), ACCOUNTS.c.version != LINES.c.version, ACCOUNTS.c.status != OPEN)


def _held(today: date) -> ColumnElement[bool]:
    return exists().where(
        HOLDS.c.debtor_id == LINES.c.debtor_id,
        or_(HOLDS.c.account_id.is_(None), HOLDS.c.account_id == LINES.c.account_id),
        _in_force(today),
    )


def _elsewhere(plan_id: int) -> ColumnElement[bool]:
    return exists().where(
        PLACEMENTS.c.account_id == LINES.c.account_id,
        PLACEMENTS.c.state.in_(AT_AGENCY),
        PLACEMENTS.c.plan_id != plan_id,
    )


def _promised_elsewhere(connection: Connection, known: Plan) -> ColumnElement[bool]:
    # the plans by number: their lines are found by key, where a join would read them all for every account
    others = connection.execute(
        select(PLANS.c.plan_id).where(
            PLANS.c.lender == known.lender, PLANS.c.state.in_(PROMISED), PLANS.c.plan_id != known.plan_id
        )
    ).scalars()
    other = LINES.alias()
    return exists().where(other.c.plan_id.in_(list(others)), other.c.account_id == LINES.c.account_id)


def _agencies_unfit(connection: Connection, known: Plan, now: datetime) -> list[str]:
    """Why agencies of the plan can no longer take what it gives them."""
    given = connection.execute(
        select(LINES.c.agency, func.count().label("accounts"), func.sum(LINES.c.balance_minor).label("balance_minor"))
        .where(LINES.c.plan_id == known.plan_id)
        .group_by(LINES.c.agency)
        .order_by(LINES.c.agency)
    ).all()
    facts = {
        each.agency: each for each in agencies(connection, known.lender, lender_today(connection, known.lender, now))
    }
    told = []
    for part in given:
        at = facts.get(part.agency)
        if at is None or at.state not in WORKING or not at.contract:
            told.append(f"{part.agency} can take no accounts now")
            continue
        if at.stopped_by:
            told.append(f"{part.agency} is stopped by {at.stopped_by}")
            continue
        # what is promised is counted among what the agency holds, and so are the plan's own lines once it is submitted
        own = known.state not in PROMISED
        accounts = at.held_accounts + (part.accounts if own else 0)
        minor = at.held_minor + (int(part.balance_minor) if own else 0)
        if _over(accounts, at.capacity_accounts) or _over(minor, at.capacity_minor):
            told.append(f"{part.agency} no longer has room for its part")
    return told


def _over(much: int, capacity: int | None) -> bool:
    return capacity is not None and much > capacity


def _before(connection: Connection, plan_id: int, there: str, now: datetime) -> Plan:
    """The plan, which may go there and still holds."""
    known = plan(connection, plan_id)
    moved(f"plan {plan_id}", known.state, there, PLAN)
    check_fresh(connection, plan_id, now)
    return known


def _unaltered(connection: Connection, known: Plan) -> None:
    """The lines are those that the hash was taken of. Raises ContentChanged."""
    columns = [LINES.c[name] for name in CONTENT]
    told = _read(connection, select(*columns).where(LINES.c.plan_id == known.plan_id))
    if content_sha256(known.model_dump(), told) != known.content_sha256:
        raise ContentChanged(
            f"plan {known.plan_id}: its lines are not those it was made with", fix="reject it and make it again"
        )


def _move(connection: Connection, known: Plan, there: str, **columns: object) -> None:
    """The plan is there now, if it is still where it was seen. Raises IllegalMove."""
    moved(f"plan {known.plan_id}", known.state, there, PLAN)
    done = connection.execute(
        update(PLANS)
        .where(PLANS.c.plan_id == known.plan_id, PLANS.c.state == known.state)
        .values(state=there, **columns)
    ).rowcount
    if not done:
        moved(f"plan {known.plan_id}", plan(connection, known.plan_id).state, there, PLAN)
        raise RefusedByPolicy(f"plan {known.plan_id} was changed by somebody else just now", fix="look at it again")


def _aware(value: object) -> object:
    """SQLite gives instants back without their zone, which is UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
