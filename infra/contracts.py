"""Contracts as people handle them: proposed by one, approved by another; and what a month would cost under others.

Whoever can change a contract can change what an agency is paid; so a second person with the role finance approves it,
once the agency holds accounts. Terms that would reach back to what is priced already are refused: what was agreed stays
on the books.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import and_, select

from infra import audit, hostkeys, onboarding, roles
from infra.store import contracts as store
from infra.store import exchange
from infra.store.adjustments import priced_lines
from infra.store.bulk import read, table_of
from infra.store.statements import last_day
from models.contract import Agreed, Contract, settling
from models.contract.simulating import Cost, simulated
from models.errors import RefusedByPolicy, UsageError
from models.lives import CONTRACT_PROPOSAL, moved
from models.tables import Placement, RemittanceLine

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from sqlalchemy import Connection

    from infra.wiring import Desk

LINE: Final = table_of(RemittanceLine)
PLACEMENT: Final = table_of(Placement)
WHY_AT_LEAST: Final = 10
"""Letters of a reason that says something."""


def propose(
    desk: Desk, agency: str, lender: str, terms: str, effective_from: date, why: str, share: float | None = None
) -> int | None:
    """The number under which these terms wait for a second person; None where they are in force now, or were before.

    The same proposal again is the one that waits. Raises ContractFault for terms that cannot be read, RefusedByPolicy
    where other terms begin on that day, or lines are priced from it on.
    """
    Contract.parse(terms)
    digest = hashlib.sha256(terms.encode()).hexdigest()
    if len(why.strip()) < WHY_AT_LEAST:
        raise UsageError("the reason says nothing", fix="say in a sentence why, and where it was agreed")
    with desk.database.write() as connection:
        row = exchange.agency(connection, agency)
        exchange.lender_timezone(connection, lender)
        if store.begins_on(connection, lender, agency, effective_from) == digest:
            return None
        _refuse_reaching_back(connection, lender, agency, effective_from)
        if hostkeys.needs_two(desk, row):
            waits = store.waiting(connection, lender, agency, effective_from, digest)
            if waits is not None:
                return waits
            number = store.propose(
                connection, agency=agency, lender=lender, effective_from=effective_from, terms=terms, sha256=digest,
                share=share, why=why.strip(), proposed_by=desk.actor, proposed_at=desk.now(),
            )  # fmt: skip
            _record(connection, desk, "contract.proposed", number, agency, lender, digest, effective_from)
            return number
    onboarding.contract(desk, agency, lender, terms, effective_from, share)
    return None


def approve(desk: Desk, proposal_id: int) -> dict[str, Any]:
    """The proposed terms are in force from their day on; a second person has approved them.

    Raises RefusedByPolicy for who proposed them, RoleMissing without the role finance, IllegalMove for a proposal that
    does not wait any more, and what `propose` raises of terms that come too late by now.
    """
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        row = store.proposal(connection, proposal_id)
        state = moved(f"proposal {proposal_id}", row.state, "approved", CONTRACT_PROPOSAL)
        if row.proposed_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} proposed these terms, and cannot approve them", fix="let a second person approve them"
            )
        _refuse_reaching_back(connection, row.lender, row.agency, row.effective_from)
        now = desk.now()
        store.decide(connection, proposal_id, state=state, decided_by=desk.actor, decided_at=now)
        store.put_in_force(
            connection, agency=row.agency, lender=row.lender, effective_from=row.effective_from, terms=row.terms,
            sha256=row.sha256, share=row.share, created_by=row.proposed_by, created_at=row.proposed_at,
            approved_by=desk.actor,
        )  # fmt: skip
        _record(
            connection, desk, "contract.approved", proposal_id, row.agency, row.lender, row.sha256, row.effective_from
        )
    return {"proposal_id": proposal_id, "agency": row.agency, "lender": row.lender, "from": row.effective_from}


def withdraw(desk: Desk, proposal_id: int) -> None:
    """Nothing comes of the proposal; anybody may say so."""
    with desk.database.write() as connection:
        row = store.proposal(connection, proposal_id)
        state = moved(f"proposal {proposal_id}", row.state, "withdrawn", CONTRACT_PROPOSAL)
        store.decide(connection, proposal_id, state=state, decided_by=desk.actor, decided_at=desk.now())
        _record(
            connection, desk, "contract.withdrawn", proposal_id, row.agency, row.lender, row.sha256, row.effective_from
        )


def simulate(
    desk: Desk, lender: str, period: str, terms: Callable[[str, str], str], agency: str | None = None
) -> pd.DataFrame:
    """What the month cost and would have cost: one row per agency and tier, adjustments by their kind after them.

    terms: the text of the terms that would have been in force all month, by the agency and its present ones. Columns:
    `agency`, `currency`, `tier`, `then` (the tier under those terms), `lines`, `gross_minor`, `commission_minor`,
    `vat_minor`, `commission_then_minor`, `vat_then_minor`, `difference_minor`. Nothing is written. The month is what
    counts by value date; agencies without a line or a case in it are left out.
    """
    until = last_day(period)
    parts = []
    with desk.database.read() as connection:
        exchange.lender_timezone(connection, lender)
        found = store.listed(connection, lender, agency)
        for name in sorted({row["agency"] for row in found}):
            agreed = store.contracts_of(connection, lender, name)
            present = store.one(connection, lender, name, until)
            other = Contract.parse(terms(name, present.terms))
            for currency in sorted({contract.currency for contract in agreed.contracts}):
                lines = _lines(connection, lender, name, currency, until)
                cases = _cases(connection, lender, name, currency, until)
                if lines.empty and cases.empty:
                    continue
                now = simulated(lines, cases, agreed, until)
                then = simulated(lines, cases, Agreed((until.replace(day=1),), (other,)), until)
                parts.append(_compared(now, then).assign(agency=name, currency=currency))
    columns = ["agency", "currency", "tier", "then", "lines", "gross_minor", "commission_minor", "vat_minor",
               "commission_then_minor", "vat_then_minor", "difference_minor"]  # fmt: skip
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _compared(now: Cost, then: Cost) -> pd.DataFrame:
    """Sums under both terms: lines by tier and tier, adjustments by kind."""
    lines = now.lines.assign(
        then=then.lines["tier"],
        lines=1,
        commission_then_minor=then.lines["commission_minor"],
        vat_then_minor=then.lines["vat_minor"],
    )
    sums = ["lines", "gross_minor", "commission_minor", "vat_minor", "commission_then_minor", "vat_then_minor"]
    by_tier = lines.groupby(["tier", "then"], as_index=False)[sums].sum()
    kinds = [
        one.adjustments.groupby("kind")[list(settling.DUE)]
        .agg("sum")
        .assign(lines=one.adjustments.groupby("kind").size())
        for one in (now, then)
    ]
    both = kinds[0].join(kinds[1].add_suffix("_then"), how="outer").fillna(0).astype("int64").reset_index()
    both = both.rename(columns={f"{name}_then": f"{name.removesuffix('_minor')}_then_minor" for name in settling.DUE})
    both = both.assign(
        tier=both["kind"], then=both["kind"], gross_minor=0, lines=np.maximum(both["lines"], both["lines_then"])
    )
    told = pd.concat([by_tier, both[["tier", "then", *sums]]], ignore_index=True)
    after = told["commission_then_minor"] + told["vat_then_minor"]
    return told.assign(difference_minor=after - told["commission_minor"] - told["vat_minor"])


def _lines(connection: Connection, lender: str, agency: str, currency: str, until: date) -> pd.DataFrame:
    """What counts of the month by value date, as models.contract.simulating wants it."""
    return priced_lines(
        connection,
        and_(
            LINE.c.lender == lender, LINE.c.agency == agency, LINE.c.currency == currency,
            LINE.c.posted_at.is_not(None), LINE.c.value_date.between(until.replace(day=1), until),
        ),
    )  # fmt: skip


def _cases(connection: Connection, lender: str, agency: str, currency: str, until: date) -> pd.DataFrame:
    """What was placed in the month."""
    return read(
        connection,
        select(PLACEMENT.c.placement_id, PLACEMENT.c.account_id, PLACEMENT.c.placed_on).where(
            and_(PLACEMENT.c.lender == lender, PLACEMENT.c.agency == agency, PLACEMENT.c.currency == currency),
            PLACEMENT.c.state != "planned",
            PLACEMENT.c.placed_on.between(until.replace(day=1), until),
        ),
    )


def _refuse_reaching_back(connection: Connection, lender: str, agency: str, day: date) -> None:
    """Nothing. Raises RefusedByPolicy where other terms begin on the day, or lines from it on are priced already."""
    later = "give the new terms a later day: what was agreed stays on the books"
    if store.begins_on(connection, lender, agency, day) is not None:
        raise RefusedByPolicy(f"{agency} and {lender} already have a contract from {day}", fix=later)
    if priced := store.lines_from(connection, lender, agency, day):
        raise RefusedByPolicy(
            f"{priced} lines of {agency} with a value date from {day} on are priced already", fix=later
        )


def _record(
    connection: Connection,
    desk: Desk,
    action: str,
    number: int,
    agency: str,
    lender: str,
    sha256: str,
    day: date,
) -> None:
    details: dict[str, str | int] = {"id": number, "lender": lender, "sha256": sha256, "from": day.isoformat()}
    audit.record(connection, desk.actor, action, f"agency:{agency}", details, desk.now())
