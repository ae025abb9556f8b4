"""Taking a portfolio in: a file is handed in, checked, looked at, and only then taken in; and the lenders it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import available_timezones

from fastapi import APIRouter, Form, Response, UploadFile

from console.web import handed, sheets
from console.web.frames import records
from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.uploading import SealedForms
from console.web.visits import Visiting, needs
from flows.lenders import add_lender
from infra import profiles, uploads
from infra.store import browsing, portfolios
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError
from models.intake.codes import CODES
from models.intake.fields import ACCOUNT_FIELDS
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.web.visits import Visit

router = APIRouter(route_class=SealedForms)

Text = Annotated[str, Form()]
UNFIT: Final = 422
"""What was typed is wrong; nothing is wrong with the installation."""
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
    with seated_here(visit.desk):
        loaded = [profiles.find(name) for name in profiles.SHELF.names()]
    return visit.page(
        "intake/new.html", status=status_of(error) if error else 200, lenders=lenders, profiles=loaded, error=error,
        given=given, kinds=", ".join(handed.KINDS), most=visit.desk.settings.upload_bytes >> 20,
        today=visit.desk.today(),
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
        upload = handed.handed_in(visit.desk, file, given)
    except ConsignError as error:
        return _new(visit, given, error=error)
    return visit.go(f"/portfolios/new/{upload}")


# -- looking at it -----------------------------------------------------------------------------------------------------


@router.get("/portfolios/new/{upload}", dependencies=[needs("portfolios.import")])
def look(visit: Visiting, upload: str, code: str = "") -> Response:
    """What would come in and what would not; how far the job is, until it ends. The part alone where the page asks."""
    checked, taken = handed.jobs_of(visit.desk, upload)
    over = taken if taken is not None and taken.state == "done" else None
    held = None if over is not None else handed.mine(visit.desk, upload)  # what is in is kept no longer
    result = handed.told(over or checked)
    lines, fraction = uploads.noted(visit.desk, upload)
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
    told: dict[str, Any] = {
        "name": upload, "upload": held, "checked": checked, "taken": taken, "result": result, "lines": lines,
        "fraction": fraction, "lenders": lenders, "code": code, "codes": CODES, "shown": handed.SHOWN, "columns": None,
        "found": [], "is_over": over is not None, "kept": uploads.KEPT,
    }  # fmt: skip
    if held is not None and result:
        told |= {
            "found": handed.found_in(visit.desk, upload, code),
            "columns": handed.columns_of(visit.desk, held.words["profile"], result),
        }
    return visit.page("intake/looked.html" if visit.is_partial else "intake/look.html", **told)


@router.get("/portfolios/new/{upload}/findings.csv", dependencies=[needs("portfolios.import")])
def findings(visit: Visiting, upload: str) -> Response:
    """Every finding of the check, to take away."""
    held = handed.mine(visit.desk, upload)
    path = uploads.findings_path(visit.desk, upload)
    content = path.read_text(encoding="utf-8") if path.is_file() else "line,field,code,fix,outcome\n"
    return sheets.download(content, f"{held.name}-findings.csv", CSV)


@router.post("/portfolios/new/{upload}/import", dependencies=[needs("portfolios.import")])
def take_in(visit: Visiting, upload: str) -> Response:
    """A job takes it in as it was checked."""
    handed.asked_for(visit.desk, upload)
    return visit.go(f"/portfolios/new/{upload}")


@router.post("/portfolios/new/{upload}/drop", dependencies=[needs("portfolios.import")])
def drop(visit: Visiting, upload: str) -> Response:
    """The file is gone."""
    handed.mine(visit.desk, upload)
    uploads.drop(visit.desk, upload)
    return visit.go("/portfolios", visit.say("The file is gone. Nothing came in."))


@router.get("/portfolios/{portfolio_id}/rejects.csv", dependencies=[needs("portfolios.see")])
def rejects(visit: Visiting, portfolio_id: int) -> Response:
    """The refused lines of a portfolio: line, field, code and what to do; never the value."""
    with visit.desk.database.read() as connection:
        browsing.portfolio(connection, portfolio_id)
        rows = portfolios.rejects(connection, portfolio_id)
    told = rows[["line", "field", "code", "fix"]].sort_values("line", kind="stable")
    content = str(defused(told).to_csv(index=False, lineterminator="\n"))
    return sheets.download(content, f"portfolio-{portfolio_id}-rejects.csv", CSV)


# -- how columns are read ----------------------------------------------------------------------------------------------


@router.get("/portfolio-profiles", dependencies=[needs("portfolios.import")])
def every_profile(visit: Visiting, name: str = "") -> Response:
    """The mapping profiles there are; beside them one, field by field."""
    return _profiles(visit, name)


def _profiles(
    visit: Visit, name: str = "", *, error: ConsignError | None = None, text: str = "", sound: str = ""
) -> Response:
    with seated_here(visit.desk):
        known = [profiles.find(one) for one in profiles.SHELF.names()]
        one = profiles.find(asked.one_of(name, profiles.SHELF.names())) if name else None
    toml = profiles.text_of(visit.desk, name) if name else ""
    return visit.page(
        "intake/profiles.html", status=UNFIT if error else 200, known=known, one=one, toml=toml, text=text,
        sound=sound, error=error, fields=ACCOUNT_FIELDS,
    )  # fmt: skip


@router.post("/portfolio-profiles", dependencies=[needs("portfolios.import")])
def keep_profile(visit: Visiting, text: Text = "", keep: Text = "") -> Response:
    """A profile is checked, and kept below home where that is asked for."""
    plain = text.replace("\r\n", "\n")
    try:
        made = profiles.keep(visit.desk, plain, dry_run=not keep)
    except ConsignError as error:
        return _profiles(visit, error=error, text=plain)
    if keep:
        return visit.go(f"/portfolio-profiles?name={made.name}", visit.say("Kept."))
    return _profiles(visit, text=plain, sound=made.reference)


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
        accounts=FIGURES.count(visit.desk, "lenders", count, dict[str, int]).value,
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
