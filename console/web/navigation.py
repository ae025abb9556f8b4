"""The side of every page: what there is, in the order people work in. An entry shows where its page may be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from console.web.language import later

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator


@dataclass(frozen=True)
class Entry:
    """A page that the side leads to, and what it takes to see it."""

    path: str
    title: str
    action: str


@dataclass(frozen=True)
class Section:
    """Entries under one heading."""

    title: str
    entries: tuple[Entry, ...]


SECTIONS: Final = (
    Section("", (Entry("/", later("Waiting for me"), "home.see"),)),
    Section(
        later("Agency portal"),
        (
            Entry("/portal", later("What to do next"), "portal.see"),
            Entry("/portal/check", later("Check a file"), "portal.check"),
            Entry("/portal/files", later("Files"), "portal.see"),
            Entry("/portal/statements", later("Statements"), "portal.see"),
            Entry("/portal/scorecard", later("Scorecard"), "portal.see"),
            Entry("/portal/instalments", later("Instalment plans"), "portal.see"),
            Entry("/portal/erasures", later("Erasures"), "portal.see"),
            Entry("/portal/keys", later("Keys"), "portal.see"),
        ),
    ),
    Section(
        later("Portfolio"),
        (
            Entry("/portfolios", later("Portfolios"), "portfolios.see"),
            Entry("/lenders", later("Lenders"), "portfolios.see"),
            Entry("/placements", later("Placements"), "portfolios.see"),
            Entry("/plans", later("Allocations"), "plans.see"),
            Entry("/recalls", later("Recalls"), "recalls.see"),
            Entry("/strategies", later("Strategies"), "strategies.see"),
            Entry("/instalments", later("Instalment plans"), "instalments.see"),
            Entry("/schedules", later("Schedules"), "schedules.see"),
        ),
    ),
    Section(
        later("Agencies"),
        (
            Entry("/agencies", later("Agencies"), "agencies.see"),
            Entry("/contracts", later("Contracts"), "agencies.see"),
            Entry("/exceptions", later("Exceptions"), "exceptions.see"),
            Entry("/exchanges", later("Exchanges"), "agencies.see"),
            Entry("/layouts", later("Layouts"), "agencies.see"),
            Entry("/keys", later("Keys"), "agencies.see"),
            Entry("/scorecards", later("Scorecards"), "scorecards.see"),
            Entry("/evaluations", later("Evaluations"), "evaluations.see"),
            Entry("/propensity", later("Who pays"), "propensity.see"),
        ),
    ),
    Section(
        later("Finance"),
        (
            Entry("/recoveries", later("Recoveries"), "recoveries.see"),
            Entry("/breaks", later("Breaks"), "breaks.see"),
            Entry("/statements", later("Statements"), "statements.see"),
            Entry("/closing", later("Month close"), "closing.see"),
            Entry("/payments", later("Payments"), "payments.see"),
            Entry("/bank", later("Bank statements"), "recoveries.see"),
            Entry("/ledger", later("Trial balance"), "recoveries.see"),
            Entry("/forecast", later("Cash forecast"), "forecast.see"),
        ),
    ),
    Section(
        later("Compliance"),
        (
            Entry("/policies", later("Field policy"), "policies.see"),
            Entry("/disclosures", later("Disclosure register"), "disclosures.ask"),
            Entry("/requests", later("Debtors' requests"), "subjects.see"),
            Entry("/erasures", later("Erasure certificates"), "erasures.see"),
            Entry("/complaints", later("Complaints"), "complaints.see"),
            Entry("/consolidation", later("Collecting together"), "consolidation.see"),
            Entry("/breaches", later("Breaches and gates"), "conduct.see"),
            Entry("/gate", later("The gate"), "allowances.see"),
            Entry("/retention", later("Keep and forget"), "retention.see"),
            Entry("/audit", later("Audit trail"), "audit.see"),
            Entry("/assessments", later("Assessments"), "reports.see"),
        ),
    ),
    Section(
        later("The house"),
        (
            Entry("/people", later("People"), "people.see"),
            Entry("/jobs", later("Jobs"), "jobs.see"),
            Entry("/operations", later("Operations"), "operations.see"),
            Entry("/backups", later("Backups"), "operations.see"),
        ),
    ),
)


def shown(there: Collection[str], may: Callable[[str], bool]) -> Iterator[Section]:
    """The sections with the entries that are there and allowed; those without any are left out."""
    for section in SECTIONS:
        entries = tuple(entry for entry in section.entries if entry.path in there and may(entry.action))
        if entries:
            yield Section(section.title, entries)
