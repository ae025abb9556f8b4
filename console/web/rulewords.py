"""What a strategy's stages and rules, and the limits of instalment plans, say in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from console.web import standings
from console.web.codes import term
from console.web.language import later
from models.planning.sentences import translated
from models.strategy.difference import Words
from models.strategy.rules import NEW, When

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.web.language import Say
    from models.strategy.rules import RecallRule, Rule, Stage, Strategy

STAGES: Final = {NEW: later("not yet in a stage"), **standings.STAGES}
WHY: Final = {
    "rule": later("as the rule says"),
    "softer_first": later("a softer stage comes first"),
    "not_yet": later("its time in the stage is not over: placed there again"),
    "not_back": later("the rule leads to a softer stage than it is in: placed there again"),
}
"""Why a move leads where it does."""
LEFT: Final = {
    **standings.EXCLUSIONS,
    "placed": later("with an agency: a cascade decides"),
    "in_plan": later("in a plan that is submitted or approved"),
    "no_rule": later("no rule fits"),
    "stays": later("stays in the stage in house"),
    "not_yet": later("its time in the stage in house is not over"),
}
"""Why an account is left where it is."""
REASONS: Final = {
    "performance": later("Performance"),
    "no_activity": later("No activity"),
    "term": later("End of term"),
    "plan_broken": later("Instalment plan broken"),
}
"""Why a cascade takes a placement back."""
LEVELS: Final = {
    "primary": later("primary"),
    "secondary": later("secondary"),
    "tertiary": later("tertiary"),
    "legal": later("legal"),
    "exhausted": later("exhausted"),
    "none": later("none"),
}
PARTS: Final = {
    "strategy": later("The whole"), "stage": later("Stage"), "rule": later("Rule"), "recall": later("Recall rule"),
    "limits": later("Limits"), "ability": later("Ability"), "willingness": later("Willingness"),
    "points": later("Points"),
}  # fmt: skip
"""The parts that a difference is about; a tier has its number."""
LIMITS: Final = {
    "too_long": later("Days to the last instalment"),
    "instalment_too_small": later("Smallest instalment"),
    "starts_too_late": later("Days to the first instalment"),
    "gap_too_long": later("Days between instalments"),
    "discount_too_large": later("Sum of the instalments"),
}
"""What each limit is about, by the code of what is beyond it."""
CODES: Final = {
    "too_long": later("Agree on fewer months."),
    "instalment_too_small": later("Agree on larger instalments."),
    "starts_too_late": later("Let the first instalment be due sooner."),
    "gap_too_long": later("Let the instalments follow each other sooner."),
    "discount_too_large": later("The instalments sum to less than the lender may accept: agree on more."),
    "above_balance": later("The instalments sum to more than is owed: ask for the balance, and propose again."),
    "in_the_past": later("The first instalment was due before anybody could decide: propose later days."),
    "plan_running": later("The account has an instalment plan already: it ends first."),
    "on_hold": later("The account is on hold: nothing can be agreed while it is."),
    "not_placed": later("The account is not with you any more."),
    "other_currency": later("The plan is in another currency than the account."),
    "declined": later("The lender has declined it; ask for the reason if you need it."),
}
"""Why a plan is beyond the limits, or refused, and what the agency is told to do."""
NEVER: Final = {
    "above_balance": later("The instalments do not sum to more than is owed"),
    "in_the_past": later("The first instalment was due after the proposal"),
    "plan_running": later("No other plan runs for the account"),
    "on_hold": later("The account is not on hold"),
    "not_placed": later("The account is with the agency"),
    "other_currency": later("The plan is in the account's currency"),
}
"""What must hold whoever approves, by the code of what stands in the way."""
SIGNS: Final = {
    "payment": later("each payment"),
    "contact": later("being reached at all"),
    "promise_kept": later("each promise kept"),
    "promise_broken": later("each promise broken"),
    "plan_kept": later("each plan kept"),
    "plan_broken": later("each plan broken"),
}
"""What earns or costs points."""
GRADES: Final = {"low": ("low", "低"), "medium": ("medium", "中"), "high": ("high", "高")}
"""How much a debtor can or wants to pay, in English and 中文."""


def grade(say: Say, code: str | None) -> str:
    """How much a debtor can or wants to pay; nothing where nobody has judged it."""
    return say.pair(GRADES[code]) if code else ""


def limit(say: Say, code: str) -> str:
    """What a limit is about."""
    return say(LIMITS[code])


def condition(say: Say, when: When) -> str:
    """What an account or a placement must be like."""
    lists = (
        (when.products, later("product %(these)s")), (when.buckets, later("bucket %(these)s")),
        (when.score_bands, later("score band %(these)s")),
        (tuple(say(STAGES[stage]) for stage in when.stages), later("in stage %(these)s")),
    )  # fmt: skip
    told = [say(words, these=say(" or ").join(these)) for these, words in lists if these]
    told += [
        words for words in (
            _span(say, say("days past due"), when.dpd_from, when.dpd_to),
            _span(say, say("balance"), when.balance_from, when.balance_to),
            _span(say, say("round"), when.round_from, when.round_to),
            _span(say, say("days in the stage"), when.days_from, when.days_to),
        ) if words
    ]  # fmt: skip
    return say(", ").join(told) or say("any")


def _span(say: Say, what: str, low: Any, high: Any) -> str:
    if low is None and high is None:
        return ""
    if low == high:
        return say("%(what)s %(number)s", what=what, number=f"{low:,}")
    if high is None:
        return say("%(what)s from %(number)s on", what=what, number=f"{low:,}")
    if low is None:
        return say("%(what)s up to %(number)s", what=what, number=f"{high:,}")
    return say("%(what)s %(low)s to %(high)s", what=what, low=f"{low:,}", high=f"{high:,}")


def stage_named(say: Say, stage: str) -> str:
    """The stage's name."""
    return say(STAGES.get(stage, stage))


def mandate(say: Say) -> Callable[[str], str]:
    """Says why an agency may not work a stage."""
    return lambda why: translated(why, say.code)


def left(say: Say, reason: str) -> str:
    """Why an account is left: `hold:complaint` in words."""
    head, _, rest = reason.partition(":")
    told = say(LEFT.get(head, head))
    return f"{told}: {say(standings.HOLDS.get(rest, rest))}" if rest else told


def worked(say: Say, one: Stage) -> str:
    """Who works a stage, and what that asks for."""
    told = [say("by agencies") if one.by == "agency" else say("in house")]
    if one.least_days:
        told.append(say("at least %(days)s days", days=one.least_days))
    if one.needs:
        told.append(say("needs %(channels)s", channels=term(say.code, one.needs, "channel")))
    if one.by == "agency":
        told += [say("term %(days)s days", days=one.term_days)] if one.term_days is not None else []
        told.append(say("policy %(name)s", name=one.policy))
    return say(", ").join(told)


def rule_words(say: Say, one: Rule) -> str:
    """A rule that moves accounts."""
    told = f"{condition(say, one.when)} → {stage_named(say, one.to)}"
    told += say(", passing softer stages") if one.skip_soft else ""
    return told + (say(", also back") if one.back else "")


def recall_condition(say: Say, one: RecallRule) -> str:
    """What a placement must be like to be taken back."""
    told = [condition(say, one.when)] if one.when != When() else []
    for days, words in (
        (one.no_payment_days, later("no payment in %(days)s days")),
        (one.no_activity_days, later("no activity in %(days)s days")),
        (one.held_days, later("held for %(days)s days")),
    ):
        told += [] if days is None else [say(words, days=days)]
    told += [say("its instalment plan is broken")] if one.plan_broken else []
    return say(", ").join(told)


def recall_words(say: Say, one: RecallRule) -> str:
    """A rule that takes placements back."""
    return f"{recall_condition(say, one)} → {say(REASONS[one.reason])}"


def of(say: Say) -> Words:
    """How a difference of two strategies is told."""
    return Words(
        lenders=lambda one: ", ".join(one.lenders) or say("every lender without its own"),
        order=lambda one: say("softest first") if one.soft_first else say("any stage first"),
        stage=lambda part: worked(say, part),
        rule=lambda rule: rule_words(say, rule),
        recall=lambda rule: recall_words(say, rule),
    )


def explained(say: Say, strategy: Strategy, move: Any) -> str:
    """Why one account moves as it does: the rule that fits it, what that asks for, and what stood in its way."""
    rule = next((one for one in strategy.rules if one.id == move["rule"]), None)
    if rule is None:
        return say(WHY.get(move["why"], move["why"]))
    told = say("Rule %(name)s: %(words)s.", name=rule.id, words=rule_words(say, rule))
    if move["why"] != "rule":
        told += say(" But %(why)s.", why=say(WHY.get(move["why"], move["why"])))
    return told
