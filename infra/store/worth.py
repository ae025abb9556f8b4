"""What an optimised plan reads besides accounts: the newest scores that speak of the lender, and its contracts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select

from infra.store import bulk
from models.contract import Contract, ContractFault
from models.planning.worth import Figures
from models.tables import AgencyContract, Score, ScoreRun

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection

RUN, SCORE = bulk.table_of(ScoreRun), bulk.table_of(Score)
CONTRACTS = bulk.table_of(AgencyContract)
COLUMNS = ("agency", "component", "segment", "value", "low", "high", "expected", "weight")


def figures(connection: Connection, lender: str, today: date) -> Figures | None:
    """The newest score run of the lender's own placements, or of everybody's; None before the first."""
    run = connection.execute(
        select(RUN.c.run_id, RUN.c.as_of, RUN.c.model_version, RUN.c.summary)
        .where(or_(RUN.c.lender.is_(None), RUN.c.lender == lender), RUN.c.as_of <= today)
        # the lender's own before everybody's, of one day
        .order_by(RUN.c.as_of.desc(), RUN.c.lender.is_(None), RUN.c.run_id.desc())
        .limit(1)
    ).one_or_none()
    if run is None:
        return None
    components = bulk.read(connection, select(*(SCORE.c[name] for name in COLUMNS)).where(SCORE.c.run_id == run.run_id))
    numbers = dict.fromkeys(("value", "low", "high", "expected", "weight"), "float64")
    return Figures(run.run_id, run.as_of, run.model_version, components.astype(numbers), json.loads(run.summary))


def contracts(connection: Connection, lender: str, today: date) -> dict[str, Contract]:
    """The terms in force per agency; one whose terms cannot be read is left out, and its commission is as scored."""
    newest = (
        select(CONTRACTS.c.agency, func.max(CONTRACTS.c.effective_from).label("since"))
        .where(CONTRACTS.c.lender == lender, CONTRACTS.c.effective_from <= today)
        .group_by(CONTRACTS.c.agency)
        .subquery()
    )
    rows = connection.execute(
        select(CONTRACTS.c.agency, CONTRACTS.c.terms)
        .join(newest, (newest.c.agency == CONTRACTS.c.agency) & (newest.c.since == CONTRACTS.c.effective_from))
        .where(CONTRACTS.c.lender == lender)
    ).all()
    found = {}
    for row in rows:
        try:
            found[row.agency] = Contract.parse(row.terms)
        except ContractFault:
            continue
    return found
