"""A break as two figures, the agency's file's and our ledger's, and a list of what was looked at.

Of one break at a time, for a person who looks at it; opening breaks by the million is models/reconcile/breaks.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from models.reconcile.breaks import BLOCKING, DUPLICATE
from models.reconcile.outcome import Terms

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS_EXPECTED: Final = frozenset({"commission_diff", "vat_diff"})
"""Here `expected` is what our contract gives and `found` what the agency says; elsewhere it is the other way round."""
BOTH_AGREE: Final = frozenset({"late_remittance"})
CLAIMED: Final = frozenset({"direct_payment_claim"})


@dataclass(frozen=True)
class Sides:
    """What a break is between, in minor units of its currency."""

    agency_minor: int
    """as the agency's file has it; 0 where no line of it is concerned"""
    ledger_minor: int
    """as our books and the bank have it"""

    @property
    def difference_minor(self) -> int:
        """What the agency says, less what we have."""
        return self.agency_minor - self.ledger_minor


def sides(code: str, amount_minor: int, detail: Mapping[str, int], *, of_receipt: bool) -> Sides:
    """Both figures of the break. detail: what it expected and found. of_receipt: it is about money alone, no line."""
    if "expected_minor" in detail and "found_minor" in detail:
        expected, found = int(detail["expected_minor"]), int(detail["found_minor"])
        return Sides(found, expected) if code in OURS_EXPECTED else Sides(expected, found)
    if code in BOTH_AGREE:
        return Sides(amount_minor, amount_minor)
    return Sides(0, amount_minor) if of_receipt else Sides(amount_minor, 0)


@dataclass(frozen=True)
class Checked:
    """One thing that was looked at: a name of CHECKS, whether it holds, and the figure that it is about, if any."""

    name: str
    holds: bool
    figure: int | None = None


CHECKS: Final[Mapping[str, str]] = {
    "account_known": "the pseudonym is one of ours",
    "placed_with_agency": "the account was placed with this agency",
    "within_placement": "paid while it was placed, or in the contract's tail days",
    "currency_agrees": "the currency agrees",
    "is_new": "no other line says the same",
    "original_known": "the recovery that it takes back is known",
    "agency_known": "it is known which agency paid",
    "reference_agrees": "a reference agrees",
    "amount_agrees": "the amount is within the tolerance",
    "days_agree": "the value dates are near enough",
    "only_one": "only one candidate is as good",
    "rules_may": "nobody has untied it by hand: the rules may tie it",
    "looked_at": "the rules have run since both were here",
    "commission_agrees": "the commission is what the contract gives",
    "vat_agrees": "the VAT is what the contract gives",
    "net_agrees": "net is gross less what the agency may keep",
    "balance_agrees": "no more was recovered than was placed",
    "claim_entitled": "the contract gives a commission on it",
}
"""What each check says, in the words that people see."""

_FAILS: Final[Mapping[str, str]] = {
    "unknown_account": "account_known", "wrong_agency": "placed_with_agency", "after_recall": "within_placement",
    "before_placement": "within_placement", "wrong_currency": "currency_agrees",
    "duplicate_in_file": "is_new", "duplicate_across_files": "is_new", "reversal_without_original": "original_known",
    "commission_diff": "commission_agrees", "vat_diff": "vat_agrees", "fee_netted": "net_agrees",
    "overpayment": "balance_agrees", "direct_payment_claim": "claim_entitled", "late_remittance": "days_agree",
    "ambiguous": "only_one", "amount_diff": "amount_agrees",
}  # fmt: skip
"""Of each code what did not hold. `no_receipt` and `no_line` fail by what the best candidate lacks."""
_BEFORE: Final = ("account_known", "placed_with_agency", "currency_agrees")
"""What a line of a code that is not blocking has passed already: it would not be in the books otherwise."""


@dataclass(frozen=True)
class Nearest:
    """The best counterpart that is open: how it compares with what the break is about."""

    same_reference: bool
    off_minor: int
    off_days: int


def checked(
    code: str,
    *,
    has_line: bool,
    agency_known: bool,
    nearest: Nearest | None,
    tolerance_minor: int,
    by_hand: bool = False,
    terms: Terms | None = None,
) -> list[Checked]:
    """What was looked at, in order; at least one of them does not hold.

    nearest: None where nothing is open that could belong to it.
    """
    terms = terms or Terms()
    failed = _FAILS.get(code)
    told = [Checked(name, name != failed) for name in _BEFORE] if has_line else [Checked("agency_known", agency_known)]
    if code in BLOCKING | DUPLICATE:
        upto = [one.name for one in told].index(failed) if failed in [one.name for one in told] else len(told)
        told = [one for one in told[: upto + 1] if one.name != failed]
        return [*told, Checked(str(failed), holds=False)]
    if failed is not None and nearest is None:
        return [*(one for one in told if one.name != failed), Checked(failed, holds=False)]
    same, off, days = (nearest.same_reference, nearest.off_minor, nearest.off_days) if nearest else (False, None, None)
    told += [
        Checked("reference_agrees", same),
        Checked("amount_agrees", off is not None and abs(off) <= tolerance_minor, off),
        Checked("days_agree", days is not None and -terms.days_before <= days <= terms.days_after, days),
    ]
    if failed is not None:
        told = [one for one in told if one.name != failed] + [Checked(failed, holds=False)]
    if by_hand:
        told.append(Checked("rules_may", holds=False))
    if all(one.holds for one in told):  # it came after the last run of the rules
        told.append(Checked("looked_at", holds=False))
    return told


def fit(own_minor: int, likeness: int, off_minor: int, off_days: int, *, same_reference: bool) -> int:
    """How near a candidate is, 0 to 100: half by the reference, four tenths by the amount, a tenth by the days.

    For the eye alone: what is proposed, and in which order, is decided by models/reconcile/candidates.py.
    """
    size = max(abs(own_minor), 1)
    by_amount = max(0, 100 - 100 * abs(off_minor) // size)
    by_days = max(0, 100 - 100 * abs(off_days) // Terms().days_after)
    by_reference = 100 if same_reference else likeness
    return (50 * by_reference + 40 * by_amount + 10 * by_days) // 100
