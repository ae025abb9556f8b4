"""Conduct: hold what agencies reported against the rules, and close the gates of those above a limit."""

from __future__ import annotations

from flows.engine import Schedule, verb
from infra.conduct import Conducted, audit_conduct
from infra.wiring import desk


@verb(schedule=Schedule("30 5 * * *"))
def conduct(everything: bool = False) -> Conducted:
    """Audit what agencies reported since the last run; the whole history anew if asked. Safe to run again."""
    return audit_conduct(desk(), everything=everything)
