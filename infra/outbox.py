"""The outbox: what is to be sent is a row first, sealed once, and delivered once, however often a run is killed.

prepared → sealed → delivered (or presumed) → acknowledged. Sealed bytes are kept until the agency has acknowledged, so
that a second attempt sends the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from connectors.drops import Drop, FolderSettings, Pushed, SftpSettings, open_drop
from connectors.drops.errors import ExistsButDifferent
from connectors.drops.patience import attempts
from infra import audit, breaker, credentials, gate, hostkeys, packing, workers
from infra.store import bulk, exchange
from infra.store import gate as looks
from keys.files import flush, remove_leftovers, replacing
from keys.keyring import ssh_private
from models.errors import ConfigurationError, ConsignError, RefusedByPolicy, RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row
    from stamina import Attempt

    from infra.packages import Contents
    from infra.wiring import Desk
    from infra.workers import Held
    from keys.entries import Entry


@dataclass(frozen=True)
class Sent:
    """What one round of sending to an agency did."""

    agency: str
    sealed: int = 0
    delivered: int = 0
    presumed: int = 0
    rows: int = 0


def drop_settings(desk: Desk, agency: Row[Any], only: Entry | None = None) -> SftpSettings | FolderSettings:
    """How to reach the agency, with the host keys and client keys that are in force; with that client key `only`.

    Raises ConfigurationError where its row does not say, or no key of the one or the other sort is in force.
    """
    stated: Mapping[str, Any] = json.loads(agency.drop)
    limits: dict[str, Any] = {
        "max_bytes": desk.settings.max_inbound_bytes,
        "settle_seconds": stated.get("settle_seconds", desk.settings.settle_seconds),
        "max_names": _limit(desk, agency, "max_names"),
    }
    places: dict[str, Any] = {name: stated[name] for name in ("to_agency", "from_agency") if name in stated}
    if stated.get("kind") == "folder":
        return FolderSettings(root=Path(stated["root"]), **places, **limits)
    if stated.get("kind") == "sftp":
        with desk.database.read() as connection:
            host_keys = hostkeys.accepted(connection, agency, desk.now())
        newest, *older = (ssh_private(only),) if only else credentials.offered(desk, agency)
        return SftpSettings(
            host=stated["host"],
            port=int(stated.get("port", 22)),
            username=stated["username"],
            host_keys=host_keys,
            private_key=newest,
            older_keys=tuple(older),
            connect_timeout=stated.get("connect_timeout", desk.settings.connect_timeout),
            stall_timeout=stated.get("stall_timeout", desk.settings.stall_timeout),
            transfer_timeout=stated.get("transfer_timeout", desk.settings.transfer_timeout),
            renames=bool(stated.get("renames", True)),
            **places,
            **limits,
        )
    message = f"agency {agency.agency} has no drop"
    raise ConfigurationError(message, fix="set one with `consign agency drop`: sftp or folder")


@contextmanager
def reached(desk: Desk, agency: Row[Any]) -> Iterator[Drop]:
    """The agency's drop, open for the block; how we came in is noted. Raises what `drop_settings` and drops raise."""
    with ExitStack() as stack:
        if _limit(desk, agency, "connections_per_agency") == 1:
            stack.enter_context(workers.alone(desk, "connect", agency.agency, desk.settings.busy_wait))
        stack.enter_context(breaker.observed(desk, agency.agency))
        drop = stack.enter_context(open_drop(drop_settings(desk, agency)))
        credentials.came_in(desk, agency.agency, drop.login)
        yield drop


def round_limits(desk: Desk, agency: Row[Any]) -> tuple[int, int]:
    """How many files and how many bytes one round moves at most, as the agency's drop says, else the settings."""
    return _limit(desk, agency, "files_per_round"), _limit(desk, agency, "bytes_per_round")


def _limit(desk: Desk, agency: Row[Any], name: str) -> int:
    stated = json.loads(agency.drop).get(name)
    return int(stated) if isinstance(stated, int) and stated > 0 else int(getattr(desk.settings, name))


@contextmanager
def scratch(desk: Desk) -> Iterator[Path]:
    """A private folder for plaintext, gone at the block's end whatever happens; it bears its worker's name."""
    path = desk.folder("scratch") / workers.new_owner()
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(desk: Desk, older_than_seconds: float | None = None) -> int:
    """Plaintext that killed runs left in the scratch folder is gone, and so are their half-written sealed files.

    What a dead worker of this machine left goes at once; what belongs to nobody known here, when it is that old (unless
    said otherwise, `abandoned_seconds`): another machine's worker may share our folders. Returns how many were removed.
    """
    removed = 0
    if older_than_seconds is None:
        older_than_seconds = desk.settings.abandoned_seconds
    for path in desk.folder("scratch").iterdir():
        with suppress(FileNotFoundError):  # another worker sweeps too
            if workers.is_dead(path.name) or time.time() - path.stat().st_mtime >= older_than_seconds:
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
    for folder in (desk.folder("outbox"), desk.folder("inbox")):
        removed += sum(len(remove_leftovers(path)) for path in folder.iterdir() if path.is_dir())
    return removed


def let_go(desk: Desk) -> int:
    """Sealed bytes that nobody needs any more are gone from the outbox. Returns how many files were let go.

    They are kept until the agency has answered them; those of kinds without an answer, for `keep_sealed_days`.
    """
    with desk.database.read() as connection:
        answered = exchange.sealed_to_let_go(connection, desk.now() - timedelta(days=desk.settings.keep_sealed_days))
    for row in answered:
        drop_sealed(desk, row)
    return len(answered)


def drop_sealed(desk: Desk, row: Row[Any]) -> None:
    """The transmission's sealed bytes are gone from the outbox, for good."""
    file = desk.folder("outbox") / row.sealed_path
    for path in (*suite_sidecars(row.name, file), file):
        path.unlink(missing_ok=True)
    with desk.database.write() as connection:
        exchange.note(connection, row.transmission_id, sealed_path=None)


def send(desk: Desk, agency: str, wait_seconds: float = 0.0) -> Sent:
    """Everything that waits for the agency is sealed and delivered, in order; running again sends nothing twice.

    A file that cannot be sealed or published holds up those of its own lender and kind alone; its error is raised when
    the others are out. Raises AgencyBusy where another worker is at it after `wait_seconds`, and what the drop raises.
    """
    if not _waiting(desk, agency):
        return Sent(agency)
    with workers.alone(desk, "send", agency, wait_seconds) as held:
        with desk.database.write() as connection:
            audit.sign_head(connection, desk.keyring, desk.now())  # every package of this round carries it away
            row = exchange.agency(connection, agency)
        return _send_all(desk, row, held, _waiting(desk, agency))


def _waiting(desk: Desk, agency: str) -> list[int]:
    with desk.database.read() as connection:
        return exchange.pending(connection, agency)


def _send_all(desk: Desk, agency: Row[Any], held: Held, waiting: list[int]) -> Sent:
    total = Sent(agency.agency)
    stuck: dict[tuple[str, str], ConsignError] = {}
    most_files, most_bytes = round_limits(desk, agency)
    sent_bytes = 0
    with ExitStack() as stack:
        drop: Drop | None = None
        for transmission_id in waiting:
            if total.delivered + total.presumed >= most_files or sent_bytes >= most_bytes:
                break  # the next round goes on where this one ends
            with desk.database.read() as connection:
                row = exchange.transmission(connection, transmission_id)
            if (row.lender, row.kind) in stuck:  # the numbers of a line leave in their order
                continue
            try:
                sealed = seal(desk, agency, transmission_id)
                if drop is None:
                    drop = stack.enter_context(reached(desk, agency))
                row, state = deliver(desk, drop, transmission_id, held)
            except ConsignError as error:
                if isinstance(error, RemoteError) and not isinstance(error, ExistsButDifferent):
                    raise
                stuck[row.lender, row.kind] = error
                continue
            total = Sent(
                total.agency,
                total.sealed + sealed,
                total.delivered + (state == "delivered"),
                total.presumed + (state == "presumed"),
                total.rows + row.rows,
            )
            sent_bytes += row.sealed_size or 0
    for first in stuck.values():
        raise first
    return total


def seal(desk: Desk, agency: Row[Any], transmission_id: int) -> bool:
    """The transmission's package is written, sealed and recorded; True where this call did it, False where it was.

    What was sealed under a key that counts no more is sealed anew, as long as nothing of it can have been published:
    the agency would refuse it, or somebody else could read it. Raises GateStopped where it may not leave, on record.
    """
    try:
        return _seal(desk, agency, transmission_id)
    except gate.GateStopped as stopped:
        with desk.database.write() as connection:
            gate.record(connection, desk, exchange.transmission(connection, transmission_id), stopped.verdict)
        raise


def _seal(desk: Desk, agency: Row[Any], transmission_id: int) -> bool:
    with scratch(desk) as folder:
        with workers.at_work(desk), desk.database.read() as connection:
            row = exchange.transmission(connection, transmission_id)
            unfit = _unfit(desk, connection, row) if row.state == "sealed" and row.intent_at is None else None
            if row.state != "prepared" and unfit is None:
                return False
            packed = packing.pack(desk, connection, agency, row, folder)
        with desk.database.write() as connection:
            here = exchange.transmission_to_move(connection, transmission_id)
            if (here.state, here.sealed_sha256, here.intent_at) != (row.state, row.sealed_sha256, row.intent_at):
                return False  # another worker has sealed it meanwhile: the bytes that are recorded are those kept
            if unfit is not None:
                exchange.unseal(connection, transmission_id)
                audit.record(connection, desk.actor, "transmission.unsealed", row.name, {"reason": unfit}, desk.now())
            _record_sealed(connection, desk, row, packed)
            _keep_sealed(desk, row, packed)
    return True


def _keep_sealed(desk: Desk, row: Row[Any], packed: packing.Packed) -> None:
    """The sealed bytes lie in the outbox, for good; within the transaction that records them."""
    target = desk.folder("outbox") / row.agency / row.name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    for made in packed.by.files:
        try:
            made.replace(target.with_name(made.name))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with replacing(target.with_name(made.name)) as beside:  # the outbox may be a disk of its own
                shutil.copyfile(made, beside)
    flush(target.parent)


def _unfit(desk: Desk, connection: Connection, row: Row[Any]) -> str | None:
    """Why the sealed bytes may not leave as they are: a key that counts no more, a file before them sealed anew."""
    used, now = json.loads(row.key_ids or "{}"), desk.now()
    for purpose, role, name in (("own", "signer", "fingerprint"), ("trusted", "recipient", "encrypt_fingerprint")):
        states = {
            entry.state(now)
            for entry in desk.keyring.entries()
            if entry.purpose == purpose
            and entry.public.get(name) == used.get(role)
            and (purpose == "own" or entry.owner == row.agency)
        }
        if used and "valid" not in states:
            return f"{role}_{min(states, default='unknown')}"
    return None if exchange.previous_sha256(connection, row) == row.previous_sha256 else "previous"


def _layout_told(recorded: str | None) -> dict[str, str]:
    """The layout that a plain file is written in, for the audit trail."""
    if recorded is None:
        return {}
    reference, _, sha256 = recorded.partition("#")
    return {"layout": reference, "layout_sha256": sha256}


def _record_sealed(connection: Connection, desk: Desk, row: Row[Any], packed: packing.Packed) -> None:
    """What was sealed, with which keys, and what it discloses."""
    now = desk.now()
    sums = packed.written.control_minor
    signer, recipient = packed.by.key_ids
    exchange.advance(
        connection,
        row.transmission_id,
        "sealed",
        rows=packed.written.rows,
        control_minor=next(iter(sums.values())) if len(sums) == 1 else None,
        currency=next(iter(sums)) if len(sums) == 1 else None,
        policy_version=packed.contents.policy_version,
        key_ids=json.dumps({"signer": signer, "recipient": recipient}),
        package_sha256=packed.written.sha256,
        sealed_sha256=_sha256(packed.sealed),
        sealed_size=packed.sealed.stat().st_size,
        sealed_path=f"{row.agency}/{row.name}",
        previous_sha256=packed.previous,
        audit_head=packed.head["head"] if packed.head else None,
        sealed_at=now,
    )
    gate.record(connection, desk, row, packed.verdict, packed.written.sha256)
    _register(connection, row, packed.contents, packed.written.rows, now)
    audit.record(
        connection,
        desk.actor,
        "transmission.sealed",
        row.name,
        {
            "kind": row.kind,
            "rows": packed.written.rows,
            "sha256": packed.written.sha256,
            "policy_version": packed.contents.policy_version,
            **_layout_told(row.layout),
        },
        now,
    )


def deliver(desk: Desk, drop: Drop, transmission_id: int, held: Held | None = None) -> tuple[Row[Any], str]:
    """The sealed file stands in the agency's drop, once; and the state the transmission is in now."""
    with desk.database.read() as connection:
        row = exchange.transmission(connection, transmission_id)
        passed = looks.passed(connection, transmission_id, row.package_sha256)
    if row.state != "sealed":
        return row, row.state
    if not passed:
        message = f"{row.name} did not come through the gate"
        raise RefusedByPolicy(message, fix="this is a fault in Consign: report it; the file stays")
    file = desk.folder("outbox") / row.sealed_path

    def record_intent() -> None:
        with desk.database.write() as connection:
            if held is not None:
                held.confirm(connection)
            exchange.note(connection, transmission_id, intent_at=desk.now())

    with desk.database.write() as connection:
        exchange.note(connection, transmission_id, attempts=row.attempts + 1)
    sidecars = {side.name.removeprefix(row.name): side for side in suite_sidecars(row.name, file)}
    pushed = Pushed.PRESUMED
    overtaken: workers.LeaseLost | None = None
    try:
        for attempt in _tries(desk):
            with attempt:
                with desk.database.read() as connection:
                    intent = exchange.transmission(connection, transmission_id).intent_at
                try:
                    pushed = drop.push(
                        file,
                        row.name,
                        sha256=row.sealed_sha256,
                        record_intent=record_intent,
                        intent_recorded=intent is not None,
                        sidecars=sidecars,
                    )
                except workers.LeaseLost as lost:  # tried again, it would take the other worker's intent for its own
                    overtaken = lost
        if overtaken is not None:
            raise overtaken
    except ConsignError as error:
        with desk.database.write() as connection:
            exchange.note(connection, transmission_id, last_error=type(error).__name__)
        raise
    state = "presumed" if pushed is Pushed.PRESUMED else "delivered"
    with desk.database.write() as connection:
        record_delivered(connection, desk, row, state)
    return row, state


def _tries(desk: Desk) -> Iterator[Attempt]:
    """The tries of one delivery, as the settings bound them."""
    at = desk.settings
    return attempts(at.delivery_attempts, at.delivery_first_wait, at.delivery_longest_wait, at.delivery_within)


def record_delivered(connection: Connection, desk: Desk, row: Row[Any], state: str) -> None:
    """The transmission is with the agency (or presumed to be), in the store and the audit trail, once."""
    if exchange.transmission_to_move(connection, row.transmission_id).state != "sealed":
        return  # the agency's answer to it was taken in meanwhile, and has said so
    now = desk.now()
    exchange.delivered(connection, row, state=state, at=now)
    audit.record(
        connection,
        desk.actor,
        f"transmission.{state}",
        row.name,
        {"rows": row.rows, "sha256": row.sealed_sha256},
        now,
    )


def suite_sidecars(name: str, file: Path) -> tuple[Path, ...]:
    """The files that travel with a sealed file: the detached signature, where the suite has one."""
    signature = file.with_name(f"{name}.sig")
    return (signature,) if signature.exists() else ()


def _register(connection: Connection, row: Row[Any], contents: Contents, rows: int, now: datetime) -> None:
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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
