"""An agency from "hello" to live: its row, its drop with pinned host keys, its public keys, its contract."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from infra import audit, breaker, certificates, hostkeys
from infra.store import bulk, exchange
from keys.sealing import suite_named
from models.contract import Contract
from models.errors import RefusedByPolicy, UsageError
from models.kinds import CODE
from models.lives import AGENCY, moved
from models.release import CHANNELS
from models.tables import AgencyContract

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from infra.wiring import Desk

LIMITS: Final = {
    "connect_timeout": float, "stall_timeout": float, "transfer_timeout": float, "settle_seconds": float,
    "max_names": int, "connections_per_agency": int, "files_per_round": int, "bytes_per_round": int,
}  # fmt: skip
"""Settings that an agency's drop may state otherwise, by name, with what they are made of."""

CONTRACTS = bulk.table_of(AgencyContract)


def add(  # noqa: PLR0913 - an agency's columns
    desk: Desk,
    code: str,
    name: str,
    *,
    suite: str = "age",
    channels: str = "phone,sms",
    capacity_accounts: int | None = None,
    remits: str = "gross",
    term_days: int = 180,
    drop: Mapping[str, Any] | None = None,
) -> bool:
    """The agency is known (state prospect), with a pseudonym key and an SSH client key of its own.

    True where this call added it; False where it was there. Raises UsageError for a bad code, suite or channel.
    """
    if not re.fullmatch(CODE, code):
        message = f"{code!r} cannot be an agency's code"
        raise UsageError(message, fix="use 2 to 20 lower-case letters, digits and inner hyphens")
    suite_named(suite)
    if unknown := sorted(set(channels.split(",")) - set(CHANNELS)):
        message = f"no such channel: {', '.join(unknown)}"
        raise UsageError(message, fix=f"known: {', '.join(CHANNELS)}")
    with desk.database.write() as connection:
        if connection.execute(select(exchange.AGENCIES.c.agency).where(exchange.AGENCIES.c.agency == code)).first():
            return False
        now = desk.now()
        if not desk.keyring.pseudonym_keys(code):
            desk.keyring.new_pseudonym_key(code, now)
        desk.keyring.ssh_client_key(code, now, desk.settings.credential_days)
        connection.execute(
            insert(exchange.AGENCIES).values(
                agency=code, name=name, state="prospect", suite=suite,
                drop=json.dumps(dict(drop or {}), sort_keys=True), layout="package",
                channels=channels, capacity_accounts=capacity_accounts, remits=remits,
                term_days=term_days, timezone="Asia/Shanghai", created_at=now,
            )
        )  # fmt: skip
        audit.record(connection, desk.actor, "agency.added", code, {"suite": suite}, now)
    return True


def set_drop(desk: Desk, code: str, drop: Mapping[str, Any]) -> None:
    """The agency is reached by this drop: kind sftp (host, port, username, host_keys) or folder (root).

    Exactly the host keys that it names are pinned from now on; where it names none, those that are stay. Raises
    RefusedByPolicy for a new one of a live agency, which a second person approves (infra/hostkeys.py).
    """
    if drop.get("kind") not in {"sftp", "folder"}:
        message = f"agency {code}: a drop is of kind sftp or folder"
        raise UsageError(message, fix="see docs/reference/drops.md")
    with desk.database.write() as connection:
        agency, host_keys = exchange.agency(connection, code), drop.get("host_keys") or ()
        hostkeys.refuse_unapproved(connection, desk, agency, host_keys)
        hostkeys.move_in(connection, desk, agency)
        connection.execute(
            update(exchange.AGENCIES)
            .where(exchange.AGENCIES.c.agency == code)
            .values(drop=json.dumps(dict(drop), sort_keys=True))
        )
        if host_keys:
            hostkeys.replace_all(connection, desk, code, host_keys)
        hostkeys.mirror(connection, code)
        breaker.begin_anew(connection, desk, code, "circuit.reset", "the agency is reached otherwise now")
        audit.record(connection, desk.actor, "agency.drop", code, {"kind": str(drop["kind"])}, desk.now())


def reach(  # noqa: PLR0913 - how an agency is reached is so much
    desk: Desk,
    code: str,
    kind: str,
    *,
    host: str = "",
    port: int = 22,
    username: str = "",
    host_keys: Sequence[str] = (),
    root: Path | None = None,
    to_agency: str = "to_agency",
    from_agency: str = "from_agency",
    stated: Iterable[str] = (),
    renames: bool = True,
) -> dict[str, Any]:
    """The agency is reached so from now on; returns its drop. stated: limits of its own, `name=value`.

    Raises UsageError where something is missing, and what `set_drop` raises.
    """
    settings: dict[str, Any] = {"kind": kind, "to_agency": to_agency, "from_agency": from_agency} | limits(stated)
    if not renames:
        settings["renames"] = False
    if kind == "sftp":
        pinned = any(one["state"] in {"valid", "pending"} for one in hostkeys.listed(desk, code))
        if not (host and username and (host_keys or pinned)):
            message = "an SFTP drop needs a host, a user name and a host key"
            raise UsageError(message, fix="ask the agency for its host key and compare the fingerprint by telephone")
        settings |= {"host": host, "port": port, "username": username}
        if host_keys:
            settings["host_keys"] = list(host_keys)
    elif root is not None:
        settings["root"] = str(root.resolve())
    else:
        message = "a folder drop needs its root"
        raise UsageError(message, fix="name the folder that both sides reach")
    set_drop(desk, code, settings)
    return settings


def limits(stated: Iterable[str]) -> dict[str, float | int]:
    """Limits as `name=value` says them. Raises UsageError for a name that is none, or a value that is not above 0."""
    found: dict[str, float | int] = {}
    for one in stated:
        name, _, value = one.partition("=")
        try:
            found[name] = LIMITS[name](value)
        except (KeyError, ValueError):
            found[name] = 0
        if not 0 < found[name] < float("inf"):
            message = f"{one!r} is no limit of a drop"
            raise UsageError(message, fix=f"name=value with a value above 0; names: {', '.join(LIMITS)}")
    return found


def trust(desk: Desk, code: str, encrypt: str, verify: str) -> dict[str, str]:
    """The agency's public keys are pinned; returns their fingerprints, to be compared with the agency's own.

    Raises RefusedByPolicy where the agency is live and a second person must approve it (infra/rotation.py).
    """
    with desk.database.read() as connection:
        row = exchange.agency(connection, code)
    if hostkeys.needs_two(desk, row):
        message = f"{code} is {row.state}: a second person approves its keys"
        raise RefusedByPolicy(message, fix=f"`consign agency keys trust {code}` asks for it")
    now = desk.now()
    prints = desk.keyring.trust(
        code, row.suite, encrypt=encrypt, verify=verify, now=now, valid_days=desk.settings.own_key_days
    )
    with desk.database.write() as connection:
        audit.record(connection, desk.actor, "agency.trusted", code, {"fingerprint": prints["verify"]}, now)
    return prints


def contract(desk: Desk, code: str, lender: str, terms: str, effective_from: date, share: float | None = None) -> bool:
    """The contract is in force from that day; True where it is new, False where the same terms were there.

    Raises ContractFault for terms that cannot be read, RefusedByPolicy where other terms begin on that day already.
    """
    Contract.parse(terms)
    digest = hashlib.sha256(terms.encode()).hexdigest()
    with desk.database.write() as connection:
        exchange.agency(connection, code)
        exchange.lender_timezone(connection, lender)
        known = connection.execute(
            select(CONTRACTS.c.sha256).where(
                CONTRACTS.c.agency == code, CONTRACTS.c.lender == lender, CONTRACTS.c.effective_from == effective_from
            )
        ).scalar_one_or_none()
        if known == digest:
            return False
        if known is None and hostkeys.needs_two(desk, exchange.agency(connection, code)):
            message = f"{code} holds accounts: a second person approves what is agreed with it"
            raise RefusedByPolicy(message, fix=f"`consign contract propose {code}` puts the terms up")
        if known is not None:
            message = f"{code} and {lender} already have a contract from {effective_from}"
            raise RefusedByPolicy(message, fix="give the new terms a later day: what was agreed stays on the books")
        connection.execute(
            insert(CONTRACTS).values(
                agency=code, lender=lender, effective_from=effective_from, terms=terms, sha256=digest,
                created_by=desk.actor, created_at=desk.now(), share=share,
            )
        )  # fmt: skip
        audit.record(connection, desk.actor, "agency.contract", code, {"lender": lender, "sha256": digest}, desk.now())
    return True


def become(desk: Desk, code: str, state: str) -> None:
    """The agency moves on in its life (models/lives.AGENCY). Raises IllegalMove where it does not lead there.

    Raises NotCertified where it would begin to work without a certificate that its contract needs.
    """
    with desk.database.write() as connection:
        row = exchange.agency(connection, code)
        moved(f"agency {code}", row.state, state, AGENCY)
        certificates.require(connection, desk, code, state)
        connection.execute(update(exchange.AGENCIES).where(exchange.AGENCIES.c.agency == code).values(state=state))
        audit.record(connection, desk.actor, "agency.state", code, {"state": state}, desk.now())
