"""The inbox: a file from an agency is claimed, opened, checked, and accepted or refused, once.

claimed → opened → accepted | refused. Everything that a file changes, its receipt included, happens in one
transaction; a killed run is resumed from the sealed bytes that were fetched first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, Row, insert

from connectors.drops import Claimed, Drop, open_drop
from connectors.drops.errors import NotAsDeclared, TakenByAnother, TooLarge
from connectors.layouts.package import Package, PackageRefused, control_holds, read_package
from infra import acceptance, audit, workers
from infra.outbox import drop_settings, scratch, suffix_of
from infra.store import bulk, exchange
from keys.errors import OpenRefused
from keys.reidentify import Reidentifier
from keys.sealing import open_from
from models.checking import CODES, check, header_rejects
from models.kinds import FILE_NAME, INBOUND, KINDS
from models.lives import INBOUND as LIFE
from models.lives import moved
from models.tables import InboundReject

if TYPE_CHECKING:
    from pathlib import Path

    from infra.wiring import Desk


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


def collect(desk: Desk, agency: str) -> Collected:
    """Every file the agency has left is taken in; running again takes nothing twice.

    Raises AgencyBusy where another worker is at it, and what the drop raises.
    """
    with desk.database.read() as connection:
        row = exchange.agency(connection, agency)
    total = Collected(agency)
    sidecar = ".sig" if row.suite == "age" else None
    with workers.alone(desk, "collect", agency), open_drop(drop_settings(desk, row)) as drop:
        for file_id in _unfinished(desk, agency):
            total = _plus(total, judge(desk, row, file_id))
        for claimed in drop.claimed(sidecar):
            total = _plus(total, _take(desk, row, drop, claimed))
        seen = drop.look(sidecar_suffix=sidecar)
        total = replace(total, ignored=len(seen.ignored))
        for entry in sorted(seen.entries, key=lambda entry: _order(entry.name)):
            try:
                claimed = drop.claim(entry)
            except TakenByAnother:
                continue
            total = _plus(total, _take(desk, row, drop, claimed))
    return total


def _order(name: str) -> tuple[int, str]:
    """By sequence number within a kind, so that what came first is judged first."""
    found = FILE_NAME.fullmatch(name)
    return (int(found["sequence"]), name) if found else (0, name)


def _unfinished(desk: Desk, agency: str) -> list[int]:
    with desk.database.read() as connection:
        return exchange.unfinished_inbound(connection, agency)


def _take(desk: Desk, agency: Row[Any], drop: Drop, claimed: Claimed) -> Collected:
    """Fetch, record, judge, archive."""
    folder = desk.folder("inbox") / agency.agency
    folder.mkdir(mode=0o700, exist_ok=True)
    arriving = folder / "arriving"  # one collector per agency: a killed one's leftover is overwritten
    try:
        fetched = drop.fetch(claimed, arriving)
    except (NotAsDeclared, TooLarge) as error:
        drop.archive(claimed, "refused")
        with desk.database.write() as connection:
            audit.record(
                connection, desk.actor, "inbound.unfit", agency.agency, {"reason": type(error).__name__}, desk.now()
            )
        return Collected(agency.agency, refused=1)
    with desk.database.write() as connection:
        known = exchange.inbound_by_hash(connection, agency.agency, fetched.sha256)
        if known is None:
            stored = _keep(folder, arriving, fetched.sha256, dict(fetched.sidecars))
            file_id = _record(connection, desk, agency, claimed.name, fetched.sha256, fetched.size, stored)
        else:
            file_id = known.file_id
            for path in (arriving, *fetched.sidecars.values()):
                path.unlink(missing_ok=True)
            audit.record(
                connection, desk.actor, "inbound.repeated", f"file:{file_id}", {"file_id": file_id}, desk.now()
            )
    if known is not None and known.state in {"accepted", "refused"}:
        drop.archive(claimed, "duplicate")
        return Collected(agency.agency, duplicates=1)
    done = judge(desk, agency, file_id)
    drop.archive(claimed, "accepted" if done.accepted else "refused")
    return done


def _keep(folder: Path, arriving: Path, sha256: str, sidecars: dict[str, Path]) -> str:
    """The sealed bytes under their hash: they are the evidence of what came."""
    for suffix, path in sidecars.items():
        path.replace(folder / f"{sha256}{suffix}")
    arriving.replace(folder / sha256)
    return f"{folder.name}/{sha256}"


def _record(
    connection: Connection, desk: Desk, agency: Row[Any], name: str, sha256: str, size: int, stored: str
) -> int:
    file_id = bulk.reserve(connection, "inbound_file", 1)
    connection.execute(
        insert(exchange.FILES).values(
            file_id=file_id,
            agency=agency.agency,
            name=_shown(name),
            state="claimed",
            sealed_sha256=sha256,
            sealed_size=size,
            stored_path=stored,
            rows=0,
            rows_refused=0,
            received_at=desk.now(),
        )
    )
    audit.record(
        connection, desk.actor, "inbound.claimed", f"file:{file_id}", {"file_id": file_id, "sha256": sha256}, desk.now()
    )
    return file_id


def judge(desk: Desk, agency: Row[Any], file_id: int) -> Collected:
    """The fetched file is accepted line by line, or refused whole; its receipt is prepared in the same transaction."""
    with desk.database.read() as connection:
        row = exchange.inbound(connection, file_id)
    stored = desk.folder("inbox") / row.stored_path
    try:
        named = _named(row, agency)
        with scratch(desk) as folder:
            plain = folder / "package.zip"
            try:
                opened = open_from(desk.keyring, agency.agency, agency.suite, stored, plain, desk.now())
            except OpenRefused as error:
                raise Refusal(error.code) from None
            try:
                package = read_package(plain, max_bytes=desk.settings.max_inbound_bytes)
            except PackageRefused as error:
                raise Refusal(error.code) from None
        _note_opened(desk, file_id, row, named, package, opened.signer_fingerprint)
        return _accept(desk, agency, file_id, named, package)
    except Refusal as refusal:
        return _refuse(desk, agency, file_id, refusal.code)


def _named(row: Row[Any], agency: Row[Any]) -> dict[str, Any]:
    """What the file's name says of it."""
    found = FILE_NAME.fullmatch(row.name)
    if found is None or found["suffix"] != suffix_of(agency.suite):
        code = "bad_name"
        raise Refusal(code)
    if found["agency"] != agency.agency:
        code = "wrong_agency"
        raise Refusal(code)
    if found["kind"] not in INBOUND:
        code = "wrong_kind"
        raise Refusal(code)
    return {"lender": found["lender"], "kind": found["kind"], "sequence": int(found["sequence"])}


def _note_opened(desk: Desk, file_id: int, row: Row[Any], named: dict[str, Any], package: Package, signer: str) -> None:
    said = {name: package.manifest.get(name) for name in ("lender", "kind", "sequence")}
    if said != named or package.manifest.get("agency") != row.agency:
        code = "manifest"
        raise Refusal(code)
    if package.table_name != KINDS[named["kind"]].table:
        code = "manifest"
        raise Refusal(code)
    previous = package.manifest.get("previous")
    with desk.database.write() as connection:
        exchange.note_inbound(
            connection,
            file_id,
            state=moved(f"file {row.name}", row.state, "opened", LIFE) if row.state == "claimed" else row.state,
            **named,
            package_sha256=package.sha256,
            previous_sha256=previous if isinstance(previous, str) else None,
            signer=signer,
            rows=package.table.num_rows,
        )


def _accept(desk: Desk, agency: Row[Any], file_id: int, named: dict[str, Any], package: Package) -> Collected:
    kind = KINDS[named["kind"]]
    header = header_rejects(kind, package.header)
    checked = None if len(header) else check(kind, package.table)
    if (
        checked is not None
        and kind.control
        and checked.sums is not None
        and not control_holds(package.manifest, checked.sums)
    ):
        code = "control_sum"
        raise Refusal(code)
    now = desk.now()
    with desk.database.write() as connection:
        finding = _in_sequence(connection, agency.agency, named, package)
        if checked is None:
            _save_rejects(connection, file_id, kind.table, header)
            _end(
                connection,
                desk,
                agency,
                file_id,
                named,
                state="refused",
                code=str(header["code"].iloc[0]),
                rows_refused=package.table.num_rows,
            )
            return Collected(agency.agency, refused=1)
        ids, known = Reidentifier(desk.keyring).accounts_of(agency.agency, _account_column(checked.good))
        outcome = acceptance.accept(
            acceptance.Arrival(
                connection,
                agency,
                file_id,
                named["lender"],
                kind,
                checked.good,
                ids,
                known & (ids > 0),
                now,
                desk.actor,
            )
        )
        rejects = pd.concat([checked.rejects, outcome.rejects], ignore_index=True)
        _save_rejects(connection, file_id, kind.table, rejects)
        refused = int(rejects["line"].nunique())
        _end(
            connection,
            desk,
            agency,
            file_id,
            named,
            state="accepted",
            code=None,
            rows_refused=refused,
            finding=finding or outcome.finding,
        )
        exchange.settle_acknowledged(connection, agency.agency, now)
    return Collected(agency.agency, accepted=1, lines=package.table.num_rows, lines_refused=refused)


def _account_column(frame: pd.DataFrame) -> pd.Series:
    return frame["account"] if "account" in frame.columns else pd.Series([None] * len(frame), dtype="str")


def _in_sequence(connection: Connection, agency: str, named: dict[str, Any], package: Package) -> str | None:
    """None where the number is the next; a finding where one is missing; a refusal where it was used."""
    if not exchange.lender_exists(connection, named["lender"]):
        code = "unknown_lender"
        raise Refusal(code)
    if exchange.package_taken(connection, agency, package.sha256):
        code = "replayed"
        raise Refusal(code)
    if exchange.sequence_taken(connection, named["lender"], agency, named["kind"], named["sequence"]):
        code = "sequence_repeat"
        raise Refusal(code)
    last = exchange.last_sequence(connection, named["lender"], agency, named["kind"])
    if named["sequence"] > last + 1:
        return "sequence_gap"
    return "sequence_late" if named["sequence"] < last else None


def _refuse(desk: Desk, agency: Row[Any], file_id: int, code: str) -> Collected:
    with desk.database.write() as connection:
        row = exchange.inbound(connection, file_id)
        found = FILE_NAME.fullmatch(row.name)
        named = {"lender": found["lender"], "kind": found["kind"], "sequence": int(found["sequence"])} if found else {}
        _end(connection, desk, agency, file_id, named, state="refused", code=code, rows_refused=row.rows)
    return Collected(agency.agency, refused=1)


def _end(connection: Connection, desk: Desk, agency: Row[Any], file_id: int, named: dict[str, Any], *,
         state: str, code: str | None, rows_refused: int, finding: str | None = None) -> None:  # fmt: skip
    """The file's fate, its receipt and its audit event, in the caller's transaction."""
    row = exchange.inbound(connection, file_id)
    now = desk.now()
    receipt_id = None
    lender = named.get("lender")
    if lender is not None and exchange.lender_exists(connection, lender):
        receipt_id, _ = exchange.prepare(
            connection,
            exchange.Work(
                work_key=f"receipt:{file_id}",
                lender=lender,
                agency=agency.agency,
                kind="receipt",
                day=desk.today(exchange.lender_timezone(connection, lender)),
                suffix=suffix_of(agency.suite),
                spec={"file_id": file_id},
            ),
        )
    exchange.note_inbound(
        connection,
        file_id,
        state=moved(f"file {row.name}", row.state, state, LIFE),
        **named,
        rows_refused=rows_refused,
        refusal_code=code,
        refusal_fix=CODES[code] if code else None,
        finding=finding,
        accepted_at=now if state == "accepted" else None,
        receipt_transmission_id=receipt_id,
    )
    audit.record(
        connection,
        desk.actor,
        f"inbound.{state}",
        f"file:{file_id}",
        {"file_id": file_id, "rows": row.rows, "rows_refused": rows_refused, "code": code, "finding": finding},
        now,
    )


def _save_rejects(connection: Connection, file_id: int, table: str, rejects: pd.DataFrame) -> None:
    bulk.append(connection, bulk.table_of(InboundReject), rejects.assign(file_id=file_id, table_name=table))


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
