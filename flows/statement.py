"""State: tell each agency what it recovered in a month, and the commission that we owe for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from flows.engine import step, verb
from flows.exchange import suffix_for
from infra import audit, statements
from infra.store import exchange, periods
from infra.store import statements as store
from infra.store.contracts import contracts_of
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
def make(one: tuple[str, str], lender: str, period: str) -> tuple[bool, int, tuple[str, ...]]:
    """The statement to one agency in one currency is made and waits in the outbox; or it was made before."""
    agency, currency = one
    at = desk()
    with at.database.write() as connection:
        before = store.made_before(connection, lender, agency, period, currency)
        if before is not None:
            paths = (before.csv_path, before.xlsx_path, before.pdf_path)
            if not all((at.settings.home / path).exists() for path in paths):
                totals = store.Totals(**{name: getattr(before, name) for name in store.Totals.__dataclass_fields__})
                _write(at, connection, before.statement_id, one, lender, period, totals, before.made_at)
            return False, before.lines, paths
        if periods.is_closed(connection, lender, period):
            return False, 0, ()  # what came since then stands on the next month's statement
        now = at.now()
        gathered = store.gather(connection, lender, agency, period, currency, now)
        if gathered is None:
            return False, 0, ()
        statement_id, totals = gathered
        # files first: the same lines give the same bytes, so that a run killed here is made good by the next
        files = _write(at, connection, statement_id, one, lender, period, totals, now)
        store.keep(
            connection, totals, statement_id=statement_id, lender=lender, agency=agency, period=period,
            currency=currency, made_at=now, **files,
        )  # fmt: skip
        today = at.today(exchange.lender_timezone(connection, lender))
        work = exchange.Work(
            f"statement:{statement_id}", lender, agency, "statement", today, suffix_for(connection)(agency),
            {"statement_id": statement_id},
        )  # fmt: skip
        transmission_id, _ = exchange.prepare(connection, work)
        store.note_transmission(connection, statement_id, transmission_id)
        details: dict[str, str | int] = {"agency": agency, "period": period, "currency": currency}
        details |= {name: text for name, text in files.items() if name.endswith("sha256")}
        details["lines"] = totals.lines
        audit.record(connection, at.actor, "statement.made", f"statement:{statement_id}", details, now)
    return True, totals.lines, tuple(files[f"{kind}_path"] for kind in ("csv", "xlsx", "pdf"))


@verb
def state_period(lender: str, period: str) -> StatementReport:
    """State the month `YYYY-MM` to every agency of the lender; safe to run again, and after a kill."""
    at = desk()
    with at.database.read() as connection:
        today = at.today(exchange.lender_timezone(connection, lender))
        if store.last_day(period) > store.last_day(f"{today:%Y-%m}"):
            raise UsageError(f"{period} has not begun", fix="state a month that is over, or nearly")
        subjects = store.to_state(connection, lender, period)
    made = [one for one in make.map(subjects, lender, period) if one[2]]
    return StatementReport(
        lender=lender,
        period=period,
        statements=len(made),
        made=sum(new for new, *_ in made),
        lines=sum(lines for _, lines, _ in made),
        files=tuple(path for *_, paths in made for path in paths),
    )


def _write(
    at: Desk,
    connection: Connection,
    statement_id: int,
    one: tuple[str, str],
    lender: str,
    period: str,
    totals: store.Totals,
    made_at: datetime,
) -> dict[str, str]:
    """The statement's files, below home, and their hashes, as its row keeps them."""
    agency, currency = one
    key = at.keyring.pseudonym_key(agency)

    def shards() -> Iterator[pd.DataFrame]:
        for shard in store.statement_lines(connection, statement_id, at.settings.shard_rows, period):
            names = pd.Series(None, index=shard.index, dtype="str")
            known = shard["account_id"].notna()
            if known.any():
                names[known] = pseudonyms(key, shard.loc[known, "account_id"].to_numpy(dtype=np.int64)).to_numpy()
            yield shard.assign(account=names)

    folder, stem = at.folder("statements"), f"{lender}.{agency}.{period}.{currency}"
    heading = statements.Heading(
        lender=exchange.lender_name(connection, lender),
        agency=str(exchange.agency(connection, agency).name),
        period=period,
        currency=currency,
        number=statement_id,
        made_on=made_at.astimezone(ZoneInfo(exchange.lender_timezone(connection, lender))).date(),
        csv_name=f"{stem}.csv",
    )
    account = store.account(connection, statement_id, period)
    code = contracts_of(connection, lender, agency).at(store.last_day(period)).language
    csv, xlsx, sha256 = statements.write(shards, folder, stem, statements.sheet(heading, totals, account, code))
    pdf = folder / f"{stem}.pdf"
    statements.write_page(pdf, heading, totals, account, code, sha256, at.settings.statement_font)
    found = {"sha256": sha256}
    for kind, path in (("csv", csv), ("xlsx", xlsx), ("pdf", pdf)):
        found[f"{kind}_path"] = str(path.relative_to(at.settings.home))
        if kind != "csv":
            found[f"{kind}_sha256"] = _digest(path)
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
