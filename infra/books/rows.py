"""What every export of the books is made of: lines in order, month by month, and the balances they must come to.

No debtor is in it: a line says entry, account of the chart and agency. `by_account` adds our own internal number of the
account (`account_id`), which nobody outside has; an agency's pseudonyms would tie the books to its files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from connectors.layouts.spelling import amount_text
from infra.store import balances
from infra.store.statements import last_day
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from sqlalchemy import Connection

SPOT = ["code", "agency", "currency"]
"""Where a balance stands."""


@dataclass(frozen=True)
class Books:
    """A lender's books from one month to another, ready to be written."""

    connection: Connection
    lender: str
    since: str
    """the first month"""
    until: str
    """the last month"""
    accounts: pd.DataFrame
    """every account of them: `code`, `name`, `zh`, `kind`"""
    movements: pd.DataFrame
    """per month up to `until` and SPOT: `amount_minor`; what came before `since` stands under an empty month"""
    by_account: bool = False
    rows: int = 100_000

    @classmethod
    def of(
        cls,
        connection: Connection,
        lender: str,
        *,
        since: str | None = None,
        until: str | None = None,
        by_account: bool = False,
    ) -> Books:
        """The lender's books; all of them unless months are named. Raises UsageError where there is nothing in them."""
        months = balances.months(connection, lender)
        inside = [one for one in months if (since or one) <= one <= (until or one)]
        if not inside:
            raise UsageError(f"nothing is in the books of {lender} in those months", fix="leave the months out")
        first, last = since or inside[0], until or inside[-1]
        moved = balances.monthly(connection, lender, last)
        moved["period"] = moved["period"].mask(moved["period"] < first, "").astype("str")
        moved = moved.groupby(["period", *SPOT], dropna=False, sort=True)["amount_minor"].sum().reset_index()
        return cls(connection, lender, first, last, balances.accounts(connection), moved, by_account)

    @property
    def spots(self) -> pd.DataFrame:
        """Every SPOT that the books have, in order."""
        return self.movements[SPOT].drop_duplicates().sort_values(SPOT, ignore_index=True)

    @property
    def months(self) -> list[str]:
        """The months with entries, in order."""
        return [str(one) for one in self.movements["period"].unique() if one]

    @property
    def opening(self) -> pd.DataFrame:
        """What the first month begins with: SPOT and `amount_minor`, without zeros."""
        return self.balance("", everything=False)

    def balance(self, month: str, *, everything: bool = True) -> pd.DataFrame:
        """What stands at the end of the month: SPOT and `amount_minor`; zeros too, unless `everything` is off."""
        upto = self.movements[self.movements["period"] <= month]
        found = upto.groupby(SPOT, dropna=False, sort=True)["amount_minor"].sum().reset_index()
        return found if everything else found[found["amount_minor"] != 0].reset_index(drop=True)

    def parts(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each month's lines (columns of balances.journal), some thousand at a time; the months in order."""
        shards = balances.journal(
            self.connection, self.lender, since=self.since, until=self.until, by_account=self.by_account,
            rows=self.rows,
        )  # fmt: skip
        for shard in shards:
            for month, part in shard.groupby("period", sort=True):
                yield str(month), part.reset_index(drop=True)

    @property
    def first_day(self) -> date:
        """The first day of the first month."""
        return last_day(self.since).replace(day=1)


def amounts(rows: pd.DataFrame) -> pd.Series:
    """`amount_minor` as text in each currency's digits."""
    minor, codes = (pa.array(rows[name], from_pandas=True) for name in ("amount_minor", "currency"))
    return pd.Series(amount_text(minor, _whole(codes)).to_pandas(), index=rows.index, dtype="str")


def _whole(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
