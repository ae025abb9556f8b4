"""Rule packs: the rules of a jurisdiction as data, each with clause, number, counter, dates and how it was read."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Final, Literal, get_args

from models import packaged
from models.calendar import Span, SpanFault
from models.errors import ConfigurationError
from models.kinds import HOLD_REASONS, KINDS
from models.stated import Table

Severity = Literal["serious", "normal", "low"]
Verified = Literal["text", "secondary", "unverified"]
Counter = Literal[
    "hours", "connected_per_debtor_day", "unanswered_per_point_day", "calls_per_debt", "quiet_after_conversation",
    "third_party", "channel", "after_hold", "after_recall", "before_placement", "after_return",
    "silent_account", "remittance_without_contact", "record_gap", "diligence", "none",
]  # fmt: skip
Measure = Literal[
    "complaints_per_1000", "breaches_per_1000", "breaches_upheld", "complaints_upheld", "complaints_overdue",
    "diligence_missing", "erasures_overdue",
]  # fmt: skip
Zone = Literal["debtor", "lender", ""]

COUNTED: Final[dict[str, str]] = {
    "hours": "contacts in the forbidden hours of the debtor's zone, each one; an invalid number disturbs nobody",
    "connected_per_debtor_day": "connected voice calls per agency, debtor and day; each one above the number",
    "unanswered_per_point_day": "unanswered dial attempts per agency, debtor, contact point and day; each above it",
    "calls_per_debt": "calls per agency and account within so many consecutive days; each one above the number",
    "quiet_after_conversation": "calls per agency and account on the days after a conversation, whose date is day 1",
    "third_party": "contacts that reached a third party, without an invalid number or so many failures in a row before",
    "channel": "contacts by a channel that the agency's mandate does not hold",
    "after_hold": "contacts after the agency knew of the hold, and the grace",
    "after_recall": "contacts after the agency knew of the recall, and the grace",
    "before_placement": "contacts on a day before the account was placed",
    "after_return": "contacts on a day after the agency had returned the account",
    "silent_account": "accounts without any contact in their first so many days",
    "remittance_without_contact": "remittance lines of accounts without any contact reported",
    "record_gap": "so many days in a row without any contact, while the agency held accounts",
    "diligence": "evidence of due diligence that is missing (`consign diligence due`)",
    "none": "nothing: the activity that agencies report cannot show it",
}
"""What each counter counts."""
OF_CONTACTS: Final = (
    "hours", "connected_per_debtor_day", "unanswered_per_point_day", "calls_per_debt", "quiet_after_conversation",
    "third_party", "channel", "after_hold", "after_recall", "before_placement", "after_return",
)  # fmt: skip
PER_PERSON: Final = ("connected_per_debtor_day", "unanswered_per_point_day", "third_party")
"""Counters whose limit is a person's, whoever's account a contact was about."""
OF_RECORDS: Final = ("silent_account", "remittance_without_contact", "record_gap")
NUMBERED: Final = frozenset({
    "connected_per_debtor_day", "unanswered_per_point_day", "calls_per_debt", "quiet_after_conversation", "third_party",
    "silent_account", "record_gap",
})  # fmt: skip
"""Counters that mean nothing without a number."""
EXCUSABLE: Final = frozenset({"third_party", *OF_RECORDS})
"""What a later report can excuse: failures before it, or the contact that was missing. Nothing else is taken back."""
CHANNELS: Final = KINDS["activity"].field("channel").one_of
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,19}")
COUNSEL: Final = "confirm with counsel"


class PackInvalid(ConfigurationError):
    """A rule pack cannot be used; the message names the key."""

    def __init__(self, message: str, *, fix: str = "docs/reference/rule-packs.md says what a pack holds") -> None:
        super().__init__(message, fix=fix)


@dataclass(frozen=True)
class Rule:
    """One rule. `number`: the most that is allowed, in `unit`; hours are forbidden from `hours_from` to `hours_to`."""

    id: str
    clause: str
    jurisdiction: str
    text: str
    text_zh: str
    severity: Severity
    verified: Verified
    effective_from: date | None
    """None: it was in force whenever the pack is used"""
    effective_until: date | None
    """the last day in force"""
    counter: Counter
    number: int | None
    unit: str
    zone: Zone
    channels: tuple[str, ...]
    days: int
    """of a window"""
    hours_from: time | None
    hours_to: time | None
    grace_hours: int
    holds: tuple[str, ...]
    """reasons of holds that it speaks of; none: all"""
    needs: tuple[str, ...]
    """what it is judged by"""
    kept_by: str
    """what in Consign keeps it, where no counter does"""

    @property
    def judged(self) -> bool:
        """Whether reported activity can show a breach."""
        return self.counter in OF_CONTACTS or self.counter in OF_RECORDS

    @property
    def counsel(self) -> str:
        """What a person must know of a rule whose text was not read."""
        return "" if self.verified == "text" else COUNSEL

    def in_force(self, day: date) -> bool:
        """Whether it is the rule on that day."""
        begun = self.effective_from is None or self.effective_from <= day
        return begun and (self.effective_until is None or day <= self.effective_until)


@dataclass(frozen=True)
class Gate:
    """A limit per agency above which it gets no new placements."""

    id: str
    measure: Measure
    limit: Decimal
    window_days: int
    least: int
    """below so many accounts or contacts a rate says nothing"""
    rules: tuple[str, ...]
    categories: tuple[str, ...]
    text: str
    text_zh: str


@dataclass(frozen=True)
class Need:
    """A kind of evidence that an agency must have."""

    kind: str
    clause: str
    text: str
    text_zh: str
    verified: Verified
    months: int
    """how long evidence counts at most; 0: as long as it says"""
    before: str
    """needed only in the last `within_days` of evidence of that kind"""
    within_days: int


@dataclass(frozen=True)
class Complaints:
    """By when a complaint is to be answered, in days from the day it came."""

    answer_days: int
    clause: str
    verified: Verified


@dataclass(frozen=True)
class SubjectRequests:
    """By when a debtor's request about their data is to be answered; `within` None: the law names no number."""

    within: Span | None
    clause: str
    verified: Verified


UNSTATED: Final = SubjectRequests(None, "the house's own clock", "unverified")


@dataclass(frozen=True)
class Pack:
    """The rules of one jurisdiction, as they were reviewed."""

    name: str
    version: str
    jurisdiction: str
    about: str
    about_zh: str
    zone: str
    """of lender and debtor, where nothing nearer is known"""
    complaints: Complaints
    rules: tuple[Rule, ...]
    gates: tuple[Gate, ...]
    needs: tuple[Need, ...]
    sha256: str = field(default="", compare=False)
    subject_requests: SubjectRequests = UNSTATED

    def rule(self, rule_id: str, day: date | None = None) -> Rule | None:
        """The rule of that id, as in force on the day, else the newest; None where there is none."""
        found = [rule for rule in self.rules if rule.id == rule_id]
        return next((rule for rule in found if day and rule.in_force(day)), found[-1] if found else None)

    @classmethod
    def parse(cls, text: str) -> Pack:
        """The pack in this TOML. Raises PackInvalid, which names the key."""
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as broken:
            raise PackInvalid(f"the pack is not TOML: {broken}") from None
        whole = Table("the pack", raw, PackInvalid)
        name = whole.text("name")
        if not NAME.fullmatch(name):
            raise PackInvalid("the pack: name must be 2 to 20 lower-case letters, digits and hyphens")
        jurisdiction = whole.text("jurisdiction")
        zone = whole.text("zone")
        complaints = _complaints(Table("complaints", whole.take("complaints", dict), PackInvalid))
        requests = _subject_requests(Table("subject_requests", whole.take("subject_requests", dict, {}), PackInvalid))
        rules = tuple(_rule(table, jurisdiction) for table in whole.tables("rule"))
        gates = tuple(_gate(table) for table in whole.tables("gate", least=0))
        needs = tuple(_need(table) for table in whole.tables("diligence", least=0))
        pack = cls(
            name, whole.text("version"), jurisdiction, whole.text("about"), whole.text("about_zh"), zone, complaints,
            rules, gates, needs, hashlib.sha256(text.encode()).hexdigest(), requests,
        )  # fmt: skip
        whole.nothing_else()
        _consistent(pack)
        return pack


def shipped() -> tuple[str, ...]:
    """The packs that come with Consign."""
    return packaged.names("models.conduct", "packs")


@cache
def load(name: str) -> Pack:
    """A shipped pack. Raises PackInvalid where there is none."""
    if name not in shipped():
        raise PackInvalid(f"no rule pack {name!r} comes with Consign", fix=f"there are {', '.join(shipped())}")
    return Pack.parse(packaged.text("models.conduct", "packs", name))


def _consistent(pack: Pack) -> None:
    """No two versions of a rule hold on one day; gates and needs have one name each, and speak of rules there are."""
    by_id: dict[str, list[Rule]] = {}
    for rule in pack.rules:
        by_id.setdefault(rule.id, []).append(rule)
    for same in by_id.values():
        _one_a_day(same)
    for what, names in (("gate", [one.id for one in pack.gates]), ("diligence", [one.kind for one in pack.needs])):
        if len(set(names)) < len(names):
            raise PackInvalid(f"{what}: an id is there twice")
    for gate in pack.gates:
        if unknown := sorted(set(gate.rules) - set(by_id)):
            raise PackInvalid(f"gate {gate.id}: rules names {', '.join(unknown)}, which the pack does not hold")
    kinds = {need.kind for need in pack.needs} | {""}
    if wrong := next((need for need in pack.needs if need.before not in kinds), None):
        raise PackInvalid(f"diligence {wrong.kind}: before names {wrong.before}, which the pack does not ask for")


def _one_a_day(versions: list[Rule]) -> None:
    order = sorted(versions, key=lambda rule: rule.effective_from or date.min)
    for earlier, later in pairwise(order):
        if earlier.effective_until is None or earlier.effective_until >= (later.effective_from or date.min):
            raise PackInvalid(f"rule {later.id}: two of this id are in force on one day (effective_until)")


# --- reading the file -------------------------------------------------------------------------------------------------


def _rule(table: Table, jurisdiction: str) -> Rule:
    rule_id = table.named("id")
    rule = Rule(
        id=rule_id,
        clause=table.text("clause"),
        jurisdiction=table.text("jurisdiction", jurisdiction),
        text=table.text("text"),
        text_zh=table.text("text_zh"),
        severity=table.one_of("severity", get_args(Severity)),
        verified=table.one_of("verified", get_args(Verified)),
        effective_from=table.day("effective_from"),
        effective_until=table.day("effective_until"),
        counter=table.one_of("counter", get_args(Counter), "none"),
        number=table.number("number", None),
        unit=table.text("unit", ""),
        zone=table.one_of("zone", get_args(Zone), ""),
        channels=table.words("channels", CHANNELS),
        days=table.number("days", 1, least=1),
        hours_from=table.clock("hours_from"),
        hours_to=table.clock("hours_to"),
        grace_hours=table.number("grace_hours", 0),
        holds=table.words("holds", HOLD_REASONS),
        needs=table.words("needs"),
        kept_by=table.text("kept_by", ""),
    )
    table.nothing_else()
    where = table.where
    if rule.effective_from and rule.effective_until and rule.effective_until < rule.effective_from:
        raise PackInvalid(f"{where}: effective_until lies before effective_from")
    if rule.counter in NUMBERED and rule.number is None:
        raise PackInvalid(f"{where}: number is missing, and counter {rule.counter} needs it")
    if rule.number is not None and not rule.unit:
        raise PackInvalid(f"{where}: unit is missing, and number means nothing without it")
    if rule.counter == "hours" and (rule.hours_from is None or rule.hours_to is None):
        raise PackInvalid(f"{where}: hours_from and hours_to are missing")
    if rule.counter == "none" and not (rule.needs or rule.kept_by):
        raise PackInvalid(f"{where}: a rule without counter says in needs or kept_by what it is judged or kept by")
    return rule


def _gate(table: Table) -> Gate:
    gate_id = table.named("id")
    gate = Gate(
        id=gate_id,
        measure=table.one_of("measure", get_args(Measure)),
        limit=Decimal(str(table.take("limit", (int, float)))),
        window_days=table.number("window_days", 365, least=1),
        least=table.number("least", 0),
        rules=table.words("rules"),
        categories=table.words("categories"),
        text=table.text("text"),
        text_zh=table.text("text_zh"),
    )
    table.nothing_else()
    if gate.limit < 0 or not gate.limit.is_finite():
        raise PackInvalid(f"{table.where}: limit is no number from 0 on")
    return gate


def _need(table: Table) -> Need:
    kind = table.named("kind")
    need = Need(
        kind=kind,
        clause=table.text("clause"),
        text=table.text("text"),
        text_zh=table.text("text_zh"),
        verified=table.one_of("verified", get_args(Verified)),
        months=table.number("months", 0),
        before=table.text("before", ""),
        within_days=table.number("within_days", 0),
    )
    table.nothing_else()
    return need


def _complaints(table: Table) -> Complaints:
    told = Complaints(
        table.number("answer_days", least=1), table.text("clause"), table.one_of("verified", get_args(Verified))
    )
    table.nothing_else()
    return told


def _subject_requests(table: Table) -> SubjectRequests:
    if not table.raw:
        return UNSTATED
    within = table.text("within", "")
    try:
        span = Span.parse(within) if within else None
    except SpanFault as wrong:
        raise PackInvalid(f"{table.where}: within: {wrong}", fix=wrong.fix) from None
    told = SubjectRequests(span, table.text("clause"), table.one_of("verified", get_args(Verified)))
    table.nothing_else()
    return told
