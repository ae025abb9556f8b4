"""Renewal: say once a day which keys end soon, and what was renewed since."""

from __future__ import annotations

from dataclasses import dataclass

from flows.engine import Schedule, verb
from infra import expiry
from infra.wiring import desk


@dataclass(frozen=True)
class RenewalReport:
    """What one look at every key's time did."""

    ending: int
    """keys that end soon, or have ended, with nothing after them"""
    exceptions_opened: int
    exceptions_resolved: int


@verb(schedule=Schedule("0 6 * * *"))
def watch_keys() -> RenewalReport:
    """Open an exception for every key that ends soon, resolve those of renewed ones; safe to run again."""
    did = expiry.watch(desk())
    return RenewalReport(did.ending, did.opened, did.resolved)
