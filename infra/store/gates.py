"""Gates in the store: what is measured of each agency, which gates are closed, and which agencies they stop."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, insert, or_, select, update

from infra.store import bulk, erasures, keyset
from infra.store.conduct import ACTIVITY, BREACHES, FILES, PLACEMENTS, STANDING
from models.conduct.gates import Figures
from models.errors import UsageError
from models.tables import Complaint, DueDiligence, GateState

if TYPE_CHECKING:
    from collections.abc import Mapping


COMPLAINTS, DILIGENCE, GATES = bulk.table_of(Complaint), bulk.table_of(DueDiligence), bulk.table_of(GateState)
ENDED: Final = ("upheld", "partly")
"""Outcomes that count against the agency."""


def figures(
    connection: Connection,
    lender: str,
    today: date,
    window_days: int,
    missing: Mapping[str, list[str]],
    *,
    with_contacts: bool = True,
) -> dict[str, Figures]:
    """Per agency of the lender: what the gates of that window measure. missing: kinds of evidence, by agency.

    with_contacts: contacts are counted too, which takes longer than all the rest.
    """
    first = today - timedelta(days=window_days - 1)
    begin = datetime.combine(first, time(), UTC)
    accounts = _counts(
        connection, PLACEMENTS.c.agency, PLACEMENTS.c.lender == lender, PLACEMENTS.c.state != "planned",
        PLACEMENTS.c.placed_on <= today, or_(PLACEMENTS.c.ended_on.is_(None), PLACEMENTS.c.ended_on >= first),
    )  # fmt: skip
    contacts, broken = _contacts(connection, lender, begin) if with_contacts else ({}, {})
    of_lender = COMPLAINTS.c.lender == lender
    complaints = _counts(connection, COMPLAINTS.c.agency, of_lender, COMPLAINTS.c.received_on >= first)
    overdue = _counts(connection, COMPLAINTS.c.agency, of_lender, COMPLAINTS.c.state != "closed",
                      COMPLAINTS.c.due_on < today)  # fmt: skip
    upheld = _by_two(
        connection, COMPLAINTS.c.agency, COMPLAINTS.c.category, of_lender, COMPLAINTS.c.outcome.in_(ENDED),
        COMPLAINTS.c.closed_at >= begin,
    )  # fmt: skip
    serious = _by_two(
        connection, BREACHES.c.agency, BREACHES.c.rule_id, BREACHES.c.lender == lender, BREACHES.c.state == "upheld",
        BREACHES.c.severity == "serious", BREACHES.c.decided_at >= begin,
    )  # fmt: skip
    unerased = erasures.long_overdue(connection, lender, today - timedelta(days=window_days))
    agencies = {*accounts, *contacts, *broken, *complaints, *overdue, *upheld, *serious, *missing, *unerased}
    return {
        agency: Figures(
            accounts=accounts.get(agency, 0), contacts=contacts.get(agency, 0),
            contacts_in_breach=broken.get(agency, 0), breaches_upheld=serious.get(agency, {}),
            complaints=complaints.get(agency, 0), complaints_upheld=upheld.get(agency, {}),
            complaints_overdue=overdue.get(agency, 0), diligence_missing=tuple(missing.get(agency, ())),
            erasures_overdue=unerased.get(agency, 0),
        )
        for agency in sorted(agencies)
    }  # fmt: skip


def _contacts(connection: Connection, lender: str, begin: datetime) -> tuple[dict[str, int], dict[str, int]]:
    """Per agency: contacts since then, and those of them that broke a rule which is not low."""
    contacts = {
        str(agency): int(number)
        for agency, number in connection.execute(
            select(FILES.c.agency, func.count())
            .join(ACTIVITY, ACTIVITY.c.file_id == FILES.c.file_id)
            .where(
                FILES.c.lender == lender,
                FILES.c.kind == "activity",
                FILES.c.state == "accepted",
                ACTIVITY.c.at >= begin,
            )
            .group_by(FILES.c.agency)
        )
    }
    broken = {
        str(agency): int(number)
        for agency, number in connection.execute(
            select(BREACHES.c.agency, func.count(BREACHES.c.evidence.distinct()))
            .where(
                BREACHES.c.lender == lender, BREACHES.c.at >= begin, BREACHES.c.state.in_(STANDING),
                BREACHES.c.severity != "low", BREACHES.c.evidence.startswith("activity:"),
            )
            .group_by(BREACHES.c.agency)
        )
    }  # fmt: skip
    return contacts, broken


def _counts(connection: Connection, by: Any, *where: ColumnElement[bool]) -> dict[str, int]:
    rows = connection.execute(select(by, func.count()).where(*where).group_by(by))
    return {str(name): int(number) for name, number in rows}


def _by_two(connection: Connection, by: Any, then: Any, *where: ColumnElement[bool]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, second, number in connection.execute(select(by, then, func.count()).where(*where).group_by(by, then)):
        found.setdefault(str(name), {})[str(second)] = int(number)
    return found


# -- states ------------------------------------------------------------------------------------------------------------


def stops(today: date) -> ColumnElement[bool]:
    """Whether a gate stops new placements on the day: closed, or lifted for a time that is over."""
    lapsed = and_(GATES.c.state == "lifted", GATES.c.lift_until < today)
    return or_(GATES.c.state.in_(("closed", "asked")), lapsed)


def stopped(connection: Connection, lender: str, today: date) -> dict[str, str]:
    """The agencies that get no new placements of the lender, and by which gates."""
    rows = connection.execute(
        select(GATES.c.agency, GATES.c.gate).where(GATES.c.lender == lender, stops(today)).order_by(GATES.c.gate)
    )
    found: dict[str, list[str]] = {}
    for agency, gate in rows:
        found.setdefault(str(agency), []).append(str(gate))
    return {agency: ", ".join(gates) for agency, gates in found.items()}


def known(connection: Connection, lender: str, pack: str) -> dict[tuple[str, str], Any]:
    """The gates on record by agency and gate."""
    rows = connection.execute(select(GATES).where(GATES.c.lender == lender, GATES.c.pack == pack))
    return {(row.agency, row.gate): row for row in rows}


def add(connection: Connection, **columns: Any) -> int:
    """A gate on record; its number."""
    return int(connection.execute(insert(GATES).values(**columns).returning(GATES.c.gate_id)).scalar_one())


def note(connection: Connection, gate_id: int, **columns: Any) -> None:
    """Change some columns of a gate."""
    connection.execute(update(GATES).where(GATES.c.gate_id == gate_id).values(**columns))


def gate(connection: Connection, gate_id: int) -> Any:
    """The gate's row. Raises UsageError where there is none."""
    row = connection.execute(select(GATES).where(GATES.c.gate_id == gate_id)).one_or_none()
    if row is None:
        raise UsageError(f"there is no gate {gate_id}", fix="`consign conduct gates` lists them")
    return row


def listed(connection: Connection, today: date, *, every: bool = False) -> list[dict[str, Any]]:
    """Gates that stop placements or are lifted, `stops` told for today; with `every` those that opened again too."""
    statement = select(GATES, case((stops(today), 1), else_=0).label("stops")).order_by(GATES.c.agency, GATES.c.gate)
    found = keyset.listed(connection, statement if every else statement.where(GATES.c.state != "open"))
    return [row | {"stops": bool(row["stops"])} for row in found]
