"""The counters: which reported contacts break a rule. Each looks back only, so that a verdict hangs on nothing later.

Every one takes all contacts and a rule, and returns which contacts are breaches and, where it counts, the count that
each had reached. A contact above a number is a breach by itself: five connected calls where three are allowed are two
breaches, each with its own line as evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from models.conduct.zones import Local, local_times
from models.kinds import HOLD_REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from models.conduct.packs import Rule

Mask = np.ndarray
"""bool, one per contact"""
Count = np.ndarray
"""int64, one per contact; -1 where nothing is counted"""

CONTACTS: Final = (
    "file_id", "line", "agency", "placement_id", "account_id", "debtor_id", "at", "offset_minutes", "channel",
    "contact_point_ref", "outcome", "region", "mandate", "fresh",
)  # fmt: skip
PLACEMENTS: Final = (
    "placement_id", "agency", "account_id", "placed_on", "ended_on", "recalled_at", "recall_reason",
)  # fmt: skip
SPOKEN: Final = ("connected", "promise", "refused")
"""Outcomes of a call in which the debtor was spoken to."""
UNANSWERED: Final = ("no_answer", "busy")
FAILED: Final = ("no_answer", "busy", "invalid", "not_met")
REACHED: Final = (*SPOKEN, "met")
UNCONNECTED: Final = ("busy", "invalid")
"""A call that does not connect to the number dialled is none under Regulation F."""
DAYS: Final = 1 << 17
"""More days than there are between any two contacts."""


@dataclass(frozen=True)
class Contacts:
    """Contacts in the order of agency, debtor and time, with what every counter needs of them.

    frame: CONTACTS, and of the placement in force `placed_on`, `ended_on`, `recalled_at`, `recall_reason`.
    debtor, account: codes of agency and debtor, agency and account.
    """

    frame: pd.DataFrame
    debtor: np.ndarray
    account: np.ndarray
    local: Local
    lender_days: np.ndarray
    """datetime64[D] where the lender is"""

    def __len__(self) -> int:
        return len(self.frame)

    def is_in(self, column: str, values: Iterable[str]) -> Mask:
        """Which contacts have one of these values."""
        codes, texts = pd.factorize(self.frame[column], use_na_sentinel=True)
        found: Mask = np.isin(codes, np.flatnonzero(np.isin(texts.astype(object), list(values))))
        return found

    def by(self, rule: Rule) -> Mask:
        """Which contacts are by a channel that the rule speaks of."""
        return self.is_in("channel", rule.channels) if rule.channels else np.ones(len(self), dtype=bool)


def contacts_of(frame: pd.DataFrame, placements: pd.DataFrame, jurisdiction: str, zone: str) -> Contacts:
    """The contacts, ready to be counted.

    frame: columns CONTACTS (`mandate`: channels with commas between; `fresh`: its file was not audited before).
    placements: columns PLACEMENTS, every one of these accounts at these agencies; days as datetime64 at midnight,
    `recalled_at` (datetime64[us, UTC]) when the agency knew. zone: the lender's.
    """
    frame = frame.reset_index(drop=True)
    agency, _ = pd.factorize(frame["agency"])
    debtor = _pair(agency, frame["debtor_id"].to_numpy(np.int64))
    at = frame["at"].to_numpy("datetime64[us]").astype(np.int64)
    order = np.lexsort((frame["line"].to_numpy(), frame["file_id"].to_numpy(), at, debtor))
    frame = frame.take(order).reset_index(drop=True)
    local = local_times(jurisdiction, frame["at"], frame["offset_minutes"].to_numpy(np.int64), frame["region"])
    where = local_times("", frame["at"], frame["offset_minutes"].to_numpy(np.int64), pd.Series(None, index=frame.index))
    days = where.days if not zone else frame["at"].dt.tz_convert(zone).dt.tz_localize(None).to_numpy("datetime64[D]")
    account = _pair(agency[order], frame["account_id"].to_numpy(np.int64))
    return Contacts(_in_force(frame, placements, days), debtor[order], account, local, days)


def _pair(agency: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """One code per agency and id."""
    codes, values = pd.factorize(ids)
    found: np.ndarray = pd.factorize(agency.astype(np.int64) * max(len(values), 1) + codes)[0]
    return found


def _in_force(frame: pd.DataFrame, placements: pd.DataFrame, days: np.ndarray) -> pd.DataFrame:
    """Each contact with the placement that was the account's newest on its day; before all of them, the first one."""
    told = ["placed_on", "ended_on", "recalled_at", "recall_reason"]
    placements = placements[list(PLACEMENTS)]
    several = placements.duplicated(["agency", "account_id"], keep=False)
    by_id = placements.set_index("placement_id")[told]
    joined = frame.join(by_id, on="placement_id")
    if not several.any():
        return joined
    again = placements[several].sort_values(["placed_on", "placement_id"])
    keys = pd.MultiIndex.from_frame(frame[["agency", "account_id"]])
    moved = np.flatnonzero(keys.isin(pd.MultiIndex.from_frame(again[["agency", "account_id"]])))
    part = frame.loc[moved, ["agency", "account_id"]].assign(day=days[moved].astype("datetime64[us]"), place=moved)
    part = part.sort_values("day", kind="stable")
    newest = pd.merge_asof(
        part, again.rename(columns={"placed_on": "day"}).assign(day=lambda one: one["day"].astype("datetime64[us]")),
        on="day", by=["agency", "account_id"],
    )  # fmt: skip
    first = again.drop_duplicates(["agency", "account_id"]).rename(columns={"placement_id": "first"})
    newest = newest.merge(first[["agency", "account_id", "first"]], on=["agency", "account_id"], how="left")
    chosen = newest["placement_id"].fillna(newest["first"]).astype("int64").to_numpy()
    ids = frame["placement_id"].to_numpy(np.int64).copy()
    ids[part["place"].to_numpy()] = chosen
    return frame.assign(placement_id=ids).join(by_id, on="placement_id")


# --- the counters -----------------------------------------------------------------------------------------------------


def breaches(contacts: Contacts, rule: Rule) -> tuple[Mask, Count]:
    """Which contacts break the rule, on days on which it is in force, and the counts they had reached."""
    found, count = _COUNTERS[rule.counter](contacts, rule)
    return found & _days_in_force(contacts, rule), count


def _days_in_force(contacts: Contacts, rule: Rule) -> Mask:
    days = contacts.lender_days if rule.zone == "lender" else contacts.local.days
    valid = np.ones(len(contacts), dtype=bool)
    if rule.effective_from is not None:
        valid &= days >= np.datetime64(rule.effective_from, "D")
    if rule.effective_until is not None:
        valid &= days <= np.datetime64(rule.effective_until, "D")
    return valid


def _hours(contacts: Contacts, rule: Rule) -> tuple[Mask, Count]:
    found = contacts.by(rule) & ~contacts.is_in("outcome", ("invalid",))
    return found & _forbidden(contacts.local.earliest, rule) & _forbidden(contacts.local.latest, rule), _none(contacts)


def _forbidden(times: np.ndarray, rule: Rule) -> Mask:
    """Whether the time of day lies in the forbidden hours: their begin is forbidden, their end is not."""
    assert rule.hours_from is not None and rule.hours_to is not None  # noqa: S101, PT018 - a pack without is refused
    minute = (times - times.astype("datetime64[D]")).astype("timedelta64[s]").astype(np.int64)
    begin = rule.hours_from.hour * 3600 + rule.hours_from.minute * 60
    end = rule.hours_to.hour * 3600 + rule.hours_to.minute * 60
    night: Mask = (minute >= begin) | (minute < end) if begin > end else (minute >= begin) & (minute < end)
    return night


def _connected(contacts: Contacts, rule: Rule) -> tuple[Mask, Count]:
    counted = contacts.by(rule) & contacts.is_in("outcome", SPOKEN)
    return _above(counted, _per_day(contacts.debtor, contacts.local.days), rule)


def _unanswered(contacts: Contacts, rule: Rule) -> tuple[Mask, Count]:
    """An attempt that names no contact point is not judged: nobody could say which number was dialled."""
    points, known = pd.factorize(contacts.frame["contact_point_ref"], use_na_sentinel=True)
    counted = contacts.by(rule) & contacts.is_in("outcome", UNANSWERED) & (points >= 0)
    of_point, _ = pd.factorize(contacts.debtor.astype(np.int64) * max(len(known), 1) + points)
    return _above(counted, _per_day(of_point, contacts.local.days), rule)


def _per_day(codes: np.ndarray, days: np.ndarray) -> np.ndarray:
    """One key per code and day, that rises with the day."""
    keys: np.ndarray = codes.astype(np.int64) * DAYS + _day_numbers(days)
    return keys


def _day_numbers(days: np.ndarray) -> np.ndarray:
    if not len(days):
        return np.empty(0, dtype=np.int64)
    numbers: np.ndarray = (days - days.min()).astype(np.int64) + DAYS // 2
    return numbers


def _above(counted: Mask, keys: np.ndarray, rule: Rule) -> tuple[Mask, Count]:
    """The counted contacts whose place among those of their key, in time, is above the rule's number."""
    assert rule.number is not None  # noqa: S101 - a pack without is refused
    count = np.full(len(keys), -1, dtype=np.int64)
    at = np.flatnonzero(counted)
    order = at[np.argsort(keys[at], kind="stable")]  # the contacts are in time's order already
    sorted_keys = keys[order]
    count[order] = np.arange(len(order)) - np.searchsorted(sorted_keys, sorted_keys, side="left") + 1
    return count > rule.number, count


def _calls_per_debt(contacts: Contacts, rule: Rule) -> tuple[Mask, Count]:
    """Days are calendar days of the debtor: seven consecutive ones are the call's own and the six before."""
    assert rule.number is not None  # noqa: S101 - a pack without is refused
    count = np.full(len(contacts), -1, dtype=np.int64)
    at = np.flatnonzero(contacts.by(rule) & ~contacts.is_in("outcome", UNCONNECTED))
    keys = _per_day(contacts.account, contacts.local.days)
    order = at[np.argsort(keys[at], kind="stable")]
    sorted_keys = keys[order]
    count[order] = np.arange(len(order)) - np.searchsorted(sorted_keys, sorted_keys - rule.days + 1, side="left") + 1
    return count > rule.number, count


def _quiet(contacts: Contacts, rule: Rule) -> tuple[Mask, Count]:
    """Calls after a conversation about the same account; the count is the day, the conversation's own being 1."""
    assert rule.number is not None  # noqa: S101 - a pack without is refused
    at = np.flatnonzero(contacts.by(rule) & ~contacts.is_in("outcome", UNCONNECTED))
    order = at[np.argsort(contacts.account[at], kind="stable")]
    account, days = contacts.account[order], _day_numbers(contacts.local.days)[order]
    spoken = contacts.is_in("outcome", SPOKEN)[order]
    last = _latest_before(np.flatnonzero(spoken), len(order))
    same = (last >= 0) & (account[np.maximum(last, 0)] == account)
    day = np.where(same, days - days[np.maximum(last, 0)] + 1, -1) if len(order) else np.empty(0, dtype=np.int64)
    count = np.full(len(contacts), -1, dtype=np.int64)
    count[order] = day
    return (count >= 1) & (count <= rule.number), count


def _latest_before(places: np.ndarray, length: int) -> np.ndarray:
    """For each position, the last of the places that lies before it; -1 where none does."""
    here = np.full(length + 1, -1, dtype=np.int64)
    here[places + 1] = places
    found: np.ndarray = np.maximum.accumulate(here)[:length]
    return found


def _third_party(contacts: Contacts, rule: Rule) -> tuple[Mask, Count]:
    """The count is how many attempts in a row had failed since the debtor was last reached."""
    assert rule.number is not None  # noqa: S101 - a pack without is refused
    third = contacts.is_in("outcome", ("third_party",))
    failed = contacts.is_in("outcome", FAILED)
    invalid = contacts.is_in("outcome", ("invalid",))
    begins = np.r_[True, contacts.debtor[1:] != contacts.debtor[:-1]] if len(contacts) else np.empty(0, dtype=bool)
    reset = contacts.is_in("outcome", REACHED) | begins
    # counted up to and including each contact, less what stood where it last began anew
    fails, invalids = np.cumsum(failed), np.cumsum(invalid)
    since = np.maximum.accumulate(np.where(reset, np.arange(len(contacts)), 0)) if len(contacts) else fails
    start = np.where(contacts.is_in("outcome", REACHED), fails, fails - failed)
    start_invalid = np.where(contacts.is_in("outcome", REACHED), invalids, invalids - invalid)
    in_a_row = fails - start[since]
    excused = (in_a_row >= rule.number) | (invalids - start_invalid[since] > 0)
    return third & ~excused, np.where(third, in_a_row, -1)


def _channel(contacts: Contacts, _rule: Rule) -> tuple[Mask, Count]:
    """Judged once, when its file is first audited: mandates change, and only today's is known."""
    outside = np.zeros(len(contacts), dtype=bool)
    codes, mandates = pd.factorize(contacts.frame["mandate"])
    for place, mandate in enumerate(mandates):
        allowed = [word.strip() for word in str(mandate).split(",")]
        outside |= (codes == place) & ~contacts.is_in("channel", allowed)
    return outside & contacts.frame["fresh"].to_numpy(bool), _none(contacts)


def _after_hold(contacts: Contacts, rule: Rule) -> tuple[Mask, Count]:
    held = contacts.is_in("recall_reason", rule.holds or HOLD_REASONS)
    return held & _after(contacts, rule), _none(contacts)


def _after_recall(contacts: Contacts, rule: Rule) -> tuple[Mask, Count]:
    return ~contacts.is_in("recall_reason", HOLD_REASONS) & _after(contacts, rule), _none(contacts)


def _after(contacts: Contacts, rule: Rule) -> Mask:
    known = contacts.frame["recalled_at"] + pd.Timedelta(hours=rule.grace_hours)
    # what lies after the return is another rule's
    found: Mask = (contacts.frame["at"] > known).to_numpy(bool) & ~_returned(contacts)
    return found


def _before(contacts: Contacts, _rule: Rule) -> tuple[Mask, Count]:
    placed = contacts.frame["placed_on"].to_numpy("datetime64[us]").astype("datetime64[D]")
    return contacts.lender_days < placed, _none(contacts)


def _returned(contacts: Contacts) -> Mask:
    ended = contacts.frame["ended_on"].to_numpy("datetime64[us]").astype("datetime64[D]")
    later: Mask = ~np.isnat(ended) & (contacts.lender_days > ended)
    return later


def _after_return(contacts: Contacts, _rule: Rule) -> tuple[Mask, Count]:
    return _returned(contacts), _none(contacts)


def _none(contacts: Contacts) -> Count:
    return np.full(len(contacts), -1, dtype=np.int64)


_COUNTERS: Final[Mapping[str, Callable[[Contacts, Rule], tuple[Mask, Count]]]] = MappingProxyType({
    "hours": _hours,
    "connected_per_debtor_day": _connected,
    "unanswered_per_point_day": _unanswered,
    "calls_per_debt": _calls_per_debt,
    "quiet_after_conversation": _quiet,
    "third_party": _third_party,
    "channel": _channel,
    "after_hold": _after_hold,
    "after_recall": _after_recall,
    "before_placement": _before,
    "after_return": _after_return,
})  # fmt: skip
