"""The disclosure register and whom an account belongs to: asked with a reason, on record before the answer.

What identifies a debtor is sent in a form's body and never stands in an address; the answer is shown once and kept
nowhere.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Response

from console.web.frames import records
from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.sheets import download
from console.web.visits import Visiting, needs
from infra import register, reidentification
from infra.evidence import files, pages
from infra.register import Question
from infra.store import browsing
from infra.store import register as store
from models.errors import ConsignError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from console.web.visits import Visit
    from infra.register import Answer

router = APIRouter()

QUESTIONS_SHOWN: Final = 50
ERASURES: Final = {
    "held": (later("held"), "plain"), "asked": (later("erasure asked for"), "info"),
    "overdue": (later("overdue"), "bad"), "unsatisfied": (later("unsatisfied"), "bad"),
    "erased": (later("erased"), "good"),
}  # fmt: skip
"""How it stands with what an agency was told: its word, and its colour."""
OUTCOMES: Final = {
    "shown": (later("shown"), "info"), "unknown": (later("nobody found"), "plain"),
    "refused": (later("refused"), "bad"), "asked": (later("not answered"), "warn"),
}  # fmt: skip

Text = Annotated[str, Form()]


@router.get("/disclosures", dependencies=[needs("disclosures.ask")])
def ask(visit: Visiting) -> Response:
    """The question, and who has asked."""
    return _page(visit)


@dataclass(frozen=True)
class Asked:
    """The form as it was filled in; who is asked about stands in no answer."""

    who: str = field(repr=False)
    lender: str
    why: str
    agency: str
    as_of: str

    def question(self) -> Question:
        """What it asks. Raises UsageError for what is no day."""
        return Question(self.lender, self.who.strip(), self.why, self.agency or None, asked.day(self.as_of))

    def again(self) -> dict[str, str]:
        """What the form shows again."""
        return {"lender": self.lender, "why": self.why, "agency": self.agency, "as_of": self.as_of}


def _asked(who: Text = "", lender: Text = "", why: Text = "", agency: Text = "", as_of: Text = "") -> Asked:
    return Asked(who, lender, why, agency, as_of)


Asking = Annotated[Asked, Depends(_asked)]


@router.post("/disclosures", dependencies=[needs("disclosures.ask")])
def answer(visit: Visiting, given: Asking) -> Response:
    """Everything that agencies were told about the debtor."""
    try:
        told = register.disclosures(visit.desk, given.question())
    except ConsignError as problem:
        return _page(visit, given.again(), problem=problem)
    return _page(visit, given.again(), told=told)


@router.post("/disclosures/table", dependencies=[needs("disclosures.ask")])
def table(visit: Visiting, given: Asking) -> Response:
    """The same as a CSV; asking for it is a question of its own."""
    try:
        told = register.disclosures(visit.desk, given.question())
    except ConsignError as problem:
        return _page(visit, given.again(), problem=problem)
    return download(pages.csv(told.told), "disclosures.csv", "text/csv; charset=utf-8")


@router.post("/disclosures/evidence", dependencies=[needs("disclosures.ask")])
def evidence(visit: Visiting, given: Asking) -> Response:
    """The same as evidence that anybody can check without the store."""
    try:
        made, _ = files.export(visit.desk, given.question())
    except ConsignError as problem:
        return _page(visit, given.again(), problem=problem)
    return download(json.dumps(made, ensure_ascii=False, indent=1) + "\n", "evidence.json", "application/json")


def _page(
    visit: Visit, given: dict[str, str] | None = None, *, told: Answer | None = None,
    problem: ConsignError | None = None,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
        questions = records(store.questions(connection, None, QUESTIONS_SHOWN))
    by_agency = {} if told is None else {code: _files(part) for code, part in told.told.groupby("agency", sort=True)}
    return visit.page(
        "compliance/disclosures.html", told=told, by_agency=by_agency, given=defaultdict(str, given or {}),
        lenders=lenders, agencies=agencies, questions=questions, erasures=ERASURES, problem=problem,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _files(part: pd.DataFrame) -> list[dict[str, Any]]:
    """What an agency was told, file by file: what holds of the file, and `rows` of a field and its treatment each."""
    about = [name for name in part.columns if name not in {"agency", "field", "treatment", "value_class"}]
    return [
        {**records(some.head(1))[0], "rows": records(some[["field", "treatment"]])}
        for _, some in part.groupby(about, sort=False, dropna=False)
    ]


# -- whom an account belongs to ----------------------------------------------------------------------------------------


@router.get("/identities", dependencies=[needs("identities.ask")])
def ask_identity(visit: Visiting) -> Response:
    """The question, and who has asked."""
    return _identity(visit)


@router.post("/identities", dependencies=[needs("identities.ask")])
def show_identity(
    visit: Visiting,
    who: Text = "",
    of: Text = "",
    why: Text = "",
    whole: Text = "",
    fields: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """The fields, masked unless the whole was asked for; once."""
    kind, _, code = of.partition(":")
    given = {"of": of, "why": why, "whole": whole, "fields": fields}
    try:
        told = reidentification.show(
            visit.desk, who.strip(), fields, why, agency=code if kind == "agency" else None,
            lender=code if kind == "lender" else None, whole=bool(whole),
        )  # fmt: skip
    except ConsignError as problem:
        return _identity(visit, given, problem=problem)
    return _identity(visit, given, told=told)


def _identity(
    visit: Visit, given: Mapping[str, object] | None = None, *, told: dict[str, str | None] | None = None,
    problem: ConsignError | None = None,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    return visit.page(
        "compliance/identities.html", told=told, given=defaultdict(str, given or {}), problem=problem,
        outcomes=OUTCOMES, names=reidentification.FIELDS,
        questions=reidentification.asked(visit.desk)[:QUESTIONS_SHOWN],
        sources=[("", "–"), *((f"lender:{code}", name) for code, name in lenders.items()),
                 *((f"agency:{code}", name) for code, name in agencies.items())],
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip
