"""The books as plain-text accounting has them: one text for hledger, one for beancount.

Both assert the balance of every account at each month's end, taken from the database's sums and not from the lines
written: whoever runs `hledger check` or `bean-check` has them checked by a program that is not ours.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import timedelta
from functools import cached_property
from typing import IO, TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from infra.books.rows import SPOT, Books, amounts
from infra.store.statements import last_day
from models.chart import ChartInvalid
from models.money import exponent

if TYPE_CHECKING:
    from datetime import date

ROOTS: Final = {"asset": "assets", "liability": "liabilities", "equity": "equity", "income": "income",
                "expense": "expenses"}  # fmt: skip


class PlainText(ABC):
    """Writes books; what differs from program to program is in its subclasses."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def write(self, out: IO[str]) -> int:
        """The whole text; how many lines of the books are in it."""
        out.write(self.head())
        opening = self.books.opening
        if len(opening):
            rows = opening.assign(
                entry_id=0, entry_key="opening", event="opening balances", posted_on=self.books.first_day,
                value_date=self.books.first_day, account_id=pd.array([pd.NA] * len(opening), dtype="Int64"),
            )  # fmt: skip
            out.write(self._lines(rows, last=-1))
        written, month, last = 0, "", -1
        for now, part in self.books.parts():
            if month and now != month:
                out.write(self._asserted(month))
            out.write(self._lines(part, last))
            written, month, last = written + len(part), now, int(part["entry_id"].iloc[-1])
        out.write(self._asserted(month))
        return written

    @cached_property
    def names(self) -> pd.DataFrame:
        """SPOT and what the program calls that account (`account`). Raises ChartInvalid where two would be one."""
        spots = self.books.spots
        told = spots.merge(self.books.accounts[["code", "name", "kind"]], on="code", how="left")
        named = [
            self.account(ROOTS[kind], code, name, None if pd.isna(agency) else agency)
            for kind, code, name, agency in zip(told["kind"], told["code"], told["name"], told["agency"], strict=True)
        ]
        result = spots.assign(account=pd.Series(named, index=spots.index, dtype="str"))
        distinct = result.drop_duplicates(["code", "agency"])
        if (twice := distinct["account"].duplicated()).any():
            name = distinct.loc[twice, "account"].iloc[0]
            raise ChartInvalid(f"two accounts of the chart would both be {name}", fix="give one of them another code")
        return result

    def _lines(self, rows: pd.DataFrame, last: int) -> str:
        """The rows as transactions; the first of them goes on with entry `last` where it belongs to it."""
        rows = rows.merge(self.names, on=SPOT, how="left")
        rows["amount"] = amounts(rows)
        fresh = rows["entry_id"].ne(rows["entry_id"].shift(1, fill_value=last))
        texts = self.postings(rows)
        begins = self.heads(rows[fresh])
        texts.loc[fresh] = begins + texts[fresh]
        return "".join(texts)

    def _asserted(self, month: str) -> str:
        rows = self.books.balance(month).merge(self.names, on=SPOT, how="left")
        return self.assertions(rows.assign(amount=amounts(rows)), last_day(month))

    @abstractmethod
    def head(self) -> str:
        """What stands before every transaction: currencies, accounts."""

    @abstractmethod
    def account(self, root: str, code: str, name: str, agency: str | None) -> str:
        """What an account is called."""

    @abstractmethod
    def heads(self, rows: pd.DataFrame) -> pd.Series:
        """The line, or lines, that each row's transaction begins with."""

    @abstractmethod
    def postings(self, rows: pd.DataFrame) -> pd.Series:
        """The line of each row: `account`, `amount`, `currency`, perhaps `account_id`."""

    @abstractmethod
    def assertions(self, rows: pd.DataFrame, day: date) -> str:
        """That at the end of the day each `account` stands at `amount` `currency`."""


class Hledger(PlainText):
    """A journal of hledger's, for 1.25 and later: `hledger check --strict`."""

    def head(self) -> str:
        """Commodities with their digits, accounts with their types."""
        currencies = sorted(self.names["currency"].unique())
        lines = [f"; the books of {self.books.lender}, {self.books.since} to {self.books.until}"]
        lines += [f"commodity 1000.{'0' * exponent(currency)} {currency}" for currency in currencies]
        lines += [f"account {account}" for account in sorted(self.names["account"].unique())]
        return "\n".join([*lines, "", ""])

    def account(self, root: str, code: str, name: str, agency: str | None) -> str:
        """`assets:1200 agency clearing:quayside`."""
        return ":".join(filter(None, (root, f"{code} {name}", agency)))

    def heads(self, rows: pd.DataFrame) -> pd.Series:
        """Posting and value date, the event, and tags."""
        agency = (", agency:" + rows["agency"]).where(rows["agency"].notna(), "")
        return (
            "\n" + _days(rows["posted_on"]) + "=" + _days(rows["value_date"]) + " * " + rows["event"]
            + "  ; entry:" + rows["entry_key"] + agency + "\n"
        )  # fmt: skip

    def postings(self, rows: pd.DataFrame) -> pd.Series:
        """Account and amount; the internal number as a tag."""
        number = ("  ; number:" + rows["account_id"].astype("str")).where(rows["account_id"].notna(), "")
        return "    " + rows["account"] + "    " + rows["amount"] + " " + rows["currency"] + number + "\n"

    def assertions(self, rows: pd.DataFrame, day: date) -> str:
        """A transaction that moves nothing and asserts everything."""
        lines = "    " + rows["account"] + "    0 " + rows["currency"] + " = " + rows["amount"] + " " + rows["currency"]
        return f"\n{day} * balances at the end of {day:%Y-%m}\n" + "\n".join(lines) + "\n"


class Beancount(PlainText):
    """A ledger of beancount's, for 2 and 3: `bean-check`."""

    def head(self) -> str:
        """Title, currencies, and every account opened with the currencies it may hold."""
        currencies = sorted(self.names["currency"].unique())
        lines = [f'option "title" "{self.books.lender}, {self.books.since} to {self.books.until}"']
        lines += [f'option "operating_currency" "{currency}"' for currency in currencies]
        held = self.names.groupby("account", sort=True)["currency"].agg(",".join)
        lines += [f"{self.books.first_day} open {account} {codes}" for account, codes in held.items()]
        return "\n".join([*lines, "", ""])

    def account(self, root: str, code: str, name: str, agency: str | None) -> str:
        """`Assets:1200-Agency-Clearing:Quayside`: letters, digits and dashes, and a capital or a digit in front."""
        own = re.sub(r"[\W_]+", "-", f"{code} {name.title()}").strip("-")
        return ":".join(filter(None, (root.capitalize(), own, agency and agency[0].upper() + agency[1:])))

    def heads(self, rows: pd.DataFrame) -> pd.Series:
        """The day posted and the event, with the entry's key and value date as metadata."""
        agency = ('  agency: "' + rows["agency"] + '"\n').where(rows["agency"].notna(), "")
        return (
            "\n" + _days(rows["posted_on"]) + ' * "' + rows["event"] + '"\n  entry: "' + rows["entry_key"] + '"\n'
            + "  value_date: " + _days(rows["value_date"]) + "\n" + agency
        )  # fmt: skip

    def postings(self, rows: pd.DataFrame) -> pd.Series:
        """Account and amount; the internal number as metadata."""
        number = ("    number: " + rows["account_id"].astype("str") + "\n").where(rows["account_id"].notna(), "")
        return "  " + rows["account"] + "  " + rows["amount"] + " " + rows["currency"] + "\n" + number

    def assertions(self, rows: pd.DataFrame, day: date) -> str:
        """A `balance` for each account, to the last unit; beancount asserts at the beginning of a day."""
        start = f"{day + timedelta(days=1)} balance "
        lines = start + rows["account"] + "  " + rows["amount"] + " ~ 0 " + rows["currency"]
        return "\n" + "\n".join(lines) + "\n"


def _days(days: pd.Series) -> pd.Series:
    """Dates as text."""
    return pd.Series(np.datetime_as_string(days.to_numpy(dtype="datetime64[D]")), index=days.index, dtype="str")
