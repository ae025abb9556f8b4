"""Breaks as people see them: listed by size, and one with everything around it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, or_, select

from infra.store.bulk import read, table_of
from models.errors import UsageError
from models.reconcile.breaks import ABOUT
from models.reconcile.sla import Sla, shipped
from models.tables import BankReceipt, Break, InvoiceLine, Match, MatchPart, RemittanceLine

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

BREAK = table_of(Break)
CLAIM = table_of(InvoiceLine)
LINE = table_of(RemittanceLine)
MATCH = table_of(Match)
PART = table_of(MatchPart)
RECEIPT = table_of(BankReceipt)

CANDIDATES_SHOWN = 20


def listed(  # noqa: PLR0913 - filters, each by its name
    connection: Connection,
    as_of: date,
    *,
    lender: str | None = None,
    agency: str | None = None,
    code: str | None = None,
    owner: str | None = None,
    state: str = "open",
    overdue: bool = False,
    limit: int = 100,
    sla: Sla | None = None,
) -> pd.DataFrame:
    """At most `limit` breaks, the largest first, with `age`, `due_on`, `overdue_days` and what they are `about`.

    overdue: only those that should have been settled by `as_of`. sla: what is agreed; default what comes with Consign.
    """
    statement = select(BREAK).where(BREAK.c.state == state)
    for column, wanted in (
        (BREAK.c.lender, lender),
        (BREAK.c.agency, agency),
        (BREAK.c.code, code),
        (BREAK.c.owner, owner),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    statement = statement.order_by(func.abs(BREAK.c.amount_minor).desc(), BREAK.c.break_id)
    found = read(connection, statement if overdue else statement.limit(limit))
    found = found.join((sla or shipped()).stated(found, as_of))
    if overdue:
        found = found[found["overdue_days"] > 0].head(limit).reset_index(drop=True)
    found["about"] = found["code"].map(dict(ABOUT)).astype("str")
    return found


def whole(connection: Connection, break_id: int) -> dict[str, Any]:
    """The break, its line, receipt or claim, and the matches that were considered. Raises UsageError."""
    row = connection.execute(select(BREAK).where(BREAK.c.break_id == break_id)).mappings().one_or_none()
    if row is None:
        raise UsageError(f"no break {break_id}", fix="`consign recon breaks` lists them")
    result: dict[str, Any] = dict(row) | json.loads(row["detail"]) | {"about": ABOUT.get(row["code"], "")}
    del result["detail"]
    for name, table, key in (
        ("line", LINE, LINE.c.line_id),
        ("receipt", RECEIPT, RECEIPT.c.receipt_id),
        ("claim", CLAIM, CLAIM.c.invoice_line_id),
    ):
        wanted = row[key.name]
        if wanted is not None:
            result[name] = dict(connection.execute(select(table).where(key == wanted)).mappings().one())
    beside = [PART.c[name] == row[name] for name in ("line_id", "receipt_id") if row[name] is not None]
    if beside:
        about = select(PART.c.match_id).where(or_(*beside))
        names = [MATCH.c[name] for name in ("match_id", "rule", "rule_version", "status")]
        parts = (
            select(*names, PART.c.line_id, PART.c.receipt_id, PART.c.amount_minor)
            .join(PART, PART.c.match_id == MATCH.c.match_id)
            .where(MATCH.c.match_id.in_(about))
            .order_by(MATCH.c.match_id, PART.c.part_id)
            .limit(CANDIDATES_SHOWN)
        )
        result["considered"] = [dict(part) for part in connection.execute(parts).mappings()]
    return result
