"""The circuit breaker of an agency's server: one that does not answer is left in peace, and asked again by itself.

closed → open after `breaker_failures` failures to connect in a row, at once where trying again cannot help (another
host key, our login refused). Open, the agency's steps end at once as `waiting`. When its pause is over one worker alone
tries (half open): it answers, and the circuit is closed; it does not, and the next pause is twice as long. Both
directions share it, for they share the server.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, and_, func, or_, select, update

from connectors.drops.errors import AuthRefused, DropStalled, DropUnreachable, HostKeyMismatch, Unsupported
from infra import audit, exceptions
from infra.store import bulk, exchange, keyset, trail
from models.errors import ConsignError
from models.lives import CIRCUIT, moved
from models.tables import Circuit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from infra.wiring import Desk

CIRCUITS = bulk.table_of(Circuit)

LOST: Final = (DropUnreachable, DropStalled)
"""The server is not there, or has fallen silent: trying later may mend it."""
FINAL: Final = (HostKeyMismatch, AuthRefused, Unsupported)
"""It is there and will not have us, or is not the agency's: somebody must do something."""
LONGER: Final = 1.25
"""A pause may be so much longer than is set: a quarter more or less, so that not all are tried together."""
PROBE_SECONDS: Final = 60.0
"""Beyond the time-outs of a connection: how long a probe keeps others waiting whose worker has died."""


def admitted(desk: Desk, agency: str, *, insist: bool = False) -> bool:
    """Whether the agency's server may be asked now; it may where a person insists.

    Where the pause of an open circuit is over, this one worker is the one that tries: the next caller waits.
    """
    now = desk.now()
    with desk.database.read() as connection:
        row = _row(connection, agency)
    if row is None or row.state == "closed" or insist:
        return True
    at = desk.settings
    until = now + timedelta(seconds=at.connect_timeout + at.stall_timeout + PROBE_SECONDS)
    latest = max(until, now + timedelta(seconds=LONGER * at.breaker_longest_pause))  # beyond it, a clock ran ahead
    if row.retry_at is not None and now < row.retry_at <= latest:
        return False
    mine = and_(CIRCUITS.c.agency == agency, CIRCUITS.c.state != "closed")
    over = or_(CIRCUITS.c.retry_at.is_(None), CIRCUITS.c.retry_at <= now, CIRCUITS.c.retry_at > latest)
    with desk.database.write() as connection:
        took = connection.execute(update(CIRCUITS).where(mine, over).values(state="half_open", retry_at=until))
        return took.rowcount == 1


@contextmanager
def observed(desk: Desk, agency: str) -> Iterator[None]:
    """What becomes of a connection to the agency is noted: answered, lost, or refused for good.

    An error of another kind says nothing of the server. Raises what the block raises.
    """
    try:
        yield
    except (*LOST, *FINAL) as error:
        with suppress(Exception):  # what the block met is told, whatever the store says
            _failed(desk, agency, error)
        raise
    except ConsignError:
        raise
    _answered(desk, agency)


def reset(desk: Desk, agency: str) -> bool:
    """The circuit is closed because a person says so; True where it was not."""
    with desk.database.write() as connection:
        return begin_anew(connection, desk, agency, "circuit.reset", f"reset by {desk.actor}")


def begin_anew(connection: Connection, desk: Desk, agency: str, action: str, why: str) -> bool:
    """The circuit is closed and its failures are forgotten, in the caller's transaction; True where it was not closed.

    action, why: what the audit trail and the exceptions that end with it say.
    """
    trail.hold(connection)
    row = _row(connection, agency)
    if row is None:
        return False
    now = desk.now()
    connection.execute(
        update(CIRCUITS)
        .where(CIRCUITS.c.agency == agency)
        .values(state="closed", failures=0, pauses=0, reason=None, since=now, retry_at=None)
    )
    for code in ("circuit_open", "connection_refused_for_good"):
        exceptions.ended(connection, desk, code, _subject(agency), why)
    if row.state == "closed":
        return False
    audit.record(connection, desk.actor, action, agency, {"attempts": row.failures}, now)
    return True


def circuits(connection: Connection, agency: str | None = None) -> list[dict[str, Any]]:
    """Every agency's circuit: agency, state, failures, reason, since, retry_at; closed where it has never failed."""
    agencies = exchange.AGENCIES
    statement = (
        select(
            agencies.c.agency, func.coalesce(CIRCUITS.c.state, "closed").label("state"),
            func.coalesce(CIRCUITS.c.failures, 0).label("failures"), CIRCUITS.c.reason, CIRCUITS.c.since,
            CIRCUITS.c.retry_at,
        )
        .outerjoin(CIRCUITS, CIRCUITS.c.agency == agencies.c.agency)
        .where(agencies.c.state != "closed")
        .order_by(agencies.c.agency)
    )  # fmt: skip
    return keyset.listed(connection, statement if agency is None else statement.where(agencies.c.agency == agency))


def healthy_first(connection: Connection, agencies: Sequence[str]) -> list[str]:
    """The agencies, those whose server has failed of late at the end."""
    rows = connection.execute(select(CIRCUITS.c.agency, CIRCUITS.c.failures).where(CIRCUITS.c.failures > 0))
    failures = {row.agency: row.failures for row in rows}
    return sorted(agencies, key=lambda code: failures.get(code, 0))


def _row(connection: Connection, agency: str) -> Row[Any] | None:
    return connection.execute(select(CIRCUITS).where(CIRCUITS.c.agency == agency)).one_or_none()


def _answered(desk: Desk, agency: str) -> None:
    with desk.database.read() as connection:
        row = _row(connection, agency)
    if row is not None and (row.state != "closed" or row.failures):
        with desk.database.write() as connection:
            begin_anew(connection, desk, agency, "circuit.closed", "the server answers")


def _failed(desk: Desk, agency: str, error: ConsignError) -> None:
    """One failure more; the circuit opens, or stays open for longer, where that is one too many."""
    now, reason = desk.now(), type(error).__name__
    final = isinstance(error, FINAL)
    with desk.database.write() as connection:
        trail.hold(connection)
        row = _row(connection, agency)
        failures = 1 + (row.failures if row else 0)
        state = row.state if row else "closed"
        opens = state != "open" and (final or state == "half_open" or failures >= desk.settings.breaker_failures)
        pauses = (row.pauses if row else 0) + opens
        values: dict[str, Any] = {"failures": failures, "pauses": pauses, "reason": reason}
        if opens:
            values |= {
                "state": moved(f"circuit of {agency}", state, "open", CIRCUIT),
                "retry_at": now + timedelta(seconds=_pause(desk, agency, pauses, final=final)),
            }
        if row is None or (opens and state == "closed"):
            values["since"] = now
        insert = exchange._inserting(connection)(CIRCUITS)  # noqa: SLF001 - the dialect's own INSERT … ON CONFLICT
        whole = {"state": state, "retry_at": None, "since": now, **values, "agency": agency}
        connection.execute(
            insert.values(**whole).on_conflict_do_update(index_elements=[CIRCUITS.c.agency], set_=values)
        )
        if opens and state == "closed":
            audit.record(
                connection, desk.actor, "circuit.opened", agency, {"reason": reason, "attempts": failures}, now
            )
        if opens or state == "open":
            _tell(connection, desk, agency, reason, failures, final=final)


def _tell(connection: Connection, desk: Desk, agency: str, reason: str, failures: int, *, final: bool) -> None:
    """The one exception that fits, instead of the other."""
    codes = ("circuit_open", "connection_refused_for_good")
    code, other = codes[final], codes[not final]
    subject = _subject(agency)
    exceptions.ended(connection, desk, other, subject, f"it fails otherwise now: {reason}")
    exceptions.open_exception(
        connection, desk, code, agency=agency, subject=subject, detail={"reason": reason, "attempts": failures}
    )


def _pause(desk: Desk, agency: str, pauses: int, *, final: bool) -> float:
    """Seconds until the next try: doubled each time up to the longest, and a quarter more or less.

    The quarter is the agency's own, drawn from its code and the number of pauses: agencies that failed together are not
    tried together, and nothing is left to chance.
    """
    at = desk.settings
    longest = at.breaker_longest_pause
    grown = longest if final else min(at.breaker_first_pause * 2.0 ** min(pauses - 1, 32), longest)
    drawn = int.from_bytes(hashlib.sha256(f"{agency} {pauses}".encode()).digest()[:4], "big") / 2**32
    return grown * (0.75 + 0.5 * drawn)


def _subject(agency: str) -> str:
    return f"server:{agency}"


def open_since(row: Any) -> datetime | None:
    """Since when the circuit is not closed; None where it is."""
    return None if row.state == "closed" else row.since
