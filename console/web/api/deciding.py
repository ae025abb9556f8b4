"""What is decided before accounts go out, through the API: plans compared, evaluations, bases, models of who pays."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from console.web.api.book import JobShape, WholePlan, drafted, job_of
from console.web.api.door import PROBLEMS, Calling, Refused, needs, there
from console.web.api.shapes import Given, Listed, Number, Text, Word, of_table
from console.web.pages import asked
from flows import evaluate as evaluate_verbs
from flows import plan as plan_verbs
from infra import consolidation, evaluations, jobs, jointpayments, planspecs, previews, uploads, workedout
from infra.propensity import scoring, versions
from infra.store import browsing, joint, moves, seeds
from infra.store import consolidation as basis_rows
from infra.store import evaluations as evaluation_rows
from infra.store import plans as plan_rows
from infra.store import propensity as model_rows
from infra.store.keyset import aware
from infra.wiring import seated_here
from models.planning.champion import commitment
from models.planning.spec import PlanSpec
from models.propensity.facts import FACTS
from models.tables import ConsolidationBasis, Evaluation, JointPayment, JointShare, PropensityModel, SeedCommitment

router = APIRouter(responses=PROBLEMS)

SeedShape = of_table("CommittedSeed", SeedCommitment, but={"seed"}, seed=(int | None, None))
EvaluationShape = of_table("Evaluation", Evaluation, but={"content"})
BasisShape = of_table("ConsolidationBasis", ConsolidationBasis)
PaymentShape = of_table("JointPayment", JointPayment)
ShareShape = of_table(
    "JointShare", JointShare, but={"payment_id"}, remitted_minor=(int | None, None),
    state=(Literal["waiting", "remitted", "differs"], ...),
)  # fmt: skip
PartShape = of_table("PartOfPayment", JointShare, due_on=(date, ...), rank=(int | None, None))
ModelShape = of_table("PropensityModel", PropensityModel, but={"numbers", "measured"})

JobAnswer = JobShape
Reason = Annotated[str, Field(min_length=1, max_length=200)]


def _row(found: Any) -> dict[str, Any]:
    return aware(dict(found._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it


# -- plans beside one another ------------------------------------------------------------------------------------------


class Compared(BaseModel):
    """What one plan does differently from another: counts, agencies, moves, what bounds cost on both sides."""

    accounts: dict[str, int]
    same: int
    moved: int
    expected_net_minor: dict[str, int | None]
    agencies: list[dict[str, Any]]
    moves: list[dict[str, Any]]
    rules: dict[str, Any]


class Move(BaseModel):
    """An account that another agency gets; `-` where a plan leaves it out."""

    account_id: int
    was: str
    becomes: str
    balance_minor: int


class Changes(Given):
    """Lines of a plan's spec that are laid over it; null takes one away."""

    changes: dict[Word, Any] = Field(min_length=1, max_length=100)


class Asked(BaseModel):
    """What was asked for, and the job that works it out."""

    name: str = Field(description="under which the answer is found")
    job: JobShape  # type: ignore[valid-type]


class WouldBe(BaseModel):
    """What a plan would be with another spec."""

    name: str
    spec: dict[str, Any]
    differs: Compared
    warnings: list[str]
    at: datetime
    by: str


class SeedWanted(Given):
    """For which plan to come."""

    lender: Word
    name: Annotated[str, Field(min_length=1, max_length=80)]


class SeedTold(BaseModel):
    """A seed that nobody knows yet."""

    lender: str
    name: str
    sha256: str


class SeedOfPlan(BaseModel):
    """The seed of a plan, held against what was told before; null where nothing was."""

    seed: int
    sha256: str = Field(description="over lender, plan's name and this seed")
    told: str | None
    told_at: datetime | None
    same: bool | None
    before: bool | None = Field(description="whether it was told before the plan was made")


@router.get("/plans/{plan_id}/comparison/{other_id}", dependencies=[needs("plans.see")])
def compare_plans(call: Calling, plan_id: Number, other_id: Number) -> Compared:
    """What the plan does differently from the other; of very large ones a job (`compare`) finds it out first."""
    found = previews.differing(call.desk, other_id, plan_id)
    if found is None:
        raise Refused(409, "the two plans are large: a job compares them", "POST /jobs with the verb `compare`")
    return Compared(**found)


@router.get("/plans/{plan_id}/comparison/{other_id}/moves", dependencies=[needs("plans.see")])
def list_moves(
    call: Calling, plan_id: Number, other_id: Number, source: Word = "", there: Word = "", after: Word = ""
) -> Listed[Move]:
    """Accounts that the plan gives to another agency than the other one; a page may hold few, and still go on."""
    with call.desk.database.read() as connection:
        for number in (plan_id, other_id):
            plan_rows.plan(connection, number)
        page = moves.moved(connection, other_id, plan_id, after, source=source, there=there)
    return Listed(items=[Move(**row) for row in page.rows], next=page.after)


@router.post("/plans/{plan_id}/what-if", dependencies=[needs("plans.change")], status_code=202)
def try_other_rules(call: Calling, plan_id: Number, given: Changes) -> Asked:
    """A job works out what a draft would be with the changes; nothing is kept as a plan."""
    with seated_here(call.desk):
        spec = plan_verbs.changed_spec(plan_id, given.changes)
    name = planspecs.keep(call.desk, spec)
    number = jobs.ask(call.desk, "what_if", {"plan_id": plan_id, "spec": name})
    return Asked(name=name, job=JobShape.model_validate(job_of(call, number)))


@router.get("/plans/{plan_id}/what-if/{name}", dependencies=[needs("plans.change")])
def get_what_if(call: Calling, plan_id: Number, name: Word) -> WouldBe:
    """What was worked out; there is no such thing until its job is done."""
    kept = there(workedout.find(call.desk, previews.tried_as(plan_id, name)))
    found = kept["found"]
    return WouldBe(
        name=name, spec=found["spec"], differs=Compared(**found["differs"]), warnings=found["summary"]["warnings"],
        at=kept["at"], by=kept["by"],
    )  # fmt: skip


@router.post("/plans/{plan_id}/what-if/{name}/draft", dependencies=[needs("plans.change")], status_code=201)
def draft_what_if(call: Calling, plan_id: Number, name: Word) -> WholePlan | JobAnswer:  # type: ignore[valid-type]
    """What was worked out becomes a draft of its own."""
    kept = there(workedout.find(call.desk, previews.tried_as(plan_id, name)))
    return drafted(call, PlanSpec.of(kept["found"]["spec"]))


@router.get("/seeds", dependencies=[needs("plans.see")])
def list_seeds(call: Calling, lender: Word = "", after: Word = "") -> Listed[SeedShape]:  # type: ignore[valid-type]
    """Committed seeds, the newest first; the seed itself once a plan has used it."""
    with call.desk.database.read() as connection:
        page = seeds.listed(connection, lender, after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/seeds", dependencies=[needs("plans.change")], status_code=201)
def commit_seed(call: Calling, given: SeedWanted) -> SeedTold:
    """A secret seed for a plan to come; its hash is on the audit trail."""
    with seated_here(call.desk):
        return SeedTold(**asdict(plan_verbs.commit_seed(given.lender, asked.plain(given.name, "the plan's name"))))


@router.get("/plans/{plan_id}/seed", dependencies=[needs("plans.see")])
def verify_seed(call: Calling, plan_id: Number) -> SeedOfPlan:
    """The seed that the plan was drawn by, held against the hash that was told before."""
    with call.desk.database.read() as connection:
        known = plan_rows.plan(connection, plan_id)
        used = seeds.told(connection, plan_id)
    again = commitment(known.lender, known.name, known.seed)
    if used is None:
        return SeedOfPlan(seed=known.seed, sha256=again, told=None, told_at=None, same=None, before=None)
    return SeedOfPlan(
        seed=known.seed, sha256=again, told=used["sha256"], told_at=used["committed_at"], same=used["sha256"] == again,
        before=used["committed_at"] <= known.created_at,
    )  # fmt: skip


# -- evaluations -------------------------------------------------------------------------------------------------------


class WholeEvaluation(EvaluationShape):  # type: ignore[misc, valid-type]  # made from the table
    """An evaluation with what it proposes, and why."""

    content: dict[str, Any]


class EvaluationWanted(Given):
    """What is to be evaluated."""

    lender: Word | None = None
    kind: Literal["periodic", "yearly"] = "periodic"
    as_of: date | None = None


class Looked(Given):
    """What was looked at."""

    content: Word = Field(default="", description="the beginning of the hash of what was looked at; checked if given")


class Why(Given):
    """Why; up to 200 ASCII characters, nothing of a debtor."""

    reason: Reason


@router.get("/evaluations", dependencies=[needs("evaluations.see")])
def list_evaluations(
    call: Calling, lender: Word = "", state: Literal["", "proposed", "approved", "rejected", "superseded"] = "",
    after: Word = "",
) -> Listed[EvaluationShape]:  # type: ignore[valid-type]  # fmt: skip
    """Evaluations, the newest first."""
    with call.desk.database.read() as connection:
        page = evaluation_rows.page(connection, lender, state, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/evaluations/{evaluation_id}", dependencies=[needs("evaluations.see")])
def get_evaluation(call: Calling, evaluation_id: Number) -> WholeEvaluation:
    """One evaluation: shares, changes of strategy, agencies to look at, and the figures behind them."""
    with call.desk.database.read() as connection:
        row = _row(evaluation_rows.evaluation(connection, evaluation_id))
        told = evaluations.find(connection, evaluation_id)
    whole: WholeEvaluation = WholeEvaluation.model_validate(row | {"content": told.content})
    return whole


@router.post("/evaluations", dependencies=[needs("evaluations.change")], status_code=202)
def ask_for_evaluation(call: Calling, given: EvaluationWanted) -> JobAnswer:  # type: ignore[valid-type]
    """A job scores the agencies and proposes the next cycle."""
    _known_lender(call, given.lender)
    day = asked.not_to_come(given.as_of, call.desk.today())
    wanted = {"lender": given.lender, "as_of": None if day is None else day.isoformat(), "kind": given.kind}
    return job_of(call, jobs.ask(call.desk, "evaluate", wanted))


def _known_lender(call: Calling, lender: str | None) -> None:
    """Raises UsageError for a lender that there is not."""
    if lender is not None:
        with call.desk.database.read() as connection:
            asked.one_of(lender, browsing.lenders(connection))


@router.post("/evaluations/{evaluation_id}/approve", dependencies=[needs("evaluations.approve")])
def approve_evaluation(call: Calling, evaluation_id: Number, given: Looked) -> WholeEvaluation:
    """Whoever did not propose it says yes."""
    with seated_here(call.desk):
        evaluate_verbs.approve(evaluation_id, given.content)
    return get_evaluation(call, evaluation_id)


@router.post("/evaluations/{evaluation_id}/reject", dependencies=[needs("evaluations.change")])
def reject_evaluation(call: Calling, evaluation_id: Number, given: Why) -> WholeEvaluation:
    """The evaluation has ended: somebody said no."""
    evaluations.reject(call.desk, evaluation_id, given.reason)
    return get_evaluation(call, evaluation_id)


# -- consolidated collection -------------------------------------------------------------------------------------------


class NewBasis(Given):
    """On what basis a lender's debtors may be linked with those of the circle's other lenders."""

    circle: Word
    lender: Word
    scope: Literal["internal", "external"]
    basis: Text
    evidence: Word = Field(min_length=1, description="where the document is")
    valid_from: date | None = Field(default=None, description="today where it is null")
    valid_until: date | None = None
    split_order: Literal["oldest_first", "pro_rata", "lender_order"] = "oldest_first"
    split_rank: Annotated[int, Field(ge=1, le=1_000)] = 1


class Member(BaseModel):
    """A debtor of a person, at one lender."""

    debtor_id: int
    lender: str
    accounts: int = Field(description="that are open")
    agencies: list[str]


class Person(BaseModel):
    """Who is one person for several lenders, by numbers alone."""

    debtor_id: int = Field(description="the lowest of the person's debtors")
    members: list[Member]
    agencies: list[str]
    divided: bool = Field(description="whether several agencies have the person's accounts")


class WholePayment(PaymentShape):  # type: ignore[misc, valid-type]  # made from the table
    """A joint payment and its shares, in the order in which it was split."""

    shares: list[PartShape]  # type: ignore[valid-type]


class PaymentList(Given):
    """An agency's list of joint payments."""

    agency: Word
    csv: str = Field(max_length=1 << 20, description="columns: " + ", ".join(jointpayments.COLUMNS))
    dry_run: bool = False


class SplitTold(BaseModel):
    """What became of the list, and what the agency remits to which lender."""

    payments: int
    known_before: int
    shares: int
    lenders: int
    surplus: int
    advice: list[dict[str, str]]


@router.get("/consolidation/bases", dependencies=[needs("consolidation.see")])
def list_bases(call: Calling, after: Word = "") -> Listed[BasisShape]:  # type: ignore[valid-type]
    """Bases, the newest first."""
    with call.desk.database.read() as connection:
        page = joint.bases(connection, after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/consolidation/bases", dependencies=[needs("consolidation.change")], status_code=201)
def propose_basis(call: Calling, given: NewBasis) -> BasisShape:  # type: ignore[valid-type]
    """A basis waits for a second person."""
    _known_lender(call, given.lender)
    wanted = given.model_dump(exclude={"circle", "lender", "valid_from"})
    told = consolidation.propose(
        call.desk, given.circle, given.lender, valid_from=given.valid_from or call.desk.today(), **wanted
    )
    return _basis(call, there(told.basis_id))


def _basis(call: Calling, basis_id: int) -> dict[str, Any]:
    with call.desk.database.read() as connection:
        return _row(basis_rows.basis(connection, basis_id))


@router.post("/consolidation/bases/{basis_id}/approve", dependencies=[needs("consolidation.approve")])
def approve_basis(call: Calling, basis_id: Number) -> BasisShape:  # type: ignore[valid-type]
    """The basis counts on its days; a job looks up who is linked by it."""
    consolidation.approve(call.desk, basis_id, relink=False)
    jobs.ask(call.desk, "consolidate", {})
    return _basis(call, basis_id)


@router.post("/consolidation/bases/{basis_id}/withdraw", dependencies=[needs("consolidation.change")])
def withdraw_basis(call: Calling, basis_id: Number, given: Why) -> BasisShape:  # type: ignore[valid-type]
    """The basis links nobody from now on."""
    consolidation.withdraw(call.desk, basis_id, given.reason, relink=False)
    jobs.ask(call.desk, "consolidate", {})
    return _basis(call, basis_id)


@router.get("/consolidation/persons", dependencies=[needs("consolidation.people")])
def list_persons(call: Calling, circle: Word, divided: bool = False, after: Word = "") -> Listed[Person]:
    """Persons of a circle by numbers; that somebody looked is on record."""
    page = consolidation.persons(call.desk, consolidation.known_circle(call.desk, circle), after, divided=divided)
    return Listed(items=[Person.model_validate(row) for row in page.rows], next=page.after)


@router.get("/consolidation/payments", dependencies=[needs("consolidation.payments")])
def list_joint_payments(call: Calling, agency: Word = "", after: Word = "") -> Listed[PaymentShape]:  # type: ignore[valid-type]
    """Joint payments, the newest first."""
    with call.desk.database.read() as connection:
        page = joint.payments(connection, agency, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/consolidation/payments/{payment_id}", dependencies=[needs("consolidation.payments")])
def get_joint_payment(call: Calling, payment_id: Number) -> WholePayment:
    """One joint payment, and how it was split."""
    with call.desk.database.read() as connection:
        row = joint.payment(connection, payment_id)
        parts = joint.split_of(connection, row)
    whole: WholePayment = WholePayment.model_validate(row | {"shares": parts})
    return whole


@router.post("/consolidation/payments", dependencies=[needs("consolidation.split")])
def split_joint_payments(call: Calling, given: PaymentList) -> SplitTold:
    """An agency's list is split as a whole or not at all; the same list again changes nothing."""
    with TemporaryDirectory(dir=call.desk.folder("uploads")) as folder:
        path = Path(folder) / "list.csv"
        path.write_text(given.csv, encoding="utf-8", errors="replace")
        told, lines = jointpayments.take_in(call.desk, given.agency, path, dry_run=given.dry_run)
    advice = [{str(name): str(value) for name, value in row.items()} for row in lines.to_dict("records")]
    return SplitTold(**asdict(told), advice=advice)


@router.get("/consolidation/shares", dependencies=[needs("consolidation.see")])
def list_joint_shares(call: Calling, lender: Word = "", agency: Word = "", after: Word = "") -> Listed[ShareShape]:  # type: ignore[valid-type]
    """Shares of joint payments, and whether each was remitted; nothing tells which were one payment."""
    with call.desk.database.read() as connection:
        page = joint.shares(connection, lender, agency, after or None)
    return Listed(items=page.rows, next=page.after)


# -- models of who pays ------------------------------------------------------------------------------------------------


class WholeModel(ModelShape):  # type: ignore[misc, valid-type]  # made from the table
    """A model with how it did on placements that it had not seen."""

    measured: dict[str, Any]


class ModelWanted(Given):
    """Of which placements a model is to be made."""

    lender: Word
    horizon_days: Annotated[int, Field(ge=1, le=730)] | None = None
    as_of: date | None = None
    without: list[Word] = Field(default=[], max_length=len(FACTS), description="facts that it shall not look at")
    age_bands: Word | None = Field(default=None, description="what `POST /propensity/age-bands` called the list")


class Moved(BaseModel):
    """What one fact does to an account's chance: log-odds against the average account."""

    fact: str
    value: float | str | None
    log_odds: float
    error: float


class Chance(BaseModel):
    """An account's chance taken apart."""

    account_id: int
    model_id: int
    horizon_days: int
    chance: float
    low: float
    high: float
    share: float
    band: str
    average: float
    log_odds: float
    balance_minor: int
    expected_minor: int
    currency: str
    reasons: list[Moved]


@router.get("/propensity/models", dependencies=[needs("propensity.see")])
def list_models(call: Calling, lender: Word = "", after: Word = "") -> Listed[ModelShape]:  # type: ignore[valid-type]
    """Models of who pays, the newest first."""
    with call.desk.database.read() as connection:
        page = model_rows.page(connection, lender, after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/propensity/models/{model_id}", dependencies=[needs("propensity.see")])
def get_model(call: Calling, model_id: Number) -> WholeModel:
    """One model: what it was made of, whether its chances come true, groups, stand-ins."""
    with call.desk.database.read() as connection:
        found, _model = versions.named(connection, model_id)
    row = _row(found)
    whole: WholeModel = WholeModel.model_validate(row | {"measured": json.loads(row["measured"])})
    return whole


@router.post("/propensity/models", dependencies=[needs("propensity.change")], status_code=202)
def ask_for_model(call: Calling, given: ModelWanted) -> JobAnswer:  # type: ignore[valid-type]
    """A job makes a model of the lender's placements; it waits for a second person."""
    versions.require_on(call.desk)
    _known_lender(call, given.lender)
    left_out = sorted({asked.one_of(fact, [one.name for one in FACTS]) for fact in given.without})
    day = asked.not_to_come(given.as_of, call.desk.today())
    wanted = {
        "lender": given.lender, "horizon_days": given.horizon_days, "as_of": None if day is None else day.isoformat(),
        "without": ",".join(left_out) or None,
        "age_bands": uploads.found(call.desk, given.age_bands).upload if given.age_bands else None,
    }  # fmt: skip
    return job_of(call, jobs.ask(call.desk, "fit_propensity", wanted))


@router.post("/propensity/models/{model_id}/approve", dependencies=[needs("propensity.approve")])
def approve_model(call: Calling, model_id: Number) -> WholeModel:
    """The model is in use from now on."""
    versions.approve(call.desk, model_id)
    return get_model(call, model_id)


@router.post("/propensity/models/{model_id}/withdraw", dependencies=[needs("propensity.change")])
def withdraw_model(call: Calling, model_id: Number, given: Why) -> WholeModel:
    """The model says nothing any more."""
    versions.withdraw(call.desk, model_id, given.reason)
    return get_model(call, model_id)


@router.get("/propensity/models/{model_id}/accounts/{account_id}", dependencies=[needs("propensity.see")])
def explain_chance(call: Calling, model_id: Number, account_id: Number) -> Chance:
    """How likely one account pays by this model, and which fact moves that how far."""
    with call.desk.database.read() as connection:
        found, _model = versions.named(connection, model_id)
    told = scoring.explain(call.desk, f"#{account_id}", found.lender, model_id)
    return Chance(**{**asdict(told.explained), **{name: getattr(told, name) for name in (
        "account_id", "model_id", "horizon_days", "balance_minor", "expected_minor", "currency",
    )}})  # fmt: skip
