"""Sealing keys change hands without a lost file: ours are announced before they sign, the agencies' pinned by two.

**Ours.** A new pair is made now and signs from `begins` on. Until then the pair before it signs, also the announcement
that brings the new one's public half to every agency. What agencies seal to the old pair opens until that one's end;
what they seal to the new one opens at once. After its end a pair neither signs nor opens.

**Theirs.** A second key of an agency counts from the day it names; both count until the old one ends. Where the agency
is live, it counts when a second person has compared the fingerprints with the agency and typed them in. Revoking one
needs one person and counts at once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from infra import audit, hostkeys, roles
from infra.store import bulk, exchange
from keys.errors import KeyUnknown
from keys.keyring import owner_of, shown
from keys.sealing import sign_for, suite_named
from models.certification import same_fingerprint
from models.errors import RefusedByPolicy, UsageError
from models.lives import PIN, moved
from models.tables import KeyRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from infra.wiring import Desk
    from keys.entries import Entry

REQUESTS: Final = bulk.table_of(KeyRequest)
ANNOUNCES: Final = "key_announcement"


@dataclass(frozen=True)
class Rotated:
    """A new pair of ours: which, from when to when, and who is told of it."""

    owner: str
    generation: str
    fingerprint: str
    encrypt_fingerprint: str
    begins: datetime
    ends: datetime
    older_until: datetime | None
    """when the last of the pairs before it ends"""
    announced_to: tuple[str, ...]
    """agencies for whom an announcement waits to be delivered"""


# -- ours --------------------------------------------------------------------------------------------------------------


def planned_begin(desk: Desk, suite: str, lender: str = "") -> datetime:
    """From when a new pair signs unless somebody says otherwise: at once where no agency knows the one before.

    Else after `key_overlap_days`, and not later than the pair in force ends.
    """
    now = desk.now()
    valid = [one for one in desk.keyring.signing_keys(suite, now, lender) if one.state(now) == "valid"]
    if not valid or not _told(desk, suite, lender):
        return now
    ends = max(one.valid_until or now for one in valid)
    return min(now + timedelta(days=desk.settings.key_overlap_days), max(ends, now))


def rotate_own(
    desk: Desk,
    suite: str,
    *,
    lender: str = "",
    begins: datetime | None = None,
    days: int | None = None,
    older_until: datetime | None = None,
    announce: bool = True,
) -> Rotated:
    """A new pair of ours is made; it signs from `begins` on, and until then the one before signs.

    lender: whose alone the pair is, where several lenders share this installation. older_until: when those before it
    end at the latest. announce: every agency that seals this way is sent the public half, signed with the old one.
    Raises UsageError for a time in which no key would sign, or that has passed.
    """
    now = desk.now()
    begins = begins or planned_begin(desk, suite, lender)
    before = [one for one in desk.keyring.signing_keys(suite, now, lender) if one.state(now) == "valid"]
    _check_times(begins, older_until, before, now)
    if lender:
        with desk.database.read() as connection:
            exchange.lender_timezone(connection, lender)
    with desk.keyring.batch() as ring:
        entry = ring.new_own_keys(
            suite, now, desk.settings.own_key_days if days is None else days, valid_from=begins, lender=lender
        )
        if older_until is not None:
            for one in before:
                if one.owner == entry.owner:
                    ring.shorten("own", one.owner, one.generation, older_until)
    with desk.database.write() as connection:
        audit.record(
            connection, desk.actor, "key.rotated", f"own:{entry.owner}",
            {"generation": entry.generation, "fingerprint": entry.fingerprint, "from": _text(begins),
             "until": _text(entry.valid_until), "previous_fingerprint": before[0].fingerprint if before else None,
             "previous_until": _text(older_until)},
            now,
        )  # fmt: skip
    told = announce_own(desk, suite, entry.generation, lender=lender) if announce and begins > now else ()
    ends = [one.valid_until for one in desk.keyring.announcing_keys(suite, entry.generation, lender) if one.valid_until]
    return Rotated(
        entry.owner, entry.generation, entry.fingerprint, entry.public["encrypt_fingerprint"], begins,
        entry.valid_until or begins, max(ends, default=None), told,
    )  # fmt: skip


def _check_times(begins: datetime, older_until: datetime | None, before: Sequence[Entry], now: datetime) -> None:
    if begins < now:
        raise UsageError("a key cannot begin in the past", fix="leave --from out, or give a day to come")
    if not before:
        return
    ends = max(one.valid_until for one in before if one.valid_until) if all(one.valid_until for one in before) else None
    if older_until is not None:
        ends = min(older_until, ends) if ends else older_until
    if ends is not None and ends < begins:
        message = f"no key of ours would sign from {ends.isoformat()} to {begins.isoformat()}"
        raise UsageError(message, fix="let the new key begin before the old one ends")


def announce_own(desk: Desk, suite: str, generation: str, *, lender: str = "") -> tuple[str, ...]:
    """Every agency that seals this way is to be sent the key, each once; returns those for whom that is new.

    The announcement is signed with a pair that was there before: raises RefusedByPolicy where none is valid any more.
    """
    now, owner = desk.now(), owner_of(suite, lender)
    entry = desk.keyring.own_key(owner, generation)
    older = desk.keyring.announcing_keys(suite, generation, lender)
    if not any(one.state(now) == "valid" for one in older):
        message = f"no key was there before generation {generation} of {owner} that could sign its announcement"
        raise RefusedByPolicy(message, fix="`consign keys announce --out` writes the files to hand over; telephone")
    told = []
    with desk.database.write() as connection:
        for row in _agencies(connection, suite, lender):
            said_by = lender or exchange.lender_under_contract(connection, row.agency)
            if said_by is None:
                continue
            work = exchange.Work(
                work_key=f"key:{owner}:{generation}:{row.agency}",
                lender=said_by,
                agency=row.agency,
                kind=ANNOUNCES,
                day=desk.today(exchange.lender_timezone(connection, said_by)),
                suffix=suite_named(suite).suffix,
                spec={"owner": owner, "generation": generation, "lender": lender, "announces": generation},
            )
            if exchange.prepare(connection, work)[1]:
                told.append(str(row.agency))
        if told:
            audit.record(
                connection, desk.actor, "key.announced", f"own:{owner}",
                {"generation": generation, "fingerprint": entry.fingerprint, "agencies": told[: audit.LIST_AT_MOST],
                 "count": len(told)},
                now,
            )  # fmt: skip
    return tuple(told)


def _agencies(connection: Connection, suite: str, lender: str = "") -> Sequence[Row[Any]]:
    """The agencies that seal this way and can be reached; with a lender, those under contract with it."""
    where = [
        exchange.AGENCIES.c.suite == suite,
        exchange.AGENCIES.c.state.in_(("certified", *hostkeys.WITH_ACCOUNTS)),
        exchange.AGENCIES.c.drop != exchange.NO_DROP,
    ]
    if lender:
        under = select(exchange.CONTRACTS.c.agency).where(exchange.CONTRACTS.c.lender == lender)
        where.append(exchange.AGENCIES.c.agency.in_(under))
    return connection.execute(select(exchange.AGENCIES).where(*where).order_by(exchange.AGENCIES.c.agency)).all()


def _told(desk: Desk, suite: str, lender: str) -> bool:
    with desk.database.read() as connection:
        return bool(_agencies(connection, suite, lender))


def confirmed(connection: Connection, desk: Desk, agency: str, fingerprints: Sequence[str]) -> list[str]:
    """The agency names these keys of ours as those that it holds: their announcements to it are answered.

    In the caller's transaction; returns the generations that this was news of.
    """
    news = []
    for row in announcements(connection, agency):
        told = json.loads(row.spec)
        entry = desk.keyring.own_key(told["owner"], told["generation"])
        if entry.fingerprint not in fingerprints or row.state not in {"delivered", "presumed"}:
            continue
        exchange.advance(connection, row.transmission_id, "acknowledged", acknowledged_at=desk.now())
        audit.record(
            connection, desk.actor, "key.installed", f"own:{entry.owner}",
            {"agency": agency, "generation": entry.generation, "fingerprint": entry.fingerprint}, desk.now(),
        )  # fmt: skip
        news.append(entry.generation)
    return news


def announcements(connection: Connection, agency: str | None = None) -> Sequence[Row[Any]]:
    """Every announcement of a key of ours, to that agency or to all, oldest first."""
    statement = select(exchange.TRANSMISSIONS).where(exchange.TRANSMISSIONS.c.kind == ANNOUNCES)
    if agency is not None:
        statement = statement.where(exchange.TRANSMISSIONS.c.agency == agency)
    return connection.execute(statement.order_by(exchange.TRANSMISSIONS.c.transmission_id)).all()


def write_announcement(desk: Desk, suite: str, generation: str, folder: Path, *, lender: str = "") -> list[Path]:
    """The public half of a pair and a signed statement of it, as files to hand to an agency; returns them.

    `announcement.txt` names every file with its SHA-256, the fingerprints and the days; its signature is by a pair that
    was there before, so whoever has that one checks it with `ssh-keygen -Y verify` or `gpg --verify`.
    Raises SealRefused where no such pair is valid.
    """
    entry = desk.keyring.own_key(owner_of(suite, lender), generation)
    public = shown(entry)
    folder.mkdir(parents=True, exist_ok=True)
    if suite == "age":
        older = [one for one in desk.keyring.announcing_keys(suite, generation, lender) if one.revoked_at is None]
        files = {
            "lender-next.age": public["encrypt"],
            "lender-next.allowed_signers": "\n".join(_allowed(one) for one in [*reversed(older), entry]),
        }
    else:
        files = {"lender-next.asc": public["encrypt"]}
    written = []
    lines = [
        f"suite: {suite}",
        f"generation: {generation}",
        f"fingerprint: {entry.fingerprint}",
        f"encrypt_fingerprint: {entry.public['encrypt_fingerprint']}",
        f"valid_from: {_text(entry.valid_from)}",
        f"valid_until: {_text(entry.valid_until)}",
    ]
    for name, text in files.items():
        path = folder / name
        path.write_text(text.rstrip() + "\n", encoding="ascii")
        lines.append(f"file: {hashlib.sha256(path.read_bytes()).hexdigest()}  {name}")
        written.append(path)
    statement = folder / "announcement.txt"
    statement.write_text("\n".join(lines) + "\n", encoding="ascii")
    signature = folder / ("announcement.txt.sig" if suite == "age" else "announcement.txt.asc")
    sign_for(desk.keyring, suite, statement, signature, desk.now(), lender=lender, announces=generation)
    with desk.database.write() as connection:
        audit.record(
            connection, desk.actor, "key.handed_over", f"own:{entry.owner}",
            {"generation": generation, "fingerprint": entry.fingerprint}, desk.now(),
        )  # fmt: skip
    return [*written, statement, signature]


def _allowed(entry: Entry) -> str:
    """The line for `allowed_signers`, with the time in which OpenSSH is to accept the key."""
    name, rest = entry.public["allowed_signers"].split(" ", 1)
    times = [
        f'{word}="{at:%Y%m%d%H%M%S}Z"'
        for word, at in (("valid-after", entry.valid_from), ("valid-before", entry.valid_until))
        if at is not None
    ]
    return f"{name} {','.join([*times, rest])}"


def revoke_own(desk: Desk, owner: str, generation: str) -> None:
    """A pair of ours counts no more, at once: neither to sign with nor to open with."""
    entry = desk.keyring.own_key(owner, generation)
    desk.keyring.revoke_own(owner, generation, desk.now())
    with desk.database.write() as connection:
        audit.record(
            connection, desk.actor, "key.revoked", f"own:{owner}",
            {"generation": generation, "fingerprint": entry.fingerprint}, desk.now(),
        )  # fmt: skip


# -- theirs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trusted:
    """Public keys of an agency: pinned as a generation, or a request that waits for a second person."""

    agency: str
    state: str
    """pinned | waiting"""
    encrypt: str
    """the fingerprint of the key that we encrypt to"""
    verify: str
    """the fingerprint of the key that it signs with"""
    begins: datetime
    generation: str | None = None
    request_id: int | None = None


@dataclass(frozen=True)
class _Window:
    """From when to when keys are to count, and until when the older ones at the latest."""

    begins: datetime
    ends: datetime | None
    others_until: datetime | None


def trust(
    desk: Desk,
    code: str,
    encrypt: str,
    verify: str,
    *,
    begins: datetime | None = None,
    ends: datetime | None = None,
    others_until: datetime | None = None,
    always_wait: bool = False,
) -> Trusted:
    """The agency's public keys count from `begins` (else now) until `ends`; or wait for a second person.

    others_until: when the older ones end at the latest. The fingerprints are to be compared with the agency's own.
    always_wait: whoever hands them in is not of the house; they wait however the house is set.
    Raises KeyUnfit for what is no such key and for one that was revoked, UsageError for times that make no sense.
    """
    now = desk.now()
    begins = begins or now
    with desk.database.read() as connection:
        agency = exchange.agency(connection, code)
    if ends is not None and ends <= begins:
        raise UsageError("the key would end before it begins", fix="give a later end")
    read = suite_named(agency.suite).read_public(encrypt, verify, now)
    prints = read.public["encrypt_fingerprint"], read.fingerprint
    desk.keyring.refuse_revoked(code, set(prints))
    if not always_wait and not hostkeys.needs_two(desk, agency):
        generation = _pin(desk, code, agency.suite, encrypt, verify, _Window(begins, ends, others_until))
        return Trusted(code, "pinned", *prints, begins, generation)
    with desk.database.write() as connection:
        request_id: int = connection.execute(
            insert(REQUESTS)
            .values(
                agency=code, suite=agency.suite, encrypt=encrypt, verify=verify, encrypt_fingerprint=prints[0],
                fingerprint=prints[1], valid_from=begins, valid_until=ends, others_until=others_until, state="waiting",
                asked_by=desk.actor, asked_at=now,
            )
            .returning(REQUESTS.c.request_id)
        ).scalar_one()  # fmt: skip
        audit.record(
            connection, desk.actor, "agency.key_asked", code,
            {"fingerprint": prints[1], "encrypt_fingerprint": prints[0], "id": request_id}, now,
        )  # fmt: skip
    return Trusted(code, "waiting", *prints, begins, None, request_id)


def approve(desk: Desk, code: str, request_id: int, *, encrypt: str, verify: str) -> Trusted:
    """A second person has compared both fingerprints with the agency, and typed what the agency read out.

    Raises RoleMissing, RefusedByPolicy for the one who asked, and where what was read out is another key.
    """
    with desk.database.write() as connection:
        roles.require(connection, desk, "operations")
        row = _request(connection, code, request_id)
    if row.asked_by == desk.actor:
        message = f"{desk.actor} asked for these keys of {code}, and cannot approve them"
        raise RefusedByPolicy(message, fix="let a second person compare the fingerprints with the agency and approve")
    for said, held, which in (
        (encrypt, row.encrypt_fingerprint, "encryption"), (verify, row.fingerprint, "verification"),
    ):  # fmt: skip
        if not same_fingerprint(said, held):
            message = f"the agency's {which} key is another than the one that was handed in for {code}"
            raise RefusedByPolicy(
                message, fix="somebody may sit between us: telephone again, at the number in the contract"
            )
    begins = max(row.valid_from, desk.now())
    when = _Window(begins, row.valid_until, row.others_until)
    generation = _pin(desk, code, row.suite, row.encrypt, row.verify, when, request=row)
    return Trusted(code, "pinned", row.encrypt_fingerprint, row.fingerprint, begins, generation, request_id)


def withdraw(desk: Desk, code: str, request_id: int) -> None:
    """The request is withdrawn: nothing was pinned."""
    with desk.database.write() as connection:
        row = _request(connection, code, request_id)
        _decide(connection, desk, row, "withdrawn")
        audit.record(
            connection, desk.actor, "agency.key_withdrawn", code,
            {"fingerprint": row.fingerprint, "id": request_id}, desk.now(),
        )  # fmt: skip


def revoke(desk: Desk, code: str, generation: str) -> None:
    """A key of the agency counts no more, at once: nothing is sealed to it, nothing that it signed is opened."""
    known = [one for one in desk.keyring.entries() if (one.purpose, one.owner) == ("trusted", code)]
    found = next((one for one in known if one.generation == generation), None)
    if found is None:
        message = f"there is no key generation {generation} of {code}"
        raise KeyUnknown(message, fix=f"`consign agency keys list {code}` lists them")
    desk.keyring.revoke(code, generation, desk.now())
    with desk.database.write() as connection:
        audit.record(
            connection, desk.actor, "agency.key_revoked", code,
            {"generation": generation, "fingerprint": found.fingerprint}, desk.now(),
        )  # fmt: skip


def listed(desk: Desk, code: str) -> list[dict[str, Any]]:
    """The agency's sealing keys, pinned and asked for, newest first."""
    now = desk.now()
    with desk.database.read() as connection:
        exchange.agency(connection, code)
        waiting = connection.execute(
            select(REQUESTS)
            .where(REQUESTS.c.agency == code, REQUESTS.c.state == "waiting")
            .order_by(REQUESTS.c.request_id.desc())
        ).all()
    asked = [
        {"request_id": row.request_id, "generation": None, "suite": row.suite, "state": "waiting",
         "encrypt": row.encrypt_fingerprint, "verify": row.fingerprint, "begins": row.valid_from,
         "ends": row.valid_until, "days_left": None, "asked_by": row.asked_by}
        for row in waiting
    ]  # fmt: skip
    return asked + [
        {"request_id": None, "generation": one.generation, "suite": one.suite, "state": one.state(now),
         "encrypt": one.public["encrypt_fingerprint"], "verify": one.fingerprint, "begins": one.valid_from,
         "ends": one.valid_until, "days_left": (one.valid_until - now).days if one.valid_until else None,
         "asked_by": None}
        for one in reversed(desk.keyring.entries())
        if (one.purpose, one.owner) == ("trusted", code)
    ]  # fmt: skip


def _request(connection: Connection, code: str, request_id: int) -> Row[Any]:
    row = connection.execute(
        select(REQUESTS).where(
            REQUESTS.c.request_id == request_id, REQUESTS.c.agency == code, REQUESTS.c.state == "waiting"
        )
    ).one_or_none()
    if row is None:
        message = f"no request {request_id} for keys of {code} waits"
        raise UsageError(message, fix=f"`consign agency keys list {code}` lists them")
    return row


def _decide(connection: Connection, desk: Desk, row: Row[Any], to: str, **columns: Any) -> None:
    state = moved(f"request {row.request_id}", row.state, to, PIN)
    connection.execute(
        update(REQUESTS)
        .where(REQUESTS.c.request_id == row.request_id)
        .values(state=state, decided_by=desk.actor, decided_at=desk.now(), **columns)
    )


def _pin(
    desk: Desk, code: str, suite: str, encrypt: str, verify: str, when: _Window, request: Row[Any] | None = None
) -> str:
    """The keys are the agency's next generation, and the request for them is decided. Returns the generation.

    Killed between the keyring and the store, it is safe to run again for the same request.
    """
    now = desk.now()
    with desk.keyring.batch() as ring:
        older = [one for one in ring.trusted_keys(code, suite) if one.state(now) in {"valid", "pending"}]
        done = [one for one in older if request is not None and _is_asked_for(one, request)]
        if done:
            generation = done[0].generation
        else:
            generation = ring.trust(
                code, suite, encrypt=encrypt, verify=verify, now=now, valid_from=when.begins, valid_until=when.ends,
                valid_days=desk.settings.own_key_days,
            )["generation"]  # fmt: skip
        if when.others_until is not None:
            for one in older:
                if one.generation != generation:
                    ring.shorten("trusted", code, one.generation, when.others_until)
        pinned = next(one for one in ring.trusted_keys(code, suite) if one.generation == generation)
    with desk.database.write() as connection:
        if request is not None:
            _decide(connection, desk, request, "pinned", generation=generation)
        audit.record(
            connection, desk.actor, "agency.trusted", code,
            {"fingerprint": pinned.fingerprint, "encrypt_fingerprint": pinned.public["encrypt_fingerprint"],
             "generation": generation, "from": _text(pinned.valid_from), "until": _text(pinned.valid_until),
             "by": request.asked_by.encode("ascii", "backslashreplace").decode() if request is not None else None},
            now,
        )  # fmt: skip
    return generation


def _is_asked_for(entry: Entry, request: Row[Any]) -> bool:
    """Whether the request has made this key already: a run was killed before it could say so."""
    prints = entry.public["encrypt_fingerprint"], entry.fingerprint
    since = entry.created_at is not None and entry.created_at >= request.asked_at
    return since and prints == (request.encrypt_fingerprint, request.fingerprint)


def _text(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at is not None else None
