"""The worklist of breaks and the drawer beside it: what finance looks at, ties, gives up, agrees to and takes back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path as FilePath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, Form, Path, Response, UploadFile

from console.web import terms
from console.web.language import later
from console.web.pages.asked import LONGEST_NUMBER
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.security import safe_next
from console.web.sheets import download, sheet
from console.web.uploading import SealedForms
from console.web.visits import Visit, Visiting, needs
from infra import attachments, casework, jobs, reidentification, resolving
from infra.store import worklist
from infra.store.worklist import Wanted
from models.errors import ConsignError, UsageError
from models.money import exponent
from models.reconcile.resolutions import REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Row

    from console.web.remembered import Figure

router = APIRouter(route_class=SealedForms)

MOST: Final = 2**62
"""What the store's numbers go up to, and a little less."""
Id = Annotated[int, Path(ge=1, le=MOST)]
Text = Annotated[str, Form()]
Numbers = Annotated[list[int] | None, Form()]
TABS: Final = {
    "open": later("Open"),
    "proposed": later("Suggested"),
    "to_approve": later("To approve"),
    "matched": later("Matched"),
    "written_off": later("Written off"),
    "settled": later("Settled otherwise"),
}
EXPORTED_AT_MOST: Final = 50_000
DONE: Final = {
    "done": later("Done."),
    "waiting": later("Proposed: somebody else must agree."),
}


@dataclass(frozen=True)
class View:
    """What of the worklist an address shows."""

    tab: str = "open"
    lender: str = ""
    agency: str = ""
    kind: str = ""
    mine: str = ""
    q: str = ""
    sort: str = ""
    after: str = ""
    open: str = ""
    more: str = ""

    @classmethod
    def of(cls, path: str) -> View:
        """The view of one of our own addresses; what is not part of it is left out."""
        told = parse_qs(urlsplit(path).query)
        return cls(**{name: told[name][0] for name in cls.__dataclass_fields__ if name in told})

    def url(self, **changed: str) -> str:
        """The address of this view, or of one that is otherwise in these respects."""
        words = vars(replace(self, **changed))
        return "/breaks" + query(**{name: word for name, word in words.items() if (name, word) != ("tab", "open")})

    def opening(self) -> str:
        """What stands before a row's key in the address that opens it: made once for the rows of a page."""
        alone = self.url(open="", more="")
        return f"{alone}{'&' if '?' in alone else '?'}open="

    def wanted(self, visit: Visit) -> Wanted:
        """What the store is asked for. Raises UsageError for what cannot be meant."""
        text = self.q.strip()
        default = "oldest" if self.tab in {"open", "proposed", "to_approve"} else "newest"
        return Wanted(
            tab=self.tab,  # type: ignore[arg-type]  # Wanted refuses what it does not know
            lender=self.lender, agency=self.agency, kind=self.kind, owner=visit.who.actor if self.mine else "",
            text=text, accounts=reidentification.accounts_named(visit.desk, text),
            sort=self.sort or default,  # type: ignore[arg-type]  # likewise
        )  # fmt: skip


# -- the list ----------------------------------------------------------------------------------------------------------


@router.get("/breaks", dependencies=[needs("breaks.see")])
def breaks(visit: Visiting, view: Annotated[View, Depends()]) -> Response:
    """The worklist, with the drawer of what is open beside it; for HTMX the list and the drawer alone."""
    return _shown(visit, view)


@router.get("/breaks/export", dependencies=[needs("breaks.see")])
def export(visit: Visiting, view: Annotated[View, Depends()]) -> Response:
    """Everything that the filters leave, as a workbook."""
    wanted = view.wanted(visit)
    after: str | None = None
    rows: list[worklist.Row] = []
    with visit.desk.database.read() as connection:
        while len(rows) < EXPORTED_AT_MOST:
            page = worklist.page(connection, wanted, after, 1_000)
            rows += page.rows
            if (after := page.after) is None:
                break
    today, say = visit.desk.today(), visit.say
    columns = (
        say("Reference"), say("Agency"), say("Kind"), say("Agency file"), say("Ledger"), say("Difference"),
        say("Currency"), say("Value date"), say("Age"), say("Owner"),
    )  # fmt: skip
    cells = [
        (row.reference, row.agency_name, say.pair(_name_of(view.tab, row.kind)), _major(row.agency_minor, row.currency),
         _major(row.ledger_minor, row.currency), _major(row.difference_minor, row.currency), row.currency,
         row.value_date, row.age(today), row.owner or "")
        for row in rows
    ]  # fmt: skip
    return download(sheet(say(TABS[view.tab]), columns, cells), f"breaks-{view.tab}-{today}.xlsx")


def _major(minor: int, currency: str) -> float:
    return float(Decimal(minor).scaleb(-exponent(currency)))  # a cell of a workbook is a double: exact up to 15 digits


def _name_of(tab: str, kind: str) -> tuple[str, str]:
    if tab == "to_approve":
        return terms.ACTS[kind]
    words = terms.STATES if tab == "proposed" else terms.CODES
    return words[kind][:2]


def _shown(visit: Visit, view: View, *, problem: ConsignError | None = None) -> Response:
    if view.tab not in TABS:
        raise UsageError(f"there is no tab {view.tab!r}", fix=f"there are {', '.join(TABS)}")
    with visit.desk.database.read() as connection:
        page = worklist.page(connection, view.wanted(visit), view.after or None)
        agencies = worklist.agencies(connection)
    keys = [row.key for row in page.rows]
    at = keys.index(view.open) if view.open in keys else -1
    told: dict[str, Any] = {
        "view": view, "rows": page.rows, "next": page.after or "", "agencies": agencies, "tabs": TABS, "terms": terms,
        "today": visit.desk.today(), "problem": problem, "drawer": _drawer(visit, view),
        "then": keys[at + 1] if -1 < at < len(keys) - 1 else "", "reasons": REASONS,
    }  # fmt: skip
    status = status_of(problem) if problem else 200
    if visit.is_partial:
        known = FIGURES.find(visit.desk, "worklist", worklist.Summary) or _summed(visit)
        return visit.page("finance/worklist.html", status=status, summary=known.value, **told)
    return visit.page("finance/breaks.html", status=status, **told, **_cards(visit))


def _summed(visit: Visit) -> Figure[worklist.Summary]:
    def count() -> worklist.Summary:
        with visit.desk.database.read() as connection:
            return worklist.summary(connection)

    return FIGURES.count(visit.desk, "worklist", count, worklist.Summary)


def _cards(visit: Visit) -> dict[str, Any]:
    today = visit.desk.today()

    def weekly() -> list[worklist.Week]:
        with visit.desk.database.read() as connection:
            return worklist.weeks(connection, currency, today)

    figure = _summed(visit)
    currency = next(iter(figure.value.net_minor), "CNY")
    weeks = FIGURES.count(visit.desk, ("weeks", currency, today), weekly, list[worklist.Week])
    return {"summary": figure.value, "currency": currency, "weeks": _bars(weeks.value)}


def _bars(weeks: list[worklist.Week]) -> list[dict[str, Any]]:
    """The weeks as bars of a drawing that is 100 high: from the bottom what came, above it what is awaited."""
    most = max((max(0, week.matched_minor) + max(0, week.open_minor) for week in weeks), default=0) or 1
    return [
        {
            "begins": week.begins, "ends": week.begins + timedelta(days=6), "matched_minor": week.matched_minor,
            "open_minor": week.open_minor, "matched": 100 * max(0, week.matched_minor) / most,
            "open": 100 * max(0, week.open_minor) / most,
        }
        for week in weeks
    ]  # fmt: skip


def _key(text: str) -> tuple[str, int]:
    """What a row's key names, and its number; 0 where it names nothing."""
    what, _, number = text.partition("-")
    return what, int(number) if number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER else 0


def _drawer(visit: Visit, view: View) -> dict[str, Any] | None:
    """What the drawer shows; None where nothing is open. Raises UsageError for what is not there."""
    what, number = _key(view.open)
    if not number:
        return None
    if what == "break":
        case = casework.case(visit.desk, number, summed=bool(view.more))
        return {"what": what, "case": case, "undoable": casework.undoable}
    with visit.desk.database.read() as connection:
        if what == "match":
            return {"what": what, "match": worklist.suggestion(connection, number)}
        if what == "resolution":
            told = resolving.whole(connection, number)
            return {"what": what, "resolution": told, "is_mine": told["proposed_by"] == visit.who.actor}
    return None


# -- what is done ------------------------------------------------------------------------------------------------------


def _acted(visit: Visit, at: str, act: Callable[[], str], *, then: str = "", stays: bool = True) -> Response:
    """Do it, and show the list again: the same drawer, or the next one; or the same with what went wrong."""
    view = View.of(safe_next(at))
    try:
        done = act()
    except ConsignError as problem:
        return _shown(visit, view, problem=problem)
    return visit.go(view.url() if stays else view.url(open=then), done)


def _proposed(visit: Visit, row: Row[Any]) -> str:
    told = DONE.get(row.state, DONE["done"])
    return visit.say(told)


@router.post("/breaks/{break_id}/assign", dependencies=[needs("breaks.work")])
def assign(visit: Visiting, break_id: Id, to: Text = "", at: Text = "") -> Response:
    """Somebody works on the break; nobody, where no name is given."""

    def act() -> str:
        resolving.assign(visit.desk, break_id, to.strip())
        return visit.say("Assigned to %(name)s.", name=to) if to.strip() else visit.say("Nobody works on it now.")

    return _acted(visit, at, act)


@router.post("/breaks/{break_id}/comment", dependencies=[needs("breaks.work")])
def comment(visit: Visiting, break_id: Id, text: Text = "", at: Text = "") -> Response:
    """A note stands beside the break."""

    def act() -> str:
        resolving.comment(visit.desk, break_id, text)
        return visit.say("Noted.")

    return _acted(visit, at, act)


@router.post("/breaks/{break_id}/attach", dependencies=[needs("breaks.work")])
def attach(visit: Visiting, break_id: Id, file: UploadFile, text: Text = "", at: Text = "") -> Response:
    """A file lies beside the break, sealed."""

    def act() -> str:
        with TemporaryDirectory(dir=visit.desk.folder("uploads")) as folder:
            # the name that came names no path of ours: its ending alone is kept
            path = FilePath(folder) / f"file{FilePath(file.filename or '').suffix[:10]}"
            with path.open("wb") as kept:
                while chunk := file.file.read(1 << 20):
                    kept.write(chunk)
                    if kept.tell() > attachments.BYTES_AT_MOST:
                        break
            attachments.attach(visit.desk, break_id, path, text)
        return visit.say("Attached.")

    return _acted(visit, at, act)


@router.get("/breaks/attachments/{note_id}", dependencies=[needs("breaks.work")])
def attachment(visit: Visiting, note_id: Id) -> Response:
    """The attached file; who took it out is on record."""
    with TemporaryDirectory(dir=visit.desk.folder("uploads")) as folder:
        path = FilePath(folder) / "file"
        attachments.take_out(visit.desk, note_id, path)
        content = path.read_bytes()
    with visit.desk.database.read() as connection:
        suffix = attachments.suffix_of(connection, note_id)
    return download(content, f"attachment-{note_id}{suffix}", kind="application/octet-stream")


@router.post("/breaks/{break_id}/match", dependencies=[needs("breaks.work")])
def match(
    visit: Visiting,
    break_id: Id,
    line: Numbers = None,
    receipt: Numbers = None,
    parts: Text = "",
    reason: Text = "late_booking",
    note: Text = "",
    at: Text = "",
    then: Text = "",
) -> Response:
    """Lines and receipts are tied; `parts`: how much of single lines, `412=25.00`, one beside the other."""

    def act() -> str:
        with visit.desk.database.read() as connection:
            currency = worklist.one(connection, break_id).currency
        amounts = _parts(parts, currency)
        about = {"lines": sorted({*(line or []), *amounts}), "receipts": receipt or [], "amounts": amounts}
        if not about["lines"] or not about["receipts"]:
            raise UsageError("a match needs a line and a receipt", fix="choose one of each, or type their numbers")
        return _proposed(visit, resolving.propose(visit.desk, "match", reason, note, break_id, about))

    return _acted(visit, at, act, then=then, stays=False)


def _parts(text: str, currency: str) -> dict[int, int]:
    """Line numbers with amounts in minor units, from `412=25.00 413=10`. Raises UsageError."""
    found: dict[int, int] = {}
    for word in text.replace(",", " ").split():
        line, _, amount = word.partition("=")
        try:
            minor = Decimal(amount).scaleb(exponent(currency))
            whole = minor.is_finite() and abs(minor) < MOST and minor == minor.to_integral_value()
            if not (line.isascii() and line.isdecimal()) or len(line) > LONGEST_NUMBER or not whole:
                raise InvalidOperation
        except InvalidOperation:
            raise UsageError("a part is written LINE=AMOUNT", fix="for example 412=25.00 413=10.50") from None
        found[int(line)] = int(minor)
    return found


@router.post("/breaks/{break_id}/resolve", dependencies=[needs("breaks.work")])
def resolve(
    visit: Visiting,
    break_id: Id,
    kind: Text = "",
    reason: Text = "",
    note: Text = "",
    receipt: Annotated[int | None, Form()] = None,
    at: Text = "",
    then: Text = "",
) -> Response:
    """Given up, let in, kept out, accepted, paid back: whatever the break allows."""

    def act() -> str:
        return _proposed(visit, _resolved(visit, break_id, kind, reason, note, receipt))

    return _acted(visit, at, act, then=then, stays=False)


def _resolved(visit: Visit, break_id: int, kind: str, reason: str, note: str, receipt: int | None = None) -> Row[Any]:
    """The resolution of one break, about what is open of it. Raises UsageError for a kind that it does not allow."""
    with visit.desk.database.read() as connection:
        told = casework.item_of(connection, break_id)
    of_line, of_receipt = told.get("line"), told.get("receipt")
    about: Mapping[str, Any]
    if kind == "write_off":
        about = {"line": of_line if of_receipt is None else None, "receipt": of_receipt}
    elif kind in {"count", "reject"}:
        about = {"line": of_line or 0}
    elif kind == "not_ours":
        about = {"receipt": of_receipt or 0}
    elif kind == "settle":
        about = {"break_id": break_id}
    elif kind == "refund":
        about = {"receipt": receipt or 0, "break_id": break_id}
    else:
        raise UsageError(f"there is no act {kind!r}", fix="choose one that the break offers")
    return resolving.propose(visit.desk, kind, reason, note, break_id, about)


@router.post("/breaks/matches/{match_id}/accept", dependencies=[needs("breaks.work")])
def accept(
    visit: Visiting, match_id: Id, reason: Text = "late_booking", note: Text = "", at: Text = "", then: Text = ""
) -> Response:
    """What the rules suggested is tied by a person."""

    def act() -> str:
        return _proposed(visit, _accepted(visit, match_id, reason, note))

    return _acted(visit, at, act, then=then, stays=False)


def _accepted(visit: Visit, match_id: int, reason: str, note: str) -> Row[Any]:
    with visit.desk.database.read() as connection:
        told = worklist.suggestion(connection, match_id)
    if told["status"] != "suggested":
        raise UsageError(
            f"match {match_id} is {told['status']}: nothing is suggested",
            fix="open the receipt's break and choose among its candidates",
        )
    lines, receipts = ([one[f"{side}_id"] for one in told[f"{side}s"]] for side in ("line", "receipt"))
    return resolving.propose(
        visit.desk, "match", reason, note, None, {"lines": lines, "receipts": receipts, "amounts": {}}
    )


@router.post("/breaks/matches/{match_id}/unmatch", dependencies=[needs("breaks.work")])
def unmatch(
    visit: Visiting,
    match_id: Id,
    break_id: Annotated[int | None, Form()] = None,
    reason: Text = "mistake",
    note: Text = "",
    at: Text = "",
) -> Response:
    """What was tied is taken apart."""

    def act() -> str:
        done = resolving.propose(visit.desk, "unmatch", reason, note, break_id, {"match_id": match_id})
        return _proposed(visit, done)

    return _acted(visit, at, act)


@router.post("/breaks/resolutions/{resolution_id}/undo", dependencies=[needs("breaks.work")])
def undo(visit: Visiting, resolution_id: Id, reason: Text = "mistake", note: Text = "", at: Text = "") -> Response:
    """What was done is taken back, postings and all."""

    def act() -> str:
        done = resolving.propose(visit.desk, "undo", reason, note, None, {"resolution_id": resolution_id})
        return _proposed(visit, done)

    return _acted(visit, at, act)


@router.post("/breaks/resolutions/{resolution_id}/approve", dependencies=[needs("breaks.approve")])
def approve(visit: Visiting, resolution_id: Id, at: Text = "", then: Text = "") -> Response:
    """Another person agrees; with the last one it is done."""

    def act() -> str:
        done = resolving.approve(visit.desk, resolution_id).state == "done"
        return visit.say("Agreed, and done.") if done else visit.say("Agreed: one more must.")

    return _acted(visit, at, act, then=then, stays=False)


@router.post("/breaks/resolutions/{resolution_id}/refuse", dependencies=[needs("breaks.approve")])
def refuse(visit: Visiting, resolution_id: Id, why: Text = "", at: Text = "", then: Text = "") -> Response:
    """Another person says no."""

    def act() -> str:
        resolving.refuse(visit.desk, resolution_id, why)
        return visit.say("Refused: nothing was done.")

    return _acted(visit, at, act, then=then, stays=False)


@router.post("/breaks/resolutions/{resolution_id}/withdraw", dependencies=[needs("breaks.work")])
def withdraw(visit: Visiting, resolution_id: Id, at: Text = "", then: Text = "") -> Response:
    """Whoever proposed it takes it back."""

    def act() -> str:
        resolving.withdraw(visit.desk, resolution_id)
        return visit.say("Withdrawn: nothing was done.")

    return _acted(visit, at, act, then=then, stays=False)


# -- many at once, and the rules ---------------------------------------------------------------------------------------


@router.post("/breaks/chosen", dependencies=[needs("breaks.work")])
def chosen(
    visit: Visiting,
    row: Annotated[list[str] | None, Form()] = None,
    act: Text = "assign",
    to: Text = "",
    reason: Text = "",
    note: Text = "",
    at: Text = "",
) -> Response:
    """The chosen rows, one after the other: assigned, proposed, accepted or approved. What cannot be is counted."""
    done, left, last = 0, 0, None
    for key in row or []:
        what, number = _key(key)
        try:
            _one_of_many(visit, what, number, act, (to.strip(), reason, note))
            done += 1
        except ConsignError as problem:
            left, last = left + 1, problem
    view = View.of(safe_next(at))
    if last is not None and not done:
        return _shown(visit, view, problem=last)
    if not done:
        nothing = UsageError("nothing is chosen", fix="tick rows, or press x on them")
        return _shown(visit, view, problem=nothing)
    told = visit.say("%(count)s done.", count=done)
    if last is not None:
        told += " " + visit.say(
            "%(count)s could not be; the last: %(problem)s", count=left, problem=visit.say.explained(last)
        )
    return visit.go(view.url(open=""), told)


def _one_of_many(visit: Visit, what: str, number: int, act: str, said: tuple[str, str, str]) -> None:
    to, reason, note = said
    if act == "assign" and what == "break":
        resolving.assign(visit.desk, number, to)
    elif act == "accept" and what == "match":
        _accepted(visit, number, reason or "late_booking", note)
    elif act == "approve" and what == "resolution" and visit.may("breaks.approve"):
        resolving.approve(visit.desk, number)
    elif act in {"write_off", "settle", "count", "reject", "not_ours"} and what == "break":
        _resolved(visit, number, act, reason, note)
    else:
        raise UsageError("that cannot be done with these rows", fix="choose another act, or other rows")


@router.post("/breaks/matching", dependencies=[needs("breaks.work")])
def matching(visit: Visiting, really: Text = "") -> Response:
    """The rules run, as a job; unless `really`, what they would tie is told, and nothing is."""
    job_id = jobs.ask(visit.desk, "reconcile" if really else "rehearse", {})
    return visit.go(f"/jobs/{job_id}")
