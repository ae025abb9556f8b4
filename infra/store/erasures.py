"""How each erasure that was asked for stands, and what a certificate is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, case, func, select

from infra.store import bulk
from infra.store.exchange import DISCLOSURES, ERASURES, MEMBERS, PLACEMENTS, TRANSMISSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

TELLING: Final = ("placement", "update", "correction")
"""Kinds of file that tell an agency something about an account that it did not know."""
STATES: Final = ("waiting", "requested", "overdue", "unsatisfied", "certified", "certified_late")


def last_told(connection: Connection, agency: str, account_ids: Sequence[int] | pd.Series) -> pd.DataFrame:
    """When this agency was last told something of these accounts: account_id, told_at."""
    wanted = pd.DataFrame({"account_id": pd.Series(account_ids, dtype="int64").drop_duplicates()})
    with bulk.staged(connection, MEMBERS, wanted) as stage:
        return bulk.read(
            connection,
            select(MEMBERS.c.account_id, func.max(TRANSMISSIONS.c.delivered_at).label("told_at"))
            .join(stage, stage.c.account_id == MEMBERS.c.account_id)
            .join(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == MEMBERS.c.transmission_id)
            .where(
                TRANSMISSIONS.c.agency == agency, TRANSMISSIONS.c.kind.in_(TELLING),
                TRANSMISSIONS.c.delivered_at.is_not(None),
            )
            .group_by(MEMBERS.c.account_id),
        )  # fmt: skip


def by_placement(
    connection: Connection, today: date, *, agency: str | None = None, state: str | None = None
) -> pd.DataFrame:
    """Each placement whose erasure was asked for, the latest request first, and how it stands.

    Columns: placement_id, agency, lender, state (of STATES), requested_on, due_on, erased_at, method, certified_by,
    finding, fields (how many were disclosed with it).
    """
    late = func.date(ERASURES.c.erased_at) > func.date(ERASURES.c.due_on)
    standing: Any = case(
        (ERASURES.c.verified_at.is_not(None) & late, "certified_late"),
        (ERASURES.c.verified_at.is_not(None), "certified"),
        (ERASURES.c.finding.is_not(None), "unsatisfied"),
        (ERASURES.c.due_on < today, "overdue"),
        (TRANSMISSIONS.c.delivered_at.is_(None), "waiting"),
        else_="requested",
    )
    told = (
        select(func.count())
        .select_from(DISCLOSURES)
        .where(DISCLOSURES.c.transmission_id == PLACEMENTS.c.transmission_id)
        .correlate(PLACEMENTS)
        .scalar_subquery()
    )
    chosen = (
        select(
            ERASURES.c.placement_id, ERASURES.c.agency, PLACEMENTS.c.lender, standing.label("state"),
            ERASURES.c.requested_on, ERASURES.c.due_on, ERASURES.c.erased_at, ERASURES.c.method,
            ERASURES.c.certified_by, ERASURES.c.finding, told.label("fields"),
        )
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == ERASURES.c.placement_id)
        .outerjoin(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == ERASURES.c.transmission_id)
        .order_by(ERASURES.c.erasure_id.desc())
    )  # fmt: skip
    if agency is not None:
        chosen = chosen.where(ERASURES.c.agency == agency)
    if state is not None:
        chosen = chosen.where(standing == state)
    return bulk.read(connection, chosen)


def long_overdue(connection: Connection, lender: str, before: date) -> dict[str, int]:
    """Per agency: placements of the lender's whose certificate was due before that day, and has not satisfied."""
    rows = connection.execute(
        select(ERASURES.c.agency, func.count())
        .join(PLACEMENTS, PLACEMENTS.c.placement_id == ERASURES.c.placement_id)
        .where(PLACEMENTS.c.lender == lender, ERASURES.c.verified_at.is_(None), ERASURES.c.due_on < before)
        .group_by(ERASURES.c.agency)
    )
    return {str(agency): int(number) for agency, number in rows}
