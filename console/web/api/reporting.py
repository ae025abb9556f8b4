"""Drafts for authorities and minutes, by program: impact, processing, agencies, a data breach."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from console.web.api.door import PROBLEMS, Calling, needs
from console.web.api.onboarding import in_utc
from console.web.api.shapes import Given, Word
from console.web.frames import records
from console.web.pages.audit import drafted
from infra.reports import drafts
from infra.reports.report import Report

router = APIRouter(responses=PROBLEMS)


class Part(BaseModel):
    """One section: its name, and its rows by column."""

    name: str
    columns: list[str]
    rows: list[dict[str, Any]]


class Point(BaseModel):
    """What a person must settle before the report is signed."""

    code: str
    told: dict[str, str | int]


class Draft(BaseModel):
    """A draft, and the audit head that fixes what it rests on; no debtor's values."""

    kind: str
    made_at: datetime
    made_by: str
    audit_head: str
    audit_root: str
    scope: dict[str, Any]
    sections: list[Part]
    points: list[Point]


class Lost(Given):
    """What an agency has lost: everything it was sent, of some days, or one file."""

    agency: Word
    begins: date | None = Field(default=None, description="sent from this day")
    ends: date | None = Field(default=None, description="sent until this day")
    file: Word | None = Field(default=None, description="this file alone, by its name")
    known_at: datetime | None = Field(default=None, description="with its offset; the clocks run from there, else now")


class Affected(BaseModel):
    """One debtor, as the agency knows them."""

    debtor: str
    generation: str


class Pseudonyms(BaseModel):
    """Those of the debtors affected; asking is on record."""

    items: list[Affected]


@router.get("/reports/{kind}", dependencies=[needs("reports.see")])
def get_report(call: Calling, kind: Literal["impact", "processing", "agencies"], lender: Word = "") -> Draft:
    """The draft of that kind, of one lender or of all."""
    return _told(drafted(call.desk, kind, lender))


@router.post("/reports/breach", dependencies=[needs("reports.see")])
def draft_breach_report(call: Calling, given: Lost) -> Draft:
    """Who and what is affected, and by when whom to tell."""
    return _told(drafts.breach(
        call.desk, given.agency, begins=given.begins, ends=given.ends, file=given.file,
        known_at=in_utc(given.known_at),
    ))  # fmt: skip


@router.post("/reports/breach/pseudonyms", dependencies=[needs("reports.see")])
def list_affected_pseudonyms(call: Calling, given: Lost) -> Pseudonyms:
    """The pseudonyms of the debtors affected, once each per generation of the agency's key."""
    found = drafts.affected_pseudonyms(
        call.desk, given.agency, begins=given.begins, ends=given.ends, file=given.file
    )  # fmt: skip
    return Pseudonyms(items=[Affected(**{k: str(v) for k, v in row.items()}) for row in records(found)])


def _told(report: Report) -> Draft:
    parts = [
        Part(name=one.name, columns=list(one.columns), rows=[dict(row) for row in one.rows]) for one in report.sections
    ]
    return Draft(
        kind=report.kind, made_at=report.made_at, made_by=report.made_by, audit_head=report.audit_head,
        audit_root=report.audit_root, scope=dict(report.scope), sections=parts,
        points=[Point(code=one.code, told=dict(one.told)) for one in report.points],
    )  # fmt: skip
