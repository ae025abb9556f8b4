"""Taking a portfolio in: a file is handed in, checked, looked at, and only then taken in; and the lenders it is of."""

from __future__ import annotations

import csv
import json
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import available_timezones

from fastapi import APIRouter, Form, Response, UploadFile
from starlette.exceptions import HTTPException

from connectors.portfolio import load_profile, shipped_profiles
from console.web import sheets
from console.web.frames import records
from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.uploading import SealedForms
from console.web.visits import Visiting, needs
from flows.intake import share
from flows.lenders import add_lender
from infra import jobs, uploads
from infra.store import browsing, exchange, portfolios
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError
from models.intake.codes import CODES
from models.intake.fields import ACCOUNT_FIELDS
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from console.web.visits import Visit
    from infra.uploads import Upload

router = APIRouter(route_class=SealedForms)

Text = Annotated[str, Form()]
KINDS: Final = (".csv", ".txt", ".tsv", ".xlsx", ".parquet")
"""What the console takes; packed text is unpacked by whoever hands it in."""
SHOWN: Final = 200
"""Findings on the page; the file to take away has all."""
CSV: Final = "text/csv; charset=utf-8"
COUNTRIES: Final = {
    "CN": later("China"), "HK": later("Hong Kong"), "TW": later("Taiwan"), "SG": later("Singapore"),
    "DE": later("Germany"), "GB": later("United Kingdom"), "US": later("United States"),
}  # fmt: skip
"""Offered for a lender; any other of ISO 3166 is written."""


# -- handing in --------------------------------------------------------------------------------------------------------


@router.get("/portfolios/new", dependencies=[needs("portfolios.import")])
def new(visit: Visiting, lender: str = "") -> Response:
    """The form."""
    return _new(visit, {"lender": lender})


def _new(visit: Visit, given: Mapping[str, str], *, error: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
    loaded = [load_profile(name) for name in shipped_profiles()]
    return visit.page(
        "intake/new.html", status=status_of(error) if error else 200, lenders=lenders, profiles=loaded, error=error,
        given=given, kinds=", ".join(KINDS), most=visit.desk.settings.upload_bytes >> 20, today=visit.desk.today(),
    )  # fmt: skip


@router.post("/portfolios/new", dependencies=[needs("portfolios.import")])
def hand_in(
    visit: Visiting,
    file: UploadFile,
    lender: Text = "",
    profile: Text = "",
    as_of: Text = "",
    threshold: Text = "0",
) -> Response:
    """The file lies sealed; a job checks it. Nothing has come in."""
    given = {"lender": lender, "profile": profile, "as_of": as_of, "threshold": threshold}
    try:
        upload = handed_in(visit.desk, file, given)
    except ConsignError as error:
        return _new(visit, given, error=error)
    return visit.go(f"/portfolios/new/{upload}")


def handed_in(desk: Any, file: UploadFile, given: Mapping[str, str]) -> str:
    """The upload's name; the job that checks it is asked for. Raises UsageError for what cannot be right."""
    name = uploads.plain_name(file.filename or "")
    if not name.lower().endswith(KINDS):
        raise UsageError(f"a portfolio comes as {', '.join(KINDS)}", fix="save it as one of these")
    if asked.day(given["as_of"]) is None:
        raise UsageError("of which day is the file?", fix="give the day of the snapshot")
    with desk.database.read() as connection:
        exchange.lender_timezone(connection, given["lender"])
    load_profile(asked.one_of(given["profile"], shipped_profiles()))
    share(given["threshold"])
    upload = uploads.keep(desk, file.file, name, given)
    jobs.ask(desk, "check_portfolio", {"upload": upload})
    return upload


# -- looking at it -----------------------------------------------------------------------------------------------------


@router.get("/portfolios/new/{upload}", dependencies=[needs("portfolios.import")])
def look(visit: Visiting, upload: str, code: str = "") -> Response:
    """What would come in and what would not; how far the job is, until it ends. The part alone where the page asks."""
    checked, taken = jobs_of(visit.desk, upload)
    is_over = taken is not None and taken.state == "done"
    held = None if is_over else mine(visit.desk, upload)  # what is in is kept no longer
    result = _told(taken if is_over else checked)
    lines, fraction = uploads.noted(visit.desk, upload)
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
    told: dict[str, Any] = {
        "name": upload, "upload": held, "checked": checked, "taken": taken, "result": result, "lines": lines,
        "fraction": fraction, "lenders": lenders, "code": code, "codes": CODES, "shown": SHOWN, "columns": None,
        "found": [], "is_over": is_over, "kept": uploads.KEPT,
    }  # fmt: skip
    if held is not None and result:
        told |= {"found": found_in(visit.desk, upload, code), "columns": columns_of(held.words["profile"], result)}
    return visit.page("intake/looked.html" if visit.is_partial else "intake/look.html", **told)


def _told(job: Row[Any]) -> dict[str, Any]:
    """What came of a job; nothing before its end."""
    told: dict[str, Any] = json.loads(job.result or "{}") if job.state == "done" else {}
    return told


def jobs_of(desk: Any, upload: str) -> tuple[Row[Any], Row[Any] | None]:
    """The newest job that checks the upload, and the newest that takes it in. 404 where it is not of who asks."""
    checked = jobs.newest(desk, "check_portfolio", {"upload": upload})
    if checked is None or checked.actor != desk.actor:
        raise HTTPException(404)
    return checked, jobs.newest(desk, "import_portfolio", {"upload": upload})


def mine(desk: Any, upload: str) -> Upload:
    """The upload, where it is of who asks. Raises UploadGone."""
    held = uploads.found(desk, upload)
    if held.by != desk.actor:
        raise HTTPException(404)
    return held


def found_in(desk: Any, upload: str, code: str = "", after: int = 0) -> list[dict[str, str]]:
    """What the check found, in the order of the lines: line, field, code, fix, outcome; never a value."""
    path = uploads.findings_path(desk, upload)
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = (row for row in csv.DictReader(file) if code in {"", row["code"]})
        return list(islice(rows, after, after + SHOWN))


def columns_of(profile: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """How the profile reads the file: our fields with the columns they come from, and the columns nobody reads."""
    chosen = load_profile(profile)
    header = result.get("header", {}).get("columns", [])
    mapped = [
        (name, ", ".join(chosen.columns[name].columns) if name in chosen.columns else "") for name in chosen.fields
    ]
    return {
        "mapped": mapped,
        "unread": [name for name in header if name and name not in chosen.needed],
        "missing": [name for name in ACCOUNT_FIELDS if name not in chosen.fields],
    }


@router.get("/portfolios/new/{upload}/findings.csv", dependencies=[needs("portfolios.import")])
def findings(visit: Visiting, upload: str) -> Response:
    """Every finding of the check, to take away."""
    held = mine(visit.desk, upload)
    path = uploads.findings_path(visit.desk, upload)
    content = path.read_text(encoding="utf-8") if path.is_file() else "line,field,code,fix,outcome\n"
    return sheets.download(content, f"{held.name}-findings.csv", CSV)


@router.post("/portfolios/new/{upload}/import", dependencies=[needs("portfolios.import")])
def take_in(visit: Visiting, upload: str) -> Response:
    """A job takes it in as it was checked."""
    asked_for(visit.desk, upload)
    return visit.go(f"/portfolios/new/{upload}")


def asked_for(desk: Any, upload: str) -> int:
    """The job that takes the upload in. Raises UsageError where it was not checked, or too much of it is refused."""
    checked, _ = jobs_of(desk, upload)
    mine(desk, upload)
    state = _told(checked).get("state")
    if state is None:
        raise UsageError("the file has not been checked", fix="wait for its check, or hand it in again")
    if state == "refused":
        raise UsageError("more lines are refused than are let pass", fix="mend the file, or let more lines be refused")
    return jobs.ask(desk, "import_portfolio", {"upload": upload})


@router.post("/portfolios/new/{upload}/drop", dependencies=[needs("portfolios.import")])
def drop(visit: Visiting, upload: str) -> Response:
    """The file is gone."""
    mine(visit.desk, upload)
    uploads.drop(visit.desk, upload)
    return visit.go("/portfolios", visit.say("The file is gone. Nothing came in."))


@router.get("/portfolios/{portfolio_id}/rejects.csv", dependencies=[needs("portfolios.see")])
def rejects(visit: Visiting, portfolio_id: int) -> Response:
    """The refused lines of a portfolio: line, field, code and what to do; never the value."""
    with visit.desk.database.read() as connection:
        browsing.portfolio(connection, portfolio_id)
        rows = portfolios.rejects(connection, portfolio_id)
    kept = defused(rows[["line", "field", "code", "fix"]].sort_values("line", kind="stable"))
    return sheets.download(
        str(kept.to_csv(index=False, lineterminator="\n")), f"portfolio-{portfolio_id}-rejects.csv", CSV
    )


# -- lenders -----------------------------------------------------------------------------------------------------------


@router.get("/lenders", dependencies=[needs("portfolios.see")])
def lenders(visit: Visiting) -> Response:
    """The lenders whose accounts are placed."""
    return _lenders(visit, {})


def _lenders(visit: Visit, given: Mapping[str, str], *, error: ConsignError | None = None) -> Response:

    def count() -> dict[str, int]:
        with visit.desk.database.read() as connection:
            return {row["lender"]: row["accounts_open"] for row in records(portfolios.lenders(connection))}

    with visit.desk.database.read() as connection:
        rows = portfolios.lender_rows(connection)
    return visit.page(
        "intake/lenders.html", status=status_of(error) if error else 200, rows=rows, error=error, given=given,
        accounts=FIGURES.count(visit.desk, "lenders", count).value,
        countries=COUNTRIES, zones=sorted(available_timezones()),
    )  # fmt: skip


@router.post("/lenders", dependencies=[needs("lenders.change")])
def add(
    visit: Visiting, lender: Text = "", name: Text = "", country: Text = "CN", timezone: Text = "Asia/Shanghai"
) -> Response:
    """One more lender; the same again changes nothing."""
    given = {"lender": lender.strip(), "name": name.strip(), "country": country.strip().upper(), "timezone": timezone}
    try:
        if not given["name"]:
            raise UsageError(visit.say("A lender has a name."), fix=visit.say("Give it as on the contract."))
        if len(given["country"]) != 2 or not given["country"].isalpha():  # noqa: PLR2004 - ISO 3166
            raise UsageError(visit.say("A country is two letters."), fix=visit.say("Write it as in CN."))
        with seated_here(visit.desk):
            made = add_lender(given["lender"], given["name"], given["country"], timezone)
    except ConsignError as error:
        return _lenders(visit, given, error=error)
    told = visit.say("Added. Next: take its first portfolio in.") if made.added else visit.say("It was there already.")
    return visit.go("/lenders", told)
