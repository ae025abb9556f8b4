"""What one strategy does differently from another: stages, rules and cascades that are new, gone or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.strategy.rules import RecallRule, Rule, Stage, Strategy


@dataclass(frozen=True)
class Difference:
    """One part that differs; `before` or `after` is empty where there is none."""

    part: str
    id: str
    before: str
    after: str


def differences(before: Strategy, after: Strategy) -> list[Difference]:
    """Every stage, rule and recall that is not the same in both, in the order of the newer one; the gone ones last."""
    pairs = [
        (part, told(before), told(after))
        for part, told in (("strategy", _head), ("stage", _stages), ("rule", _rules), ("recall", _recalls))
    ]
    return [
        Difference(part, key, old.get(key, ""), new.get(key, ""))
        for part, old, new in pairs
        for key in dict.fromkeys([*new, *old])
        if old.get(key) != new.get(key)
    ]


def stage_words(one: Stage) -> str:
    """A stage in few words."""
    told = [one.by.replace("_", " "), f"at least {one.least_days} days" * bool(one.least_days)]
    told += [f"needs {' '.join(one.needs)}" * bool(one.needs)]
    if one.by == "agency":
        told += [f"term {one.term_days} days" * (one.term_days is not None), f"policy {one.policy}"]
    return ", ".join(filter(None, told))


def rule_words(one: Rule) -> str:
    """A rule in few words."""
    more = [" passing softer stages" * one.skip_soft, " also back" * one.back]
    return f"{one.when.words} → {one.to}{''.join(more)}"


def recall_words(one: RecallRule) -> str:
    """A recall rule in few words."""
    return f"{one.words} → {one.reason}"


def _head(one: Strategy) -> dict[str, str]:
    return {
        "lenders": " ".join(one.lenders) or "every lender without its own",
        "soft_first": "softest first" if one.soft_first else "any stage first",
    }


def _stages(one: Strategy) -> dict[str, str]:
    return {part.stage: stage_words(part) for part in one.stages}


def _rules(one: Strategy) -> dict[str, str]:
    return _numbered({rule.id: rule_words(rule) for rule in one.rules})


def _recalls(one: Strategy) -> dict[str, str]:
    return _numbered({rule.id: recall_words(rule) for rule in one.recalls})


def _numbered(rules: dict[str, str]) -> dict[str, str]:
    """Their place counts: the first that fits is taken."""
    return {key: f"{place}. {words}" for place, (key, words) in enumerate(rules.items(), 1)}
