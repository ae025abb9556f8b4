"""Contacts and records against a pack: every breach with its clause and its evidence, and what could not be judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from models.conduct.counters import breaches
from models.conduct.packs import OF_CONTACTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from models.conduct.counters import Contacts
    from models.conduct.packs import Pack, Rule

BREACHES: Final = (
    "pack", "pack_version", "rule_id", "clause", "severity", "counter", "evidence", "agency", "file_id", "line",
    "placement_id", "debtor_id", "at", "zone", "counted",
)  # fmt: skip
"""Columns of a breach. `evidence` is unique with pack and rule: `activity:<file>:<line>`, `remittance:<file>:<line>`,
`placement:<id>`, `gap:<lender>:<agency>:<first day>`. `at` is UTC; `counted` is missing where nothing is counted."""


@dataclass(frozen=True)
class NotJudged:
    """A rule that what agencies report cannot show a breach of."""

    pack: str
    rule_id: str
    why: str


def judged(contacts: Contacts, pack: Pack, wanted: np.ndarray | None = None) -> pd.DataFrame:
    """Every breach of the pack's rules by a contact; columns BREACHES. wanted: bool, the contacts that are asked of."""
    found = []
    for rule in pack.rules:
        if rule.counter not in OF_CONTACTS:
            continue
        broken, count = breaches(contacts, rule)
        if wanted is not None:
            broken = broken & wanted
        at = np.flatnonzero(broken)
        if len(at):
            found.append(_of_contacts(contacts, pack, rule, at, count[at]))
    return pd.concat(found, ignore_index=True) if found else nothing()


def _of_contacts(contacts: Contacts, pack: Pack, rule: Rule, at: np.ndarray, count: np.ndarray) -> pd.DataFrame:
    rows = contacts.frame.take(at)
    file_id, line = rows["file_id"].astype("int64"), rows["line"].astype("int64")
    frame = pd.DataFrame({
        "evidence": "activity:" + file_id.astype("str") + ":" + line.astype("str"), "agency": rows["agency"],
        "file_id": file_id.astype("Int64"), "line": line.astype("Int64"),
        "placement_id": rows["placement_id"].astype("Int64"), "debtor_id": rows["debtor_id"].astype("Int64"),
        "at": rows["at"], "zone": pd.Series(contacts.local.zone[at], index=rows.index, dtype="str"),
        "counted": pd.Series(count, index=rows.index, dtype="Int64").mask(count < 0),
    })  # fmt: skip
    return _named(frame, pack, rule)


def _named(frame: pd.DataFrame, pack: Pack, rule: Rule) -> pd.DataFrame:
    told = frame.assign(
        pack=pack.name, pack_version=pack.version, rule_id=rule.id, clause=rule.clause, severity=rule.severity,
        counter=rule.counter,
    )  # fmt: skip
    return told[list(BREACHES)].reset_index(drop=True)


def nothing() -> pd.DataFrame:
    """No breach, with the columns of one."""
    whole, text = ("file_id", "line", "placement_id", "debtor_id", "counted"), "str"
    types = dict.fromkeys(BREACHES, text) | dict.fromkeys(whole, "Int64") | {"at": "datetime64[us, UTC]"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


# --- missing records --------------------------------------------------------------------------------------------------


def silent_accounts(placements: pd.DataFrame, pack: Pack, rule: Rule, until: date) -> pd.DataFrame:
    """Placements without a contact in their first so many days, which were over by `until`.

    placements: `placement_id`, `agency`, `debtor_id`, `placed_on`, `ended_on`, `first_on` (of its first contact), days
    as datetime64 at midnight. A placement that ended sooner is not asked of.
    """
    assert rule.number is not None  # noqa: S101 - a pack without is refused
    last = placements["placed_on"] + pd.Timedelta(days=rule.number)
    asked = (last <= pd.Timestamp(until)) & (placements["ended_on"].isna() | (placements["ended_on"] > last))
    silent = asked & (placements["first_on"].isna() | (placements["first_on"] > last)) & _valid(last, rule)
    rows = placements[silent]
    frame = pd.DataFrame({
        "evidence": "placement:" + rows["placement_id"].astype("str"), "agency": rows["agency"],
        "placement_id": rows["placement_id"].astype("Int64"), "debtor_id": rows["debtor_id"].astype("Int64"),
        "at": last[silent].dt.tz_localize("UTC").astype("datetime64[us, UTC]"), "counted": rule.number,
    })  # fmt: skip
    return _named(_without_line(frame), pack, rule)


def remittances_without_contact(lines: pd.DataFrame, pack: Pack, rule: Rule) -> pd.DataFrame:
    """Remittance lines of placements that no contact was ever reported of.

    lines: `file_id`, `line`, `agency`, `placement_id`, `debtor_id`, `value_date`, `first_on` (missing: no contact).
    """
    rows = lines[lines["first_on"].isna() & _valid(lines["value_date"], rule)]
    frame = pd.DataFrame({
        "evidence": "remittance:" + rows["file_id"].astype("str") + ":" + rows["line"].astype("str"),
        "agency": rows["agency"], "file_id": rows["file_id"].astype("Int64"), "line": rows["line"].astype("Int64"),
        "placement_id": rows["placement_id"].astype("Int64"), "debtor_id": rows["debtor_id"].astype("Int64"),
        "at": rows["value_date"].dt.tz_localize("UTC").astype("datetime64[us, UTC]"), "zone": "", "counted": 0,
    })  # fmt: skip
    return _named(frame.astype({"counted": "Int64", "zone": "str"}), pack, rule)


def record_gaps(days: pd.DataFrame, held: pd.DataFrame, pack: Pack, rule: Rule, until: date) -> pd.DataFrame:
    """Stretches of more than so many days without any contact while an agency held accounts of the lender.

    days: `lender`, `agency`, `on`: each day on which it reported a contact. held: `lender`, `agency`, `first` and
    `last`: when it began and ceased to hold accounts (missing: it holds some). until: the day to which reports are due.
    """
    assert rule.number is not None  # noqa: S101 - a pack without is refused
    found = []
    due, day = pd.Timestamp(until), pd.Timedelta(days=1)
    ends = held["last"].where(held["last"] <= due, due)  # still held: none is later
    # lenders times agencies: a handful
    for lender, agency, begin, end in zip(held["lender"], held["agency"], held["first"] - day, ends, strict=True):
        here = days.loc[(days["lender"] == lender) & (days["agency"] == agency), "on"]
        inside = here[(here > begin) & (here <= end)].drop_duplicates().sort_values()
        edges = pd.DatetimeIndex([begin, *inside, end + day])
        gap = (edges[1:] - edges[:-1]).days.to_numpy() - 1
        for first, length in zip((edges[:-1] + day)[gap > rule.number], gap[gap > rule.number], strict=True):
            found.append((f"gap:{lender}:{agency}:{first:%Y-%m-%d}", agency, first, int(length)))
    frame = pd.DataFrame(found, columns=["evidence", "agency", "at", "counted"])
    frame["at"] = pd.to_datetime(frame["at"]).astype("datetime64[us]")
    frame = frame[_valid(frame["at"], rule)]
    frame = frame.assign(
        at=frame["at"].dt.tz_localize("UTC"),
        placement_id=pd.array([None] * len(frame), dtype="Int64"),
        debtor_id=pd.array([None] * len(frame), dtype="Int64"),
    )
    return _named(_without_line(frame), pack, rule)


def _without_line(frame: pd.DataFrame) -> pd.DataFrame:
    nobody = pd.array([None] * len(frame), dtype="Int64")
    return frame.assign(file_id=nobody, line=nobody, zone="").astype({"counted": "Int64", "zone": "str"})


def _valid(days: pd.Series, rule: Rule) -> pd.Series:
    valid = pd.Series(data=True, index=days.index)
    if rule.effective_from is not None:
        valid &= days >= pd.Timestamp(rule.effective_from)
    if rule.effective_until is not None:
        valid &= days <= pd.Timestamp(rule.effective_until)
    return valid


# --- what was not judged ----------------------------------------------------------------------------------------------


def not_judged(packs: Iterable[Pack]) -> list[NotJudged]:
    """The rules that no counter speaks of, and what would be needed."""
    return [
        NotJudged(pack.name, rule.id, _why(rule)) for pack in packs for rule in pack.rules if not rule.judged
    ]  # fmt: skip


def _why(rule: Rule) -> str:
    if rule.counter == "diligence":
        return "kept by due diligence: `consign diligence due`"
    parts = [f"needs {', '.join(rule.needs)}"] if rule.needs else []
    parts += [f"kept by {rule.kept_by}"] if rule.kept_by else []
    return "; ".join(parts)


def told(rule: Rule) -> dict[str, object]:
    """The rule as a person reads it."""
    return {name: value for name, value in asdict(rule).items() if value not in (None, "", ())} | {
        "counsel": rule.counsel
    }
