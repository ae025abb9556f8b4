"""What a release policy would let out about one account, field by field; nobody's identity is opened for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, exists, select

from infra.store import bulk, gate
from infra.store.exchange import DISCLOSURES, TRANSMISSIONS
from models import release
from models.errors import UsageError
from models.kinds import PLACEMENT_FIELDS, Field
from models.money import exponent
from models.tables import Account

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from models.release import Policy, Release

ACCOUNTS: Final = bulk.table_of(Account)
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


@dataclass(frozen=True)
class Simulated:
    """What would leave about one account, and why that entry of that policy speaks."""

    policy: str
    version: str
    entry: int
    agency: str
    channels: tuple[str, ...]
    speaks: str
    basis: str
    limits: dict[str, str | int]
    """of the risk that somebody is recognised: what a package must hold, or the gate makes it coarser; none: nothing"""
    gate: dict[str, Any] | None
    """what that did to the agency's last package under this policy; None where there was none"""
    fields: list[Leaving]


def simulate(
    connection: Connection,
    policy: Policy,
    account_id: int,
    purpose: str,
    stage: str,
    channels: Collection[str],
    agency: str = "",
) -> Simulated:
    """What would leave about one account, field by field, to that agency; "": to one that no entry names.

    Raises UsageError where there is no such account, NotReleased where the policy covers no such placement.
    """
    told = policy.release(purpose, stage, channels, agency)
    return Simulated(
        policy=told.policy, version=told.version, entry=told.entry, agency=agency, channels=told.channels,
        speaks=_why(policy, told, agency), basis=told.legal_basis or told.basis,
        limits=told.risk.told if told.risk.enforced else {},
        gate=_last_package(connection, told, agency) if agency else None,
        fields=_fields(connection, told, account_id, stage),
    )  # fmt: skip


def _why(policy: Policy, told: Release, agency: str) -> str:
    """Why this entry speaks and no other: the order in which they are asked, in a sentence."""
    if told.policy != policy.name:
        return f"policy {told.policy} stands over {policy.name} for {agency}"
    if told.agencies:
        return f"the first entry for {', '.join(told.agencies)}; it counts before those for every agency"
    asked = f"none names {agency}, so it is" if agency else "it is"
    return f"{asked} the first entry for every agency that covers the stage and a channel"


def _last_package(connection: Connection, told: Release, agency: str) -> dict[str, Any] | None:
    """What the gate made coarser in the last placement that this policy let out to the agency."""
    row = connection.execute(
        select(TRANSMISSIONS.c.name, gate.CHECKS)
        .join(gate.CHECKS, gate.CHECKS.c.transmission_id == TRANSMISSIONS.c.transmission_id)
        .where(
            TRANSMISSIONS.c.agency == agency, TRANSMISSIONS.c.kind == "placement",
            gate.CHECKS.c.verdict == "passed",
            exists().where(
                DISCLOSURES.c.transmission_id == TRANSMISSIONS.c.transmission_id,
                DISCLOSURES.c.policy == told.policy, DISCLOSURES.c.policy_version == told.version,
            ),
        )
        .order_by(TRANSMISSIONS.c.transmission_id.desc())
    ).first()  # fmt: skip
    if row is None:
        return None
    return {
        "file": row.name, "coarser": json.loads(row.coarser), "lines_suppressed": row.suppressed,
        "k_before": row.k_before, "k_after": row.k_after,
    }  # fmt: skip


def _fields(connection: Connection, told: Release, account_id: int, stage: str) -> list[Leaving]:
    account = bulk.read(connection, select(ACCOUNTS).where(ACCOUNTS.c.account_id == account_id))
    if account.empty:
        raise UsageError(f"there is no account {account_id}", fix="give the platform's id, as `consign plan show` does")
    frame = account.assign(
        account="(pseudonym)",
        debtor="(pseudonym)",
        joint_debtor="(pseudonym)",
        stage=stage,
        round=account["rounds"] + 1,
        placed_on=pd.Timestamp("NaT"),
        due_back_on=pd.Timestamp("NaT"),
        **SPECIMENS,
    )
    out = release.minimise(frame, told)
    entry = f"release {told.entry} of {told.policy} {told.version}"
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
