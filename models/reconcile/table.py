"""The open lines and receipts of one agency in one currency, while the rules go over them.

Each rule sees what the ones before it left. The order among equals is by value date, then by content, never by
arrival: any permutation of the files gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.reconcile import breaks as codes
from models.reconcile.outcome import RULES, STATUSES, Flags, Ints, Status
from models.reconcile.references import NONE, References, coded

if TYPE_CHECKING:
    from models.reconcile.outcome import Terms


Codes8 = npt.NDArray[np.int8]
STATES = ("", "matched", "part_matched", "reversed", "returned")
"""What the rules make of a line or a receipt; nothing where they leave it as it is."""
MATCHED, PART, REVERSED, RETURNED = 1, 2, 3, 4


@dataclass
class Ties:
    """Matches as they are found: one row per match, and one per part."""

    heads: list[tuple[int, int, Ints, Ints]] = field(default_factory=list)
    """rule and status, of RULES and STATUSES; amounts, candidates"""
    parts: list[tuple[Ints, Ints, Ints, Ints]] = field(default_factory=list)
    count: int = 0

    def add(self, rule: str, status: Status, amount: Ints, candidates: Ints | int) -> Ints:
        """New matches of one rule; their numbers."""
        numbers = np.arange(self.count, self.count + len(amount))
        if not len(amount):
            return numbers
        self.count += len(amount)
        counted = np.broadcast_to(np.asarray(candidates, dtype=np.int64), amount.shape)
        self.heads.append((RULES.index(rule), STATUSES.index(status), amount, counted))
        return numbers

    def take(self, numbers: Ints, amount: Ints, line: Ints | None = None, receipt: Ints | None = None) -> None:
        """Parts of the matches `numbers`: rows of lines or of receipts."""
        if not len(numbers):
            return
        nobody = np.full(len(numbers), NONE, dtype=np.int64)
        self.parts.append((numbers, nobody if line is None else line, nobody if receipt is None else receipt, amount))

    def all_parts(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Match, row of the lines, row of the receipts (NONE where it is of the other side), amount; of every part."""
        if not self.parts:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing, nothing, nothing
        match, line, receipt, amount = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        return match, line, receipt, amount


class Table:
    """What is open on each side, and what has been found about it. Rows are numbered as they came."""

    def __init__(self, lines: pd.DataFrame, receipts: pd.DataFrame, terms: Terms) -> None:
        self.lines, self.receipts, self.terms = lines, receipts, terms
        self.refs: References = coded(lines["txn_ref"], lines["batch_ref"], receipts["reference"])
        self.net: Ints = lines["net_minor"].to_numpy(dtype=np.int64, copy=True)
        self.awaited: Ints = self.net.copy()
        """what of each line was open before any rule"""
        self.gross: Ints = lines["gross_minor"].to_numpy(dtype=np.int64, copy=True)
        self.netted: Ints = lines["netted_minor"].to_numpy(dtype=np.int64, copy=True)
        self.amount: Ints = receipts["amount_minor"].to_numpy(dtype=np.int64)
        self.line_day: Ints = days(lines["value_date"])
        self.receipt_day: Ints = days(receipts["value_date"])
        self.line_free: Flags = np.ones(len(lines), dtype=bool)
        self.receipt_free: Flags = np.ones(len(receipts), dtype=bool)
        self.line_state: Codes8 = np.zeros(len(lines), dtype=np.int8)
        """of STATES: what the rules made of it"""
        self.receipt_state: Codes8 = np.zeros(len(receipts), dtype=np.int8)
        self.paid: Ints = np.zeros(len(lines), dtype=np.int64)
        self.used: Ints = np.zeros(len(receipts), dtype=np.int64)
        self.line_off: Ints = np.zeros(len(lines), dtype=np.int64)
        self.receipt_off: Ints = np.zeros(len(receipts), dtype=np.int64)
        self.ties = Ties()
        self.breaks: list[pd.DataFrame] = []
        self.line_asked: Codes8 = np.zeros(len(lines), dtype=np.int8)
        """of STATUSES: that of the match which put it before a person; 0 where none did"""
        self.receipt_asked: Codes8 = np.zeros(len(receipts), dtype=np.int8)
        self.lines_around: Ints = np.zeros(len(receipts), dtype=np.int64)
        """per receipt in whose pool sums were not even looked for: how many lines lie there"""
        self.sums_that_fit: Ints = np.zeros(len(receipts), dtype=np.int64)
        """per receipt that more than one sum fits: how many do"""

    # --- who is open, in which order ------------------------------------------------------------------------------

    def open(self, line_code: Ints) -> tuple[Ints, Ints]:
        """The rows that are free and have a reference (of the lines: this kind of it), on each side."""
        return (
            np.flatnonzero(self.line_free & (line_code != NONE)),
            np.flatnonzero(self.receipt_free & (self.refs.receipt != NONE)),
        )

    def line_order(self, rows: Ints) -> Ints:
        """The rows' places by value date, then content."""
        return np.lexsort((ranked(self.lines["content_id"].iloc[rows]), self.line_day[rows]))

    def receipt_order(self, rows: Ints) -> Ints:
        """The rows' places by value date, amount, text; what is equal in all of them is interchangeable."""
        rank = ranked(self.receipts["reference"].iloc[rows])
        return np.lexsort(
            (self.receipts["receipt_id"].to_numpy()[rows], rank, self.amount[rows], self.receipt_day[rows])
        )

    def first_of(self, receipt: Ints) -> Ints:
        """The first receipt of each reference, in the order of the references' codes."""
        if not len(receipt):
            return receipt
        ordered = receipt[self.receipt_order(receipt)]
        return ordered[np.unique(self.refs.receipt[ordered], return_index=True)[1]]

    def accounts(self) -> Ints:
        """Whose each line is; a line of no known account is of its own."""
        account = self.lines["account_id"].to_numpy(dtype=np.int64, na_value=0)
        return np.where(account == 0, -1 - np.arange(len(account)), account)

    # --- per reference --------------------------------------------------------------------------------------------

    def counts(self, code: Ints) -> Ints:
        """How many rows each reference has."""
        return np.bincount(code, minlength=self.refs.count)

    def sums(self, code: Ints, amount: Ints) -> Ints:
        """What the rows of each reference sum to."""
        sums = np.zeros(self.refs.count, dtype=np.int64)
        np.add.at(sums, code, amount)
        return sums

    def largest(self, code: Ints, amount: Ints) -> Ints:
        """The largest of each reference, 0 where it has none."""
        most = np.zeros(self.refs.count, dtype=np.int64)
        np.maximum.at(most, code, amount)
        return most

    def last(self, code: Ints, day: Ints) -> Ints:
        """The last day of each reference."""
        last = np.full(self.refs.count, np.iinfo(np.int32).min, dtype=np.int64)
        np.maximum.at(last, code, day)
        return last

    def receipts_of(self, code: Ints) -> tuple[Ints, Ints]:
        """How many free receipts have each of these references (0 where one is NONE), and what they sum to."""
        known = np.flatnonzero(self.receipt_free & (self.refs.receipt != NONE))
        count = np.append(self.counts(self.refs.receipt[known]), 0)  # NONE is the last
        total = np.append(self.sums(self.refs.receipt[known], self.amount[known]), 0)
        return count[code], total[code]

    # --- what a rule found ----------------------------------------------------------------------------------------

    def settle(self, numbers: Ints, line: Ints, amount: Ints) -> None:
        """The lines are paid this much by these matches, and are no longer open."""
        self.ties.take(numbers, amount, line=line)
        self.paid[line] += amount
        self.line_free[line] = False
        self.line_state[line] = MATCHED

    def apply(self, numbers: Ints, receipt: Ints, amount: Ints) -> None:
        """The receipts are used this much by these matches, and are no longer open."""
        self.ties.take(numbers, amount, receipt=receipt)
        self.used[receipt] += amount
        self.receipt_free[receipt] = False
        self.receipt_state[receipt] = MATCHED

    def propose(
        self, rule: str, status: Status, candidates: Ints | int, line: tuple[Ints, Ints], receipt: tuple[Ints, Ints]
    ) -> None:
        """Lines and receipts, each with the match (0, 1 …) that it is in, wait for a person; no other rule has them."""
        of_line, line_row = line
        of_receipt, receipt_row = receipt
        amount = np.zeros(int(of_receipt.max()) + 1, dtype=np.int64)
        if status == "ambiguous":  # of several receipts any would do
            amount[of_receipt] = self.amount[receipt_row]
        else:
            np.add.at(amount, of_receipt, self.amount[receipt_row])
        numbers = self.ties.add(rule, status, amount, candidates)
        self.ties.take(numbers[of_line], self.net[line_row], line=line_row)
        self.ties.take(numbers[of_receipt], self.amount[receipt_row], receipt=receipt_row)
        self.line_free[line_row] = self.receipt_free[receipt_row] = False
        self.line_asked[line_row] = self.receipt_asked[receipt_row] = STATUSES.index(status)

    def doubt(self, receipt: Ints, candidates: Ints) -> None:
        """A break: several candidates are equally good for these receipts."""
        subject = self.receipts.iloc[receipt]
        counted = pd.Series(candidates, subject.index)
        self.breaks.append(codes.found(subject, "ambiguous", "receipt_id", candidates=counted))

    def differ(self, subject: pd.DataFrame, name: str, expected: Ints, received: Ints) -> None:
        """A break: the reference agrees, and the amounts do not."""
        subject = subject.assign(amount_minor=received - expected)
        detail = {
            "expected_minor": pd.Series(expected, subject.index), "found_minor": pd.Series(received, subject.index)
        }  # fmt: skip
        self.breaks.append(codes.found(subject, "amount_diff", name, **detail))

    def fee_kept(self, receipt: Ints, line: Ints, expected: Ints, received: Ints) -> None:
        """A break: what came is short by just the fee that the agency may invoice, and not keep."""
        subject = self.receipts.iloc[receipt]
        subject = subject.assign(line_id=self.lines["line_id"].to_numpy()[line], amount_minor=expected - received)
        detail = {
            "expected_minor": pd.Series(expected, subject.index), "found_minor": pd.Series(received, subject.index)
        }  # fmt: skip
        self.breaks.append(codes.found(subject, "fee_netted", "receipt_id", **detail))


def ranked(texts: pd.Series) -> Ints:
    """The place of each text in their order; equal ones share one, and none is the last."""
    array = pa.Array.from_pandas(texts)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    places: Ints = pc.rank(array, tiebreaker="dense").to_numpy().astype(np.int64)
    return places


def days(dates: pd.Series) -> Ints:
    """Days since 1970."""
    return dates.to_numpy(dtype="datetime64[D]").astype(np.int64)
