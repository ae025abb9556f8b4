"""What a score is drawn from, and the figures that it is made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from typing import Any

PLACEMENTS = (
    "placement_id", "debtor_id", "lender", "agency", "currency", "product", "score_band", "round", "balance_minor",
    "dpd", "placed_on", "due_back_on", "ended_on", "end_reason",
)  # fmt: skip
LINES = ("placement_id", "agency", "currency", "kind", "gross_minor", "commission_minor", "value_date")
CONDUCT = (
    "files", "files_refused", "lines", "lines_refused", "deliveries", "acknowledged_late", "complaints",
    "complaints_serious", "breaches", "breaches_serious", "invoice_lines", "invoice_lines_disputed", "breaks",
    "breaks_open", "recalls", "recalls_late", "erasures", "erasures_late", "reports_late",
)  # fmt: skip
CONTACTS = ("placement_id", "first_contact_on")


def no_contacts() -> pd.DataFrame:
    """Columns CONTACTS, no row: nobody reports what it does, or nobody asks."""
    return pd.DataFrame({
        "placement_id": pd.Series(dtype="int64"), "first_contact_on": pd.Series(dtype="datetime64[us]"),
    })  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """All as of one day.

    placements: one row per placement that was sent, columns PLACEMENTS. lines: remittance lines that are money, columns
    LINES, signed, `commission_minor` as due. conduct: one row per agency (the index), counts, columns CONDUCT.
    contacts: one row per placement that was contacted, columns CONTACTS.
    """

    placements: pd.DataFrame
    lines: pd.DataFrame
    conduct: pd.DataFrame
    contacts: pd.DataFrame = field(default_factory=no_contacts)

    def sha256(self) -> str:
        """A digest of every value, whatever the order of the rows."""
        digest = hashlib.sha256()
        for frame in (self.placements, self.lines, self.conduct.reset_index(), self.contacts):
            digest.update(f"{list(frame.columns)} {len(frame)}".encode())
            if len(frame):
                rows = pd.util.hash_pandas_object(frame.convert_dtypes(dtype_backend="numpy_nullable"), index=False)
                digest.update(np.sort(rows.to_numpy()).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Component:
    """One figure about one agency; None where there is nothing to go by."""

    agency: str
    component: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    actual: float | None = None
    weight: float | None = None
    segment: str = "all"
    note: str = ""


def number(value: Any) -> float | None:
    """A plain float; None for None and for not a number."""
    return None if value is None or np.isnan(value) else float(value)
