"""Compliance's part of the API: policies, the register, erasures, complaints, breaches, the audit trail."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.shapes import Given, Listed, Number, Text, Word, of_table
from infra import complaints, conduct, policies, proving, register, simulation, witnesses
from infra.evidence.files import rows_of
from infra.store import assurance, exchange
from infra.store import complaints as complaint_rows
from infra.store import conduct as conduct_rows
from models.planning.agencies import STAGE_CHANNELS
from models.policy_difference import differences
from models.tables import AuditEvent, Breach, Complaint, Erasure, ReleasePolicy

router = APIRouter(responses=PROBLEMS)

VersionShape = of_table("PolicyVersion", ReleasePolicy, but={"toml", "audit_seq"})
ErasureShape = of_table(
    "Erasure", Erasure, but={"transmission_id", "certificate_file_id"}, lender=(str, ...),
    asked_at=(datetime | None, None),
)  # fmt: skip
ComplaintShape = of_table("Complaint", Complaint)
BreachShape = of_table("Breach", Breach, but={"debtor_id"})
EventShape = of_table("AuditEvent", AuditEvent, but={"details"}, details=(dict[str, Any], ...))


class Difference(BaseModel):
    """What the second policy lets out differently."""

    purpose: str
    stage: str
    channel: str
    agency: str
    field: str
    before: str
    after: str
    change: str


class Leaving(BaseModel):
    """One field of one account under a policy; an identity is shown of a made-up person."""

    field: str
    leaves: bool
    treatment: str
    shown: str | None
    rule: str


class Simulated(BaseModel):
    """What would leave about one account."""

    policy: str
    version: str
    entry: int
    speaks: str
    basis: str
    fields: list[Leaving]


class NewPolicy(Given):
    """A policy's text (docs/reference/policies.md)."""

    toml: str = Field(max_length=1 << 20)


class PolicyName(BaseModel):
    """A version of a policy."""

    name: str
    version: str
    sha256: str


class Question(Given):
    """Who is asked about, and why; the question is on record before the answer."""

    lender: Word
    who: Word = Field(description="account number, ID number or telephone number; kept nowhere")
    why: Text
    agency: Word | None = None
    as_of: date | None = None


class NewComplaint(Given):
    """A complaint that reached the house."""

    agency: Word
    lender: Word
    ref: Word = Field(min_length=1)
    account: Word | None = Field(default=None, description="the lender's own number; looked up, and kept nowhere")
    received_on: date | None = None
    category: Word = "conduct"
    severity: Literal["normal", "serious"] = "normal"


class Registered(BaseModel):
    """What came into the register."""

    complaints: int
    known_before: int
    debtors_held: int
    due_on: date | None
    complaint_ids: list[int]


class Ended(Given):
    """How a complaint ended."""

    outcome: Literal["upheld", "partly", "dismissed", "withdrawn"]
    reason: Text = Field(min_length=1)


class Decided(Given):
    """Whether a breach stands, after the agency was heard."""

    there: Literal["upheld", "dismissed"]
    reason: Text = Field(min_length=1)


class Reason(Given):
    """Why."""

    reason: Word = Field(min_length=1)


class Verified(BaseModel):
    """Whether the trail is whole."""

    ok: bool
    events: int
    heads: int
    heads_sent: int
    root: str
    why: str


class Proof(BaseModel):
    """A proof that anybody can check without the store."""

    proof: dict[str, Any]


@router.get("/policies", dependencies=[needs("policies.see")])
def list_policy_versions(call: Calling, name: Word = "") -> Listed[VersionShape]:  # type: ignore[valid-type]
    """Every version that was proposed or in force, the newest first."""
    return Listed(items=list(policies.history(call.desk, name or None)))


@router.get("/policies/difference", dependencies=[needs("policies.see")])
def compare_policies(call: Calling, before: Word, after: Word) -> Listed[Difference]:
    """What the second lets out differently; each is a name or `name@version`."""
    with call.desk.database.read() as connection:
        frame = differences(policies.version(connection, before), policies.version(connection, after))
    return Listed(items=[Difference(**row) for row in rows_of(frame)])


@router.get("/policies/simulation", dependencies=[needs("policies.see")])
def simulate_policy(
    call: Calling,
    account_id: Number,
    policy: Word = "cn-default",
    stage: Literal["reminder", "phone", "field", "legal"] = "phone",
    agency: Word = "",
) -> Simulated:
    """What would leave about one account, and which rule lets each field out or holds it back."""
    with call.desk.database.read() as connection:
        chosen = policies.version(connection, policy)
        mandate = exchange.agency(connection, agency).channels.split(",") if agency else sorted(STAGE_CHANNELS[stage])
        found = simulation.simulate(connection, chosen, account_id, "collection", stage, mandate, agency)
    fields = [Leaving(**vars(one)) for one in found.fields]
    return Simulated(
        policy=found.policy, version=found.version, entry=found.entry, speaks=found.speaks, basis=found.basis,
        fields=fields,
    )  # fmt: skip


@router.post("/policies", dependencies=[needs("policies.change")], status_code=201)
def propose_policy(call: Calling, given: NewPolicy) -> PolicyName:
    """A version of a policy waits for a second person; its text never changes."""
    made = policies.propose_text(call.desk, given.toml, "the text that was sent")
    return PolicyName(name=made.name, version=made.version, sha256=made.sha256)


@router.post("/policies/{name}/{version}/approve", dependencies=[needs("policies.approve")], status_code=204)
def approve_policy(call: Calling, name: Word, version: Word) -> None:
    """The version is in force."""
    policies.approve(call.desk, f"{name}@{version}")


@router.post("/policies/{name}/{version}/withdraw", dependencies=[needs("policies.change")], status_code=204)
def withdraw_policy(call: Calling, name: Word, version: Word, given: Reason) -> None:
    """The version counts no more."""
    policies.withdraw(call.desk, f"{name}@{version}", given.reason)


@router.post("/disclosures", dependencies=[needs("disclosures.ask")])
def ask_register(call: Calling, given: Question) -> Listed[dict[str, Any]]:
    """Every field of every file that told an agency something about the debtor."""
    question = register.Question(given.lender, given.who, given.why, given.agency, given.as_of)
    return Listed(items=rows_of(register.disclosures(call.desk, question).told))


@router.get("/erasures", dependencies=[needs("erasures.see")])
def list_erasures(
    call: Calling,
    state: Literal["overdue", "unsatisfied", "requested", "certified_late", "certified"] = "requested",
    agency: Word = "",
    after: Word = "",
) -> Listed[ErasureShape]:  # type: ignore[valid-type]
    """Erasures in that state, those due first in front."""
    with call.desk.database.read() as connection:
        page = assurance.erasures(connection, call.desk.today(), state, agency=agency, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.get("/complaints", dependencies=[needs("complaints.see")])
def list_complaints(
    call: Calling, closed: bool = False, agency: Word = "", owner: Word = "", after: Word = ""
) -> Listed[ComplaintShape]:  # type: ignore[valid-type]  # fmt: skip
    """The register of complaints, those due first in front."""
    with call.desk.database.read() as connection:
        page = assurance.complaints(connection, closed=closed, agency=agency, owner=owner, after=after or None)
    return Listed(items=page.rows, next=page.after)


@router.post("/complaints", dependencies=[needs("complaints.work")], status_code=201)
def register_complaint(call: Calling, given: NewComplaint) -> Registered:
    """A complaint is in the register, and its debtor on hold; the same reference again changes nothing."""
    told = complaints.add(
        call.desk, given.lender, given.agency, given.ref, account_ref=given.account, received_on=given.received_on,
        category=given.category, severity=given.severity,
    )  # fmt: skip
    return Registered(**(vars(told) | {"complaint_ids": list(told.complaint_ids)}))


@router.post("/complaints/{complaint_id}/close", dependencies=[needs("complaints.work")])
def close_complaint(call: Calling, complaint_id: Number, given: Ended) -> ComplaintShape:  # type: ignore[valid-type]
    """It has ended."""
    complaints.close(call.desk, complaint_id, given.outcome, given.reason)
    with call.desk.database.read() as connection:
        return ComplaintShape.model_validate(complaint_rows.complaint(connection, complaint_id))


@router.get("/breaches", dependencies=[needs("conduct.see")])
def list_breaches(
    call: Calling,
    state: Literal["open", "upheld", "dismissed", "withdrawn"] = "open",
    agency: Word = "",
    rule: Word = "",
    severity: Word = "",
    after: Word = "",
) -> Listed[BreachShape]:  # type: ignore[valid-type]
    """Breaches of conduct rules, the newest first."""
    with call.desk.database.read() as connection:
        page = assurance.breaches(
            connection, state, agency=agency, rule=rule, severity=severity, after=after or None
        )  # fmt: skip
    return Listed(items=page.rows, next=page.after)


@router.post("/breaches/{breach_id}/decide", dependencies=[needs("conduct.decide")])
def decide_breach(call: Calling, breach_id: Number, given: Decided) -> BreachShape:  # type: ignore[valid-type]
    """The agency was heard: the breach stands, or it was none."""
    conduct.decide(call.desk, breach_id, given.there, given.reason)
    with call.desk.database.read() as connection:
        return conduct_rows.breach(connection, breach_id)


@router.get("/events", dependencies=[needs("audit.see")])
def list_events(
    call: Calling, subject: Word = "", actor: Word = "", action: Word = "", after: Word = ""
) -> Listed[EventShape]:  # type: ignore[valid-type]
    """The audit trail, the newest first."""
    with call.desk.database.read() as connection:
        page = assurance.events(connection, subject=subject, actor=actor, action=action, after=after or None)
    items = [row | {"details": json.loads(row["details"])} for row in page.rows]
    return Listed(items=items, next=page.after)


@router.get("/events/{seq}/proof", dependencies=[needs("audit.see")])
def prove_event(call: Calling, seq: Number) -> Proof:
    """The proof that the event is in the trail."""
    with call.desk.database.read() as connection:
        return Proof(proof=proving.prove(connection, call.desk.keyring.audit_publics().values(), seq))


@router.post("/events/verify", dependencies=[needs("audit.see")])
def verify_events(call: Calling) -> Verified:
    """Whether the trail is whole, from where it was found so the last time."""
    found = witnesses.verify(call.desk, new_only=True)
    return Verified(
        ok=found.ok, events=found.events, heads=found.heads, heads_sent=found.heads_sent, root=found.root,
        why=found.why,
    )  # fmt: skip
