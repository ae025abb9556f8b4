"""The portfolio manager's part of the API: portfolios, placements, plans, recalls, agencies, files, scores, jobs."""

from __future__ import annotations

import json
from datetime import date
from typing import Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from console.web.api.door import PROBLEMS, Call, Calling, Refused, needs, there
from console.web.api.shapes import Given, Listed, Number, Text, Word, of_table
from flows import plan as plan_verbs
from flows.jobs import VERBS
from flows.recall import decide, take_back
from infra import jobs, planspecs
from infra.store import browsing, exchange, scores, traffic
from infra.store import jobs as job_rows
from infra.store import plans as plan_rows
from infra.wiring import seated_here
from models.planning.spec import PlanSpec
from models.tables import (
    Agency,
    InboundFile,
    InboundReject,
    Job,
    Placement,
    Plan,
    PlanLine,
    Portfolio,
    Recall,
    RecallObjection,
    ScoreRun,
)
from models.tables import Transmission as TransmissionRow

router = APIRouter(responses=PROBLEMS)

Id = Number
PortfolioShape = of_table("Portfolio", Portfolio)
PlacementShape = of_table(
    "Placement", Placement,
    only={"placement_id", "plan_id", "lender", "agency", "account_id", "round", "stage", "segment", "currency",
          "balance_minor", "told_minor", "dpd", "bucket", "placed_on", "due_back_on", "state", "ended_on",
          "end_reason"},
)  # fmt: skip
PlanShape = of_table("Plan", Plan, but={"spec", "summary"})
PlanLineShape = of_table("PlanLine", PlanLine, but={"debtor_id"})
AgencyShape = of_table(
    "Agency", Agency,
    only={"agency", "name", "state", "suite", "layout", "channels", "remits", "capacity_accounts", "term_days"},
)  # fmt: skip
SentShape = of_table("SentFile", TransmissionRow, only=set(traffic.SENT_COLUMNS))
CameShape = of_table("ReceivedFile", InboundFile, only=set(traffic.CAME_COLUMNS))
RejectShape = of_table("RefusedLine", InboundReject, only={"reject_id", "table_name", "line", "column", "code", "fix"})
JobShape = of_table("Job", Job)
RecallShape = of_table(
    "Recall", Recall, but={"transmission_id", "confirmed_by_file_id"}, lender=(str, ...), account_id=(int, ...)
)
ObjectionShape = of_table("Objection", RecallObjection, but={"transmission_id"})
DRAFTED_AT_ONCE: Final = 50_000
"""Open accounts of a lender up to which a draft is made while the caller waits: a second or two."""
RunShape = of_table("ScoreRun", ScoreRun, only={"run_id", "lender", "as_of", "made_at"})

PlanState = Literal["draft", "submitted", "approved", "placed", "rejected", "expired"]


class WholePlan(PlanShape):  # type: ignore[misc, valid-type]  # made from the table
    """A plan with what was asked for and what it comes to."""

    spec: dict[str, Any]
    summary: dict[str, Any]


class PlanAsked(Given):
    """What a plan is asked to be: the fields of a spec file (docs/how-to/plan-a-placement.md)."""

    spec: dict[Word, Any] = Field(max_length=100)


class Taken(Given):
    """Placements that are taken back, and why."""

    placement_ids: list[Number] = Field(min_length=1, max_length=1_000)
    reason: Literal["request", "performance", "complaint", "dispute", "other"]


class TakenBack(BaseModel):
    """What was taken back: so many placements, in so many files."""

    placements: int
    files: int


class Verdict(Given):
    """Until when an agency may keep an account that it objected about; null: the objection is dismissed."""

    keep_until: date | None


class Approval(Given):
    """What was looked at."""

    content: Word = Field(default="", description="the beginning of the hash of what was looked at; checked if given")


class Because(Given):
    """Why."""

    because: Text = Field(min_length=1)


class Asked(Given):
    """A job to be done."""

    verb: Word = Field(description="one of " + ", ".join(sorted(VERBS)))
    identifiers: dict[Word, int | bool | Word | None] = Field(default={}, max_length=10)


class AgencyScore(Given):
    """An agency's overall score in a run."""

    agency: str
    score: float = Field(description="out of a hundred")


@router.get("/portfolios", dependencies=[needs("portfolios.see")])
def list_portfolios(call: Calling, lender: Word = "", state: Word = "", after: Word = "") -> Listed[PortfolioShape]:  # type: ignore[valid-type]
    """The portfolios that came, the newest first."""
    with call.desk.database.read() as connection:
        page = browsing.portfolios(connection, lender, state, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/portfolios/{portfolio_id}", dependencies=[needs("portfolios.see")])
def get_portfolio(call: Calling, portfolio_id: Id) -> PortfolioShape:  # type: ignore[valid-type]
    """One portfolio."""
    with call.desk.database.read() as connection:
        return browsing.portfolio(connection, portfolio_id)


@router.get("/placements", dependencies=[needs("portfolios.see")])
def list_placements(
    call: Calling,
    tab: Literal["out", "planned", "unacknowledged", "recalled", "closed"] = "out",
    lender: Word = "",
    agency: Word = "",
    account_id: Id | None = None,
    after: Word = "",
) -> Listed[PlacementShape]:  # type: ignore[valid-type]
    """Placements, those due back soonest first."""
    wanted = browsing.PlacementFilter(tab, lender, agency, None, account_id)
    with call.desk.database.read() as connection:
        page = browsing.placements(connection, wanted, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/plans", dependencies=[needs("plans.see")])
def list_plans(call: Calling, lender: Word = "", state: PlanState | None = None, after: Word = "") -> Listed[PlanShape]:  # type: ignore[valid-type]
    """Plans, the newest first."""
    with call.desk.database.read() as connection:
        page = browsing.plans(connection, lender, state or "", after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/plans/{plan_id}", dependencies=[needs("plans.see")])
def get_plan(call: Calling, plan_id: Id) -> WholePlan:
    """One plan: what was asked for, what it comes to, who approved it."""
    return _plan(call, plan_id)


def _plan(call: Calling, plan_id: int) -> WholePlan:
    with call.desk.database.read() as connection:
        row = plan_rows.plan(connection, plan_id).model_dump()
    read = {name: json.loads(row[name]) for name in ("spec", "summary")}
    whole: WholePlan = WholePlan.model_validate(row | read)
    return whole


@router.get("/plans/{plan_id}/lines", dependencies=[needs("plans.see")])
def list_plan_lines(call: Calling, plan_id: Id, agency: Word = "", after: Word = "") -> Listed[PlanLineShape]:  # type: ignore[valid-type]
    """Which account goes to which agency, by account."""
    with call.desk.database.read() as connection:
        plan_rows.plan(connection, plan_id)
        page = browsing.plan_lines(connection, plan_id, agency, after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/plans", dependencies=[needs("plans.change")], status_code=201)
def draft_plan(call: Calling, given: PlanAsked) -> WholePlan | JobShape:  # type: ignore[valid-type]
    """A draft of what the spec asks for; of very many accounts a job makes it (the answer is then the job)."""
    return drafted(call, PlanSpec.of(given.spec))


def drafted(call: Call, spec: PlanSpec) -> WholePlan | JobShape:  # type: ignore[valid-type]  # made from the table
    """The draft of the spec, or the job that makes it."""
    with call.desk.database.read() as connection:
        accounts = sum(int(one["accounts"]) for one in browsing.facets(connection, spec.lender))
    if accounts > DRAFTED_AT_ONCE:
        number = jobs.ask(call.desk, "draft", {"spec": planspecs.keep(call.desk, spec)})
        return JobShape.model_validate(job_of(call, number))
    with seated_here(call.desk):
        made = plan_verbs.draft(spec)
    return _plan(call, there(made.plan_id))


@router.post("/plans/{plan_id}/submit", dependencies=[needs("plans.change")])
def submit_plan(call: Calling, plan_id: Id) -> WholePlan:
    """The draft waits for a second person."""
    with seated_here(call.desk):
        plan_verbs.submit(plan_id)
    return _plan(call, plan_id)


@router.post("/plans/{plan_id}/approve", dependencies=[needs("plans.approve")])
def approve_plan(call: Calling, plan_id: Id, given: Approval) -> WholePlan:
    """Whoever neither made nor submitted it says yes."""
    with seated_here(call.desk):
        plan_verbs.approve(plan_id, given.content)
    return _plan(call, plan_id)


@router.post("/plans/{plan_id}/reject", dependencies=[needs("plans.change")])
def reject_plan(call: Calling, plan_id: Id, given: Because) -> WholePlan:
    """The plan has ended: somebody said no."""
    with seated_here(call.desk):
        plan_verbs.reject(plan_id, given.because)
    return _plan(call, plan_id)


@router.post("/plans/{plan_id}/send", dependencies=[needs("plans.send")], status_code=202)
def send_plan(call: Calling, plan_id: Id) -> JobShape:  # type: ignore[valid-type]
    """A job hands the plan's accounts to their agencies; asked again, nothing is sent twice."""
    with seated_here(call.desk):
        plan_verbs.ready(plan_id)
    return job_of(call, jobs.ask(call.desk, "place", {"plan_id": plan_id}))


@router.get("/recalls", dependencies=[needs("recalls.see")])
def list_recalls(
    call: Calling,
    tab: Literal["open", "overdue", "uncertified", "confirmed"] = "open",
    lender: Word = "",
    agency: Word = "",
    reason: Word = "",
    after: Word = "",
) -> Listed[RecallShape]:  # type: ignore[valid-type]
    """Recalls by how they stand."""
    wanted = browsing.RecallFilter(tab, lender, agency, reason)
    with call.desk.database.read() as connection:
        page = browsing.recalls(connection, wanted, call.desk.today(), after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/recalls", dependencies=[needs("recalls.change")], status_code=201)
def take_placements_back(call: Calling, given: Taken) -> TakenBack:
    """The placements are recalled, and a job delivers the recalls; those that were recalled before stay as they are."""
    with seated_here(call.desk):
        placements, files = take_back(sorted(set(given.placement_ids)), given.reason)
    if files:
        jobs.ask(call.desk, "deliver", {})
    return TakenBack(placements=placements, files=files)


@router.get("/recalls/objections", dependencies=[needs("recalls.see")])
def list_objections(call: Calling, decided: bool = False, after: Word = "") -> Listed[ObjectionShape]:  # type: ignore[valid-type]
    """What agencies object to, the oldest first."""
    with call.desk.database.read() as connection:
        page = browsing.objections(connection, decided=decided, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/recalls/objections/{objection_id}", dependencies=[needs("recalls.change")], status_code=204)
def decide_objection(call: Calling, objection_id: Id, given: Verdict) -> None:
    """The objection is upheld until that day, or dismissed; a job sends the answer."""
    with seated_here(call.desk):
        decide(objection_id, given.keep_until)
    jobs.ask(call.desk, "deliver", {})


@router.get("/agencies", dependencies=[needs("agencies.see")])
def list_agencies(call: Calling) -> Listed[AgencyShape]:  # type: ignore[valid-type]
    """Every agency."""
    with call.desk.database.read() as connection:
        return Listed(items=traffic.agencies(connection))


@router.get("/agencies/{code}", dependencies=[needs("agencies.see")])
def get_agency(call: Calling, code: Word) -> AgencyShape:  # type: ignore[valid-type]
    """One agency."""
    with call.desk.database.read() as connection:
        return dict(exchange.agency(connection, code)._mapping)  # noqa: SLF001 - SQLAlchemy's public name


@router.get("/files/sent", dependencies=[needs("agencies.see")])
def list_sent_files(
    call: Calling, agency: Word = "", kind: Word = "", state: Word = "", after: Word = ""
) -> Listed[SentShape]:  # type: ignore[valid-type]
    """Files for the agencies, the newest first."""
    with call.desk.database.read() as connection:
        page = traffic.sent(connection, agency, kind, state, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/files/received", dependencies=[needs("agencies.see")])
def list_received_files(
    call: Calling, agency: Word = "", kind: Word = "", state: Word = "", after: Word = ""
) -> Listed[CameShape]:  # type: ignore[valid-type]
    """Files from the agencies, the newest first."""
    with call.desk.database.read() as connection:
        page = traffic.came(connection, agency, kind, state, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/files/received/{file_id}/refused-lines", dependencies=[needs("agencies.see")])
def list_refused_lines(call: Calling, file_id: Id, after: Word = "") -> Listed[RejectShape]:  # type: ignore[valid-type]
    """Why lines of a file were refused; never the value."""
    with call.desk.database.read() as connection:
        traffic.one_came(connection, file_id)
        page = traffic.rejects(connection, file_id, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/scores", dependencies=[needs("scorecards.see")])
def list_score_runs(call: Calling, lender: Word = "") -> Listed[RunShape]:  # type: ignore[valid-type]
    """The newest scorings."""
    with call.desk.database.read() as connection:
        return Listed(items=scores.listed(connection, lender or None))


@router.get("/scores/{run_id}", dependencies=[needs("scorecards.see")])
def get_overall_scores(call: Calling, run_id: Id) -> Listed[AgencyScore]:
    """The overall score of each agency of the run that has one."""
    with call.desk.database.read() as connection:
        found = scores.overall(connection, run_id)
    return Listed(items=[AgencyScore(agency=code, score=value) for code, value in sorted(found.items())])


@router.get("/jobs", dependencies=[needs("jobs.see")])
def list_jobs(call: Calling, after: Word = "") -> Listed[JobShape]:  # type: ignore[valid-type]
    """Jobs, the newest first."""
    with call.desk.database.read() as connection:
        page = job_rows.listed(connection, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/jobs/{job_id}", dependencies=[needs("jobs.see")])
def get_job(call: Calling, job_id: Id) -> JobShape:  # type: ignore[valid-type]
    """One job, and how far it is."""
    return job_of(call, job_id)


@router.post("/jobs", dependencies=[needs("jobs.see")], status_code=202)
def ask_for_job(call: Calling, given: Asked) -> JobShape:  # type: ignore[valid-type]
    """A job of that verb; the same, while it has not ended, is one."""
    verb = there(VERBS.get(given.verb))
    if not call.who.may(verb.action):
        raise Refused(403, f"this token does not let you {verb.words[0]}", "an administrator gives roles")
    return job_of(call, jobs.ask(call.desk, given.verb, given.identifiers))


def job_of(call: Calling, job_id: int) -> dict[str, Any]:
    """The job as the API says it."""
    return dict(jobs.found(call.desk, job_id)._mapping)  # noqa: SLF001 - SQLAlchemy's public name
