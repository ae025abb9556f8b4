"""Complaints about agencies: from the console, a CSV file or an agency's own file into one register with a clock.

Whoever complains is on hold from that day on, and recalled with the next recall; the complaint itself is taken by a
person, and ends with an outcome and its reason. Who complained is known by a placement, never by name.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd
from sqlalchemy import select

from infra import audit, exceptions, rulepacks
from infra.exceptions import OWNER, PERSONAL, Subject, audit_text, check_text
from infra.indexes import ref_index
from infra.store import complaints as store
from infra.store import conduct, exchange, portfolios, trail
from models.errors import Findings, RefusedByPolicy, UsageError
from models.lives import COMPLAINT, moved

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from sqlalchemy import Connection

    from infra.store.conduct import Audited
    from infra.wiring import Desk

OUTCOMES: Final = ("upheld", "partly", "dismissed", "withdrawn")
SEVERITIES: Final = ("normal", "serious")
CATEGORIES: Final = (
    "conduct", "threat", "violence", "third_party", "frequency", "hours", "wrong_debtor", "amount", "privacy", "other"
)  # fmt: skip
"""What the console and the CSV take; an agency's file may say something else, which a person sorts."""
COLUMNS: Final = ("complaint_ref", "agency", "account", "received_on", "category", "severity")
REF_AT_MOST: Final = 80
NUMBERS_SHOWN: Final = 50


@dataclass(frozen=True)
class Registered:
    """What came into the register."""

    complaints: int
    known_before: int
    debtors_held: int
    due_on: date | None
    """the first day by which one of them is to be answered"""
    complaint_ids: tuple[int, ...] = ()


def answer_days(lender: Audited) -> int:
    """In how many days a complaint to the lender is to be answered: the shortest of its packs' clocks."""
    return min(pack.complaints.answer_days for pack in rulepacks.of(lender))


def answer_days_of(connection: Connection, lender: str) -> int:
    """The same, of the lender with this code."""
    return answer_days(_lender(connection, lender))


def add(  # noqa: PLR0913 - a complaint's columns
    desk: Desk,
    lender: str,
    agency: str,
    ref: str,
    *,
    account_ref: str | None = None,
    received_on: date | None = None,
    category: str = "conduct",
    severity: str = "normal",
    dry_run: bool = False,
) -> Registered:
    """A complaint that somebody was told of is in the register, and the debtor on hold.

    account_ref: the lender's own number, looked up by its keyed index and kept nowhere; None: whose it is is not known.
    Raises UsageError for an unknown lender, agency, number, category or severity, and a day that has not come.
    """
    row = {
        "complaint_ref": ref, "agency": agency, "account": account_ref or "", "category": category,
        "received_on": (received_on or desk.today()).isoformat(), "severity": severity,
    }  # fmt: skip
    rows, faults = _read(desk, lender, [row], ["the complaint"])
    if faults:
        raise UsageError(faults[0], fix=f"categories: {', '.join(CATEGORIES)}; severities: {', '.join(SEVERITIES)}")
    return _register(desk, lender, rows, "console", dry_run=dry_run)


def take_in(desk: Desk, lender: str, path: Path, *, dry_run: bool = False) -> Registered:
    """Every complaint of a CSV (UTF-8, COLUMNS) is in the register; the same file again changes nothing.

    All or none: raises Findings with every line that cannot be taken, and never its values; UsageError where the file
    cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as broken:
        raise UsageError(f"{path} cannot be read: {type(broken).__name__}", fix="name a CSV in UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    wanting = sorted(set(COLUMNS[:-1]) - set(reader.fieldnames or ()))
    if wanting:
        raise UsageError(f"{path.name} lacks {', '.join(wanting)}", fix=f"columns: {', '.join(COLUMNS)}")
    try:
        given = [{name: (row.get(name) or "").strip() for name in COLUMNS} for row in reader]
    except csv.Error:
        raise UsageError(f"{path.name} is no CSV after line {reader.line_num}", fix="check its quotes") from None
    rows, faults = _read(desk, lender, given, [f"line {number}" for number in range(1, len(given) + 1)])
    if faults:
        shown = "; ".join(faults[:20])
        raise Findings(f"{path.name}: {len(faults)} lines cannot be taken: {shown}", fix="mend them; none was taken")
    return _register(desk, lender, rows, "csv", dry_run=dry_run)


def _read(
    desk: Desk, lender: str, given: list[dict[str, str]], where: list[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The complaints as rows of the register, and what is wrong with those that cannot be one."""
    rows, faults = [], []
    refs = pd.Series([one["account"] or "-" for one in given], dtype="str")
    indexes = ref_index(desk.keyring, refs) if len(refs) else refs
    with desk.database.read() as connection:
        known = _lender(connection, lender)
        agencies = set(connection.execute(select(exchange.AGENCIES.c.agency)).scalars())
        days = answer_days(known)
        for one, index, place in zip(given, indexes, where, strict=True):
            if fault := _fault(one, agencies, desk.today(known.timezone)):
                faults.append(f"{place}: {fault}")
                continue
            received = date.fromisoformat(one["received_on"])
            placement: tuple[int, int] | None = None
            if one["account"]:
                try:
                    account_id, debtor_id = portfolios.account_by_ref(connection, lender, str(index))
                except UsageError:
                    faults.append(f"{place}: account is no number of the lender's")
                    continue
                placement = store.newest_placement(connection, one["agency"], account_id) or (0, debtor_id)
            rows.append({
                "agency": one["agency"], "complaint_ref": one["complaint_ref"], "lender": lender,
                "placement_id": placement[0] or None if placement else None,
                "debtor_id": placement[1] if placement else None, "received_on": received,
                "category": one["category"], "severity": one["severity"] or "normal",
                "due_on": received + timedelta(days=days),
            })  # fmt: skip
    return rows, faults


def _fault(one: dict[str, str], agencies: set[str], today: date) -> str:
    """Why it cannot be a complaint; the field, never its value."""
    ref, received = one["complaint_ref"], _day(one["received_on"])
    checks = (
        (not ref or len(ref) > REF_AT_MOST or not ref.isprintable(), "complaint_ref is missing or too long"),
        (PERSONAL.search(ref) is not None, "complaint_ref holds a number as long as a phone or ID number"),
        (one["agency"] not in agencies, "agency is none of ours"),
        (one["category"] not in CATEGORIES, "category is none of the known ones"),
        (one["severity"] not in {"", *SEVERITIES}, "severity is neither normal nor serious"),
        (received is None, "received_on is no date (YYYY-MM-DD)"),
        (received is not None and received > today, "received_on lies in the future"),
    )
    return next((fault for wrong, fault in checks if wrong), "")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _register(desk: Desk, lender: str, rows: list[dict[str, Any]], source: str, *, dry_run: bool) -> Registered:
    frame = pd.DataFrame(rows)
    first = min((row["due_on"] for row in rows), default=None)
    if dry_run or not rows:
        held = {row["debtor_id"] for row in rows} - {None}
        return Registered(len(rows), 0, len(held), first)
    frame = frame.assign(
        received_on=pd.to_datetime(frame["received_on"]).astype("datetime64[us]"),
        due_on=pd.to_datetime(frame["due_on"]).astype("datetime64[us]"),
        placement_id=frame["placement_id"].astype("Int64"), debtor_id=frame["debtor_id"].astype("Int64"),
        source=source, placed_by=desk.actor,
    )  # fmt: skip
    with desk.database.write() as connection:
        trail.hold(connection)
        new = store.add(connection, frame)
        if len(new):
            audit.record(
                connection, desk.actor, "complaint.registered", f"lender:{lender}",
                {"count": len(new), "source": source, "agencies": sorted(set(new["agency"]))[:50]}, desk.now(),
            )  # fmt: skip
        ids = store.numbers(connection, new.head(NUMBERS_SHOWN))
    return Registered(len(new), len(frame) - len(new), int(new["debtor_id"].nunique()), first, tuple(ids))


def take(desk: Desk, complaint_id: int, owner: str | None = None) -> None:
    """The person who acts, or the one who is named, answers it. Raises UsageError, IllegalMove."""
    who = owner or desk.actor
    if not OWNER.fullmatch(who):
        raise UsageError("an owner is a person's login name", fix="letters, digits, dots and hyphens")
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.complaint(connection, complaint_id)
        if row.state != "taken":
            moved(f"complaint {complaint_id}", row.state, "taken", COMPLAINT)
        store.change(connection, complaint_id, row.state, state="taken", owner=who)
        _recorded(connection, desk, "complaint.taken", row, {"owner": audit_text(who)})


def close(desk: Desk, complaint_id: int, outcome: str, reason: str, *, category: str | None = None) -> None:
    """It has ended: upheld, partly, dismissed or withdrawn, and why. The hold stays until a person lifts it.

    category: what it turned out to be about, where that is something else than was first said.
    """
    if outcome not in OUTCOMES:
        raise UsageError(f"{outcome!r} is no outcome", fix=f"use one of {', '.join(OUTCOMES)}")
    if category is not None and category not in CATEGORIES:
        raise UsageError(f"{category!r} is no category", fix=f"use one of {', '.join(CATEGORIES)}")
    check_text(reason)
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.complaint(connection, complaint_id)
        moved(f"complaint {complaint_id}", row.state, "closed", COMPLAINT)
        done = store.change(
            connection, complaint_id, row.state, state="closed", outcome=outcome, reason=reason,
            category=category or row.category, closed_by=desk.actor, closed_at=desk.now(),
        )  # fmt: skip
        if not done:
            raise RefusedByPolicy(f"complaint {complaint_id} was changed just now", fix="look at it again")
        exceptions.ended(connection, desk, "complaint_overdue", f"complaint:{complaint_id}", "it was answered")
        _recorded(connection, desk, "complaint.closed", row, {"result": outcome})


def watch(connection: Connection, desk: Desk, lenders: Iterable[Audited]) -> int:
    """Exceptions are open for the complaints that are overdue, one each. Returns how many there are."""
    late = [
        Subject(
            f"complaint:{row.complaint_id}", row.agency, one.lender, detail={"due": row.due_on.isoformat()}
        )
        for one in lenders
        for row in store.overdue(connection, one.lender, desk.today(one.timezone))
    ]  # fmt: skip
    exceptions.watched(connection, desk, "complaint_overdue", late, "it was answered")
    return len(late)


def _lender(connection: Connection, code: str) -> Audited:
    found = next((one for one in conduct.lenders(connection) if one.lender == code), None)
    if found is None:
        raise UsageError(f"there is no lender {code!r}", fix="`consign portfolio lender list` shows them")
    return found


def _recorded(connection: Connection, desk: Desk, action: str, row: Any, details: dict[str, audit.Value]) -> None:
    subject = f"complaint:{row.complaint_id}"
    audit.record(connection, desk.actor, action, subject, {"agency": row.agency, **details}, desk.now())
