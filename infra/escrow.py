"""The keyring leaves when two persons say so, once, within hours, sealed to a named holder; so it comes back."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from infra import audit, roles
from infra.rootkeys import root_of
from infra.store import bulk, shredding
from keys import escrow
from keys.errors import KeyUnfit
from keys.files import write_private
from keys.keyring import Keyring
from models.errors import RefusedByPolicy, UsageError
from models.lives import ESCROW, moved
from models.tables import Escrow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

ESCROWS: Final = bulk.table_of(Escrow)
WHY_AT_LEAST: Final = 10


def ask_export(desk: Desk, holder: str, recipient: str, why: str) -> int:
    """The request's number: the keyring is to be let out to this holder's age recipient, once another approves.

    Raises UsageError for what is no recipient, and for a reason that says nothing.
    """
    try:
        checked = escrow.check_recipient(recipient)
    except KeyUnfit as unfit:  # somebody mistyped: nothing is wrong with the installation
        raise UsageError(str(unfit), fix=unfit.fix) from None
    return _ask(desk, "export", why, holder=holder, recipient=checked)


def ask_import(desk: Desk, file: Path, why: str) -> int:
    """The request's number: the keys of this very file are to be taken in, once another approves."""
    return _ask(desk, "import", why, sha256=_digest(_read(file)))


def approve(desk: Desk, escrow_id: int, said: str) -> Row[Any]:
    """The request as it is now: approved for `export_hours`.

    said: what the second person read elsewhere: the recipient, from the holder; the SHA-256, from the file.
    Raises RoleMissing, RefusedByPolicy for the one who asked, and where what was read is something else.
    """
    now = desk.now()
    with desk.database.write() as connection:
        roles.require(connection, desk, "administrator")
        row = _request(connection, escrow_id)
        if row.asked_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} asked for it, and cannot approve it", fix="let a second person approve it"
            )
        if said.strip() != (row.recipient if row.kind == "export" else row.sha256):
            raise RefusedByPolicy(
                f"request {escrow_id} is for another {'recipient' if row.kind == 'export' else 'file'}",
                fix="compare with the holder again; withdraw the request if it is not what was meant",
            )
        _move(
            connection, row, "approved", approved_by=desk.actor, approved_at=now,
            until=now + timedelta(hours=desk.settings.export_hours),
        )  # fmt: skip
        _record(connection, desk, f"key.{row.kind}_approved", row)
        return _request(connection, escrow_id)


def withdraw(desk: Desk, escrow_id: int) -> None:
    """Nothing comes of the request; anybody may say so."""
    with desk.database.write() as connection:
        row = _request(connection, escrow_id)
        _move(connection, row, "withdrawn", done_by=desk.actor, done_at=desk.now())
        _record(connection, desk, f"key.{row.kind}_withdrawn", row)


def release(desk: Desk, escrow_id: int, out: Path) -> str:
    """The SHA-256 of the file that is now at `out`, sealed to the holder. It is let out once: then it is done.

    Killed before the file is there, it is done all the same: ask again.  Raises RefusedByPolicy where nobody has
    approved, or the approval has ended; UsageError where there is a file already.
    """
    if out.exists():
        raise UsageError(f"there is a file at {out} already", fix="name a new file")
    now = desk.now()
    with desk.database.read() as connection:
        row = _approved(connection, desk, escrow_id, "export")
    file = escrow.sealed(desk.keyring, row.recipient, now)
    digest = _digest(file)
    with desk.database.write() as connection:
        row = _approved(connection, desk, escrow_id, "export")
        _move(connection, row, "done", sha256=digest, done_by=desk.actor, done_at=now)
        _record(connection, desk, "key.exported", _request(connection, escrow_id))
    write_private(out, file)
    return digest


def restore(desk: Desk, escrow_id: int, file: Path, identity: Path) -> int:
    """How many keys the keyring has got from the escrow; it is made where there is none.

    What is there stays as it is. A data key that was destroyed stays destroyed, whether keyring or store knows it: an
    escrow brings nobody back. Run again after a kill, it finishes.
    Raises RefusedByPolicy as `release` does, and for another file; KeyUnfit where the keyring has another key under
    the same name.
    """
    content = _read(file)
    with desk.database.read() as connection:
        row = _approved(connection, desk, escrow_id, "import")
        erased = set(shredding.tombstones(connection))
    if _digest(content) != row.sha256:
        raise RefusedByPolicy(f"request {escrow_id} is for another file", fix="give the file that was approved")
    entries = escrow.opened(content, _read(identity).decode("utf-8", "replace"))
    path = desk.settings.keyring_path
    ring = desk.keyring if path.exists() else Keyring.create(path, root=root_of(desk.settings))
    added = ring.restore(entries, erased, desk.now())
    with desk.database.write() as connection:
        row = _approved(connection, desk, escrow_id, "import")
        _move(connection, row, "done", done_by=desk.actor, done_at=desk.now())
        _record(connection, desk, "key.imported", row, entries=added)
    return added


def listed(desk: Desk) -> list[dict[str, Any]]:
    """Every request, the newest first."""
    with desk.database.read() as connection:
        rows: Sequence[Row[Any]] = connection.execute(select(ESCROWS).order_by(ESCROWS.c.escrow_id.desc())).all()
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def _ask(desk: Desk, kind: str, why: str, *, holder: str = "", recipient: str = "", sha256: str = "") -> int:
    if len(why.strip()) < WHY_AT_LEAST:
        raise UsageError("the reason says nothing", fix="say in a sentence why, and under which decision")
    with desk.database.write() as connection:
        escrow_id: int = connection.execute(
            insert(ESCROWS)
            .values(
                kind=kind, holder=holder, recipient=recipient, sha256=sha256, why=why.strip(), state="waiting",
                asked_by=desk.actor, asked_at=desk.now(),
            )
            .returning(ESCROWS.c.escrow_id)
        ).scalar_one()  # fmt: skip
        _record(connection, desk, f"key.{kind}_asked", _request(connection, escrow_id))
    return escrow_id


def _request(connection: Connection, escrow_id: int) -> Row[Any]:
    row = connection.execute(select(ESCROWS).where(ESCROWS.c.escrow_id == escrow_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no request {escrow_id}", fix="`consign keys export list` lists them")
    return row


def _approved(connection: Connection, desk: Desk, escrow_id: int, kind: str) -> Row[Any]:
    row = _request(connection, escrow_id)
    if row.kind != kind:
        raise UsageError(f"request {escrow_id} is for an {row.kind}", fix="`consign keys export list` lists them")
    if row.state != "approved":
        raise RefusedByPolicy(
            f"request {escrow_id} is {row.state}, not approved",
            fix="let a second person approve it; what was done once is asked for anew",
        )
    if desk.now() >= row.until:
        raise RefusedByPolicy(
            f"the approval of request {escrow_id} ended at {row.until.isoformat(timespec='minutes')}",
            fix="withdraw it and ask again",
        )
    return row


def _move(connection: Connection, row: Row[Any], to: str, **columns: Any) -> None:
    state = moved(f"request {row.escrow_id}", row.state, to, ESCROW)
    connection.execute(
        update(ESCROWS).where(ESCROWS.c.escrow_id == row.escrow_id).values(state=state, **columns)
    )  # fmt: skip


def _record(connection: Connection, desk: Desk, action: str, row: Row[Any], **counts: int) -> None:
    """The event; the reason and the holder stand in the request, and their hash in the chain."""
    told = {
        "id": row.escrow_id, "recipient_fingerprint": row.recipient or None, "file_sha256": row.sha256 or None,
        "reason_sha256": _digest(f"{row.holder}\n{row.why}".encode()),
    }  # fmt: skip
    audit.record(connection, desk.actor, action, f"escrow:{row.escrow_id}", told | counts, desk.now())


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise UsageError(f"no file {file}", fix="name a file that is there")
    return file.read_bytes()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
