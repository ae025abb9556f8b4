"""The audit of conduct: what agencies reported, held against each lender's rule packs, clause by clause.

A run reads the activity files that no run has read, and what hangs together with them: the verdict on a contact hangs
on earlier contacts alone, so a debtor is judged again from the first new contact on. Running it again adds nothing.
What a later report excuses (failures before a third party was called, a record that was missing) is taken back, and so
is everything whose file no longer counts. All contacts are read by debtors, so many at a time: memory is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from infra import audit, complaints, diligence, exceptions, gates, rulepacks
from infra.store import bulk, consolidation, trail
from infra.store import conduct as store
from infra.store.conduct import KEY
from models.calendar import Span
from models.conduct.counters import contacts_of
from models.conduct.judging import (
    judged,
    not_judged,
    nothing,
    record_gaps,
    remittances_without_contact,
    silent_accounts,
)
from models.conduct.packs import OF_CONTACTS, OF_RECORDS, PER_PERSON

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from infra.store.conduct import Audited, Part
    from infra.wiring import Desk
    from models.conduct.packs import Pack, Rule

OVERLAP: Final = timedelta(hours=1)
"""A run looks so far behind the last one: what was committed late is not missed."""
Tell = Callable[[str], None]


def _silent(_what: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Conducted:
    """What an audit of conduct found; without a number it was only tried."""

    run_id: int | None
    files: int
    contacts: int
    found: int
    """breaches that were new"""
    serious: int
    withdrawn: int
    by_rule: dict[str, int]
    not_judged: list[dict[str, str]]
    notes: list[str]
    gates_closed: int = 0
    gates_opened: int = 0
    agencies_stopped: int = 0
    complaints_overdue: int = 0
    diligence_wanting: int = 0


@dataclass
class _Findings:
    """What has been found so far."""

    breaches: list[pd.DataFrame] = field(default_factory=list)
    asked: list[pd.DataFrame] = field(default_factory=list)
    """evidence (KEY) that was judged again and may be excused"""
    again: list[pd.DataFrame] = field(default_factory=list)
    """`breach_id` and KEY of breaches that were judged again"""
    contacts: int = 0
    without_point: int = 0
    by_offset: int = 0
    cuts: dict[str, str] = field(default_factory=dict)

    def add(self, found: pd.DataFrame, lender: str) -> None:
        if len(found):
            self.breaches.append(found.assign(lender=lender))

    def all(self) -> pd.DataFrame:
        whole = [*self.breaches] or [nothing().assign(lender=pd.Series(dtype="str"))]
        return pd.concat(whole, ignore_index=True)


def audit_conduct(desk: Desk, *, everything: bool = False, dry_run: bool = False, tell: Tell = _silent) -> Conducted:
    """Every breach in what agencies reported is on record, once, and the gates are as the figures say.

    everything: judge the whole history anew. dry_run: say what would be found, and change nothing.
    """
    found = _Findings()
    with desk.database.read() as connection:
        before = store.last_run(connection)
        files, refused = store.unread_files(connection), store.refused_since(connection)
        # what a refused file was part of may hang on it in any way: judged anew as a whole
        whole = everything or bool(refused) or before is None
        lenders = [(one, rulepacks.of(one)) for one in store.lenders(connection)]
        for lender, packs in lenders:
            since = None if whole or before is None else before["at"] - OVERLAP
            partners = consolidation.partners(connection, lender.lender, desk.today(lender.timezone))
            for part in store.parts(connection, lender.lender, since, desk.settings.shard_rows, partners):
                tell(f"{lender.lender}: {part.agency}, {len(part.debtors)} debtors")
                _judge_part(connection, lender, packs, part, partners, found)
            cut = None if whole or before is None else before["summary"].get("cuts", {}).get(lender.lender)
            tell(f"{lender.lender}: records")
            for pack in packs:
                _judge_records(connection, desk, lender, pack, cut, found)
            if whole:
                open_ = store.standing(connection, lender.lender, [one for one in OF_CONTACTS if one != "channel"])
                found.again.append(open_[["breach_id", *KEY]])
    told = [pack for _, packs in lenders for pack in packs]
    packs_by_name = {pack.name: pack for pack in told}
    if dry_run:
        return _report(None, files, found.all(), found, packs_by_name.values(), 0)
    return _kept(desk, files, refused, found, lenders)


def _judge_part(
    connection: Connection,
    lender: Audited,
    packs: tuple[Pack, ...],
    part: Part,
    partners: pd.DataFrame,
    found: _Findings,
) -> None:
    """The part's contacts from each debtor's first new one on, against every pack.

    A person has one limit: contacts about other lenders' accounts count, and are judged with those lenders.
    """
    placements = store.placements(connection, part, lender.timezone)
    frame = store.contacts(connection, part, placements)
    if frame.empty:
        return
    since = part.debtors.set_index("debtor_id")["since"]
    others, placed = store.elsewhere(connection, part, partners, lender.timezone)
    joint = set() if others.empty else set(others["debtor_id"])
    if joint:
        frame = pd.concat([frame.assign(own=True), others.assign(own=False)], ignore_index=True)
        placements = pd.concat([placements, placed], ignore_index=True)
    else:
        frame = frame.assign(own=True)
    for number, pack in enumerate(packs):
        contacts = contacts_of(frame, placements, pack.jurisdiction, lender.timezone)
        wanted = (contacts.frame["at"] >= contacts.frame["debtor_id"].map(since)).to_numpy(bool)
        wanted = wanted & contacts.frame["own"].to_numpy(bool)
        breaches = judged(contacts, pack, wanted)
        # the count would tell this lender how often the agency called for another one
        hidden = breaches["debtor_id"].isin(joint) & breaches["counter"].isin(PER_PERSON)
        found.add(breaches.assign(counted=breaches["counted"].mask(hidden)), lender.lender)
        if not number:
            found.contacts += int(wanted.sum())
            dialled = contacts.is_in("channel", ("phone",)) & wanted
            found.without_point += int((contacts.frame["contact_point_ref"].isna().to_numpy() & dialled).sum())
            found.by_offset += int(((contacts.local.zone == "offset") & wanted).sum())
        third = contacts.frame[contacts.is_in("outcome", ("third_party",)) & wanted]
        for rule in pack.rules:
            if rule.counter == "third_party" and len(third):
                evidence = "activity:" + third["file_id"].astype("str") + ":" + third["line"].astype("str")
                found.asked.append(
                    pd.DataFrame({"pack": pack.name, "rule_id": rule.id, "evidence": evidence}).astype("str")
                )


def _judge_records(
    connection: Connection, desk: Desk, lender: Audited, pack: Pack, cut: str | None, found: _Findings
) -> None:
    """Missing records: what became due since the last cut, and again what stands open."""
    grace = grace_days(desk)
    until = desk.today(lender.timezone) - timedelta(days=grace)
    found.cuts[lender.lender] = until.isoformat()
    last = None if cut is None else date.fromisoformat(cut)
    standing = store.standing(connection, lender.lender, OF_RECORDS)
    standing = standing[standing["pack"] == pack.name]
    found.again.append(standing[["breach_id", *KEY]])
    for rule in pack.rules:
        mine = standing[standing["rule_id"] == rule.id]
        if rule.counter == "silent_account":
            found.add(_silent_accounts(connection, lender, pack, rule, last, until, mine), lender.lender)
        elif rule.counter == "remittance_without_contact":
            ends = None if last is None else _instant(last)
            lines = [store.remitted(connection, lender.lender, ends, _instant(until))]
            if len(mine):
                lines.append(store.remitted_lines(connection, lender.lender, mine))
            for part in lines:
                found.add(remittances_without_contact(part, pack, rule), lender.lender)
        elif rule.counter == "record_gap":
            days, held = store.contact_days(connection, lender.lender), store.holding(connection, lender.lender)
            found.add(record_gaps(days, held, pack, rule, until), lender.lender)


def _silent_accounts(
    connection: Connection,
    lender: Audited,
    pack: Pack,
    rule: Rule,
    last: date | None,
    until: date,
    mine: pd.DataFrame,
) -> pd.DataFrame:
    """Those whose days were over between the last cut and this one, and those that stand open."""
    days = timedelta(days=rule.number or 0)
    after = None if last is None else last - days
    parts = [store.first_contacts(connection, lender.lender, after, until - days, lender.timezone)]
    if len(mine):
        parts.append(store.first_contacts_of(connection, mine["placement_id"], lender.timezone))
    return pd.concat([silent_accounts(part, pack, rule, until) for part in parts], ignore_index=True)


def grace_days(desk: Desk) -> int:
    """A record that is missing is a breach when the agency has had twice the time in which it must report."""
    span = Span.parse(desk.settings.report_activity_every)
    return 2 * (span.number if span.unit != "hours" else -(-span.number // 24))


def _instant(day: date) -> datetime:
    found: datetime = (pd.Timestamp(day, tz="UTC") + pd.Timedelta(days=1)).to_pydatetime()
    return found


def _kept(
    desk: Desk,
    files: list[int],
    refused: list[int],
    found: _Findings,
    lenders: list[tuple[Audited, tuple[Pack, ...]]],
) -> Conducted:
    """What was found is on record, in one transaction: a run that is killed has changed nothing."""
    now, breaches = desk.now(), found.all()
    packs = {pack.name: pack for _, of in lenders for pack in of}
    with desk.database.write() as connection:
        trail.hold(connection)
        run_id = bulk.reserve(connection, "conduct_run", 1)
        withdrawn = store.withdraw_files(connection, refused, now)
        new = store.keep(connection, breaches, run_id, now)
        withdrawn += _withdrawn(connection, found, breaches, now)
        report = _report(run_id, files, new, found, packs.values(), withdrawn)
        row = {
            "run_id": run_id, "at": now, "by": desk.actor, "files": len(files), "contacts": found.contacts,
            "found": len(new), "withdrawn": withdrawn,
            "packs": json.dumps({
                one.lender: [f"{pack.name}@{pack.version}#{pack.sha256[:16]}" for pack in of] for one, of in lenders
            }),
            "summary": json.dumps({
                "by_rule": report.by_rule, "not_judged": report.not_judged, "notes": report.notes, "cuts": found.cuts,
            }, ensure_ascii=False),
        }  # fmt: skip
        store.add_run(connection, row, files)
        _open_exceptions(connection, desk, new, run_id)
        looked = [gates.look(connection, desk, one, of) for one, of in lenders]
        late = complaints.watch(connection, desk, [one for one, _ in lenders])
        wanting = diligence.watch(connection, desk, packs.values(), desk.today())
        audit.record(
            connection, desk.actor, "conduct.audited", f"conduct:{run_id}",
            {"files": len(files), "contacts": found.contacts, "found": len(new), "withdrawn": withdrawn,
             "packs": sorted(packs)[:50]},
            now,
        )  # fmt: skip
    return Conducted(
        **(asdict(report) | {
            "gates_closed": sum(one.closed for one in looked), "gates_opened": sum(one.opened for one in looked),
            "agencies_stopped": sum(one.stopping for one in looked), "complaints_overdue": late,
            "diligence_wanting": wanting,
        })
    )  # fmt: skip


def _withdrawn(connection: Connection, found: _Findings, breaches: pd.DataFrame, now: datetime) -> int:
    """Open breaches that were judged again and not found stand no longer."""
    there = pd.MultiIndex.from_frame(breaches[KEY])
    again = pd.concat([one for one in found.again if len(one)] or [pd.DataFrame(columns=["breach_id", *KEY])])
    gone = list(again.loc[~pd.MultiIndex.from_frame(again[KEY]).isin(there), "breach_id"])
    if found.asked:
        asked = pd.concat(found.asked, ignore_index=True)
        asked = asked[~pd.MultiIndex.from_frame(asked[KEY]).isin(there)]
        gone += store.known_ids(connection, asked)
    return store.withdraw(connection, gone, "what came later excuses it, or it was not found again", now)


def _open_exceptions(connection: Connection, desk: Desk, new: pd.DataFrame, run_id: int) -> None:
    """One exception per run, lender and agency with serious breaches that are new."""
    serious = new[new["severity"] == "serious"]
    for (lender, agency), part in serious.groupby(["lender", "agency"]):
        rules = [f"{rule}:{number}" for rule, number in sorted(part["rule_id"].value_counts().items())]
        exceptions.open_exception(
            connection, desk, "conduct_breach", agency=str(agency), lender=str(lender),
            subject=f"conduct:{run_id}:{lender}:{agency}", detail={"breaches": len(part), "rules": rules[:50]},
        )  # fmt: skip


def _report(
    run_id: int | None,
    files: list[int],
    new: pd.DataFrame,
    found: _Findings,
    packs: Any,
    withdrawn: int,
) -> Conducted:
    new = new.drop_duplicates(KEY)
    by_rule = {str(rule): int(number) for rule, number in new["rule_id"].value_counts().sort_index().items()}
    notes = []
    if found.without_point:
        notes.append(f"{found.without_point} calls name no contact point: their dial attempts were not counted")
    if found.by_offset:
        notes.append(
            f"{found.by_offset} contacts were judged by the offset that the agency reported: no region said more"
        )
    return Conducted(
        run_id=run_id, files=len(files), contacts=found.contacts, found=len(new),
        serious=int(np.sum(new["severity"] == "serious")), withdrawn=withdrawn, by_rule=by_rule,
        not_judged=[asdict(one) for one in not_judged(packs)], notes=notes,
    )  # fmt: skip


# -- what people do ----------------------------------------------------------------------------------------------------


def decide(desk: Desk, breach_id: int, there: str, reason: str) -> None:
    """A person has heard the agency: the breach is upheld or dismissed, and why. Raises UsageError, IllegalMove."""
    exceptions.check_text(reason)
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.breach(connection, breach_id)
        store.decide(connection, breach_id, there, desk.actor, reason, desk.now())
        audit.record(
            connection, desk.actor, f"breach.{there}", f"breach:{breach_id}",
            {"agency": row["agency"], "rule": row["rule_id"]}, desk.now(),
        )  # fmt: skip


def use_packs(desk: Desk, lender: str, names: list[str]) -> list[str]:
    """The lender's agencies are audited by these packs; by its country's where none is named. Returns what counts."""
    for name in names:
        rulepacks.find(name)
    with desk.database.write() as connection:
        trail.hold(connection)
        store.use_packs(connection, lender, names)
        audit.record(connection, desk.actor, "conduct.packs", f"lender:{lender}", {"packs": names}, desk.now())
        counts = next(one for one in store.lenders(connection) if one.lender == lender)
    return [pack.name for pack in rulepacks.of(counts)]


def whole(desk: Desk, breach_id: int) -> dict[str, Any]:
    """The breach with its rule's text, its evidence and the names that the agency knows account and debtor by."""
    from infra.packages import account_pseudonyms, debtor_pseudonyms

    with desk.database.read() as connection:
        row = store.breach(connection, breach_id)
    pack = rulepacks.find(row["pack"]) if row["pack"] in rulepacks.names() else None
    rule = None if pack is None else pack.rule(row["rule_id"], row["at"].date())
    key = desk.keyring.pseudonym_key(row["agency"])
    named = {
        "account": None
        if row["account_id"] is None
        else account_pseudonyms(key, pd.Series([row["account_id"]])).iloc[0],
        "debtor": None if row["debtor_id"] is None else debtor_pseudonyms(key, pd.Series([row["debtor_id"]])).iloc[0],
    }
    text = {} if rule is None else {"text": rule.text, "text_zh": rule.text_zh, "counsel": rule.counsel}
    return {name: value for name, value in row.items() if name not in {"account_id", "debtor_id"}} | named | text
