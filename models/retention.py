"""How long each class of records is kept, by jurisdiction: a duty to keep, a duty to forget, and the clause of each.

A schedule is a TOML file. `keep` is when Consign deletes; `at_least` is a duty to keep and `at_most` a duty to forget,
which an own schedule may not go below or beyond. What only grows (ledger, audit) is kept and never deleted by Consign.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from models import packaged
from models.errors import ConfigurationError
from models.stated import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

Act = Literal["erase", "delete", "keep"]
Unit = Literal["days", "months", "years"]
Verified = Literal["text", "secondary", "unverified"]
SetBy = Literal["law", "house"]

PERIOD: Final = re.compile(r"(\d{1,4}) (day|month|year)s?")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,19}")
COUNSEL: Final = "confirm with counsel"
_MONTHS: Final = 12


class ScheduleInvalid(ConfigurationError):
    """A retention schedule cannot be used; the message names the key."""

    def __init__(self, message: str, *, fix: str = "docs/reference/retention.md says what a schedule holds") -> None:
        super().__init__(message, fix=fix)


@dataclass(frozen=True)
class RecordClass:
    """One class of records: what is in it, when its clock begins, and what Consign does when its time is over."""

    about: str
    about_zh: str
    begins: str
    act: Act
    of_house: bool = False
    """It belongs to no lender: the longest time that any lender's schedule says counts."""


CLASSES: Final[Mapping[str, RecordClass]] = MappingProxyType({
    "identity": RecordClass(
        "who an account belongs to: names, numbers, telephones, addresses, sealed", "身份信息（加密）",
        "when nothing is owed any more and no agency has the account", "erase",
    ),
    "collection": RecordClass(
        "placements, recalls, erasures and their certificates, instalment plans, breaches of conduct, lifted holds",
        "委案、召回、删除证明、分期方案、违规记录", "when the account's last placement ended", "delete",
    ),
    "contact": RecordClass(
        "contacts with debtors, as agencies reported them", "触达记录",
        "when the account's last placement ended, or on its last contact", "delete",
    ),
    "complaint": RecordClass("complaints about agencies", "投诉记录", "when it was closed", "delete"),
    "register": RecordClass(
        "the disclosure register: which field of which account an agency was told", "信息披露登记",
        "when the file went out, and no agency has an account of it any more", "delete",
    ),
    "requests": RecordClass(
        "debtors' requests about their data, and what was corrected at agencies", "个人信息权利请求",
        "when it was answered or refused", "delete",
    ),
    "intake": RecordClass(
        "what was refused of lenders' files, as rows and as CSV for people", "导入拒收记录", "when the file came in",
        "delete",
    ),
    "ledger": RecordClass(
        "remittances, receipts, invoices, journal, statements", "财务账册", "at the end of the year of the entry",
        "keep",
    ),
    "audit": RecordClass("the audit trail and its heads", "审计日志", "when it happened", "keep", of_house=True),
    "files": RecordClass(
        "sealed files: what agencies sent, and what they were sent and never answered", "密封文件",
        "when it was judged, or sent", "delete", of_house=True,
    ),
    "exceptions": RecordClass(
        "exceptions of the exchange that are resolved, and what people noted beside them", "异常处理记录",
        "when it was resolved", "delete", of_house=True,
    ),
    "lookups": RecordClass(
        "who asked whom an account belongs to, when and why", "身份查询记录", "when it was asked", "delete",
        of_house=True,
    ),
    "logs": RecordClass(
        "the program's journal and its notes of faults: codes and counts", "运行日志", "when it was last written",
        "delete", of_house=True,
    ),
    "backups": RecordClass(
        "backups of the store that Consign made", "备份", "when it was made", "delete", of_house=True
    ),
})  # fmt: skip


@dataclass(frozen=True)
class Period:
    """A length of time in the calendar: `90 days`, `6 months`, `5 years`."""

    number: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Period:
        """The period that the text states. Raises ScheduleInvalid."""
        found = PERIOD.fullmatch(text.strip())
        if found is None:
            raise ScheduleInvalid(f"{text!r} is no period", fix='write "90 days", "6 months" or "5 years"')
        units: dict[str, Unit] = {"day": "days", "month": "months", "year": "years"}
        return cls(int(found[1]), units[found[2]])

    def before(self, day: date) -> date:
        """The day that lies so long before: what began before it, its time is over."""
        if self.unit == "days":
            return day - timedelta(days=self.number)
        months = self.number * (_MONTHS if self.unit == "years" else 1)
        year, month = divmod(day.year * _MONTHS + day.month - 1 - months, _MONTHS)
        return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.number} {self.unit if self.number != 1 else self.unit.removesuffix('s')}"


@dataclass(frozen=True)
class Rule:
    """How long one class is kept. at_least, at_most: what law says, where it says anything; None where it does not."""

    id: str
    keep: Period
    at_least: Period | None
    at_most: Period | None
    clause: str
    verified: Verified
    set_by: SetBy
    """whether the number is the law's, or ours within it"""
    text: str
    text_zh: str

    @property
    def counsel(self) -> str:
        """What a person must know of a rule whose text was not read."""
        return "" if self.verified == "text" else COUNSEL


@dataclass(frozen=True)
class Schedule:
    """The periods of one jurisdiction, or a lender's own, as they were reviewed; one rule for each class."""

    name: str
    version: str
    jurisdiction: str
    base: str
    """the schedule whose duties an own one keeps; empty for those that come with Consign"""
    about: str
    about_zh: str
    rules: Mapping[str, Rule]
    sha256: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """The schedule in this TOML. Raises ScheduleInvalid, which names the key."""
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as broken:
            raise ScheduleInvalid(f"the schedule is not TOML: {broken}") from None
        whole = Table("the schedule", raw, ScheduleInvalid)
        name = whole.text("name")
        if not NAME.fullmatch(name):
            raise ScheduleInvalid("the schedule: name must be 2 to 20 lower-case letters, digits and hyphens")
        base = whole.text("base", "")
        rules: dict[str, Rule] = dict(load(base).rules) if base else {}
        given = [_rule(table) for table in whole.tables("class")]
        if len({rule.id for rule in given}) < len(given):
            raise ScheduleInvalid("class: an id is there twice")
        for rule in given:
            rules[rule.id] = _within(rule, rules.get(rule.id))
        made = cls(
            name, whole.text("version"), whole.text("jurisdiction"), base, whole.text("about"), whole.text("about_zh"),
            MappingProxyType({one: rules[one] for one in CLASSES if one in rules}),
            hashlib.sha256(text.encode()).hexdigest(),
        )  # fmt: skip
        whole.nothing_else()
        if wanting := [one for one in CLASSES if one not in rules]:
            raise ScheduleInvalid(f"the schedule: no class {', '.join(wanting)}", fix="state it, or name a `base`")
        return made


def shipped() -> tuple[str, ...]:
    """The schedules that come with Consign."""
    return packaged.names("models", "retention")


def load(name: str) -> Schedule:
    """A shipped schedule. Raises ScheduleInvalid where there is none."""
    if name not in shipped():
        raise ScheduleInvalid(
            f"no retention schedule {name!r} comes with Consign", fix=f"there are {', '.join(shipped())}"
        )
    return Schedule.parse(packaged.text("models", "retention", name))


def longest(periods: list[Period], day: date) -> Period:
    """The one of the periods that reaches furthest back from the day."""
    return min(periods, key=lambda period: period.before(day))


_ANY_DAY: Final = date(2001, 3, 1)
"""A day to compare lengths on; which one makes no difference longer than a leap day."""


def _rule(table: Table) -> Rule:
    which = table.one_of("id", tuple(CLASSES))
    table.where = f"{table.where} ({which})"
    rule = Rule(
        id=which,
        keep=Period.parse(table.text("keep")),
        at_least=_optional(table, "at_least"),
        at_most=_optional(table, "at_most"),
        clause=table.text("clause"),
        verified=table.one_of("verified", get_args(Verified)),
        set_by=table.one_of("set_by", get_args(SetBy)),
        text=table.text("text"),
        text_zh=table.text("text_zh"),
    )
    table.nothing_else()
    return _within(rule, rule)


def _optional(table: Table, key: str) -> Period | None:
    text: Any = table.text(key, "")
    return Period.parse(text) if text else None


def _within(rule: Rule, duties: Rule | None) -> Rule:
    """The rule, if it keeps the duties of that one. Raises ScheduleInvalid."""
    if duties is None:
        return rule
    began = rule.keep.before(_ANY_DAY)
    if duties.at_least is not None and began > duties.at_least.before(_ANY_DAY):
        raise ScheduleInvalid(
            f"class {rule.id}: {rule.keep} is shorter than the duty to keep, {duties.at_least} ({duties.clause})",
            fix="keep it as long as the law says, or have counsel state another law in a schedule without a base",
        )
    if duties.at_most is not None and began < duties.at_most.before(_ANY_DAY):
        raise ScheduleInvalid(
            f"class {rule.id}: {rule.keep} is longer than the law lets it be kept, {duties.at_most} ({duties.clause})",
            fix="keep it no longer; a legal hold keeps single debtors and portfolios",
        )
    return rule
