"""The chart of accounts: the code and the names under which the books keep what a posting calls by its role.

Code and rules speak of *ledgers* (1010, 1200 …: docs/reference/ledger.md), which never change. A lender's own books may
number the same things otherwise: the chart says how. A posted line keeps the code that it was posted under.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from models import packaged
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["asset", "liability", "equity", "income", "expense"]

LEDGERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bank": "1010",
        "placed_receivable": "1100",
        "agency_clearing": "1200",
        "unapplied": "1250",
        "currency_position": "1290",
        "input_vat": "1300",
        "clawback_receivable": "1350",
        "agency_payable": "2100",
        "refund_due": "2200",
        "reverse_charge_vat": "2300",
        "commission": "5100",
        "tolerance_write_off": "5950",
    }
)
"""Every role a chart must fill, and the ledger that postings know it by."""
CODE: Final = re.compile(r"[0-9A-Z][0-9A-Z.-]{0,19}")
NAME: Final = re.compile(r"[^\W_][\w &/.,'-]{0,59}")
"""What hledger and a spreadsheet show as it is: no brackets, semicolons or double spaces."""


class ChartInvalid(ConfigurationError):
    """The chart of accounts cannot be used: a role is missing, two clash, or a key is unknown."""

    def __init__(self, message: str, *, fix: str = "docs/reference/ledger.md says how a chart is written") -> None:
        super().__init__(message, fix=fix)


@dataclass(frozen=True)
class ChartAccount:
    """One account of the books."""

    role: str
    code: str
    name: str
    zh: str
    kind: Kind

    @property
    def ledger(self) -> str:
        """What postings call it."""
        return LEDGERS[self.role]


@dataclass(frozen=True)
class Chart:
    """Every account that postings need, each once, in order of code."""

    name: str
    title: str
    accounts: tuple[ChartAccount, ...]

    @classmethod
    def parse(cls, text: str) -> Chart:
        """The chart that the TOML states. Raises ChartInvalid, naming what is wrong."""
        try:
            told = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ChartInvalid(f"the chart is not TOML: {error}") from error
        if unknown := sorted(set(told) - {"name", "title", "account"}):
            raise ChartInvalid(f"unknown in the chart: {', '.join(unknown)}", fix="known are name, title, account")
        rows = told.get("account", [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ChartInvalid("`account` must be a list of tables", fix="write each under an [[account]] heading")
        accounts = tuple(_account(number, row) for number, row in enumerate(rows, 1))
        _complete(accounts)
        name, title = (_text("the chart", told, key) for key in ("name", "title"))
        return cls(name, title, tuple(sorted(accounts, key=lambda account: account.code)))

    @property
    def codes(self) -> dict[str, str]:
        """The code of each ledger."""
        return {account.ledger: account.code for account in self.accounts}


def shipped() -> tuple[str, ...]:
    """The charts that come with Consign."""
    return packaged.names("models", "charts")


@cache
def load(name: str) -> Chart:
    """The shipped chart of that name."""
    return Chart.parse(packaged.text("models", "charts", name))


def _account(number: int, row: Mapping[str, Any]) -> ChartAccount:
    where = f"account {number} of the chart"
    known = {"role", "code", "name", "zh", "kind"}
    if unknown := sorted(set(row) - known):
        raise ChartInvalid(f"unknown in {where}: {', '.join(unknown)}", fix=f"known are {', '.join(sorted(known))}")
    role, code, name, zh, kind = (_text(where, row, key) for key in ("role", "code", "name", "zh", "kind"))
    if role not in LEDGERS:
        raise ChartInvalid(f"{where} has the unknown role {role!r}", fix=f"roles are {', '.join(LEDGERS)}")
    if not CODE.fullmatch(code):
        raise ChartInvalid(f"{where}: {code!r} is no code", fix="digits, capital letters, dots and dashes")
    for said in (name, zh):
        if not NAME.fullmatch(said) or "  " in said:
            raise ChartInvalid(f"{where}: {said!r} is no name", fix="letters, digits and single spaces, at most 60")
    if kind not in get_args(Kind):
        raise ChartInvalid(f"{where} is of the unknown kind {kind!r}", fix=f"kinds are {', '.join(get_args(Kind))}")
    return ChartAccount(role, code, name, zh, kind)  # type: ignore[arg-type]  # looked up above


def _complete(accounts: tuple[ChartAccount, ...]) -> None:
    """Every role is filled once, and no two accounts share a code."""
    roles, codes = ([getattr(account, name) for account in accounts] for name in ("role", "code"))
    if missing := sorted(set(LEDGERS) - set(roles)):
        raise ChartInvalid(
            f"the chart has no account for {', '.join(missing)}", fix="add an [[account]] with that role"
        )
    for what, said in (("role", roles), ("code", codes)):
        if twice := sorted({one for one in said if said.count(one) > 1}):
            raise ChartInvalid(f"two accounts of the chart have the {what} {', '.join(twice)}", fix="keep one of them")


def _text(where: str, row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ChartInvalid(f"{where}: `{key}` is no text", fix=f'write {key} = "…"')
    return value.strip()
