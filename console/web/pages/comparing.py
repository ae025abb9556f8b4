"""A plan beside another one, beside what it would be with other rules, and the seed that it was drawn by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import standings
from console.web.pages import asked, planning
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.visits import Visiting, needs
from flows import plan as flow
from infra import jobs, planspecs, previews, workedout
from infra.store import browsing, moves, plans, seeds
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError
from models.planning.allocators import ALLOCATORS
from models.planning.champion import commitment
from models.planning.comparing import NOWHERE
from models.planning.sentences import translated
from models.planning.spec import PlanSpec

if TYPE_CHECKING:
    from console.web.visits import Visit
    from models.tables import Plan

router = APIRouter()

Text = Annotated[str, Form()]
LONGEST_TOML: Final = 20_000


# -- beside another plan -----------------------------------------------------------------------------------------------


@router.get("/plans/{plan_id}/compare", dependencies=[needs("plans.see")])
def compare(
    visit: Visiting, plan_id: int, other: str = "", source: str = "", there: str = "", after: str = ""
) -> Response:
    """What the plan does differently from another one of its lender: agencies, money, bounds, accounts that move."""
    with visit.desk.database.read() as connection:
        known = plans.plan(connection, plan_id)
        found = [row for row in browsing.plans(connection, known.lender).rows if row["plan_id"] != plan_id]
        number = asked.number(other) or _before(known, found)
        first = None if number is None else plans.plan(connection, number)
        lenders, names = browsing.lenders(connection), browsing.agencies(connection)
        page = None if first is None else moves.moved(
            connection, first.plan_id, plan_id, after, source=source, there=there
        )  # fmt: skip
    differs = None if first is None else _differs(visit, first, known)
    job = None if first is None else jobs.newest(visit.desk, "compare", {"first": first.plan_id, "second": plan_id})
    return visit.page(
        "portfolio/compare.html", plan=known, first=first, others_shown=_choices(first, found), differs=differs,
        page=page, source=source, there=there, after=after, job=job, lenders=lenders, states=standings.PLAN,
        bounds=standings.BOUNDS, nowhere=NOWHERE, names=names,
    )  # fmt: skip


def _before(known: Plan, others: list[dict[str, Any]]) -> int | None:
    """The plan that it is beside unless another one is named: the last one sent when it was made, else the newest."""
    last = json.loads(known.summary).get("last_plan")
    return int(last["plan_id"]) if last else next((row["plan_id"] for row in others), None)


def _choices(first: Plan | None, others: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Plans to choose from; an older one that was named is among them."""
    shown = {row["plan_id"]: row["name"] for row in others}
    if first is not None:
        shown.setdefault(first.plan_id, first.name)
    return [(number, f"{number} · {name}") for number, name in shown.items()]


def _differs(visit: Visit, first: Plan, second: Plan) -> dict[str, Any] | None:
    """What differs; None of two large plans until a job has compared them."""

    def read() -> dict[str, Any] | None:
        return previews.differing(visit.desk, first.plan_id, second.plan_id)

    if first.accounts + second.accounts > previews.COMPARED_AT_ONCE:
        return read()
    return FIGURES.count(visit.desk, ("compare", first.plan_id, second.plan_id), read).value


@router.post("/plans/{plan_id}/compare", dependencies=[needs("plans.see")])
def ask_to_compare(visit: Visiting, plan_id: int, other: Text = "") -> Response:
    """A job compares two large plans."""
    number = asked.number(other)
    if number is None:
        raise UsageError("no plan is named to compare with", fix="choose one of the list")
    job_id = jobs.ask(visit.desk, "compare", {"first": number, "second": plan_id})
    return visit.go(f"/jobs/{job_id}")


# -- beside what it would be -------------------------------------------------------------------------------------------


@router.get("/plans/{plan_id}/what-if", dependencies=[needs("plans.change")])
def what_if(visit: Visiting, plan_id: int) -> Response:
    """The form that asks what a draft would be with other rules, filled in as the plan is."""
    with visit.desk.database.read() as connection:
        known = plans.plan(connection, plan_id)
    return _form(visit, known, json.loads(known.spec))


def _form(
    visit: Visit, known: Plan, spec: dict[str, Any], *, more: str = "", error: ConsignError | None = None
) -> Response:
    summary = json.loads(known.summary)
    codes = sorted({row["agency"] for row in summary["agencies"]} | set(spec.get("agencies", {})))
    with visit.desk.database.read() as connection:
        names, lenders = browsing.agencies(connection), browsing.lenders(connection)
    return visit.page(
        "portfolio/what_if.html", plan=known, spec=spec, agencies=codes, names=names, lenders=lenders, more=more,
        error=error, allocators=list(ALLOCATORS), states=standings.PLAN, promised=known.state in flow.PROMISED,
        takes_part=spec.get("agencies") or {row["agency"]: {} for row in summary["agencies"]},
        status=200 if error is None else status_of(error),
    )  # fmt: skip


@router.post("/plans/{plan_id}/what-if", dependencies=[needs("plans.change")])
def ask_what_if(visit: Visiting, plan_id: int, given: asked.Sent) -> Response:
    """A job works out what the plan would be; nothing is kept as a plan."""
    form = asked.Fields(given)
    with visit.desk.database.read() as connection:
        known = plans.plan(connection, plan_id)
    spec, more = json.loads(known.spec), str(given.get("more", ""))[:LONGEST_TOML]
    try:
        changes = _changes(form, spec, more)
        with seated_here(visit.desk):
            asked_for = flow.changed_spec(plan_id, changes)
    except ConsignError as error:
        return _form(visit, known, spec, more=more, error=error)
    name = planspecs.keep(visit.desk, asked_for)
    jobs.ask(visit.desk, "what_if", {"plan_id": plan_id, "spec": name})
    return visit.go(f"/plans/{plan_id}/what-if/{name}")


def _changes(form: asked.Fields, spec: dict[str, Any], more: str) -> dict[str, Any]:
    """What the form says, as changes of the spec: a field that is empty is a rule that does not stand."""
    changes: dict[str, Any] = {
        "allocator": asked.one_of(form.text("allocator") or spec["allocator"], ALLOCATORS),
        "bounds": {
            "change_max": form.share("change_max"), "region_max": form.share("region_max"),
            "challengers": form.texts("challenger"), "challenger_floor": form.share("challenger_floor"),
        },
        "agencies": dict.fromkeys(spec.get("agencies", {})) | _agencies(form, spec),
    }  # fmt: skip
    return flow.laid_over(changes, flow.changes_of(None, [more])) if more.strip() else changes


def _agencies(form: asked.Fields, spec: dict[str, Any]) -> dict[str, Any]:
    """The agencies that are ticked, with what is said of each; none where all take part as their contracts say."""
    told = {
        agency: {
            "share": form.share(f"share.{agency}"), "min_share": form.share(f"min_share.{agency}"),
            "max_share": form.share(f"max_share.{agency}"), "max_accounts": form.whole(f"max_accounts.{agency}"),
        }
        for agency in form.texts("agency")
    }  # fmt: skip
    left_out = set(form.texts("known")) - set(told)
    says_nothing = not any(value is not None for terms in told.values() for value in terms.values())
    return {} if says_nothing and not left_out and not spec.get("agencies") else told


@router.get("/plans/{plan_id}/what-if/{name}", dependencies=[needs("plans.change")])
def would_be(visit: Visiting, plan_id: int, name: str) -> Response:
    """What the plan would be, beside what it is; or how far the job is."""
    kept = workedout.find(visit.desk, previews.tried_as(plan_id, name))
    job = jobs.newest(visit.desk, "what_if", {"plan_id": plan_id, "spec": name})
    if kept is None and job is None:
        raise UsageError("nobody asked for that, or long ago", fix="ask again what the plan would be")
    moving = job is not None and job.state in {"waiting", "running"}
    if visit.is_partial and not moving:
        return visit.go(f"/plans/{plan_id}/what-if/{name}")
    with visit.desk.database.read() as connection:
        known = plans.plan(connection, plan_id)
        lenders, names = browsing.lenders(connection), browsing.agencies(connection)
    return visit.page(
        "portfolio/waiting.html" if visit.is_partial else "portfolio/would_be.html",
        plan=known, names=names, name=name, kept=kept, job=job, moving=moving, lenders=lenders, states=standings.PLAN,
        bounds=standings.BOUNDS, nowhere=NOWHERE, told=lambda sentence: translated(sentence, visit.say.code),
        changed=_changed(json.loads(known.spec), kept["found"]["spec"]) if kept else [],
    )  # fmt: skip


def _changed(before: dict[str, Any], after: dict[str, Any], path: str = "") -> list[tuple[str, Any, Any]]:
    """Each line of the two specs that differs: its name, before, after; None where one of them does not say it."""
    found: list[tuple[str, Any, Any]] = []
    for key in sorted({*before, *after}):
        one, other = before.get(key), after.get(key)
        if isinstance(one, dict | None) and isinstance(other, dict | None) and one != other:
            found += _changed(one or {}, other or {}, f"{path}{key}.") or [(f"{path}{key}", one, other)]
        elif one != other and (one or other):  # an empty list says what saying nothing says
            found.append((f"{path}{key}", one, other))
    return found


@router.post("/plans/{plan_id}/what-if/{name}", dependencies=[needs("plans.change")])
def keep_it(visit: Visiting, plan_id: int, name: str) -> Response:
    """What was worked out becomes a draft of its own; the plan that it was asked of stays as it is."""
    kept = workedout.find(visit.desk, previews.tried_as(plan_id, name))
    if kept is None:
        raise UsageError("nobody asked for that, or long ago", fix="ask again what the plan would be")
    return planning.made(visit, PlanSpec.of(kept["found"]["spec"]))


# -- seeds -------------------------------------------------------------------------------------------------------------


@router.get("/plans/seeds", dependencies=[needs("plans.see")])
def committed(visit: Visiting, lender: str = "", after: str = "") -> Response:
    """Seeds that were committed: the hash of each, and the seed itself once a plan has used it."""
    return _seeds(visit, lender, after)


def _seeds(visit: Visit, lender: str = "", after: str = "", error: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        page = seeds.listed(connection, lender, after)
        lenders = browsing.lenders(connection)
    return visit.page(
        "portfolio/seeds.html", page=page, lenders=lenders, lender=lender, after=after, error=error,
        status=200 if error is None else status_of(error),
    )  # fmt: skip


@router.post("/plans/seeds", dependencies=[needs("plans.change")])
def commit(visit: Visiting, lender: Text = "", name: Text = "") -> Response:
    """A secret seed for a plan to come; its hash is on the audit trail from now on."""
    try:
        with seated_here(visit.desk):
            told = flow.commit_seed(lender, asked.plain(name, "the plan's name"))
    except ConsignError as error:
        return _seeds(visit, error=error)
    return visit.go(
        "/plans/seeds", visit.say("Committed: %(hash)s. The plan of that name will use it.", hash=told.sha256)
    )


@router.get("/plans/{plan_id}/seed", dependencies=[needs("plans.see")])
def seed(visit: Visiting, plan_id: int) -> Response:
    """The seed that the plan was drawn by, held against what was told of it before the plan was made."""
    with visit.desk.database.read() as connection:
        known = plans.plan(connection, plan_id)
        used = seeds.told(connection, plan_id)
        lenders = browsing.lenders(connection)
    again = commitment(known.lender, known.name, known.seed)
    return visit.page(
        "portfolio/seed.html", plan=known, used=used, again=again, lenders=lenders, states=standings.PLAN,
        same=used is not None and used["sha256"] == again,
        before=used is not None and used["committed_at"] <= known.created_at,
    )  # fmt: skip
