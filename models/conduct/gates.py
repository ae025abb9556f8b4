"""Limits per agency: what is measured, and whether it stops new placements."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.conduct.packs import Gate

OPENS_BY_ITSELF: Final = frozenset({"diligence_missing", "complaints_overdue", "erasures_overdue"})
"""What is done makes these open again; any other gate that closed is lifted by a second person alone."""
THOUSAND: Final = 1000


@dataclass(frozen=True)
class Figures:
    """What is known of an agency over a gate's window."""

    accounts: int = 0
    """that it held at some time"""
    contacts: int = 0
    contacts_in_breach: int = 0
    """by rules that are not low"""
    breaches_upheld: Mapping[str, int] = field(default_factory=dict)
    """serious ones, by rule"""
    complaints: int = 0
    complaints_upheld: Mapping[str, int] = field(default_factory=dict)
    """by category"""
    complaints_overdue: int = 0
    diligence_missing: Sequence[str] = ()
    erasures_overdue: int = 0
    """placements whose certificate of erasure is overdue by more than the window"""


@dataclass(frozen=True)
class Verdict:
    """What a gate measures of an agency, and whether it is above the limit."""

    measured: Decimal
    limit: Decimal
    above: bool
    detail: str


def verdict(gate: Gate, figures: Figures) -> Verdict:
    """The gate's measure against its limit; a rate over fewer than `least` says nothing, and is not above."""
    measured, base, detail = _measured(gate, figures)
    return Verdict(measured, gate.limit, measured > gate.limit and base >= gate.least, detail)


def _measured(gate: Gate, figures: Figures) -> tuple[Decimal, int, str]:
    """The measure, what it is taken over, and how it came about."""
    if gate.measure == "complaints_per_1000":
        return (
            _per_thousand(figures.complaints, figures.accounts), figures.accounts,
            f"{figures.complaints} complaints, {figures.accounts} accounts",
        )  # fmt: skip
    if gate.measure == "breaches_per_1000":
        return (
            _per_thousand(figures.contacts_in_breach, figures.contacts), figures.contacts,
            f"{figures.contacts_in_breach} of {figures.contacts} contacts",
        )  # fmt: skip
    if gate.measure == "diligence_missing":
        return Decimal(len(figures.diligence_missing)), gate.least, ", ".join(figures.diligence_missing)
    if gate.measure == "erasures_overdue":
        return Decimal(figures.erasures_overdue), gate.least, f"{figures.erasures_overdue} placements"
    if gate.measure == "complaints_overdue":
        return Decimal(figures.complaints_overdue), gate.least, ""
    counts, wanted = (
        (figures.breaches_upheld, gate.rules)
        if gate.measure == "breaches_upheld"
        else (figures.complaints_upheld, gate.categories)
    )
    told = {name: number for name, number in sorted(counts.items()) if not wanted or name in wanted}
    return Decimal(sum(told.values())), gate.least, ", ".join(f"{name}:{number}" for name, number in told.items())


def _per_thousand(part: int, whole: int) -> Decimal:
    return Decimal(0) if not whole else (Decimal(THOUSAND * part) / whole).quantize(Decimal("0.01"))
