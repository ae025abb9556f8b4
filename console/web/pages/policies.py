"""Release policies: what leaves, field by field, for whom; versions, what changes between two, one account tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, File, Form, Response, UploadFile

from console.web.codes import term
from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.visits import Visiting, needs
from infra import policies, simulation
from infra.store import browsing, exchange
from models.errors import ConsignError
from models.kinds import PLACEMENT_FIELDS
from models.planning.agencies import STAGE_CHANNELS
from models.policy_difference import differences
from models.release import PSEUDONYMS, STAGES, VALUE_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from console.web.language import Say
    from console.web.visits import Visit
    from models.release import Entry, Policy
    from models.treatments import Treatment

router = APIRouter()

LARGEST_BYTES: Final = 1 << 20
"""No policy that a person reviews is longer."""
STATES: Final = {
    "in_force": (later("In force"), "good"),
    "proposed": (later("Proposed"), "warn"),
    "superseded": (later("Superseded"), "plain"),
    "withdrawn": (later("Withdrawn"), "bad"),
}
"""By state of a version: its word, and its colour."""
CHANGES: Final = {
    "leaves newly": (later("leaves newly"), "warn"),
    "leaves no more": (later("leaves no more"), "good"),
    "shows more": (later("shows more"), "warn"),
    "shows less": (later("shows less"), "good"),
    "otherwise": (later("otherwise"), "info"),
    "kept longer": (later("kept longer"), "warn"),
    "kept shorter": (later("kept shorter"), "good"),
}
"""By what a change does: its word, and its colour; amber lets out more."""
CLASSES: Final = {
    "pseudonym": later("pseudonyms"), "identifier": later("identifiers"), "identity": later("identity"),
    "contact": later("contact"), "third_party": later("third parties"), "financial": later("money"),
    "fact": later("facts"),
}  # fmt: skip
"""Kinds of value, those that tell most of a person first."""

Text = Annotated[str, Form()]


@dataclass(frozen=True)
class Cell:
    """What happens to one field under one entry."""

    leaves: bool
    words: str
    """the treatment, in words; or why the field is held back, where the policy says it"""
    whole: bool = False
    """whether it leaves as it is"""


@router.get("/policies", dependencies=[needs("policies.see")])
def every(visit: Visiting) -> Response:
    """The policies in force, and what waits for approval."""
    return _list(visit)


def _list(visit: Visit, problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        found = [_in_force(connection, name) for name in policies.names(connection)]
    versions = policies.history(visit.desk)
    return visit.page(
        "compliance/policies.html", policies=found, waiting=[row for row in versions if row.state == "proposed"],
        versions=versions, states=STATES, problem=problem, status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _in_force(connection: Connection, name: str) -> tuple[str, Policy | None]:
    try:
        return name, policies.find(connection, name)
    except policies.NotInForce:
        return name, None


@router.post("/policies", dependencies=[needs("policies.change")])
def propose(visit: Visiting, file: Annotated[UploadFile, File()]) -> Response:
    """A version is up for approval."""
    try:
        text = asked.text_of(file, LARGEST_BYTES, kind="policy")
        made = policies.propose_text(visit.desk, text, visit.say("the file"))
    except ConsignError as problem:
        return _list(visit, problem)
    return visit.go(
        f"/policies/{made.name}?version={made.version}", visit.say("Proposed: a second person must approve it.")
    )


@router.get("/policies/simulate", dependencies=[needs("policies.see")])
def simulate(
    visit: Visiting, account: str = "", policy: str = "cn-default", stage: str = "phone", agency: str = ""
) -> Response:
    """What would leave about one account, and which rule lets each field out or holds it back."""
    told, problem = None, None
    with visit.desk.database.read() as connection:
        names = policies.names(connection)
        agencies = browsing.agencies(connection)
        try:
            asked.one_of(stage, STAGES)
            if (number := asked.number(account)) is not None:
                chosen = policies.named(connection, asked.one_of(policy, names))
                mandate = (
                    exchange.agency(connection, agency).channels.split(",") if agency else sorted(STAGE_CHANNELS[stage])
                )
                told = simulation.simulate(connection, chosen, number, "collection", stage, mandate, agency)
        except ConsignError as error:
            problem = error
    return visit.page(
        "compliance/simulate.html", told=told, problem=problem, agencies=agencies, account=account, policy=policy,
        stage=stage, agency=agency, names_shown=[(one, one) for one in names],
        stages_shown=[(one, term(visit.say.code, one, "stage")) for one in STAGES],
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.get("/policies/{name}", dependencies=[needs("policies.see")])
def one(visit: Visiting, name: str, version: str = "", against: str = "") -> Response:
    """One policy as a matrix: fields down, releases across; beside another version of it: what that changes."""
    return _policy(visit, name, version, against)


def _policy(
    visit: Visit, name: str, version: str = "", against: str = "", problem: ConsignError | None = None
) -> Response:
    versions = [row for row in policies.history(visit.desk) if row.name == name]
    with visit.desk.database.read() as connection:
        if not version and versions and not any(row.state == "in_force" for row in versions):
            version = versions[0].version
        policy = policies.version(connection, f"{name}@{version}" if version else name)
        over = policies.find(connection, policy.over) if policy.over else None
        other = policies.version(connection, f"{name}@{against}") if against else over
        changed = None
        if other is not None:
            whole = policies.in_place(connection, policy) if policy.over and not against else policy
            frame = differences(other, whole)
            keys = ["purpose", "stage", "agency", "field", "before", "after", "change"]
            changed = frame.groupby(keys, sort=False)["channel"].agg(", ".join).reset_index().to_dict("records")
    row = next((one for one in versions if one.version == policy.version), None)
    return visit.page(
        "compliance/policy.html", policy=policy, row=row, versions=versions, states=STATES, changes=CHANGES,
        classes=CLASSES, matrix=matrix(visit.say, policy.parts[0].entries), against=against, changed=changed,
        other=other, others=[(one.version, one.version) for one in versions if one.version != policy.version],
        problem=problem, status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def matrix(say: Say, entries: Sequence[Entry]) -> dict[str, list[tuple[str, list[Cell]]]]:
    """By kind of value: each field, and what happens to it under each entry."""
    found: dict[str, list[tuple[str, list[Cell]]]] = {kind: [] for kind in CLASSES}
    for field in PLACEMENT_FIELDS:
        found[VALUE_CLASSES[field]].append((field, [_cell(say, field, entry) for entry in entries]))
    return {kind: rows for kind, rows in found.items() if rows}


def _cell(say: Say, field: str, entry: Entry) -> Cell:
    if field in PSEUDONYMS:
        return Cell(leaves=True, words=say("pseudonym"))
    how = entry.treatments.get(field)
    if how is None or how.how == "drop":
        return Cell(leaves=False, words="" if how is None else how.because)
    return Cell(leaves=True, words=told(say, how), whole=how.how == "release")


def told(say: Say, how: Treatment) -> str:
    """What a treatment leaves of a value, in the reader's language."""
    match how.how:
        case "release":
            return say("whole")
        case "mask":
            ends = [
                (how.first, say("first %(count)s", count=how.first)),
                (how.last, say("last %(count)s", count=how.last)),
            ]
            return say(", ").join(words for count, words in ends if count) or say("stars alone")
        case "band":
            return say("one of %(count)s bands", count=len(how.labels))
        case "month":
            return say("month")
        case "year":
            return say("year")
        case _:
            return {"city": say("city"), "province": say("province")}.get(how.to or "", how.words)


@router.post("/policies/{name}/{version}/approve", dependencies=[needs("policies.approve")])
def approve(visit: Visiting, name: str, version: str) -> Response:
    """The proposed version is in force; plans made under the one before it expire."""
    try:
        policies.approve(visit.desk, f"{name}@{version}")
    except ConsignError as problem:
        return _policy(visit, name, version, problem=problem)
    return visit.go(f"/policies/{name}", visit.say("In force from now on."))


@router.post("/policies/{name}/{version}/withdraw", dependencies=[needs("policies.change")])
def withdraw(visit: Visiting, name: str, version: str, reason: Text = "") -> Response:
    """The version counts no more, or the proposal is taken back."""
    try:
        policies.withdraw(visit.desk, f"{name}@{version}", reason)
    except ConsignError as problem:
        return _policy(visit, name, version, problem=problem)
    return visit.go("/policies", visit.say("Withdrawn: nothing more leaves under it."))
