"""Strategy: propose which accounts move stage and which placements come back; do what a second person approves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from flows.engine import Schedule, verb
from flows.exchange import days, reported, send_pending
from flows.plan import LIVE, TRIED_OUT, draft
from flows.recall import recall_due
from infra import audit, roles
from infra import strategy as strategies
from infra.store import exchange, plans, trail
from infra.store import strategy as store
from infra.wiring import desk
from models.errors import RefusedByPolicy, UsageError
from models.lives import PROPOSAL, moved
from models.planning.proposal import NobodyToPlace
from models.planning.spec import PlanSpec
from models.strategy import cascade, difference

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from infra.strategy import Proposed
    from models.strategy.rules import Strategy


@dataclass(frozen=True)
class StrategyReport:
    """What waits for a second person now; `unchanged`: what waited already and would be proposed the same again."""

    runs: list[int]
    moves: int
    recall_proposals: list[int]
    placements: int
    unchanged: int


@dataclass(frozen=True)
class RunApproved:
    """What an approved run did: accounts moved, and per stage and currency the plan drafted, or why there is none."""

    run_id: int
    moves: int
    plans: dict[str, int | str]


@dataclass(frozen=True)
class CascadeReport:
    """What an approved proposal did."""

    proposal_id: int
    recalled: int
    files: int
    files_delivered: int


class SecondPerson(RefusedByPolicy):
    """Whoever proposed cannot be the one who approves."""


class Changed(RefusedByPolicy):
    """What was proposed is not what the strategy would propose now: its data changed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} has expired: its data changed", fix="propose it again, and look at it anew")


@verb(schedule=Schedule("30 5 * * 1"))
def strategise(lender: str | None = None) -> StrategyReport:
    """Propose which accounts move to which stage and which placements come back; safe to run again.

    Of one lender, or of every one that goes by a strategy. What would be proposed again unchanged is left as it is; an
    open proposal over other data expires.
    """
    at = desk()
    runs, proposals, moves, placements, unchanged = [], [], 0, 0, 0
    for code, today in _served(lender):
        with at.database.read() as connection:
            strategy = strategies.of(connection, at, code)
            found = strategies.proposed(connection, strategy, code, today, LIVE)
            back = strategies.falling_back(connection, strategy, code, today)
        if not found.moves.lines.empty:
            run_id = keep(found)
            runs += [] if run_id is None else [run_id]
            moves += 0 if run_id is None else len(found.moves.lines)
            unchanged += run_id is None
        if not back.empty:
            proposal_id = keep_recalls(strategy, code, today, back)
            proposals += [] if proposal_id is None else [proposal_id]
            placements += 0 if proposal_id is None else len(back)
            unchanged += proposal_id is None
    return StrategyReport(runs, moves, proposals, placements, unchanged)


def may_recall(proposal_id: int) -> None:
    """Nothing. Raises what keeps whoever sits at the desk from approving the proposal as it stands."""
    with desk().database.read() as connection:
        row = store.proposal(connection, proposal_id)
        _second(connection, row, f"proposal {proposal_id}")
        moved(f"proposal {proposal_id}", row.state, "approved", PROPOSAL)


@verb()
def approve_recalls(proposal_id: int) -> CascadeReport:
    """The proposed placements are recalled, and the recalls delivered.

    Raises RoleMissing, SecondPerson, IllegalMove, and Changed (the proposal has expired) where the strategy would
    propose something else by now.
    """
    at = desk()
    with at.database.read() as connection:
        row = store.proposal(connection, proposal_id)
        strategy = strategies.BOOK.find(connection, row.strategy)
        today = _today(connection, row.lender)
        found = strategies.falling_back(connection, strategy, row.lender, today)
    with at.database.write() as connection:
        exchange.take_turn(connection)
        trail.hold(connection)
        row = store.proposal(connection, proposal_id)
        _second(connection, row, f"proposal {proposal_id}")
        same = (strategy.sha256, cascade.content_sha256(found)) == (row.strategy_sha256, row.content_sha256)
        if same:
            store.decide_proposal(connection, row, "approved", at.actor, at.now())
            due = found[["placement_id", "lender", "agency", "reason"]]
            files = recall_due(connection, due, today)
            _record(connection, "recalls_approved", f"recall_proposal:{proposal_id}", row, placements=len(found))
        else:
            store.decide_proposal(connection, row, "expired", at.actor, at.now(), "its data changed")
    if not same:
        raise Changed(f"proposal {proposal_id}")
    return reported(send_pending, lambda sent: CascadeReport(proposal_id, len(found), files, sent.delivered))


def preview(lender: str, name: str | None = None, *, certified_too: bool = False) -> Proposed:
    """What the strategy (the lender's own, one in force, a version, or a draft) would do today; nothing is kept."""
    at = desk()
    with at.database.read() as connection:
        strategy = strategies.of(connection, at, lender) if name is None else strategies.BOOK.named(connection, name)
        today = _today(connection, lender)
        return strategies.proposed(connection, strategy, lender, today, TRIED_OUT if certified_too else LIVE)


def preview_recalls(lender: str, name: str | None = None) -> pd.DataFrame:
    """Which placements the strategy would take back today; nothing is kept."""
    at = desk()
    with at.database.read() as connection:
        strategy = strategies.of(connection, at, lender) if name is None else strategies.BOOK.named(connection, name)
        return strategies.falling_back(connection, strategy, lender, _today(connection, lender))


def tried_out(strategy: Strategy, lender: str) -> tuple[Proposed, pd.DataFrame]:
    """What these rules would move today, and which placements they would take back; nothing is kept."""
    at = desk()
    with at.database.read() as connection:
        today = _today(connection, lender)
        found = strategies.proposed(connection, strategy, lender, today, LIVE)
        return found, strategies.falling_back(connection, strategy, lender, today)


def compare(before: str, after: str, lender: str | None) -> tuple[list[difference.Difference], pd.DataFrame | None]:
    """What the second strategy says otherwise, and with a lender how many accounts it would send elsewhere today."""
    at = desk()
    with at.database.read() as connection:
        pair = [strategies.BOOK.named(connection, name) for name in (before, after)]
        told = difference.differences(pair[0], pair[1])
        if lender is None:
            return told, None
        today = _today(connection, lender)
        moves = [strategies.proposed(connection, one, lender, today, LIVE).moves for one in pair]
    return told, strategies.compared(*moves)


def keep(found: Proposed) -> int | None:
    """The proposal is kept for a second person. Returns its number; None where the open run is the same."""
    at = desk()
    content = found.moves.sha256
    with at.database.write() as connection:
        trail.hold(connection)
        there = store.open_run(connection, found.lender)
        if there is not None and (there.strategy_sha256, there.content_sha256) == (found.strategy.sha256, content):
            return None
        run_id = store.keep_run(
            connection, found.moves.lines, lender=found.lender, strategy=found.strategy.name,
            version=found.strategy.version, strategy_sha256=found.strategy.sha256, as_of=found.as_of,
            accounts=found.accounts, moves=len(found.moves.lines), content_sha256=content,
            summary=json.dumps(strategies.summary(found), ensure_ascii=False), created_by=at.actor,
            created_at=at.now(),
        )  # fmt: skip
        row = store.run(connection, run_id)
        _record(connection, "run_proposed", f"strategy_run:{run_id}", row, accounts=row.moves, sha256=content)
    return run_id


def keep_recalls(strategy: Strategy, lender: str, today: date, found: pd.DataFrame) -> int | None:
    """The recalls are kept for a second person. Returns the number; None where the open proposal is the same."""
    at = desk()
    content = cascade.content_sha256(found)
    with at.database.write() as connection:
        trail.hold(connection)
        there = store.open_proposal(connection, lender)
        if there is not None and (there.strategy_sha256, there.content_sha256) == (strategy.sha256, content):
            return None
        proposal_id = store.keep_proposal(
            connection, found, lender=lender, strategy=strategy.name, version=strategy.version,
            strategy_sha256=strategy.sha256, as_of=today, placements=len(found),
            balance_minor=int(found["balance_minor"].sum()), content_sha256=content, created_by=at.actor,
            created_at=at.now(),
        )  # fmt: skip
        row = store.proposal(connection, proposal_id)
        subject = f"recall_proposal:{proposal_id}"
        _record(connection, "recalls_proposed", subject, row, placements=len(found), sha256=content)
    return proposal_id


def may_approve(run_id: int, content: str = "") -> None:
    """Nothing. Raises what keeps whoever sits at the desk from approving the run as it stands."""
    with desk().database.read() as connection:
        row = store.run(connection, run_id)
        _approvable(connection, row, content)
        moved(f"strategy run {run_id}", row.state, "approved", PROPOSAL)


def _approvable(connection: Connection, row: Row[Any], content: str) -> None:
    _second(connection, row, f"strategy run {row.run_id}")
    if not row.content_sha256.startswith(content):
        raise UsageError(f"strategy run {row.run_id} is not the one of that hash", fix="`consign strategy runs`")


def approve(run_id: int, content: str = "", *, certified_too: bool = False) -> RunApproved:
    """The accounts of the run are in their new stages, and plans are drafted for the stages that agencies work.

    content: the beginning of the hash that the approver looked at, checked where given. Raises RoleMissing,
    SecondPerson, IllegalMove, UsageError for another hash, and Changed (the run has expired) where the strategy would
    move other accounts by now.
    """
    at = desk()
    states = TRIED_OUT if certified_too else LIVE
    with at.database.read() as connection:
        row = store.run(connection, run_id)
        strategy = strategies.BOOK.find(connection, row.strategy)
        found = strategies.proposed(connection, strategy, row.lender, _today(connection, row.lender), states)
    with at.database.write() as connection:
        trail.hold(connection)
        row = store.run(connection, run_id)
        _approvable(connection, row, content)
        same = (strategy.sha256, found.moves.sha256) == (row.strategy_sha256, row.content_sha256)
        if same:
            store.decide_run(connection, row, "approved", at.actor, at.now())
            store.put_in_stages(connection, row, found.as_of)
            _record(connection, "run_approved", f"strategy_run:{run_id}", row, accounts=row.moves)
        else:
            store.decide_run(connection, row, "expired", at.actor, at.now(), "its data changed")
    if not same:
        raise Changed(f"strategy run {run_id}")
    return RunApproved(run_id, row.moves, draft_plans(run_id, certified_too=certified_too))


def draft_plans(run_id: int, *, certified_too: bool = False) -> dict[str, int | str]:
    """Every stage of the approved run that agencies work has its draft, one per currency; what has one keeps it.

    Returns by `stage currency` the plan's number, or why there is none.
    """
    at = desk()
    with at.database.read() as connection:
        row = store.run(connection, run_id)
        strategy = strategies.BOOK.named(connection, f"{row.strategy}@{row.version}")
        pairs = store.stages_of(connection, run_id)
        who = strategies.who_may(
            connection, strategy, row.lender, _today(connection, row.lender), TRIED_OUT if certified_too else LIVE
        )
    if row.state != "approved":
        raise RefusedByPolicy(
            f"strategy run {run_id} is {row.state}", fix=f"a second person: `consign strategy accept {run_id}`"
        )
    drafted: dict[str, int | str] = json.loads(row.plans)
    for stage, currency in pairs:
        told = f"{stage} {currency}"
        works = strategy.stage(stage)
        if works is None or works.by != "agency" or isinstance(drafted.get(told), int):
            continue
        agencies = strategies.mandated(who, stage)
        drafted[told] = _drafted(row, strategy, stage, currency, agencies, certified_too=certified_too)
        with at.database.write() as connection:
            store.note_plans(connection, run_id, drafted)
    return drafted


def refuse(run_id: int, because: str) -> None:
    """Nothing comes of the run. Raises RoleMissing, IllegalMove, UsageError for a reason that says nothing."""
    at = desk()
    with at.database.write() as connection:
        trail.hold(connection)
        roles.require(connection, at, "portfolio_manager")
        row = store.run(connection, run_id)
        store.decide_run(connection, row, "refused", at.actor, at.now(), reason_given(because))
        _record(connection, "run_refused", f"strategy_run:{run_id}", row, because=because)


def refuse_recalls(proposal_id: int, because: str) -> None:
    """Nothing comes of the proposal. Raises RoleMissing, IllegalMove, UsageError for a reason that says nothing."""
    at = desk()
    with at.database.write() as connection:
        trail.hold(connection)
        roles.require(connection, at, "portfolio_manager")
        row = store.proposal(connection, proposal_id)
        store.decide_proposal(connection, row, "refused", at.actor, at.now(), reason_given(because))
        _record(connection, "recalls_refused", f"recall_proposal:{proposal_id}", row, because=because)


def reason_given(because: str) -> str:
    """The reason, which the trail may keep. Raises UsageError for one that says nothing, or more than a sentence."""
    if not because.strip() or not audit.TEXT.fullmatch(because):
        raise UsageError("a reason is wanted, in up to 200 ASCII characters", fix='--because "why"')
    return because.strip()


def _drafted(
    row: Row[Any], strategy: Strategy, stage: str, currency: str, agencies: list[str], *, certified_too: bool
) -> int | str:
    """The number of the draft, or why nobody can be placed with."""
    if not agencies:
        return "no agency may work it (`consign strategy check`)"
    works = strategy.stage(stage)
    assert works is not None  # noqa: S101 - the caller looked
    spec = PlanSpec.of({
        "lender": row.lender, "name": f"{strategy.name} {stage} {currency} {row.as_of}", "seed": row.run_id,
        "stage": stage, "purpose": works.purpose, "policy": works.policy, "currency": currency,
        "term_days": works.term_days, "filter": {"strategy_run": row.run_id},
        "agencies": {agency: {} for agency in agencies},
    })  # fmt: skip
    try:
        plan_id = draft(spec, certified_too=certified_too).plan_id
    except NobodyToPlace as nobody:
        return str(nobody)
    assert plan_id is not None  # noqa: S101 - a draft that is kept has its number
    return plan_id


def _served(lender: str | None) -> list[tuple[str, date]]:
    """The lender, or every one that goes by a strategy, and the day there."""
    with desk().database.read() as connection:
        asked = [lender] if lender is not None else strategies.going_by_one(connection)
        known = dict(days(connection, lender))
    return [(code, known[code]) for code in asked if code in known]


def _today(connection: Connection, lender: str) -> date:
    return plans.lender_today(connection, lender, desk().now())


def _second(connection: Connection, row: Row[Any], what: str) -> None:
    roles.require(connection, desk(), "portfolio_manager")
    if row.created_by == desk().actor:
        raise SecondPerson(f"{desk().actor} proposed {what}, and cannot approve it", fix="let a second person decide")


def _record(connection: Connection, what: str, subject: str, row: Row[Any], **more: audit.Value) -> None:
    at = desk()
    details = {"lender": row.lender, "policy": row.strategy, "version": row.version, **more}
    audit.record(connection, at.actor, f"strategy.{what}", subject, details, at.now())
