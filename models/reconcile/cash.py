"""Which receipts paid which remittance lines: the rules, most specific evidence first (R5, R6).

1. `reversal`: a line and its full reversal, or a receipt and its return, undo each other without money.
2. `batch`: all open lines of a transfer's reference against all its receipts, in total, net or gross.
3. `exact`: reference and amount, the n-th for the n-th.
4. `near`: reference within the contract's tolerance and the date window; a lone transaction is paid in part.

Batch goes before exact: on a million lines the other order completed 60 % of lump transfers, this one all. A plain
join on the reference counts pairs twice, hence ranks within a key. Equal candidates on different accounts are
ambiguous, not guessed. The rules see one agency and one currency at a time: nothing can cross either.

The order among equals is by value date, then by content, never by arrival: any permutation of the files gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.reconcile import breaks as codes
from models.reconcile.references import NONE, References, coded

Status = Literal["confirmed", "suggested", "ambiguous"]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

RULE_VERSION = 1
PAIRS_AT_MOST = 64
"""Beyond so many pairs on one reference, `near` leaves it to a person."""


@dataclass(frozen=True)
class Terms:
    """What the contract says about money that is nearly right."""

    tolerance_minor: int = 0
    days_before: int = 5
    """A receipt may be this much earlier than the line says it was paid."""
    days_after: int = 60


@dataclass(frozen=True)
class Outcome:
    """What the rules found; nothing here is in any store yet."""

    matches: pd.DataFrame
    """`match` (0, 1 …), `rule`, `rule_version`, `status`, `amount_minor`, `candidates`"""
    parts: pd.DataFrame
    """`match`, `line_id` or `receipt_id` (Int64), `amount_minor`: a confirmed match has the same sum on both sides"""
    lines: pd.DataFrame
    """lines that changed: `line_id`, `paid_minor` (now tied to receipts), `written_off_minor`, `state`"""
    receipts: pd.DataFrame
    """receipts that changed: `receipt_id`, `used_minor`, `written_off_minor`, `state`"""
    breaks: pd.DataFrame
    """columns models.reconcile.breaks.COLUMNS"""


def matched(lines: pd.DataFrame, receipts: pd.DataFrame, terms: Terms) -> Outcome:
    """What the rules make of the open lines and receipts of one agency in one currency.

    lines: `line_id`, `content_id`, `account_id` (Int64), `original_line_id` (Int64), `txn_ref`, `batch_ref`,
    `value_date`, `net_minor` and `gross_minor` (what is still open of each), `agency`, `currency`.
    receipts: `receipt_id`, `reference`, `value_date`, `amount_minor` (still open), `agency`, `currency`.
    """
    table = _Table(lines, receipts, terms)
    table.undo_lines()
    table.undo_receipts()
    table.tie_batches()
    table.tie_exact()
    table.tie_near_batches()
    table.tie_near()
    return table.outcome()


@dataclass
class _Ties:
    """Matches as they are found: one row per match, and one per part."""

    heads: list[pd.DataFrame] = field(default_factory=list)
    parts: list[tuple[Ints, Ints, Ints, Ints]] = field(default_factory=list)
    count: int = 0

    def add(self, rule: str, status: Status, amount: Ints, candidates: Ints | int) -> Ints:
        """New matches of one rule; their numbers."""
        numbers = np.arange(self.count, self.count + len(amount))
        self.count += len(amount)
        head = {"match": numbers, "rule": rule, "rule_version": RULE_VERSION, "status": status}
        self.heads.append(pd.DataFrame(head | {"amount_minor": amount, "candidates": candidates}))
        return numbers

    def take(self, numbers: Ints, amount: Ints, line: Ints | None = None, receipt: Ints | None = None) -> None:
        """Parts of the matches `numbers`: rows of lines or of receipts."""
        nobody = np.full(len(numbers), NONE, dtype=np.int64)
        self.parts.append((numbers, nobody if line is None else line, nobody if receipt is None else receipt, amount))


class _Table:
    """The open lines and receipts while the rules go over them; each rule sees what the ones before left."""

    def __init__(self, lines: pd.DataFrame, receipts: pd.DataFrame, terms: Terms) -> None:
        self.lines, self.receipts, self.terms = lines, receipts, terms
        self.refs: References = coded(lines["txn_ref"], lines["batch_ref"], receipts["reference"])
        self.net: Ints = lines["net_minor"].to_numpy(dtype=np.int64)
        self.gross: Ints = lines["gross_minor"].to_numpy(dtype=np.int64)
        self.amount: Ints = receipts["amount_minor"].to_numpy(dtype=np.int64)
        self.line_day: Ints = _days(lines["value_date"])
        self.receipt_day: Ints = _days(receipts["value_date"])
        self.line_free: Flags = np.ones(len(lines), dtype=bool)
        self.receipt_free: Flags = np.ones(len(receipts), dtype=bool)
        self.line_state = np.full(len(lines), "", dtype=object)
        self.receipt_state = np.full(len(receipts), "", dtype=object)
        self.paid: Ints = np.zeros(len(lines), dtype=np.int64)
        self.used: Ints = np.zeros(len(receipts), dtype=np.int64)
        self.line_off: Ints = np.zeros(len(lines), dtype=np.int64)
        self.receipt_off: Ints = np.zeros(len(receipts), dtype=np.int64)
        self.ties = _Ties()
        self.breaks: list[pd.DataFrame] = []

    # --- rule 1 -------------------------------------------------------------------------------------------------

    def undo_lines(self) -> None:
        """A full reversal and its original, in the same transfer or in none, need no money."""
        undoing = np.flatnonzero(self.lines["original_line_id"].notna().to_numpy())
        if not len(undoing):
            return
        wanted = self.lines["original_line_id"].iloc[undoing].astype("int64").to_numpy()
        original = pd.Index(self.lines["line_id"]).get_indexer(wanted)
        both = np.column_stack([undoing, original])[original >= 0]
        undoing, original = both[:, 0], both[:, 1]
        batch = self.refs.batch
        paid_apart = (self._receipts_of(self.refs.transaction[undoing]) > 0) | (
            self._receipts_of(self.refs.transaction[original]) > 0
        )
        full = (
            (self.net[undoing] == -self.net[original])
            & (self.gross[undoing] == -self.gross[original])
            & (batch[undoing] == batch[original])
            & ~((batch[undoing] == NONE) & paid_apart)
        )
        undoing, original = undoing[full], original[full]
        numbers = self.ties.add("reversal", "confirmed", np.abs(self.net[original]), 1)
        self.ties.take(numbers, self.net[original], line=original)
        self.ties.take(numbers, self.net[undoing], line=undoing)
        self.line_free[undoing] = self.line_free[original] = False
        self.line_state[original], self.line_state[undoing] = "reversed", "matched"

    def undo_receipts(self) -> None:
        """A receipt and its return, under one reference, leave nothing."""
        returns = np.flatnonzero((self.amount < 0) & self.receipts["reference"].notna().to_numpy())
        if not len(returns):
            return
        text = self.receipts["reference"].str.strip().str.upper()
        key = pd.DataFrame(
            {"reference": text, "size": np.abs(self.amount), "day": self.receipt_day, "at": range(len(text))}
        )
        key = key[text.isin(text.iloc[returns])].sort_values(["day", "at"])
        back = self.amount[key["at"]] < 0
        key["nth"] = key.groupby(["reference", "size", back], sort=False).cumcount()
        pairs = key[~back].merge(key[back], on=["reference", "size", "nth"])
        came, went = pairs["at_x"].to_numpy(), pairs["at_y"].to_numpy()
        numbers = self.ties.add("reversal", "confirmed", self.amount[came], 1)
        for side in (came, went):
            self.ties.take(numbers, self.amount[side], receipt=side)
            self.used[side] = self.amount[side]
            self.receipt_free[side] = False
            self.receipt_state[side] = "returned"

    # --- rule 2 -------------------------------------------------------------------------------------------------

    def tie_batches(self) -> None:
        """All open lines of a transfer against all its receipts, or against the one receipt of that total."""
        at_line, at_receipt = self._open(self.refs.batch, self.refs.receipt)
        line_code, receipt_code = self.refs.batch[at_line], self.refs.receipt[at_receipt]
        lines, receipts = self._counts(line_code), self._counts(receipt_code)
        received = self._sums(receipt_code, self.amount[at_receipt])
        both = (lines > 0) & (receipts > 0)
        done = np.zeros(self.refs.count, dtype=bool)
        for rest in (self.net, self.gross):
            total = self._sums(line_code, rest[at_line])
            whole = both & ~done & (received == total) & (total != 0)
            self._batch(whole, at_line, at_receipt, rest, receipts)
            done |= whole
            # several receipts, one of which is the total: the first such
            equal = both & ~done & (receipts > 1) & (total != 0)
            one = at_receipt[equal[receipt_code] & (self.amount[at_receipt] == total[receipt_code])]
            one = self._first_of(one)
            hit = np.zeros(self.refs.count, dtype=bool)
            hit[self.refs.receipt[one]] = True
            self._batch(hit, at_line, one, rest, receipts)
            done |= hit

    def _batch(self, which: Flags, at_line: Ints, at_receipt: Ints, rest: Ints, candidates: Ints) -> None:
        if not which.any():
            return
        line = at_line[which[self.refs.batch[at_line]]]
        receipt = at_receipt[which[self.refs.receipt[at_receipt]]]
        code = np.flatnonzero(which)
        total = self._sums(self.refs.batch[line], rest[line])[code]
        number_of = np.zeros(self.refs.count, dtype=np.int64)
        number_of[code] = self.ties.add("batch", "confirmed", total, candidates[code])
        self._settle(number_of[self.refs.batch[line]], line, rest[line])
        self._apply(number_of[self.refs.receipt[receipt]], receipt, self.amount[receipt])
        net = self._sums(self.refs.batch[line], self.net[line])[code]
        if (net != total).any():
            self._not_net(self._first_of(receipt), net, total)

    # --- rule 3 -------------------------------------------------------------------------------------------------

    def tie_exact(self) -> None:
        """A transaction's or a transfer's reference and the amount, net before gross, the n-th for the n-th."""
        for reference in (self.refs.transaction, self.refs.batch):
            self._pair(reference, self.net)
            self._pair(reference, self.gross)

    def _pair(self, reference: Ints, rest: Ints) -> None:
        at_line, at_receipt = self._open(reference, self.refs.receipt)
        if not len(at_line) or not len(at_receipt):
            return
        code, code_r = reference[at_line], self.refs.receipt[at_receipt]
        lines, receipts = self._counts(code), self._counts(code_r)
        lone = (lines == 1) & (receipts == 1)
        # nearly every reference has one line and one receipt: these meet at their code, without a sort or a join
        place = np.full(self.refs.count, NONE, dtype=np.int64)
        mine = lone[code_r]
        place[code_r[mine]] = at_receipt[mine]
        line = at_line[lone[code]]
        receipt = place[reference[line]]
        equal = self.amount[receipt] == rest[line]
        self._tie("exact", line[equal], receipt[equal], rest, 1)
        several = (lines > 0) & (receipts > 0) & ~lone
        if several.any():
            self._rank(reference, at_line[several[code]], at_receipt[several[code_r]], rest)

    def _rank(self, reference: Ints, at_line: Ints, at_receipt: Ints, rest: Ints) -> None:
        """References with several lines or receipts: the n-th line of an amount has the n-th receipt of it."""
        at_line, at_receipt = at_line[self._line_order(at_line)], at_receipt[self._receipt_order(at_receipt)]
        code = np.concatenate([reference[at_line], self.refs.receipt[at_receipt]])
        amount = np.concatenate([rest[at_line], self.amount[at_receipt]])
        side = np.repeat([0, 1], [len(at_line), len(at_receipt)])
        order = np.lexsort((side, amount, code))  # stable: within a side the order made above stays
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(code[order]) != 0) | (np.diff(amount[order]) != 0)
        start = np.flatnonzero(new)
        group = np.cumsum(new) - 1
        is_line = side[order] == 0
        lines = np.add.reduceat(is_line.astype(np.int64), start)
        receipts = np.diff(np.append(start, len(order))) - lines
        nth = np.arange(len(order)) - start[group]
        nth = np.where(is_line, nth, nth - lines[group])
        row = np.concatenate([at_line, at_receipt])[order]

        account = self.lines["account_id"].to_numpy(dtype=np.int64, na_value=0)
        account = np.where(account == 0, -1 - np.arange(len(account)), account)
        of = np.where(is_line, account[np.where(is_line, row, 0)], np.iinfo(np.int64).max)
        of_line = np.where(is_line, of, np.iinfo(np.int64).min)
        same = np.minimum.reduceat(of, start) == np.maximum.reduceat(of_line, start)
        unsure = (receipts > 0) & (lines > receipts) & ~same
        sure = ((lines > 0) & (receipts > 0) & ~unsure)[group] & (nth < np.minimum(lines, receipts)[group])
        # lines come first in their group, so that both sides are in the order of (group, nth)
        candidates = np.maximum(lines, receipts)[group]
        self._tie("exact", row[sure & is_line], row[sure & ~is_line], rest, candidates[sure & is_line])
        if unsure.any():
            self._leave(unsure, group, is_line, row, rest)

    def _leave(self, unsure: Flags, group: Ints, is_line: Flags, row: Ints, rest: Ints) -> None:
        """Equal candidates on different accounts: kept for a person, and from the rules that follow."""
        number_of = np.zeros(len(unsure), dtype=np.int64)
        of_line, of_receipt = unsure[group] & is_line, unsure[group] & ~is_line
        line, receipt = row[of_line], row[of_receipt]
        first = receipt[np.unique(group[of_receipt], return_index=True)[1]]
        candidates = np.bincount(group[of_line], minlength=len(unsure))[unsure]
        number_of[unsure] = self.ties.add("exact", "ambiguous", self.amount[first], candidates)
        self.ties.take(number_of[group[of_line]], rest[line], line=line)
        self.ties.take(number_of[group[of_receipt]], self.amount[receipt], receipt=receipt)
        self.line_free[line] = self.receipt_free[receipt] = False
        subject = self.receipts.iloc[first]
        self.breaks.append(
            codes.found(subject, "ambiguous", "receipt_id", candidates=pd.Series(candidates, subject.index))
        )

    def _tie(self, rule: str, line: Ints, receipt: Ints, rest: Ints, candidates: Ints | int) -> None:
        numbers = self.ties.add(rule, "confirmed", rest[line], candidates)
        self._settle(numbers, line, rest[line])
        self._apply(numbers, receipt, self.amount[receipt])
        self._not_net(receipt, self.net[line], rest[line])

    def _not_net(self, receipt: Ints, net: Ints, paid: Ints) -> None:
        """Paid gross where the lines say net: tied, and a person should know."""
        other = net != paid
        if other.any():
            self._differ(self.receipts.iloc[receipt[other]], "receipt_id", net[other], paid[other])

    # --- rule 4 -------------------------------------------------------------------------------------------------

    def tie_near_batches(self) -> None:
        """A transfer within the tolerance is tied, the rest written off; too much is tied, too little suggested."""
        at_line, at_receipt = self._open(self.refs.batch, self.refs.receipt)
        code, code_r = self.refs.batch[at_line], self.refs.receipt[at_receipt]
        both = (self._counts(code) > 0) & (self._counts(code_r) > 0)
        if not both.any():
            return
        line, receipt = at_line[both[code]], at_receipt[both[code_r]]
        code, code_r = self.refs.batch[line], self.refs.receipt[receipt]
        total, received = self._sums(code, self.net[line]), self._sums(code_r, self.amount[receipt])
        late = self._last(code_r, self.receipt_day[receipt]) - self._last(code, self.line_day[line])
        timely = both & (late >= -self.terms.days_before) & (late <= self.terms.days_after) & (received * total > 0)
        near = timely & (np.abs(received - total) <= self.terms.tolerance_minor)
        # more than the lines say, and one receipt can hold the rest: these lines are paid, others are still to come
        excess = received - total
        over = timely & ~near & (excess * np.sign(total) > 0)
        over &= np.abs(excess) < self._largest(code_r, np.abs(self.amount[receipt]))
        self._cover(near | over, line, receipt, total, received)
        rest = receipt[over[code_r]]
        self.receipt_off[rest] = 0
        left = rest[self.used[rest] != self.amount[rest]]
        self.receipt_state[left] = "part_matched"
        self._differ(
            self.receipts.iloc[left], "receipt_id", total[self.refs.receipt[left]], received[self.refs.receipt[left]]
        )
        self._suggest(timely & ~near & ~over, line, receipt, total, received)

    def _cover(self, which: Flags, line: Ints, receipt: Ints, total: Ints, received: Ints) -> None:
        """What the receipts lack is taken off the transfer's largest line, what they exceed off the largest receipt."""
        line, receipt = line[which[self.refs.batch[line]]], receipt[which[self.refs.receipt[receipt]]]
        line, receipt = line[self._line_order(line)], receipt[self._receipt_order(receipt)]
        code = np.flatnonzero(which)
        number_of = np.zeros(len(which), dtype=np.int64)
        agreed = _lesser(received, total)
        number_of[code] = self.ties.add("near", "confirmed", agreed[code], 1)
        pays, uses = self.net[line].copy(), self.amount[receipt].copy()
        for amounts, at, short in (
            (pays, self.refs.batch[line], total - agreed),
            (uses, self.refs.receipt[receipt], received - agreed),
        ):
            order = np.lexsort((-np.abs(amounts), at))
            largest = order[np.unique(at[order], return_index=True)[1]]
            amounts[largest] -= short[at[largest]]
        self._settle(number_of[self.refs.batch[line]], line, pays)
        self._apply(number_of[self.refs.receipt[receipt]], receipt, uses)
        self.line_off[line] = self.net[line] - pays
        self.receipt_off[receipt] = self.amount[receipt] - uses

    def _suggest(self, which: Flags, line: Ints, receipt: Ints, total: Ints, received: Ints) -> None:
        if not which.any():
            return
        line, receipt = line[which[self.refs.batch[line]]], receipt[which[self.refs.receipt[receipt]]]
        code = np.flatnonzero(which)
        number_of = np.zeros(len(which), dtype=np.int64)
        number_of[code] = self.ties.add("near", "suggested", received[code], 1)
        self.ties.take(number_of[self.refs.batch[line]], self.net[line], line=line)
        self.ties.take(number_of[self.refs.receipt[receipt]], self.amount[receipt], receipt=receipt)
        self.line_free[line] = self.receipt_free[receipt] = False
        first = self._first_of(receipt)
        subject = self.receipts.iloc[first]
        at = self.refs.receipt[first]
        self._differ(subject, "receipt_id", total[at], received[at])

    def tie_near(self) -> None:
        """A transaction's reference within tolerance and window, mutual best; a lone transaction is paid in part."""
        at_line, at_receipt = self._open(self.refs.transaction, self.refs.receipt)
        code, code_r = self.refs.transaction[at_line], self.refs.receipt[at_receipt]
        lines, receipts = self._counts(code), self._counts(code_r)
        few = (lines > 0) & (receipts > 0) & (lines * receipts <= PAIRS_AT_MOST)
        if not few.any():
            return
        at_line, at_receipt = at_line[few[code]], at_receipt[few[code_r]]
        at_line, at_receipt = at_line[self._line_order(at_line)], at_receipt[self._receipt_order(at_receipt)]
        left = pd.DataFrame({"code": self.refs.transaction[at_line], "line": at_line, "l": range(len(at_line))})
        code_r = self.refs.receipt[at_receipt]
        right = pd.DataFrame({"code": code_r, "receipt": at_receipt, "r": range(len(at_receipt))})
        pairs = left.merge(right, on="code")
        line, receipt = pairs["line"].to_numpy(), pairs["receipt"].to_numpy()
        late = self.receipt_day[receipt] - self.line_day[line]
        pairs["days"] = np.abs(late)
        pairs["off"] = np.abs(self.amount[receipt] - self.net[line])
        pairs = pairs[
            (late >= -self.terms.days_before)
            & (late <= self.terms.days_after)
            & (self.amount[receipt] * np.sign(self.net[line]) > 0)
        ]
        self._mutual(pairs[pairs["off"] <= self.terms.tolerance_minor])
        free = self.line_free[pairs["line"]] & self.receipt_free[pairs["receipt"]]
        self._in_part(pairs[free])

    def _mutual(self, pairs: pd.DataFrame) -> None:
        """Repeatedly: pairs that are each other's best, by difference, days, then content."""
        pairs = pairs.sort_values(["off", "days", "l", "r"])
        account = self.lines["account_id"].fillna(0).astype("int64").to_numpy()
        while len(pairs):
            best = ~pairs.duplicated("line") & ~pairs.duplicated("receipt")
            chosen = pairs[best]
            rivals = pairs.merge(chosen[["receipt", "off", "days", "line"]], on=["receipt", "off", "days"])
            tied = rivals[account[rivals["line_x"]] != account[rivals["line_y"]]]
            unsure = chosen["receipt"].isin(tied["receipt"])
            if unsure.any():
                self._unsure(chosen[unsure], tied)
            sure = chosen[~unsure]
            line, receipt = sure["line"].to_numpy(), sure["receipt"].to_numpy()
            agreed = np.where(
                np.abs(self.amount[receipt]) < np.abs(self.net[line]), self.amount[receipt], self.net[line]
            )
            numbers = self.ties.add("near", "confirmed", agreed, 1)
            self._settle(numbers, line, agreed)
            self._apply(numbers, receipt, agreed)
            self.line_off[line] = self.net[line] - agreed
            self.receipt_off[receipt] = self.amount[receipt] - agreed
            pairs = pairs[self.line_free[pairs["line"]] & self.receipt_free[pairs["receipt"]]]

    def _unsure(self, chosen: pd.DataFrame, tied: pd.DataFrame) -> None:
        receipt = chosen["receipt"].to_numpy()
        rivals = tied.groupby("receipt")["line_x"].nunique()
        candidates = np.asarray(rivals.loc[receipt], dtype=np.int64) + 1
        numbers = self.ties.add("near", "ambiguous", self.amount[receipt], candidates)
        self.ties.take(numbers, self.amount[receipt], receipt=receipt)
        rival = pd.concat([chosen[["receipt", "line"]], tied[["receipt", "line_x"]].rename(columns={"line_x": "line"})])
        rival = rival[rival["receipt"].isin(receipt)].drop_duplicates()
        line = rival["line"].to_numpy()
        self.ties.take(numbers[pd.Index(receipt).get_indexer(rival["receipt"])], self.net[line], line=line)
        self.line_free[line] = self.receipt_free[receipt] = False
        subject = self.receipts.iloc[receipt]
        self.breaks.append(
            codes.found(subject, "ambiguous", "receipt_id", candidates=pd.Series(candidates, subject.index))
        )

    def _in_part(self, pairs: pd.DataFrame) -> None:
        """A transaction with one open line: its receipts pay it, as far as they go."""
        lone = pairs.groupby("code")["line"].transform("nunique") == 1
        pairs = pairs[lone].sort_values(["l", "r"])
        received = pd.Series(self.amount[pairs["receipt"]], index=pairs.index).groupby(pairs["code"]).transform("sum")
        count = pairs.groupby("code")["receipt"].transform("size")
        expected = pd.Series(self.net[pairs["line"]], index=pairs.index)
        # several receipts that are too much together: which of them is the wrong one, a person must say
        pairs = pairs[(received.abs() <= expected.abs()) | (count == 1)]
        head = pairs.drop_duplicates("code")
        line, receipt = head["line"].to_numpy(), pairs["receipt"].to_numpy()
        received_minor, expected_minor = received.loc[head.index].to_numpy(), self.net[line]
        agreed = np.where(np.abs(received_minor) < np.abs(expected_minor), received_minor, expected_minor)
        numbers = pd.Series(
            self.ties.add("near", "confirmed", agreed, count.loc[head.index].to_numpy()), index=head["code"]
        )
        self._settle(numbers.to_numpy(), line, agreed)
        self.line_state[line[np.abs(agreed) < np.abs(expected_minor)]] = "part_matched"
        used = self.amount[receipt].copy()
        beyond = pd.Series(received_minor - agreed, index=head["code"]).loc[pairs["code"]].to_numpy()
        used -= beyond  # there is one receipt where anything is beyond
        self._apply(numbers.loc[pairs["code"]].to_numpy(), receipt, used)
        self.receipt_state[receipt[beyond != 0]] = "part_matched"
        short = np.abs(received_minor) < np.abs(expected_minor)
        over = np.abs(received_minor) > np.abs(expected_minor)
        self._differ(self.lines.iloc[line[short]], "line_id", expected_minor[short], received_minor[short])
        excess = head["receipt"].to_numpy()[over]
        self._differ(self.receipts.iloc[excess], "receipt_id", expected_minor[over], received_minor[over])

    # --- what all rules share -----------------------------------------------------------------------------------

    def _doubt(self, receipts: pd.DataFrame, candidates: Ints) -> None:
        self.breaks.append(
            codes.found(receipts, "ambiguous", "receipt_id", candidates=pd.Series(candidates, receipts.index))
        )

    def _differ(self, subject: pd.DataFrame, name: str, expected: Ints, received: Ints) -> None:
        subject = subject.assign(amount_minor=received - expected)
        of = subject.index
        detail = {"expected_minor": pd.Series(expected, of), "found_minor": pd.Series(received, of)}
        self.breaks.append(codes.found(subject, "amount_diff", name, **detail))

    def _settle(self, numbers: Ints, line: Ints, amount: Ints) -> None:
        self.ties.take(numbers, amount, line=line)
        self.paid[line] += amount
        self.line_free[line] = False
        self.line_state[line] = "matched"

    def _apply(self, numbers: Ints, receipt: Ints, amount: Ints) -> None:
        self.ties.take(numbers, amount, receipt=receipt)
        self.used[receipt] += amount
        self.receipt_free[receipt] = False
        self.receipt_state[receipt] = "matched"

    def _open(self, line_code: Ints, receipt_code: Ints) -> tuple[Ints, Ints]:
        """The rows that are free and have such a reference, on each side."""
        return (
            np.flatnonzero(self.line_free & (line_code != NONE)),
            np.flatnonzero(self.receipt_free & (receipt_code != NONE)),
        )

    def _counts(self, code: Ints) -> Ints:
        return np.bincount(code, minlength=self.refs.count)

    def _sums(self, code: Ints, amount: Ints) -> Ints:
        sums = np.zeros(self.refs.count, dtype=np.int64)
        np.add.at(sums, code, amount)
        return sums

    def _largest(self, code: Ints, amount: Ints) -> Ints:
        most = np.zeros(self.refs.count, dtype=np.int64)
        np.maximum.at(most, code, amount)
        return most

    def _last(self, code: Ints, day: Ints) -> Ints:
        last = np.full(self.refs.count, np.iinfo(np.int32).min, dtype=np.int64)
        np.maximum.at(last, code, day)
        return last

    def _receipts_of(self, code: Ints) -> Ints:
        known = self.refs.receipt[self.refs.receipt != NONE]
        counts = np.append(self._counts(known), 0)  # NONE is the last
        return counts[code]

    def _line_order(self, rows: Ints) -> Ints:
        content = self.lines["content_id"].iloc[rows].to_numpy()
        return np.lexsort((pd.factorize(content, sort=True)[0], self.line_day[rows]))

    def _first_of(self, receipt: Ints) -> Ints:
        """The first receipt of each reference, in the order of the references' codes."""
        ordered = receipt[self._receipt_order(receipt)]
        return ordered[np.unique(self.refs.receipt[ordered], return_index=True)[1]]

    def _receipt_order(self, rows: Ints) -> Ints:
        return np.lexsort((self.receipts["receipt_id"].to_numpy()[rows], self.receipt_day[rows]))

    def outcome(self) -> Outcome:
        """Everything found, under the ids that it came with."""
        heads = self.ties.heads or [_no_matches()]
        match, line, receipt, amount = (
            np.concatenate(part) if part else np.zeros(0, dtype=np.int64)
            for part in (zip(*self.ties.parts, strict=True) if self.ties.parts else [()] * 4)
        )
        changed, moved = self.line_state != "", self.receipt_state != ""
        return Outcome(
            matches=pd.concat(heads, ignore_index=True),
            parts=pd.DataFrame({
                "match": match,
                "line_id": _id_of(self.lines["line_id"], line),
                "receipt_id": _id_of(self.receipts["receipt_id"], receipt),
                "amount_minor": amount,
            }),
            lines=pd.DataFrame({
                "line_id": self.lines["line_id"].to_numpy()[changed],
                "paid_minor": self.paid[changed],
                "written_off_minor": self.line_off[changed],
                "state": pd.Series(self.line_state[changed], dtype="str"),
            }),
            receipts=pd.DataFrame({
                "receipt_id": self.receipts["receipt_id"].to_numpy()[moved],
                "used_minor": self.used[moved],
                "written_off_minor": self.receipt_off[moved],
                "state": pd.Series(self.receipt_state[moved], dtype="str"),
            }),
            breaks=codes.together(self.breaks),
        )  # fmt: skip


def _lesser(one: Ints, other: Ints) -> Ints:
    return np.where(np.abs(one) < np.abs(other), one, other)


def _no_matches() -> pd.DataFrame:
    whole = {name: pd.Series(dtype="int64") for name in ("match", "rule_version", "amount_minor", "candidates")}
    return pd.DataFrame(whole | {name: pd.Series(dtype="str") for name in ("rule", "status")})


def _id_of(ids: pd.Series, rows: Ints) -> pd.Series:
    none = rows == NONE
    if none.all():
        return pd.Series(pd.NA, index=range(len(rows)), dtype="Int64")
    return pd.Series(pd.arrays.IntegerArray(ids.to_numpy(dtype=np.int64)[np.where(none, 0, rows)], none))


def _days(dates: pd.Series) -> Ints:
    return dates.to_numpy(dtype="datetime64[D]").astype(np.int64)
