"""Instalment plans: what debtors offer to pay in parts, held against the limits, agreed or refused, and followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import rulewords, sheets
from console.web.frames import records, told
from console.web.language import later
from console.web.pages import asked, rulebooks
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.visits import Visiting, needs
from flows import instalments as verbs
from infra import instalments, jobs
from infra.store import agreements, browsing, exchange, placing, plans
from infra.store import instalments as store
from infra.store.agreements import Wanted
from infra.wiring import seated_here
from models.errors import ConsignError
from models.instalments import difference
from models.instalments.judging import AT_LEAST, NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import pandas as pd

    from console.web.language import Say
    from console.web.visits import Visit

router = APIRouter()

TABS: Final = {
    "asked": later("To decide"),
    "agreed": later("Agreed, not begun"),
    "kept": later("Kept so far"),
    "late": later("Late"),
    "broken": later("Broken"),
    "finished": later("Over"),
    "refused": later("Declined"),
}
STATES: Final = {
    "proposed": (later("Waits for a decision"), "warn"),
    "awaiting_second": (later("Waits for a second person"), "warn"),
    "approved": (later("Agreed"), "info"),
    "refused": (later("Declined"), "bad"),
    "fulfilled": (later("Fulfilled"), "good"),
    "broken": (later("Broken"), "bad"),
    "ended": (later("Ended early"), "plain"),
}
VERDICTS: Final = {
    "within": (later("within the limits"), "good"),
    "beyond": (later("two people must agree"), "warn"),
    "refused": (later("beyond all limits"), "bad"),
}
DUE: Final = {
    "paid": (later("paid"), "good"),
    "part": (later("paid in part"), "warn"),
    "late": (later("late"), "bad"),
    "to_come": (later("still to come"), "plain"),
}
"""How one instalment stands."""
EXPORTED_AT_MOST: Final = 10_000

Text = Annotated[str, Form()]


@router.get("/instalments", dependencies=[needs("instalments.see")])
def every(visit: Visiting, tab: str = "asked", lender: str = "", agency: str = "", after: str = "") -> Response:
    """Instalment plans by how they stand, the newest first."""
    wanted = Wanted(asked.one_of(tab, TABS), lender, agency)
    today = visit.desk.today()

    def count() -> dict[str, int]:
        with visit.desk.database.read() as connection:
            return agreements.counted(connection, wanted, today)

    with visit.desk.database.read() as connection:
        page = agreements.listed(connection, wanted, today, after or None)
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    counts = FIGURES.count(visit.desk, ("instalments", lender, agency, today), count, dict[str, int]).value
    return visit.page(
        "instalments/plans.html", page=page, tab=tab, lender=lender, agency=agency, after=after, lenders=lenders,
        agencies=agencies, tabs=TABS, counts=counts, states=STATES, verdicts=VERDICTS, words=rulewords,
    )  # fmt: skip


@router.get("/instalments/export", dependencies=[needs("instalments.see")])
def export(visit: Visiting, tab: str = "asked", lender: str = "", agency: str = "") -> Response:
    """The plans of a tab as a workbook, ten thousand at most."""
    wanted = Wanted(asked.one_of(tab, TABS), lender, agency)
    rows: list[dict[str, Any]] = []
    after: str | None = None
    with visit.desk.database.read() as connection:
        while len(rows) < EXPORTED_AT_MOST:
            page = agreements.listed(connection, wanted, visit.desk.today(), after)
            rows, after = rows + page.rows, page.after
            if after is None:
                break
    return sheets.download(sheets.sheet(*_listed(visit, tab, rows[:EXPORTED_AT_MOST])), f"instalments-{tab}.xlsx")


def _listed(visit: Visit, tab: str, rows: list[dict[str, Any]]) -> tuple[str, list[str], list[list[Any]]]:
    say = visit.say
    head = [
        say("Plan"), say("Agency"), say("Its reference"), say("Lender"), say("State"), say("Currency"), say("Sum"),
        say("Paid"), say("Due by now"), say("Instalments"), say("First due"), say("Last due"), say("Verdict"),
        say("Codes"), say("Ability"), say("Willingness"), say("Who decided"),
    ]  # fmt: skip
    rows_told = [
        [
            row["instalment_plan_id"], row["agency"], row["plan_ref"], row["lender"], worded(say, STATES, row["state"]),
            row["currency"], *(sheets.units(row[name], row["currency"])
                               for name in ("total_minor", "paid_minor", "due_minor")),
            row["instalments"], row["first_due_on"], row["last_due_on"],
            worded(say, VERDICTS, row["verdict"]), row["codes"],
            *(rulewords.grade(say, row[name]) for name in ("ability", "willingness")),
            row["decided_by"],
        ]
        for row in rows
    ]  # fmt: skip
    return say(TABS[tab]), head, rows_told


@router.post("/instalments/follow", dependencies=[needs("instalments.decide")])
def follow(visit: Visiting) -> Response:
    """A job judges what is open, sees which plans are kept or broken, and tells the agencies."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'follow_instalments', {'lender': None})}")


# -- limits: before the plans, whose path has a number there -----------------------------------------------------------

BOOK: Final = instalments.BOOK
LIMITS: Final = "/instalments/limits"


@router.get("/instalments/limits", dependencies=[needs("instalments.see")])
def limits(visit: Visiting) -> Response:
    """The limits in force, whose they are, and what waits for approval."""
    return _limits(visit)


def _limits(visit: Visit, *, problem: ConsignError | None = None, text: str | None = None) -> Response:
    at = visit.desk
    with seated_here(at):
        versions = [told(row) for row in BOOK.history(at)]
        with at.database.read() as connection:
            lenders = browsing.lenders(connection)
            in_force = BOOK.all_in_force(connection)
            goes_by = BOOK.of_lenders(connection, lenders, at.settings.instalment_limits)
    return visit.page(
        "instalments/limits.html", in_force=in_force, goes_by=goes_by, lenders=lenders, versions=versions,
        shipped=set(BOOK.shelf.shipped()), states=rulebooks.STATES, problem=problem, text=text or "",
        refused=rulebooks.refused(text, problem) if problem is not None and text is not None else None,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/instalments/limits", dependencies=[needs("instalments.limits")])
def propose(visit: Visiting, file: rulebooks.Upload = None, toml: Text = "") -> Response:
    """A version of limits is up for approval; one that cannot work is shown with the line that is wrong."""
    text = ""
    try:
        text = rulebooks.given(visit, file, toml)
        with seated_here(visit.desk):
            made = BOOK.propose_text(visit.desk, text)
    except ConsignError as problem:
        return _limits(visit, problem=problem, text=text)
    return visit.go(
        f"/instalments/limits/{made.name}{query(version=made.version)}",
        visit.say("Proposed: a second person must approve it."),
    )


@router.get("/instalments/limits/{name}", dependencies=[needs("instalments.see")])
def limit(visit: Visiting, name: str, version: str = "", against: str = "") -> Response:
    """One version of limits: how debtors are graded, what each grade may have, and what it does otherwise."""
    return _limit(visit, name, version, against)


def _limit(
    visit: Visit, name: str, version: str = "", against: str = "", *, problem: ConsignError | None = None
) -> Response:
    found = rulebooks.shown(visit, BOOK, name, version, against)
    changed = None if found.other is None else difference.differences(found.other, found.rules)
    return visit.page(
        "instalments/limit.html", shown=found, one=found.rules, changed=changed, against=against,
        states=rulebooks.STATES, words=rulewords, problem=problem,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/instalments/limits/{name}/{version}/approve", dependencies=[needs("instalments.limits_approve")])
def approve_limits(visit: Visiting, name: str, version: str) -> Response:
    """The proposed version is in force."""
    return rulebooks.approve(visit, BOOK, name, version, LIMITS, _again(visit, name, version))


@router.post("/instalments/limits/{name}/{version}/withdraw", dependencies=[needs("instalments.limits")])
def withdraw_limits(visit: Visiting, name: str, version: str, reason: Text = "") -> Response:
    """The version counts no more, or the proposal is taken back."""
    return rulebooks.withdraw(visit, BOOK, name, version, reason, LIMITS, _again(visit, name, version))


def _again(visit: Visit, name: str, version: str) -> rulebooks.Again:
    return lambda problem: _limit(visit, name, version, problem=problem)


# -- one plan ----------------------------------------------------------------------------------------------------------


@router.get("/instalments/{plan_id}", dependencies=[needs("instalments.see")])
def one(visit: Visiting, plan_id: int) -> Response:
    """One plan: what is to be paid when and what was, how it was judged, what the agency was told."""
    return _plan(visit, plan_id)


def _plan(visit: Visit, plan_id: int, *, problem: ConsignError | None = None) -> Response:
    found = _read(visit, plan_id)
    with visit.desk.database.read() as connection:
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    return visit.page(
        "instalments/plan.html", **found, lenders=lenders, agencies=agencies, states=STATES, verdicts=VERDICTS, due=DUE,
        words=rulewords, never=NEVER, problem=problem, is_open=found["plan"]["state"] in store.OPEN,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _read(visit: Visit, plan_id: int) -> dict[str, Any]:
    """The plan with its verdict as of now where it is open, its schedule, payments, limits."""
    at = visit.desk
    with seated_here(at), at.database.read() as connection:
        row = store.one(connection, plan_id)
        today = plans.lender_today(connection, row.lender, at.now())
        schedule = placing.instalments_of(connection, plan_id)
        plan, zone = told(row), exchange.lender_timezone(connection, row.lender)
        paid = agreements.paid_towards(connection, row.account_id, agreements.day_in(plan["proposed_at"], zone))
        judged = records(instalments.judge(connection, at, row.lender, today, plan_id))
        rule, weighed = instalments.weighed(connection, at, plan_id, today)
    names = ("verdict", "codes", "ability", "willingness", "balance_minor", "limits")
    said = judged[0] if judged else {}
    return {
        "plan": plan,
        "said": {name: said.get(name, plan[name]) for name in names},
        "schedule": due_by_due(schedule, sum(line["gross_minor"] for line in paid), today),
        "paid": paid,
        "limits": rule,
        "weighed": _bounds(records(weighed), row.currency, visit),
    }


def worded(say: Say, table: Mapping[str, tuple[str, str]], code: str | None) -> str:
    """The word of a code in a table of words and colours; none for no code."""
    words, _tone = table.get(code or "", ("", ""))
    return say(words) if words else ""


def due_by_due(schedule: pd.DataFrame, paid_minor: int, today: date) -> list[dict[str, Any]]:
    """Each instalment with what of it is paid: payments fill them in their order. `stands`: one of DUE."""
    found = []
    left = max(0, paid_minor)
    for line in records(schedule):
        filled = min(left, line["amount_minor"])
        left -= filled
        late = line["due_on"].date() < today
        stands = (
            "paid" if filled == line["amount_minor"]
            else "late" if late
            else "part" if filled
            else "to_come"
        )  # fmt: skip
        found.append(line | {"paid_minor": filled, "stands": stands})
    return found


def _bounds(weighed: list[dict[str, Any]], currency: str, visit: Visit) -> list[dict[str, Any]]:
    """The limits as a table has them: money as money, days as numbers, `at_least` or at most."""

    def figure(code: str, value: int) -> str:
        return visit.say.money(value, currency) if code in AT_LEAST else visit.say.number(value)

    return [
        {"name": rulewords.limit(visit.say, line["code"]), "verdict": line["verdict"],
         "at_least": line["code"] in AT_LEAST,
         **{name: figure(line["code"], int(line[name])) for name in ("value", "within", "beyond")}}
        for line in weighed
    ]  # fmt: skip


@router.post("/instalments/{plan_id}/approve", dependencies=[needs("instalments.decide")])
def approve(visit: Visiting, plan_id: int) -> Response:
    """The plan is agreed, or waits for a second person where it is beyond the limits; a job tells the agency."""
    try:
        with seated_here(visit.desk):
            done = verbs.approve(plan_id)
    except ConsignError as problem:
        return _plan(visit, plan_id, problem=problem)
    if done.state == "awaiting_second":
        return visit.go(f"/instalments/{plan_id}", visit.say("It is beyond the limits: a second person must agree."))
    jobs.ask(visit.desk, "deliver", {})
    return visit.go(f"/instalments/{plan_id}", visit.say("Agreed. The agency is told."))


@router.post("/instalments/{plan_id}/refuse", dependencies=[needs("instalments.decide")])
def refuse(visit: Visiting, plan_id: int, because: Text = "") -> Response:
    """The plan is declined; a job tells the agency so, and the reason stays here."""
    try:
        with seated_here(visit.desk):
            verbs.refuse(plan_id, because)
    except ConsignError as problem:
        return _plan(visit, plan_id, problem=problem)
    jobs.ask(visit.desk, "deliver", {})
    return visit.go(f"/instalments/{plan_id}", visit.say("Declined. The agency is told; the reason stays here."))


@router.get("/instalments/{plan_id}/export", dependencies=[needs("instalments.see")])
def workbook(visit: Visiting, plan_id: int) -> Response:
    """One plan as a workbook: schedule, payments, limits."""
    read, say = _read(visit, plan_id), visit.say
    currency = read["plan"]["currency"]
    schedule = [
        [line["number"], line["due_on"].date(), sheets.units(line["amount_minor"], currency),
         sheets.units(line["paid_minor"], currency), worded(say, DUE, line["stands"])]
        for line in read["schedule"]
    ]  # fmt: skip
    paid = [[line["value_date"], sheets.units(line["gross_minor"], line["currency"])] for line in read["paid"]]
    bounds = [
        [line["name"], line["value"], say("at least") if line["at_least"] else say("at most"), line["within"],
         line["beyond"], worded(say, VERDICTS, line["verdict"])]
        for line in read["weighed"]
    ]  # fmt: skip
    found = [
        (say("Instalments"), [say("No."), say("Due on"), say("Amount"), say("Paid"), say("State")], schedule),
        (say("Payments made"), [say("Value date"), say("Amount")], paid),
        (
            say("Limits"),
            [say("Limit"), say("This plan"), say("Bound"), say("One person"), say("Two people"), say("Verdict")],
            bounds,
        ),
    ]
    return sheets.download(sheets.workbook(found), f"instalment-plan-{plan_id}.xlsx")
