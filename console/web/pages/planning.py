"""Making a plan: which accounts, in which segments, to which agencies; two forms, and the draft that they ask for."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams

from console.web import standings
from console.web.pages import asked
from console.web.remembered import FIGURES
from console.web.visits import Visiting, needs
from flows import plan as flow
from infra import evaluations, jobs, planspecs, policies
from infra.store import browsing, plans
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError
from models.planning.allocators import ALLOCATORS
from models.planning.spec import BALANCE_EDGES, PARTS, PlanSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import FormData

    from console.web.visits import Visit

    Given = FormData | QueryParams

router = APIRouter()

FACETS: Final = list[dict[str, Any]]
SELECTED: Final = (
    "lender", "name", "stage", "policy", "currency", "term_days", "seed", "product", "bucket", "region", "portfolio",
    "min_balance", "max_balance", "min_dpd", "max_dpd", "evaluation",
)  # fmt: skip
"""The fields of the first form, which the second one carries on."""
MANY: Final = frozenset({"product", "bucket", "portfolio"})
AGENCY_TERMS: Final = ("share", "max_accounts", "max_balance", "min_share", "max_share", "min_accounts")
"""What the second form says of an agency: `share.north`."""
NUMBERS: Final = frozenset({"max_accounts", "min_accounts"})
LENGTH_OF_A_NAME: Final = 80
DRAFTED_AT_ONCE: Final = 50_000
"""Open accounts of a lender up to which a draft is made while the browser waits: a second or two."""


@router.get("/plans/new", dependencies=[needs("plans.change")])
def select(visit: Visiting, request: Request) -> Response:
    """Step 1: which accounts of which lender, for which stage, under which policy."""
    return _select(visit, request.query_params)


def _select(visit: Visit, given: Given, *, error: ConsignError | None = None, status: int = 200) -> Response:
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
        lender = given.get("lender") or next(iter(lenders), "")
        names = policies.names(connection)
        taken = browsing.plan_names(connection, str(lender), f"{visit.desk.today():%Y-%m}")
    facets = FIGURES.count(visit.desk, ("facets", lender), lambda: _facets(visit, str(lender)), FACETS)
    values = {name: given.getlist(name) if name in MANY else given.get(name, "") for name in SELECTED}
    values["lender"] = lender
    values["name"] = values["name"] or _free_name(f"{visit.desk.today():%Y-%m}", taken)
    return visit.page(
        "portfolio/select.html", status=status, lenders=lenders, values=values, facets=facets, policies=names,
        stages=standings.STAGES, error=error,
    )  # fmt: skip


def _facets(visit: Visit, lender: str) -> list[dict[str, Any]]:
    with visit.desk.database.read() as connection:
        return browsing.facets(connection, lender)


def _free_name(month: str, taken: set[str]) -> str:
    """2026-11-B, where 2026-11-A is there already."""
    return next((name for letter in string.ascii_uppercase if (name := f"{month}-{letter}") not in taken), month)


@router.get("/plans/new/segments", dependencies=[needs("plans.change")])
def segment(visit: Visiting, request: Request) -> Response:
    """Step 2: in which segments, by which strategy, within which bounds of each agency."""
    given = request.query_params
    try:
        _spec(visit, given)
        return _segment(visit, _with_shares(visit, given))
    except ConsignError as error:
        return _select(visit, given, error=error, status=422)


def _with_shares(visit: Visit, given: QueryParams) -> QueryParams:
    """The form with the shares of the approved evaluation that it names, until it says its own. Raises UsageError."""
    number = asked.number(given.get("evaluation", ""))
    if number is None or given.get("agency"):
        return given
    with visit.desk.database.read() as connection:
        told = evaluations.find(connection, number)
    if told.state != "approved":
        raise UsageError(f"evaluation {number} is {told.state}: no plan begins with it", fix="have it approved first")
    shares = {one["agency"]: one["proposed"] for one in told.content["shares"] if one["proposed"] > 0}
    filled = [(f"share.{agency}", f"{100 * share:.2f}") for agency, share in shares.items()]
    return QueryParams([*given.multi_items(), *(("agency", agency) for agency in shares), *filled])


def _segment(visit: Visit, given: Given, *, error: ConsignError | None = None, status: int = 200) -> Response:
    lender = str(given.get("lender", ""))

    def count() -> tuple[Any, ...]:
        with visit.desk.database.read() as connection:
            today = plans.lender_today(connection, lender, visit.desk.now())
            return plans.agencies(connection, lender, today)

    agencies = FIGURES.count(visit.desk, ("agencies", lender), count).value
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
    carried = [(name, value) for name in SELECTED for value in given.getlist(name) if value]
    return visit.page(
        "portfolio/segment.html", status=status, carried=carried, given=given, agencies=agencies, lenders=lenders,
        lender=lender, parts=PARTS, by=given.getlist("by") or ["product", "bucket", "balance"],
        edges=given.get("balance_edges") or ", ".join(map(str, BALANCE_EDGES)), allocators=list(ALLOCATORS),
        asked_agencies=given.getlist("agency"), stages=standings.STAGES, states=standings.AGENCY, error=error,
    )  # fmt: skip


def _accounts(visit: Visit, lender: str) -> int:
    """How many open accounts the lender has, as the first form has counted them."""
    facets = FIGURES.find(visit.desk, ("facets", lender), FACETS) or FIGURES.count(
        visit.desk, ("facets", lender), lambda: _facets(visit, lender), FACETS
    )
    return sum(int(row["accounts"]) for row in facets.value)


@router.post("/plans", dependencies=[needs("plans.change")])
def draft(visit: Visiting, given: asked.Sent) -> Response:
    """Step 3: the draft, previewed; of very many accounts it is made by a job."""
    try:
        return made(visit, _spec(visit, given))
    except ConsignError as error:
        return _segment(visit, given, error=error, status=422)


def made(visit: Visit, spec: PlanSpec) -> Response:
    """To the draft of the spec, or to the job that makes it. Raises what drafting raises."""
    if _accounts(visit, spec.lender) > DRAFTED_AT_ONCE:
        return visit.go(f"/jobs/{jobs.ask(visit.desk, 'draft', {'spec': planspecs.keep(visit.desk, spec)})}")
    with seated_here(visit.desk):
        drafted = flow.draft(spec)
    return visit.go(f"/plans/{drafted.plan_id}", visit.say("The draft is made. Nothing has been sent."))


# -- what the forms ask for --------------------------------------------------------------------------------------------


def _spec(visit: Visit, given: Given) -> PlanSpec:
    """The spec that the form says. Raises SpecInvalid, UsageError."""
    form = asked.Fields(given)
    name = form.text("name")
    if name is not None and (len(name) > LENGTH_OF_A_NAME or not name.isprintable()):
        raise UsageError("the plan's name is too long, or has signs that cannot be shown", fix="give it a shorter one")
    raw: dict[str, Any] = {
        "lender": form.text("lender"), "name": name, "stage": form.text("stage"), "policy": form.text("policy"),
        "currency": form.text("currency"), "term_days": form.whole("term_days"), "seed": form.whole("seed"),
        "allocator": form.text("allocator"),
        "filter": {
            "products": form.texts("product"), "buckets": form.texts("bucket"), "regions": form.words("region"),
            "portfolios": [asked.number(value) for value in form.texts("portfolio")],
            "min_balance": form.text("min_balance"), "max_balance": form.text("max_balance"),
            "min_dpd": form.whole("min_dpd"), "max_dpd": form.whole("max_dpd"),
        },
        "segments": _segments(form),
        "agencies": _terms(form),
    }  # fmt: skip
    raw = {key: value for key, value in raw.items() if value is not None}
    raw.setdefault("seed", int(f"{visit.desk.today():%Y%m%d}"))
    return PlanSpec.of(raw)


def _segments(form: asked.Fields) -> dict[str, Any]:
    told: dict[str, Any] = {"region_digits": form.whole("region_digits")}
    if by := form.texts("by"):
        told["by"] = by
    if form.text("by_nothing"):
        told["by"] = []
    if edges := form.words("balance_edges"):
        told["balance_edges"] = [asked.number(edge) for edge in edges]
    return {key: value for key, value in told.items() if value is not None}


def _terms(form: asked.Fields) -> Mapping[str, Any]:
    """The agencies that take part, with what the plan says of each; nothing where the form has not got so far."""
    terms: dict[str, dict[str, Any]] = {}
    for agency in form.texts("agency"):
        told: dict[str, Any] = {}
        for word in AGENCY_TERMS:
            field = f"{word}.{agency}"
            told[word] = form.whole(field) if word in NUMBERS else form.text(field)
        terms[agency] = {
            word: asked.of_hundred(value) if word in asked.SHARES else value
            for word, value in told.items()
            if value is not None
        }
    return terms
