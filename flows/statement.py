"""State: tell each agency what it recovered in a month, and the commission that we owe for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from flows.engine import step, verb
from flows.exchange import suffix_for
from infra import audit, statements
from infra.store import exchange
from infra.store import statements as store
from infra.wiring import Desk, desk
from keys.pseudonyms import pseudonyms
from models.errors import UsageError


@dataclass(frozen=True)
class StatementReport:
    """What was stated; a second run finds it all made."""

    lender: str
    period: str
    statements: int
    made: int
    """by this run"""
    lines: int
    files: tuple[str, ...]


@step
def make(one: tuple[str, str], lender: str, period: str) -> tuple[bool, int, str, str]:
    """The statement to one agency in one currency is made and waits in the outbox; or it was made before."""
    agency, currency = one
    at = desk()
    stem = f"{lender}.{agency}.{period}.{currency}"
    with at.database.write() as connection:
        before = store.made_before(connection, lender, agency, period, currency)
        if before is not None:
            if not all((at.settings.home / path).exists() for path in (before.csv_path, before.xlsx_path)):
                _write(at, connection, before.statement_id, agency, period, stem)
            return False, before.lines, before.csv_path, before.xlsx_path
        gathered = store.gather(connection, lender, agency, period, currency)
        if gathered is None:
            return False, 0, "", ""
        statement_id, totals = gathered
        # files first: the same lines give the same bytes, so that a run killed here is made good by the next
        csv, xlsx, sha256 = _write(at, connection, statement_id, agency, period, stem)
        now = at.now()
        store.keep(
            connection, totals, statement_id=statement_id, lender=lender, agency=agency, period=period,
            currency=currency, csv_path=csv, xlsx_path=xlsx, sha256=sha256, made_at=now,
        )  # fmt: skip
        today = at.today(exchange.lender_timezone(connection, lender))
        work = exchange.Work(
            f"statement:{statement_id}", lender, agency, "statement", today, suffix_for(connection)(agency),
            {"statement_id": statement_id},
        )  # fmt: skip
        transmission_id, _ = exchange.prepare(connection, work)
        store.note_transmission(connection, statement_id, transmission_id)
        details: dict[str, str | int] = {"agency": agency, "period": period, "currency": currency, "sha256": sha256}
        details["lines"] = totals.lines
        audit.record(connection, at.actor, "statement.made", f"statement:{statement_id}", details, now)
    return True, totals.lines, csv, xlsx


@verb
def state_period(lender: str, period: str) -> StatementReport:
    """State the month `YYYY-MM` to every agency of the lender; safe to run again, and after a kill."""
    at = desk()
    with at.database.read() as connection:
        today = at.today(exchange.lender_timezone(connection, lender))
        if store.last_day(period) > store.last_day(f"{today:%Y-%m}"):
            raise UsageError(f"{period} has not begun", fix="state a month that is over, or nearly")
        subjects = store.to_state(connection, lender, period)
    made = [one for one in make.map(subjects, lender, period) if one[1]]
    return StatementReport(
        lender=lender,
        period=period,
        statements=len(made),
        made=sum(new for new, *_ in made),
        lines=sum(lines for _, lines, *_ in made),
        files=tuple(path for _, _, csv, xlsx in made for path in (csv, xlsx)),
    )


def _write(
    at: Desk, connection: Connection, statement_id: int, agency: str, period: str, stem: str
) -> tuple[str, str, str]:
    """The files of the statement, below home, and the CSV's hash."""
    key = at.keyring.pseudonym_key(agency)

    def shards() -> Iterator[pd.DataFrame]:
        for shard in store.statement_lines(connection, statement_id, at.settings.shard_rows, period):
            yield shard.assign(account=pseudonyms(key, shard["account_id"].to_numpy(dtype=np.int64)).to_numpy())

    folder = at.folder("statements")
    csv, xlsx, sha256 = statements.write(shards, folder, stem)
    home = at.settings.home
    return str(csv.relative_to(home)), str(xlsx.relative_to(home)), sha256
