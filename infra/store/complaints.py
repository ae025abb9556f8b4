"""The register of complaints: who complained about whom, by when it is answered, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, and_, func, or_, select, update

from infra.store import bulk, placing
from infra.store.conduct import PLACEMENTS
from infra.store.gates import COMPLAINTS
from models.errors import UsageError
from models.tables import Hold

if TYPE_CHECKING:
    from datetime import date


def complaint(connection: Connection, complaint_id: int) -> Any:
    """The complaint's row. Raises UsageError where there is none."""
    row = connection.execute(select(COMPLAINTS).where(COMPLAINTS.c.complaint_id == complaint_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no complaint {complaint_id}", fix="`consign complaint list` shows them")
    return row


def add(connection: Connection, frame: pd.DataFrame) -> pd.DataFrame:
    """Those of the complaints whose reference the agency's register did not hold are in it now; they are returned.

    frame: `agency`, `complaint_ref`, `lender`, `placement_id` (or missing), `received_on`, `category`, `severity`,
    `source`, `due_on`, and `debtor_id` (or missing): the debtor is on hold from the day on which the complaint came.
    """
    agencies = frame["agency"].unique().tolist()
    known = bulk.read(
        connection,
        select(COMPLAINTS.c.agency, COMPLAINTS.c.complaint_ref).where(COMPLAINTS.c.agency.in_(agencies)),
    )
    frame = frame.drop_duplicates(["agency", "complaint_ref"])
    keys = pd.MultiIndex.from_frame(frame[["agency", "complaint_ref"]])
    new = frame[~keys.isin(pd.MultiIndex.from_frame(known))].reset_index(drop=True)
    bulk.append(connection, COMPLAINTS, new.drop(columns=["debtor_id", "placed_by"]))
    named = new[new["debtor_id"].notna()].sort_values("received_on").drop_duplicates("debtor_id")
    asked = named[["debtor_id", "received_on", "placed_by"]].rename(columns={"received_on": "since"})
    asked = asked.astype({"debtor_id": "int64"}).assign(reason="complaint")
    if len(asked):
        bulk.append(connection, Hold, placing.not_yet_held(connection, asked))
    return new


def numbers(connection: Connection, frame: pd.DataFrame) -> list[int]:
    """The numbers of the complaints under these references (`agency`, `complaint_ref`), in rising order."""
    if frame.empty:
        return []
    with bulk.staged(connection, COMPLAINTS, frame[["agency", "complaint_ref"]]) as stage:
        same = and_(COMPLAINTS.c.agency == stage.c.agency, COMPLAINTS.c.complaint_ref == stage.c.complaint_ref)
        statement = select(COMPLAINTS.c.complaint_id).join(stage, same).order_by(COMPLAINTS.c.complaint_id)
        return [int(number) for number in connection.execute(statement).scalars()]


def newest_placement(connection: Connection, agency: str, account_id: int) -> tuple[int, int] | None:
    """The account's newest placement at the agency and its debtor; None where it was never there."""
    row = connection.execute(
        select(PLACEMENTS.c.placement_id, PLACEMENTS.c.debtor_id)
        .where(PLACEMENTS.c.agency == agency, PLACEMENTS.c.account_id == account_id, PLACEMENTS.c.state != "planned")
        .order_by(PLACEMENTS.c.placement_id.desc())
        .limit(1)
    ).first()
    return None if row is None else (int(row.placement_id), int(row.debtor_id))


def change(connection: Connection, complaint_id: int, here: str, **columns: Any) -> bool:
    """Columns of the complaint change, if it is still in that state."""
    done = connection.execute(
        update(COMPLAINTS)
        .where(COMPLAINTS.c.complaint_id == complaint_id, COMPLAINTS.c.state == here)
        .values(**columns)
    )
    return bool(done.rowcount)


def listed(
    connection: Connection,
    *,
    agency: str | None = None,
    lender: str | None = None,
    owner: str | None = None,
    overdue_on: date | None = None,
    closed: bool = False,
    limit: int = 500,
) -> pd.DataFrame:
    """Complaints, those due first in front. `overdue_on`: those that should have been answered before that day."""
    statement = select(COMPLAINTS)
    for column, wanted in (
        (COMPLAINTS.c.agency, agency), (COMPLAINTS.c.lender, lender), (COMPLAINTS.c.owner, owner)
    ):  # fmt: skip
        if wanted is not None:
            statement = statement.where(column == wanted)
    if not closed:
        statement = statement.where(COMPLAINTS.c.state != "closed")
    if overdue_on is not None:
        statement = statement.where(COMPLAINTS.c.due_on < overdue_on, COMPLAINTS.c.state != "closed")
    return bulk.read(connection, statement.order_by(COMPLAINTS.c.due_on, COMPLAINTS.c.complaint_id).limit(limit))


def overdue(connection: Connection, lender: str, today: date) -> list[Any]:
    """Complaints of the lender that should have been answered by now, the oldest first."""
    return list(
        connection.execute(
            select(COMPLAINTS.c.complaint_id, COMPLAINTS.c.agency, COMPLAINTS.c.due_on)
            .where(COMPLAINTS.c.lender == lender, COMPLAINTS.c.state != "closed", COMPLAINTS.c.due_on < today)
            .order_by(COMPLAINTS.c.due_on)
        )
    )


def rates(connection: Connection, lender: str | None, first: date, last: date) -> pd.DataFrame:
    """Per agency: accounts that it held at some time from first to last, complaints that came then, and per 1,000."""
    held = (
        select(PLACEMENTS.c.agency, func.count(PLACEMENTS.c.account_id.distinct()).label("accounts"))
        .where(
            PLACEMENTS.c.state != "planned",
            PLACEMENTS.c.placed_on <= last,
            or_(PLACEMENTS.c.ended_on.is_(None), PLACEMENTS.c.ended_on >= first),
        )
        .group_by(PLACEMENTS.c.agency)
    )
    came = (
        select(
            COMPLAINTS.c.agency,
            func.count().label("complaints"),
            func.count(COMPLAINTS.c.outcome).label("closed"),
        )
        .where(and_(COMPLAINTS.c.received_on >= first, COMPLAINTS.c.received_on <= last))
        .group_by(COMPLAINTS.c.agency)
    )
    upheld = (
        select(COMPLAINTS.c.agency, func.count().label("upheld"))
        .where(
            COMPLAINTS.c.received_on >= first,
            COMPLAINTS.c.received_on <= last,
            COMPLAINTS.c.outcome.in_(("upheld", "partly")),
        )
        .group_by(COMPLAINTS.c.agency)
    )
    if lender is not None:
        held = held.where(PLACEMENTS.c.lender == lender)
        came, upheld = (one.where(COMPLAINTS.c.lender == lender) for one in (came, upheld))
    told = bulk.read(connection, held)
    for statement in (came, upheld):
        told = told.merge(bulk.read(connection, statement), on="agency", how="outer")
    counts = ["accounts", "complaints", "closed", "upheld"]
    told[counts] = told[counts].fillna(0).astype("int64")
    # no number where there is none: an agency without accounts has no rate
    rate = (1000 * told["complaints"] / told["accounts"].where(told["accounts"] > 0)).round(2)
    return told.assign(per_1000=rate).sort_values("agency", ignore_index=True)
