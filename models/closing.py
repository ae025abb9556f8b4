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
            "take the missing statement in: `consign recon import-statement`",
        ),
        "breaks_overdue": Kind(
            "should", "breaks are open for longer than `close_break_days`", "settle them: `consign recon breaks`"
        ),
        "unapplied": Kind(
            "should", "money of the month is tied to nothing", "ask who paid: `consign recon breaks --code no_line`"
        ),
        "invoices_waiting": Kind(
            "should", "lines of agencies' invoices are neither agreed nor disputed", "`consign recon run`"
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


@dataclass(frozen=True)
class Covered:
    """The days of a bank account that one statement covers, and its balances where it says them."""

    first: date
    last: date
    opening_minor: int | None
    closing_minor: int | None


def gaps(statements: Iterable[Covered], first: date, last: date) -> list[str]:
    """What of the days `first` to `last` an account's statements leave out, and where balances do not follow, in words.

    statements: of one account, by their first day. The account counts from its first statement on.
    """
    found: list[str] = []
    before: Covered | None = None
    for one in statements:
        day = before.last + timedelta(days=1) if before else one.first
        if one.last >= first and one.first > max(day, first):
            found.append(f"{max(day, first)} to {one.first - timedelta(days=1)} on no statement")
        follows = before is not None and one.first >= day and one.last >= first
        if follows and before and _differ(before.closing_minor, one.opening_minor):
            found.append(f"the statement from {one.first} does not begin where the one before it ends")
        if before is None or one.last >= before.last:
            before = one
    day = max(before.last + timedelta(days=1), first) if before else first
    if day <= last:
        found.append(f"{day} to {last} on no statement")
    return found


def _differ(closing_minor: int | None, opening_minor: int | None) -> bool:
    return closing_minor is not None and opening_minor is not None and closing_minor != opening_minor
