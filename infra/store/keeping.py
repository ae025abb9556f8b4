"""What is kept all the same and what was forgotten for good, page by page: legal holds and shreddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import not_, select

from infra.store import bulk, keyset
from infra.store.shredding import LEGAL_HOLDS, in_force
from models.tables import Shredding

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection

SHREDDINGS: Final = bulk.table_of(Shredding)
_HOLDS: Final = keyset.Order((LEGAL_HOLDS.c.legal_hold_id,), falling=True)
_SHREDDINGS: Final = keyset.Order((SHREDDINGS.c.shredding_id,), falling=True)


def holds(
    connection: Connection, today: date, *, ended: bool = False, after: str | None = None
) -> keyset.Page:  # fmt: skip
    """Legal holds in force, or those that were lifted or have ended; the newest first."""
    counts = in_force(today)
    return keyset.page(connection, select(LEGAL_HOLDS).where(not_(counts) if ended else counts), _HOLDS, after)


def shreddings(connection: Connection, *, state: str = "", after: str | None = None) -> keyset.Page:
    """Requests to forget for good and what became of them, the newest first; of one state where one is named."""
    statement = select(SHREDDINGS)
    return keyset.page(
        connection, statement.where(SHREDDINGS.c.state == state) if state else statement, _SHREDDINGS, after
    )
