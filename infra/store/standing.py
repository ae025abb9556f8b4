"""Breaks that the machine finds again and again: opened, kept at what they are now, and closed when they are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, and_, or_, select, update

from infra.store.bulk import read, set_columns, staged, table_of
from infra.store.recon import close_breaks, open_breaks
from models.tables import Break

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from sqlalchemy import ColumnElement

BREAK = table_of(Break)
TIED = "tied by a later match"
CAME = "its money came"
EXPLAINED = "it has another name now"
BY_MACHINE = (TIED, CAME, EXPLAINED)
"""Why the machine closes a break. It opens such a one again where it finds it again; never what a person closed."""
MONEY = ("no_receipt", "no_line", "ambiguous", "amount_diff", "wrong_currency", "wrong_agency")
"""What a match settles."""


def renew_breaks(connection: Connection, lender: str, found: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Breaks that were found stand open, at the amount that they have now; returns those that were not known."""
    new = open_breaks(connection, lender, found, now)
    again = found[~found["break_key"].isin(new["break_key"])].drop_duplicates("break_key")
    if again.empty:
        return new
    with staged(connection, BREAK, again[["break_key"]]) as stage:
        known = read(
            connection,
            select(
                *(BREAK.c[name] for name in ("break_key", "state", "closed_because", "amount_minor", "detail"))
            ).join(stage, stage.c.break_key == BREAK.c.break_key),
        )
        back = and_(BREAK.c.break_key.in_(select(stage.c.break_key)), BREAK.c.closed_because.in_(BY_MACHINE))
        reopening = update(BREAK).where(back, BREAK.c.state == "closed")
        connection.execute(reopening.values(state="open", closed_at=None, closed_because=None))
    both = again.merge(known, on="break_key", suffixes=("", "_was"))
    ours = (both["state"] == "open") | both["closed_because"].isin(BY_MACHINE)
    other = ours & ((both["amount_minor"] != both["amount_minor_was"]) | (both["detail"] != both["detail_was"]))
    both["size_minor"] = both["amount_minor"].abs()
    changed = ["break_key", "line_id", "amount_minor", "size_minor", "detail"]
    set_columns(connection, BREAK, both.loc[other, changed], ["break_key"])
    return new


def settle_breaks(connection: Connection, lines: pd.DataFrame, receipts: pd.DataFrame, now: datetime) -> None:
    """What was doubted or missed about lines (`line_id`) and receipts (`receipt_id`) that are tied now is closed."""
    with staged(connection, BREAK, lines) as line, staged(connection, BREAK, receipts) as receipt:
        of_line, of_receipt = (
            BREAK.c.line_id.in_(select(line.c.line_id)),
            BREAK.c.receipt_id.in_(select(receipt.c.receipt_id)),
        )
        # a blocking break has a line and no receipt: only what is said of the money is settled with it
        money = and_(BREAK.c.code.in_(MONEY), or_(BREAK.c.receipt_id.is_not(None), ~BREAK.c.code.in_(MONEY[4:])))
        kept = and_(BREAK.c.code == "fee_netted", BREAK.c.receipt_id.is_not(None))
        close_breaks(connection, and_(or_(money, kept), of_line), TIED, now)
        close_breaks(connection, and_(money, of_receipt), TIED, now)


def close_gone(
    connection: Connection, which: ColumnElement[bool], still: pd.Series, because: str, now: datetime
) -> int:
    """Open breaks that `which` holds for and whose key is not in `still` are closed; how many."""
    opened = read(connection, select(BREAK.c.break_key).where(which, BREAK.c.state == "open"))
    gone = opened[~opened["break_key"].isin(still)]
    if gone.empty:
        return 0
    with staged(connection, BREAK, gone) as stage:
        return close_breaks(connection, BREAK.c.break_key.in_(select(stage.c.break_key)), because, now)
