"""What the rules found, under the ids that it came with: matches and their rivals, states, and why the rest is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from models.reconcile import breaks as codes
from models.reconcile.outcome import REASONS, RIVALS_KEPT, RULES, STATUSES, VERSIONS, WHY, Outcome
from models.reconcile.references import NONE
from models.reconcile.table import PART, STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.reconcile.outcome import Flags, Ints
    from models.reconcile.table import Codes8, Table

ASKED = {STATUSES.index("suggested"): "suggested", STATUSES.index("ambiguous"): "several_equal"}
REASON = tuple(REASONS)


def outcome(table: Table) -> Outcome:
    """Everything found, and for what is left why."""
    match, line, receipt, amount = table.ties.all_parts()
    changed, moved = np.flatnonzero(table.line_state), np.flatnonzero(table.receipt_state)
    return Outcome(
        matches=_matches(table),
        parts=pd.DataFrame({
            "match": match,
            "line_id": _id_of(table.lines["line_id"], line),
            "receipt_id": _id_of(table.receipts["receipt_id"], receipt),
            "amount_minor": amount,
        }, copy=False),
        rivals=_rivals(table, match, line, receipt),
        lines=pd.DataFrame({
            "line_id": table.lines["line_id"].to_numpy()[changed],
            "paid_minor": table.paid[changed],
            "written_off_minor": table.line_off[changed],
            "state": _worded(table.line_state[changed], STATES),
        }, copy=False),
        receipts=pd.DataFrame({
            "receipt_id": table.receipts["receipt_id"].to_numpy()[moved],
            "used_minor": table.used[moved],
            "written_off_minor": table.receipt_off[moved],
            "state": _worded(table.receipt_state[moved], STATES),
        }, copy=False),
        line_why=_line_why(table),
        receipt_why=_receipt_why(table),
        paid_on=_paid_on(table, match, receipt),
        breaks=codes.together(table.breaks),
    )  # fmt: skip


def _paid_on(table: Table, match: Ints, receipt: Ints) -> Ints:
    day = np.zeros(table.ties.count, dtype=np.int64)
    has = receipt != NONE
    np.maximum.at(day, match[has], table.receipt_day[receipt[has]])
    return day


def _matches(table: Table) -> pd.DataFrame:
    heads = table.ties.heads
    sizes = [len(amount) for _, _, amount, _ in heads]
    rule, status = (np.repeat(np.array([head[at] for head in heads], dtype=np.int8), sizes) for at in (0, 1))
    amount, counted = (np.concatenate([NO_INTS, *(head[at] for head in heads)]) for at in (2, 3))
    versions = np.array([VERSIONS[name] for name in RULES], dtype=np.int64)
    return pd.DataFrame({
        "match": np.arange(len(rule)), "rule": _worded(rule, RULES), "rule_version": versions[rule],
        "status": _worded(status, STATUSES), "amount_minor": amount, "candidates": counted,
    }, copy=False)  # fmt: skip


NO_INTS = np.zeros(0, dtype=np.int64)


def _worded(which: Codes8, words: Sequence[str]) -> pd.Series:
    """The word of each code; a million of them in a few milliseconds."""
    coded = pa.DictionaryArray.from_arrays(pa.array(which), pa.array(words, pa.large_string()))
    return pd.Series(pd.array(coded.dictionary_decode(), dtype="str"))


# --- why the rest is open -----------------------------------------------------------------------------------------


class _Reasons:
    """One reason per row, the last one said, with its figures."""

    def __init__(self, rows: Ints) -> None:
        self.rows = rows
        self.code = np.zeros(len(rows), dtype=np.int8)
        self.figures = {name: np.full(len(rows), NOTHING, dtype=np.int64) for name in WHY[1:]}

    def say(self, which: Flags, code: str, **figures: Ints | int) -> None:
        """These rows are open because of `code`; figures: `minor`, `days`, `count`, one per row of all."""
        self.code[which] = REASON.index(code)
        for name in WHY[1:]:
            said = figures.get(name.removeprefix("why_"))
            self.figures[name][which] = NOTHING if said is None else np.broadcast_to(said, which.shape)[which]

    def frame(self, key: str, ids: pd.Series) -> pd.DataFrame:
        """The reasons under the rows' ids."""
        columns = {key: ids.to_numpy()[self.rows], "why": _worded(self.code, REASON)}
        return pd.DataFrame(columns | {name: _nullable(values) for name, values in self.figures.items()})


NOTHING = np.iinfo(np.int64).min


def _line_why(table: Table) -> pd.DataFrame:
    rows = np.flatnonzero((table.line_state == 0) | (table.line_state == PART))
    found = _Reasons(rows)
    every = np.ones(len(rows), dtype=bool)
    txn, batch = table.refs.transaction[rows], table.refs.batch[rows]
    found.say(every, "no_receipt_names_it")
    found.say((txn == NONE) & (batch == NONE), "names_nothing")
    missing = (table.awaited - table.paid)[rows]
    found.say((table.lines["tied_minor"] != 0).to_numpy()[rows], "part", minor=missing)
    known = table.refs.receipt != NONE
    count = np.append(table.counts(table.refs.receipt[known]), 0)
    code = np.where(count[txn] > 0, txn, np.where(count[batch] > 0, batch, NONE))
    _by_reference(table, found, code, count[code], table.line_day[rows], of_line=True)
    found.say(table.line_state[rows] == PART, "part", minor=missing)
    for status, why in ASKED.items():
        found.say(table.line_asked[rows] == status, why)
    return found.frame("line_id", table.lines["line_id"])


def _receipt_why(table: Table) -> pd.DataFrame:
    rows = np.flatnonzero((table.receipt_state == 0) | (table.receipt_state == PART))
    found = _Reasons(rows)
    code = table.refs.receipt[rows]
    named = table.receipts["reference"].notna().to_numpy()[rows]
    around, several = table.lines_around[rows], table.sums_that_fit[rows]
    around = np.where(around > 0, around, NOTHING)
    found.say(~named, "no_reference", count=around)
    found.say(named, "unknown_reference", count=around)
    found.say(several > 0, "several_sums", count=several)
    left = (table.amount - table.used)[rows]
    found.say((table.receipts["tied_minor"] != 0).to_numpy()[rows], "part", minor=left)
    lines = np.zeros(table.refs.count + 1, dtype=np.int64)
    for reference in (table.refs.transaction, table.refs.batch):
        lines[:-1] += table.counts(reference[reference != NONE])
    _by_reference(
        table, found, np.where(lines[code] > 0, code, NONE), lines[code], table.receipt_day[rows], of_line=False
    )
    found.say(table.receipt_state[rows] == PART, "part", minor=left)
    for status, why in ASKED.items():
        found.say(table.receipt_asked[rows] == status, why)
    return found.frame("receipt_id", table.receipts["receipt_id"])


def _by_reference(table: Table, found: _Reasons, code: Ints, count: Ints, day: Ints, *, of_line: bool) -> None:
    """Why rows are open whose reference the other side has: what has it is taken, too far off, or another amount."""
    known = code != NONE
    if not known.any():
        return
    free = np.flatnonzero(table.receipt_free & (table.refs.receipt != NONE))
    received = np.append(table.sums(table.refs.receipt[free], table.amount[free]), 0)
    paid_on = np.append(table.last(table.refs.receipt[free], table.receipt_day[free]), 0)
    receipts = np.append(table.counts(table.refs.receipt[free]), 0)
    awaited, lines = np.zeros_like(received), np.zeros_like(receipts)
    said_on = np.full_like(received, np.iinfo(np.int32).min)
    for reference in (table.refs.transaction, table.refs.batch):
        some = np.flatnonzero(table.line_free & (reference != NONE))
        awaited[:-1] += table.sums(reference[some], table.net[some])
        lines[:-1] += table.counts(reference[some])
        np.maximum.at(said_on, reference[some], table.line_day[some])
    there = (receipts if of_line else lines)[code]
    late = np.where(there > 0, paid_on[code] - day if of_line else day - said_on[code], 0)
    far = (late < -table.terms.days_before) | (late > table.terms.days_after)
    found.say(known & (there == 0), "taken", count=count)
    found.say(known & (there > 0) & far, "outside_window", days=late, count=there)
    off = received[code] - awaited[code]
    found.say(known & (there > 0) & ~far, "amount_differs", minor=off, days=late, count=there)


# --- what else was considered -------------------------------------------------------------------------------------


def _rivals(table: Table, match: Ints, line: Ints, receipt: Ints) -> pd.DataFrame:
    """For each match the best of what had the same reference and is not in it."""
    of_line = np.full(len(table.net), NONE, dtype=np.int64)
    of_receipt = np.full(len(table.amount), NONE, dtype=np.int64)
    of_line[line[line != NONE]] = match[line != NONE]
    of_receipt[receipt[receipt != NONE]] = match[receipt != NONE]
    money = _beside(table.refs.receipt, table.refs.count, table.amount, table.receipt_day, of_receipt)
    claims = _beside(table.refs.transaction, table.refs.count, table.net, table.line_day, of_line)
    nobody = {"line_id": pd.array([pd.NA] * len(money), dtype="Int64")}
    found = [
        money.assign(receipt_id=_id_of(table.receipts["receipt_id"], money["row"].to_numpy()), **nobody),
        claims.assign(
            line_id=_id_of(table.lines["line_id"], claims["row"].to_numpy()),
            receipt_id=pd.array([pd.NA] * len(claims), dtype="Int64"),
        ),
    ]
    columns = ["match", "line_id", "receipt_id", "off_minor", "off_days"]
    return pd.concat([some[columns] for some in found], ignore_index=True)


def _beside(code: Ints, count: int, amount: Ints, day: Ints, of: Ints) -> pd.DataFrame:
    """Rows that share a reference with a matched row of another match or of none, the nearest in amount and day.

    `match`, `row`, `off_minor`, `off_days`; the nearest stand within RIVALS_KEPT places when sorted by amount.
    """
    several = np.append(np.bincount(code[code != NONE], minlength=count) > 1, False)
    rows = np.flatnonzero(several[code])
    rows = rows[np.lexsort((day[rows], amount[rows], code[rows]))]
    found = []
    for step in range(1, RIVALS_KEPT + 1):
        one, other = rows[:-step], rows[step:]
        same = code[one] == code[other]
        for mine, rival in ((one[same], other[same]), (other[same], one[same])):
            counts = (of[mine] != NONE) & (of[mine] != of[rival])
            found.append((of[mine[counts]], mine[counts], rival[counts]))
    match, mine, rival = (np.concatenate(part) for part in zip(*found, strict=True))
    frame = pd.DataFrame({
        "match": match, "row": rival, "off_minor": amount[rival] - amount[mine], "off_days": day[rival] - day[mine],
    })  # fmt: skip
    order = np.lexsort((frame["row"], np.abs(frame["off_days"]), np.abs(frame["off_minor"]), frame["match"]))
    frame = frame.iloc[order].drop_duplicates(["match", "row"])
    return frame[frame.groupby("match").cumcount() < RIVALS_KEPT].reset_index(drop=True)


def _id_of(ids: pd.Series, rows: Ints) -> pd.Series:
    none = rows == NONE
    if none.all():
        return pd.Series(pd.NA, index=range(len(rows)), dtype="Int64")
    return pd.Series(pd.arrays.IntegerArray(ids.to_numpy(dtype=np.int64)[np.where(none, 0, rows)], none))


def _nullable(values: Ints) -> pd.Series:
    gone = values == NOTHING
    return pd.Series(pd.arrays.IntegerArray(np.where(gone, 0, values), gone))
