"""The portal of an agency's own people: what to do next, keys, files, statements, scorecard, erasures of their own.

Nothing here takes the agency from an address or a form: it is that of the person who is signed in, and every query is
bounded by it. What is another's does not exist.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, File, Form, Response, UploadFile
from markupsafe import Markup
from starlette.exceptions import HTTPException

from console.web import rulewords, sheets, standings
from console.web.frames import records
from console.web.language import later
from console.web.pages import asked
from console.web.pages.conduct import ERASURE_TABS, erasures_counted
from console.web.pages.instalments import STATES as INSTALMENT_STATES
from console.web.pages.scorecards import CLASS, COLOURS, run_of
from console.web.pages.statements import FORMS, stated_file
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.uploading import SealedForms
from console.web.visits import NotAllowed, Visiting, needs
from infra import audit, certificates, certification, rotation
from infra import layouts as agreed_layouts
from infra.filecheck import MAX_BYTES, check_file
from infra.scorecards import pages as scorecards
from infra.store import agreements, assurance, portal, scores, traffic, trail
from models.checking import CODES
from models.errors import ConsignError, UsageError
from models.explaining import EXPLAINED, explained
from models.kinds import INBOUND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.web.visits import Visit
    from infra.filecheck import FileCheck

router = APIRouter(prefix="/portal", route_class=SealedForms)

Text = Annotated[str, Form()]
NOT_THERE: Final = 404
UNFIT: Final = 422
SHOWN: Final = 200
"""Refusals on the page; the workbook has all."""
SAFE_SUFFIX: Final = frozenset({".csv", ".zip", ".txt", ".dat", ".xlsx"})
TABS: Final = {"came": later("Sent by us"), "sent": later("Received from the lender")}


def own_agency(visit: Visiting) -> str:
    """The agency of the person who is signed in. Raises NotAllowed for who has none."""
    if visit.who.agency is None:
        raise NotAllowed(visit.say("The portal is for agencies' own people."), fix=visit.say("Use the other pages."))
    return visit.who.agency


Own = Annotated[str, Depends(own_agency)]


def _there(found: Any) -> Any:
    """What was found. Another agency's is as little there as what never was."""
    if found is None:
        raise HTTPException(NOT_THERE)
    return found


@router.get("", dependencies=[needs("portal.see")])
def home(visit: Visiting, agency: Own) -> Response:
    """What to do next, and how the agency stands."""
    with visit.desk.database.read() as connection:
        row = portal.row(connection, agency)
        standing = certificates.standing(connection, visit.desk, agency)
        terms = portal.contracts(connection, agency)
        newest = traffic.came(connection, agency).rows[:5]
    try:
        run, steps = certification.status(visit.desk, agency)
    except UsageError:
        run, steps = None, None
    return visit.page(
        "portal/home.html", row=row, figures=_figures(visit, agency), standing=standing, contracts=terms,
        newest=newest, run=run, steps=[] if steps is None else records(steps), keys=rotation.listed(visit.desk, agency),
        states=standings.CAME, agencies=standings.AGENCY, certificates=standings.CERTIFICATE, today=visit.desk.today(),
    )  # fmt: skip


def _figures(visit: Visit, agency: str) -> dict[str, int]:
    def count() -> dict[str, int]:
        with visit.desk.database.read() as connection:
            return portal.figures(connection, agency)

    return FIGURES.count(visit.desk, ("portal", agency), count, dict[str, int]).value


# -- keys --------------------------------------------------------------------------------------------------------------


@router.get("/keys", dependencies=[needs("portal.see")])
def keys(visit: Visiting, agency: Own) -> Response:
    """Ours and theirs, with the fingerprints that both sides compare."""
    return _keys(visit, agency)


def _keys(visit: Visit, agency: str, problem: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        row = portal.row(connection, agency)
    ours, missing = None, None
    try:
        ours = visit.desk.keyring.public_keys(row["suite"], visit.desk.now())
    except ConsignError as error:
        missing = error
    return visit.page(
        "portal/keys.html", row=row, ours=ours, missing=missing, theirs=rotation.listed(visit.desk, agency),
        states=standings.KEY, problem=problem, status=200 if problem is None else UNFIT,
    )  # fmt: skip


@router.post("/keys", dependencies=[needs("portal.keys")])
def hand_in(visit: Visiting, agency: Own, encrypt: Text = "", verify: Text = "") -> Response:
    """The agency's new public keys wait until the lender has compared their fingerprints by telephone."""
    try:
        rotation.trust(
            visit.desk, agency, encrypt.replace("\r\n", "\n").strip() + "\n",
            (verify or encrypt).replace("\r\n", "\n").strip() + "\n", always_wait=True,
        )  # fmt: skip
    except ConsignError as problem:
        return _keys(visit, agency, problem)
    return visit.go(
        "/portal/keys", visit.say("Handed in. Read the fingerprints to the lender by telephone: they count after that.")
    )


@router.post("/keys/compared", dependencies=[needs("portal.keys")])
def compared(visit: Visiting, agency: Own, fingerprint: Text = "", encrypt_fingerprint: Text = "") -> Response:
    """The agency has compared the lender's fingerprints with what it was told by another way; on record."""
    with visit.desk.database.read() as connection:
        suite = portal.row(connection, agency)["suite"]
    ours = visit.desk.keyring.public_keys(suite, visit.desk.now())
    if (fingerprint, encrypt_fingerprint) != (ours["fingerprint"], ours["encrypt_fingerprint"]):
        problem = UsageError("the lender's keys have changed since", fix="compare those that the page shows now")
        return _keys(visit, agency, problem)
    with visit.desk.database.write() as connection:
        trail.hold(connection)
        audit.record(
            connection, visit.desk.actor, "agency.our_keys_compared", agency,
            {"fingerprint": fingerprint, "encrypt_fingerprint": encrypt_fingerprint}, visit.desk.now(),
        )  # fmt: skip
    return visit.go("/portal/keys", visit.say("On record: you have compared the lender's keys."))


# -- a file before it is sent ------------------------------------------------------------------------------------------


@router.get("/check", dependencies=[needs("portal.check")])
def check_form(visit: Visiting, agency: Own) -> Response:
    """The form."""
    return _check(visit, agency)


@router.post("/check", dependencies=[needs("portal.check")])
def check(visit: Visiting, agency: Own, file: Annotated[UploadFile, File()], kind: Text = "") -> Response:
    """What the gateway would say of the file. It is neither stored nor delivered."""
    name = plain_name(file.filename)
    try:
        verdict = checked(visit, agency, file, name, kind)
    except ConsignError as problem:
        return _check(visit, agency, problem=problem, kind=kind)
    return _check(visit, agency, name=name, verdict=verdict, kind=kind)


@router.post("/check/report", dependencies=[needs("portal.check")])
def report(visit: Visiting, agency: Own, file: Annotated[UploadFile, File()], kind: Text = "") -> Response:
    """The same as a workbook: every refused line with what to do."""
    name = plain_name(file.filename)
    try:
        verdict = checked(visit, agency, file, name, kind)
    except ConsignError as problem:
        return _check(visit, agency, problem=problem, kind=kind)
    rows = [
        (line["file_line"], line["column"], line["code"], line["sent"], _means(visit, line["code"]),
         _fix(visit, line["code"]))
        for line in records(verdict.rejects)
    ]  # fmt: skip
    return _workbook(visit, f"{Path(name).stem}-rejects", rows)


def plain_name(given: str | None) -> str:
    """The file's name without any folder that a browser, or somebody, put before it."""
    return Path((given or "file").replace("\\", "/")).name or "file"


def checked(visit: Visit, agency: str, file: UploadFile, name: str, kind: str) -> FileCheck:
    """What the gateway would say of the agency's file; it is gone after. Raises what `check_file` raises."""
    with TemporaryDirectory(dir=visit.desk.folder("scratch")) as folder:
        safe = name if Path(name).suffix.lower() in SAFE_SUFFIX and name.isprintable() else f"{name[:20]}.csv"
        path = Path(folder) / safe.lstrip(".")[-150:]
        with path.open("wb") as to:
            while block := file.file.read(1 << 20):
                to.write(block)
        return check_file(
            path, kind, visit.desk.today(), layout=agreed_layouts.of_agency(visit.desk, agency), agency=agency,
            max_bytes=min(MAX_BYTES, visit.desk.settings.max_inbound_bytes),
        )  # fmt: skip


def _check(
    visit: Visit, agency: str, *, name: str = "", verdict: FileCheck | None = None, kind: str = "",
    problem: ConsignError | None = None,
) -> Response:  # fmt: skip
    with visit.desk.database.read() as connection:
        row = portal.row(connection, agency)
    lines = [] if verdict is None else records(verdict.rejects.head(SHOWN))
    told = [line | {"means": _means(visit, line["code"]), "fix": _fix(visit, line["code"])} for line in lines]
    return visit.page(
        "portal/check.html", row=row, name=name, verdict=verdict, lines=told, kind=kind, kinds=sorted(INBOUND),
        shown=SHOWN, problem=problem, status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _means(visit: Visit, code: str) -> str:
    return explained(code, zh=visit.say.code == "zh")["meaning"] if code in EXPLAINED else code


def _fix(visit: Visit, code: str) -> str:
    return explained(code, zh=visit.say.code == "zh")["fix"] if code in EXPLAINED else CODES.get(code, "")


def _workbook(visit: Visit, name: str, rows: Sequence[Sequence[Any]]) -> Response:
    head = [visit.say(word) for word in (
        later("Line"), later("Column"), later("Code"), later("You sent"), later("What is wrong"), later("How to fix it")
    )]  # fmt: skip
    return sheets.download(sheets.sheet(visit.say("Refused lines"), head, rows), f"{name}.xlsx", sheets.XLSX)


# -- files -------------------------------------------------------------------------------------------------------------


@router.get("/files", dependencies=[needs("portal.see")])
def files(
    visit: Visiting, agency: Own, tab: str = "came", kind: str = "", state: str = "", after: str = ""
) -> Response:
    """The agency's files, or those for it, the newest first."""
    inbound = asked.one_of(tab, TABS) == "came"
    with visit.desk.database.read() as connection:
        page = (traffic.came if inbound else traffic.sent)(connection, agency, kind, state, after or None)
    return visit.page(
        "portal/files.html", page=page, tab=tab, kind=kind, state=state, after=after,
        states=standings.CAME if inbound else standings.SENT,
        tab_entries=[(visit.say(words), None, "/portal/files" + query(tab=code), code == tab)
                     for code, words in TABS.items()],
    )  # fmt: skip


@router.get("/files/{file_id}", dependencies=[needs("portal.see")])
def file_(visit: Visiting, agency: Own, file_id: int) -> Response:
    """One file: received, opened, checked, accepted or refused, and why lines of it were refused."""
    with visit.desk.database.read() as connection:
        row = _there(portal.came(connection, agency, file_id))
        lines = portal.refusals(connection, agency, file_id)
    told = [
        {"table": line.table_name, "line": line.line, "column": line.column, "code": line.code,
         "means": _means(visit, line.code), "fix": _fix(visit, line.code)}
        for line in lines[:SHOWN]
    ]  # fmt: skip
    return visit.page(
        "portal/file.html", row=row, lines=told, count=len(lines), shown=SHOWN, states=standings.CAME,
        stations=_stations(row), means=_means(visit, row["refusal_code"]) if row["refusal_code"] else "",
    )  # fmt: skip


def _stations(row: dict[str, Any]) -> list[tuple[str, bool, Any]]:
    """Received, opened, checked, accepted or refused: which of them are behind the file, and when where it is known."""
    ended = row["state"] in {"accepted", "refused"}
    opened = row["state"] != "claimed" and row["rows"] is not None
    last = later("Refused") if row["state"] == "refused" else later("Accepted")
    return [
        (later("Received"), True, row["received_at"]), (later("Opened"), opened, None),
        (later("Checked"), ended and opened, None), (last, ended, row["accepted_at"]),
    ]  # fmt: skip


@router.get("/files/{file_id}/rejects.xlsx", dependencies=[needs("portal.see")])
def rejects(visit: Visiting, agency: Own, file_id: int) -> Response:
    """The refused lines of one file as a workbook."""
    with visit.desk.database.read() as connection:
        row = _there(portal.came(connection, agency, file_id))
        lines = portal.refusals(connection, agency, file_id)
    told = [(one.line, one.column, one.code, "", _means(visit, one.code), _fix(visit, one.code)) for one in lines]
    return _workbook(visit, f"{Path(row['name']).stem}-rejects", told)


# -- statements, scorecard, erasures -----------------------------------------------------------------------------------


@router.get("/statements", dependencies=[needs("portal.see")])
def statements(visit: Visiting, agency: Own) -> Response:
    """What each month came to, as the lender stated it."""
    with visit.desk.database.read() as connection:
        rows = portal.statements(connection, agency)
    return visit.page("portal/statements.html", rows=rows, forms=FORMS)


@router.get("/statements/{statement_id}/file", dependencies=[needs("portal.see")])
def statement(visit: Visiting, agency: Own, statement_id: int, form: str = "pdf") -> Response:
    """One of its files, with the very bytes that were stated."""
    asked.one_of(form, FORMS)
    with visit.desk.database.read() as connection:
        row = _there(portal.statement(connection, agency, statement_id))._mapping  # noqa: SLF001 - its public name
    return stated_file(visit.desk, row, form)


@router.get("/scorecard", dependencies=[needs("portal.see")])
def scorecard(visit: Visiting, agency: Own) -> Response:
    """How the agency was scored the last time; no other agency is named in it."""
    with visit.desk.database.read() as connection:
        runs = scores.listed(connection, None)
    found = (kept for run in runs if (kept := run_of(visit, run["run_id"])) is not None)
    newest = next((kept for kept in found if agency in kept.names), None)
    head = part = None
    if newest is not None:
        head, part = map(Markup, scorecards.part(newest, visit.say.code, lambda _code: "#", agency))  # ours
    return visit.page("portal/scorecard.html", head=head, part=part)


@router.get("/scorecard/style.css", dependencies=[needs("portal.see")])
def scorecard_style() -> Response:
    """How the figures look."""
    return Response(COLOURS + scorecards.style(CLASS), media_type="text/css")


@router.get("/instalments", dependencies=[needs("portal.see")])
def instalments(visit: Visiting, agency: Own, state: str = "", after: str = "") -> Response:
    """What the agency's debtors offered to pay in parts, and what the lender answered."""
    if state:
        asked.one_of(state, INSTALMENT_STATES)
    with visit.desk.database.read() as connection:
        page = agreements.of_agency(connection, agency, state, after or None)
        schedules = agreements.schedules(connection, [row["instalment_plan_id"] for row in page.rows])
    return visit.page(
        "portal/instalments.html", page=page, state=state, after=after, schedules=schedules, states=INSTALMENT_STATES,
        codes=rulewords.CODES,
    )  # fmt: skip


@router.get("/erasures", dependencies=[needs("portal.see")])
def erasures(visit: Visiting, agency: Own, tab: str = "", after: str = "") -> Response:
    """What must be deleted and certified, those due first in front."""
    today = visit.desk.today()
    counts = erasures_counted(visit, today, agency)
    with visit.desk.database.read() as connection:
        shown = asked.one_of(tab, ERASURE_TABS) if tab else next((s for s in ERASURE_TABS if counts[s]), "requested")
        page = assurance.erasures(connection, today, shown, agency=agency, after=after or None)
    return visit.page(
        "portal/erasures.html", page=page, next=page.after or "", tab=shown, after=after, today=today,
        tab_entries=[(visit.say(words), counts[code], "/portal/erasures" + query(tab=code), code == shown)
                     for code, words in ERASURE_TABS.items()],
    )  # fmt: skip
