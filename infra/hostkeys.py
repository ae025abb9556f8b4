"""The host keys that are accepted of an agency's server, and from when to when: pinned by people, never by the server.

While the agency changes its host key, both are pinned: the new one from the day that the agency says, the old one until
the day that the agency has finished. What the server shows and nobody pinned gets nothing (connectors/drops/ssh.py).
Whoever can pin a key can put a server of his own in the agency's place; so a second person approves it where the
agency is live. Taking a key away needs one person: it can only stop the exchange.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, insert, or_, select, update

from connectors.drops import hostkeys
from infra import audit, breaker, roles
from infra.store import bulk, exchange
from models.errors import ConfigurationError, RefusedByPolicy, UsageError
from models.lives import PIN, moved
from models.tables import HostKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

KEYS: Final = bulk.table_of(HostKey)
WITH_ACCOUNTS: Final = ("live", "suspended")
"""States of an agency that holds accounts, or may again tomorrow."""


class HostKeysEnded(ConfigurationError):
    """No host key that is pinned of the agency is in force: nothing is sent until one is."""


def needs_two(desk: Desk, agency: Row[Any]) -> bool:
    """Whether what is pinned of this agency counts only when a second person has approved it."""
    return bool(desk.settings.two_people and agency.state in WITH_ACCOUNTS)


def state(row: Any, now: datetime) -> str:
    """waiting, pending, valid, expired, withdrawn or retired."""
    if row.state != "pinned":
        return str(row.state)
    if now < row.valid_from:
        return "pending"
    return "valid" if row.valid_until is None or now < row.valid_until else "expired"


def accepted(connection: Connection, agency: Row[Any], now: datetime) -> tuple[str, ...]:
    """The lines of the host keys in force, the newest first; those that the drop itself names, before any was pinned.

    Raises HostKeysEnded where there are pinned keys and none is in force, ConfigurationError where there is none.
    """
    rows = _of(connection, agency.agency)
    lines = tuple(row.line for row in reversed(rows) if state(row, now) == "valid")
    if lines:
        return lines
    if any(row.state == "pinned" for row in rows):
        last = max((row for row in rows if row.state == "pinned"), key=lambda row: row.valid_until or row.valid_from)
        when = f"ended at {last.valid_until.isoformat()}" if state(last, now) == "expired" else "is not in force yet"
        message = f"the host key {last.fingerprint} of {agency.agency} {when}, and no other is pinned"
        raise HostKeysEnded(
            message, fix=f"compare the new one with {agency.agency}, then `consign agency host-key add`"
        )
    stated = tuple(json.loads(agency.drop).get("host_keys") or ())
    if rows or not stated:
        message = f"no host key is pinned for agency {agency.agency}"
        fix = "compare its fingerprint with the agency by telephone, then `consign agency host-key add`"
        raise ConfigurationError(message, fix=fix)
    return stated


def listed(desk: Desk, code: str) -> list[dict[str, Any]]:
    """Every host key that was ever pinned of the agency, or asked for, newest first."""
    now = desk.now()
    with desk.database.read() as connection:
        exchange.agency(connection, code)
        rows = _of(connection, code)
    return [
        {
            "fingerprint": row.fingerprint,
            "type": row.type,
            "state": state(row, now),
            "begins": row.valid_from,
            "ends": row.valid_until,
            "days_left": (row.valid_until - now).days if row.valid_until and state(row, now) == "valid" else None,
            "added_by": row.added_by,
            "approved_by": row.approved_by,
            "shown": row.shown_at,
        }
        for row in reversed(rows)
    ]


def scanned(desk: Desk, code: str) -> list[dict[str, Any]]:
    """What the agency's server shows now, key by key, and what we hold of it. Nothing is trusted for being shown.

    Columns: fingerprint, type, shown, pinned (the state of our pin, None where there is none), line.
    """
    now = desk.now()
    with desk.database.read() as connection:
        agency = exchange.agency(connection, code)
        rows = _of(connection, code) or [_as_row(line, now) for line in json.loads(agency.drop).get("host_keys") or ()]
    stated = json.loads(agency.drop)
    if stated.get("kind") != "sftp":
        message = f"agency {code} is not reached by SFTP"
        raise UsageError(message, fix="`consign agency drop` says how it is reached")
    seen = {
        key.fingerprint: key
        for key in hostkeys.shown(
            stated["host"], int(stated.get("port", 22)), desk.settings.connect_timeout, {row.type for row in rows}
        )
    }
    known = {row.fingerprint: state(row, now) for row in rows}
    told = [
        {"fingerprint": key.fingerprint, "type": key.type, "shown": True, "pinned": known.get(key.fingerprint),
         "line": key.line}
        for key in seen.values()
    ]  # fmt: skip
    return told + [
        {"fingerprint": row.fingerprint, "type": row.type, "shown": False, "pinned": known[row.fingerprint],
         "line": row.line}
        for row in rows
        if row.fingerprint not in seen and known[row.fingerprint] not in {"retired", "withdrawn", "expired"}
    ]  # fmt: skip


def add(
    desk: Desk,
    code: str,
    line: str,
    *,
    begins: datetime | None = None,
    ends: datetime | None = None,
    others_until: datetime | None = None,
) -> str:
    """The key is pinned from `begins` (else now) until `ends`; or it waits for a second person. Returns which.

    others_until: when the keys pinned before it end at the latest. Raises UsageError for one that is pinned already or
    ends before it begins, ConfigurationError for a line that is no host key.
    """
    key, now = hostkeys.read(line), desk.now()
    begins = begins or now
    if ends is not None and ends <= begins:
        raise UsageError("the key would end before it begins", fix="give a later end")
    with desk.database.write() as connection:
        agency = exchange.agency(connection, code)
        move_in(connection, desk, agency)
        for row in _of(connection, code):
            if row.fingerprint == key.fingerprint and state(row, now) in {"waiting", "pending", "valid"}:
                message = f"the host key {key.fingerprint} of {code} is {state(row, now)} already"
                raise UsageError(message, fix="retire it first, if its time is to change")
        waits = needs_two(desk, agency)
        connection.execute(
            insert(KEYS).values(
                agency=code, type=key.type, line=key.line, fingerprint=key.fingerprint,
                state="waiting" if waits else "pinned", valid_from=begins, valid_until=ends, others_until=others_until,
                added_by=desk.actor, added_at=now,
            )
        )  # fmt: skip
        if not waits:
            _pinned(connection, desk, code, key.fingerprint, others_until)
        _record(connection, desk, "host_key.asked" if waits else "host_key.pinned", code, key.fingerprint, begins, ends)
    return "waiting" if waits else "pinned"


def approve(desk: Desk, code: str, fingerprint: str) -> None:
    """A second person has compared the fingerprint with the agency: the key is pinned as it was asked for.

    Raises RoleMissing, RefusedByPolicy for the one who asked, UsageError where no such key waits.
    """
    with desk.database.write() as connection:
        roles.require(connection, desk, "operations")
        row = _one(connection, code, fingerprint, "waiting")
        if row.added_by == desk.actor:
            message = f"{desk.actor} asked for the host key {fingerprint} of {code}, and cannot approve it"
            raise RefusedByPolicy(
                message, fix="let a second person compare the fingerprint with the agency and approve"
            )
        connection.execute(
            update(KEYS)
            .where(KEYS.c.host_key_id == row.host_key_id)
            .values(
                state=moved(f"host key {fingerprint}", row.state, "pinned", PIN),
                approved_by=desk.actor,
                approved_at=desk.now(),
            )
        )
        _pinned(connection, desk, code, fingerprint, row.others_until)
        _record(connection, desk, "host_key.pinned", code, fingerprint, row.valid_from, row.valid_until)


def retire(desk: Desk, code: str, fingerprint: str, *, at: datetime | None = None, anyway: bool = False) -> str:
    """The key is accepted no more: from now on, or from `at` on; one that waits is withdrawn. Returns its state.

    Raises RefusedByPolicy where no other would be in force then, unless `anyway`: nothing could be delivered.
    """
    now = desk.now()
    with desk.database.write() as connection:
        move_in(connection, desk, exchange.agency(connection, code))
        row = _one(connection, code, fingerprint, "waiting", "pinned")
        if row.state == "pinned" and not anyway and not _another(connection, row, at or now):
            message = f"without the host key {fingerprint} nothing could be delivered to {code}"
            raise RefusedByPolicy(message, fix="pin its successor first; or say --anyway, if it was lost to somebody")
        if row.state == "pinned" and at is not None and at > now:
            columns: dict[str, Any] = {"valid_until": min(at, row.valid_until) if row.valid_until else at}
        else:
            to = "withdrawn" if row.state == "waiting" else "retired"
            columns = {
                "state": moved(f"host key {fingerprint}", row.state, to, PIN),
                "retired_by": desk.actor,
                "retired_at": now,
            }
        connection.execute(update(KEYS).where(KEYS.c.host_key_id == row.host_key_id).values(**columns))
        mirror(connection, code)
        done = str(columns.get("state", row.state))
        ends = columns.get("valid_until", now)
        _record(connection, desk, f"host_key.{'ending' if done == 'pinned' else done}", code, fingerprint, None, ends)
    return done


def replace_all(connection: Connection, desk: Desk, code: str, lines: Iterable[str]) -> None:
    """Exactly these are pinned from now on, in the caller's transaction: the drop was set anew."""
    now = desk.now()
    wanted = {key.fingerprint: key for key in map(hostkeys.read, lines)}
    for row in _of(connection, code):
        if row.state not in {"waiting", "pinned"}:
            continue
        if row.fingerprint in wanted and state(row, now) == "valid":
            wanted.pop(row.fingerprint)
            continue
        to = "withdrawn" if row.state == "waiting" else "retired"
        connection.execute(
            update(KEYS)
            .where(KEYS.c.host_key_id == row.host_key_id)
            .values(state=to, retired_by=desk.actor, retired_at=now)
        )
        _record(connection, desk, f"host_key.{to}", code, row.fingerprint, None, now)
    for key in wanted.values():
        connection.execute(
            insert(KEYS).values(
                agency=code, type=key.type, line=key.line, fingerprint=key.fingerprint, state="pinned",
                valid_from=now, added_by=desk.actor, added_at=now,
            )
        )  # fmt: skip
        _record(connection, desk, "host_key.pinned", code, key.fingerprint, now, None)


def refuse_unapproved(connection: Connection, desk: Desk, agency: Row[Any], lines: Sequence[str]) -> None:
    """Raises RefusedByPolicy where these lines would pin a new key of a live agency by the way.

    Not where it was never reached before: nothing was sent anywhere yet.
    """
    if not needs_two(desk, agency) or agency.drop == exchange.NO_DROP:
        return
    known = {row.fingerprint for row in _of(connection, agency.agency) if row.state == "pinned"}
    known |= {hostkeys.read(line).fingerprint for line in json.loads(agency.drop).get("host_keys") or ()}
    if new := [key.fingerprint for key in map(hostkeys.read, lines) if key.fingerprint not in known]:
        message = f"{agency.agency} is {agency.state}: a second person approves its host key {new[0]}"
        raise RefusedByPolicy(message, fix=f"`consign agency host-key add {agency.agency}` asks for it")


def shown(connection: Connection, desk: Desk, code: str, fingerprint: str) -> None:
    """The server showed this pinned key: noted once a day, for whoever asks whether the old one is still in use."""
    now = desk.now()
    for row in _of(connection, code):
        if row.fingerprint == fingerprint and (row.shown_at is None or row.shown_at.date() != now.date()):
            connection.execute(update(KEYS).where(KEYS.c.host_key_id == row.host_key_id).values(shown_at=now))


def is_news(connection: Connection, code: str, fingerprint: str, now: datetime) -> bool:
    """Whether `shown` would write something."""
    return any(
        row.fingerprint == fingerprint and (row.shown_at is None or row.shown_at.date() != now.date())
        for row in _of(connection, code)
    )


def typed(line: str) -> str:
    """The line of a host key as somebody typed it. Raises UsageError for what is none."""
    try:
        hostkeys.read(line)
    except ConfigurationError as fault:
        raise UsageError(str(fault), fix=fault.fix) from None
    return line


def fingerprint_of(line: str) -> str:
    """The fingerprint of a host key's line. Raises ConfigurationError for what is none."""
    return hostkeys.read(line).fingerprint


def of_agency(connection: Connection, code: str) -> Sequence[Row[Any]]:
    """Every row of the agency's host keys, oldest first."""
    return _of(connection, code)


def _of(connection: Connection, code: str) -> Sequence[Row[Any]]:
    return connection.execute(select(KEYS).where(KEYS.c.agency == code).order_by(KEYS.c.host_key_id)).all()


def _one(connection: Connection, code: str, fingerprint: str, *states: str) -> Row[Any]:
    """The newest of that fingerprint in one of the states. Raises UsageError where there is none."""
    row: Row[Any]
    for row in reversed(_of(connection, code)):
        if row.fingerprint == fingerprint and row.state in states:
            return row
    message = f"no host key {fingerprint} of {code} is {' or '.join(states)}"
    raise UsageError(message, fix=f"`consign agency host-key list {code}` lists them")


def _another(connection: Connection, row: Row[Any], at: datetime) -> bool:
    """Whether a key other than this one is in force then."""
    return any(one.fingerprint != row.fingerprint and state(one, at) == "valid" for one in _of(connection, row.agency))


def _pinned(connection: Connection, desk: Desk, code: str, fingerprint: str, others_until: datetime | None) -> None:
    """The others end when it was said that they would; a server that was refused for its key is asked again."""
    if others_until is not None:
        lasts = or_(KEYS.c.valid_until.is_(None), KEYS.c.valid_until > others_until)
        others = and_(KEYS.c.agency == code, KEYS.c.state == "pinned", KEYS.c.fingerprint != fingerprint, lasts)
        connection.execute(update(KEYS).where(others).values(valid_until=others_until))
    mirror(connection, code)
    breaker.begin_anew(connection, desk, code, "circuit.reset", "a host key was pinned")


def mirror(connection: Connection, code: str) -> None:
    """The drop's own list says the same, for whoever reads it there."""
    stated = json.loads(exchange.agency(connection, code).drop)
    if stated.get("kind") == "sftp":
        stated["host_keys"] = [row.line for row in _of(connection, code) if row.state == "pinned"]
        drop = json.dumps(stated, sort_keys=True)
        connection.execute(update(exchange.AGENCIES).where(exchange.AGENCIES.c.agency == code).values(drop=drop))


def move_in(connection: Connection, desk: Desk, agency: Row[Any]) -> None:
    """What the drop alone names is pinned in the table, as it has been all the time."""
    if not _of(connection, agency.agency):
        replace_all(connection, desk, agency.agency, json.loads(agency.drop).get("host_keys") or ())


def _as_row(line: str, now: datetime) -> Any:
    key = hostkeys.read(line)
    return HostKey(
        agency="", type=key.type, line=key.line, fingerprint=key.fingerprint, state="pinned", valid_from=now,
        added_by="", added_at=now,
    )  # fmt: skip


def _record(
    connection: Connection, desk: Desk, action: str, code: str, fingerprint: str, begins: datetime | None,
    ends: datetime | None,
) -> None:  # fmt: skip
    audit.record(
        connection,
        desk.actor,
        action,
        code,
        {
            "fingerprint": fingerprint,
            "from": begins.isoformat() if begins else None,
            "until": ends.isoformat() if ends else None,
        },
        desk.now(),
    )
