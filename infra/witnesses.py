"""Heads of the audit trail that were kept elsewhere: in packages, proofs, backups; and what we noted ourselves.

Whoever rewrites the trail in the store cannot rewrite these.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature

from infra import audit
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from infra.wiring import Desk

MANIFEST: Final = "datapackage.json"
LARGEST_BYTES: Final = 16 << 20
DEEPEST: Final = 20
SQLITE: Final = b"SQLite format 3\x00"
NOTED_AS: Final = b"consign.audit.verified.v1\n"


def heads_in(path: Path) -> list[tuple[audit.Head, str]]:
    """The signed heads in a file, each with the file's name: an opened package, a manifest, a proof, a copy of a store.

    A package or any JSON is searched for heads, whatever lies around them; of an SQLite store its signed heads are
    read, and the file is not touched.  Raises UsageError where there is no head in it.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(len(SQLITE))
        found = _in_store(path) if begins == SQLITE else _in_json(_text_of(path))
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile, KeyError, sqlite3.Error):
        found = []
    if not found:
        message = f"{path.name} holds no signed head of an audit trail"
        raise UsageError(message, fix="give an opened package, its datapackage.json, a proof, or a copy of a store")
    return [(head, path.name) for head in found]


def verify(desk: Desk, against: Iterable[tuple[audit.Head, str]] = (), *, new_only: bool = False) -> audit.Verification:
    """Whether the trail is whole, also beside the heads from elsewhere; how far it was found so is noted.

    new_only: events that were found whole the last time are not read again.
    """
    since = noted(desk)
    with desk.database.read() as connection:
        publics = desk.keyring.audit_publics().values()
        result = audit.verify(connection, publics, against=against, since=since if new_only else None, noted=since)
    note(desk, result)
    return result


def note(desk: Desk, result: audit.Verification) -> Path | None:
    """Where it is kept, signed, how far the trail was found whole; None for an empty or a broken one."""
    if not result.ok or result.tree is None or not result.events:
        return None
    told = {
        "seq": result.events,
        "hash": result.end,
        "root": result.root,
        "peaks": {str(level): one.hex() for level, one in sorted(result.tree.peaks.items())},
        "verified_at": audit.instant(desk.now()),
    }
    signer = desk.keyring.audit_signer(desk.now())
    signed = {"note": told, "signature": base64.b64encode(signer.sign(_to_sign(told))).decode()}
    path = _path(desk)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(signed, indent=1), encoding="utf-8")
    fresh.replace(path)
    return path


def noted(desk: Desk) -> audit.Verified | None:
    """How far the trail was found whole last time; None where nothing, or nothing of ours, is noted."""
    try:
        signed = json.loads(_path(desk).read_text(encoding="utf-8"))
        told, signature = signed["note"], base64.b64decode(signed["signature"])
        if not any(_holds(public, signature, told) for public in desk.keyring.audit_publics().values()):
            return None
        peaks = {int(level): bytes.fromhex(one) for level, one in told["peaks"].items()}
        return audit.Verified(int(told["seq"]), str(told["hash"]), peaks)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _holds(public: Any, signature: bytes, told: dict[str, Any]) -> bool:
    with contextlib.suppress(InvalidSignature):
        public.verify(signature, _to_sign(told))
        return True
    return False


def _to_sign(told: dict[str, Any]) -> bytes:
    return NOTED_AS + json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def _path(desk: Desk) -> Path:
    return desk.settings.folder("audit") / "verified.json"


def _text_of(path: Path) -> bytes:
    """The JSON that the file is, or that a package holds; bounded, for anybody may have written it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as package, package.open(MANIFEST) as manifest:
            return manifest.read(LARGEST_BYTES)
    with path.open("rb") as file:
        return file.read(LARGEST_BYTES)


def _in_json(text: bytes) -> list[audit.Head]:
    return list(_found(json.loads(text), DEEPEST))


def _found(told: Any, deep: int) -> Iterator[audit.Head]:
    """Every head in it: as a manifest has it (`head`: `<seq>:<hash>`), or as a proof has it (`seq`, `hash`)."""
    if deep == 0:
        return
    if isinstance(told, list):
        for one in told:
            yield from _found(one, deep - 1)
    if not isinstance(told, dict):
        return
    parts = {name: told.get(name) for name in ("root", "signed_at", "signature", "key")}
    if all(isinstance(part, str) for part in parts.values()):
        carried = audit.HEAD.fullmatch(str(told.get("head") or f"{told.get('seq')}:{told.get('hash')}"))
        if carried:
            yield audit.Head(int(carried[1]), carried[2], **{name: str(part) for name, part in parts.items()})
    for one in told.values():
        yield from _found(one, deep - 1)


def _in_store(path: Path) -> list[audit.Head]:
    """The signed heads of a copy of an SQLite store."""
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
        rows = copy.execute(
            "SELECT seq, hash, root, signed_at, signature, key_fingerprint FROM audit_head ORDER BY seq"
        ).fetchall()
    return [
        audit.Head(seq, hash_, root, audit.instant(datetime.fromisoformat(at).replace(tzinfo=UTC)), signature, key)
        for seq, hash_, root, at, signature, key in rows
    ]
