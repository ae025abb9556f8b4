"""The limits of instalment plans as their file states them: how debtors are graded, and what each grade may have."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, get_args

from models import packaged
from models.errors import ConfigurationError
from models.money import exponent
from models.policy_file import NAME, VERSION
from models.stated import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

Grade = Literal["low", "medium", "high"]
GRADES: Final[tuple[Grade, ...]] = get_args(Grade)


class LimitsInvalid(ConfigurationError):
    """Limits of instalment plans cannot be used; the message names the key."""

    def __init__(self, message: str, *, fix: str = "docs/reference/strategies.md says what limits hold") -> None:
        super().__init__(message, fix=fix)


@dataclass(frozen=True)
class Bounds:
    """How far a plan may go."""

    max_months: int
    min_instalment: Decimal
    """in units of the currency; the last instalment may be smaller"""
    max_discount: Decimal
    """of the balance: 0 is none"""
    first_within_days: int
    """from the proposal to the first instalment"""
    gap_days: int
    """between two instalments"""

    def minor(self, currency: str) -> int:
        """The smallest instalment in minor units."""
        return int(self.min_instalment.scaleb(exponent(currency)).to_integral_value())


@dataclass(frozen=True)
class Tier:
    """What debtors of these grades may have: within one person's word, and beyond it with two."""

    ability: tuple[Grade, ...]
    willingness: tuple[Grade, ...]
    within: Bounds
    beyond: Bounds


@dataclass(frozen=True)
class Ability:
    """How much a debtor can pay: as their income band says, else by what is owed and for how long.

    The balance and days past due up to which ability is high, and medium; above either it is lower.
    """

    high_balance_to: Decimal
    high_dpd_to: int
    medium_balance_to: Decimal
    medium_dpd_to: int


@dataclass(frozen=True)
class Willingness:
    """How much a debtor wants to pay: points for what happened in the last days, and from how many on which grade."""

    window_days: int
    promise_days: int
    """a promise is kept when something is paid so many days after it at the latest"""
    points: Mapping[str, int]
    medium_from: int
    high_from: int


POINTS: Final = ("payment", "contact", "promise_kept", "promise_broken", "plan_kept", "plan_broken")
"""What earns or costs points: each payment, being reached at all, promises and plans kept and broken."""
MOST_COUNTED: Final = 3
"""No more than so many payments, or promises of a kind, are counted."""


@dataclass(frozen=True)
class Limits:
    """The whole of it, as one version of its file says."""

    name: str
    version: str
    about: str
    lenders: tuple[str, ...]
    grace_days: int
    """an instalment is missed when it is not there so many days after it was due"""
    ability: Ability
    willingness: Willingness
    tiers: tuple[Tier, ...]
    sha256: str = ""

    @classmethod
    def parse(cls, text: str) -> Limits:
        """The limits that the TOML states. Raises LimitsInvalid, naming the key."""
        try:
            raw = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as broken:
            raise LimitsInvalid(f"the limits are not TOML: {broken}") from None
        head = Table("the limits", raw, LimitsInvalid)
        found = cls(
            name=head.formed("name", NAME),
            version=head.formed("version", VERSION),
            about=head.text("about", ""),
            lenders=head.lenders(),
            grace_days=head.number("grace_days", 5),
            ability=_ability(Table("ability", head.take("ability", dict), LimitsInvalid)),
            willingness=_willingness(Table("willingness", head.take("willingness", dict), LimitsInvalid)),
            tiers=tuple(_tier(one) for one in head.tables("tier")),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        head.nothing_else()
        for ability in GRADES:
            for willingness in GRADES:
                found.tier(ability, willingness)
        return found

    def tier(self, ability: str, willingness: str) -> Tier:
        """The first tier for these grades. Raises LimitsInvalid where there is none."""
        for one in self.tiers:
            if ability in one.ability and willingness in one.willingness:
                return one
        raise LimitsInvalid(
            f"no tier is for ability {ability} with willingness {willingness}", fix="add a [[tier]] for all in the end"
        )


def shipped() -> tuple[str, ...]:
    """The limits that come with Consign."""
    return packaged.names("models.instalments", "shipped")


def load(name: str) -> Limits:
    """Shipped limits."""
    return Limits.parse(text_of(name))


def text_of(name: str) -> str:
    """The file of shipped limits."""
    return packaged.text("models.instalments", "shipped", name)


def _ability(table: Table) -> Ability:
    found = Ability(
        high_balance_to=table.decimal("high_balance_to"),
        high_dpd_to=table.number("high_dpd_to"),
        medium_balance_to=table.decimal("medium_balance_to"),
        medium_dpd_to=table.number("medium_dpd_to"),
    )
    table.nothing_else()
    if found.high_balance_to > found.medium_balance_to or found.high_dpd_to > found.medium_dpd_to:
        raise LimitsInvalid("ability: the bounds of medium are below those of high", fix="exchange them")
    return found


def _willingness(table: Table) -> Willingness:
    points = table.take("points", dict)
    if wrong := sorted(set(points) - set(POINTS)):
        raise LimitsInvalid(f"willingness: unknown points {', '.join(wrong)}", fix=f"it knows {', '.join(POINTS)}")
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in points.values()):
        raise LimitsInvalid("willingness: points are whole numbers")
    found = Willingness(
        window_days=table.number("window_days", least=1),
        promise_days=table.number("promise_days", least=1),
        points=points,
        medium_from=table.take("medium_from", int),
        high_from=table.take("high_from", int),
    )
    table.nothing_else()
    if found.medium_from >= found.high_from:
        raise LimitsInvalid("willingness: medium_from is not below high_from")
    return found


def _tier(table: Table) -> Tier:
    within = _bounds(Table(f"{table.where}, within", table.take("within", dict), LimitsInvalid))
    beyond = _bounds(Table(f"{table.where}, beyond", table.take("beyond", dict), LimitsInvalid))
    grades = {key: _grades(table, key) for key in ("ability", "willingness")}
    table.nothing_else()
    if (
        within.max_months > beyond.max_months
        or within.max_discount > beyond.max_discount
        or within.min_instalment < beyond.min_instalment
        or within.first_within_days > beyond.first_within_days
        or within.gap_days > beyond.gap_days
    ):
        raise LimitsInvalid(f"{table.where}: two people may allow less than one", fix="make `beyond` the wider")
    return Tier(**grades, within=within, beyond=beyond)


def _grades(table: Table, key: str) -> tuple[Grade, ...]:
    named = table.words(key, GRADES)
    return tuple(grade for grade in GRADES if not named or grade in named)


def _bounds(table: Table) -> Bounds:
    found = Bounds(
        max_months=table.number("max_months", least=1),
        min_instalment=table.decimal("min_instalment"),
        max_discount=table.decimal("max_discount"),
        first_within_days=table.number("first_within_days", least=1),
        gap_days=table.number("gap_days", least=1),
    )
    table.nothing_else()
    if found.max_discount >= 1:
        raise LimitsInvalid(f"{table.where}: a discount is a part of the balance", fix='write "0.30" for 30 %')
    return found
