"""Strategies through the API: their rules, what they would do, runs, proposed recalls, and the stages of accounts."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from console.web.api import rules
from console.web.api.book import Because, Id, JobShape, job_of
from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.rules import AnyVersion, Differs, Name, PutUp, Reason, Rules, Version, VersionShape, WholeRules
from console.web.api.shapes import Given, Listed, Word, of_table
from console.web.frames import records, told
from flows import strategy as verbs
from infra import jobs, strategy
from infra.store import browsing, stages
from infra.store import strategy as store
from infra.store.stages import Group
from infra.wiring import seated_here
from models.errors import UsageError
from models.strategy import difference
from models.tables import (
    RecallProposal,
    RecallProposalLine,
    StageMove,
    StrategyRun,
)

if TYPE_CHECKING:
    pass

router = APIRouter(responses=PROBLEMS)

RunShape = of_table("StrategyRun", StrategyRun, but={"summary", "plans"})
MoveShape = of_table("StageMove", StageMove, but={"debtor_id"})
ProposalShape = of_table("ProposedRecall", RecallProposal)
ProposalLineShape = of_table("ProposedRecallLine", RecallProposalLine, currency=(str, ...))
State = Literal["", "proposed", "approved", "refused", "expired"]


class Movement(BaseModel):
    """Accounts that go alike."""

    from_stage: str
    to_stage: str
    rule: str
    why: str
    currency: str
    accounts: int
    balance_minor: int


class Mandate(BaseModel):
    """Whether an agency may work a stage, and why not."""

    stage: str
    agency: str
    may: bool
    why: str


class Falling(BaseModel):
    """Placements that would come back alike."""

    agency: str
    level: str
    rule: str
    reason: str
    next_level: str
    next_stage: str
    currency: str
    placements: int
    balance_minor: int


class Counted(BaseModel):
    """What a strategy moves, whom it leaves by reason, and who may work its stages."""

    movement: list[Movement]
    left: dict[str, int]
    mandates: list[Mandate]


class TriedOut(Counted):
    """What it would do today; nothing is kept."""

    lender: str
    strategy: str
    version: str
    as_of: date
    accounts: int
    recalls: list[Falling]


class WholeRun(RunShape, Counted):  # type: ignore[misc, valid-type]  # made from the table
    """A run with what an approver reads, and the plans drafted: by stage and currency, or why there is none."""

    plans: dict[str, int | str]


class Lender(Given):
    """Whose accounts; null: of every lender that goes by a strategy."""

    lender: Word | None = None


class Content(Given):
    """What was looked at."""

    content: Word = Field(default="", description="the beginning of the hash of what was looked at; checked if given")
    certified_too: bool = Field(default=False, description="place with agencies that are certified, not live yet, too")


class InStage(BaseModel):
    """How many accounts stand in a stage by accepted runs, and how many placements of it are with agencies."""

    stage: str
    accounts: int
    oldest: date | None
    out: int


class AccountInStage(BaseModel):
    """An account in the stage that a run put it in."""

    account_id: int
    since: date
    run_id: int
    product: str
    currency: str
    balance_minor: int
    dpd: int
    bucket: str
    status: str
    rounds: int


class Moved(BaseModel):
    """One move of an account that was accepted."""

    run_id: int
    strategy: str
    version: str
    as_of: date
    from_stage: str
    to_stage: str
    days: int
    rule: str
    why: str
    decided_by: str | None


# -- rules: strategies, and limits of instalment plans -----------------------------------------------------------------


@router.get("/strategies", dependencies=[needs("strategies.see")])
def list_strategies(call: Calling) -> Listed[Rules]:
    """Strategies in force, proposed, and drafted on the server."""
    return rules.listed(call, strategy.BOOK)


@router.post("/strategies", dependencies=[needs("strategies.change")], status_code=201)
def propose_strategy(call: Calling, given: PutUp) -> WholeRules:
    """A version is up for approval by a second person; its text never changes."""
    return rules.propose(call, strategy.BOOK, given)


@router.get("/strategies/{name}", dependencies=[needs("strategies.see")])
def get_strategy(call: Calling, name: Name, version: AnyVersion = "") -> WholeRules:
    """One strategy with its text."""
    return rules.whole(call, strategy.BOOK, name, version)


@router.get("/strategies/{name}/versions", dependencies=[needs("strategies.see")])
def list_strategy_versions(call: Calling, name: Name) -> Listed[VersionShape]:  # type: ignore[valid-type]
    """Every version that was proposed: by whom, who approved it, from when to when it was in force."""
    return rules.history(call, strategy.BOOK, name)


@router.get("/strategies/{name}/difference", dependencies=[needs("strategies.see")])
def compare_strategy_versions(call: Calling, name: Name, against: Version, version: AnyVersion = "") -> Listed[Differs]:
    """What the version says otherwise than the one that it is held against."""
    before, after = rules.pair(call, strategy.BOOK, name, against, version)
    return Listed(items=[Differs.model_validate(one) for one in difference.differences(before, after)])


@router.get("/strategies/{name}/preview", dependencies=[needs("strategies.see")])
def try_strategy_out(call: Calling, name: Name, lender: Word, version: AnyVersion = "") -> TriedOut:
    """What it would do with the lender's accounts today: nothing is kept. Of very many accounts it takes seconds."""
    with seated_here(call.desk):
        with call.desk.database.read() as connection:
            _known(lender, browsing.lenders(connection))
            one = strategy.BOOK.version(connection, name, version) if version else strategy.BOOK.find(connection, name)
        found, back = verbs.tried_out(one, lender)
    return TriedOut(
        lender=lender, strategy=one.name, version=one.version, as_of=found.as_of, accounts=found.accounts,
        recalls=[Falling.model_validate(row) for row in records(strategy.fallen(back))], **strategy.summary(found),
    )  # fmt: skip


def _known(lender: str, lenders: dict[str, str]) -> None:
    if lender not in lenders:
        raise UsageError("there is no such lender", fix=f"there are {', '.join(lenders)}")


@router.post("/strategies/{name}/{version}/approve", dependencies=[needs("strategies.approve")], status_code=204)
def approve_strategy(call: Calling, name: Name, version: Version) -> None:
    """The proposed version is in force: by a second person."""
    rules.approve(call, strategy.BOOK, name, version)


@router.post("/strategies/{name}/{version}/withdraw", dependencies=[needs("strategies.change")], status_code=204)
def withdraw_strategy(call: Calling, name: Name, version: Version, given: Reason) -> None:
    """The version counts no more, or the proposal is taken back."""
    rules.withdraw(call, strategy.BOOK, name, version, given.reason)


# -- runs, proposed recalls, stages ------------------------------------------------------------------------------------


@router.get("/strategy-runs", dependencies=[needs("strategies.see")])
def list_strategy_runs(call: Calling, lender: Word = "", state: State = "", after: Word = "") -> Listed[RunShape]:  # type: ignore[valid-type]
    """What strategies proposed to move, the newest first, and what became of it."""
    with call.desk.database.read() as connection:
        page = stages.runs(connection, lender, state, after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/strategy-runs", dependencies=[needs("strategies.run")], status_code=202)
def run_strategy(call: Calling, given: Lender) -> JobShape:  # type: ignore[valid-type]
    """A job proposes which accounts move and which placements come back; a second person accepts."""
    if given.lender is not None:
        with call.desk.database.read() as connection:
            _known(given.lender, browsing.lenders(connection))
    return job_of(call, jobs.ask(call.desk, "strategise", {"lender": given.lender}))


@router.get("/strategy-runs/{run_id}", dependencies=[needs("strategies.see")])
def get_strategy_run(call: Calling, run_id: Id) -> WholeRun:
    """One run: how many accounts go where and why, who is left, who may work the stages."""
    with call.desk.database.read() as connection:
        row = told(store.run(connection, run_id))
    whole: WholeRun = WholeRun.model_validate(row | json.loads(row["summary"]) | {"plans": json.loads(row["plans"])})
    return whole


@router.get("/strategy-runs/{run_id}/moves", dependencies=[needs("strategies.see")])
def list_stage_moves(
    call: Calling, run_id: Id, from_stage: Word = "", to_stage: Word = "", rule: Word = "", why: Word = "",
    after: Word = "",
) -> Listed[MoveShape]:  # type: ignore[valid-type]  # fmt: skip
    """The run's moves, account by account."""
    with call.desk.database.read() as connection:
        row = store.run(connection, run_id)
        groups = json.loads(row.summary)["movement"]
        page = stages.moves(connection, run_id, Group(from_stage, to_stage, rule, why), groups, after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/strategy-runs/{run_id}/approve", dependencies=[needs("strategies.approve")], status_code=202)
def approve_strategy_run(call: Calling, run_id: Id, given: Content) -> JobShape:  # type: ignore[valid-type]
    """A job moves the accounts and drafts the plans of the stages: asked for by a second person."""
    with seated_here(call.desk):
        verbs.may_approve(run_id, given.content)
    asked: dict[str, str | int | bool | None] = {
        "run_id": run_id,
        "content": given.content,
        "certified_too": given.certified_too,
    }
    return job_of(call, jobs.ask(call.desk, "move", asked))


@router.post("/strategy-runs/{run_id}/refuse", dependencies=[needs("strategies.run")], status_code=204)
def refuse_strategy_run(call: Calling, run_id: Id, given: Because) -> None:
    """Nothing comes of the run."""
    with seated_here(call.desk):
        verbs.refuse(run_id, given.because)


@router.get("/proposed-recalls", dependencies=[needs("strategies.see")])
def list_proposed_recalls(
    call: Calling, lender: Word = "", state: State = "", after: Word = ""
) -> Listed[ProposalShape]:  # type: ignore[valid-type]
    """Recalls that strategies proposed, the newest first."""
    with call.desk.database.read() as connection:
        page = stages.proposals(connection, lender, state, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/proposed-recalls/{proposal_id}", dependencies=[needs("strategies.see")])
def get_proposed_recall(call: Calling, proposal_id: Id) -> ProposalShape:  # type: ignore[valid-type]
    """One proposal."""
    with call.desk.database.read() as connection:
        return told(store.proposal(connection, proposal_id))


@router.get("/proposed-recalls/{proposal_id}/lines", dependencies=[needs("strategies.see")])
def list_proposed_recall_lines(
    call: Calling, proposal_id: Id, agency: Word = "", rule: Word = "", after: Word = ""
) -> Listed[ProposalLineShape]:  # type: ignore[valid-type]
    """Its placements, and where their accounts would go next."""
    with call.desk.database.read() as connection:
        store.proposal(connection, proposal_id)
        page = stages.proposed(connection, proposal_id, agency, rule, after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/proposed-recalls/{proposal_id}/approve", dependencies=[needs("strategies.approve")], status_code=202)
def approve_proposed_recall(call: Calling, proposal_id: Id) -> JobShape:  # type: ignore[valid-type]
    """A job recalls what was proposed, and tells the agencies: asked for by a second person."""
    with seated_here(call.desk):
        verbs.may_recall(proposal_id)
    return job_of(call, jobs.ask(call.desk, "cascade", {"proposal_id": proposal_id}))


@router.post("/proposed-recalls/{proposal_id}/refuse", dependencies=[needs("strategies.run")], status_code=204)
def refuse_proposed_recall(call: Calling, proposal_id: Id, given: Because) -> None:
    """The placements stay where they are."""
    with seated_here(call.desk):
        verbs.refuse_recalls(proposal_id, given.because)


@router.get("/stages", dependencies=[needs("strategies.see")])
def count_stages(call: Calling, lender: Word = "") -> Listed[InStage]:
    """How many of the lender's accounts stand in each stage."""
    with call.desk.database.read() as connection:
        return Listed(items=[InStage.model_validate(row) for row in stages.standing(connection, lender)])


@router.get("/stages/{stage}/accounts", dependencies=[needs("strategies.see")])
def list_accounts_in_stage(
    call: Calling, stage: Literal["reminder", "phone", "field", "legal"], lender: Word = "", after: Word = ""
) -> Listed[AccountInStage]:
    """The lender's accounts that an accepted run put into the stage."""
    with call.desk.database.read() as connection:
        page = stages.accounts(connection, lender, stage, after or None)
    return Listed(items=[AccountInStage.model_validate(row) for row in page.rows], next=page.after)


@router.get("/accounts/{account_id}/stages", dependencies=[needs("strategies.see")])
def list_moves_of_account(call: Calling, account_id: Id) -> Listed[Moved]:
    """Every move of the account that was accepted, the newest first."""
    with call.desk.database.read() as connection:
        return Listed(items=[Moved.model_validate(row) for row in records(store.history(connection, account_id))])
