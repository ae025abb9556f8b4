"""A strategy as its file states it: stages softest first, rules that move accounts, rules that take them back."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, fields
from decimal import Decimal
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Final, Literal

from models import packaged
from models.errors import ConfigurationError
from models.money import exponent
from models.policy_file import NAME, VERSION
from models.release import CHANNELS, STAGES
from models.stated import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

NEW: Final = "new"
"""The stage of an account that has been in none yet."""
FROM_STAGES: Final = (NEW, *STAGES)
LEVELS: Final = ("primary", "secondary", "tertiary")
"""What an account's first, second and third placement are called."""
LEGAL: Final = "legal"
EXHAUSTED: Final = "exhausted"
"""The level of a round beyond the third that is not legal."""
REASONS: Final = ("performance", "no_activity", "term", "plan_broken")
"""Why a cascade takes a placement back, as the agency is told."""

By = Literal["in_house", "agency"]


class StrategyInvalid(ConfigurationError):
    """A strategy cannot be used; the message names the key."""

    def __init__(self, message: str, *, fix: str = "docs/reference/strategies.md says what a strategy holds") -> None:
        super().__init__(message, fix=fix)


@dataclass(frozen=True)
class Stage:
    """One stage, who works it, and what placing in it asks for."""

    stage: str
    by: By
    least_days: int = 0
    """so long an account stays here before it goes on to a harder stage"""
    needs: tuple[str, ...] = ()
    """channels that an agency's mandate must hold, every one of them"""
    term_days: int | None = None
    policy: str = "cn-default"
    purpose: str = "collection"


@dataclass(frozen=True)
class When:
    """What an account or a placement must be like; empty and None mean any. Bounds are inclusive."""

    products: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    score_bands: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    """the stage that it is in; `new`: none yet"""
    dpd_from: int | None = None
    dpd_to: int | None = None
    balance_from: Decimal | None = None
    """in units of the account's currency"""
    balance_to: Decimal | None = None
    round_from: int | None = None
    """of the placement: 1 is the first; of an account that is not out, the placement that would come next"""
    round_to: int | None = None
    days_from: int | None = None
    """days in the stage"""
    days_to: int | None = None

    def covers(self, other: When) -> bool:
        """Whether everything that is like `other` is like this too."""
        for name in ("products", "buckets", "score_bands", "stages"):
            mine, theirs = set(getattr(self, name)), set(getattr(other, name))
            if mine and not (theirs and theirs <= mine):
                return False
        for name in ("dpd", "balance", "round", "days"):
            low, high = getattr(self, f"{name}_from"), getattr(self, f"{name}_to")
            their_low, their_high = getattr(other, f"{name}_from"), getattr(other, f"{name}_to")
            if low is not None and (their_low is None or their_low < low):
                return False
            if high is not None and (their_high is None or their_high > high):
                return False
        return True

    def minor(self, currency: str) -> tuple[int | None, int | None]:
        """The bounds of the balance in minor units of that currency; a part of a unit counts to the inside."""
        scale = exponent(currency)
        low = None if self.balance_from is None else ceil(self.balance_from.scaleb(scale))
        high = None if self.balance_to is None else floor(self.balance_to.scaleb(scale))
        return low, high

    @property
    def words(self) -> str:
        """It in few words: `M2 M3, dpd 30–90, round 1`; `any` where nothing is asked."""
        told = [" ".join(getattr(self, name)) for name in ("products", "buckets") if getattr(self, name)]
        told += [f"score {' '.join(self.score_bands)}"] * bool(self.score_bands)
        told += [f"in {' '.join(self.stages)}"] * bool(self.stages)
        for name in ("dpd", "balance", "round", "days"):
            low, high = getattr(self, f"{name}_from"), getattr(self, f"{name}_to")
            if (low, high) != (None, None):
                span = f"{low}" if low == high else f"{low}+" if high is None else f"to {high}" if low is None else ""
                told.append(f"{name} {span or f'{low}–{high}'}")
        return ", ".join(told) or "any"


@dataclass(frozen=True)
class Rule:
    """Accounts that are so go to this stage; the first rule that fits counts."""

    id: str
    to: str
    when: When
    skip_soft: bool = False
    """it may pass over softer stages, and over the time in them"""
    back: bool = False
    """it may lead to a softer stage than the account is in"""
    because: str = ""


@dataclass(frozen=True)
class RecallRule:
    """Placements that are so are taken back; the first rule that fits counts, and every condition must hold."""

    id: str
    reason: str
    when: When
    no_payment_days: int | None = None
    no_activity_days: int | None = None
    held_days: int | None = None
    plan_broken: bool = False
    because: str = ""

    @property
    def words(self) -> str:
        """It in few words: `phone, no payment in 60 days`."""
        told = [
            f"no payment in {self.no_payment_days} days" * (self.no_payment_days is not None),
            f"no activity in {self.no_activity_days} days" * (self.no_activity_days is not None),
            f"held for {self.held_days} days" * (self.held_days is not None),
            "its instalment plan is broken" * self.plan_broken,
        ]
        return ", ".join(filter(None, [self.when.words * (self.when != When()), *told]))


@dataclass(frozen=True)
class Strategy:
    """The whole of it, as one version of its file says."""

    name: str
    version: str
    about: str
    lenders: tuple[str, ...]
    """whose strategy it is; none: of every lender that has no own one"""
    soft_first: bool
    stages: tuple[Stage, ...]
    """softest first"""
    rules: tuple[Rule, ...]
    recalls: tuple[RecallRule, ...]
    sha256: str = ""

    @classmethod
    def parse(cls, text: str) -> Strategy:
        """The strategy that the TOML states. Raises StrategyInvalid, naming the key."""
        try:
            raw = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as broken:
            raise StrategyInvalid(f"the strategy is not TOML: {broken}") from None
        head = Table("the strategy", raw, StrategyInvalid)
        found = cls(
            name=head.formed("name", NAME),
            version=head.formed("version", VERSION),
            about=head.text("about", ""),
            lenders=head.lenders(),
            soft_first=head.yes("soft_first", default=True),
            stages=tuple(_stage(one) for one in head.tables("stage")),
            rules=tuple(_rule(one) for one in head.tables("rule")),
            recalls=tuple(_recall(one) for one in head.tables("recall", least=0)),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        head.nothing_else()
        _agrees_with_itself(found)
        return found

    def stage(self, name: str) -> Stage | None:
        """The stage of that name; None where the strategy has none."""
        return next((one for one in self.stages if one.stage == name), None)

    @property
    def placing(self) -> tuple[Stage, ...]:
        """The stages that agencies work."""
        return tuple(one for one in self.stages if one.by == "agency")


def level_of(stage: str, round_: int) -> str:
    """What a placement in this stage and round is called: primary, secondary, tertiary; legal whatever its round."""
    if stage == LEGAL:
        return LEGAL
    return LEVELS[round_ - 1] if 0 < round_ <= len(LEVELS) else EXHAUSTED


def shipped() -> tuple[str, ...]:
    """The strategies that come with Consign."""
    return packaged.names("models.strategy", "shipped")


def load(name: str) -> Strategy:
    """A shipped strategy."""
    return Strategy.parse(text_of(name))


def text_of(name: str) -> str:
    """The file of a shipped strategy."""
    return packaged.text("models.strategy", "shipped", name)


# --- reading ----------------------------------------------------------------------------------------------------------


def _stage(table: Table) -> Stage:
    stage = table.one_of("stage", STAGES)
    table.where = f"stage {stage}"
    by = table.one_of("by", ("in_house", "agency"))
    found = Stage(
        stage=stage,
        by=by,
        least_days=table.number("least_days", 0),
        needs=table.words("needs", CHANNELS),
        term_days=table.number("term_days", None, least=1),
        policy=table.text("policy", Stage.policy),
        purpose=table.text("purpose", Stage.purpose),
    )
    table.nothing_else()
    if by == "in_house" and (found.needs or found.term_days is not None):
        raise StrategyInvalid(
            f"{table.where}: a stage in house has no agencies", fix='take needs and term_days out, or by = "agency"'
        )
    return found


def _rule(table: Table) -> Rule:
    name = table.named("id")
    found = Rule(
        id=name,
        to=table.one_of("to", STAGES),
        when=_when(table, tuple(field.name for field in fields(When))),
        skip_soft=table.yes("skip_soft"),
        back=table.yes("back"),
        because=table.text("because", ""),
    )
    table.nothing_else()
    if (found.skip_soft or found.back) and not found.because:
        raise StrategyInvalid(
            f"{table.where}: skip_soft and back need a reason", fix='say why: because = "limitation ends soon"'
        )
    return found


OF_PLACEMENTS: Final = ("products", "buckets", "stages", "round_from", "round_to")


def _recall(table: Table) -> RecallRule:
    name = table.named("id")
    found = RecallRule(
        id=name,
        reason=table.one_of("reason", REASONS),
        when=_when(table, OF_PLACEMENTS),
        no_payment_days=table.number("no_payment_days", None, least=1),
        no_activity_days=table.number("no_activity_days", None, least=1),
        held_days=table.number("held_days", None, least=1),
        plan_broken=table.yes("plan_broken"),
        because=table.text("because", ""),
    )
    table.nothing_else()
    asks = (found.no_payment_days, found.no_activity_days, found.held_days)
    if asks == (None, None, None) and not found.plan_broken:
        raise StrategyInvalid(
            f"{table.where}: it would take everything back",
            fix="say no_payment_days, no_activity_days, held_days or plan_broken",
        )
    if NEW in found.when.stages:
        raise StrategyInvalid(f"{table.where}: a placement is in a stage", fix=f"name some of {', '.join(STAGES)}")
    return found


def _when(table: Table, known: Sequence[str]) -> When:
    values: dict[str, Any] = {}
    for name in known:
        if name not in table.raw:
            continue
        if name in {"products", "buckets", "score_bands"}:
            values[name] = table.words(name)
        elif name == "stages":
            values[name] = table.words(name, FROM_STAGES)
        elif name.startswith("balance"):
            values[name] = table.decimal(name)
        else:
            values[name] = table.number(name, least=1 if name.startswith("round") else 0)
        if values[name] == ():
            raise StrategyInvalid(f"{table.where}: {name} names nothing", fix="leave it out, if all are meant")
    found = When(**values)
    for name in ("dpd", "balance", "round", "days"):
        low, high = getattr(found, f"{name}_from"), getattr(found, f"{name}_to")
        if low is not None and high is not None and low > high:
            raise StrategyInvalid(f"{table.where}: {name}_from is above {name}_to", fix="exchange them")
    return found


def _agrees_with_itself(strategy: Strategy) -> None:
    """Nothing. Raises StrategyInvalid where rules and stages do not fit each other."""
    named = [one.stage for one in strategy.stages]
    if sorted(set(named), key=STAGES.index) != named:
        raise StrategyInvalid(
            f"stages must be named once and softest first: {', '.join(named)}", fix=f"the order is {', '.join(STAGES)}"
        )
    ids = [*(one.id for one in strategy.rules), *(one.id for one in strategy.recalls)]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise StrategyInvalid(f"two rules are called {twice[0]}", fix="give each its own id")
    if strangers := sorted({rule.to for rule in strategy.rules} - set(named)):
        raise StrategyInvalid(
            f"a rule leads to {strangers[0]}, and no [[stage]] says who works it", fix="add the stage, or another `to`"
        )
    for place, rule in enumerate(strategy.rules):
        before = next((one for one in strategy.rules[:place] if one.when.covers(rule.when)), None)
        if before is not None:
            raise StrategyInvalid(
                f"rule {rule.id} is never reached: {before.id} before it fits all that it fits",
                fix="put the narrower rule first",
            )
