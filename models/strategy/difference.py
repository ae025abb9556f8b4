"""What one strategy does differently from another: stages, rules and cascades that are new, gone or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.strategy.rules import RecallRule, Rule, Stage, Strategy


@dataclass(frozen=True)
class Difference:
    """One part that differs; `before` or `after` is empty where there is none."""

    part: str
    id: str
    before: str
    after: str


@dataclass(frozen=True)
class Words:
    """How the parts are told, in some language; two that are told alike are alike."""

    lenders: Callable[[Strategy], str]
    order: Callable[[Strategy], str]
    stage: Callable[[Stage], str]
    rule: Callable[[Rule], str]
    recall: Callable[[RecallRule], str]


def differences(before: Strategy, after: Strategy, words: Words | None = None) -> list[Difference]:
    """Every stage, rule and recall that is not the same in both, in the order of the newer one; the gone ones last."""
    words = words or ENGLISH
    pairs = [(part, told(before), told(after)) for part, told in _parts(words)]
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


def _parts(words: Words) -> list[tuple[str, Callable[[Strategy], dict[str, str]]]]:
    """By part: each piece of it by its name, in words. The place of a rule counts: the first that fits is taken."""
    return [
        ("strategy", lambda one: {"lenders": words.lenders(one), "soft_first": words.order(one)}),
        ("stage", lambda one: {part.stage: words.stage(part) for part in one.stages}),
        ("rule", lambda one: _numbered({rule.id: words.rule(rule) for rule in one.rules})),
        ("recall", lambda one: _numbered({rule.id: words.recall(rule) for rule in one.recalls})),
    ]


def _numbered(rules: dict[str, str]) -> dict[str, str]:
    return {key: f"{place}. {words}" for place, (key, words) in enumerate(rules.items(), 1)}


ENGLISH = Words(
    lenders=lambda one: " ".join(one.lenders) or "every lender without its own",
    order=lambda one: "softest first" if one.soft_first else "any stage first",
    stage=stage_words,
    rule=rule_words,
    recall=recall_words,
)
