"""Our SSH client keys at the agencies' servers: the newest is offered first, an older one until the new one is let in.

A server that does not know the newest key yet is not asked about it at every connection: some shut out whoever is
refused too often. What was refused is offered second for `credential_retry_minutes`; what was accepted is noted, so
that the old key is retired only when the new one is known to work.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, select, update

from infra import audit, breaker, hostkeys
from infra.store import bulk, exchange
from keys.errors import KeyUnknown
from keys.keyring import ssh_private
from models.errors import ConfigurationError, RefusedByPolicy, UsageError
from models.tables import ClientKeyUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.drops.login import Login
    from infra.wiring import Desk
    from keys.entries import Entry

USES: Final = bulk.table_of(ClientKeyUse)


class CredentialsEnded(ConfigurationError):
    """None of our client keys for an agency's server is valid: no connection is made until one is."""


@dataclass(frozen=True)
class Credential:
    """One of our client keys at an agency's server, without its secret."""

    generation: str
    fingerprint: str
    state: str
    begins: Any
    ends: Any
    days_left: int | None
    accepted: Any
    """when the server last let us in with it"""
    refused: Any
    line: str
    """for `authorized_keys`"""


def client_name(agency: Row[Any]) -> str:
    """Under which name the keyring holds the client keys of this agency's drop."""
    return str(json.loads(agency.drop).get("client_key", agency.agency))


def offered(desk: Desk, agency: Row[Any]) -> tuple[str, ...]:
    """The private keys to log in with, in the order to offer them; the first is made where there is none.

    Raises CredentialsEnded where there are keys and none is valid.
    """
    name, now = client_name(agency), desk.now()
    if not desk.keyring.ssh_clients(name):
        desk.keyring.ssh_client_key(name, now, desk.settings.credential_days)
    everyone = desk.keyring.ssh_clients(name)
    valid = [entry for entry in everyone if entry.state(now) == "valid"]
    if not valid:
        last = everyone[0]
        message = (
            f"our SSH client key {last.fingerprint} for {agency.agency} is {last.state(now)}, and no other is valid"
        )
        raise CredentialsEnded(
            message, fix=f"`consign agency credential rotate {agency.agency}`, and give the agency the line it prints"
        )
    with desk.database.read() as connection:
        uses = _uses(connection, agency.agency)
    return tuple(ssh_private(entry) for entry in _in_order(desk, valid, uses))


def _in_order(desk: Desk, valid: Sequence[Entry], uses: dict[str, Any]) -> list[Entry]:
    """The newest first, unless it was refused a moment ago; then the one that was accepted last, then the others."""
    known = [entry for entry in valid if (use := uses.get(entry.fingerprint)) and use.accepted_at is not None]
    last = max(known, key=lambda entry: uses[entry.fingerprint].accepted_at, default=None)
    order = [valid[0]]
    if last is not None and last is not valid[0]:
        use = uses.get(valid[0].fingerprint)
        pause = timedelta(minutes=desk.settings.credential_retry_minutes)
        wait = use is not None and use.refused_at is not None and desk.now() < use.refused_at + pause
        order = [last, valid[0]] if wait else [valid[0], last]
    return order + [entry for entry in valid if entry not in order]


def came_in(desk: Desk, code: str, login: Login | None) -> None:
    """What the log-in showed is noted: which keys of ours the server took and refused, which host key it has."""
    if login is None:
        return
    now = desk.now()
    with desk.database.read() as connection:
        uses = _uses(connection, code)
        known = uses.get(login.accepted)
        stale = known is None or known.accepted_at is None or known.accepted_at.date() != now.date()
        # another key may have been the last one since
        stale = stale or any(use.accepted_at and known and use.accepted_at > known.accepted_at for use in uses.values())
        news = stale or bool(login.refused) or hostkeys.is_news(connection, code, login.host_key, now)
    if not news:
        return
    with desk.database.write() as connection:
        hostkeys.shown(connection, desk, code, login.host_key)
        for fingerprint in login.refused:
            _note(connection, code, fingerprint, refused_at=now)
        first = _note(connection, code, login.accepted, accepted_at=now, refused_at=None)
        if first:
            audit.record(
                connection, desk.actor, "credential.accepted", code,
                {"fingerprint": login.accepted, "previous_reason": "refused" if login.refused else None}, now,
            )  # fmt: skip


def _note(connection: Connection, code: str, fingerprint: str, **columns: Any) -> bool:
    """The use is a row; True where the key was accepted for the first time."""
    row = _uses(connection, code).get(fingerprint)
    first = columns.get("accepted_at") is not None and (row is None or row.first_accepted_at is None)
    if first:
        columns["first_accepted_at"] = columns["accepted_at"]
    if row is None:
        adding = exchange._inserting(connection)(USES)  # noqa: SLF001 - the dialect's own INSERT … ON CONFLICT
        connection.execute(
            adding.values(agency=code, fingerprint=fingerprint, **columns).on_conflict_do_update(
                index_elements=["agency", "fingerprint"], set_=columns
            )
        )
    else:
        connection.execute(update(USES).where(USES.c.use_id == row.use_id).values(**columns))
    return first


def listed(desk: Desk, code: str) -> list[Credential]:
    """Our client keys at the agency's server, newest first."""
    now = desk.now()
    with desk.database.read() as connection:
        agency = exchange.agency(connection, code)
        uses = _uses(connection, code)
    return [_told(entry, uses.get(entry.fingerprint), now) for entry in desk.keyring.ssh_clients(client_name(agency))]


def rotate(desk: Desk, code: str) -> Credential:
    """A new client key stands beside the old one; the agency is to add its line to `authorized_keys`."""
    now = desk.now()
    with desk.database.read() as connection:
        agency = exchange.agency(connection, code)
    name = client_name(agency)
    desk.keyring.rotate("ssh_client", name, now, valid_days=desk.settings.credential_days)
    entry = desk.keyring.ssh_clients(name)[0]
    with desk.database.write() as connection:
        _record(connection, desk, "credential.rotated", code, entry)
    return _told(entry, None, now)


def confirm(desk: Desk, code: str) -> Credential:
    """The newest key alone lets us in, tried now. Raises what the drop raises where it does not."""
    from connectors.drops import open_drop
    from infra.outbox import drop_settings

    with desk.database.read() as connection:
        agency = exchange.agency(connection, code)
    newest = desk.keyring.ssh_clients(client_name(agency))[:1]
    if not newest or newest[0].state(desk.now()) != "valid":
        message = f"there is no new client key for {code} to confirm"
        raise UsageError(message, fix=f"`consign agency credential rotate {code}` makes one")
    settings = drop_settings(desk, agency, only=newest[0])
    with open_drop(settings) as drop:
        came_in(desk, code, drop.login)
    with desk.database.write() as connection:
        breaker.begin_anew(connection, desk, code, "circuit.reset", "its server takes our new key")
    return listed(desk, code)[0]


def retire(desk: Desk, code: str, generation: str, *, anyway: bool = False) -> Credential:
    """The key is offered to the agency's server no more.

    Raises RefusedByPolicy while no other valid key has been let in, unless `anyway`.
    """
    now = desk.now()
    with desk.database.read() as connection:
        agency = exchange.agency(connection, code)
        uses = _uses(connection, code)
    name = client_name(agency)
    entries = desk.keyring.ssh_clients(name)
    found = next((entry for entry in entries if entry.generation == generation), None)
    if found is None:
        message = f"there is no SSH client key {generation} for {code}"
        raise KeyUnknown(message, fix=f"`consign agency credential list {code}` lists them")
    works = [
        entry
        for entry in entries
        if entry is not found and entry.state(now) == "valid" and (use := uses.get(entry.fingerprint))
        and use.accepted_at is not None
    ]  # fmt: skip
    if not works and not anyway:
        message = f"no other client key has been let in by {code}'s server yet"
        raise RefusedByPolicy(
            message, fix=f"`consign agency credential confirm {code}` tries the newest; or say --anyway, if it was lost"
        )
    desk.keyring.revoke_client(name, generation, now)
    entry = next(entry for entry in desk.keyring.ssh_clients(name) if entry.generation == generation)
    with desk.database.write() as connection:
        _record(connection, desk, "credential.retired", code, entry)
    return _told(entry, uses.get(entry.fingerprint), now)


def uses_of(connection: Connection, code: str) -> dict[str, Any]:
    """What became of our client keys at the agency's server, by fingerprint."""
    return _uses(connection, code)


def _uses(connection: Connection, code: str) -> dict[str, Any]:
    rows = connection.execute(select(USES).where(USES.c.agency == code))
    return {str(row.fingerprint): row for row in rows}


def _told(entry: Entry, use: Any, now: Any) -> Credential:
    state = entry.state(now)
    left = (entry.valid_until - now).days if entry.valid_until and state == "valid" else None
    return Credential(
        entry.generation, entry.fingerprint, state, entry.valid_from, entry.valid_until, left,
        use.accepted_at if use else None, use.refused_at if use else None, entry.public["line"],
    )  # fmt: skip


def _record(connection: Connection, desk: Desk, action: str, code: str, entry: Entry) -> None:
    until = entry.valid_until.isoformat() if entry.valid_until else None
    audit.record(
        connection, desk.actor, action, code,
        {"generation": entry.generation, "fingerprint": entry.fingerprint, "until": until}, desk.now(),
    )  # fmt: skip
