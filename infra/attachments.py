"""Files beside breaks: a bank slip may name a debtor, so each lies sealed under a data key of its own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select

from infra import audit, roles
from infra.exceptions import check_text
from infra.resolving import break_of
from infra.store import bulk
from keys.blobs import open_blob, seal_blob
from keys.files import write_private
from models.errors import UsageError
from models.tables import BreakNote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

NOTES: Final = bulk.table_of(BreakNote)
FOLDER: Final = "attachments"
BYTES_AT_MOST: Final = 20 << 20


def attach(desk: Desk, break_id: int, file: Path, text: str) -> int:
    """The note's number: the file is beside the break, sealed. Raises UsageError for one that is empty or too large.

    The sealed file is on the disk before the note is in the store: killed between, nothing is beside the break, and
    the sealed bytes are nobody's.
    """
    check_text(text)
    size = file.stat().st_size
    if not 0 < size <= BYTES_AT_MOST:
        raise UsageError(f"{file.name} has {size} bytes", fix=f"attach a file of 1 to {BYTES_AT_MOST} bytes")
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    with desk.database.read() as connection:
        roles.require(connection, desk, "finance")
        break_of(connection, break_id)
        if (known := _known(connection, break_id, digest)) is not None:
            return known
    key = desk.keyring.new_data_key(desk.now())
    write_private(_path(desk, key.key_id), seal_blob(key, key.key_id, content))
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        note = {
            "break_id": break_id, "at": desk.now(), "by": desk.actor, "text": text, "file_suffix": file.suffix[-10:],
            "file_sha256": digest, "file_bytes": size, "data_key_id": key.key_id,
        }  # fmt: skip
        note_id: int = connection.execute(insert(NOTES).values(**note).returning(NOTES.c.note_id)).scalar_one()
        details: dict[str, audit.Value] = {"sha256": digest, "size": size}
        audit.record(connection, desk.actor, "break.attached", f"break:{break_id}", details, desk.now())
    return note_id


def take_out(desk: Desk, note_id: int, out: Path) -> str:
    """The file's SHA-256; its content is at `out`, and who took it out is on record.

    Raises UsageError where the note has no file or something is at `out`, KeyDestroyed where it was shredded,
    CellTampered where the bytes are not those that were sealed.
    """
    if out.exists():
        raise UsageError(f"there is a file at {out} already", fix="name a new file")
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        row = _note(connection, note_id)
        content = open_blob(
            desk.keyring.data_key(row.data_key_id), row.data_key_id, _path(desk, row.data_key_id).read_bytes()
        )
        details: dict[str, audit.Value] = {"sha256": row.file_sha256, "size": len(content)}
        audit.record(connection, desk.actor, "break.attachment_read", f"break:{row.break_id}", details, desk.now())
    write_private(out, content)
    return str(row.file_sha256)


def suffix_of(connection: Connection, note_id: int) -> str:
    """The ending of the file's name as it was given. Raises UsageError where the note has no file."""
    return str(_note(connection, note_id).file_suffix or "")


def drop(desk: Desk, key_ids: Iterable[str]) -> int:
    """The files that these keys sealed are gone, where there are any; how many. Their keys go beside."""
    paths = [path for key_id in key_ids if (path := _path(desk, key_id)).is_file()]
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _known(connection: Connection, break_id: int, digest: str) -> int | None:
    same = select(NOTES.c.note_id).where(NOTES.c.break_id == break_id, NOTES.c.file_sha256 == digest)
    return connection.execute(same).scalar()


def _note(connection: Connection, note_id: int) -> Row[Any]:
    row = connection.execute(select(NOTES).where(NOTES.c.note_id == note_id)).one_or_none()
    if row is None or row.data_key_id is None:
        raise UsageError(f"note {note_id} has no file", fix="`consign recon show BREAK` lists notes and files")
    return row


def _path(desk: Desk, key_id: str) -> Path:
    return desk.folder(FOLDER) / f"{key_id}.sealed"
