"""What strategies proposed: moves between stages and recalls, looked at, accepted by a second person, or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import rulewords, sheets
from console.web.frames import told
from console.web.language import later
from console.web.pages import asked, rulebooks
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.visits import Visiting, needs
from flows import strategy as verbs
from infra import jobs, strategy
from infra.store import browsing, stages
from infra.store import strategy as store
from infra.store.stages import Group
from infra.wiring import seated_here
from models.errors import ConsignError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Row

    from console.web.visits import Visit
    from infra.store.keyset import Page
    from models.strategy.rules import Strategy

router = APIRouter()

STATES: Final = {
    "proposed": (later("Waits for a second person"), "warn"),
    "approved": (later("Accepted"), "good"),
    "refused": (later("Declined"), "plain"),
    "expired": (later("Expired"), "bad"),
}
DECLINED: Final = later("Declined: nothing comes of it.")
TABS: Final = ("summary", "moves", "left")

Text = Annotated[str, Form()]


# -- moves -------------------------------------------------------------------------------------------------------------


@router.get("/strategy-runs", dependencies=[needs("strategies.see")])
def every(visit: Visiting, lender: str = "", state: str = "", after: str = "") -> Response:
    """Runs, the newest first, and what became of them."""
    return _listed(visit, "strategy/runs.html", stages.runs, lender, state, after)


def _listed(
    visit: Visit, template: str, read: Callable[[Connection, str, str, str | None], Page], lender: str, state: str,
    after: str,
) -> Response:  # fmt: skip
    if state:
        asked.one_of(state, STATES)
    with visit.desk.database.read() as connection:
        page = read(connection, lender, state, after or None)
        lenders = browsing.lenders(connection)
    return visit.page(template, page=page, lenders=lenders, lender=lender, state=state, after=after, states=STATES)


@router.post("/strategy-runs", dependencies=[needs("strategies.run")])
def run(visit: Visiting, lender: Text = "") -> Response:
    """A job proposes moves and recalls of the lender, or of every lender that goes by a strategy."""
    with visit.desk.database.read() as connection:
        chosen = asked.one_of(lender, browsing.lenders(connection)) if lender else None
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'strategise', {'lender': chosen})}")


@router.get("/strategy-runs/{run_id}", dependencies=[needs("strategies.see")])
def one(
    visit: Visiting, run_id: int, tab: str = "summary", from_stage: str = "", to_stage: str = "", rule: str = "",
    why: str = "", after: str = "",
) -> Response:  # fmt: skip
    """A run: how many accounts go where and why, each of them, and who is left."""
    return _run(visit, run_id, asked.one_of(tab, TABS), Group(from_stage, to_stage, rule, why), after)


def _run(
    visit: Visit, run_id: int, tab: str = "summary", wanted: Group = Group(), after: str = "", *,
    problem: ConsignError | None = None,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        row = store.run(connection, run_id)
        summary = json.loads(row.summary)
        by = _version(connection, row)
        page = stages.moves(connection, run_id, wanted, summary["movement"], after or None) if tab == "moves" else None
        lenders, names = browsing.lenders(connection), browsing.agencies(connection)
    moved = [] if page is None else [_explained(visit, by, one) for one in page.rows]
    return visit.page(
        "strategy/run.html", run=told(row), summary=summary, by=by, tab=tab, wanted=wanted, page=page, moved=moved,
        after=after, lenders=lenders, plans=json.loads(row.plans), states=STATES, words=rulewords, problem=problem,
        job=jobs.newest(visit.desk, "move", _accepting(row)), flow=_flow(summary["movement"]),
        told=rulewords.mandate(visit.say), names=names,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _version(connection: Connection, row: Row[Any]) -> Strategy | None:
    """The rules that the run went by; None where their text is not what was approved."""
    try:
        return strategy.BOOK.version(connection, row.strategy, row.version)
    except ConsignError:
        return None


def _explained(visit: Visit, by: Strategy | None, move: dict[str, Any]) -> dict[str, Any]:
    words = visit.say("Rule %(name)s.", name=move["rule"]) if by is None else rulewords.explained(visit.say, by, move)
    return move | {"explained": words}


def _flow(movement: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Accounts from stage to stage, whatever the rule and the currency, the softest first."""
    order = list(rulewords.STAGES)
    counted: dict[tuple[str, str], int] = {}
    for row in movement:
        key = (row["from_stage"], row["to_stage"])
        counted[key] = counted.get(key, 0) + int(row["accounts"])
    return [
        {"from_stage": start, "to_stage": end, "accounts": counted[start, end]}
        for start, end in sorted(counted, key=lambda pair: tuple(map(order.index, pair)))
    ]


def _accepting(row: Row[Any]) -> dict[str, Any]:
    """What the job that accepts the run is asked for by."""
    return {"run_id": row.run_id, "content": row.content_sha256}


@router.post("/strategy-runs/{run_id}/approve", dependencies=[needs("strategies.approve")])
def approve(visit: Visiting, run_id: int, content: Text = "") -> Response:
    """A job moves the accounts of the run that the second person looked at, and drafts the plans of its stages."""
    try:
        with seated_here(visit.desk):
            verbs.may_approve(run_id, content)
    except ConsignError as problem:
        return _run(visit, run_id, problem=problem)
    with visit.desk.database.read() as connection:
        row = store.run(connection, run_id)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'move', _accepting(row))}")


@router.post("/strategy-runs/{run_id}/refuse", dependencies=[needs("strategies.run")])
def refuse(visit: Visiting, run_id: int, because: Text = "") -> Response:
    """Nothing comes of the run."""
    return rulebooks.done(
        visit, lambda: verbs.refuse(run_id, because), lambda problem: _run(visit, run_id, problem=problem),
        f"/strategy-runs/{run_id}", visit.say(DECLINED),
    )  # fmt: skip


@router.get("/strategy-runs/{run_id}/export", dependencies=[needs("strategies.see")])
def export(visit: Visiting, run_id: int) -> Response:
    """The run as a workbook: moves by stage and rule, who is left and why, who may work the stages."""
    with visit.desk.database.read() as connection:
        row = store.run(connection, run_id)
        by = _version(connection, row)
    return sheets.download(sheets.workbook(_sheets(visit, by, json.loads(row.summary))), f"strategy-run-{run_id}.xlsx")


def _sheets(visit: Visit, by: Strategy | None, summary: dict[str, Any]) -> list[tuple[str, list[str], list[list[Any]]]]:
    say = visit.say
    moved = [
        [rulewords.stage_named(say, line["from_stage"]), rulewords.stage_named(say, line["to_stage"]), line["rule"],
         _explained(visit, by, line)["explained"], line["currency"], line["accounts"],
         sheets.units(line["balance_minor"], line["currency"])]
        for line in summary["movement"]
    ]  # fmt: skip
    left = [[rulewords.left(say, reason), count] for reason, count in summary["left"].items()]
    who = [
        [
            rulewords.stage_named(say, one["stage"]), one["agency"], say("yes") if one["may"] else say("no"),
            rulewords.mandate(say)(one["why"]),
        ]
        for one in summary["mandates"]
    ]  # fmt: skip
    return [
        (
            say("Moves"),
            [say("From"), say("To"), say("Rule"), say("Why"), say("Currency"), say("Accounts"), say("Balance")],
            moved,
        ),
        (say("Left where they are"), [say("Reason"), say("Accounts")], left),
        (say("Who may work it"), [say("Stage"), say("Agency"), say("May work it"), say("Why not")], who),
    ]


# -- recalls -----------------------------------------------------------------------------------------------------------


@router.get("/proposed-recalls", dependencies=[needs("strategies.see")])
def proposals(visit: Visiting, lender: str = "", state: str = "", after: str = "") -> Response:
    """Recalls that strategies proposed, the newest first."""
    return _listed(visit, "strategy/proposals.html", stages.proposals, lender, state, after)


@router.get("/proposed-recalls/{proposal_id}", dependencies=[needs("strategies.see")])
def proposal(visit: Visiting, proposal_id: int, agency: str = "", rule: str = "", after: str = "") -> Response:
    """One of them: its placements, why each would come back, and where its account would go next."""
    return _proposal(visit, proposal_id, agency, rule, after)


def _proposal(
    visit: Visit, proposal_id: int, agency: str = "", rule: str = "", after: str = "", *,
    problem: ConsignError | None = None,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        row = store.proposal(connection, proposal_id)
        by = _version(connection, row)
        page = stages.proposed(connection, proposal_id, agency, rule, after or None)
        lenders, names = browsing.lenders(connection), browsing.agencies(connection)
    counted = FIGURES.count(visit.desk, ("proposed recalls", proposal_id), lambda: _counted(visit, proposal_id)).value
    rules = {} if by is None else {one.id: rulewords.recall_condition(visit.say, one) for one in by.recalls}
    return visit.page(
        "strategy/proposal.html", proposal=told(row), counted=counted, page=page, agency=agency, rule=rule, after=after,
        lenders=lenders, names=names, rules=rules, states=STATES, words=rulewords, problem=problem,
        job=jobs.newest(visit.desk, "cascade", {"proposal_id": proposal_id}),
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _counted(visit: Visit, proposal_id: int) -> list[dict[str, Any]]:
    with visit.desk.database.read() as connection:
        return stages.proposed_counted(connection, proposal_id)


@router.post("/proposed-recalls/{proposal_id}/approve", dependencies=[needs("strategies.approve")])
def recall(visit: Visiting, proposal_id: int) -> Response:
    """A job recalls what was proposed, and tells the agencies."""
    try:
        with seated_here(visit.desk):
            verbs.may_recall(proposal_id)
    except ConsignError as problem:
        return _proposal(visit, proposal_id, problem=problem)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'cascade', {'proposal_id': proposal_id})}")


@router.post("/proposed-recalls/{proposal_id}/refuse", dependencies=[needs("strategies.run")])
def keep(visit: Visiting, proposal_id: int, because: Text = "") -> Response:
    """The placements stay where they are."""
    return rulebooks.done(
        visit, lambda: verbs.refuse_recalls(proposal_id, because),
        lambda problem: _proposal(visit, proposal_id, problem=problem),
        f"/proposed-recalls/{proposal_id}", visit.say(DECLINED),
    )  # fmt: skip
