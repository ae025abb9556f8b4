"""What is kept, until when, and the run that deletes what is due; a legal hold stops it.

Which schedule counts for a lender: its own at home/retention/<lender>.toml, else its country's. What belongs to no
lender is kept as long as the longest of the schedules in use says. Nothing is deleted that a run before did not count:
`due` and `run` ask the same questions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from infra import audit, backups, roles, rulepacks, shredding
from infra.exceptions import check_text
from infra.outbox import drop_sealed
from infra.ownfiles import Shelf
from infra.store import portfolios, trail
from infra.store import retention as store
from infra.store import shredding as shreds
from models import retention
from models.errors import RefusedByPolicy, UsageError
from models.retention import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from sqlalchemy import Connection

    from infra.wiring import Desk
    from models.retention import Rule, Schedule

SHELF: Final = Shelf("retention", "retention schedule", retention.shipped, retention.load, retention.Schedule.parse)
ORDER: Final = ("contact", "collection", "complaint", "register", "requests", "intake", "exceptions", "lookups")
"""Classes whose rows a run deletes from the store, in its order: contacts hang on placements."""
FILES: Final = ("files", "logs", "backups")
SCOPES: Final = ("everything", "lender", "portfolio", "debtor", "class")
LIVE_LOGS: Final = ("consign.log", "worker.log")
"""Journals that a process may have open."""


@dataclass(frozen=True)
class Line:
    """One class of records of one lender's, or of the house: how long it is kept and how much of it is due."""

    lender: str
    record_class: str
    act: str
    keep: str
    before: date
    """what began before this day is due"""
    due: int | None
    """None for what Consign never deletes"""
    oldest: date | None
    held_by: int | None
    """the legal hold that keeps the whole class"""
    clause: str
    verified: str
    set_by: str
    counsel: str


@dataclass(frozen=True)
class Ran:
    """What a run deleted, by class; identities are those of accounts."""

    classes: dict[str, int] = field(default_factory=dict)
    keys: int = 0
    marks: int = 0
    held: int = 0
    """classes that a legal hold kept"""
    finished: int = 0
    """shreddings that an earlier run had left unfinished"""


# -- schedules ---------------------------------------------------------------------------------------------------------


def schedule_of(lender: str, country: str) -> Schedule:
    """The lender's own schedule, else its country's, else the default. Raises ScheduleInvalid."""
    if lender in SHELF.names() and lender not in retention.shipped():
        return SHELF.find(lender)
    return SHELF.find(rulepacks.OF_COUNTRY.get(country.upper(), rulepacks.DEFAULT))


def schedules(connection: Connection) -> list[tuple[str, str, Schedule]]:
    """Every lender with its time zone and schedule."""
    rows = connection.execute(select(portfolios.LENDERS).order_by(portfolios.LENDERS.c.lender))
    return [(row.lender, row.timezone, schedule_of(row.lender, row.country)) for row in rows]


# -- what is due -------------------------------------------------------------------------------------------------------


def due(connection: Connection, desk: Desk) -> list[Line]:
    """Every class of every lender and of the house, and how much of it is due today."""
    return [_line(connection, desk, look, rule, held) for look, rule, held in _looks(connection, desk)]


def _looks(connection: Connection, desk: Desk) -> Iterator[tuple[store.Look, Rule, int | None]]:
    """What is to be looked at, by which rule, and which legal hold keeps it as a whole."""
    every = schedules(connection)
    for lender, zone, schedule in every:
        today = desk.today(zone)
        held = store.classes_held(connection, lender, today)
        for name, rule in schedule.rules.items():
            if not CLASSES[name].of_house:
                look = store.Look(lender, rule.keep.before(today), today)
                yield look, rule, held.get(name, held.get("*"))
    today = desk.today()
    kept = [schedule for _, _, schedule in every] or [retention.load(rulepacks.DEFAULT)]
    held = store.classes_held(connection, "", today)
    for name, about in CLASSES.items():
        if about.of_house:
            rule = min((schedule.rules[name] for schedule in kept), key=lambda one: one.keep.before(today))
            yield store.Look("", rule.keep.before(today), today), rule, held.get(name, held.get("*"))


def _line(connection: Connection, desk: Desk, look: store.Look, rule: Rule, held: int | None) -> Line:
    found = _found(connection, desk, rule.id, look)
    return Line(
        look.lender, rule.id, CLASSES[rule.id].act, str(rule.keep), look.cutoff, found.due if found else None,
        found.oldest if found else None, held, rule.clause, rule.verified, rule.set_by, rule.counsel,
    )  # fmt: skip


def _found(connection: Connection, desk: Desk, record_class: str, look: store.Look) -> store.Found | None:
    """How much is due; None for what is never deleted."""
    if CLASSES[record_class].act == "keep":
        return None
    if record_class in FILES:
        began = _OF_FILES[record_class](connection, desk, look).began
        return store.Found(len(began), min(began, default=None))
    found = store.found(connection, record_class, look)
    if record_class == "lookups":
        more = store.found(connection, "questions", look)
        found = store.Found(found.due + more.due, min(filter(None, (found.oldest, more.oldest)), default=None))
    return found


# -- the run -----------------------------------------------------------------------------------------------------------


def run(desk: Desk) -> Ran:
    """Whatever is due is gone, class by class, each with an audited summary. Safe to run again, and to kill."""
    finished = shredding.finish(desk, thorough=True)
    gone: dict[str, int] = {}
    held_classes = 0
    with desk.database.read() as connection:
        looks = list(_looks(connection, desk))
    for look, rule, held in sorted(looks, key=lambda one: _place(one[1].id)):
        if CLASSES[rule.id].act == "keep":
            continue
        if held is not None:
            held_classes += 1
            continue
        if number := _ran(desk, rule, look):
            gone[rule.id] = gone.get(rule.id, 0) + number
    keys = _superseded_keys_destroyed(desk)
    with desk.database.write() as connection:
        marks = shreds.forget_marks(connection, desk.today())
    if gone.get("identity") or keys:
        shredding.finish(desk, thorough=True)
    return Ran(gone, keys, marks, held_classes, finished)


def _place(record_class: str) -> int:
    order = ("identity", *ORDER, *FILES)
    return order.index(record_class) if record_class in order else len(order)


def _ran(desk: Desk, rule: Rule, look: store.Look) -> int:
    """The class's due rows are gone; how many."""
    if rule.id == "identity":
        return shredding.erase_accounts(
            desk, look.lender, lambda connection, rows: store.next_identities(connection, look, rows),
            f"retention: {rule.keep} after the end",
        ).accounts  # fmt: skip
    if rule.id in FILES:
        with desk.database.read() as connection:
            doomed = _OF_FILES[rule.id](connection, desk, look)
        if number := len(doomed.began):
            doomed.away()
        with desk.database.write() as connection:
            _recorded(connection, desk, rule, look, number)
        return number
    with desk.database.write() as connection:
        lists = store.rejects_files_due(connection, look) if rule.id == "intake" else []
        number = store.deleted(connection, rule.id, look)
        if rule.id == "lookups":
            number += store.deleted(connection, "questions", look)
        _recorded(connection, desk, rule, look, number)
    for portfolio_id in lists:
        (desk.folder("rejects") / f"{portfolio_id}.csv").unlink(missing_ok=True)
    return number


def _recorded(connection: Connection, desk: Desk, rule: Rule, look: store.Look, number: int) -> None:
    if number:
        audit.record(
            connection, desk.actor, "retention.deleted", f"class:{rule.id}",
            {"lender": look.lender or None, "rows": number, "until": look.cutoff.isoformat(), "rule": str(rule.keep)},
            desk.now(),
        )  # fmt: skip


def _superseded_keys_destroyed(desk: Desk) -> int:
    """Keys that newer snapshots have left without a row are destroyed, once no backup is old enough to need them."""
    with desk.database.read() as connection:
        looks = {rule.id: look for look, rule, _ in _looks(connection, desk) if CLASSES[rule.id].of_house}
        unused = shreds.unused_keys(connection, looks["backups"].instant)
    if not unused:
        return 0
    with desk.database.write() as connection:
        for lender in sorted({lender for _, lender in unused}):
            number = shreds.ask(
                connection, kind="retention", lender=lender, subject_id=None, why="no row is sealed under these keys",
                state="begun", asked_by=desk.actor, asked_at=desk.now(), accounts=0, debtors=0, resealed=0, texts=0,
                keys=0, files=0,
            )  # fmt: skip
            shreds.retire_keys(connection, lender, [key for key, of in unused if of == lender], number, desk.now())
    return len(unused)


# -- files -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Doomed:
    """Files that are due: when each began, and what takes them all away."""

    began: list[date]
    away: Callable[[], None]


def _sealed(connection: Connection, desk: Desk, look: store.Look) -> Doomed:
    """Sealed files that are due: of agencies, and to agencies that never answered."""
    inbox = desk.folder("inbox")
    came = store.sealed_inbound(connection, look.instant)
    sent = store.sealed_outbound(connection, look.instant)

    def away() -> None:
        for row in came:
            path = inbox / row.stored_path
            for one in (path, *path.parent.glob(f"{path.name}.*")):
                one.unlink(missing_ok=True)
        with desk.database.write() as writing:
            store.inbound_let_go(writing, [row.file_id for row in came])
        for row in sent:
            drop_sealed(desk, row)

    return Doomed([row.received_at.date() for row in came] + [row.delivered_at.date() for row in sent], away)


def _logs(_: Connection, desk: Desk, look: store.Look) -> Doomed:
    """Files of the journal and notes of faults that were last written before."""
    found = [
        (datetime.fromtimestamp(path.stat().st_mtime, UTC).date(), path)
        for folder in ("logs", "faults")
        for path in sorted(desk.folder(folder).iterdir())
        if path.is_file() and path.name not in LIVE_LOGS
    ]
    old = [(written, path) for written, path in found if written < look.cutoff]

    def away() -> None:
        for _, path in old:
            path.unlink(missing_ok=True)

    return Doomed([written for written, _ in old], away)


def _backups(connection: Connection, desk: Desk, look: store.Look) -> Doomed:
    """Backups that were made before, the newest one excepted: it is all that there is.

    Once there is a newer one, so are those from before a value was struck out of a free text: they hold it in clear.
    """
    there = backups.listed(desk)
    struck = shreds.last_struck(connection)
    if struck is not None and (not there or there[0].made_at <= struck):
        struck = None
    old = [
        one for one in there[1:] if one.made_at.date() < look.cutoff or (struck is not None and one.made_at <= struck)
    ]

    def away() -> None:
        for one in old:
            backups.remove(desk, one.name)

    return Doomed([one.made_at.date() for one in old], away)


_OF_FILES: Final[dict[str, Callable[[Connection, Desk, store.Look], Doomed]]] = {
    "files": _sealed, "logs": _logs, "backups": _backups,
}  # fmt: skip


# -- legal holds -------------------------------------------------------------------------------------------------------


def hold(
    desk: Desk,
    scope: str,
    why: str,
    *,
    lender: str | None = None,
    subject_id: int | None = None,
    record_class: str | None = None,
    until: date | None = None,
) -> int:
    """The hold's number: what it covers is neither deleted nor erased while it counts.

    scope: everything | lender | portfolio | debtor | class. Raises UsageError where the scope lacks what it is about.
    """
    check_text(why)
    if scope not in SCOPES:
        raise UsageError(f"there is no scope {scope!r}", fix=f"one of {', '.join(SCOPES)}")
    if record_class is not None and record_class not in CLASSES:
        raise UsageError(f"there is no class of records {record_class!r}", fix=f"one of {', '.join(CLASSES)}")
    wanted = {"lender": lender, "portfolio": subject_id, "debtor": subject_id, "class": record_class}
    if scope in wanted and wanted[scope] is None:
        raise UsageError(f"a hold on a {scope} needs to say which", fix="`consign retention hold --help`")
    with desk.database.write() as connection:
        trail.hold(connection)
        if lender is not None:
            portfolios.known_lender(connection, lender)
        if scope == "debtor" and subject_id is not None:
            lender = shreds.debtor(connection, subject_id)[0]
        elif scope == "portfolio" and subject_id is not None:
            lender = shreds.portfolio(connection, subject_id)[0]
        number = store.add_hold(
            connection, scope=scope, lender=lender, subject_id=subject_id, record_class=record_class, why=why.strip(),
            placed_by=desk.actor, placed_at=desk.now(), until=until,
        )  # fmt: skip
        audit.record(
            connection, desk.actor, "retention.held", f"legal_hold:{number}",
            {"id": number, "lender": lender, "kind": scope, "subject_id": subject_id, "rule": record_class,
             "until": until.isoformat() if until else None},
            desk.now(),
        )  # fmt: skip
    return number


def lift(desk: Desk, legal_hold_id: int) -> bool:
    """The hold counts no more: the next run deletes what is due. False if it was lifted before.

    A second person lifts it. Raises RoleMissing, and RefusedByPolicy for whoever placed it.
    """
    with desk.database.write() as connection:
        trail.hold(connection)
        roles.require(connection, desk, "compliance")
        if store.hold(connection, legal_hold_id).placed_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} placed legal hold {legal_hold_id}, and cannot lift it",
                fix="let a second person lift it: what is due is deleted then",
            )
        lifted = store.lift_hold(connection, legal_hold_id, desk.actor, desk.now())
        if lifted:
            audit.record(
                connection, desk.actor, "retention.lifted", f"legal_hold:{legal_hold_id}", {"id": legal_hold_id},
                desk.now(),
            )  # fmt: skip
    return lifted
