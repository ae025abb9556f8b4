"""Consolidated collection: bases that a second person approves, who is one person, joint payments and their split."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, File, Form, Response, UploadFile

from console.web import sheets, standings
from console.web.frames import records
from console.web.pages import asked
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.visits import Visiting, needs
from infra import consolidation, jobs, jointpayments
from infra.store import browsing, joint
from infra.store import consolidation as store
from models.consolidation import ORDERS
from models.errors import ConsignError, UsageError
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.web.visits import Visit

router = APIRouter()

Text = Annotated[str, Form()]
UPLOAD_BYTES: Final = 8 << 20
"""Of a document, or a list of joint payments."""


# -- bases -------------------------------------------------------------------------------------------------------------


@router.get("/consolidation", dependencies=[needs("consolidation.see")])
def every(visit: Visiting) -> Response:
    """The bases, and how many debtors each links today."""
    return _list(visit)


def _list(visit: Visit, error: ConsignError | None = None, given: Mapping[str, Any] | None = None) -> Response:
    today = visit.desk.today()

    def read() -> list[dict[str, Any]]:
        with visit.desk.database.read() as connection:
            return records(store.listed(connection, today))

    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
        states = {row.basis_id: row.state for row in store.states(connection)}
    counted = FIGURES.count(visit.desk, ("bases", tuple(sorted(states.items())), today), read)
    return visit.page(
        "compliance/consolidation.html", rows=counted.value, counted=counted.at, lenders=lenders, error=error,
        given=given or {}, states=standings.BASIS,
        orders_shown=[(order, visit.say(standings.SPLIT_ORDERS[order])) for order in ORDERS],
        status=200 if error is None else status_of(error),
    )  # fmt: skip


@router.post("/consolidation", dependencies=[needs("consolidation.change")])
def propose(
    visit: Visiting, circle: Text = "", lender: Text = "", scope: Text = "", basis: Text = "", evidence: Text = "",
    valid_from: Text = "", valid_until: Text = "", split_order: Text = "oldest_first", split_rank: Text = "1",
    document: Annotated[UploadFile | None, File()] = None,
) -> Response:  # fmt: skip
    """A basis waits for a second person."""
    given = {
        "circle": circle.strip(), "lender": lender, "scope": scope, "basis": basis, "evidence": evidence.strip(),
        "valid_from": valid_from, "valid_until": valid_until, "split_order": split_order, "split_rank": split_rank,
    }  # fmt: skip
    try:
        rank = asked.number(split_rank) or 0
        if rank < 1:
            raise UsageError("a lender's rank is a whole number from 1", fix="1 is split first")
        if not given["evidence"]:
            raise UsageError("a basis needs evidence", fix="say where the document is")
        with TemporaryDirectory(dir=visit.desk.folder("uploads")) as folder:
            told = consolidation.propose(
                visit.desk, given["circle"], asked.one_of(lender, _lenders(visit)), scope=scope, basis=basis,
                evidence=given["evidence"], document=_uploaded(document, Path(folder)),
                valid_from=asked.day(valid_from) or visit.desk.today(), valid_until=asked.day(valid_until),
                split_order=split_order, split_rank=rank,
            )  # fmt: skip
    except ConsignError as error:
        return _list(visit, error, given)
    return visit.go(
        f"/consolidation/bases/{told.basis_id}",
        visit.say("Proposed. Nothing is linked before a second person approves."),
    )


def _lenders(visit: Visit) -> dict[str, str]:
    with visit.desk.database.read() as connection:
        return browsing.lenders(connection)


def _uploaded(file: UploadFile | None, folder: Path) -> Path | None:
    """The file in the folder, under a name of ours; None where none was chosen. Raises UsageError."""
    if file is None or not file.filename:
        return None
    content = file.file.read(UPLOAD_BYTES + 1)
    if not content or len(content) > UPLOAD_BYTES:
        raise UsageError("the file is empty, or too large", fix="choose another one")
    path = folder / "uploaded"
    path.write_bytes(content)
    return path


@router.get("/consolidation/bases/{basis_id}", dependencies=[needs("consolidation.see")])
def one(visit: Visiting, basis_id: int) -> Response:
    """One basis: its words, its evidence, who answered for it."""
    return _one(visit, basis_id)


def _one(visit: Visit, basis_id: int, error: ConsignError | None = None) -> Response:
    with visit.desk.database.read() as connection:
        row = store.basis(connection, basis_id)
        others = [other for other in store.standing(connection, row.circle) if other.basis_id != basis_id]
        lenders = browsing.lenders(connection)
    return visit.page(
        "compliance/basis.html", row=row, others=others, lenders=lenders, error=error, states=standings.BASIS,
        orders=standings.SPLIT_ORDERS, mine=row.state == "proposed" and row.proposed_by == visit.who.actor,
        status=200 if error is None else status_of(error),
    )  # fmt: skip


@router.post("/consolidation/bases/{basis_id}/approve", dependencies=[needs("consolidation.approve")])
def approve(visit: Visiting, basis_id: int) -> Response:
    """The basis counts on its days; a job looks up who is linked by it."""
    try:
        consolidation.approve(visit.desk, basis_id, relink=False)
    except ConsignError as error:
        return _one(visit, basis_id, error)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'consolidate', {})}", visit.say("In force from now on."))


@router.post("/consolidation/bases/{basis_id}/withdraw", dependencies=[needs("consolidation.change")])
def withdraw(visit: Visiting, basis_id: int, reason: Text = "") -> Response:
    """The basis links nobody from now on; a job clears the rows away."""
    try:
        consolidation.withdraw(visit.desk, basis_id, reason.strip(), relink=False)
    except ConsignError as error:
        return _one(visit, basis_id, error)
    jobs.ask(visit.desk, "consolidate", {})
    return visit.go(f"/consolidation/bases/{basis_id}", visit.say("Ended: it links nobody any more."))


@router.post("/consolidation/link", dependencies=[needs("consolidation.change")])
def link(visit: Visiting) -> Response:
    """A job looks up anew who is linked, and who is with several agencies."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'consolidate', {})}")


# -- who is one person -------------------------------------------------------------------------------------------------


@router.get("/consolidation/people", dependencies=[needs("consolidation.people")])
def people(visit: Visiting, circle: str = "", divided: str = "", after: str = "") -> Response:
    """Persons of a circle, by numbers alone: their debtors at each lender, and the agencies that have them."""
    with visit.desk.database.read() as connection:
        circles = sorted(set(store.circles(connection, visit.desk.today())["circle"]))
        lenders = browsing.lenders(connection)
    chosen = asked.one_of(circle, circles) if circle else next(iter(circles), "")
    page = consolidation.persons(visit.desk, chosen, after, divided=bool(divided)) if chosen else None
    return visit.page(
        "compliance/linked.html", page=page, circles_shown=[(one, one) for one in circles], circle=chosen,
        divided=divided, after=after, lenders=lenders,
    )  # fmt: skip


# -- joint payments ----------------------------------------------------------------------------------------------------


@router.get("/consolidation/payments", dependencies=[needs("consolidation.payments")])
def payments(visit: Visiting, agency: str = "", after: str = "") -> Response:
    """What debtors paid for all of their accounts, the newest first."""
    return _payments(visit, agency, after)


def _payments(
    visit: Visit, agency: str = "", after: str = "", *, error: ConsignError | None = None, checked: Any = None
) -> Response:
    with visit.desk.database.read() as connection:
        page = joint.payments(connection, agency, after)
        agencies = browsing.agencies(connection)
    return visit.page(
        "compliance/joint_payments.html", page=page, agencies=agencies, agency=agency, after=after, error=error,
        checked=checked, columns=jointpayments.COLUMNS, status=200 if error is None else status_of(error),
    )  # fmt: skip


@router.post("/consolidation/payments", dependencies=[needs("consolidation.split")])
def split(
    visit: Visiting, file: Annotated[UploadFile | None, File()] = None, agency: Text = "", check: Text = ""
) -> Response:
    """An agency's list is split over accounts and lenders, or only looked at; the same list again changes nothing."""
    try:
        with TemporaryDirectory(dir=visit.desk.folder("uploads")) as folder:
            path = _uploaded(file, Path(folder))
            if path is None:
                raise UsageError("no list was chosen", fix="choose the agency's list, a CSV in UTF-8")
            told, _lines = jointpayments.take_in(visit.desk, agency, path, dry_run=bool(check))
    except ConsignError as error:
        return _payments(visit, agency, error=error)
    if check:
        return _payments(visit, agency, checked=told)
    done = visit.say(
        "%(payments)s payments are split into %(shares)s shares; %(known)s were known.", payments=told.payments,
        shares=told.shares, known=told.known_before,
    )  # fmt: skip
    return visit.go("/consolidation/payments", done)


@router.get("/consolidation/payments/{payment_id}", dependencies=[needs("consolidation.payments")])
def payment(visit: Visiting, payment_id: int) -> Response:
    """How one joint payment was split, and why so."""
    with visit.desk.database.read() as connection:
        row = joint.payment(connection, payment_id)
        parts = joint.split_of(connection, row)
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    return visit.page(
        "compliance/joint_payment.html", row=row, shares=parts, lenders=lenders, agencies=agencies,
        orders=standings.SPLIT_ORDERS,
    )  # fmt: skip


@router.get("/consolidation/payments/{payment_id}/advice", dependencies=[needs("consolidation.payments")])
def advice(visit: Visiting, payment_id: int) -> Response:
    """What the agency remits to which lender, for the whole list that the payment came in: a CSV for the agency."""
    agency, lines = jointpayments.advice(visit.desk, payment_id)
    return sheets.download(defused(lines).to_csv(index=False), f"advice-{agency}-{payment_id}.csv", "text/csv")


@router.get("/consolidation/shares", dependencies=[needs("consolidation.see")])
def shares(visit: Visiting, lender: str = "", agency: str = "", after: str = "") -> Response:
    """Shares of joint payments by lender, and whether each was remitted; nothing tells which were one payment."""
    with visit.desk.database.read() as connection:
        page = joint.shares(connection, lender, agency, after)
        lenders, agencies = browsing.lenders(connection), browsing.agencies(connection)
    return visit.page(
        "compliance/joint_shares.html", page=page, lenders=lenders, agencies=agencies, lender=lender, agency=agency,
        after=after, states=standings.JOINT_SHARE,
    )  # fmt: skip
