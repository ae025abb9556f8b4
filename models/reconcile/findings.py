"""What the rules found, under the ids that it came with: matches and their rivals, states, and why the rest is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.reconcile import breaks as codes
from models.reconcile.outcome import RIVALS_KEPT, WHY, Flags, Ints, Outcome
from models.reconcile.references import NONE

if TYPE_CHECKING:
    from models.reconcile.table import Table

ASKED = {"suggested": "suggested", "ambiguous": "several_equal"}


def outcome(table: Table) -> Outcome:
    """Everything found, and for what is left why."""
    match, line, receipt, amount = table.ties.all_parts()
    changed, moved = table.line_state != "", table.receipt_state != ""
    return Outcome(
        matches=pd.concat(table.ties.heads or [_no_matches()], ignore_index=True),
        parts=pd.DataFrame({
            "match": match,
            "line_id": _id_of(table.lines["line_id"], line),
            "receipt_id": _id_of(table.receipts["receipt_id"], receipt),
            "amount_minor": amount,
        }),
        rivals=_rivals(table, match, line, receipt),
        lines=pd.DataFrame({
            "line_id": table.lines["line_id"].to_numpy()[changed],
            "paid_minor": table.paid[changed],
            "written_off_minor": table.line_off[changed],
            "state": pd.Series(table.line_state[changed], dtype="str"),
        }),
        receipts=pd.DataFrame({
            "receipt_id": table.receipts["receipt_id"].to_numpy()[moved],
            "used_minor": table.used[moved],
            "written_off_minor": table.receipt_off[moved],
            "state": pd.Series(table.receipt_state[moved], dtype="str"),
        }),
        line_why=_line_why(table),
        receipt_why=_receipt_why(table),
        breaks=codes.together(table.breaks),
    )  # fmt: skip


# --- why the rest is open -----------------------------------------------------------------------------------------


class _Reasons:
    """One reason per row, the last one said, with its figures."""

    def __init__(self, rows: Ints) -> None:
        self.rows = rows
        self.code = np.full(len(rows), "", dtype=object)
        self.figures = {name: np.full(len(rows), NOTHING, dtype=np.int64) for name in WHY[1:]}

    def say(self, which: Flags, code: str, **figures: Ints | int) -> None:
        """These rows are open because of `code`; figures: `minor`, `days`, `count`, one per row of all."""
        self.code[which] = code
        for name in WHY[1:]:
            said = figures.get(name.removeprefix("why_"))
            self.figures[name][which] = NOTHING if said is None else np.broadcast_to(said, which.shape)[which]

    def frame(self, key: str, ids: pd.Series) -> pd.DataFrame:
        """The reasons under the rows' ids."""
        columns = {key: ids.to_numpy()[self.rows], "why": pd.Series(self.code, dtype="str")}
        return pd.DataFrame(columns | {name: _nullable(values) for name, values in self.figures.items()})


NOTHING = np.iinfo(np.int64).min


def _line_why(table: Table) -> pd.DataFrame:
    rows = np.flatnonzero((table.line_state != "matched") & (table.line_state != "reversed"))
    found = _Reasons(rows)
    every = np.ones(len(rows), dtype=bool)
    txn, batch = table.refs.transaction[rows], table.refs.batch[rows]
    found.say(every, "no_receipt_names_it")
    found.say((txn == NONE) & (batch == NONE), "names_nothing")
    known = table.refs.receipt != NONE
    count = np.append(table.counts(table.refs.receipt[known]), 0)
    code = np.where(count[txn] > 0, txn, np.where(count[batch] > 0, batch, NONE))
    _by_reference(table, found, code, count[code], table.line_day[rows], of_line=True)
    missing = (table.awaited - table.paid)[rows]
    found.say(table.line_state[rows] == "part_matched", "part", minor=missing)
    for status, why in ASKED.items():
        found.say(table.line_asked[rows] == status, why)
    return found.frame("line_id", table.lines["line_id"])


def _receipt_why(table: Table) -> pd.DataFrame:
    rows = np.flatnonzero((table.receipt_state != "matched") & (table.receipt_state != "returned"))
    found = _Reasons(rows)
    code = table.refs.receipt[rows]
    named = table.receipts["reference"].notna().to_numpy()[rows]
    around = np.full(len(rows), NOTHING, dtype=np.int64)
    several = np.zeros(len(rows), dtype=bool)
    if table.sums_seen:
        place = pd.Index(rows).get_indexer(list(table.sums_seen))
        for at, (why, figure) in zip(place.tolist(), table.sums_seen.values(), strict=True):
            if at >= 0:
                around[at], several[at] = figure, why == "several_sums"
    found.say(~named, "no_reference", count=around)
    found.say(named, "unknown_reference", count=around)
    found.say(several, "several_sums", count=around)
    lines = np.zeros(table.refs.count + 1, dtype=np.int64)
    for reference in (table.refs.transaction, table.refs.batch):
        lines[:-1] += table.counts(reference[reference != NONE])
    _by_reference(
        table, found, np.where(lines[code] > 0, code, NONE), lines[code], table.receipt_day[rows], of_line=False
    )
    found.say(table.receipt_state[rows] == "part_matched", "part", minor=table.amount[rows] - table.used[rows])
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


def _no_matches() -> pd.DataFrame:
    whole = {name: pd.Series(dtype="int64") for name in ("match", "rule_version", "amount_minor", "candidates")}
    return pd.DataFrame(whole | {name: pd.Series(dtype="str") for name in ("rule", "status")})


def _id_of(ids: pd.Series, rows: Ints) -> pd.Series:
    none = rows == NONE
    if none.all():
        return pd.Series(pd.NA, index=range(len(rows)), dtype="Int64")
    return pd.Series(pd.arrays.IntegerArray(ids.to_numpy(dtype=np.int64)[np.where(none, 0, rows)], none))


def _nullable(values: Ints) -> pd.Series:
    gone = values == NOTHING
    return pd.Series(pd.arrays.IntegerArray(np.where(gone, 0, values), gone))
