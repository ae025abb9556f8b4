"""Models of who pays, by program: what they are used for, age bands for a fit, whether one still fits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, File, UploadFile
from pydantic import BaseModel, Field

from console.web.api.book import job_of
from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.intake import JobShape
from console.web.api.shapes import Given, Number, Text, Word
from console.web.uploading import SealedForms
from infra import jobs, uploads
from infra.propensity import switching, versions
from infra.propensity.switching import Mode

router = APIRouter(responses=PROBLEMS, route_class=SealedForms)

Version = Annotated[str, Field(pattern=r"^[0-9]{1,9}$", description="the proposal's number")]


class UseVersion(BaseModel):
    """One decision about what models are used for, and what became of it."""

    version: str
    propensity: Mode
    why: str
    state: str
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    in_force_from: datetime | None
    in_force_until: datetime | None
    reason: str | None = Field(description="why it was withdrawn")


class UseShape(BaseModel):
    """What models are used for now, and everything that was proposed, the newest first."""

    propensity: Mode
    by_settings: bool = Field(description="the settings of the installation say it, and nobody else does")
    versions: list[UseVersion]


class NewUse(Given):
    """What models are to be used for, and why."""

    propensity: Mode
    why: Text = Field(min_length=1, description="in a sentence, without a debtor's data")


class UseEnded(Given):
    """Why it counts no more."""

    reason: Word = Field(min_length=1, description="up to 200 ASCII characters; it stays on record")


class Bands(BaseModel):
    """Under which name the list waits, for an hour at most."""

    upload: str


@router.get("/propensity/use", dependencies=[needs("propensity.see")])
def get_use(call: Calling) -> UseShape:
    """What models are used for, and who said so."""
    found = switching.standing(call.desk)
    return UseShape(
        propensity=found.mode, by_settings=found.by_settings, versions=[_told(found, row) for row in found.versions]
    )


def _told(found: switching.Standing, row: Any) -> UseVersion:
    use = found.told[row.version]
    kept = {name: getattr(row, name) for name in UseVersion.model_fields if name not in {"propensity", "why"}}
    return UseVersion(propensity=use.mode, why=use.why, **kept)


@router.post("/propensity/use", dependencies=[needs("propensity.switch")], status_code=201)
def propose_use(call: Calling, given: NewUse) -> UseShape:
    """It waits for somebody of compliance."""
    switching.propose(call.desk, given.propensity, given.why)
    return get_use(call)


@router.post("/propensity/use/{version}/approve", dependencies=[needs("propensity.switch_approve")])
def approve_use(call: Calling, version: Version) -> UseShape:
    """Models are used so from now on."""
    switching.approve(call.desk, version)
    return get_use(call)


@router.post("/propensity/use/{version}/withdraw", dependencies=[needs("propensity.switch")])
def withdraw_use(call: Calling, version: Version, given: UseEnded) -> UseShape:
    """It counts no more, or never will; one that is in force is ended by compliance alone."""
    switching.withdraw(call.desk, version, given.reason)
    return get_use(call)


@router.post("/propensity/age-bands", dependencies=[needs("propensity.change")], status_code=201)
def hand_age_bands_in(
    call: Calling, file: Annotated[UploadFile, File(description="a CSV of account_id,age_band, released for this")]
) -> Bands:
    """The list lies sealed, for an hour at most; a fit that names it reads it once, and it is gone."""
    versions.require_on(call.desk)
    return Bands(upload=uploads.keep(call.desk, file.file, file.filename or "", {}))


@router.post("/propensity/models/{model_id}/drift", dependencies=[needs("propensity.see")], status_code=202)
def look_for_drift(call: Calling, model_id: Number) -> JobShape:  # type: ignore[valid-type]
    """A job looks whether today's accounts are like those it was made of, and whether its chances come true."""
    versions.require_on(call.desk)
    with call.desk.database.read() as connection:
        row, _model = versions.named(connection, model_id)
    return job_of(call, jobs.ask(call.desk, "drift", {"lender": row.lender, "model_id": model_id}))
