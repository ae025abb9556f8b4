"""Where release policies are found: the shipped ones, and an operator's own at home/policies/<name>.toml."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, select

from infra.ownfiles import Shelf
from infra.store import bulk
from models import release
from models.errors import UsageError
from models.kinds import PLACEMENT_FIELDS, Field
from models.money import exponent
from models.tables import Account

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from models.release import Policy

ACCOUNTS = bulk.table_of(Account)
SPECIMENS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "name": "张三丰",
        "id_number": "11010519491231002X",
        "phone": "13800001234",
        "phone_alt": "01088881234",
        "email": "zhang.sanfeng@example.com",
        "address": "北京市朝阳区样本路1号",
        "employer": "样本公司",
        "contact_name": "李四",
        "contact_phone": "13900005678",
    }
)
"""A made-up debtor, to show what a treatment does without opening anybody's identity."""


SHELF: Final = Shelf("policies", "policy", release.shipped, release.load, release.Policy.parse)


def names() -> list[str]:
    """Every policy there is."""
    return SHELF.names()


def find(name: str) -> Policy:
    """The policy of that name. Raises UsageError where there is none, PolicyInvalid where it cannot be enforced.

    An own policy with a shipped one's name is refused: nobody could tell which of them a plan was approved under.
    """
    return SHELF.find(name)


@dataclass(frozen=True)
class Leaving:
    """One field of one account under a policy."""

    field: str
    leaves: bool
    treatment: str
    shown: str | None
    """a fact as it would leave; of an identity only a specimen is treated: the account's own cell stays sealed"""
    rule: str
    """what lets it out, or holds it back"""


def simulate(
    connection: Connection, policy: Policy, account_id: int, purpose: str, stage: str, channels: Collection[str]
) -> list[Leaving]:
    """What would leave about one account, field by field. No identity is opened.

    Raises UsageError where there is no such account, NotReleased where the policy covers no such placement.
    """
    told = policy.release(purpose, stage, channels)
    account = bulk.read(connection, select(ACCOUNTS).where(ACCOUNTS.c.account_id == account_id))
    if account.empty:
        raise UsageError(f"there is no account {account_id}", fix="give the platform's id, as `consign plan show` does")
    frame = account.assign(
        account="(pseudonym)",
        debtor="(pseudonym)",
        stage=stage,
        round=account["rounds"] + 1,
        placed_on=pd.Timestamp("NaT"),
        due_back_on=pd.Timestamp("NaT"),
        **SPECIMENS,
    )
    out = release.minimise(frame, told)
    entry = f"release {told.entry} of {policy.name} {policy.version}"
    found = []
    for field in PLACEMENT_FIELDS.values():
        how = told.treatments.get(field.name)
        leaving = next((each for each in told.fields if each.name == field.name), None)
        if leaving is None:
            found.append(Leaving(field.name, leaves=False, treatment="-", shown=None, rule=told.held_back[field.name]))
            continue
        value = out[leaving.column].iloc[0]
        found.append(
            Leaving(
                field.name,
                leaves=True,
                treatment="pseudonym" if how is None else how.words,
                shown=None if pd.isna(value) else _as_text(value, leaving, str(account["currency"].iloc[0])),
                rule=(how.because if how is not None and how.because else entry),
            )
        )
    return found


def _as_text(value: object, field: Field, currency: str) -> str:
    if field.type == "amount":
        digits = exponent(currency)
        return f"{Decimal(str(value)).scaleb(-digits):.{digits}f}"
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    return f"{value} (specimen)" if field.name in SPECIMENS else str(value)
