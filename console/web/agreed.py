"""The terms of a contract in words: what is paid for, when it counts, and by when the agency must have answered."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from console.web.language import later
from models.contract.terms import Clocks, Contract, Payee

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.web.language import Say
    from models.contract.terms import Tier

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "currency": later("Currency"),
        "remits": later("Hands over"),
        "basis": later("Paid for"),
        "fees": later("Rates come from"),
        "case_fee_minor": later("Fee per case"),
        "volume": later("A step's rate is for"),
        "rounding": later("The last minor unit is rounded"),
        "rounding_level": later("Rounded by"),
        "line_floor_minor": later("Least commission on a line"),
        "line_cap_minor": later("Most commission on a line"),
        "account_floor_minor": later("Least commission on a placement"),
        "account_cap_minor": later("Most commission on a placement"),
        "month_floor_minor": later("Least commission of a month"),
        "month_cap_minor": later("Most commission of a month"),
        "vat_rate": later("VAT on the commission"),
        "vat_treatment": later("VAT is"),
        "tail_days": later("Counts after the end, days"),
        "term_days": later("A placement lasts, days"),
        "late_days": later("Money is here within, days"),
        "direct_payments": later("Commission on what is paid to the lender"),
        "direct_rate": later("Its rate"),
        "tolerance_minor": later("Difference that is written off"),
        "invoice_tolerance_minor": later("Difference of an invoice that is let pass"),
        "payer_accounts": later("Pays from"),
        "bank_references": later("Its transfers begin with"),
        "payee": later("Is paid at"),
        "language": later("Statements are in"),
        "collects": later("Debtors may pay to the agency"),
        "clocks": later("Answers by when"),
    }
)
"""By term: what it is called."""
VALUES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "remits": {"gross": later("everything that was paid"), "net": later("what is left of it after commission")},
        "basis": {
            "contingent": later("a share of what is recovered"), "mixed": later("a fee per case and a share"),
            "fixed": later("a fee per case alone"),
        },
        "fees": {"tiers": later("the tiers below"), "per_line": later("each line, agreed case by case")},
        "volume": {"marginal": later("what lies beyond it"), "whole": later("the whole month")},
        "rounding": {
            "half_up": later("half up"), "half_even": later("half to even"), "half_down": later("half down"),
            "up": later("up"), "down": later("down"),
        },
        "rounding_level": {"line": later("each line"), "invoice": later("the month's sum")},
        "vat_treatment": {
            "added": later("added to it"), "included": later("included in the rates"),
            "reverse_charge": later("owed by us to the tax office"),
        },
        "language": {"en": later("English"), "zh": later("Chinese")},
    }
)  # fmt: skip
"""By term and value: what the value means."""
CLOCKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "acknowledge_within": later("acknowledge a file within %(span)s"),
        "confirm_recall_within": later("confirm a recall within %(span)s"),
        "certify_erasure_within": later("certify an erasure within %(span)s"),
        "report_activity_every": later("report activity every %(span)s"),
        "calendar": later("holidays of %(span)s"),
    }
)
STAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "reminder": later("Reminder"), "phone": later("Phone"), "field": later("Field visit"), "legal": later("Legal"),
        "settlement": later("agreed with a discount"), "instalments": later("agreed in parts"),
    }
)  # fmt: skip


@lru_cache(maxsize=1_000)
def parsed(text: str) -> Contract:
    """The contract of these terms, read once. Raises ContractFault."""
    return Contract.parse(text)


def in_words(say: Say, contract: Contract) -> list[tuple[str, str]]:
    """Each term that says something, with its name; the tiers have a table of their own."""
    told = []
    for field in fields(Contract):
        value = getattr(contract, field.name)
        if field.name in NAMES and value not in (None, (), Contract(contract.currency).clocks):
            told.append((say(NAMES[field.name]), _value(say, field.name, value, contract.currency)))
    return [(name, words) for name, words in told if words]


def _value(say: Say, name: str, value: Any, currency: str) -> str:
    match value:
        case bool():
            words = say("yes") if value else say("no")
        case Clocks():
            spans = {one: getattr(value, one) for one in CLOCKS}
            words = say(", ").join(say(CLOCKS[one], span=span) for one, span in spans.items() if span is not None)
        case Payee():
            words = f"{value.name}, {_ending(value.iban or value.account or '')}"
        case tuple():
            words = say(", ").join(_ending(one) if name == "payer_accounts" else one for one in value)
        case Decimal():
            words = percent(value)
        case int() if name.endswith("_minor"):
            words = f"{say.money(value, currency)} {currency}"
        case _:
            words = say(VALUES.get(name, {}).get(str(value), str(value)))
    return words


def _ending(account: str) -> str:
    """How people tell accounts apart, without the whole number."""
    return f"…{account[-4:]}"


def percent(rate: Decimal) -> str:
    """A rate as people write it, with every digit that it has."""
    return f"{(rate * 100).normalize():f}%"


def tier_in_words(say: Say, tier: Tier, currency: str) -> tuple[str, str]:
    """What a placement must be like to have the tier, and its rate with the steps of the month's volume."""
    asks = [
        _between(say, say("days past due"), tier.dpd_from, tier.dpd_to),
        _between(say, say("round"), tier.round_from, tier.round_to),
        _between(
            say, say("balance"),
            None if tier.balance_from_minor is None else say.money(tier.balance_from_minor, currency),
            None if tier.balance_to_minor is None else say.money(tier.balance_to_minor, currency),
        ),
        tier.product and say("product %(product)s", product=tier.product),
        tier.stage and say("stage: %(stage)s", stage=say(STAGES.get(tier.stage, tier.stage))),
    ]  # fmt: skip
    rates = [percent(tier.rate)] + [
        say("%(rate)s from %(volume)s a month", rate=percent(step.rate), volume=say.money(step.from_minor, currency))
        for step in tier.steps
    ]
    return say(", ").join(one for one in asks if one) or say("everything else"), say(", ").join(rates)


def _between(say: Say, what: str, low: object, high: object) -> str:
    """`dpd 1 to 90`, with one end open where it is; nothing where both are."""
    if low is None and high is None:
        return ""
    if low == high:
        return f"{what} {low}"
    if low is None:
        return say("%(what)s to %(high)s", what=what, high=high)
    if high is None:
        return say("%(what)s from %(low)s", what=what, low=low)
    return say("%(what)s %(low)s to %(high)s", what=what, low=low, high=high)
