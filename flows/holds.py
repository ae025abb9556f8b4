"""Holds: why a debtor may not be placed, and is recalled if already out; put on and lifted by a person, on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from infra import audit
from infra.indexes import ref_index
from infra.store import portfolios
from infra.wiring import desk
from models.errors import UsageError
from models.kinds import HOLD_REASONS


@dataclass(frozen=True)
class HoldReport:
    """A hold as it stands: account_id is None where it covers all of the debtor's accounts."""

    hold_id: int
    debtor_id: int
    account_id: int | None
    reason: str
    until: date | None
    changed: bool


def place_hold(
    lender: str, account_ref: str, reason: str, until: date | None = None, *, account_only: bool = False
) -> HoldReport:
    """The debtor of this account is on hold from today, or the account alone. The same hold twice is one.

    account_ref: the lender's own number; it is looked up by its keyed index and kept nowhere.
    Raises UsageError for an unknown reason, lender or number.
    """
    at = desk()
    if reason not in HOLD_REASONS:
        raise UsageError(f"{reason!r} is no reason for a hold", fix=f"use one of {', '.join(HOLD_REASONS)}")
    index = ref_index(at.keyring, pd.Series([account_ref], dtype="str"))[0]
    with at.database.write() as connection:
        account_id, debtor_id = portfolios.account_by_ref(connection, lender, index)
        held = account_id if account_only else None
        hold_id, changed = portfolios.add_hold(connection, debtor_id, held, reason, at.today(), until, at.actor)
        if changed:
            about = f"account:{held}" if held else f"debtor:{debtor_id}"
            last = until.isoformat() if until else None
            details: dict[str, audit.Value] = {"hold_id": hold_id, "reason": reason, "until": last}
            audit.record(connection, at.actor, "hold.placed", about, details, at.now())
    return HoldReport(hold_id, debtor_id, held, reason, until, changed)


def lift_hold(hold_id: int) -> bool:
    """True if the hold was in force and no longer is; false if it had been lifted before."""
    at = desk()
    with at.database.write() as connection:
        lifted = portfolios.lift_hold(connection, hold_id, at.now())
        if lifted:
            audit.record(connection, at.actor, "hold.lifted", f"hold:{hold_id}", {}, at.now())
    return lifted
