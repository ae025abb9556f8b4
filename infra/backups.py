"""Backups of the store, each sealed to a key of its own; the keyring's one copy lies apart.

A backup is a sealed file and a signed manifest: hashes, the schema, and the audit head that was signed last. It opens
with its own key in the keyring: removing a backup destroys that key, so copies of it elsewhere die too. Identities in a
backup are sealed a second time, under the store's data keys: what was erased since is unreadable in every backup, and
restoring forgets it again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature

from infra import audit, dumps, keycopies, roles, shredding
from infra.outbox import scratch
from infra.store import schema
from infra.store import shredding as store
from infra.store.database import Database
from keys.backups import open_backup, seal_backup
from keys.errors import OpenRefused
from keys.files import write_private
from models.errors import Findings, RefusedByPolicy, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from infra.wiring import Desk

FORMAT: Final = "consign.backup"
VERSION: Final = 1
SEALED: Final = ".store.age"
MANIFEST: Final = ".json"
NAME: Final = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
_SIGNED_AS: Final = b"consign.backup.v1\n"
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Backup:
    """One backup, as its manifest says."""

    name: str
    made_at: datetime
    made_by: str
    kind: str
    """sqlite | postgresql"""
    schema: str
    size: int
    sha256: str
    """of the sealed file"""
    plain_sha256: str
    recipient: str
    audit: dict[str, str] | None
    """the last signed head, as outgoing manifests have it"""
    events: str
    """the chain's end: `<seq>:<hash>`"""
    destroyed_keys: int
    """how many data keys were destroyed before"""


@dataclass(frozen=True)
class Checked:
    """What looking at a backup found; it is sound where `why` is empty."""

    name: str
    ok: bool
    why: str
    events: int = 0
    identities: int = 0
    unreadable: int = 0
    """identities whose key was destroyed since: erased, or sharing a key with somebody who was"""


@dataclass(frozen=True)
class Restored:
    """What became of a backup that was restored."""

    name: str
    database: str
    events: int
    identities: int
    forgotten: int
    """accounts that were erased after the backup was made, and were forgotten again"""
    lost: int
    """accounts that shared a key with one of them: the lender's next snapshot brings their identities again"""


# -- making ------------------------------------------------------------------------------------------------------------


def make(desk: Desk, told: Callable[[float], None] = lambda _: None) -> Backup:
    """A backup of the store as it is now, and a fresh copy of the keyring, apart."""
    folder = desk.settings.backups_path
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = _new_name(desk, folder)
    with desk.database.write() as connection:
        audit.record(connection, desk.actor, "backup.begun", f"backup:{name}", {}, desk.now())
        audit.sign_head(connection, desk.keyring, desk.now())
        head, events = audit.signed_head(connection), audit.head(connection)
        destroyed = len(store.tombstones(connection))
    recipient = desk.keyring.new_backup_key(name, desk.now())
    sealed = folder / f"{name}{SEALED}"
    with scratch(desk) as private:
        plain = private / "store"
        dumps.dump(desk.database, plain, told)
        seal_backup(plain, sealed, recipient)
        made = Backup(
            name=name, made_at=desk.now(), made_by=desk.actor, kind=_kind(desk.database), schema=schema.head(),
            size=sealed.stat().st_size, sha256=_digest(sealed), plain_sha256=_digest(plain),
            recipient=recipient, audit=head, events=events, destroyed_keys=destroyed,
        )  # fmt: skip
    _write(desk, folder, made)
    keycopies.keep(desk)
    keycopies.write_list(desk, folder)
    with desk.database.write() as connection:
        audit.record(
            connection, desk.actor, "backup.made", f"backup:{name}",
            {"sha256": made.sha256, "size": made.size, "head": events}, desk.now(),
        )  # fmt: skip
    return made


def _new_name(desk: Desk, folder: Path) -> str:
    name = desk.now().strftime("%Y%m%dT%H%M%SZ")
    taken = {path.name.split(".")[0] for path in folder.iterdir()}
    taken |= {entry.owner for entry in desk.keyring.entries() if entry.purpose == "backup"}
    number = 1
    while (wanted := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return wanted


def _write(desk: Desk, folder: Path, made: Backup) -> None:
    body = {"format": FORMAT, "version": VERSION, **asdict(made), "made_at": made.made_at.isoformat()}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    signature = desk.keyring.audit_signer(desk.now()).sign(_SIGNED_AS + text.encode())
    written = {"manifest": body, "signature": base64.b64encode(signature).decode()}
    write_private(folder / f"{made.name}{MANIFEST}", json.dumps(written, indent=1).encode() + b"\n")


# -- reading -----------------------------------------------------------------------------------------------------------


def listed(desk: Desk) -> list[Backup]:
    """Every backup in the folder, the newest first. Raises OpenRefused for a manifest that is not ours."""
    folder = desk.settings.backups_path
    found = [path for path in folder.glob(f"*{MANIFEST}") if NAME.fullmatch(path.name.removesuffix(MANIFEST))]
    return sorted((_read(desk, path) for path in found), key=lambda one: (one.made_at, one.name), reverse=True)


def found(desk: Desk, name: str) -> Backup:
    """The backup of that name. Raises UsageError, OpenRefused."""
    path = desk.settings.backups_path / f"{name}{MANIFEST}"
    if not NAME.fullmatch(name) or not path.is_file():
        raise UsageError(f"there is no backup {name}", fix="`consign backup list` lists them")
    return _read(desk, path)


def _read(desk: Desk, path: Path) -> Backup:
    try:
        told = json.loads(path.read_bytes())
        body, signature = dict(told["manifest"]), base64.b64decode(told["signature"])
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        if not _signed(desk.keyring.audit_publics().values(), signature, text):
            raise InvalidSignature
        if (body.pop("format"), body.pop("version")) != (FORMAT, VERSION):
            raise ValueError(FORMAT)
        return replace(Backup(**body), made_at=datetime.fromisoformat(body["made_at"]))
    except (ValueError, KeyError, TypeError, InvalidSignature) as fault:
        raise OpenRefused(
            f"{path} was not signed by this keyring, or was altered",
            code="bad_signature",
            fix="take another backup, or open the keyring that this one was made with",
        ) from fault


def _signed(publics: Iterable[Ed25519PublicKey], signature: bytes, text: str) -> bool:
    for public in publics:
        try:
            public.verify(signature, _SIGNED_AS + text.encode())
        except InvalidSignature:
            continue
        return True
    return False


# -- checking and restoring --------------------------------------------------------------------------------------------


def check(desk: Desk, name: str) -> Checked:
    """Whether the backup could be restored: it opens, is what its manifest says, and its audit trail is whole.

    A PostgreSQL backup is opened and compared; its trail is looked at when it is restored, into a server.
    """
    backup = found(desk, name)
    with scratch(desk) as private:
        plain = private / "store"
        try:
            _open(desk, backup, plain)
        except OpenRefused as refused:
            return Checked(name, ok=False, why=str(refused))
        if backup.kind != "sqlite":
            return Checked(name, ok=True, why="")
        if not dumps.whole(plain):
            return Checked(name, ok=False, why="SQLite finds its pages damaged")
        with closing(Database(f"sqlite:///{plain}", durable=False)) as database:
            events, why = _trail(desk, database, backup)
            with database.read() as connection:
                identities, dead = store.identities_under(connection, _destroyed(desk))
    return Checked(name, ok=not why, why=why, events=events, identities=identities, unreadable=dead)


def restore(desk: Desk, name: str, url: str) -> Restored:
    """The backup is a store again, at `url`, where there was none; who was erased since is forgotten again.

    Whoever is to work with it names it in the settings.  Raises RoleMissing, UsageError where something is there,
    OpenRefused for what is altered, Findings where its audit trail is not whole.
    """
    backup = found(desk, name)
    _may(desk)
    with closing(Database(url)) as database:
        if _kind(database) != backup.kind:
            raise UsageError(f"backup {name} is of {backup.kind}", fix="name a store of its kind")
        with scratch(desk) as private:
            plain = private / "store"
            _open(desk, backup, plain)
            dumps.load(database, plain)
        return _restored(desk, backup, database)


def _restored(desk: Desk, backup: Backup, database: Database) -> Restored:
    """The store that was just loaded is of today's schema, and knows nobody who was erased since. Raises Findings."""
    events, why = _trail(desk, database, backup)
    if why:
        message = f"backup {backup.name} is restored, but its audit trail is not whole: {why}"
        raise Findings(message, fix="take another backup")
    schema.ensure(database)
    keys, accounts = _destroyed(desk), _erased(desk)
    desk.keyring.bury_data_keys(keys, desk.now())
    there = desk.acting(desk.actor)
    there.database = database
    forgotten, lost = shredding.forget_again(there, keys, accounts)
    with database.write() as connection:
        identities, _ = store.identities_under(connection, set())
        audit.record(
            connection, desk.actor, "backup.restored", f"backup:{backup.name}",
            {"accounts": forgotten, "cells": lost, "head": backup.events}, desk.now(),
        )  # fmt: skip
    shown = database.url.render_as_string(hide_password=True)
    return Restored(backup.name, shown, events, identities, forgotten, lost)


def _may(desk: Desk) -> None:
    """Raise RoleMissing for who is no administrator; without a store to ask, the keyring alone decides."""
    database = desk.database
    if database.is_sqlite and not Path(database.url.database or "").exists():
        return
    with database.read() as connection:
        roles.require(connection, desk, "administrator")


def remove_by_hand(desk: Desk, name: str, why: str) -> None:
    """As `remove`, because a person says so; never the newest one, without which nothing could be restored.

    why: up to 200 ASCII characters; it stays on record. Raises RoleMissing, RefusedByPolicy, UsageError.
    """
    if not why.strip() or not audit.TEXT.fullmatch(why):
        raise UsageError(
            "removing a backup needs a reason, in up to 200 ASCII characters", fix="name the decision it goes by"
        )
    with desk.database.read() as connection:
        roles.require(connection, desk, "administrator")
    found(desk, name)
    if listed(desk)[0].name == name:
        raise RefusedByPolicy(
            f"backup {name} is the newest one", fix="make another one, have it checked, then remove this one"
        )
    remove(desk, name, why.strip())


def remove(desk: Desk, name: str, why: str = "") -> None:
    """The backup is gone and its key destroyed: no copy of it opens any more, wherever it is."""
    folder = desk.settings.backups_path
    found(desk, name)
    desk.keyring.destroy_backup_key(name, desk.now())
    for suffix in (SEALED, MANIFEST):
        (folder / f"{name}{suffix}").unlink(missing_ok=True)
    keycopies.renew(desk)
    with desk.database.write() as connection:
        told = {"reason": why} if why else {}
        audit.record(connection, desk.actor, "backup.removed", f"backup:{name}", told, desk.now())


def _open(desk: Desk, backup: Backup, plain: Path) -> None:
    """The plain store lies there. Raises OpenRefused unless it is what the manifest says."""
    sealed = desk.settings.backups_path / f"{backup.name}{SEALED}"
    if not sealed.is_file():
        raise OpenRefused(f"{sealed.name} is missing", code="truncated", fix="bring it back from where copies are kept")
    if _digest(sealed) != backup.sha256:
        raise OpenRefused(f"{sealed.name} was altered", code="tampered", fix="take another backup")
    open_backup(sealed, plain, desk.keyring.backup_identity(backup.name))
    if _digest(plain) != backup.plain_sha256:
        raise OpenRefused(f"{sealed.name} holds another store", code="tampered", fix="take another backup")


def _trail(desk: Desk, database: Database, backup: Backup) -> tuple[int, str]:
    """How many events its audit trail has, and why it is not whole; empty where it is."""
    seq, digest = backup.events.split(":")
    told = backup.audit or {}
    head = audit.Head(
        int(seq),
        digest,
        told.get("root", ""),
        told.get("signed_at", ""),
        told.get("signature", ""),
        told.get("key", ""),
    )
    with database.read() as connection:
        result = audit.verify(connection, desk.keyring.audit_publics().values(), against=[(head, "the manifest")])
    return result.events, "" if result.ok else result.why


def _kind(database: Database) -> str:
    return "sqlite" if database.is_sqlite else "postgresql"


def _destroyed(desk: Desk) -> set[str]:
    """Every data key that was ever destroyed, as keyring, store and the list beside the backups know."""
    keys = {entry.owner for entry in desk.keyring.entries() if entry.purpose == "data" and entry.destroyed}
    return keys | set(_listed(desk).get("keys", ())) | set(_of_store(desk, store.tombstones))


def _erased(desk: Desk) -> set[int]:
    """Every account whose identity was ever erased, as the store and the list know."""
    return {int(one) for one in _listed(desk).get("accounts", ())} | set(_of_store(desk, store.erased_accounts))


def _listed(desk: Desk) -> Any:
    return keycopies.read_list(desk.settings.backups_path, desk.keyring.audit_publics().values())


def _of_store(desk: Desk, asked: Callable[[Any], list[Any]]) -> list[Any]:
    """What the present store says; nothing where it is lost, or has no tables."""
    database = desk.database
    if database.is_sqlite and not Path(database.url.database or "").exists():
        return []
    if schema.current(database) is None:
        return []
    with database.read() as connection:
        return asked(connection)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
