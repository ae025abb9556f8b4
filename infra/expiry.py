"""What ends soon: our keys and the agencies', host keys, client keys. Said in good time, and again; resolved by itself.

A key that ends is nothing to speak of while another one goes on. What counts is until when there is always one in
force; and whether the other side still uses the one that ends, for then the next one has not reached it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, select

from infra import audit, credentials, exceptions, hostkeys, rotation
from infra.store import exchange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Row

    from infra.wiring import Desk

CODES: Final = ("key_expiring", "host_key_expiring", "credential_expiring", "key_not_installed")
INSTALLED_WITHIN: Final = timedelta(days=7)
"""So long before a key of ours begins to sign, every agency should have said that it has it."""


@dataclass(frozen=True)
class Ending:
    """Something that ends soon, or has ended."""

    code: str
    subject: str
    what: str
    agency: str | None
    fingerprint: str
    ends: datetime | None
    """None where there is no key at all"""
    days_left: int
    """whole days from now; negative or zero where it has ended"""
    why: str
    """ends: nothing follows; still_used: another is in force, and the other side does not use it yet; not_installed"""
    fix: str


@dataclass(frozen=True)
class Watched:
    """What one look at everything that ends did."""

    ending: int = 0
    opened: int = 0
    resolved: int = 0
    said_again: int = 0


@dataclass(frozen=True)
class _Span:
    begins: datetime | None
    ends: datetime | None
    fingerprint: str


def endings(desk: Desk, within_days: int | None = None) -> list[Ending]:
    """Everything that ends within so many days (else the first of `key_warn_days`), the soonest first."""
    days = max(desk.settings.key_warn_days, default=30) if within_days is None else within_days
    with desk.database.read() as connection:
        agencies = connection.execute(
            select(exchange.AGENCIES).where(exchange.AGENCIES.c.state != "closed").order_by(exchange.AGENCIES.c.agency)
        ).all()
        found = [
            *_own(desk, {str(row.suite) for row in agencies if row.drop != exchange.NO_DROP}),
            *(one for row in agencies for one in _theirs(connection, desk, row)),
            *_not_installed(connection, desk),
        ]
    return sorted(
        (one for one in found if one.days_left <= days), key=lambda one: (one.days_left, one.subject, one.why)
    )


def watch(desk: Desk) -> Watched:
    """Exceptions are open for what ends soon, one each; they say the days again at each of `key_warn_days`.

    What was renewed is resolved. Safe to run again.
    """
    found = endings(desk)
    now, opened, resolved, again = desk.now(), 0, 0, 0
    with desk.database.write() as connection:
        for code in CODES:
            mine = {one.subject: one for one in reversed(found) if one.code == code}
            resolved += exceptions.keep_only(connection, desk, code, list(mine), "renewed")
            for one in mine.values():
                mark = _mark(desk, one)
                before = _said(connection, one)
                new = exceptions.open_exception(
                    connection, desk, code, agency=one.agency, subject=one.subject, due_at=max(one.ends or now, now),
                    detail={"days": mark, "fingerprint": one.fingerprint, "reason": one.why,
                            "until": one.ends.isoformat() if one.ends else None},
                )  # fmt: skip
                opened += new is not None
                if new is None and before is not None and mark < before:
                    again += 1
                    audit.record(
                        connection, desk.actor, "key.ending", one.subject,
                        {"code": code, "agency": one.agency, "days": mark, "fingerprint": one.fingerprint}, now,
                    )  # fmt: skip
    return Watched(len(found), opened, resolved, again)


def _mark(desk: Desk, one: Ending) -> int:
    """The smallest of the days at which it is said that has been reached; 0 where it has ended."""
    if one.days_left <= 0:
        return 0
    return min((days for days in desk.settings.key_warn_days if one.days_left <= days), default=one.days_left)


def _said(connection: Connection, one: Ending) -> int | None:
    """The mark at which it was said the last time; None where it was not said, or is resolved."""
    table = exceptions.EXCEPTIONS
    row = connection.execute(
        select(table.c.detail)
        .where(table.c.code == one.code, table.c.subject == one.subject, table.c.state.in_(exceptions.UNRESOLVED))
        .order_by(table.c.occurrence.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else json.loads(row.detail).get("days")


# -- what there is -----------------------------------------------------------------------------------------------------


def _own(desk: Desk, suites: Iterable[str]) -> Iterator[Ending]:
    """Our own pairs of every suite that an agency uses, and those of single lenders."""
    entries = [one for one in desk.keyring.entries() if one.purpose == "own" and one.revoked_at is None]
    owners = {one.owner for one in entries if one.suite in set(suites)} | set(suites)
    for owner in sorted(owners):
        spans = [_Span(one.valid_from, one.valid_until, one.fingerprint) for one in entries if one.owner == owner]
        yield from _ending(
            desk, spans, None, "key_expiring", f"key:own:{owner}", f"our own {owner} key", None,
            f"`consign keys rotate own {owner}`",
        )  # fmt: skip


def _theirs(connection: Connection, desk: Desk, agency: Row[Any]) -> Iterator[Ending]:
    """The agency's sealing keys, its server's host keys and our client keys there."""
    code = str(agency.agency)
    trusted = [one for one in desk.keyring.trusted_keys(code, agency.suite) if one.revoked_at is None]
    if trusted:
        yield from _ending(
            desk,
            [_Span(one.valid_from, one.valid_until, one.fingerprint) for one in trusted],
            _last_signer(connection, code),
            "key_expiring", f"key:trusted:{code}", f"the {agency.suite} key of {code}", code,
            f"ask {code} for its next key, then `consign agency keys trust {code}`",
        )  # fmt: skip
    if json.loads(agency.drop).get("kind") != "sftp":
        return
    rows = [row for row in hostkeys.of_agency(connection, code) if row.state == "pinned"]
    if rows:
        shown = max((row for row in rows if row.shown_at), key=lambda row: row.shown_at, default=None)
        yield from _ending(
            desk,
            [_Span(row.valid_from, row.valid_until, row.fingerprint) for row in rows],
            shown.fingerprint if shown else None,
            "host_key_expiring", f"host:{code}", f"the host key of {code}", code,
            f"ask {code} whether its server has a new host key, then `consign agency host-key add {code}`",
        )  # fmt: skip
    clients = [one for one in desk.keyring.ssh_clients(credentials.client_name(agency)) if one.revoked_at is None]
    if clients:
        uses = credentials.uses_of(connection, code)
        taken = [use for use in uses.values() if use.accepted_at is not None]
        last = max(taken, key=lambda use: use.accepted_at, default=None)
        yield from _ending(
            desk,
            [_Span(one.valid_from, one.valid_until, one.fingerprint) for one in clients],
            last.fingerprint if last else None,
            "credential_expiring", f"credential:{code}", f"our SSH client key at {code}", code,
            f"`consign agency credential rotate {code}`, and see that {code} adds its line",
        )  # fmt: skip


def _ending(
    desk: Desk, spans: Sequence[_Span], used: str | None, code: str, subject: str, what: str, agency: str | None,
    fix: str,
) -> Iterator[Ending]:  # fmt: skip
    """When there is no key any more; and when the one in use ends, where that is sooner."""
    now = desk.now()
    covered, last = _covered_until(spans, now)
    if covered is not None:
        yield Ending(code, subject, what, agency, last, covered, _days(covered, now), "ends", fix)
    elif not spans:
        yield Ending(code, subject, what, agency, "", None, 0, "ends", fix)
    in_use = next((one for one in spans if one.fingerprint == used), None)
    follows = any(one.fingerprint != used and (one.ends is None or one.ends > now) for one in spans)
    if in_use is not None and follows and in_use.ends is not None and (covered is None or in_use.ends < covered):
        days = _days(in_use.ends, now)
        yield Ending(code, subject, f"{what}, which is still used", agency, in_use.fingerprint, in_use.ends, days,
                     "still_used", fix)  # fmt: skip


def _covered_until(spans: Sequence[_Span], now: datetime) -> tuple[datetime | None, str]:
    """Until when there is always one in force, and which is the last of them; None for no end, and where none is.

    Where none is in force now, the end of the last one that was.
    """
    at, last = now, ""
    while True:
        here = [
            one for one in spans if (one.begins is None or one.begins <= at) and (one.ends is None or at < one.ends)
        ]
        if not here:
            break
        if any(one.ends is None for one in here):
            return None, ""
        longest = max(here, key=_end)
        at, last = _end(longest), longest.fingerprint
    if last:
        return at, last
    over = [one for one in spans if one.ends is not None and one.ends <= now]
    newest = max(over, key=_end, default=None)
    return (newest.ends, newest.fingerprint) if newest else (None, "")


def _end(one: _Span) -> datetime:
    assert one.ends is not None  # noqa: S101 - asked only where there is one
    return one.ends


def _not_installed(connection: Connection, desk: Desk) -> Iterator[Ending]:
    """Agencies that have not said that they hold a key of ours which begins to sign soon."""
    now = desk.now()
    for row in rotation.announcements(connection):
        if row.state in {"acknowledged", "cancelled"}:
            continue
        told = json.loads(row.spec)
        entry = desk.keyring.own_key(told["owner"], told["generation"])
        if entry.state(now) != "pending" or entry.valid_from is None or entry.valid_from - now > INSTALLED_WITHIN:
            continue
        yield Ending(
            "key_not_installed", f"key:{entry.owner}:{entry.generation}:{row.agency}",
            f"our next {entry.suite} key at {row.agency}", str(row.agency), entry.fingerprint, entry.valid_from,
            _days(entry.valid_from, now), "not_installed",
            f"ask {row.agency} whether it holds {entry.fingerprint}; its `fingerprint` file resolves this",
        )  # fmt: skip


def _last_signer(connection: Connection, agency: str) -> str | None:
    """The fingerprint of the key that signed the agency's newest file that was opened."""
    files = exchange.FILES
    newest = select(func.max(files.c.file_id)).where(files.c.agency == agency, files.c.signer.is_not(None))
    return connection.execute(
        select(files.c.signer).where(files.c.file_id == newest.scalar_subquery())
    ).scalar_one_or_none()


def _days(at: datetime, now: datetime) -> int:
    return (at - now).days if at > now else min(0, (at - now).days + 1)
