"""The outbox: what is to be sent is a row first, sealed once, and delivered once, however often a run is killed.

prepared → sealed → delivered (or presumed) → acknowledged. Sealed bytes are kept until the agency has acknowledged, so
that a second attempt sends the same bytes.
"""

from __future__ import annotations

import json
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from connectors.drops import Drop, FolderSettings, Pushed, SftpSettings, open_drop
from connectors.drops.patience import attempts
from connectors.layouts.package import PackageWriter
from infra import audit, workers
from infra.packages import Composing, Contents, contents_of
from infra.store import bulk, exchange
from keys.sealing import seal_for, suite_named
from models.errors import ConfigurationError, ConsignError
from models.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Row

    from infra.wiring import Desk


@dataclass(frozen=True)
class Sent:
    """What one round of sending to an agency did."""

    agency: str
    sealed: int = 0
    delivered: int = 0
    presumed: int = 0
    rows: int = 0


def suffix_of(suite: str) -> str:
    """The ending of files sealed by this suite."""
    return suite_named(suite).suffix


def drop_settings(desk: Desk, agency: Row[Any]) -> SftpSettings | FolderSettings:
    """How to reach the agency. Raises ConfigurationError where its row does not say."""
    stated: Mapping[str, Any] = json.loads(agency.drop)
    limits: dict[str, Any] = {"max_bytes": desk.settings.max_inbound_bytes}
    places: dict[str, Any] = {name: stated[name] for name in ("to_agency", "from_agency") if name in stated}
    if stated.get("kind") == "folder":
        return FolderSettings(root=Path(stated["root"]), **places, **limits)
    if stated.get("kind") == "sftp":
        if not stated.get("host_keys"):
            message = f"no host key is pinned for agency {agency.agency}"
            raise ConfigurationError(message, fix="compare its fingerprint with the agency, then `consign agency pin`")
        return SftpSettings(
            host=stated["host"],
            port=int(stated.get("port", 22)),
            username=stated["username"],
            host_keys=tuple(stated["host_keys"]),
            private_key=desk.keyring.ssh_client_key(stated.get("client_key", agency.agency)),
            connect_timeout=desk.settings.connect_timeout,
            stall_timeout=desk.settings.stall_timeout,
            **places,
            **limits,
        )
    message = f"agency {agency.agency} has no drop"
    raise ConfigurationError(message, fix="set one with `consign agency drop`: sftp or folder")


@contextmanager
def scratch(desk: Desk) -> Iterator[Path]:
    """A private folder for plaintext on its way, gone at the block's end whatever happens."""
    path = desk.folder("scratch") / secrets.token_hex(8)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(desk: Desk, older_than_seconds: float | None = None) -> int:
    """Plaintext that a killed run left in the scratch folder is gone. Returns how many folders were removed.

    Only folders older than a lease are touched: a younger one may be a living worker's.
    """
    limit = desk.settings.lease_seconds if older_than_seconds is None else older_than_seconds
    import time

    removed = 0
    for path in desk.folder("scratch").iterdir():
        if time.time() - path.stat().st_mtime >= limit:
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
    return removed


def send(desk: Desk, agency: str) -> Sent:
    """Everything that waits for the agency is sealed and delivered, in order; running again sends nothing twice.

    Raises AgencyBusy where another worker is at it, and what the drop raises.
    """
    if not _waiting(desk, agency):
        return Sent(agency)
    with workers.alone(desk, "send", agency):
        with desk.database.read() as connection:
            row = exchange.agency(connection, agency)
        return _send_all(desk, row, _waiting(desk, agency))


def _waiting(desk: Desk, agency: str) -> list[int]:
    with desk.database.read() as connection:
        return exchange.pending(connection, agency)


def _send_all(desk: Desk, agency: Row[Any], waiting: list[int]) -> Sent:
    sealed = delivered = presumed = rows = 0
    drop: Drop | None = None
    try:
        for transmission_id in waiting:
            sealed += seal(desk, agency, transmission_id)
            if drop is None:
                drop = open_drop(drop_settings(desk, agency))
                drop.open()
            row, state = deliver(desk, drop, transmission_id)
            delivered += state == "delivered"
            presumed += state == "presumed"
            rows += row.rows
    finally:
        if drop is not None:
            drop.close()
    return Sent(agency.agency, sealed, delivered, presumed, rows)


def seal(desk: Desk, agency: Row[Any], transmission_id: int) -> bool:
    """The transmission's package is written, sealed and recorded; True where this call did it, False where it was done."""
    with desk.database.read() as connection:
        row = exchange.transmission(connection, transmission_id)
        if row.state != "prepared":
            return False
        head = audit.head(connection)
        work = Composing(connection, desk.keyring, row, agency, desk.settings.shard_rows)
        contents = contents_of(work)
        previous = exchange.previous_sha256(connection, row)
        target = desk.folder("outbox") / agency.agency / row.name
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with scratch(desk) as folder:
            plain = folder / "package.zip"
            writer = PackageWriter(
                path=plain,
                name=row.name.removesuffix(suffix_of(agency.suite)).removesuffix(".zip"),
                table=KINDS[row.kind].table,
                fields=contents.fields,
                manifest={
                    "kind": row.kind,
                    "lender": row.lender,
                    "agency": row.agency,
                    "sequence": row.sequence,
                    "created_on": row.prepared_on.isoformat(),
                    "previous": previous,
                    "policy": contents.policy,
                    "policy_version": contents.policy_version,
                    "audit_head": head,
                    **contents.manifest,
                },
                control=_control(row.kind, contents),
            )
            with writer:
                for frame in contents.frames:
                    writer.write(frame)
            written = writer.written
            assert written is not None  # noqa: S101 - the block above has ended without an error
            by = seal_for(desk.keyring, agency.agency, agency.suite, plain, target, desk.now())
    size = target.stat().st_size
    now = desk.now()
    sums = written.control_minor
    with desk.database.write() as connection:
        exchange.advance(
            connection,
            transmission_id,
            "sealed",
            rows=written.rows,
            control_minor=next(iter(sums.values())) if len(sums) == 1 else None,
            currency=next(iter(sums)) if len(sums) == 1 else None,
            policy_version=contents.policy_version,
            key_ids=json.dumps({"signer": by.signer_fingerprint, "recipient": by.recipient_fingerprint}),
            package_sha256=written.sha256,
            sealed_sha256=_sha256(target),
            sealed_size=size,
            sealed_path=f"{agency.agency}/{row.name}",
            previous_sha256=previous,
            audit_head=head,
            sealed_at=now,
        )
        _register(connection, row, contents, written.rows, now)
        audit.record(
            connection,
            desk.actor,
            "transmission.sealed",
            row.name,
            {
                "kind": row.kind,
                "rows": written.rows,
                "sha256": written.sha256,
                "policy_version": contents.policy_version,
            },
            now,
        )
    return True


def deliver(desk: Desk, drop: Drop, transmission_id: int) -> tuple[Row[Any], str]:
    """The sealed file stands in the agency's drop, once; and the state the transmission is in now."""
    with desk.database.read() as connection:
        row = exchange.transmission(connection, transmission_id)
    if row.state != "sealed":
        return row, row.state
    file = desk.folder("outbox") / row.sealed_path

    def record_intent() -> None:
        with desk.database.write() as connection:
            exchange.note(connection, transmission_id, intent_at=desk.now())

    with desk.database.write() as connection:
        exchange.note(connection, transmission_id, attempts=row.attempts + 1)
    sidecars = {side.name.removeprefix(row.name): side for side in suite_sidecars(row.name, file)}
    pushed = Pushed.PRESUMED
    try:
        for attempt in attempts(desk.settings.delivery_attempts):
            with attempt:
                with desk.database.read() as connection:
                    intent = exchange.transmission(connection, transmission_id).intent_at
                pushed = drop.push(
                    file,
                    row.name,
                    sha256=row.sealed_sha256,
                    record_intent=record_intent,
                    intent_recorded=intent is not None,
                    sidecars=sidecars,
                )
    except ConsignError as error:
        with desk.database.write() as connection:
            exchange.note(connection, transmission_id, last_error=type(error).__name__)
        raise
    state = "presumed" if pushed is Pushed.PRESUMED else "delivered"
    now = desk.now()
    with desk.database.write() as connection:
        exchange.delivered(connection, row, state=state, at=now)
        audit.record(
            connection,
            desk.actor,
            f"transmission.{state}",
            row.name,
            {"rows": row.rows, "sha256": row.sealed_sha256},
            now,
        )
    return row, state


def suite_sidecars(name: str, file: Path) -> tuple[Path, ...]:
    """The files that travel with a sealed file: the detached signature, where the suite has one."""
    signature = file.with_name(f"{name}.sig")
    return (signature,) if signature.exists() else ()


def _control(kind: str, contents: Contents) -> str | None:
    """The control field, where the policy lets it leave as an amount."""
    wanted = KINDS[kind].control
    return wanted if any(one.name == wanted and one.type == "amount" for one in contents.fields) else None


def _register(connection: Any, row: Row[Any], contents: Contents, rows: int, now: Any) -> None:
    """The disclosure register gains one row per field."""
    if not contents.disclosed:
        return
    register = pd.DataFrame([vars(one) for one in contents.disclosed]).assign(
        transmission_id=row.transmission_id,
        agency=row.agency,
        purpose=contents.purpose,
        basis=contents.basis,
        policy=contents.policy,
        policy_version=contents.policy_version,
        rows=rows,
        disclosed_at=now,
        erase_by=pd.Timestamp(row.prepared_on + timedelta(days=contents.erase_after_days)),
    )
    bulk.append(connection, exchange.DISCLOSURES, register)


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
