"""Every event that moves the books, as journal lines: the one place that knows which side an amount goes to.

docs/reference/ledger.md has them as a table. Each function takes `events` as models.ledger.legs does (one row per line,
receipt or transfer, with its entry's keys) and signed amounts in their index: a reversal is the same call with the
signs turned, so that it is the mirror of its original.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from models.ledger import legs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    Minor = pd.Series | npt.NDArray[np.int64]


def keyed(rows: pd.DataFrame, event: str, source: str) -> pd.DataFrame:
    """The rows with the keys of one journal entry per event, source, value date and currency."""
    key = f"{event}:{source}:" + rows["value_date"].dt.strftime("%Y-%m-%d") + ":" + rows["currency"]
    return rows.assign(entry_key=key.astype("str"), event=pd.Series(event, index=rows.index, dtype="str"))


def line_accepted(events: pd.DataFrame, gross: Minor, excess: Minor) -> pd.DataFrame:
    """The agency has recovered `gross`; what of it is beyond the balance placed (`excess`) is owed to the debtor."""
    return legs(events, l1200=gross, l1100=excess - gross, l2200=-excess)


def commission(events: pd.DataFrame, fee: Minor, vat: Minor) -> pd.DataFrame:
    """What the contract gives the agency, and the VAT on it; a clawback has both below zero."""
    return legs(events, l5100=fee, l1300=vat, l2100=-fee - vat)


def reverse_charge(events: pd.DataFrame, vat: Minor) -> pd.DataFrame:
    """VAT on the agency's service is owed by the lender itself, and deductible by it."""
    return legs(events, l1300=vat, l2300=-vat)


def net_retention(events: pd.DataFrame, kept: Minor) -> pd.DataFrame:
    """A net remitter has kept its commission and VAT back, and owes so much less."""
    return legs(events, l2100=kept, l1200=-kept)


def receipt(events: pd.DataFrame, amount: Minor) -> pd.DataFrame:
    """The bank's statement shows money that came (or, below zero, went); nobody knows yet what for."""
    return legs(events, l1010=amount, l1250=-amount)


def cash(events: pd.DataFrame, paid: Minor, short: Minor, over: Minor) -> pd.DataFrame:
    """Money that came is tied to what an agency owes: `paid` of it.

    The contract forgives `short`, which is owed and did not come, and `over`, which came and is not owed.
    """
    return legs(events, l1250=paid + over, l1200=-paid - short, l5950=short - over)


def agency_paid(events: pd.DataFrame, amount: Minor) -> pd.DataFrame:
    """Commission of this amount was paid to the agency: the transfer stands on the bank's statement."""
    return legs(events, l2100=amount, l1250=-amount)


def refund_paid(events: pd.DataFrame, amount: Minor) -> pd.DataFrame:
    """A debtor has got back what was paid beyond the balance: the transfer stands on the bank's statement."""
    return legs(events, l2200=amount, l1250=-amount)


def clawback(events: pd.DataFrame, amount: Minor) -> pd.DataFrame:
    """Commission taken back beyond what is owed to the agency is owed by it; below zero: it was offset after all."""
    return legs(events, l1350=amount, l2100=-amount)


def clawback_paid(events: pd.DataFrame, amount: Minor) -> pd.DataFrame:
    """The agency has paid commission back: the transfer stands on the bank's statement."""
    return legs(events, l1250=amount, l1350=-amount)


def write_off(events: pd.DataFrame, clearing: Minor, unapplied: Minor) -> pd.DataFrame:
    """A difference is given up, by a person: `clearing` that an agency owes, or `unapplied` that came for nothing."""
    return legs(events, l1200=-clearing, l1250=unapplied, l5950=clearing - unapplied)


def exchange(events: pd.DataFrame, clearing: Minor, unapplied: Minor) -> pd.DataFrame:
    """Money in one currency pays what is owed in another: the only way across, over the currency position.

    events: two rows per entry, one for each currency, `event` models.ledger.EXCHANGE. `unapplied`: what came, in its
    own currency's row; `clearing`: what it pays, in the other's.
    """
    return legs(events, l1250=unapplied, l1200=-clearing, l1290=clearing - unapplied)


def event(
    name: str,
    key: str,
    lender: str,
    agency: str | None,
    value_date: Any,
    currencies: str | Sequence[str],
    account_id: int | None = None,
) -> pd.DataFrame:
    """The row (for an exchange: the two rows) of a single event, as the functions above want them."""
    many = [currencies] if isinstance(currencies, str) else list(currencies)
    texts = {"entry_key": key, "event": name, "lender": lender, "agency": agency}
    rows = pd.DataFrame({**{column: pd.Series([value] * len(many), dtype="str") for column, value in texts.items()}})
    return rows.assign(
        value_date=pd.Series([value_date] * len(many)).astype("datetime64[us]"),
        account_id=pd.array([account_id] * len(many), dtype="Int64"),
        currency=pd.Series(many, dtype="str"),
    )
