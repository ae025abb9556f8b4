"""How an agency's server is reached, by program: the host keys it shows, our client keys there, its circuit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from console.web.api.book import job_of
from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.intake import JobShape
from console.web.api.shapes import Given, Listed, Word
from infra import breaker, credentials, jobs, rotation
from infra.store import exchange

router = APIRouter(responses=PROBLEMS)


class CredentialShape(BaseModel):
    """One of our client keys at an agency's server; its secret half stays in the keyring."""

    model_config = ConfigDict(from_attributes=True)
    generation: str
    fingerprint: str
    state: str
    begins: datetime
    ends: datetime | None
    days_left: int | None
    accepted: datetime | None = Field(description="when the server last let us in with it")
    refused: datetime | None
    line: str = Field(description="for the agency's `authorized_keys`")


class RetiredCredential(Given):
    """Which client key is offered no more."""

    generation: Word
    anyway: bool = Field(default=False, description="although no other one was let in: it was lost")


class Announced(Given):
    """Which pair of ours agencies are told of."""

    suite: Literal["age", "openpgp"]
    generation: Word
    lender: Word | None = Field(default=None, description="the pair of this lender alone")


class Told(BaseModel):
    """Those for whom it is new."""

    agencies: list[str]


class Circuit(BaseModel):
    """Whether its server was left in peace until now."""

    reset: bool


@router.post("/agencies/{code}/host-keys/scan", dependencies=[needs("agencies.keys")], status_code=202)
def scan_host_keys(call: Calling, code: Word) -> JobShape:  # type: ignore[valid-type]
    """A job looks at the host keys that the server shows, beside those that are pinned; nothing is trusted for that."""
    return _job(call, "scan_host", code)


@router.get("/agencies/{code}/credentials", dependencies=[needs("agencies.see")])
def list_credentials(call: Calling, code: Word) -> Listed[CredentialShape]:
    """Our client keys at its server, the newest first."""
    return Listed(items=[CredentialShape.model_validate(one) for one in credentials.listed(call.desk, code)])


@router.post("/agencies/{code}/credentials", dependencies=[needs("agencies.keys")], status_code=201)
def rotate_credential(call: Calling, code: Word) -> CredentialShape:
    """A new client key stands beside the old one; the agency adds its line, then it is confirmed."""
    return CredentialShape.model_validate(credentials.rotate(call.desk, code))


@router.post("/agencies/{code}/credentials/confirm", dependencies=[needs("agencies.keys")], status_code=202)
def confirm_credential(call: Calling, code: Word) -> JobShape:  # type: ignore[valid-type]
    """A job logs in with the newest client key alone."""
    return _job(call, "confirm_login", code)


@router.post("/agencies/{code}/credentials/retire", dependencies=[needs("agencies.keys")])
def retire_credential(call: Calling, code: Word, given: RetiredCredential) -> CredentialShape:
    """The key is offered to its server no more."""
    return CredentialShape.model_validate(
        credentials.retire(call.desk, code, given.generation, anyway=given.anyway)
    )  # fmt: skip


@router.post("/agencies/{code}/circuit/reset", dependencies=[needs("agencies.change")])
def reset_circuit(call: Calling, code: Word) -> Circuit:
    """Its server is asked again at the next run."""
    _known(call, code)
    return Circuit(reset=breaker.reset(call.desk, code))


@router.post("/keys/announce", dependencies=[needs("keys.change")])
def announce_own_key(call: Calling, given: Announced) -> Told:
    """Every agency that seals this way is told of a pair of ours, each once; a job sends it."""
    told = rotation.announce_own(call.desk, given.suite, given.generation, lender=given.lender or "")
    if told:
        jobs.ask(call.desk, "deliver", {})
    return Told(agencies=list(told))


def _known(call: Calling, code: str) -> None:
    """Raise what says that nobody is called so."""
    with call.desk.database.read() as connection:
        exchange.agency(connection, code)


def _job(call: Calling, verb: str, code: str) -> dict[str, Any]:
    _known(call, code)
    return job_of(call, jobs.ask(call.desk, verb, {"agency": code}))
