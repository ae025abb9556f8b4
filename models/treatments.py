"""How a field leaves: whole, masked, in a band, as month or year, coarser, or not at all; whole columns at a time.

A masked, banded, coarsened or shortened value never leaves whole (docs/reference/policies.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.kinds import PLACEMENT_FIELDS, Field
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

PSEUDONYMS: Final = ("account", "debtor")
JOINT: Final = "joint_debtor"
"""It tells the agency that debtors of several lenders are one: a policy's to give, unlike the other pseudonyms."""
IDENTITY: Final = (
    "name", "id_number", "phone", "phone_alt", "email", "address", "employer", "contact_name", "contact_phone",
)  # fmt: skip
"""The fields that lie sealed in the vault; all others are facts in clear columns."""
DATES: Final = frozenset({"as_of", "placed_on", "due_back_on", "opened_on", "due_on", "last_paid_on"})
THIRD_PARTY: Final = frozenset({"contact_name", "contact_phone"})
WHOLE_NEEDS_BASIS: Final = frozenset({"id_number", "card_number"})
SHOWN_WITHOUT_BASIS: Final = (6, 4)
"""Of such a number a mask shows so many first and last at most: the issuer or the place, and what one compares by; the
birth date or the account in between stays hidden. More needs a basis like the whole."""
HIDDEN_AT_LEAST: Final = MappingProxyType(dict.fromkeys(sorted(WHOLE_NEEDS_BASIS), 5))
"""Of such a number a mask hides so many whatever it says, or all: fewer can be tried out."""
ALL_STARS: Final = "****"
STARS: Final[Mapping[str, str]] = MappingProxyType({"name": "**", "contact_name": "**"})
"""What stands for the hidden part; as long for every value, so that it does not tell the length."""
SHOWN_AT_MOST: Final = (2, 3)
"""A mask shows two thirds of a value at most (138****1234 shows 7 of 11); a shorter value is hidden entirely."""


@dataclass(frozen=True)
class Treatment:
    """How one field leaves: `release` whole, `mask`, `band`, `month`, `year`, `coarsen`; or `drop`: it does not."""

    how: str
    first: int = 0
    last: int = 0
    edges: tuple[Decimal, ...] = ()
    labels: tuple[str, ...] = ()
    to: str = ""
    because: str = ""

    @property
    def words(self) -> str:
        """It in words, for a preview: `mask: first 1, last 4`."""
        match self.how:
            case "mask":
                shown = [f"{name} {count}" for name, count in (("first", self.first), ("last", self.last)) if count]
                return f"mask: {', '.join(shown) or 'all hidden'}"
            case "band":
                return f"band: {len(self.labels)} bands"
            case "coarsen":
                return f"coarsen: {self.to}"
            case _:
                return self.how

    def leaving(self, field: Field) -> Field:
        """The field as it leaves: a band, a month and a year are strings, whatever they were."""
        if self.how in {"band", "month", "year"}:
            return replace(field, type="string", about=f"{field.about} ({self.words})".strip())
        if field.name in DATES:
            return replace(field, type="date")
        return field


def shows_much(how: Treatment) -> bool:
    """Whether more of an identifying number leaves than a mask may show without a basis."""
    first, last = SHOWN_WITHOUT_BASIS
    return how.how != "mask" or how.first > first or how.last > last


WHOLE: Final = Treatment("release")


def treated(frame: pd.DataFrame, name: str, treatment: Treatment) -> pd.Series:
    """The field's column as it leaves, made from its own cells alone; a band of an amount reads `currency` too."""
    column = frame[PLACEMENT_FIELDS[name].column]
    if is_banded_amount(name, treatment):
        return _banded_amount(column, frame["currency"], treatment)
    return _TREATED[treatment.how](column, name, treatment)


def is_banded_amount(name: str, treatment: Treatment) -> bool:
    """Whether the treatment needs the currency beside the field."""
    return treatment.how == "band" and PLACEMENT_FIELDS[name].type == "amount"


def _arrow(column: pd.Series) -> pa.LargeStringArray:
    found = pa.array(column.astype("str"), from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found.cast(pa.large_string())


def _text(values: pa.Array, index: pd.Index) -> pd.Series:
    return pd.Series(pd.array(values, dtype="str"), index=index)


def _masked(column: pd.Series, name: str, treatment: Treatment) -> pd.Series:
    """First and last letters with stars between; a value too short to hide a third of, or enough, is all stars."""
    whole = _arrow(column)
    most, of = SHOWN_AT_MOST
    shown = treatment.first + treatment.last
    hidden = pa.scalar(STARS.get(name, ALL_STARS), pa.large_string())
    nothing = pa.scalar("", pa.large_string())
    head = pc.utf8_slice_codeunits(whole, 0, treatment.first) if treatment.first else nothing
    tail = pc.utf8_slice_codeunits(whole, -treatment.last) if treatment.last else nothing
    parts = pc.binary_join_element_wise(head, hidden, tail, nothing)
    length = pc.utf8_length(whole).cast(pa.int64())
    short = pc.greater(pa.scalar(shown * of, pa.int64()), pc.multiply(length, most))
    short = pc.or_(short, pc.less(pc.subtract(length, shown), HIDDEN_AT_LEAST.get(name, 0)))
    masked = pc.if_else(short, hidden, parts)
    return _text(pc.if_else(pc.is_null(whole), pa.scalar(None, pa.large_string()), masked), column.index)


def _banded(column: pd.Series, edges: Sequence[Decimal | int], labels: Sequence[str]) -> pd.Series:
    """The label of the band that each whole number falls in; a band holds its lower edge."""
    numbers = column.astype("Int64")
    missing = numbers.isna().to_numpy()
    codes = np.searchsorted(
        np.array([int(edge) for edge in edges], dtype=np.int64), numbers.fillna(0).to_numpy(dtype=np.int64), "right"
    )
    taken = pa.array(labels, pa.large_string()).take(pa.array(codes, mask=missing))
    return _text(taken, column.index)


def _banded_amount(column: pd.Series, currency: pd.Series, treatment: Treatment) -> pd.Series:
    """Edges are in whole units of the account's own currency; an amount without a currency has no band."""
    labels = pd.Series(pd.NA, index=range(len(column)), dtype="str")
    amounts, currencies = column.reset_index(drop=True), currency.reset_index(drop=True)
    for code in currencies.dropna().unique():
        mine = (currencies == code).to_numpy(dtype=bool, na_value=False)
        edges = [int(edge.scaleb(exponent(str(code)))) for edge in treatment.edges]
        labels[mine] = _banded(amounts[mine], edges, treatment.labels)
    return labels.set_axis(column.index)


def _calendar(column: pd.Series, unit: str) -> pd.Series:
    """`YYYY-MM` or `YYYY` of dates."""
    days = pd.to_datetime(column).to_numpy().astype(f"datetime64[{unit}]")
    codes, distinct = pd.factorize(days)
    names = pa.array(np.datetime_as_string(distinct.astype(f"datetime64[{unit}]")).tolist(), pa.large_string())
    return _text(names.take(pa.array(codes, mask=codes < 0)), column.index)


REGION_DIGITS: Final[Mapping[str, int]] = MappingProxyType({"city": 4, "province": 2})


def _coarsened(column: pd.Series, to: str) -> pd.Series:
    """Division codes (GB/T 2260, six digits) of the city or province; two-letter states stay; the rest is missing."""
    whole = _arrow(column)
    keep = REGION_DIGITS[to]
    digits = pc.match_substring_regex(whole, r"^[0-9]{6}$")
    state = pc.match_substring_regex(whole, r"^[A-Z]{2}$")
    prefix = pc.utf8_slice_codeunits(whole, 0, keep)
    zeros = pa.scalar("0" * (6 - keep), pa.large_string())
    code = pc.binary_join_element_wise(prefix, zeros, pa.scalar("", pa.large_string()))
    nothing = pa.scalar(None, pa.large_string())
    return _text(pc.if_else(digits, code, pc.if_else(state, whole, nothing)), column.index)


_TREATED: Final[Mapping[str, Callable[[pd.Series, str, Treatment], pd.Series]]] = MappingProxyType(
    {
        "release": lambda column, _name, _how: column,
        "mask": _masked,
        "band": lambda column, _name, how: _banded(column, how.edges, how.labels),
        "month": lambda column, _name, _how: _calendar(column, "M"),
        "year": lambda column, _name, _how: _calendar(column, "Y"),
        "coarsen": lambda column, _name, how: _coarsened(column, how.to),
    }
)
