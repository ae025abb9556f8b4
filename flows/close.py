"""Close: lock a lender's month, so that its books and statements stay what they are."""

from __future__ import annotations

from flows.engine import verb
from infra import closing
from infra.wiring import desk


@verb
def close_month(lender: str, period: str) -> closing.Closed:
    """Close the month `YYYY-MM` of the lender; safe to run again, and after a kill.

    Raises MonthStopped where something on the checklist stands in the way; nothing is changed then.
    """
    return closing.close(desk(), lender, period)
