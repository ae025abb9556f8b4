"""What a person may do about a break (R12): the kinds, the reasons, who must agree, and how money is shared out.

A resolution is proposed with a reason, agreed to by as many others as its amount asks for, and then done at once;
undoing it is another resolution, and posts a reversal.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, get_args

from models.errors import UsageError
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

Kind = Literal["match", "unmatch", "write_off", "count", "reject", "not_ours", "settle", "refund", "undo"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ABOUT: Final[Mapping[Kind, tuple[str, str]]] = MappingProxyType(
    {
        "match": ("lines and receipts belong together", "明细与收款相互对应"),
        "unmatch": ("what was tied does not belong together", "撤销已对应的明细与收款"),
        "write_off": ("what is still open of it is given up", "核销剩余差额"),
        "count": ("a line that a break kept out of the books counts", "将被拦下的明细计入账簿"),
        "reject": ("the line does not count, and never will", "拒绝该明细"),
        "not_ours": ("the receipt has nothing to do with any agency", "该收款与机构无关"),
        "settle": ("the difference is accepted as it stands", "接受差异，不作调整"),
        "refund": ("what was paid beyond the balance went back to the debtor", "多付款已退还债务人"),
        "undo": ("another resolution is taken back", "撤销另一处理"),
    }
)
"""What each kind says, in English and in 中文."""

REASONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "agency_error": ("the agency reported it wrongly", "机构报送有误"),
        "lender_error": ("we had it wrong", "我方差错"),
        "bank_charge": ("a bank kept a charge", "银行手续费"),
        "rounding": ("rounded differently on the two sides", "四舍五入差异"),
        "late_booking": ("the bank booked it later, or in parts", "银行入账延迟或分笔"),
        "wrong_reference": ("the reference was missing or wrong", "附言缺失或错误"),
        "second_payment": ("it looks the same, and is another payment", "内容相同的另一笔付款"),
        "duplicate": ("it is the same payment again", "重复"),
        "goodwill": ("given up for the sake of the relationship", "商誉让步"),
        "uneconomic": ("following it up would cost more", "追索成本过高"),
        "agreed_with_agency": ("the agency agrees in writing", "已与机构书面确认"),
        "debtor_refund": ("it was paid back to the debtor", "已退还债务人"),
        "misdirected": ("the money was meant for somebody else", "错汇款项"),
        "mistake": ("an earlier resolution was wrong", "此前处理有误"),
        "other": ("see the note", "见备注"),
    }
)
"""Why, as a code; `other` needs a note."""


@dataclass(frozen=True)
class Band:
    """Up to this amount (None: any), so many others must agree."""

    up_to: Decimal | None
    others: int


@dataclass(frozen=True)
class Limits:
    """Who must agree, by kind and amount."""

    version: str
    scale: Mapping[str, int]
    bands: Mapping[str, tuple[Band, ...]]

    @classmethod
    def parse(cls, text: str) -> Limits:
        """The limits that a TOML text states. Raises UsageError, naming the table, for what cannot be meant."""
        told = tomllib.loads(text)
        version, scale = str(told.pop("version", "")), told.pop("currency", {})
        bands = {kind: tuple(_band(kind, row) for row in rows) for kind, rows in told.items()}
        if strangers := sorted(set(bands) - set(KINDS)):
            raise UsageError(f"there is no resolution {strangers[0]!r}", fix=f"there are {', '.join(KINDS)}")
        for kind, rows in bands.items():
            bounds = [row.up_to for row in rows]
            rising = [bound for bound in bounds[:-1] if bound is not None]
            if not bounds or bounds[-1] is not None or len(rising) != len(bounds) - 1 or rising != sorted(set(rising)):
                fix = "let the bounds rise, and give the last row none"
                raise UsageError(f"[[{kind}]]: the bounds do not cover every amount once", fix=fix)
        return cls(version, MappingProxyType(dict(scale)), MappingProxyType(bands))

    def others(self, kind: str, currency: str, amount_minor: int) -> int:
        """How many people besides the proposer must agree."""
        amount = Decimal(abs(amount_minor)).scaleb(-exponent(currency)) / self.scale.get(currency, 1)
        rows = self.bands.get(kind, (Band(None, 0),))
        return next(row.others for row in rows if row.up_to is None or amount <= row.up_to)


def _band(kind: str, row: Mapping[str, object]) -> Band:
    up_to, others = row.get("up_to"), row.get("others")
    if not isinstance(others, int) or others < 0 or not isinstance(up_to, str | None) or set(row) - {"up_to", "others"}:
        raise UsageError(f"[[{kind}]]: a row has `others`, a number, and perhaps `up_to`, a text")
    return Band(None if up_to is None else Decimal(up_to), others)


@cache
def shipped() -> Limits:
    """The limits that come with Consign."""
    return Limits.parse(files("models.reconcile").joinpath("approvals.toml").read_text("utf-8"))


def shared_out(
    lines: pd.DataFrame, receipts: pd.DataFrame, amounts: Mapping[int, int]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How much of each line and of each receipt a match by hand takes: the same sum on both sides.

    lines: `line_id`, `open_minor` (signed), `value_date`, `content_id`; receipts: `receipt_id`, `open_minor`,
    `value_date`. amounts: by line, where only a part is meant. Returns `line_id`, `amount_minor` and `receipt_id`,
    `amount_minor`, without zeros; the smaller side is used up, the larger one in the order of its value dates.
    Raises UsageError where nothing, more than there is, or a mixture of signs would have to be shared.
    """
    lines = lines.sort_values(["value_date", "content_id"], ignore_index=True)
    receipts = receipts.sort_values(["value_date", "receipt_id"], ignore_index=True)
    wanted = lines["open_minor"].copy()
    for line_id, amount in amounts.items():
        which = lines["line_id"] == line_id
        room = int(lines.loc[which, "open_minor"].iloc[0]) if which.any() else 0
        if amount * room <= 0 or abs(amount) > abs(room):
            raise UsageError(
                f"line {line_id} has {room} minor units open, not {amount}", fix="name less, or unmatch first"
            )
        wanted[which] = amount
    asked, there = int(wanted.sum()), int(receipts["open_minor"].sum())
    if asked != there:
        if amounts and abs(asked) > abs(there):
            fix = "let the parts sum to no more than the receipts have open"
            raise UsageError(f"the parts sum to {asked} minor units, the receipts to {there}", fix=fix)
        if not (_same_sign(wanted, there) and _same_sign(receipts["open_minor"], asked)):
            fix = "say which part of each line is meant, or write off the rest first"
            raise UsageError(f"the lines sum to {asked} minor units, the receipts to {there}", fix=fix)
        total = min(asked, there, key=abs)
        wanted, given = _used(wanted, total), _used(receipts["open_minor"], total)
    else:
        given = receipts["open_minor"]
    ours = lines[["line_id"]].assign(amount_minor=wanted)
    theirs = receipts[["receipt_id"]].assign(amount_minor=given)
    ours, theirs = ours[ours["amount_minor"] != 0], theirs[theirs["amount_minor"] != 0]
    if ours.empty or theirs.empty:
        raise UsageError("there is nothing open on one of the sides", fix="`consign recon show` says what is open")
    return ours.reset_index(drop=True), theirs.reset_index(drop=True)


def _same_sign(amounts: pd.Series, as_: int) -> bool:
    return bool(((amounts > 0) == (as_ > 0)).all()) and as_ != 0


def _used(amounts: pd.Series, total: int) -> pd.Series:
    """The first amounts of one sign, until their sum is `total`; the one that crosses it in part, the rest 0."""
    sign = 1 if total > 0 else -1
    upto = (amounts * sign).cumsum().clip(upper=total * sign)
    return upto.diff().fillna(upto).astype("int64") * sign
