"""A person asks whom an account belongs to: with a reason, within a limit, on record before anything is opened.

Each question counts, found or not: a limit on answers alone would let somebody try numbers. What is shown is opened for
that one answer and kept nowhere.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import insert, select, update

from infra import audit, exceptions, roles
from infra.indexes import ref_index
from infra.store import bulk, trail
from keys.errors import ForgedPseudonym
from keys.reidentify import Reidentifier
from models.errors import RefusedByPolicy, UsageError
from models.tables import Account, Agency, Identity, Reidentification

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from infra.wiring import Desk

ASKED: Final = bulk.table_of(Reidentification)
ACCOUNTS: Final = bulk.table_of(Account)
AGENCIES: Final = bulk.table_of(Agency)
IDENTITIES: Final = bulk.table_of(Identity)
FIELDS: Final = (
    "account_ref", "name", "id_number", "phone", "phone_alt", "email", "address", "employer", "contact_name",
    "contact_phone",
)  # fmt: skip
WHY_AT_LEAST: Final = 10
PSEUDONYM_LETTERS: Final = 27
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_TAIL: Final = 4
_STARS: Final = "****"


class TooManyAsked(RefusedByPolicy):
    """The actor has asked as often as the limit allows; `again_at` is when the next question may be asked."""

    def __init__(self, message: str, *, again_at: datetime, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.again_at = again_at


def show(
    desk: Desk,
    who: str,
    fields: Sequence[str],
    why: str,
    *,
    agency: str | None = None,
    lender: str | None = None,
    whole: bool = False,
) -> dict[str, str | None]:
    """The fields of the account's identity, masked unless `whole`; None where the lender gave none.

    who: a pseudonym of the agency's, or the account number of the lender's; one of the two is named.
    Raises UsageError for an unknown field, a reason that says nothing, or an account that nobody knows;
    RoleMissing for who is not of compliance; TooManyAsked beyond the limit, with an exception for compliance;
    KeyDestroyed for a portfolio that was erased.
    """
    if (agency is None) == (lender is None):
        raise UsageError("whose account?", fix="--agency for a pseudonym, --lender for an account number")
    unknown = [name for name in fields if name not in FIELDS]
    if unknown or not fields:
        raise UsageError(f"no such field: {', '.join(unknown) or 'none was named'}", fix=f"one of {', '.join(FIELDS)}")
    if len(why.strip()) < WHY_AT_LEAST:
        raise UsageError("the reason says nothing", fix="say in a sentence why you must know who it is")
    number = _admitted(desk, fields, why.strip(), agency=agency, whole=whole)
    account_id = _account_of(desk, who, agency=agency, lender=lender)
    with desk.database.write() as connection:
        row = None
        if account_id is not None:
            row = connection.execute(
                select(IDENTITIES.c.data_key_id, *(IDENTITIES.c[name] for name in fields)).where(
                    IDENTITIES.c.account_id == account_id
                )
            ).one_or_none()
        outcome = "unknown" if row is None else "shown"
        connection.execute(
            update(ASKED).where(ASKED.c.reidentification_id == number).values(outcome=outcome, account_id=account_id)
        )
        subject = f"account:{account_id}" if row is not None else f"reidentification:{number}"
        told: dict[str, audit.Value] = {
            "id": number, "fields": ",".join(fields), "result": "whole" if whole else "masked",
            "reason_sha256": _digest(why.strip()), "agency": agency, "lender": lender,
        }  # fmt: skip
        audit.record(connection, desk.actor, f"identity.{outcome}", subject, told, desk.now())
    if row is None or account_id is None:
        raise UsageError(
            "nobody is known by that", fix="copy it whole; an account that was erased has no identity any more"
        )
    cells = {name: row._mapping[name] for name in fields}  # noqa: SLF001 - SQLAlchemy's public name for it
    opened = Reidentifier(desk.keyring).fields_of(str(row.data_key_id), account_id, cells)
    return opened if whole else {name: None if text is None else masked(name, text) for name, text in opened.items()}


def opened_for_subject(desk: Desk, account_ids: Sequence[int], why: str) -> list[dict[str, Any]]:
    """What the identities of one debtor's accounts say, whole: what the debtor may have a copy of, by law.

    One question within the limit, on record as `show` puts it. An account without an identity is left out.
    Raises RoleMissing and TooManyAsked as `show` does.
    """
    number = _admitted(desk, FIELDS, why, agency=None, whole=True)
    ring, found = Reidentifier(desk.keyring), []
    with desk.database.write() as connection:
        rows = connection.execute(
            select(IDENTITIES.c.account_id, IDENTITIES.c.data_key_id, *(IDENTITIES.c[name] for name in FIELDS))
            .where(IDENTITIES.c.account_id.in_(account_ids))
            .order_by(IDENTITIES.c.account_id)
        ).all()
        outcome = "shown" if rows else "unknown"
        connection.execute(update(ASKED).where(ASKED.c.reidentification_id == number).values(outcome=outcome))
        told: dict[str, audit.Value] = {
            "id": number, "accounts": [int(row.account_id) for row in rows][: audit.LIST_AT_MOST], "result": "whole",
            "reason_sha256": _digest(why),
        }  # fmt: skip
        audit.record(connection, desk.actor, f"identity.{outcome}", f"reidentification:{number}", told, desk.now())
    for row in rows:  # one person's accounts
        cells = {name: row._mapping[name] for name in FIELDS}  # noqa: SLF001 - SQLAlchemy's public name for it
        opened = ring.fields_of(str(row.data_key_id), int(row.account_id), cells)
        found.append({"account_id": int(row.account_id), **opened})
    return found


def accounts_named(desk: Desk, text: str) -> tuple[int, ...]:
    """Our numbers of the accounts that some agency knows by this pseudonym: nothing is opened, and nobody named.

    Empty for what is no pseudonym, for one of a key that is revoked, and where there is no keyring.
    """
    text = text.strip()
    if len(text) != PSEUDONYM_LETTERS or not desk.settings.keyring_path.exists():
        return ()
    with desk.database.read() as connection:
        agencies = connection.execute(select(AGENCIES.c.agency)).scalars().all()
    ring, asked, found = Reidentifier(desk.keyring), pd.Series([text], dtype="str"), set()
    for agency in agencies:
        accounts, ok = ring.accounts_of(agency, asked)
        if ok[0]:
            found.add(int(accounts[0]))
    return tuple(sorted(found))


def masked(field: str, text: str) -> str:
    """What is shown unless the whole is asked for: a name's first letter, else the last four of eight or more."""
    if field in {"name", "contact_name"}:
        return text[:1] + "**" if len(text) > 1 else "**"
    return _STARS + (text[-_TAIL:] if len(text) >= 2 * _TAIL and field not in {"address", "employer", "email"} else "")


def asked(desk: Desk, actor: str | None = None) -> list[dict[str, Any]]:
    """Every question, the newest first, of that actor or of all; no answer was kept."""
    where = () if actor is None else (ASKED.c.actor == actor,)
    with desk.database.read() as connection:
        rows = connection.execute(select(ASKED).where(*where).order_by(ASKED.c.reidentification_id.desc())).all()
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def _admitted(desk: Desk, fields: Sequence[str], why: str, *, agency: str | None, whole: bool) -> int:
    """The question's number, once it is on record and within the limits; raises RoleMissing, TooManyAsked."""
    now = desk.now()
    given = {"actor": desk.actor, "asked_at": now, "why": why, "fields": ",".join(fields), "whole": whole}
    with desk.database.write() as connection:
        trail.hold(connection)  # two questions at once do not both take the last place
        missing = roles.refusal(connection, desk, "compliance")
        again_at = _again_at(connection, desk, now) if missing is None else None
        outcome = "asked" if again_at is None and missing is None else "refused"
        number: int = connection.execute(
            insert(ASKED).values(**given, agency=agency, outcome=outcome).returning(ASKED.c.reidentification_id)
        ).scalar_one()
        if again_at is not None:
            exceptions.open_exception(
                connection, desk, "reidentification_excess", agency=None, subject=f"actor:{desk.actor}",
                detail={"id": number, "until": again_at.isoformat(timespec="seconds")},
            )  # fmt: skip
        if outcome == "refused":
            audit.record(
                connection, desk.actor, "identity.refused", f"reidentification:{number}",
                {"id": number, "fields": ",".join(fields), "reason_sha256": _digest(why)}, now,
            )  # fmt: skip
    if missing is not None:
        raise missing
    if again_at is not None:
        raise TooManyAsked(
            f"{desk.actor} has asked as often as is allowed: {desk.settings.reidentify_per_hour} in an hour, "
            f"{desk.settings.reidentify_per_day} in a day",
            again_at=again_at,
            fix=f"ask again after {again_at.isoformat(timespec='seconds')}; compliance was told",
        )
    return number


def _again_at(connection: Connection, desk: Desk, now: datetime) -> datetime | None:
    """When the actor may ask again; None for now."""
    times = list(
        connection.execute(
            select(ASKED.c.asked_at)
            .where(ASKED.c.actor == desk.actor, ASKED.c.outcome != "refused", ASKED.c.asked_at > now - DAY)
            .order_by(ASKED.c.asked_at)
        ).scalars()
    )
    full = []
    for span, limit in ((HOUR, desk.settings.reidentify_per_hour), (DAY, desk.settings.reidentify_per_day)):
        within = [at for at in times if at > now - span]
        if len(within) >= limit:
            full.append(within[len(within) - limit] + span)
    return max(full, default=None)


def _account_of(desk: Desk, who: str, *, agency: str | None, lender: str | None) -> int | None:
    if agency is not None:
        try:
            return Reidentifier(desk.keyring).account_of(agency, who.strip())
        except ForgedPseudonym:
            return None
    index = str(ref_index(desk.keyring, pd.Series([who], dtype="str"))[0])
    with desk.database.read() as connection:
        found = connection.execute(
            select(ACCOUNTS.c.account_id).where(ACCOUNTS.c.lender == lender, ACCOUNTS.c.ref_index == index)
        ).scalar_one_or_none()
    return None if found is None else int(found)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
