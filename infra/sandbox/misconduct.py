"""Agencies of the sandbox that keep the rules of conduct, and that break them a known number of times.

`Careful` works its accounts within the rules, close to every limit: three connected calls a day, six dial attempts of a
number, the last minute before night. `Rogue` does too, but for what it is told to do wrong; it writes down every breach
as it plants it, so that an audit can be held against it. Both report what happened, as agencies do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd

from infra.sandbox.agency import SandboxAgency
from models.kinds import HOLD_REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np

LAST_DAY: Final = 19
"""Contacts lie from the second to this day of a month; the month is reported after it."""
OFFSET: Final = "+08:00"


@dataclass(frozen=True)
class Planted:
    """Breaches of one kind that one account gave rise to."""

    kind: str
    """night, connected, dials, third, channel, hold, recall, before, after, silent, remittance, gap"""
    lender: str
    account: str
    """as the agency knows it; of a gap none"""
    day: date
    count: int


Row = tuple[datetime, str, str, str]
"""When (local), channel, contact point, outcome."""


def _calls(day: date, times: Iterable[tuple[int, int]], outcome: str, point: str = "p1") -> list[Row]:
    return [(datetime.combine(day, time(*at)), "phone", point, outcome) for at in times]


def _every(first: int, count: int, minutes: int) -> list[tuple[int, int]]:
    """So many times of day from the hour on."""
    return [divmod(first * 60 + number * minutes, 60) for number in range(count)]


def night(day: date) -> list[Row]:
    """One call in the night: two minutes to six, or after ten in the evening."""
    return _calls(day, [(5, 58) if day.day % 2 else (22, 0)], "no_answer")


def connected(day: date) -> list[Row]:
    """Five connected calls on one day: two too many."""
    return _calls(day, _every(9, 3, 120), "connected") + _calls(day, _every(16, 2, 60), "promise")


def dials(day: date) -> list[Row]:
    """Eight unanswered attempts of one number: two too many; and six of another."""
    return _calls(day, _every(9, 8, 30), "no_answer") + _calls(day, _every(15, 6, 20), "busy", "p2")


def third(day: date) -> list[Row]:
    """A third party is called after two failures: one too few."""
    said = _calls(day, [(9, 5)], "refused")
    return said + _calls(day, [(11, 0), (13, 0)], "no_answer") + _calls(day, [(15, 0)], "third_party", "c1")


def channel(day: date) -> list[Row]:
    """A visit, where the mandate holds telephone and text alone."""
    return [(datetime.combine(day, time(10, 30)), "field", "a1", "not_met")]


PLANTS: Final[Mapping[str, tuple[Callable[[date], list[Row]], int]]] = {
    "night": (night, 1), "connected": (connected, 2), "dials": (dials, 2), "third": (third, 1), "channel": (channel, 1),
}  # fmt: skip
"""What is planted on a day of an account at work: what happens, and how many breaches it is."""


def within_the_rules(draw: np.random.Generator, day: date) -> list[Row]:
    """One of the things that just keep the rules."""
    kind = int(draw.integers(0, 8))
    if kind == 0:
        return _calls(day, _every(9, 3, 180), "connected")
    if kind == 1:
        return _calls(day, _every(10, 6, 60), "no_answer")
    if kind == 2:  # noqa: PLR2004 - one of the kinds
        return _calls(day, _every(10, 3, 90), "no_answer") + _calls(day, [(17, 0)], "third_party", "c1")
    if kind == 3:  # noqa: PLR2004 - one of the kinds
        return _calls(day, [(14, 0)], "invalid") + _calls(day, [(15, 0)], "third_party", "c1")
    if kind == 4:  # noqa: PLR2004 - one of the kinds
        return _calls(day, [(8, 0), (21, 59)], "no_answer")
    outcome = ("no_answer", "promise", "connected")[int(draw.integers(0, 3))]
    return _calls(day, [(int(draw.integers(9, 20)), int(draw.integers(0, 60)))], outcome)


def reported(rows: Mapping[str, list[Row]]) -> pd.DataFrame:
    """What an activity file holds, by account: `account`, `at` with its offset, and the rest."""
    flat = [(account, *row) for account, of in rows.items() for row in of]
    frame = pd.DataFrame(flat, columns=["account", "at", "channel", "contact_point_ref", "outcome"])
    at = pd.to_datetime(frame["at"]).dt.strftime("%Y-%m-%dT%H:%M:%S") + OFFSET
    return frame.assign(at=at, collector_ref="c1").sort_values(["at", "account"], ignore_index=True)


@dataclass
class Careful(SandboxAgency):
    """An agency that keeps the rules, and contacts every account every month."""

    recalled: list[tuple[str, str, str]] = field(default_factory=list)
    """lender, account, reason: of recalls that it has not been asked about since"""
    mute: set[str] = field(default_factory=set)
    """accounts that it never contacts"""
    planted: list[Planted] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """How many breaches of that kind it has planted."""
        return sum(one.count for one in self.planted if one.kind == kind)

    def _learn(self, kind: str, lender: str, frame: pd.DataFrame) -> None:
        if kind == "recall":
            self.recalled += [
                (lender, str(account), str(reason))
                for account, reason in zip(frame["account"], frame["reason"], strict=True)
            ]
        super()._learn(kind, lender, frame)

    def _report_contacts(
        self, draw: np.random.Generator, lender: str, mine: pd.DataFrame, day: date, now: datetime
    ) -> None:
        rows = self._contacts(draw, lender, mine, day.replace(day=1))
        self.recalled = [one for one in self.recalled if one[0] != lender]
        if rows:
            self._send("activity", lender, day, now, reported(rows))

    def _contacts(
        self, draw: np.random.Generator, _lender: str, mine: pd.DataFrame, first: date
    ) -> dict[str, list[Row]]:
        worked = mine[~mine["account"].isin(self.mute)].drop_duplicates("debtor")  # no limit is shared by two accounts
        others = mine[~mine["account"].isin([*self.mute, *worked["account"]])]
        days = draw.integers(2, LAST_DAY + 1, len(worked))
        rows = {
            str(account): within_the_rules(draw, first.replace(day=int(on)))
            for account, on in zip(worked["account"], days, strict=True)
        }
        # a debtor's other accounts are spoken of by text, which no limit counts
        rows |= {
            str(account): [(datetime.combine(first.replace(day=2), time(12)), "sms", "p1", "sent")]
            for account in others["account"]
        }
        return rows

    def _complain(
        self, draw: np.random.Generator, lender: str, mine: pd.DataFrame, month: int, day: date, now: datetime
    ) -> None:
        super()._complain(draw, lender, mine[~mine["account"].isin(self.mute)], month, day, now)


@dataclass
class Rogue(Careful):
    """An agency that breaks each rule so many times a month (`each`), from its second month on."""

    each: int = 2
    gap_month: int | None = None
    """in this month it works on the second day alone, and in the next from the tenth on; and does nothing else wrong"""
    until_month: int = 9
    """records that are missing from later on are not due by the year's end"""
    _month: int = 0
    _payers: set[str] = field(default_factory=set)

    def work(self, month: int, day: date, now: datetime) -> None:
        """As any agency, and what it was told to do wrong."""
        self._month = month
        super().work(month, day, now)

    def _contacts(
        self, draw: np.random.Generator, lender: str, mine: pd.DataFrame, first: date
    ) -> dict[str, list[Row]]:
        if self.gap_month is not None and self._month in {self.gap_month, self.gap_month + 1}:
            return self._with_a_gap(draw, lender, mine, first)
        alone = mine[~mine["debtor"].duplicated(keep=False)]
        free = list(alone.loc[~alone["account"].isin(self.mute), "account"].astype(str))
        draw.shuffle(free)
        new = set(alone.loc[alone["months"] == 0, "account"].astype(str))
        if self._month <= self.until_month:
            self._silence([one for one in free if one in new][: 2 * self.each], lender, first)
        free = [one for one in free if one not in self.mute]
        rows = super()._contacts(draw, lender, mine, first)
        for kind, (happens, count) in PLANTS.items():
            for account in [free.pop() for _ in range(min(self.each, len(free)))]:
                day = first.replace(day=int(draw.integers(2, LAST_DAY + 1)))
                rows[account] = happens(day)
                self._note(kind, lender, account, day, count)
        for account in [one for one in free if one in new][: self.each]:
            day = first - timedelta(days=1)
            rows[account] = rows[account] + _calls(day, [(10, 0)], "no_answer")
            self._note("before", lender, account, day, 1)
        return rows | self._after_the_end(lender, first)

    def _silence(self, accounts: list[str], lender: str, first: date) -> None:
        """These new accounts are never contacted; every second one pays all the same in its second month."""
        self.mute |= set(accounts)
        for account in accounts:
            self._note("silent", lender, account, first, 1)
        self._payers |= set(accounts[::2])

    def _after_the_end(self, lender: str, first: date) -> dict[str, list[Row]]:
        """Contacts of what was recalled at the end of last month and returned on the third of this one."""
        known = [(one, why) for of, one, why in self.recalled if of == lender and one not in self.mute]
        held = [account for account, reason in known if reason in HOLD_REASONS][: self.each]
        others = [account for account, reason in known if reason not in HOLD_REASONS]
        rows: dict[str, list[Row]] = {}
        for kind, accounts, day in (
            ("hold", held, 2), ("recall", others[: self.each], 2), ("after", others[self.each : 2 * self.each], 5)
        ):  # fmt: skip
            for account in accounts:
                rows[account] = _calls(first.replace(day=day), [(10, 0)], "no_answer")
                self._note(kind, lender, account, first.replace(day=day), 1)
        return rows

    def _with_a_gap(
        self, draw: np.random.Generator, lender: str, mine: pd.DataFrame, first: date
    ) -> dict[str, list[Row]]:
        begins = self._month == self.gap_month
        rows = super()._contacts(draw, lender, mine, first)
        on = first.replace(day=2 if begins else 10)
        if begins:
            self.planted.append(Planted("gap", lender, "", on + timedelta(days=1), 1))
        return {account: [(at.replace(day=on.day), *more) for at, *more in of] for account, of in rows.items()}  # type: ignore[misc]  # the rest of a Row

    def _remit(self, draw: np.random.Generator, lender: str, mine: pd.DataFrame, day: date, now: datetime) -> None:
        """Who was never contacted pays nothing, but for those who pay in their second month."""
        due = mine["account"].isin(self._payers) & (mine["months"] == 1)
        for account in mine.loc[due, "account"]:
            self._note("remittance", lender, str(account), day, 1)
        # so long ago that its chance to pay is certain
        months = mine["months"].where(~due, -60)
        super()._remit(draw, lender, mine.assign(months=months)[due | ~mine["account"].isin(self.mute)], day, now)

    def _note(self, kind: str, lender: str, account: str, day: date, count: int) -> None:
        self.planted.append(Planted(kind, lender, account, day, count))


def instead(agency: SandboxAgency, kind: type[Careful] = Careful, **more: object) -> Careful:
    """The same agency with another temper: its keys, drop and contracts, and nothing in its book yet."""
    return kind(
        agency.code, agency.lender_key_name, agency.suite, agency.root, agency.keyring, agency.seed, agency.traits,
        agency.contracts, **more,  # type: ignore[arg-type]  # fields of the kind
    )  # fmt: skip
