"""Retain: delete what is due, forget whose time is over, and finish what killed runs left."""

from __future__ import annotations

from flows.engine import Schedule, verb
from infra import retention
from infra.retention import Ran
from infra.wiring import desk


@verb(schedule=Schedule("15 2 * * *"))
def retain() -> Ran:
    """Delete whatever is due by the lenders' schedules and no legal hold keeps; safe to run again."""
    return retention.run(desk())
