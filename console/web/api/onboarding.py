"""From "hello" to live, as a part of the API: an agency's drop, host keys, keys, contract, certification, evidence."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from console.web import handed
from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.intake import JobShape
from console.web.api.shapes import Given, Listed, Number, Text, Word, of_table
from console.web.frames import records
from console.web.pages.agency_tabs import TOLD_OF_A_DROP
from console.web.uploading import SealedForms
from flows import schedules
from infra import (
    certificates,
    certification,
    contracts,
    diligence,
    hostkeys,
    jobs,
    layouts,
    onboarding,
    rotation,
)
from infra.store import contracts as agreed
from infra.store import exchange
from infra.wiring import seated_here
from models.certification import Level
from models.errors import ConfigurationError, Findings, UsageError
from models.release import CHANNELS
from models.tables import AgencyContract, Certification, ContractProposal, HostKey

router = APIRouter(responses=PROBLEMS, route_class=SealedForms)

ContractShape = of_table(
    "Contract", AgencyContract,
    only={"agency", "lender", "effective_from", "terms", "sha256", "created_by", "approved_by", "share"},
)  # fmt: skip
ProposalShape = of_table("ContractProposal", ContractProposal, but={"terms"})
HostKeyShape = of_table(
    "HostKey", HostKey, only={"fingerprint", "type", "state", "added_by", "approved_by"}, begins=(datetime, ...),
    ends=(datetime | None, None),
)  # fmt: skip
RunShape = of_table(
    "Certification", Certification, only={"certification_id", "agency", "level", "state", "opened_by", "opened_at"}
)

Suite = Literal["age", "openpgp"]
Channel = Literal[tuple(CHANNELS)]  # type: ignore[valid-type]  # the channels there are
Public = Annotated[str, Field(max_length=20_000, pattern=r"^[^\x00]*$")]
FormDay = Annotated[date | None, Form()]


class NewAgency(Given):
    """An agency, as a prospect."""

    agency: Word
    name: Word = Field(min_length=1)
    suite: Suite = "age"
    channels: list[Channel] = Field(default=["phone", "sms"], min_length=1, max_length=len(CHANNELS))  # type: ignore[valid-type]
    capacity_accounts: Number | None = None
    remits: Literal["gross", "net"] = "gross"
    term_days: int = Field(default=180, ge=1, le=3_650)


class Added(BaseModel):
    """The agency, and the line that lets us in at its server."""

    agency: str
    added: bool
    ssh_client_key: str


class State(Given):
    """Where an agency moves on to in its life."""

    state: Literal["certified", "live", "suspended", "closed"]


class Drop(Given):
    """How an agency is reached."""

    kind: Literal["sftp", "folder"] = "sftp"
    host: Word = ""
    port: int = Field(default=22, ge=1, le=65_535)
    username: Word = ""
    host_keys: list[Text] = Field(default=[], max_length=10, description="none: those that are pinned stay")
    root: Word = ""
    to_agency: Word = "to_agency"
    from_agency: Word = "from_agency"
    limits: list[Word] = Field(default=[], max_length=20, description="limits of its own, name=value")
    renames: bool = True


class DropTold(BaseModel):
    """How an agency is reached, and what its server was found to do."""

    kind: str | None = None
    host: str | None = None
    port: int | None = None
    username: str | None = None
    root: str | None = None
    to_agency: str | None = None
    from_agency: str | None = None
    probed_at: datetime | None = None
    can: dict[str, bool | int | float | str | None] = {}


class Window(Given):
    """From when to when a key counts."""

    begins: datetime | None = None
    until: datetime | None = None
    old_until: datetime | None = Field(default=None, description="when those before it end at the latest")


class NewHostKey(Window):
    """A host key as the agency gave it."""

    line: Text = Field(min_length=1)


class Fingerprint(Given):
    """As the agency read it out."""

    fingerprint: Word = Field(min_length=1)


class Retired(Fingerprint):
    """A host key that is accepted no more."""

    at: datetime | None = None
    anyway: bool = False


class PublicKeys(Window):
    """The agency's public keys."""

    encrypt: Public = Field(min_length=1)
    verify: Public = ""


class ReadOut(Given):
    """Both fingerprints as the agency read them out."""

    encrypt: Word
    verify: Word


class Generation(Given):
    """Which key."""

    generation: Word


class KeyShape(BaseModel):
    """A sealing key of an agency, or one that waits for a second person."""

    model_config = ConfigDict(extra="ignore")
    request_id: int | None = None
    generation: str | None
    suite: str
    state: str
    encrypt: str | None
    verify: str | None
    begins: datetime | None
    ends: datetime | None


class OwnKey(BaseModel):
    """One of our keys, without its secret."""

    model_config = ConfigDict(extra="ignore")
    purpose: str
    owner: str
    generation: str
    fingerprint: str
    state: str
    begins: datetime | None
    expires: datetime | None


class Renewed(Given):
    """A new pair of ours."""

    suite: Suite
    begins: datetime | None = None
    days: int | None = Field(default=None, ge=1, le=3_650)
    old_until: datetime | None = None
    announce: bool = True


class OwnGeneration(Given):
    """One of our pairs."""

    owner: Word
    generation: Word


class Terms(Given):
    """Terms that are put up (docs/reference/contracts.md)."""

    agency: Word
    lender: Word
    effective_from: date
    terms: Public
    why: Text


class LevelAsked(Given):
    """What the agency is to show."""

    level: Level


class Compared(Given):
    """What was compared by telephone."""

    sign: Word = ""
    encrypt: Word = ""
    ours_confirmed: bool = False


class Waiver(LevelAsked):
    """Why it may work without a certificate for a while."""

    reason: Word


class StepShape(BaseModel):
    """A step of a certification."""

    model_config = ConfigDict(extra="ignore")
    step: str
    level: str
    by: str
    state: str
    code: str | None
    fix: str


class Standing(BaseModel):
    """How an agency stands: its newest run, and its certificate."""

    needed: str
    state: str
    level: str | None
    certificate_id: str | None
    valid_until: date | None
    run: RunShape | None = None  # type: ignore[valid-type]
    steps: list[StepShape] = []


class EvidenceShape(BaseModel):
    """A piece of evidence."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)
    diligence_id: int | None
    kind: str
    valid_from: date
    valid_until: date | None
    reference: str | None = None
    sha256: str | None


class Need(BaseModel):
    """What a rule pack asks for, and how the agency stands with it."""

    model_config = ConfigDict(extra="ignore")
    agency: str
    pack: str
    kind: str
    state: str
    until: date | None
    clause: str


class LayoutShape(BaseModel):
    """A layout of plain files."""

    model_config = ConfigDict(extra="ignore")
    layout: str
    format: str
    origin: str
    agencies: str
    about: str


class Agreed(Given):
    """A layout by its name and version, or `package`."""

    layout: Word


class ScheduleShape(BaseModel):
    """What runs by itself."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")
    name: str
    cron: str
    timezone: str
    paused: bool | None = None
    next_runs: list[datetime] = []


# -- an agency ---------------------------------------------------------------------------------------------------------


@router.post("/agencies", dependencies=[needs("agencies.change")], status_code=201)
def add_agency(call: Calling, given: NewAgency) -> Added:
    """The agency is there, as a prospect, with a pseudonym key and an SSH client key of its own."""
    new = onboarding.add(
        call.desk, given.agency, given.name, suite=given.suite, channels=",".join(given.channels),
        capacity_accounts=given.capacity_accounts, remits=given.remits, term_days=given.term_days,
    )  # fmt: skip
    line = call.desk.keyring.ssh_client_public(given.agency, call.desk.now())
    return Added(agency=given.agency, added=new, ssh_client_key=line)


@router.post("/agencies/{code}/state", dependencies=[needs("agencies.change")], status_code=204)
def move_agency(call: Calling, code: Word, given: State) -> None:
    """The agency has moved on in its life."""
    onboarding.become(call.desk, code, given.state)


@router.get("/agencies/{code}/drop", dependencies=[needs("agencies.see")])
def get_drop(call: Calling, code: Word) -> DropTold:
    """How it is reached."""
    with call.desk.database.read() as connection:
        row = exchange.agency(connection, code)
    drop = json.loads(row.drop)
    told = {name: drop[name] for name in TOLD_OF_A_DROP if name in drop}
    return DropTold(**told, probed_at=row.probed_at, can=json.loads(row.probe or "{}"))


@router.post("/agencies/{code}/drop", dependencies=[needs("agencies.reach")])
def set_drop(call: Calling, code: Word, given: Drop) -> DropTold:
    """It is reached so from now on."""
    lines = [hostkeys.typed(line) for line in given.host_keys]
    onboarding.reach(
        call.desk, code, given.kind, host=given.host, port=given.port, username=given.username, host_keys=lines,
        root=handed.folder_of(call.desk, given.root) if given.kind == "folder" else None, to_agency=given.to_agency,
        from_agency=given.from_agency, stated=given.limits, renames=given.renames,
    )  # fmt: skip
    return get_drop(call, code)


@router.post("/agencies/{code}/probe", dependencies=[needs("agencies.reach")], status_code=202)
def probe_drop(call: Calling, code: Word) -> JobShape:  # type: ignore[valid-type]
    """A job tries its server out."""
    return _job(call, "probe", code)


def _job(call: Calling, verb: str, code: str, **more: str) -> dict[str, Any]:
    with call.desk.database.read() as connection:
        exchange.agency(connection, code)
    number = jobs.ask(call.desk, verb, {"agency": code, **more})
    return dict(jobs.found(call.desk, number)._mapping)  # noqa: SLF001 - SQLAlchemy's public name


# -- host keys ---------------------------------------------------------------------------------------------------------


@router.get("/agencies/{code}/host-keys", dependencies=[needs("agencies.see")])
def list_host_keys(call: Calling, code: Word) -> Listed[HostKeyShape]:  # type: ignore[valid-type]
    """Every host key that was ever pinned of it, or asked for, the newest first."""
    return Listed(items=hostkeys.listed(call.desk, code))


@router.post("/agencies/{code}/host-keys", dependencies=[needs("agencies.keys")], status_code=201)
def add_host_key(call: Calling, code: Word, given: NewHostKey) -> Listed[HostKeyShape]:  # type: ignore[valid-type]
    """It is pinned, or waits for a second person."""
    hostkeys.add(
        call.desk, code, hostkeys.typed(given.line), begins=in_utc(given.begins), ends=in_utc(given.until),
        others_until=in_utc(given.old_until),
    )  # fmt: skip
    return list_host_keys(call, code)


def in_utc(at: datetime | None) -> datetime | None:
    """The instant. Raises UsageError where nobody says in which zone it is."""
    if at is not None and at.tzinfo is None:
        raise UsageError("an instant says its offset", fix="write 2026-12-01T09:00:00+08:00")
    return at


@router.post("/agencies/{code}/host-keys/approve", dependencies=[needs("agencies.keys_approve")], status_code=204)
def approve_host_key(call: Calling, code: Word, given: Fingerprint) -> None:
    """A second person has compared the fingerprint with the agency."""
    hostkeys.approve(call.desk, code, given.fingerprint)


@router.post("/agencies/{code}/host-keys/retire", dependencies=[needs("agencies.keys")], status_code=204)
def retire_host_key(call: Calling, code: Word, given: Retired) -> None:
    """It is accepted no more."""
    hostkeys.retire(call.desk, code, given.fingerprint, at=in_utc(given.at), anyway=given.anyway)


# -- keys --------------------------------------------------------------------------------------------------------------


@router.get("/agencies/{code}/keys", dependencies=[needs("agencies.see")])
def list_agency_keys(call: Calling, code: Word) -> Listed[KeyShape]:
    """Its sealing keys, pinned and asked for, the newest first."""
    return Listed(items=[KeyShape(**one) for one in rotation.listed(call.desk, code)])


@router.post("/agencies/{code}/keys", dependencies=[needs("agencies.keys")], status_code=201)
def hand_agency_keys_in(call: Calling, code: Word, given: PublicKeys) -> Listed[KeyShape]:
    """They are pinned, or wait for a second person."""
    rotation.trust(
        call.desk, code, given.encrypt, given.verify or given.encrypt, begins=in_utc(given.begins),
        ends=in_utc(given.until), others_until=in_utc(given.old_until),
    )  # fmt: skip
    return list_agency_keys(call, code)


@router.post(
    "/agencies/{code}/keys/{request_id}/approve", dependencies=[needs("agencies.keys_approve")], status_code=204
)
def approve_agency_keys(call: Calling, code: Word, request_id: Number, given: ReadOut) -> None:
    """A second person has compared both fingerprints with the agency."""
    rotation.approve(call.desk, code, request_id, encrypt=given.encrypt, verify=given.verify)


@router.post("/agencies/{code}/keys/{request_id}/withdraw", dependencies=[needs("agencies.keys")], status_code=204)
def withdraw_agency_keys(call: Calling, code: Word, request_id: Number) -> None:
    """Nothing comes of the request."""
    rotation.withdraw(call.desk, code, request_id)


@router.post("/agencies/{code}/keys/revoke", dependencies=[needs("agencies.keys")], status_code=204)
def revoke_agency_key(call: Calling, code: Word, given: Generation) -> None:
    """A key of the agency counts no more, at once."""
    with call.desk.database.read() as connection:
        exchange.agency(connection, code)
    rotation.revoke(call.desk, code, given.generation)


@router.get("/keys", dependencies=[needs("agencies.see")])
def list_own_keys(call: Calling) -> Listed[OwnKey]:
    """Our own sealing pairs, with the days they have left; no secrets."""
    lines = call.desk.keyring.inventory(call.desk.now())
    return Listed(items=[OwnKey(**line) for line in lines if line["purpose"] == "own"])


@router.post("/keys", dependencies=[needs("keys.change")], status_code=201)
def renew_own_key(call: Calling, given: Renewed) -> Listed[OwnKey]:
    """A new pair of ours is made; agencies hear of it before it signs."""
    made = rotation.rotate_own(
        call.desk, given.suite, begins=in_utc(given.begins), days=given.days, older_until=in_utc(given.old_until),
        announce=given.announce,
    )  # fmt: skip
    if made.announced_to:
        jobs.ask(call.desk, "deliver", {})
    return list_own_keys(call)


@router.post("/keys/revoke", dependencies=[needs("keys.change")], status_code=204)
def revoke_own_key(call: Calling, given: OwnGeneration) -> None:
    """A pair of ours counts no more, at once."""
    rotation.revoke_own(call.desk, given.owner, given.generation)


# -- contracts ---------------------------------------------------------------------------------------------------------


@router.get("/contracts", dependencies=[needs("agencies.see")])
def list_contracts(call: Calling, lender: Word = "", agency: Word = "") -> Listed[ContractShape]:  # type: ignore[valid-type]
    """Every contract in force or once in force."""
    with call.desk.database.read() as connection:
        return Listed(items=agreed.listed(connection, lender or None, agency or None))


@router.get("/contracts/proposals", dependencies=[needs("agencies.see")])
def list_contract_proposals(call: Calling) -> Listed[ProposalShape]:  # type: ignore[valid-type]
    """Terms that are put up, and what became of them, the newest first."""
    with call.desk.database.read() as connection:
        return Listed(items=agreed.proposals(connection))


@router.post("/contracts", dependencies=[needs("contracts.change")], status_code=202)
def propose_contract(call: Calling, given: Terms) -> Listed[ProposalShape]:  # type: ignore[valid-type]
    """The terms are put up; where the agency holds accounts they wait for a second person."""
    contracts.propose(call.desk, given.agency, given.lender, given.terms, given.effective_from, given.why)
    return list_contract_proposals(call)


@router.post("/contracts/proposals/{proposal_id}/approve", dependencies=[needs("contracts.approve")], status_code=204)
def approve_contract(call: Calling, proposal_id: Number) -> None:
    """The proposed terms are in force from their day on."""
    contracts.approve(call.desk, proposal_id)


@router.post("/contracts/proposals/{proposal_id}/withdraw", dependencies=[needs("contracts.change")], status_code=204)
def withdraw_contract(call: Calling, proposal_id: Number) -> None:
    """Nothing comes of the proposal."""
    contracts.withdraw(call.desk, proposal_id)


# -- certification -----------------------------------------------------------------------------------------------------


@router.get("/agencies/{code}/certification", dependencies=[needs("agencies.see")])
def get_certification(call: Calling, code: Word) -> Standing:
    """How it stands: the newest run step by step, and its certificate."""
    with call.desk.database.read() as connection:
        found = certificates.standing(connection, call.desk, code)
    told = Standing(
        needed=found.needed, state=found.state, level=found.level, certificate_id=found.certificate_id,
        valid_until=found.valid_until,
    )  # fmt: skip
    try:
        run, steps = certification.status(call.desk, code)
    except UsageError:
        return told
    said = {"run": RunShape.model_validate(run), "steps": [StepShape(**one) for one in records(steps)]}
    return told.model_copy(update=said)


@router.post("/agencies/{code}/certification", dependencies=[needs("agencies.certify")], status_code=202)
def certify_agency(call: Calling, code: Word, given: LevelAsked) -> JobShape:  # type: ignore[valid-type]
    """A job opens the certification and sends its test placement; asked again, it goes on."""
    return _job(call, "certify", code, level=given.level)


@router.post("/agencies/{code}/certification/fingerprints", dependencies=[needs("agencies.certify")], status_code=204)
def compare_fingerprints(call: Calling, code: Word, given: Compared) -> None:
    """What was compared by telephone is on record; a fingerprint that differs stops the certification."""
    handed.compared(call.desk, code, given.sign, given.encrypt, ours=given.ours_confirmed)


@router.post("/agencies/{code}/certification/give-up", dependencies=[needs("agencies.certify")], status_code=204)
def give_certification_up(call: Calling, code: Word) -> None:
    """The open certification has ended without a certificate."""
    certification.give_up(call.desk, code)


@router.post("/agencies/{code}/waiver", dependencies=[needs("agencies.certify")], status_code=204)
def ask_for_waiver(call: Calling, code: Word, given: Waiver) -> None:
    """A waiver is asked for; it counts when somebody of compliance grants it."""
    certificates.ask_waiver(call.desk, code, given.level, given.reason)


@router.post("/agencies/{code}/waiver/grant", dependencies=[needs("waivers.grant")], status_code=204)
def grant_waiver(call: Calling, code: Word) -> None:
    """The agency may work without a certificate for a while."""
    certificates.grant_waiver(call.desk, code)


# -- evidence and layouts ----------------------------------------------------------------------------------------------


@router.get("/agencies/{code}/evidence", dependencies=[needs("agencies.see")])
def list_evidence(call: Calling, code: Word) -> Listed[EvidenceShape]:
    """The evidence on record, by kind."""
    with call.desk.database.read() as connection:
        exchange.agency(connection, code)
        rows = records(diligence.listed(connection, code))
    return Listed(items=[EvidenceShape(**row) for row in rows])


@router.get("/agencies/{code}/evidence/due", dependencies=[needs("agencies.see")])
def list_evidence_due(call: Calling, code: Word) -> Listed[Need]:
    """What the rule packs ask for, and how the agency stands with it."""
    return Listed(items=[Need(**row) for row in diligence.wanted(call.desk, diligence.WARN_DAYS, code)])


@router.post("/agencies/{code}/evidence", dependencies=[needs("diligence.change")], status_code=201)
def add_evidence(
    call: Calling,
    code: Word,
    kind: Annotated[str, Form(max_length=40)],
    since: FormDay = None,
    until: FormDay = None,
    reference: Annotated[str, Form(max_length=120)] = "",
    document: Annotated[UploadFile | None, File()] = None,
) -> EvidenceShape:
    """Evidence is on record: a document with its hash, or a reference."""
    made = handed.evidence(call.desk, code, kind, _iso(since), _iso(until), reference, document)
    return EvidenceShape.model_validate(made)


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


@router.get("/layouts", dependencies=[needs("agencies.see")])
def list_layouts(call: Calling) -> Listed[LayoutShape]:
    """The layouts of plain files, and who uses them."""
    return Listed(items=[LayoutShape(**one) for one in layouts.known(call.desk)])


@router.post("/agencies/{code}/layout", dependencies=[needs("layouts.change")], status_code=204)
def agree_on_layout(call: Calling, code: Word, given: Agreed) -> None:
    """The agency's files are in that layout from now on."""
    handed.agree(call.desk, code, given.layout)


# -- schedules ---------------------------------------------------------------------------------------------------------


@router.get("/schedules", dependencies=[needs("schedules.see")])
def list_schedules(call: Calling) -> Listed[ScheduleShape]:
    """What runs by itself, and when next."""
    with seated_here(call.desk):
        try:
            board = schedules.board()
        except ConfigurationError:  # the server went away: what would run is told all the same
            board = schedules.without_a_server()
    return Listed(items=[ScheduleShape.model_validate(one) for one in board.schedules])


@router.post("/schedules/{name}/pause", dependencies=[needs("schedules.change")], status_code=204)
def pause_schedule(call: Calling, name: Word) -> None:
    """It does not run by itself until somebody resumes it."""
    _switched(call, name, paused=True)


@router.post("/schedules/{name}/resume", dependencies=[needs("schedules.change")], status_code=204)
def resume_schedule(call: Calling, name: Word) -> None:
    """It runs by itself again."""
    _switched(call, name, paused=False)


def _switched(call: Calling, name: str, *, paused: bool) -> None:
    try:
        with seated_here(call.desk):
            (schedules.pause if paused else schedules.resume)(name)
    except ConfigurationError as gone:  # no server keeps the schedules now: nothing of ours is wrong
        raise Findings(str(gone), fix=gone.fix) from None
