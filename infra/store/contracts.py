"""Contracts in the store: those in force, day by day, and those that wait for a second person."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, func, insert, select, update

from infra.store import keyset
from infra.store.bulk import table_of
from models.contract import Agreed, Contract, NoContract
from models.errors import UsageError
from models.tables import AgencyContract, ContractProposal, RemittanceLine

if TYPE_CHECKING:
    from datetime import date

CONTRACT = table_of(AgencyContract)
LINE = table_of(RemittanceLine)
PROPOSAL = table_of(ContractProposal)


def contracts_of(connection: Connection, lender: str, agency: str) -> Agreed:
    """What was agreed between the two. Raises NoContract where nothing was."""
    rows = connection.execute(
        select(CONTRACT.c.effective_from, CONTRACT.c.terms)
        .where(CONTRACT.c.lender == lender, CONTRACT.c.agency == agency)
        .order_by(CONTRACT.c.effective_from)
    ).all()
    if not rows:
        raise NoContract(
            f"no contract between {lender} and {agency}",
            fix="`consign contract propose` puts its terms up (docs/reference/contracts.md)",
        )
    return Agreed(tuple(row.effective_from for row in rows), tuple(Contract.parse(row.terms) for row in rows))


def listed(connection: Connection, lender: str | None, agency: str | None) -> list[dict[str, Any]]:
    """Every contract in force or once in force, by lender, agency and first day; `until` is its last day, or None."""
    first = CONTRACT.c.effective_from
    of_one = (CONTRACT.c.lender, CONTRACT.c.agency)
    following = func.lead(first, type_=first.type).over(partition_by=of_one, order_by=first)
    statement = select(CONTRACT, following.label("until")).order_by(CONTRACT.c.lender, CONTRACT.c.agency, first)
    for column, wanted in ((CONTRACT.c.lender, lender), (CONTRACT.c.agency, agency)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    found = keyset.listed(connection, statement)
    return [row | {"until": row["until"] and row["until"] - timedelta(days=1)} for row in found]


def one(connection: Connection, lender: str, agency: str, day: date) -> Row[Any]:
    """The contract's row in force on the day. Raises NoContract where nothing was agreed by then."""
    found = connection.execute(
        select(CONTRACT)
        .where(CONTRACT.c.lender == lender, CONTRACT.c.agency == agency, CONTRACT.c.effective_from <= day)
        .order_by(CONTRACT.c.effective_from.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise NoContract(
            f"no contract between {lender} and {agency} is in force on {day}", fix="`consign contract list` lists them"
        )
    return found


def begins_on(connection: Connection, lender: str, agency: str, day: date) -> str | None:
    """The hash of the terms that begin on that very day; None where none do."""
    return connection.execute(
        select(CONTRACT.c.sha256).where(
            CONTRACT.c.lender == lender, CONTRACT.c.agency == agency, CONTRACT.c.effective_from == day
        )
    ).scalar_one_or_none()


def lines_from(connection: Connection, lender: str, agency: str, day: date) -> int:
    """How many lines with a value date from that day on are priced already: other terms would come too late."""
    priced = select(func.count()).where(
        LINE.c.lender == lender, LINE.c.agency == agency, LINE.c.posted_at.is_not(None), LINE.c.value_date >= day
    )
    return int(connection.execute(priced).scalar_one())


def put_in_force(connection: Connection, **columns: Any) -> None:
    """The contract's row."""
    connection.execute(insert(CONTRACT).values(**columns))


def propose(connection: Connection, **columns: Any) -> int:
    """The proposal's number; it waits for a second person."""
    asked = insert(PROPOSAL).values(state="waiting", **columns).returning(PROPOSAL.c.proposal_id)
    return int(connection.execute(asked).scalar_one())


def waiting(connection: Connection, lender: str, agency: str, day: date, sha256: str) -> int | None:
    """The number of the proposal of these very terms that waits already."""
    return connection.execute(
        select(PROPOSAL.c.proposal_id).where(
            PROPOSAL.c.lender == lender, PROPOSAL.c.agency == agency, PROPOSAL.c.effective_from == day,
            PROPOSAL.c.sha256 == sha256, PROPOSAL.c.state == "waiting",
        )
    ).scalar_one_or_none()  # fmt: skip


def proposal(connection: Connection, proposal_id: int) -> Row[Any]:
    """The proposal. Raises UsageError."""
    found = connection.execute(select(PROPOSAL).where(PROPOSAL.c.proposal_id == proposal_id)).one_or_none()
    if found is None:
        raise UsageError(f"there is no proposal {proposal_id}", fix="`consign contract proposals` lists them")
    return found


def decide(connection: Connection, proposal_id: int, **columns: Any) -> None:
    """What became of the proposal."""
    connection.execute(update(PROPOSAL).where(PROPOSAL.c.proposal_id == proposal_id).values(**columns))


def proposals(connection: Connection, agency: str | None = None) -> list[dict[str, Any]]:
    """Every proposal, the newest first, without its terms."""
    columns = [column for column in PROPOSAL.c if column.name != "terms"]
    statement = select(*columns).order_by(PROPOSAL.c.proposal_id.desc())
    return keyset.listed(connection, statement if agency is None else statement.where(PROPOSAL.c.agency == agency))
