"""What stands in the way of closing a month: what each finding means, what to do, and whether it may be accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

Weight = Literal["must", "should", "told"]
"""must: no month is closed with it. should: somebody accepts it by name, with a reason. told: it is only said."""


@dataclass(frozen=True)
class Kind:
    """A line of the checklist."""

    weight: Weight
    about: str
    fix: str


FINDINGS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "month_not_over": Kind("must", "the month is not over where the lender is", "wait until it is"),
        "earlier_month_open": Kind("must", "months before it have entries and are open", "close them first"),
        "entries_crooked": Kind("must", "entries do not sum to 0, or are not sealed", "report it: a fault of ours"),
        "bank_differs": Kind(
            "must", "the bank ledger has not moved as the bank's statements do", "report it: a fault of ours"
        ),
        "not_stated": Kind(
            "must", "agencies have no statement of the month yet", "`consign statement make` the month"
        ),
        "statement_files": Kind(
            "must", "files of statements are gone, or not what was stated", "`consign statement make` the month again"
        ),
        "bank_gap": Kind(
            "should", "days of the month are on no bank statement, or balances do not follow each other",
            "take the missing statement in: `consign recon import`",
        ),
        "breaks_overdue": Kind(
            "should", "breaks are open for longer than `close_break_days`", "settle them: `consign recon breaks`"
        ),
        "unapplied": Kind(
            "should", "money of the month is tied to nothing", "ask who paid: `consign recon breaks --code no_line`"
        ),
        "invoices_waiting": Kind(
            "should", "lines of agencies' invoices have no answer yet", "`consign recon run` answers them"
        ),
        "breaks_open": Kind("told", "breaks are open, and not overdue", "they go on into the next month"),
    }
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One line of a month's checklist: how many there are, which, and who has accepted them."""

    finding: str
    weight: Weight
    found: int
    detail: str
    """references, months and days; never a debtor's"""
    about: str
    fix: str
    accepted_by: str | None = None
    why: str | None = None

    @property
    def stops(self) -> bool:
        """Whether the month cannot be closed with it as it stands."""
        return bool(self.found) and (self.weight == "must" or (self.weight == "should" and self.accepted_by is None))


def uncovered(statements: Iterable[tuple[date, date]], first: date, last: date) -> list[str]:
    """What of the days `first` to `last` no statement of an account covers, in words.

    statements: the first and the last day of each, by their first day. Days before the earliest are not asked for: the
    account is new.
    """
    found: list[str] = []
    covered: date | None = None
    for begins, ends in statements:
        missing = max(covered + timedelta(days=1), first) if covered else begins
        if missing < begins <= last:
            found.append(f"{missing} to {begins - timedelta(days=1)} on no statement")
        elif missing < begins:
            break
        covered = max(covered, ends) if covered else ends
    missing = max(covered + timedelta(days=1), first) if covered else first
    if missing <= last:
        found.append(f"{missing} to {last} on no statement")
    return found
