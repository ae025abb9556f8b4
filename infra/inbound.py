"""The inbox: a file from an agency is claimed, opened, checked, and accepted or refused, once.

claimed → opened → accepted | refused. Everything that a file changes, its receipt included, happens in one
transaction; a killed run is resumed from the sealed bytes that were fetched first.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, Row, insert

from connectors.drops.errors import NotAsDeclared, TakenByAnother, TooLarge
from connectors.layouts.flat import read_flat
from connectors.layouts.judging import head_rejects, in_their_words, judged, sums_hold
from connectors.layouts.naming import Told, read_name
from connectors.layouts.package import Package, PackageRefused, read_package
from infra import acceptance, audit, exceptions, sequence, workers
from infra.outbox import reached, record_delivered, round_limits, scratch
from infra.packing import suffix_of
from infra.store import bulk, exchange, layouts
from keys.errors import OpenRefused
from keys.reidentify import Reidentifier
from keys.sealing import open_from
from models.checking import CODES, Checked
from models.kinds import INBOUND, KINDS, Kind
from models.lives import INBOUND as LIFE
from models.lives import moved
from models.tables import InboundReject

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from connectors.drops import Claimed, Drop, Entry, Fetched, Ignored
    from connectors.layouts.profiles import Layout
    from infra.wiring import Desk

ARRIVING = "arriving-"
SHA256 = re.compile(r"[0-9a-f]{64}")
IGNORED_ANSWERED = 20
"""names in a drop that are no files for us: so many have a receipt of their own, however many there are"""


@dataclass(frozen=True)
class Collected:
    """What one round of collecting from an agency did."""

    agency: str
    accepted: int = 0
    refused: int = 0
    duplicates: int = 0
    lines: int = 0
    lines_refused: int = 0
    ignored: int = 0
    """names left where they are: links, hostile names, files too large"""


class Refusal(Exception):
    """The whole file is refused, for a reason of `CODES`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def collect(desk: Desk, agency: str, mine: Callable[[str], bool] = lambda _: True) -> Collected:
    """Every file the agency has left is taken in; running again takes nothing twice.

    mine: of which names; the others stay where they are (infra/certification.py takes in its own).

    A file that we fail to judge (a fault of ours, not a refusal) stays claimed for the next run and does not hold up
    the others; the first such fault is raised when they are in. Raises AgencyBusy where another worker is at it, and
    what the drop raises.
    """
    with desk.database.read() as connection:
        row = exchange.agency(connection, agency)
        layout = layouts.recorded(connection, row.layout)
    sidecar = ".sig" if row.suite == "age" else None
    with workers.alone(desk, "collect", agency), reached(desk, row) as drop:
        round_ = _Round(desk, row, drop, Collected(agency), _arriving(desk, row))
        for file_id in _unfinished(desk, agency):
            round_.finish(file_id)
        for claimed in drop.claimed(sidecar):
            if mine(claimed.name):
                round_.take(claimed)
        seen = drop.look(sidecar_suffix=sidecar)
        entries = [one for one in seen.entries if mine(one.name)]
        entries.sort(key=lambda entry: _order(entry.name, agency, layout))
        for entry in _of_this_round(desk, row, entries):
            with suppress(TakenByAnother):
                round_.take(drop.claim(entry))
        _note_ignored(desk, row, [one for one in seen.ignored if mine(one.name)], more=seen.more)
    if round_.faults:
        raise round_.faults[0]
    return replace(round_.total, ignored=len(seen.ignored))


def _of_this_round(desk: Desk, agency: Row[Any], entries: list[Entry]) -> list[Entry]:
    """The first of them, as many and as large as one round may take; one at least."""
    most_files, most_bytes = round_limits(desk, agency)
    before = accumulate((entry.size for entry in entries), initial=0)
    return [entry for entry, so_far in zip(entries[:most_files], before, strict=False) if so_far < most_bytes]


@dataclass
class _Round:
    """One round of collecting: what is in so far, and what of it was our own fault."""

    desk: Desk
    agency: Row[Any]
    drop: Drop
    total: Collected
    arriving: Path
    faults: list[Exception] = field(default_factory=list)

    def take(self, claimed: Claimed) -> None:
        """Fetch, record, judge, archive."""
        try:
            fetched = self.drop.fetch(claimed, self.arriving)
        except (NotAsDeclared, TooLarge) as error:
            code = "too_large" if isinstance(error, TooLarge) else "not_as_declared"
            _refuse_unread(self.desk, self.agency, claimed.name, claimed.held_as, claimed.size, code)
            self.drop.archive(claimed, "refused")
            self._add(Collected(self.agency.agency, refused=1))
            return
        file_id, state = _recorded(self.desk, self.agency, claimed, fetched, self.arriving)
        if state in {"accepted", "refused"}:
            self.drop.archive(claimed, "duplicate")
            self._add(Collected(self.agency.agency, duplicates=1))
            return
        done = self.finish(file_id)
        if done is not None:
            self.drop.archive(claimed, "accepted" if done.accepted else "refused")

    def finish(self, file_id: int) -> Collected | None:
        """Judge a file that was fetched; None where we failed to."""
        try:
            done = judge(self.desk, self.agency, file_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other files are not to wait for it
            self.faults.append(error)
            _note_fault(self.desk, self.agency.agency, file_id, error)
            return None
        self._add(done)
        return done

    def _add(self, more: Collected) -> None:
        self.total = _plus(self.total, more)


def _arriving(desk: Desk, agency: Row[Any]) -> Path:
    """Where a file is fetched to before it has its hash for a name; what dead collectors left there is gone.

    It bears its worker's name: one whose lease ran out while its machine slept may wake up and fetch on.
    """
    folder: Path = desk.folder("inbox") / agency.agency
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in folder.glob(f"{ARRIVING}*"):
        with suppress(FileNotFoundError):  # another worker tidies up too
            age = time.time() - path.stat().st_mtime
            if workers.is_dead(path.name.removeprefix(ARRIVING)) or age >= desk.settings.abandoned_seconds:
                path.unlink()
    return folder / f"{ARRIVING}{workers.new_owner()}"


def _refuse_unread(desk: Desk, agency: Row[Any], name: str, identity: str, size: int, code: str) -> bool:
    """A file that was never fetched is refused, and its receipt prepared, once; True where this call did it.

    identity: what tells it from other files, for nobody has its hash.
    """
    key = f"unread:{sha256(identity.encode(errors='surrogatepass')).hexdigest()}"
    with desk.database.write() as connection:
        exchange.take_turn(connection)
        if exchange.inbound_by_hash(connection, agency.agency, key) is not None:
            return False
        file_id = _claimed(connection, desk, agency, name, key, size, "")
        _end(connection, _case(desk, agency, exchange.inbound(connection, file_id)), state="refused", code=code)
    return True


def _note_ignored(desk: Desk, agency: Row[Any], ignored: list[Ignored], *, more: bool) -> None:
    """What lies in the drop and is no file for us has a receipt each, for the first few, and an exception for all.

    more: there are names that were not looked at; somebody must know, for an honest file may be among them.
    """
    for one in sorted(ignored, key=lambda one: one.name)[:IGNORED_ANSWERED]:
        _refuse_unread(desk, agency, one.name, f"ignored {one.name} {one.why}", 0, _why_ignored(one.why))
    subject = f"drop:{agency.agency}"
    with desk.database.write() as connection:
        if more:
            exceptions.open_exception(connection, desk, "drop_overfull", agency=agency.agency, subject=subject)
        else:
            exceptions.ended(connection, desk, "drop_overfull", subject, "every name was looked at")
        if not ignored:
            exceptions.ended(connection, desk, "names_ignored", subject, "nothing of the kind is in the drop any more")
            return
        why = Counter(_why_ignored(one.why) for one in ignored)
        exceptions.open_exception(
            connection, desk, "names_ignored", agency=agency.agency, subject=subject,
            detail={"codes": [f"{code}:{number}" for code, number in sorted(why.items())]},
        )  # fmt: skip


def _why_ignored(why: str) -> str:
    """The receipt's code for why the drop passed a name over."""
    if "larger than" in why:
        return "too_large"
    return "not_a_file" if "not a regular file" in why else "bad_name"


def _note_fault(desk: Desk, agency: str, file_id: int, error: Exception) -> None:
    """That we failed to judge a file is somebody's to mend; the store that caused it may not take this either."""
    with suppress(Exception), desk.database.write() as connection:
        exceptions.open_exception(
            connection, desk, "file_unjudged", agency=agency, subject=f"file:{file_id}",
            detail={"file_id": file_id, "reason": type(error).__name__},
        )  # fmt: skip


def _order(name: str, agency: str, layout: Layout | None) -> tuple[int, str]:
    """By sequence number within a kind, so that what came first is judged first."""
    told = read_name(name, agency, layout)
    return (told.named.sequence, name) if told else (0, name)


def _unfinished(desk: Desk, agency: str) -> list[int]:
    with desk.database.read() as connection:
        return exchange.unfinished_inbound(connection, agency)


def _recorded(desk: Desk, agency: Row[Any], claimed: Claimed, fetched: Fetched, arriving: Path) -> tuple[int, str]:
    """The fetched file is a row, once per content; its id and state."""
    with desk.database.write() as connection:
        exchange.take_turn(connection)
        known = exchange.inbound_by_hash(connection, agency.agency, fetched.sha256)
        if known is None:
            stored = _keep(arriving, fetched)
            return _record(connection, desk, agency, claimed.name, fetched, stored), "claimed"
        for path in (arriving, *fetched.sidecars.values()):
            path.unlink(missing_ok=True)
        if known.state in {"accepted", "refused"}:
            audit.record(
                connection,
                desk.actor,
                "inbound.repeated",
                f"file:{known.file_id}",
                {"file_id": known.file_id},
                desk.now(),
            )
        return int(known.file_id), str(known.state)


def _keep(arriving: Path, fetched: Fetched) -> str:
    """The sealed bytes under their hash: they are the evidence of what came."""
    folder = arriving.parent
    for suffix, path in fetched.sidecars.items():
        path.replace(folder / f"{fetched.sha256}{suffix}")
    arriving.replace(folder / fetched.sha256)
    return f"{folder.name}/{fetched.sha256}"


def _claimed(
    connection: Connection, desk: Desk, agency: Row[Any], name: str, sha256_: str, size: int, stored: str
) -> int:
    """The row of a file that has come in; its id."""
    file_id = bulk.reserve(connection, "inbound_file", 1)
    connection.execute(
        insert(exchange.FILES).values(
            file_id=file_id,
            agency=agency.agency,
            name=_shown(name),
            state="claimed",
            sealed_sha256=sha256_,
            sealed_size=size,
            stored_path=stored,
            rows=0,
            rows_refused=0,
            received_at=desk.now(),
        )
    )
    return file_id


def _record(connection: Connection, desk: Desk, agency: Row[Any], name: str, fetched: Fetched, stored: str) -> int:
    file_id = _claimed(connection, desk, agency, name, fetched.sha256, fetched.size, stored)
    audit.record(
        connection,
        desk.actor,
        "inbound.claimed",
        f"file:{file_id}",
        {"file_id": file_id, "sha256": fetched.sha256},
        desk.now(),
    )
    return file_id


@dataclass(frozen=True)
class Case:
    """A file before the gateway."""

    desk: Desk
    agency: Row[Any]
    file_id: int
    lender: str | None = None
    kind: str | None = None
    sequence: int | None = None
    told: Told | None = None
    """what its name says of it"""
    layout: Layout | None = None
    """how the agency's plain files look, where it sends any"""

    @property
    def recorded(self) -> str | None:
        """The layout that it is read with, as it is written down; None for a package."""
        return self.layout.recorded if self.layout is not None and self.told is not None and self.told.plain else None

    @property
    def named(self) -> dict[str, Any]:
        """What its name says of it; nothing where it has no name of ours."""
        return {} if self.kind is None else {"lender": self.lender, "kind": self.kind, "sequence": self.sequence}


def judge(desk: Desk, agency: Row[Any], file_id: int) -> Collected:
    """The fetched file is accepted line by line, or refused whole; its receipt is prepared in the same transaction."""
    with desk.database.read() as connection:
        row = exchange.inbound(connection, file_id)
    if row.state in {"accepted", "refused"}:
        return Collected(agency.agency)
    case = _case(desk, agency, row)
    try:
        _check_name(case)
        with workers.at_work(desk):
            with scratch(desk) as folder:
                package, signer = _opened(case, desk.folder("inbox") / row.stored_path, folder / "package.zip")
            _note_opened(case, package, signer)
            return _accept(case, package)
    except Refusal as refusal:
        return _refuse(case, refusal.code)


def _case(desk: Desk, agency: Row[Any], row: Row[Any]) -> Case:
    with desk.database.read() as connection:
        layout = layouts.recorded(connection, agency.layout)
    told = read_name(row.name, agency.agency, layout)
    if told is None:
        return Case(desk, agency, row.file_id)
    named = told.named
    return Case(desk, agency, row.file_id, named.lender, named.kind, named.sequence, told, layout)


def _opened(case: Case, stored: Path, plain: Path) -> tuple[Package, str]:
    """What is inside the seal, every claim of its manifest checked, and who signed it."""
    desk, agency = case.desk, case.agency
    try:
        opened = open_from(
            desk.keyring, agency.agency, agency.suite, stored, plain, desk.now(),
            lender=case.lender or "", skew=timedelta(minutes=desk.settings.clock_skew_minutes),
        )  # fmt: skip
    except OpenRefused as error:
        raise Refusal(error.code) from None
    try:
        return _read(case, plain), opened.signer_fingerprint
    except PackageRefused as error:
        with desk.database.write() as connection:  # the agency has signed it: its number is used up
            exchange.note_inbound(connection, case.file_id, signer=opened.signer_fingerprint, layout=case.recorded)
        raise Refusal(error.code) from None


def _read(case: Case, plain: Path) -> Package:
    """The package, or the plain file in the agency's layout: its name says which."""
    most = case.desk.settings.max_inbound_bytes
    if case.told is not None and case.told.plain and case.layout is not None:
        return read_flat(plain, case.layout, case.told.named, max_bytes=most)
    return read_package(plain, max_bytes=most)


def _check_name(case: Case) -> None:
    """Raises Refusal where the name is none of ours, or not one that this agency may give."""
    if case.told is None or case.told.suffix != suffix_of(case.agency.suite):
        raise Refusal("bad_name")
    named = case.told.named
    if named.agency != case.agency.agency:
        raise Refusal("wrong_agency")
    if named.kind not in INBOUND:
        raise Refusal("wrong_kind")
    with case.desk.database.read() as connection:
        if not exchange.lender_exists(connection, named.lender):
            raise Refusal("unknown_lender")


def _note_opened(case: Case, package: Package, signer: str) -> None:
    said = {name: package.manifest.get(name) for name in ("lender", "kind", "sequence")}
    if said != case.named or package.manifest.get("agency") != case.agency.agency:
        raise Refusal("manifest")
    if package.table_name != KINDS[str(case.kind)].table:
        raise Refusal("manifest")
    previous = package.manifest.get("previous")
    with case.desk.database.write() as connection:
        exchange.take_turn(connection)
        here = exchange.inbound(connection, case.file_id).state
        if here not in {"claimed", "opened"}:
            return  # another worker has judged it since we looked; what has an end is not opened again
        exchange.note_inbound(
            connection,
            case.file_id,
            state=moved(f"file {case.file_id}", here, "opened", LIFE) if here == "claimed" else here,
            **case.named,
            package_sha256=package.sha256,
            previous_sha256=previous if isinstance(previous, str) and SHA256.fullmatch(previous) else None,
            signer=signer,
            layout=case.recorded,
            rows=package.rows,
        )


def _accept(case: Case, package: Package) -> Collected:
    kind, agency = KINDS[str(case.kind)], case.agency.agency
    header = head_rejects(kind, package)
    checked = None if len(header) else _judged(case, package)
    if checked is not None and not sums_hold(kind, package, checked):
        raise Refusal("control_sum")
    with case.desk.database.write() as connection:
        exchange.take_turn(connection)
        if exchange.inbound(connection, case.file_id).state != "opened":
            return Collected(agency)
        finding = _in_sequence(connection, case, package)
        if checked is None:
            _save_rejects(connection, case, header)
            code = str(header["code"].iloc[0])
            _end(connection, case, state="refused", code=code, rows_refused=package.rows, finding=finding)
            return Collected(agency, refused=1)
        refused = _take_effect(connection, case, package, checked, finding)
    return Collected(agency, accepted=1, lines=package.rows, lines_refused=refused)


def _judged(case: Case, package: Package) -> Checked:
    """The lines typed, or refused. Raises Refusal where there is no end of what is wrong."""
    try:
        return judged(KINDS[str(case.kind)], package, _latest(case))
    except PackageRefused as error:
        raise Refusal(error.code) from None


def _take_effect(connection: Connection, case: Case, package: Package, checked: Checked, finding: str | None) -> int:
    """The good lines take effect, the others are refused, the receipt is prepared. Returns how many were refused."""
    desk, agency = case.desk, case.agency
    ids, known = Reidentifier(desk.keyring).accounts_of(agency.agency, _account_column(checked.good))
    known &= ids > 0
    for row in exchange.proved_delivered(connection, agency.agency, pd.Series(ids[known])):
        record_delivered(connection, desk, row, "delivered")
    outcome = acceptance.accept(
        acceptance.Arrival(
            connection,
            agency,
            case.file_id,
            str(case.lender),
            KINDS[str(case.kind)],
            checked.good,
            ids,
            known,
            desk.now(),
            _today(case, connection),
            desk,
        )
    )
    rejects = pd.concat([checked.rejects, outcome.rejects], ignore_index=True)
    _save_rejects(connection, case, in_their_words(package, rejects))
    refused = int(rejects["line"].nunique())
    told = ";".join(one for one in (finding, outcome.finding) if one) or None
    counted = checked.good[~checked.good["line"].isin(outcome.rejects["line"])]
    sums = _sums(KINDS[str(case.kind)], counted)
    _end(connection, case, state="accepted", code=None, rows_refused=refused, finding=told, sums=sums)
    exchange.settle_acknowledged(connection, agency.agency, desk.now())
    return refused


def _sums(kind: Kind, lines: pd.DataFrame) -> str | None:
    """The control column of the lines by currency, as JSON; None for a kind without one."""
    if kind.control is None:
        return None
    totals = lines.groupby("currency", sort=True)[kind.field(kind.control).column].sum()
    return json.dumps({str(currency): int(total) for currency, total in totals.items()})


def _today(case: Case, connection: Connection) -> date:
    return case.desk.today(exchange.lender_timezone(connection, str(case.lender)))


def _latest(case: Case) -> date:
    """The last day that a file of today can speak of; it may be tomorrow already where the agency is."""
    with case.desk.database.read() as connection:
        return _today(case, connection) + timedelta(days=1)


def _account_column(frame: pd.DataFrame) -> pd.Series:
    return frame["account"] if "account" in frame.columns else pd.Series([None] * len(frame), dtype="str")


def _in_sequence(connection: Connection, case: Case, package: Package) -> str | None:
    """None where the number is the next and follows from the one before; findings where not; a refusal of a repeat."""
    agency, lender, kind, number = case.agency.agency, str(case.lender), str(case.kind), int(case.sequence or 0)
    if exchange.package_taken(connection, agency, package.sha256):
        raise Refusal("replayed")
    if exchange.sequence_taken(connection, lender, agency, kind, number):
        raise Refusal("sequence_repeat")
    found = sequence.findings(connection, sequence.Line(agency, lender, kind), case.file_id, number)
    return ";".join(found) or None


def _refuse(case: Case, code: str) -> Collected:
    with case.desk.database.write() as connection:
        exchange.take_turn(connection)
        row = exchange.inbound(connection, case.file_id)
        if row.state in {"accepted", "refused"}:
            return Collected(case.agency.agency)
        _end(connection, case, state="refused", code=code, rows_refused=row.rows)
    return Collected(case.agency.agency, refused=1)


def _end(
    connection: Connection,
    case: Case,
    *,
    state: str,
    code: str | None,
    rows_refused: int = 0,
    finding: str | None = None,
    sums: str | None = None,
) -> None:
    """The file's fate, its receipt, its exceptions and its audit event, in the caller's transaction."""
    row = exchange.inbound(connection, case.file_id)
    now = case.desk.now()
    exchange.note_inbound(
        connection,
        case.file_id,
        state=moved(f"file {case.file_id}", row.state, state, LIFE),
        **case.named,
        rows_refused=rows_refused,
        refusal_code=code,
        refusal_fix=CODES[code] if code else None,
        finding=finding,
        sums=sums,
        accepted_at=now if state == "accepted" else None,
        receipt_transmission_id=_receipt(connection, case),
    )
    _watch(connection, case, row, code, finding)
    audit.record(
        connection,
        case.desk.actor,
        f"inbound.{state}",
        f"file:{case.file_id}",
        {"file_id": case.file_id, "rows": row.rows, "rows_refused": rows_refused, "code": code, "finding": finding},
        now,
    )


def _watch(connection: Connection, case: Case, row: Row[Any], code: str | None, finding: str | None) -> None:
    """What of the file a person must look at is an exception; what it mends is none any more."""
    desk, subject = case.desk, f"file:{case.file_id}"
    exceptions.ended(connection, desk, "file_unjudged", subject, "the file was judged")
    if code is not None:
        name = (
            "file_unfit" if not row.stored_path else "sequence_repeat" if code == "sequence_repeat" else "file_refused"
        )
        exceptions.open_exception(
            connection,
            desk,
            name,
            agency=case.agency.agency,
            lender=case.lender,
            kind=case.kind,
            subject=subject,
            detail={"file_id": case.file_id, "code": code},
        )
    if case.kind is not None and row.signer is not None:
        line = sequence.Line(case.agency.agency, str(case.lender), case.kind)
        sequence.watch(connection, desk, line, case.file_id, finding)


def _receipt(connection: Connection, case: Case) -> int | None:
    """The receipt is prepared, from the lender that the file names, else from one under contract with the agency."""
    lender = case.lender
    if lender is None or not exchange.lender_exists(connection, lender):
        lender = exchange.lender_under_contract(connection, case.agency.agency)
    if lender is None:  # a newcomer whose file names nobody: who but the only lender would answer
        only = exchange.lenders(connection)
        if len(only) != 1:
            return None
        lender = only[0][0]
    transmission_id, _ = exchange.prepare(
        connection,
        exchange.Work(
            work_key=f"receipt:{case.file_id}",
            lender=lender,
            agency=case.agency.agency,
            kind="receipt",
            day=case.desk.today(exchange.lender_timezone(connection, lender)),
            suffix=suffix_of(case.agency.suite),
            spec={"file_id": case.file_id},
        ),
    )
    return transmission_id


def _save_rejects(connection: Connection, case: Case, rejects: pd.DataFrame) -> None:
    table = KINDS[str(case.kind)].table
    bulk.append(connection, bulk.table_of(InboundReject), rejects.assign(file_id=case.file_id, table_name=table))


def _shown(name: str) -> str:
    """A sender's file name as it may be stored and shown."""
    return "".join(character if character.isprintable() else "?" for character in name)[:200]


def _plus(one: Collected, other: Collected) -> Collected:
    return Collected(
        one.agency,
        one.accepted + other.accepted,
        one.refused + other.refused,
        one.duplicates + other.duplicates,
        one.lines + other.lines,
        one.lines_refused + other.lines_refused,
        one.ignored + other.ignored,
    )
