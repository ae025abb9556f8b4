"""Bank and wallet tables, CSV and XLSX, read by a mapping profile (R3).

Before the header stand lines of facts (`IBAN:;CH…`). Below it a line with a date and an amount is an entry; a line
without either goes on with the entry before it, with more text or with one of the amounts that it is made of; a line
with another word in the date's place is a total or a footnote. A balance column is checked line by line and total lines
against the entries, and what cannot be read is refused with its line: nothing is guessed, nothing left out in silence.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from connectors.bank.cells import SIZE_LIMIT, Table, delimited, sheet, table_of
from connectors.bank.spelling import TEXT, Flags, Ints, days_of, flags, minor_of, nullable
from connectors.bank.statement import REFERENCE_LIMIT, BankStatementFile, StatementRefused, framed

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.bank.profiles import Places, Profile

_NOT_IN_NUMBERS: Final = "[ \u00a0\u202f]"
_PLAIN: Final = r"^[-+]?[0-9]{1,15}(\.[0-9]*)?$"


def read(
    path: Path, profile: Profile, places: Places, at: int, encoding: str, delimiter: str
) -> list[BankStatementFile]:
    """The statements of the table, one per account and currency, with the faults that their own balances show.

    `at`: how many lines stand above the first row.

    Raises StatementRefused with the line and the reason.
    """
    if path.stat().st_size > SIZE_LIMIT:
        raise StatementRefused(f"{path.name} has more than the {SIZE_LIMIT} bytes allowed")
    rows = sheet(path) if profile.format == "xlsx" else delimited(path, encoding, delimiter, profile.quote)
    try:
        return _Reading(profile, table_of(rows, profile, places, at)).statements()
    except (UnicodeError, csv.Error) as fault:
        raise StatementRefused(
            f"{path.name} is not all {encoding}, or no table: it cannot be read to its end"
        ) from fault


class _Reading:
    """A table being judged: what each line is."""

    def __init__(self, profile: Profile, table: Table) -> None:
        self.profile = profile
        self.table = table
        self.count = len(table.lines)
        self.faults: list[str] = []
        self.currency = table.facts.get("currency") or profile.currency
        self.day, self.value = self._day_columns()
        self.is_dated = self.day.notna().to_numpy()
        money = [name for name in ("amount", "credit", "debit") if name in table.cells]
        self.has_amount = np.logical_or.reduce([flags(pc.not_equal(self._amount_text(name), "")) for name in money])
        self.is_entry = self.is_dated & self.has_amount
        self.pending = self._not_booked()

    # -- what lines are ---

    def statements(self) -> list[BankStatementFile]:
        """One per account and currency."""
        entries = np.flatnonzero(self.is_entry)
        owner = np.cumsum(self.is_entry) - 1
        self._check_others(owner)
        amount = self._amounts(entries)
        keys = self._groups(entries)
        rows = self._rows(entries, owner, amount)
        found = []
        for key in sorted(set(keys)) or [("", self.currency)]:
            mine = (
                np.array([one == key for one in keys], dtype=bool) if len(set(keys)) > 1 else np.ones(len(keys), bool)
            )
            found.append(self._statement(key, rows, entries, amount, mine, alone=len(set(keys)) <= 1))
        return found

    def _check_others(self, owner: Ints) -> None:
        """Raises StatementRefused where a line is neither an entry nor anything else that is known."""
        self._refuse(
            self.is_dated & self._has("beyond"), "it has more cells than the header: a delimiter stands in a text"
        )
        strange = self.is_dated & ~self.has_amount & ~self.pending & ~self._has("balance") & ~self._has("total")
        if "bank_ref" in self.table.cells:  # a bank that writes an entry over several lines repeats its reference
            reference = self._text("bank_ref")
            entries = np.flatnonzero(self.is_entry)
            before = reference.take(pa.array(entries[np.maximum(owner, 0)])) if len(entries) else reference
            strange &= ~(flags(pc.equal(reference, before)) & (owner >= 0))
        self._refuse(strange, "it has a date and no amount")
        lost = ~self.is_dated & self.has_amount & ~self._is_total() & ~self.pending
        self._refuse(lost, "it has an amount and no date that is written as in this layout")
        details = self._has("detail") & ~self.is_entry & (owner < 0)
        self._refuse(details, "it is a part of an entry, and stands before any")

    def _is_total(self) -> Flags:
        """Lines with a word in the place of the date, and nothing else but amounts."""
        return (
            ~self.is_dated
            & flags(pc.not_equal(self._text("first"), ""))
            & ~self._has("value")
            & ~self._has_text(but="booked")
        )

    def _not_booked(self) -> Flags:
        """Entries that are not booked, and are none."""
        if not self.profile.booked_words:
            return np.zeros(self.count, dtype=bool)
        status = self._text("status")
        is_booked = flags(pc.is_in(status, pa.array(self.profile.booked_words, TEXT)))
        if "*" in self.profile.booked_words:
            is_booked |= flags(pc.not_equal(status, ""))
        self.is_entry &= is_booked
        return self.is_dated & ~is_booked

    def _refuse(self, wrong: Flags, why: str) -> None:
        if wrong.any():
            line = int(self.table.lines[np.flatnonzero(wrong)[0]])
            raise StatementRefused(f"line {line}: {why}", fix="check that the layout is the file's, or mend that line")

    def _fault(self, at: Ints, why: str) -> None:
        if len(at):
            self.faults.append(f"line {int(self.table.lines[at[0]])}: {why}")

    # -- what cells say ---

    def _text(self, role: str) -> pa.Array:
        return self.table.cells[role]

    def _has(self, role: str) -> Flags:
        if role not in self.table.cells:
            return np.zeros(self.count, dtype=bool)
        return flags(pc.not_equal(self._text(role), ""))

    def _has_text(self, but: str) -> Flags:
        """Whether a text says anything, besides one that is the same as the role `but`'s."""
        found = np.zeros(self.count, dtype=bool)
        for name in self._texts():
            found |= self._has(name) & ~flags(pc.equal(self._text(name), self._text(but)))
        return found

    def _texts(self) -> list[str]:
        return [name for name in self.table.cells if name.startswith("text")]

    def _day_columns(self) -> tuple[pd.Series, pd.Series]:
        """Booking day and value day of each line; each stands in for the other where that is empty."""
        booked, wrong = self._days("booked")
        if "value" not in self.table.cells:
            return booked, booked
        value, undated = self._days("value")
        self._fault(np.flatnonzero(undated & booked.notna().to_numpy()), "its value date is no day")
        return booked.where(booked.notna() | wrong, value), value.fillna(booked)

    def _days(self, role: str) -> tuple[pd.Series, Flags]:
        """The days, and which texts are none: by the first of the profile's forms that most are written in."""
        text = pc.replace_substring_regex(self._text(role), "[ T][0-9:. ]+$", "")
        best, undated = days_of(text, self.profile.date_formats[0])
        for form in self.profile.date_formats[1:]:
            days, bad = days_of(text, form)
            if bad.sum() < undated.sum():
                best, undated = days, bad
        return best, undated

    def _amount_text(self, role: str) -> pa.Array:
        """The amounts in plain spelling: a sign, digits, a point."""
        text = pc.replace_substring_regex(self._text(role), _NOT_IN_NUMBERS, "")
        text = pc.replace_substring(pc.replace_substring(text, "\u2212", "-"), "\u2019", "'")
        for mark in self.profile.thousands:
            text = pc.replace_substring(text, mark, "")
        if self.profile.decimal != ".":
            text = pc.replace_substring(text, self.profile.decimal, ".")
        return pc.replace_substring_regex(text, r"^([^-]+)-$", r"-\1")

    def _minor(self, role: str, at: Ints) -> tuple[Ints, Flags]:
        """Signed minor units of these lines; and which are empty (and 0). Raises StatementRefused with the line."""
        text = self._amount_text(role).take(pa.array(at))
        empty = flags(pc.equal(text, ""))
        negative = flags(pc.starts_with(text, "-"))
        bare = pc.utf8_ltrim(text, "+-")
        currency = self._currencies().take(pa.array(at))
        minor, bad = minor_of(
            pc.if_else(pc.starts_with(bare, "."), pc.binary_join_element_wise("0", bare, ""), bare), currency
        )
        bad |= ~flags(pc.match_substring_regex(text, _PLAIN)) & ~flags(
            pc.match_substring_regex(text, r"^[-+]?\.[0-9]+$")
        )
        wrong = np.zeros(self.count, dtype=bool)
        wrong[at[bad & ~empty]] = True
        self._refuse(
            wrong, f"its {role} is no amount that is written as in this layout, or has more digits than its currency"
        )
        return np.where(empty, 0, np.where(negative, -minor, minor)), empty

    def _currencies(self) -> pa.Array:
        """Of each line, its own or the account's."""
        whole = pa.repeat(pa.scalar(self.currency, TEXT), self.count)
        if "currency" not in self.table.cells:
            return whole
        own = pc.utf8_upper(self._text("currency"))
        return pc.if_else(pc.equal(own, ""), whole, own)

    def _amounts(self, at: Ints) -> Ints:
        """Signed minor units of the entries, credit positive."""
        if "amount" not in self.table.cells:
            credit, no_credit = self._minor("credit", at)
            debit, no_debit = self._minor("debit", at)
            both = np.zeros(self.count, dtype=bool)
            both[at[~no_credit & ~no_debit & (credit != 0) & (debit != 0)]] = True
            self._refuse(both, "it is credit and debit")
            # a column of debits with a minus in it has its own signs; one without says only how much
            return credit + (debit if (debit < 0).any() else -debit)
        amount, _ = self._minor("amount", at)
        if "side" not in self.table.cells:
            return amount
        side = self._text("side").take(pa.array(at))
        is_credit = flags(pc.is_in(side, pa.array(self.profile.credit_words, TEXT)))
        is_debit = flags(pc.is_in(side, pa.array(self.profile.debit_words, TEXT)))
        neither = np.zeros(self.count, dtype=bool)
        neither[at[~is_credit & ~is_debit]] = True
        self._refuse(neither, "it says neither of this layout's words for credit and debit")
        return np.where(is_debit, -np.abs(amount), np.abs(amount))

    def _groups(self, at: Ints) -> list[tuple[str, str]]:
        """Account and currency of each entry; the account empty where no column says."""
        currency = self._currencies().take(pa.array(at)).to_pylist()
        if "account" not in self.table.cells:
            return [("", str(one)) for one in currency]
        account = pc.replace_substring(self._text("account").take(pa.array(at)), " ", "").to_pylist()
        return [(str(one), str(money)) for one, money in zip(account, currency, strict=True)]

    # -- entries ---

    def _rows(self, entries: Ints, owner: Ints, amount: Ints) -> pd.DataFrame:
        """The entries as statement columns, those made of parts taken apart where the parts sum to them."""
        text = self._joined(owner, entries)
        parts_at, parts_of, part_amount = self._parts(owner, amount, entries)
        apart = np.zeros(len(entries), dtype=bool)
        apart[parts_of] = True
        of_entry = np.concatenate([np.flatnonzero(~apart), parts_of])
        minor = np.concatenate([amount[~apart], part_amount])
        own_text = self._own_texts()
        said = np.concatenate([text[~apart], own_text[parts_at]])
        order = np.argsort(of_entry, kind="stable")
        of_entry = of_entry[order]
        at = pa.array(entries[of_entry])
        columns: dict[str, object] = {
            "of_entry": of_entry,
            "amount_minor": minor[order],
            "currency": self._currencies().take(at).to_pandas(),
            "booked_on": self.day.take(entries[of_entry]).to_numpy(),
            "value_date": self.value.take(entries[of_entry]).to_numpy(),
            "reference": pd.Series(said[order], dtype="str").str[:REFERENCE_LIMIT],
        }
        for role in ("bank_ref", "payer_account"):
            if role in self.table.cells:
                columns[role] = nullable(self._text(role)).take(at).to_pandas()
        if "charges" in self.table.cells:
            columns["charges_minor"] = np.abs(self._minor("charges", entries)[0])[of_entry]
        return framed(columns, len(of_entry))

    def _own_texts(self) -> np.ndarray:
        """What the texts of each line say, joined; None where nothing."""
        texts = [
            self._text(name) for name in (*(["reference"] if "reference" in self.table.cells else []), *self._texts())
        ]
        empty = pa.repeat(pa.scalar("", TEXT), self.count)
        joined = pc.binary_join_element_wise(*(texts or [empty]), empty, " ")
        plain = pc.utf8_trim_whitespace(pc.replace_substring_regex(joined, r"\s+", " "))
        return np.asarray(nullable(plain).to_numpy(zero_copy_only=False))

    def _joined(self, owner: Ints, entries: Ints) -> np.ndarray:
        """Per entry, the texts of its lines, each once."""
        own = self._own_texts()
        found = own[entries].copy()
        more = np.flatnonzero(~self.is_entry & (owner >= 0) & ~self._is_footnote() & ~self.pending)
        for at in more:  # the few lines that go on with the one before them
            before, added = found[owner[at]], own[at]
            if added is not None and added != before:
                found[owner[at]] = added if before is None or added.startswith(before) else f"{before} {added}"
        return found

    def _is_footnote(self) -> Flags:
        """Lines with a word in the place of the date: totals and remarks."""
        return ~self.is_dated & flags(pc.not_equal(self._text("booked"), ""))

    def _parts(self, owner: Ints, amount: Ints, entries: Ints) -> tuple[Ints, Ints, Ints]:
        """The lines that are parts of an entry, of which, and their amounts: where several sum to it."""
        none = np.zeros(0, dtype=np.int64)
        at = np.flatnonzero(self._has("detail") & (owner >= 0) & ~self._is_footnote() & ~self.pending)
        # a text with a delimiter in it runs over into the next column
        at = (
            at[flags(pc.match_substring_regex(self._amount_text("detail"), _PLAIN).take(pa.array(at)))]
            if len(at)
            else at
        )
        if not len(at):
            return none, none, none
        part, _ = self._minor("detail", at)
        of = owner[at]
        sign = np.where(amount[of] < 0, -1, 1)
        count = np.bincount(of, minlength=len(entries))
        sums = np.zeros(len(entries), dtype=np.int64)
        for signed in (part, np.abs(part) * sign):
            sums[:] = 0
            np.add.at(sums, of, signed)
            good = ((sums == amount) & (count > 1))[of]
            if good.any() or signed is not part:
                return at[good], of[good], signed[good]
        return none, none, none

    # -- statements ---

    def _statement(
        self, key: tuple[str, str], rows: pd.DataFrame, entries: Ints, amount: Ints, mine: Flags, *, alone: bool
    ) -> BankStatementFile:
        balances = self._balances(*(self._with_marks(entries, amount) if alone else (entries[mine], amount[mine])))
        chosen = rows[mine[rows["of_entry"].to_numpy()]] if len(rows) else rows
        is_reversed = balances.is_reversed
        if is_reversed:
            chosen = chosen.iloc[::-1]
        chosen = chosen.reset_index(drop=True)
        chosen["entry"] = np.arange(len(chosen))
        account, currency = key
        opening, closing = balances.opening, balances.closing
        if alone:
            opening, closing = self._stated("opening", opening), self._stated("closing", closing)
            self._check_totals(amount, opening, closing)
        days = chosen["booked_on"]
        first, last = (days.min().date(), days.max().date()) if len(days) else (None, None)
        return BankStatementFile(
            account=account or self.table.facts.get("account", "").replace(" ", "") or self.profile.account,
            currency=currency,
            number=None,
            sequence=None,
            opening_minor=opening,
            closing_minor=closing,
            from_on=first,
            to_on=last,
            entries=chosen,
            form=self.profile.reference,
            pending=int(self.pending.sum()),
            faults=tuple(self.faults),
        )

    def _with_marks(self, entries: Ints, amount: Ints) -> tuple[Ints, Ints]:
        """The entries, and the dated lines that only say a balance, as entries of 0."""
        moved = np.zeros(self.count, dtype=np.int64)
        moved[entries] = amount
        marks = self.is_dated & ~self.has_amount & self._has("balance") & ~self.pending
        at = np.flatnonzero(self.is_entry | marks)
        return at, moved[at]

    def _stated(self, fact: str, derived: int | None) -> int | None:
        """What the lines above the header say of a balance; a fault where the column of balances says otherwise."""
        text = self.table.facts.get(fact, "")
        for mark in self.profile.thousands:
            text = text.replace(mark, "")
        text = text.replace(self.profile.decimal, ".").replace(" ", "")
        if not text:
            return derived
        minor, bad = minor_of(pa.array([text.lstrip("-")], TEXT), self.currency)
        if bad[0]:
            raise StatementRefused(f"the {fact} balance above the table is no amount")
        stated = -int(minor[0]) if text.startswith("-") else int(minor[0])
        if derived is not None and stated != derived:
            self.faults.append(
                f"the {fact} balance above the table is {stated}, and by the column of balances {derived} (minor units)"
            )
        return stated

    def _check_totals(self, amount: Ints, opening: int | None, closing: int | None) -> None:
        """A fault where a total line says otherwise than the entries do."""
        at = np.flatnonzero(self._is_total() & self.has_amount)
        sums = {"credit": int(amount[amount > 0].sum()), "debit": int(-amount[amount < 0].sum())}
        self._check_summary(sums | {"count": len(amount)})
        for role in sums.keys() & self.table.cells.keys():
            stated, empty = self._minor(role, at)
            wrong = at[~empty & (np.abs(stated) != sums[role])]
            self._fault(wrong, f"it is a total of {role}s, and the entries sum to {sums[role]} (minor units)")
        if "total" in self.table.cells:
            at = np.flatnonzero(self._has("total") & ~self.has_amount)
            stated, _ = self._minor("total", at)
            self._fault(at[stated != amount.sum()], f"its total is not {int(amount.sum())}, the entries' (minor units)")
        if "balance" not in self.table.cells or opening is None or closing is None:
            return
        at = np.flatnonzero(self._is_total() & self._has("balance") & ~self.has_amount)
        stated, _ = self._minor("balance", at)
        wrong = at[(stated != opening) & (stated != closing)]
        self._fault(wrong, f"it is neither the opening balance {opening} nor the closing one {closing} (minor units)")

    def _check_summary(self, found: dict[str, int]) -> None:
        """A fault where the line below the table says otherwise than the entries do."""
        for name, mine in found.items():
            text = self.table.facts.get(f"sum of {name}", "")
            if not text:
                continue
            minor, bad = minor_of(pa.array([text], TEXT), self.currency)
            said = int(minor[0]) // (100 if name == "count" else 1)
            if bad[0] or said != mine:
                self.faults.append(f"the line below the table says {text!r} for {name}, and its entries have {mine}")

    def _balances(self, at: Ints, amount: Ints) -> _Balances:
        """What the column of balances says, checked from each balance to the next."""
        days = self.day.take(at).to_numpy()
        falls = bool(len(days) > 1 and days[0] > days[-1])
        if "balance" not in self.table.cells or not len(at):
            return _Balances(is_reversed=falls)
        balance, empty = self._minor("balance", at)
        known = np.flatnonzero(~empty)
        if not len(known):
            return _Balances(is_reversed=falls)
        done = np.concatenate([[0], np.cumsum(amount)])
        ways = []
        for is_reversed in (True, False) if falls else (False, True):
            before = balance[known] + done[known] if is_reversed else balance[known] - done[known + 1]
            # read from the top every balance gives the same beginning (from the bottom: the same end), if all is right
            off = np.flatnonzero(before != before[0])
            if not len(off):
                start = int(before[0])
                total = int(amount.sum())
                return (
                    _Balances(is_reversed, start - total, start)
                    if is_reversed
                    else _Balances(is_reversed, start, start + total)
                )
            ways.append(off[0])
        self._fault(
            at[known[[max(ways)]]], "its balance does not follow from the one before it and the amounts between"
        )
        return _Balances(is_reversed=falls)


@dataclass(frozen=True)
class _Balances:
    """What a column of balances says."""

    is_reversed: bool = False
    """whether the newest entry stands first"""
    opening: int | None = None
    closing: int | None = None
