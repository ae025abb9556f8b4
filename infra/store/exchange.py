"""The rows of the outbox and the inbox, and the placements they speak of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, Row, and_, case, delete, exists, func, insert, literal, or_, select, text, update

from infra.store import bulk, layouts
from models.errors import ConfigurationError, UsageError
from models.lives import TRANSMISSION, moved
from models.tables import (
    Agency,
    AgencyContract,
    Correction,
    Disclosure,
    DisclosureAccount,
    Erasure,
    InboundFile,
    Lease,
    Lender,
    Placement,
    Recall,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TRANSMISSIONS = bulk.table_of(Transmission)
PLACEMENTS = bulk.table_of(Placement)
MEMBERS = bulk.table_of(DisclosureAccount)
FILES = bulk.table_of(InboundFile)
AGENCIES = bulk.table_of(Agency)
RECALLS = bulk.table_of(Recall)
ERASURES = bulk.table_of(Erasure)
DISCLOSURES = bulk.table_of(Disclosure)
LEASES = bulk.table_of(Lease)
LENDERS = bulk.table_of(Lender)
CONTRACTS = bulk.table_of(AgencyContract)
CORRECTIONS = bulk.table_of(Correction)

NO_DROP = "{}"
TURN = 0x65786368616E6765  # "exchange"

FIRST_OUT = (
    "recall", "erasure_request", "update", "plan_answer", "placement", "correction", "statement", "invoice_answer",
    "receipt", "certification",
)  # fmt: skip
"""A recall that waits behind a placement is a debtor chased after paying; a correction follows what it corrects."""
UNANSWERED = ("update", "statement", "invoice_answer", "plan_answer", "receipt", "certification", "key_announcement")
"""Kinds that no file of the agency's answers."""
AT_AGENCY = ("placed", "acknowledged", "recalled")


@dataclass(frozen=True)
class Work:
    """What a transmission is to carry; the same `work_key` never makes two."""

    work_key: str
    lender: str
    agency: str
    kind: str
    day: date
    suffix: str
    spec: Mapping[str, Any]


def agency(connection: Connection, code: str) -> Row[Any]:
    """The agency's row. Raises UsageError where there is none."""
    row = connection.execute(select(AGENCIES).where(AGENCIES.c.agency == code)).one_or_none()
    if row is None:
        known = ", ".join(connection.execute(select(AGENCIES.c.agency).order_by(AGENCIES.c.agency)).scalars())
        message = f"no agency {code}"
        raise UsageError(message, fix=f"known: {known or 'none yet; add one with `consign agency add`'}")
    return row


def agencies(connection: Connection) -> list[str]:
    """Codes of every agency that can be reached and has not been closed, in order."""
    return list(
        connection.execute(
            select(AGENCIES.c.agency)
            .where(AGENCIES.c.state != "closed", AGENCIES.c.drop != NO_DROP)
            .order_by(AGENCIES.c.agency)
        ).scalars()
    )


def lenders(connection: Connection) -> list[tuple[str, str]]:
    """Code and zone of every lender, in order of code."""
    rows = connection.execute(select(LENDERS.c.lender, LENDERS.c.timezone).order_by(LENDERS.c.lender))
    return [(str(row.lender), str(row.timezone)) for row in rows]


def lender_under_contract(connection: Connection, agency_code: str) -> str | None:
    """A lender that the agency has a contract with: who answers where a file names none. None where there is none."""
    found: str | None = connection.execute(
        select(func.min(CONTRACTS.c.lender)).where(CONTRACTS.c.agency == agency_code)
    ).scalar_one()
    return found


def lender_exists(connection: Connection, code: str) -> bool:
    """True where a lender has this code."""
    return connection.execute(select(LENDERS.c.lender).where(LENDERS.c.lender == code)).first() is not None


def lender_timezone(connection: Connection, code: str) -> str:
    """The lender's zone. Raises ConfigurationError where there is no such lender."""
    zone = connection.execute(select(LENDERS.c.timezone).where(LENDERS.c.lender == code)).scalar_one_or_none()
    if zone is None:
        message = f"no lender {code}"
        raise ConfigurationError(message, fix="add it with `consign portfolio lender add`")
    return str(zone)


def lender_name(connection: Connection, code: str) -> str:
    """What the lender is called; empty where there is none of the code."""
    return str(connection.execute(select(LENDERS.c.name).where(LENDERS.c.lender == code)).scalar_one_or_none() or "")


# -- outbox ------------------------------------------------------------------------------------------------------------


def take_turn(connection: Connection) -> None:
    """Until this transaction ends nobody else prepares files or takes files in; SQLite's writers are alone anyway.

    Sequence numbers stay without gaps or repeats, nothing is placed, recalled or accepted twice, and two transactions
    that need each other's placements and counters cannot wait for each other.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": TURN})


def prepare(connection: Connection, work: Work) -> tuple[int, bool]:
    """The transmission for this work, and whether it is new; its number is the next of its line, without gaps."""
    take_turn(connection)
    known = connection.execute(
        select(TRANSMISSIONS.c.transmission_id).where(TRANSMISSIONS.c.work_key == work.work_key)
    ).scalar_one_or_none()
    if known is not None:
        return int(known), False
    line = and_(
        TRANSMISSIONS.c.lender == work.lender, TRANSMISSIONS.c.agency == work.agency, TRANSMISSIONS.c.kind == work.kind
    )
    last = connection.execute(select(func.max(TRANSMISSIONS.c.sequence)).where(line)).scalar_one()
    sequence = (last or 0) + 1
    transmission_id = bulk.reserve(connection, "transmission", 1)
    name, layout = layouts.named(connection, work.lender, work.agency, work.kind, work.day, sequence, work.suffix)
    connection.execute(
        insert(TRANSMISSIONS).values(
            transmission_id=transmission_id,
            work_key=work.work_key,
            lender=work.lender,
            agency=work.agency,
            kind=work.kind,
            sequence=sequence,
            name=name,
            layout=layout,
            state="prepared",
            prepared_on=work.day,
            spec=json.dumps(dict(work.spec), sort_keys=True),
            rows=0,
            attempts=0,
        )
    )
    return transmission_id, True


def transmission(connection: Connection, transmission_id: int) -> Row[Any]:
    """The transmission's row."""
    return connection.execute(select(TRANSMISSIONS).where(TRANSMISSIONS.c.transmission_id == transmission_id)).one()


def transmissions_named(
    connection: Connection, agency_code: str, lender: str, names: Sequence[str] | pd.Series
) -> pd.DataFrame:
    """What of ours has these names with this agency: name, transmission_id."""
    return bulk.read(
        connection,
        select(TRANSMISSIONS.c.name, TRANSMISSIONS.c.transmission_id).where(
            TRANSMISSIONS.c.agency == agency_code,
            TRANSMISSIONS.c.lender == lender,
            TRANSMISSIONS.c.name.in_(sorted(set(names))),
        ),
    )


def pending(connection: Connection, agency_code: str) -> list[int]:
    """Transmissions of this agency that are not delivered yet, in the order they must go."""
    order = case(
        {kind: place for place, kind in enumerate(FIRST_OUT)}, value=TRANSMISSIONS.c.kind, else_=len(FIRST_OUT)
    )
    return list(
        connection.execute(
            select(TRANSMISSIONS.c.transmission_id)
            .where(TRANSMISSIONS.c.agency == agency_code, TRANSMISSIONS.c.state.in_(("prepared", "sealed")))
            .order_by(order, TRANSMISSIONS.c.lender, TRANSMISSIONS.c.sequence)
        ).scalars()
    )


def agencies_with_pending(connection: Connection) -> list[str]:
    """Agencies for whom something waits."""
    return list(
        connection.execute(
            select(TRANSMISSIONS.c.agency)
            .where(TRANSMISSIONS.c.state.in_(("prepared", "sealed")))
            .distinct()
            .order_by(TRANSMISSIONS.c.agency)
        ).scalars()
    )


def previous_sha256(connection: Connection, row: Row[Any]) -> str | None:
    """Hash of the sealed file before this one in its line; None for the first."""
    return connection.execute(
        select(TRANSMISSIONS.c.sealed_sha256).where(
            TRANSMISSIONS.c.lender == row.lender,
            TRANSMISSIONS.c.agency == row.agency,
            TRANSMISSIONS.c.kind == row.kind,
            TRANSMISSIONS.c.sequence == row.sequence - 1,
        )
    ).scalar_one_or_none()


def lease(
    connection: Connection, name: str, owner: str, now: datetime, seconds: float, is_dead: Callable[[str], bool]
) -> bool:
    """True where this worker alone may do what `name` says until the lease ends.

    A lease runs out, and counts no more where `is_dead` says that its owner is gone. One that ends later than any lease
    begun now comes from a clock that ran ahead: it is cut to what a lease is, lest a dead machine holds it for years.
    """
    until = now + timedelta(seconds=seconds)
    insert_ = _inserting(connection)(LEASES).values(name=name, owner=owner, until=until)
    if connection.execute(insert_.on_conflict_do_nothing().returning(LEASES.c.name)).first() is not None:
        return True
    held = connection.execute(select(LEASES).where(LEASES.c.name == name).with_for_update()).one_or_none()
    if held is None:  # released since: whoever comes next may have it
        return False
    if held.owner != owner and held.until > now and not is_dead(held.owner):
        if held.until > until:
            connection.execute(update(LEASES).where(LEASES.c.name == name).values(until=until))
        return False
    connection.execute(update(LEASES).where(LEASES.c.name == name).values(owner=owner, until=until))
    return True


def extend_lease(connection: Connection, name: str, owner: str, until: datetime) -> bool:
    """The lease lasts until then; False where it is no longer this worker's."""
    mine = and_(LEASES.c.name == name, LEASES.c.owner == owner)
    return connection.execute(update(LEASES).where(mine).values(until=until)).rowcount == 1


def holds_lease(connection: Connection, name: str, owner: str) -> bool:
    """True where the lease is this worker's, and stays so until the transaction ends."""
    mine = select(LEASES.c.name).where(LEASES.c.name == name, LEASES.c.owner == owner)
    return connection.execute(mine.with_for_update()).first() is not None


def _inserting(connection: Connection) -> Any:
    """The `INSERT … ON CONFLICT` of the store's dialect."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as for_sqlite

        return for_sqlite
    from sqlalchemy.dialects.postgresql import insert as for_postgresql

    return for_postgresql


def release_lease(connection: Connection, name: str, owner: str) -> None:
    """The worker is done."""
    connection.execute(delete(LEASES).where(LEASES.c.name == name, LEASES.c.owner == owner))


def advance(connection: Connection, transmission_id: int, to: str, **columns: Any) -> None:
    """The transmission moves on; raises IllegalMove where its life does not lead there."""
    here = transmission_to_move(connection, transmission_id)
    state = moved(f"transmission {here.name}", here.state, to, TRANSMISSION)
    connection.execute(
        update(TRANSMISSIONS).where(TRANSMISSIONS.c.transmission_id == transmission_id).values(state=state, **columns)
    )


def unseal(connection: Connection, transmission_id: int) -> None:
    """The transmission is to be sealed anew: what was sealed tells nobody anything. Raises IllegalMove once it left."""
    advance(connection, transmission_id, "prepared", sealed_path=None, sealed_sha256=None, key_ids=None)
    connection.execute(delete(DISCLOSURES).where(DISCLOSURES.c.transmission_id == transmission_id))


def transmission_to_move(connection: Connection, transmission_id: int) -> Row[Any]:
    """The transmission's row as it stands, and as it stays until this transaction ends."""
    here = select(TRANSMISSIONS).where(TRANSMISSIONS.c.transmission_id == transmission_id)
    return connection.execute(here.with_for_update()).one()


def note(connection: Connection, transmission_id: int, **columns: Any) -> None:
    """Columns of a transmission that do not change its state."""
    connection.execute(
        update(TRANSMISSIONS).where(TRANSMISSIONS.c.transmission_id == transmission_id).values(**columns)
    )


def members_from_placements(connection: Connection, transmission_id: int, where: Any) -> None:
    """The placements that satisfy `where` become the transmission's rows."""
    chosen = select(literal(transmission_id), PLACEMENTS.c.account_id, PLACEMENTS.c.placement_id).where(where)
    connection.execute(insert(MEMBERS).from_select(["transmission_id", "account_id", "placement_id"], chosen))


def delivered(connection: Connection, row: Row[Any], *, state: str, at: datetime) -> None:
    """The file is with the agency (or presumed to be): it and what it spoke of move on."""
    advance(connection, row.transmission_id, state, delivered_at=at, last_error=None)
    if row.kind == "placement":
        connection.execute(
            update(PLACEMENTS)
            .where(PLACEMENTS.c.transmission_id == row.transmission_id, PLACEMENTS.c.state == "planned")
            .values(state="placed", told_minor=PLACEMENTS.c.balance_minor)
        )


def proved_delivered(
    connection: Connection, agency_code: str, account_ids: Sequence[int] | pd.Series
) -> list[Row[Any]]:
    """Transmissions that must be with the agency, for it speaks of accounts that only they told it of.

    Their intent to publish is recorded and no more: the run that published them was killed before it could say so.
    """
    wanted = pd.DataFrame({"account_id": pd.Series(account_ids, dtype="int64").drop_duplicates()})
    with bulk.staged(connection, PLACEMENTS, wanted) as stage:
        spoken_of = (
            select(PLACEMENTS.c.transmission_id)
            .join(stage, stage.c.account_id == PLACEMENTS.c.account_id)
            .where(PLACEMENTS.c.agency == agency_code, PLACEMENTS.c.state == "planned")
        )
        return list(
            connection.execute(
                select(TRANSMISSIONS).where(
                    TRANSMISSIONS.c.transmission_id.in_(spoken_of),
                    TRANSMISSIONS.c.state == "sealed",
                    TRANSMISSIONS.c.intent_at.is_not(None),
                )
            )
        )


def sealed_to_let_go(connection: Connection, before: datetime) -> list[Row[Any]]:
    """Transmissions whose sealed bytes nobody needs: acknowledged, or of a kind without answer and sent before then."""
    answered = TRANSMISSIONS.c.state == "acknowledged"
    unanswerable = and_(
        TRANSMISSIONS.c.kind.in_(UNANSWERED),
        TRANSMISSIONS.c.state.in_(("delivered", "presumed")),
        TRANSMISSIONS.c.delivered_at < before,
    )
    return list(
        connection.execute(
            select(TRANSMISSIONS)
            .where(TRANSMISSIONS.c.sealed_path.is_not(None), or_(answered, unanswerable))
            .order_by(TRANSMISSIONS.c.transmission_id)
        )
    )


def settle_acknowledged(connection: Connection, agency_code: str, at: datetime) -> int:
    """Transmissions whose every row the agency has answered are acknowledged. Returns how many."""
    mine = and_(TRANSMISSIONS.c.agency == agency_code, TRANSMISSIONS.c.state.in_(("delivered", "presumed")))
    unanswered_placement = exists().where(
        PLACEMENTS.c.transmission_id == TRANSMISSIONS.c.transmission_id, PLACEMENTS.c.state.in_(("planned", "placed"))
    )
    # by what the file named: a recall may have been sent again, as the answer to an objection
    unconfirmed_recall = exists().where(
        MEMBERS.c.transmission_id == TRANSMISSIONS.c.transmission_id,
        RECALLS.c.placement_id == MEMBERS.c.placement_id,
        RECALLS.c.confirmed_on.is_(None),
    )
    uncertified_erasure = exists().where(
        ERASURES.c.transmission_id == TRANSMISSIONS.c.transmission_id, ERASURES.c.verified_at.is_(None)
    )
    unconfirmed_correction = exists().where(
        CORRECTIONS.c.transmission_id == TRANSMISSIONS.c.transmission_id, CORRECTIONS.c.state == "told"
    )
    answered = or_(
        and_(TRANSMISSIONS.c.kind == "correction", ~unconfirmed_correction),
        and_(TRANSMISSIONS.c.kind == "placement", ~unanswered_placement),
        and_(TRANSMISSIONS.c.kind == "recall", ~unconfirmed_recall),
        and_(TRANSMISSIONS.c.kind == "erasure_request", ~uncertified_erasure),
    )
    return connection.execute(
        update(TRANSMISSIONS).where(mine, answered).values(state="acknowledged", acknowledged_at=at)
    ).rowcount


# -- placements --------------------------------------------------------------------------------------------------------


def placements_of(connection: Connection, agency_code: str, account_ids: Sequence[int] | pd.Series) -> pd.DataFrame:
    """The newest placement at this agency of each account that ever had one there.

    Columns: account_id, placement_id, lender, debtor_id, state, currency, balance_minor, placed_on, due_back_on,
    ended_on.
    """
    wanted = pd.DataFrame({"account_id": pd.Series(account_ids, dtype="int64").drop_duplicates()})
    columns = (
        "account_id", "placement_id", "lender", "debtor_id", "state", "currency", "balance_minor", "placed_on",
        "due_back_on", "ended_on",
    )  # fmt: skip
    with bulk.staged(connection, PLACEMENTS, wanted) as stage:
        newest = (
            select(func.max(PLACEMENTS.c.placement_id).label("placement_id"))
            .join(stage, stage.c.account_id == PLACEMENTS.c.account_id)
            .where(PLACEMENTS.c.agency == agency_code, PLACEMENTS.c.state != "planned")
            .group_by(PLACEMENTS.c.account_id)
            .subquery()
        )
        return bulk.read(
            connection,
            select(*(PLACEMENTS.c[name] for name in columns)).join(
                newest, newest.c.placement_id == PLACEMENTS.c.placement_id
            ),
        )


def erasures_of(connection: Connection, agency_code: str, account_ids: Sequence[int] | pd.Series) -> pd.DataFrame:
    """What this agency was asked to erase of these accounts: account_id, placement_id, requested_on, verified_at."""
    wanted = pd.DataFrame({"account_id": pd.Series(account_ids, dtype="int64").drop_duplicates()})
    with bulk.staged(connection, PLACEMENTS, wanted) as stage:
        return bulk.read(
            connection,
            select(PLACEMENTS.c.account_id, ERASURES.c.placement_id, ERASURES.c.requested_on, ERASURES.c.verified_at)
            .join(PLACEMENTS, PLACEMENTS.c.placement_id == ERASURES.c.placement_id)
            .join(stage, stage.c.account_id == PLACEMENTS.c.account_id)
            .where(PLACEMENTS.c.agency == agency_code)
            .order_by(ERASURES.c.placement_id),
        )


# -- inbox -------------------------------------------------------------------------------------------------------------


def inbound(connection: Connection, file_id: int) -> Row[Any]:
    """The inbound file's row."""
    return connection.execute(select(FILES).where(FILES.c.file_id == file_id)).one()


def inbound_by_hash(connection: Connection, agency_code: str, sealed_sha256: str) -> Row[Any] | None:
    """The row of these very bytes from this agency, if they came before."""
    return connection.execute(
        select(FILES).where(FILES.c.agency == agency_code, FILES.c.sealed_sha256 == sealed_sha256)
    ).one_or_none()


def note_inbound(connection: Connection, file_id: int, **columns: Any) -> None:
    """Columns of an inbound file."""
    connection.execute(update(FILES).where(FILES.c.file_id == file_id).values(**columns))


def unfinished_inbound(connection: Connection, agency_code: str) -> list[int]:
    """Files that were fetched and not yet accepted or refused: a killed run's."""
    return list(
        connection.execute(
            select(FILES.c.file_id)
            .where(FILES.c.agency == agency_code, FILES.c.state.in_(("claimed", "opened")))
            .order_by(FILES.c.file_id)
        ).scalars()
    )


def last_sequence(connection: Connection, lender: str, agency_code: str, kind: str) -> int:
    """The highest sequence number accepted from this agency for this lender and kind; 0 for none."""
    highest = connection.execute(
        select(func.max(FILES.c.sequence)).where(
            FILES.c.lender == lender, FILES.c.agency == agency_code, FILES.c.kind == kind, FILES.c.state == "accepted"
        )
    ).scalar_one()
    return int(highest or 0)


def sequence_taken(connection: Connection, lender: str, agency_code: str, kind: str, sequence: int) -> bool:
    """True where a file with this number was accepted."""
    return (
        connection.execute(
            select(FILES.c.file_id).where(
                FILES.c.lender == lender,
                FILES.c.agency == agency_code,
                FILES.c.kind == kind,
                FILES.c.sequence == sequence,
                FILES.c.state == "accepted",
            )
        ).first()
        is not None
    )


def package_taken(connection: Connection, agency_code: str, package_sha256: str) -> bool:
    """True where the same package was accepted, under whatever name and seal."""
    return (
        connection.execute(
            select(FILES.c.file_id).where(
                FILES.c.agency == agency_code, FILES.c.package_sha256 == package_sha256, FILES.c.state == "accepted"
            )
        ).first()
        is not None
    )
