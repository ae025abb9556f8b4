"""The fields of an account as a lender hands it in: our names, in English and 中文, their types and what they mean.

This is the one list: the canonical header of a file, the target of a mapping profile, the columns of a typed frame and
the table in docs/reference/profiles.md are all read from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Type = Literal["text", "amount", "integer", "date"]


@dataclass(frozen=True)
class AccountField:
    """One field: what kind of cell it is, whether a line may go without it, and how long its text may be.

    identity: it says who the debtor is, and is sealed in the vault; every other field is a fact, in a clear column.
    digits: its values are made of digits that mean nothing as a number, so a spreadsheet may have ruined them.
    """

    name: str
    header_zh: str
    about: str
    type: Type = "text"
    required: bool = False
    identity: bool = False
    digits: bool = False
    max_chars: int = 200

    @property
    def column(self) -> str:
        """Its name in a typed frame: amounts are minor units there, and say so."""
        return f"{self.name}_minor" if self.type == "amount" else self.name


_FIELDS = (
    AccountField(
        "account_ref",
        "账号",
        "the lender's own account number",
        required=True,
        identity=True,
        digits=True,
        max_chars=64,
    ),
    AccountField("name", "姓名", "the debtor's name", identity=True),
    AccountField("id_number", "身份证号", "resident ID or passport number", identity=True, digits=True, max_chars=64),
    AccountField("phone", "手机号", "mobile telephone", identity=True, digits=True, max_chars=64),
    AccountField("phone_alt", "备用电话", "another telephone", identity=True, digits=True, max_chars=64),
    AccountField("email", "电子邮箱", "e-mail address", identity=True, max_chars=254),
    AccountField("address", "地址", "postal address", identity=True, max_chars=500),
    AccountField("employer", "工作单位", "the debtor's employer", identity=True),
    AccountField("contact_name", "联系人", "somebody to reach the debtor through", identity=True),
    AccountField("contact_phone", "联系人电话", "that person's telephone", identity=True, digits=True, max_chars=64),
    AccountField("product", "产品", "what was lent: credit_card, cash_loan …", required=True, max_chars=40),
    AccountField("currency", "币种", "ISO 4217", required=True, max_chars=3),
    AccountField("original", "授信金额", "credit granted", "amount"),
    AccountField("principal", "本金", "principal owed", "amount"),
    AccountField("interest", "利息", "interest owed", "amount"),
    AccountField("fees", "费用", "fees owed", "amount"),
    AccountField("balance", "欠款余额", "all that is owed as of the snapshot", "amount", required=True),
    AccountField("dpd", "逾期天数", "days past due as of the snapshot", "integer", required=True),
    AccountField("opened_on", "开户日期", "when the account was opened", "date"),
    AccountField("due_on", "到期日", "when the oldest unpaid instalment fell due", "date"),
    AccountField("last_paid_on", "最近还款日", "when the debtor last paid", "date"),
    AccountField("region", "地区代码", "division code (CN: six digits) or state", max_chars=20),
    AccountField("score_band", "评分等级", "the lender's own score, banded", max_chars=20),
)

ACCOUNT_FIELDS: Mapping[str, AccountField] = MappingProxyType({field.name: field for field in _FIELDS})
"""Every field, by our name, in the order of a canonical file."""
IDENTITY = tuple(name for name, field in ACCOUNT_FIELDS.items() if field.identity)
FACTS = tuple(name for name, field in ACCOUNT_FIELDS.items() if not field.identity)
AMOUNTS = tuple(name for name, field in ACCOUNT_FIELDS.items() if field.type == "amount")
REQUIRED = tuple(name for name, field in ACCOUNT_FIELDS.items() if field.required)
