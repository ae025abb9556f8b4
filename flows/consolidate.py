"""Consolidate: who is one debtor for several lenders, whose accounts are divided, which shares are not remitted."""

from __future__ import annotations

from flows.engine import Schedule, verb
from infra import jointpayments
from infra.consolidation import Linked
from infra.consolidation import consolidate as look
from infra.wiring import desk


@verb(schedule=Schedule("40 4 * * *"))
def consolidate() -> Linked:
    """Look up who is linked on the bases that count today, and open what a person must see to. Safe to run again."""
    at = desk()
    told = look(at)
    with at.database.write() as connection:
        jointpayments.watch(connection, at)
    return told
