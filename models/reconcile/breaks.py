"""The codes of the differences that a person must look at (R8), and what they do to a line.

A *blocking* break keeps a line out of the books until it is settled; the others stand beside a line that counts.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

ABOUT: Mapping[str, str] = MappingProxyType(
    {
        "no_receipt": "the agency reports a recovery, and its money is not here by the agreed day",
        "no_line": "money is here that no remittance line explains",
        "amount_diff": "reference and date agree, and the amounts do not",
        "fee_netted": "net is not gross less what the contract lets the agency keep",
        "wrong_currency": "the line is in another currency than the placement",
        "unknown_account": "the pseudonym is not one of ours, or the account was never placed",
        "wrong_agency": "the account was placed, with another agency",
        "after_recall": "paid after the placement ended, and after the contract's tail days",
        "before_placement": "paid before the account was placed with this agency",
        "duplicate_in_file": "the same content stands twice in one file",
        "duplicate_across_files": "the same content came in an earlier file",
        "overpayment": "more was recovered than the balance placed",
        "direct_payment_claim": "the agency claims commission on a payment made to the lender",
        "commission_diff": "commission claimed or withheld is not what the contract gives",
        "vat_diff": "VAT on the commission is not what the contract gives",
        "reversal_without_original": "a reversal undoes nothing we know, or more than there was",
        "late_remittance": "the money came later than agreed",
        "ambiguous": "several candidates are equally good, and the rules do not guess",
    }
)
"""What each code says, in the words that people see."""

BLOCKING = frozenset(
    {
        "unknown_account",
        "wrong_agency",
        "wrong_currency",
        "before_placement",
        "after_recall",
        "reversal_without_original",
    }
)
DUPLICATE = frozenset({"duplicate_in_file", "duplicate_across_files"})

COLUMNS = ("break_key", "code", "agency", "line_id", "receipt_id", "invoice_line_id", "account_id", "amount_minor",
           "currency", "detail")  # fmt: skip
"""What a found break says; who opens it adds the lender and the moment."""
AGES = (2, 7, 30, 60, 90)
AGE_NAMES = ("0-2", "3-7", "8-30", "31-60", "61-90", ">90")


def found(
    subjects: pd.DataFrame, code: str, subject: str, *, key: pd.Series | None = None, **expected_and_found: pd.Series
) -> pd.DataFrame:
    """Breaks of one code, one per row of `subjects`, keyed by the code and the column `subject`, or by `key`.

    `subjects` brings what it has of COLUMNS; the rest is null. `expected_and_found`: int64 columns for `detail`.
    """
    if subjects.empty:
        return none()  # nearly always so, and building the columns would cost as much as for a million
    of = subject.removesuffix("_id") + ":" + subjects[subject].astype("int64").astype("str") if key is None else key
    columns: dict[str, pd.Series] = {
        "break_key": f"{code}:" + of,
        "code": pd.Series(code, index=subjects.index, dtype="str"),
        "amount_minor": subjects["amount_minor"].astype("int64"),
    }
    for name in ("agency", "currency"):
        columns[name] = subjects[name] if name in subjects else pd.Series(None, index=subjects.index, dtype="str")
    for name in ("line_id", "receipt_id", "invoice_line_id", "account_id"):
        columns[name] = (subjects[name] if name in subjects else pd.Series(pd.NA, index=subjects.index)).astype("Int64")
    detail = pd.Series("", index=subjects.index, dtype="str")
    for number, (name, values) in enumerate(expected_and_found.items()):
        detail += ("," if number else "") + f'"{name}":' + values.astype("int64").astype("str")
    columns["detail"] = "{" + detail + "}"
    return pd.DataFrame({name: columns[name] for name in COLUMNS}).reset_index(drop=True)


def none() -> pd.DataFrame:
    """No breaks: the columns with their types."""
    return _NONE.copy(deep=False)


_TEXT = ("break_key", "code", "agency", "currency", "detail")
_NONE = pd.DataFrame(
    {
        name: pd.Series(dtype="str" if name in _TEXT else "int64" if name == "amount_minor" else "Int64")
        for name in COLUMNS
    }
)


def together(breaks: list[pd.DataFrame]) -> pd.DataFrame:
    """All of them as one frame, with its columns and types where there are none."""
    some = [frame for frame in breaks if len(frame)]
    return pd.concat(some, ignore_index=True) if some else none()


def aged(opened: pd.Series, as_of: date) -> pd.Series:
    """The age band of each break, by the day it was opened: 0-2, 3-7, 8-30, 31-60, 61-90, >90."""
    days = (pd.Timestamp(as_of) - opened.dt.tz_localize(None).dt.normalize()).dt.days
    names = np.array(AGE_NAMES, dtype=object)
    return pd.Series(names[np.searchsorted(AGES, days.to_numpy())], index=opened.index, dtype="str")
