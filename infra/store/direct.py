"""Direct payments: what a debtor paid to the lender's own account while an agency worked (R10).

The bank's text has the lender's account number in it; its keyed index finds the account, and the placement of that day
says whose work it was. The payment counts once, as a line of our own that is tied to its receipt; whether the agency
earns on it, its contract says; and an invoice can claim that line once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sqlalchemy import Connection, select

from infra.store.bulk import append, read, reserve, set_columns, staged, table_of
from infra.store.recon import accept_direct
from infra.store.standing import settle_breaks
from models.reconcile.identity import content_ids
from models.reconcile.outcome import VERSIONS, WHY
from models.tables import Account, BankReceipt, Match, MatchPart, Placement

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

ACCOUNT = table_of(Account)
MATCH = table_of(Match)
PART = table_of(MatchPart)
PLACEMENT = table_of(Placement)
RECEIPT = table_of(BankReceipt)
SHORTEST = 4
"""A word of fewer characters is no account number."""


def take_direct(
    connection: Connection, lender: str, index_of: Callable[[pd.Series], pd.Series] | None, now: datetime
) -> int:
    """Receipts of unknown payers that name an account of ours are direct payments; how many were taken.

    index_of: the keyed index of each account number. Money for an account that was with nobody is not ours to explain.
    """
    if index_of is None:
        return 0
    names = ["receipt_id", "bank_ref", "reference", "currency", "value_date", "amount_minor"]
    unknown = read(
        connection,
        select(*(RECEIPT.c[name] for name in names)).where(
            RECEIPT.c.lender == lender,
            RECEIPT.c.agency.is_(None),
            RECEIPT.c.state == "unapplied",
            RECEIPT.c.amount_minor > 0,
            RECEIPT.c.reference.is_not(None),
        ),
    )
    known = _accounts(connection, lender, unknown, index_of)
    if known.empty:
        return 0
    placed = _placed(connection, lender, known)
    taken = 0
    for agency, some in placed.groupby("agency", sort=True):
        taken += _take(connection, lender, str(agency), some, now)
    tied = connection.execute(
        select(RECEIPT.c.receipt_id).where(RECEIPT.c.lender == lender, RECEIPT.c.placement_id.is_not(None))
    ).scalars()
    nobodys = known.loc[~known["receipt_id"].isin(list(tied)), ["receipt_id", "account_id"]]
    _close(connection, nobodys.assign(state=_same("not_ours", nobodys)), now)
    return taken


def _accounts(
    connection: Connection, lender: str, unknown: pd.DataFrame, index_of: Callable[[pd.Series], pd.Series]
) -> pd.DataFrame:
    """The receipts with the one account (`account_id`) that a word of their text is the number of."""
    words = unknown["reference"].str.split(r"[^0-9A-Za-z-]+", regex=True).explode()
    words = words[words.str.len() >= SHORTEST]
    words = pd.concat([words, unknown["reference"].str.strip()])
    once = words.drop_duplicates()
    index = pd.DataFrame({"word": once.to_numpy(), "ref_index": index_of(once.reset_index(drop=True)).to_numpy()})
    with staged(connection, ACCOUNT, index[["ref_index"]].drop_duplicates()) as stage:
        found = read(
            connection,
            select(ACCOUNT.c.account_id, ACCOUNT.c.ref_index)
            .join(stage, stage.c.ref_index == ACCOUNT.c.ref_index)
            .where(ACCOUNT.c.lender == lender),
        )
    of_word = index.merge(found, on="ref_index").set_index("word")["account_id"]
    named = words[words.isin(of_word.index)]
    pairs = pd.DataFrame({"at": named.index, "account_id": named.map(of_word).to_numpy()}).drop_duplicates()
    pairs = pairs[~pairs["at"].duplicated(keep=False)].set_index("at")
    return unknown.join(pairs, how="inner")


def _placed(connection: Connection, lender: str, known: pd.DataFrame) -> pd.DataFrame:
    """The receipts whose account was placed by then, with the `agency` of its latest placement."""
    with staged(connection, RECEIPT, known[["account_id"]].drop_duplicates()) as stage:
        placements = read(
            connection,
            select(PLACEMENT.c.account_id, PLACEMENT.c.agency, PLACEMENT.c.placed_on, PLACEMENT.c.placement_id)
            .join(stage, stage.c.account_id == PLACEMENT.c.account_id)
            .where(PLACEMENT.c.lender == lender, PLACEMENT.c.state != "planned"),
        )
    pairs = known.merge(placements, on="account_id")
    pairs = pairs[pairs["placed_on"] <= pairs["value_date"]].sort_values(["placed_on", "placement_id"])
    return pairs.drop_duplicates("receipt_id", keep="last").sort_values(["value_date", "receipt_id"])


def _take(connection: Connection, lender: str, agency: str, paid: pd.DataFrame, now: datetime) -> int:
    paid = paid.reset_index(drop=True)
    nothing = pd.Series(None, index=paid.index, dtype="str")
    frame = pd.DataFrame({
        "line": paid.index + 1, "agency_txn_id": nothing, "account_id": paid["account_id"].astype("Int64"),
        "type": "direct", "currency": paid["currency"], "gross_minor": paid["amount_minor"], "commission_minor": 0,
        "vat_minor": 0, "net_minor": paid["amount_minor"], "value_date": paid["value_date"], "batch_ref": nothing,
        "original_txn_id": nothing,
    })  # fmt: skip
    # the bank's own name of the entry says which payment it is; no agency has one for it
    said = frame.assign(agency_txn_id=paid["bank_ref"].fillna(paid["reference"]))
    frame["content_id"] = content_ids(said, f"direct:{agency}")
    source = f"direct:{int(paid['receipt_id'].iloc[0])}"
    made = accept_direct(connection, lender=lender, agency=agency, frame=frame, source=source, now=now)
    if made.empty:
        return 0
    paid = paid.loc[made["line"].to_numpy() - 1].reset_index(drop=True)
    first, part = reserve(connection, "match", len(made)), reserve(connection, "match_part", 2 * len(made))
    heads = pd.DataFrame({
        "match_id": np.arange(first, first + len(made)), "rule": "direct", "rule_version": VERSIONS["direct"],
        "status": "confirmed", "lender": lender, "agency": agency, "currency": paid["currency"],
        "amount_minor": paid["amount_minor"], "candidates": 1, "made_at": now,
    })  # fmt: skip
    append(connection, MATCH, heads)
    nobody = pd.array([pd.NA] * len(made), dtype="Int64")
    sides: pd.DataFrame = pd.concat([
        heads[["match_id", "amount_minor"]].assign(line_id=made["line_id"].astype("Int64"), receipt_id=nobody),
        heads[["match_id", "amount_minor"]].assign(line_id=nobody, receipt_id=paid["receipt_id"].astype("Int64")),
    ]).astype({"line_id": "Int64", "receipt_id": "Int64"})  # fmt: skip
    append(connection, PART, sides.assign(part_id=np.arange(part, part + len(sides))))
    used = paid[["receipt_id", "account_id"]].assign(
        placement_id=made["placement_id"], applied_minor=paid["amount_minor"], state=_same("matched", paid)
    )
    _close(connection, used, now)
    return len(used)


def _close(connection: Connection, receipts: pd.DataFrame, now: datetime) -> None:
    nothing = {name: pd.array([pd.NA] * len(receipts), dtype="str" if name == "why" else "Int64") for name in WHY}
    set_columns(connection, RECEIPT, receipts.assign(**nothing), ["receipt_id"])
    nobody = pd.DataFrame({"line_id": pd.Series(dtype="int64")})
    settle_breaks(connection, nobody, receipts[["receipt_id"]], now)


def _same(text: str, frame: pd.DataFrame) -> pd.Series:
    return pd.Series(text, index=frame.index, dtype="str")
