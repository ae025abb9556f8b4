"""Closing a lender's month: the checklist, the lock, the hashes that stay; and opening it again by two people (R14).

Closing is one transaction: looked through, hashed, locked, on record, or none of it. Nobody posts meanwhile. A month
that is closed stays byte-identical: the database refuses to change it, and `verified` hashes it again.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.csv as pacsv

from infra import audit, roles
from infra.store import balances, bulk, checklist, exchange, periods
from infra.store.statements import last_day
from models.closing import FINDINGS, Finding
from models.errors import Findings, RefusedByPolicy, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

WHY_AT_LEAST: Final = 10
DIGEST_ROWS: Final = 100_000
JOURNAL: Final = ("entry_key", "event", "agency", "value_date", "period", "posted_on", "ledger", "code", "line_agency",
                  "account_id", "currency", "amount_minor")  # fmt: skip
"""What is hashed of every line, in the order of entries and lines."""
BALANCE: Final = ("agency", "code", "currency", "opening_minor", "debit_minor", "credit_minor", "balance_minor")


class MonthStopped(Findings):
    """Something on the checklist stands in the way of closing the month."""


@dataclass(frozen=True)
class Closed:
    """A month that is closed."""

    closing_id: int
    lender: str
    period: str
    revision: int
    entries: int
    lines: int
    statements: int
    sha256: str
    closed_by: str
    new: bool
    """by this call; False: it was closed already"""


@dataclass(frozen=True)
class Digest:
    """The hashes of a month, and how much is in it."""

    entries: int
    lines: int
    journal_sha256: str
    balance_sha256: str
    statements: str
    sha256: str


def check(desk: Desk, lender: str, period: str) -> list[Finding]:
    """The month's checklist, every line of it: what is found, how much it weighs, and who accepted it."""
    with desk.database.read() as connection:
        return _checked(connection, desk, lender, period)


def refuse_stopped(desk: Desk, lender: str, period: str) -> None:
    """Nothing where the month may be closed. Raises MonthStopped, naming what stands in the way."""
    stops = [one for one in check(desk, lender, period) if one.stops]
    if stops:
        raise MonthStopped(f"{period} of {lender}: {', '.join(one.finding for one in stops)}", fix=stops[0].fix)


def accept(desk: Desk, lender: str, period: str, finding: str, why: str) -> Finding:
    """The finding is accepted as it stands: the month may be closed in spite of it, by whoever closes it.

    Raises UsageError for what is no finding or a reason that says nothing; RefusedByPolicy for one that no month is
    closed with.
    """
    if finding not in FINDINGS:
        raise UsageError(f"there is no finding {finding!r}", fix=f"there are {', '.join(FINDINGS)}")
    if FINDINGS[finding].weight == "must":
        raise RefusedByPolicy(f"nobody can accept {finding}", fix=FINDINGS[finding].fix)
    _said(why)
    now = desk.now()
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        found = next(one for one in _checked(connection, desk, lender, period) if one.finding == finding)
        if not found.found:
            raise UsageError(f"there is no {finding} in {period}", fix="`consign close check` shows what there is")
        periods.accept(
            connection, lender, period, finding,
            found=found.found, why=why.strip(), accepted_by=desk.actor, accepted_at=now,
        )  # fmt: skip
        _record(
            connection, desk, "finding_accepted", lender, period, finding=finding, count=found.found,
            reason_sha256=_digest(why.strip()),
        )  # fmt: skip
        return next(one for one in _checked(connection, desk, lender, period) if one.finding == finding)


def close(desk: Desk, lender: str, period: str) -> Closed:
    """The month is closed; or it was, and nothing happens. Raises MonthStopped, naming what stands in the way."""
    now = desk.now()
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        exchange.lender_timezone(connection, lender)
        periods.hold(connection, lender, alone=True)
        before = periods.closing(connection, lender, period)
        if before is not None:
            return _closed(before, new=False)
        if periods.is_closed(connection, lender, period):
            raise UsageError(f"{period} was closed with a later month", fix="`consign close show` lists the closings")
        found = _checked(connection, desk, lender, period)
        if stops := [one for one in found if one.stops]:
            raise MonthStopped(
                f"{period} of {lender} cannot be closed: {', '.join(one.finding for one in stops)}",
                fix="`consign close check` says what to do; `consign close accept` lets some of it pass",
            )
        accepted = [asdict(one) for one in found if one.found and one.weight != "told"]
        digest = digested(connection, desk, lender, period)
        closing_id = periods.close(
            connection, lender, period, closed_at=now, closed_by=desk.actor, accepted=periods.as_json(accepted),
            **asdict(digest),
        )  # fmt: skip
        _record(
            connection, desk, "month_closed", lender, period, sha256=digest.sha256, entries=digest.entries,
            lines=digest.lines, accepted=len(accepted),
        )  # fmt: skip
        row = periods.closing(connection, lender, period)
        assert row is not None and row.closing_id == closing_id  # noqa: S101, PT018 - it was closed above
        return _closed(row, new=True)


def ask_reopening(desk: Desk, lender: str, period: str, why: str) -> int:
    """The number of the request to open the last closed month again, for a second person to approve."""
    _said(why)
    now = desk.now()
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        row = _last_closed(connection, lender, period)
        number = periods.ask_reopening(connection, row, why.strip(), desk.actor, now)
        _record(connection, desk, "reopening_asked", lender, period, id=number, reason_sha256=_digest(why.strip()))
        return number


def approve_reopening(desk: Desk, reopening_id: int) -> Row[Any]:
    """The month is open again, for somebody else asked for it. Raises RefusedByPolicy for the one who did."""
    now = desk.now()
    with desk.database.write() as connection:
        roles.require(connection, desk, "finance")
        row = _waiting(connection, reopening_id)
        periods.hold(connection, row.lender, alone=True)
        if row.asked_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} asked for it, and cannot approve it", fix="let a second person approve it"
            )
        if _last_closed(connection, row.lender, row.period).closing_id != row.closing_id:
            raise RefusedByPolicy(
                f"{row.period} was closed anew since request {reopening_id}", fix="withdraw it and ask again"
            )
        periods.settle_reopening(connection, reopening_id, "done", desk.actor, now)
        periods.reopen(connection, row.lender, row.period)
        _record(connection, desk, "month_reopened", row.lender, row.period, id=reopening_id)
        return periods.reopening(connection, reopening_id)


def withdraw_reopening(desk: Desk, reopening_id: int) -> None:
    """Nothing comes of the request; anybody may say so."""
    now = desk.now()
    with desk.database.write() as connection:
        row = _waiting(connection, reopening_id)
        periods.settle_reopening(connection, reopening_id, "withdrawn", desk.actor, now)
        _record(connection, desk, "reopening_withdrawn", row.lender, row.period, id=reopening_id)


def listed(desk: Desk, lender: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Every closing and every request to open a month again, the newest first."""
    with desk.database.read() as connection:
        closings = [dict(row._mapping) for row in periods.closings(connection, lender)]  # noqa: SLF001 - its public name
        asked = [dict(row._mapping) for row in periods.reopenings(connection, lender)]  # noqa: SLF001 - likewise
    for row in closings:
        row["state"] = row["state"] if row.pop("last") else "replaced"
        row["statements"], row["accepted"] = (json.loads(row[name]) for name in ("statements", "accepted"))
    return {"closings": closings, "reopenings": asked}


def verified(desk: Desk, lender: str | None = None) -> list[dict[str, Any]]:
    """Every law that can be looked at again, per lender: `law`, `about`, `holds`, `detail`."""
    found = []
    with desk.database.read() as connection:
        for one in [lender] if lender else [code for code, _ in exchange.lenders(connection)]:
            wrong = checklist.crooked(connection, one)
            found.append(_law(one, "entries sum to 0 and are sealed", wrong[: checklist.SHOWN]))
            found.append(_law(one, "the bank ledger moves as the statements do", _bank(connection, one)))
            for row in reversed(periods.closings(connection, one)):
                if row.state != "closed" or not row.last:
                    continue
                now = digested(connection, desk, one, row.period, since=row.since)
                kept = {"journal": "journal_sha256", "trial balance": "balance_sha256", "statements": "statements"}
                changed = [name for name, column in kept.items() if getattr(now, column) != getattr(row, column)]
                found.append(_law(one, f"{row.period} is what was closed", changed))
    return found


def digested(connection: Connection, desk: Desk, lender: str, period: str, *, since: str | None = None) -> Digest:
    """The month hashed: its journal line by line, its trial balance, its statements' files.

    A lender's first closing takes in everything before it. since: the month closed before, where it is not the last.
    """
    after = since if since is not None else _before(connection, lender, period)
    entries = lines = 0
    journal = hashlib.sha256()
    for shard in _shards(connection, lender, after, period):
        journal.update(_canonical(shard[list(JOURNAL)]))
        lines += len(shard)
        entries += int(shard["begins"].sum())
    standing = balances.trial_balance(connection, lender, period=period)[list(BALANCE)]
    balance = hashlib.sha256(_canonical(standing)).hexdigest()
    statements = periods.as_json(_stated(connection, desk, lender, period))
    whole = _digest(f"{journal.hexdigest()}\n{balance}\n{statements}")
    return Digest(entries, lines, journal.hexdigest(), balance, statements, whole)


def _canonical(rows: pd.DataFrame) -> bytes:
    """The rows as they are hashed: Arrow's CSV without a header, text in quotes, days in ISO 8601, null as nothing."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(place, column.name, table.column(place).cast(pa.date32()))
    out = io.BytesIO()
    pacsv.write_csv(table, out, pacsv.WriteOptions(include_header=False))
    return out.getvalue()


def _before(connection: Connection, lender: str, period: str) -> str | None:
    row = periods.closing(connection, lender, period)
    return row.since if row is not None else periods.closed_through(connection, lender)


def _shards(connection: Connection, lender: str, after: str | None, period: str) -> Iterator[pd.DataFrame]:
    """The month's lines by entry and line, JOURNAL and `begins`: whether an entry begins there."""
    last = -1
    for shard in bulk.read_chunks(connection, balances.lines_of(lender, after, period), DIGEST_ROWS):
        shard["begins"] = shard["entry_id"].ne(shard["entry_id"].shift(1, fill_value=last))
        last = int(shard["entry_id"].iloc[-1]) if len(shard) else last
        yield shard


def _stated(connection: Connection, desk: Desk, lender: str, period: str) -> list[dict[str, Any]]:
    """Each statement of the month: agency, currency, its sums, and the hash of each of its files as they lie there."""
    found = []
    for row in checklist.statements(connection, lender, period):
        told = {name: row[name] for name in row if name in {"agency", "currency", "lines"} or name.endswith("_minor")}
        paths = sorted(row[name] for name in row if name.endswith("_path") and row[name])
        found.append(told | {"files": {Path(path).name: _file(desk.settings.home / path) for path in paths}})
    return found


def _checked(connection: Connection, desk: Desk, lender: str, period: str) -> list[Finding]:
    today = desk.today(exchange.lender_timezone(connection, lender))
    closed = periods.closed_through(connection, lender)
    old, young = checklist.breaks(connection, lender, period, desk.settings.close_break_days)
    loose = checklist.unapplied(connection, lender, period)
    waiting = checklist.invoices_waiting(connection, lender, period)
    found: dict[str, tuple[int, list[str]]] = {
        "month_not_over": _of([f"today is {today}"] if today <= last_day(period) else []),
        "earlier_month_open": _of(checklist.earlier_open(connection, lender, period)),
        "entries_crooked": _of(checklist.crooked(connection, lender, closed, period)),
        "bank_differs": _of(_bank(connection, lender)),
        "not_stated": _of(checklist.not_stated(connection, lender, period)),
        "statement_files": _of(_wrong_files(connection, desk, lender, period)),
        "bank_gap": _of(checklist.bank_gaps(connection, lender, period)),
        "breaks_overdue": (sum(old.values()), [f"{code} {count}" for code, count in old.items()]),
        "unapplied": (
            sum(count for count, _ in loose.values()),
            [f"{count} receipts, {minor} minor units of {code}" for code, (count, minor) in loose.items()],
        ),
        "invoices_waiting": (sum(waiting.values()), [f"{agency} {count}" for agency, count in waiting.items()]),
        "breaks_open": (sum(young.values()), [f"{code} {count}" for code, count in young.items()]),
    }
    accepted = periods.accepted(connection, lender, period)
    result = []
    for name, kind in FINDINGS.items():
        count, parts = found[name]
        more = f" and {len(parts) - checklist.SHOWN} more" if len(parts) > checklist.SHOWN else ""
        said = accepted.get(name)
        by = said if said is not None and count <= said["found"] else None
        result.append(
            Finding(
                name, kind.weight, count, "; ".join(parts[: checklist.SHOWN]) + more, kind.about, kind.fix,
                accepted_by=by["accepted_by"] if by else None, why=by["why"] if by else None,
            )
        )  # fmt: skip
    return result


def _wrong_files(connection: Connection, desk: Desk, lender: str, period: str) -> list[str]:
    """Statements' files that are gone, or whose bytes are not those that were stated."""
    wrong = []
    for row in checklist.statements(connection, lender, period):
        for kind in ("csv", "xlsx", "pdf"):
            path = row.get(f"{kind}_path")
            stated = row.get("sha256" if kind == "csv" else f"{kind}_sha256")
            if path and stated and _file(desk.settings.home / path) != stated:
                wrong.append(Path(path).name)
    return wrong


def _bank(connection: Connection, lender: str) -> list[str]:
    """Where ledger 1010 and the bank's statements differ, in words."""
    off = checklist.bank_differences(connection, lender)
    return [f"{minor} minor units of {code}" for code, minor in off.items()]


def _of(parts: list[str]) -> tuple[int, list[str]]:
    return len(parts), parts


def _law(lender: str, law: str, wrong: list[str]) -> dict[str, Any]:
    return {"lender": lender, "law": law, "holds": not wrong, "detail": "; ".join(wrong)}


def _last_closed(connection: Connection, lender: str, period: str) -> Row[Any]:
    """The closing of the month, where it is the last that is closed. Raises UsageError, RefusedByPolicy."""
    exchange.lender_timezone(connection, lender)
    last_day(period)
    row = periods.closing(connection, lender, period)
    last = periods.closed_through(connection, lender)
    if row is None:
        raise UsageError(f"{period} of {lender} is not closed", fix="`consign close show` lists the closings")
    if period != last:
        raise RefusedByPolicy(f"{last} is closed after {period}", fix=f"open {last} first: months open in turn")
    return row


def _waiting(connection: Connection, reopening_id: int) -> Row[Any]:
    row = periods.reopening(connection, reopening_id)
    if row.state != "waiting":
        raise RefusedByPolicy(f"request {reopening_id} is {row.state}", fix="ask anew")
    return row


def _closed(row: Row[Any], *, new: bool) -> Closed:
    return Closed(
        closing_id=row.closing_id, lender=row.lender, period=row.period, revision=row.revision, entries=row.entries,
        lines=row.lines, statements=len(json.loads(row.statements)), sha256=row.sha256, closed_by=row.closed_by,
        new=new,
    )  # fmt: skip


def _said(why: str) -> None:
    if len(why.strip()) < WHY_AT_LEAST:
        raise UsageError("the reason says nothing", fix="say in a sentence why")


def _record(connection: Connection, desk: Desk, action: str, lender: str, period: str, **details: audit.Value) -> None:
    told = {"lender": lender, "period": period, **details}
    audit.record(connection, desk.actor, f"books.{action}", f"period:{lender}:{period}", told, desk.now())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file(path: Path) -> str:
    """The file's SHA-256; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
